use burn::tensor::{Tensor, module};

use crate::Result;
use crate::weights::{Weight, Weights};

/// `x · Wᵀ + b` over the last axis; `weight` is `[out, in]` as PyTorch stores it, or a 1x1
/// convolution's `[out, in, 1, 1]`, which is the same over tokens.
pub struct Linear {
    weight: Weight,
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
            [out, inputs, 1, 1] => weights
                .take_weight::<4>("weight")?
                .reshaped(&[*out, *inputs]),
            _ => weights.take_weight::<2>("weight")?,
        };
        Ok(Self {
            weight,
            bias: bias.transpose()?,
        })
    }

    /// Features that come out.
    pub fn outputs(&self) -> usize {
        self.weight.shape()[0]
    }

    /// Applies the layer to `[..., in]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let transposed = self.weight.dequantize::<2>().transpose();
        module::linear(x, transposed, self.bias.clone())
    }
}
