use burn::tensor::Tensor;

use crate::Result;
use crate::kernels;
use crate::weights::Weights;

/// Layer normalisation over the last axis with learned scale and shift.
pub struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
}

impl LayerNorm {
    /// Takes `weight` and `bias`.
    pub fn load(weights: &Weights, epsilon: f64) -> Result<Self> {
        Ok(Self {
            weight: weights.take("weight")?,
            bias: weights.take("bias")?,
            epsilon: epsilon as f32,
        })
    }

    /// Normalises `[..., channels]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (weight, bias) = (self.weight.clone(), self.bias.clone());
        kernels::layer_norm(x, weight, bias, self.epsilon)
    }
}
