use burn::tensor::{Tensor, module};

use crate::Result;
use crate::weights::Weights;

/// Layer normalisation over the last axis with learned scale and shift.
pub struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
}

impl LayerNorm {
    /// Takes `weight` and `bias`.
    pub fn load(weights: &Weights, epsilon: f64) -> Result<Self> {
        Ok(Self {
            weight: weights.take("weight")?,
            bias: weights.take("bias")?,
            epsilon,
        })
    }

    /// Normalises `[..., channels]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        module::layer_norm(
            x,
            self.weight.clone(),
            Some(self.bias.clone()),
            self.epsilon,
        )
    }
}
