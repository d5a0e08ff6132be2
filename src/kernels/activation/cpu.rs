use burn::tensor::{Tensor, TensorData};

use super::Activation;
use crate::kernels::flex::{contiguous, for_each_chunk};
use crate::lanes::{Lanes, map_lanes};

/// Numbers that are made at a time.
const CHUNK: usize = 4096;

pub(super) fn activate<const D: usize>(x: Tensor<D>, function: Activation) -> Tensor<D> {
    match function {
        Activation::Silu => map(x, silu),
        Activation::Relu => map(x, |x| x.greatest(0.0)),
        Activation::Gelu => map(x, gelu),
        Activation::QuickGelu => map(x, |x| x / ((x * -1.702).exp() + 1.0)),
    }
}

/// `x · sigmoid(x)`.
#[inline(always)]
pub(in crate::kernels) fn silu(x: Lanes) -> Lanes {
    x / ((0.0 - x).exp() + 1.0)
}

/// The exact GELU, by the error function (Abramowitz and Stegun, 7.1.26: off by 1.5e-7 at most).
#[inline(always)]
pub(in crate::kernels) fn gelu(x: Lanes) -> Lanes {
    let z = x.greatest(0.0 - x) * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (z * 0.327_591_1 + 1.0);
    let mut series = t * 1.061_405_4 - 1.453_152;
    for coefficient in [1.421_413_7, -0.284_496_74, 0.254_829_6] {
        series = series * t + coefficient;
    }
    let erf = 1.0 - series * t * (0.0 - z * z).exp();
    x * 0.5 * (x.at_most(0.0).choose(0.0 - erf, erf) + 1.0)
}

fn map<const D: usize>(x: Tensor<D>, function: impl Fn(Lanes) -> Lanes + Sync) -> Tensor<D> {
    let (shape, device) = (x.dims(), x.device());
    let x = contiguous(x);
    let x = x.storage::<f32>();
    let mut out = vec![0f32; x.len()];
    for_each_chunk(&mut out, CHUNK, |chunk, out| {
        map_lanes(&x[chunk * CHUNK..][..out.len()], out, &function);
    });
    Tensor::from_data(TensorData::new(out, shape), &device)
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation;

    use super::*;
    use crate::kernels::test::{assert_near, random};

    #[test]
    fn equals_burns() {
        let x = random([3, 65, 7], 1).mul_scalar(3.0);
        type Expected = fn(Tensor<3>) -> Tensor<3>;
        let functions: [(Activation, Expected); 4] = [
            (Activation::Silu, activation::silu),
            (Activation::Relu, activation::relu),
            (Activation::Gelu, activation::gelu),
            (Activation::QuickGelu, |x| {
                activation::sigmoid(x.clone().mul_scalar(1.702)) * x
            }),
        ];
        for (function, expected) in functions {
            assert_near(expected(x.clone()), activate(x.clone(), function), 1e-6);
        }
    }
}
