use burn::tensor::Tensor;

use crate::Result;
use crate::kernels;
use crate::weights::{UpdateSlot, Weights};

/// Layer normalisation over the last axis with learned scale and shift.
pub struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
    slot: UpdateSlot,
}

impl LayerNorm {
    /// Takes `weight` and `bias`.
    pub fn load(weights: &Weights, epsilon: f64) -> Result<Self> {
        let weight: Tensor<1> = weights.take("weight")?;
        Ok(Self {
            slot: weights.slot(weight.dims()[0]),
            weight,
            bias: weights.take("bias")?,
            epsilon: epsilon as f32,
        })
    }

    /// Normalises `[..., channels]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let [weight, bias] = self.slot.norm([&self.weight, &self.bias]);
        kernels::layer_norm(x, weight, bias, self.epsilon)
    }
}
