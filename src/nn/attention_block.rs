use burn::tensor::Tensor;

use super::{GroupNorm, JointLinear, Linear, from_tokens, to_tokens};
use crate::Result;
use crate::kernels::{AttentionMask, Channels, attention};
use crate::weights::Weights;

/// Attention among the cells of a feature map, around a residual.
pub struct AttentionBlock {
    heads: usize,
    norm: GroupNorm,
    projections: JointLinear,
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
            projections: JointLinear::new(vec![
                Linear::load(&weights.at("to_q"))?,
                Linear::load(&weights.at("to_k"))?,
                Linear::load(&weights.at("to_v"))?,
            ]),
            out: Linear::load(&weights.at("to_out.0"))?,
        })
    }

    /// Applies the layer to `[batch, channels, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let tokens = to_tokens(self.norm.forward(x.clone()));
        let [query, key, value] = Channels::parts(self.projections.forward(tokens));
        let attended = attention(query, key, value, self.heads, AttentionMask::None);
        let out = self.out.forward_add(attended, to_tokens(x));
        from_tokens(out, [height, width])
    }
}
