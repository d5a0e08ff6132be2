//! Feature maps put one behind the other along the channels.

#[cfg(feature = "gpu")]
mod gpu;

use burn::tensor::Tensor;

#[cfg(feature = "gpu")]
use super::is_gpu;

/// The channels of `first`, then those of `second`; both are `[batch, channels, height, width]`.
pub fn concat_channels(first: Tensor<4>, second: Tensor<4>) -> Tensor<4> {
    let ([batch, _, height, width], other) = (first.dims(), second.dims());
    assert!(
        [batch, height, width] == [other[0], other[2], other[3]],
        "maps of {:?} and {other:?} side by side",
        first.dims()
    );
    #[cfg(feature = "gpu")]
    if is_gpu(&first.device()) {
        return gpu::concat_channels(first, second);
    }
    Tensor::cat(vec![first, second], 1)
}

#[cfg(all(test, feature = "gpu"))]
mod tests {
    use super::*;
    use crate::kernels::test::{assert_near, both, random};

    #[test]
    fn equals_the_cpus() {
        for (first, second) in [(4, 8), (3, 1), (320, 640)] {
            let (a, b) = (random([2, first, 5, 7], 1), random([2, second, 5, 7], 2));
            let [cpu, gpu] = both(|device| {
                concat_channels(a.clone().to_device(device), b.clone().to_device(device))
            });
            assert_near(cpu, gpu, 0.0);
        }
    }
}
