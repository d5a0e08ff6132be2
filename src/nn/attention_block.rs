use burn::tensor::Tensor;

use super::{GroupNorm, Linear, merge_heads, scaled_dot_product_attention, split_heads};
use crate::Result;
use crate::weights::Weights;

/// Attention among the cells of a feature map, around a residual.
pub struct AttentionBlock {
    heads: usize,
    norm: GroupNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
}

impl AttentionBlock {
    /// Takes `group_norm`, `to_q`, `to_k`, `to_v` and `to_out.0`; `norm` says how to load the
    /// first.
    pub fn load(
        weights: &Weights,
        heads: usize,
        norm: impl Fn(&Weights) -> Result<GroupNorm>,
    ) -> Result<Self> {
        Ok(Self {
            heads,
            norm: norm(&weights.at("group_norm"))?,
            query: Linear::load(&weights.at("to_q"))?,
            key: Linear::load(&weights.at("to_k"))?,
            value: Linear::load(&weights.at("to_v"))?,
            out: Linear::load(&weights.at("to_out.0"))?,
        })
    }

    /// Applies the layer to `[batch, channels, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let tokens = self.norm.forward(x.clone()).flatten::<3>(2, 3);
        let tokens = tokens.swap_dims(1, 2);
        let attended = scaled_dot_product_attention(
            split_heads(self.query.forward(tokens.clone()), self.heads),
            split_heads(self.key.forward(tokens.clone()), self.heads),
            split_heads(self.value.forward(tokens), self.heads),
        );
        let out = self.out.forward(merge_heads(attended)).swap_dims(1, 2);
        x + out.reshape([batch, channels, height, width])
    }
}
