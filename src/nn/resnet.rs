use burn::tensor::Tensor;

use super::{Conv2d, GroupNorm, RowTiles, TimeProjections, TimeShift};
use crate::Result;
use crate::weights::Weights;

/// Two normalised convolutions beside a shortcut, shifted by the time embedding where there is one.
pub struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_shift: Option<TimeShift>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl ResnetBlock {
    /// Takes `norm1`, `conv1`, `norm2`, `conv2` and, where present, `conv_shortcut`.
    pub fn load(weights: &Weights, groups: usize, epsilon: f64) -> Result<Self> {
        let shortcut = weights.at("conv_shortcut");
        Ok(Self {
            norm1: GroupNorm::load(&weights.at("norm1"), groups, epsilon)?,
            conv1: Conv2d::load(&weights.at("conv1"))?,
            time_shift: None,
            norm2: GroupNorm::load(&weights.at("norm2"), groups, epsilon)?,
            conv2: Conv2d::load(&weights.at("conv2"))?,
            shortcut: shortcut
                .has("weight")
                .then(|| Conv2d::load(&shortcut))
                .transpose()?,
        })
    }

    /// As [`ResnetBlock::load`], and adds `time_emb_proj` to the `projections`.
    pub fn load_with_time(
        weights: &Weights,
        groups: usize,
        epsilon: f64,
        projections: &mut TimeProjections,
    ) -> Result<Self> {
        Ok(Self {
            time_shift: Some(projections.add(&weights.at("time_emb_proj"))?),
            ..Self::load(weights, groups, epsilon)?
        })
    }

    /// `x` is `[batch, in, height, width]`; `shifts` is what the [`TimeProjections`] give.
    pub fn forward(&self, x: Tensor<4>, shifts: Option<&Tensor<3>>) -> Tensor<4> {
        self.forward_tiled(x.into(), shifts).concat()
    }

    /// As [`ResnetBlock::forward`], for a map in tiles.
    pub fn forward_tiled(&self, x: RowTiles, shifts: Option<&Tensor<3>>) -> RowTiles {
        let shift = self.time_shift.zip(shifts);
        let shift = shift.map(|(shift, shifts)| shift.of(shifts));
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
