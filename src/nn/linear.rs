use burn::tensor::{Tensor, module};

use crate::Result;
use crate::weights::Weights;

/// `x · Wᵀ + b` over the last axis; `weight` is `[out, in]` as PyTorch stores it, or a 1x1
/// convolution's `[out, in, 1, 1]`, which is the same over tokens.
pub struct Linear {
    transposed: Tensor<2>,
    bias: Option<Tensor<1>>,
}

impl Linear {
    /// Takes `weight` and, if there is one, `bias`.
    pub fn load(weights: &Weights) -> Result<Self> {
        Self::load_split(weights, weights)
    }

    /// Takes `weight` and `bias` from different places.
    pub fn load_split(weights: &Weights, biases: &Weights) -> Result<Self> {
        let bias = biases.has("bias").then(|| biases.take("bias"));
        let weight = match weights.shape("weight")?.as_slice() {
            [out, inputs, 1, 1] => weights.take::<4>("weight")?.reshape([*out, *inputs]),
            _ => weights.take::<2>("weight")?,
        };
        Ok(Self {
            transposed: weight.transpose(),
            bias: bias.transpose()?,
        })
    }

    /// Applies the layer to `[..., in]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        module::linear(x, self.transposed.clone(), self.bias.clone())
    }
}
