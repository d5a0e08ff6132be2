//! Activation functions, each one pass.

mod cpu;
#[cfg(feature = "gpu")]
mod gpu;

use burn::tensor::Tensor;

pub(super) use self::cpu::{gelu, silu};

#[cfg(feature = "gpu")]
use super::is_gpu;

/// A function that is applied to each number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x · sigmoid(x)`.
    Silu,
    /// `max(x, 0)`.
    Relu,
    /// The exact GELU, by the error function.
    Gelu,
    /// CLIP's approximation of GELU: `x · sigmoid(1.702 x)`.
    QuickGelu,
}

/// Applies `function` to each number.
pub fn activate<const D: usize>(x: Tensor<D>, function: Activation) -> Tensor<D> {
    #[cfg(feature = "gpu")]
    if is_gpu(&x.device()) {
        return gpu::activate(x, function);
    }
    cpu::activate(x, function)
}

#[cfg(all(test, feature = "gpu"))]
mod tests {
    use super::*;
    use crate::kernels::test::{assert_near, both, random};

    /// Also of a map whose channels lie last, which stays so.
    #[test]
    fn equals_the_cpus() {
        use Activation::{Gelu, QuickGelu, Relu, Silu};
        let x = random([2, 3, 65, 7], 1).mul_scalar(3.0);
        for function in [Silu, Relu, Gelu, QuickGelu] {
            let [cpu, gpu] = both(|device| {
                let x = x.clone().to_device(device);
                let permuted = activate(x.clone().permute([0, 3, 1, 2]), function);
                activate(x, function) + permuted.permute([0, 2, 3, 1])
            });
            assert_near(cpu, gpu, 1e-6);
        }
    }
}
