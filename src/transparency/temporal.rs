use burn::tensor::{Tensor, module};

use crate::Result;
use crate::nn::Linear;
use crate::weights::Weights;

/// Added to the variance in the temporal layer norm.
const NORM_EPSILON: f64 = 1e-6;

/// The temporal attention of an adapter for one picture.
///
/// Over a single frame the softmax is 1, so that queries and keys vanish and what is left is one
/// affine map of the layer-normed state. The norm's own scale and shift are folded into it when
/// the adapter is packed.
pub struct FoldedTemporalAttention {
    linear: Linear,
    ones: Tensor<1>,
}

impl FoldedTemporalAttention {
    /// Takes `weight` and `bias`.
    pub fn load(weights: &Weights) -> Result<Self> {
        let channels = weights.shape("weight")?.last().copied().unwrap_or(0);
        Ok(Self {
            ones: Tensor::ones([channels], weights.device()),
            linear: Linear::load(weights)?,
        })
    }

    /// The map of `[batch, tokens, channels]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let normed = module::layer_norm(x, self.ones.clone(), None, NORM_EPSILON);
        self.linear.forward(normed)
    }
}
