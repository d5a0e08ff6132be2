//! Layer normalisation over the last axis.

#[cfg(feature = "gpu")]
pub(super) mod gpu;

use burn::tensor::{Tensor, module};

#[cfg(feature = "gpu")]
use super::is_gpu;

/// Normalises each row of `[..., channels]` to mean 0 and deviation 1, then scales by `weight` and
/// shifts by `bias`.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
) -> Tensor<D> {
    assert_eq!(weight.dims(), [x.dims()[D - 1]], "features of a layer norm");
    #[cfg(feature = "gpu")]
    if is_gpu(&x.device()) {
        return gpu::layer_norm(x, weight, bias, epsilon);
    }
    module::layer_norm(x, weight, Some(bias), f64::from(epsilon))
}

#[cfg(all(test, feature = "gpu"))]
mod tests {
    use super::*;
    use crate::kernels::test::{assert_near, both, random};

    #[test]
    fn equals_the_cpus() {
        for shape in [[1, 1, 320], [2, 77, 768], [3, 5, 1], [1, 70_000, 5]] {
            let x = random(shape, 1).mul_scalar(2.0).add_scalar(30.0);
            let (weight, bias) = (random([shape[2]], 2), random([shape[2]], 3));
            let [cpu, gpu] = both(|device| {
                let weight = weight.clone().to_device(device);
                let bias = bias.clone().to_device(device);
                layer_norm(x.clone().to_device(device), weight, bias, 1e-5)
            });
            assert_near(cpu, gpu, 2e-5);
        }
    }
}
