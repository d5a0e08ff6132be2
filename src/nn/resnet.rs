use burn::tensor::Tensor;

use super::{Conv2d, GroupNorm, Linear, RowTiles};
use crate::Result;
use crate::weights::Weights;

/// Two normalised convolutions beside a shortcut, shifted by the time embedding where there is one.
pub struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_embedding: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl ResnetBlock {
    /// Takes `norm1`, `conv1`, `norm2`, `conv2` and, where present, `time_emb_proj` and
    /// `conv_shortcut`.
    pub fn load(weights: &Weights, groups: usize, epsilon: f64) -> Result<Self> {
        let time_embedding = weights.at("time_emb_proj");
        let shortcut = weights.at("conv_shortcut");
        Ok(Self {
            norm1: GroupNorm::load(&weights.at("norm1"), groups, epsilon)?,
            conv1: Conv2d::load(&weights.at("conv1"))?,
            time_embedding: time_embedding
                .has("weight")
                .then(|| Linear::load(&time_embedding))
                .transpose()?,
            norm2: GroupNorm::load(&weights.at("norm2"), groups, epsilon)?,
            conv2: Conv2d::load(&weights.at("conv2"))?,
            shortcut: shortcut
                .has("weight")
                .then(|| Conv2d::load(&shortcut))
                .transpose()?,
        })
    }

    /// `x` is `[batch, in, height, width]`; `time`, already through SiLU, is `[batch, features]`.
    pub fn forward(&self, x: Tensor<4>, time: Option<&Tensor<2>>) -> Tensor<4> {
        self.forward_tiled(x.into(), time).concat()
    }

    /// As [`ResnetBlock::forward`], for a map in tiles.
    pub fn forward_tiled(&self, x: RowTiles, time: Option<&Tensor<2>>) -> RowTiles {
        let shift = self.time_embedding.as_ref().zip(time);
        let shift = shift.map(|(projection, time)| projection.forward(time.clone()));
        let norm = self.norm1.statistics(&x);
        let rows = |rows| norm.forward_silu(x.rows(rows));
        let hidden = self
            .conv1
            .forward_tiled_add(x.dims(), rows, shift.as_ref(), |_| None);
        let norm = self.norm2.statistics(&hidden);
        let rows = |rows| norm.forward_silu(hidden.rows(rows));
        self.conv2
            .forward_tiled_add(hidden.dims(), rows, None, |rows| {
                let x = x.rows(rows);
                Some(match &self.shortcut {
                    Some(shortcut) => shortcut.forward(x),
                    None => x,
                })
            })
    }
}
