use burn::tensor::Tensor;

use super::conv2d::Chunk;
use super::{Conv2d, GroupNorm, RowTiles, TimeProjections, TimeShift};
use crate::Result;
use crate::weights::Weights;

/// Rows that two chunks of a 3x3 convolution's input have in common.
const HALO: usize = 2;

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

    /// As [`ResnetBlock::forward`], for a map in tiles. Of each map in between, only what is still to
    /// be read stays in memory.
    pub fn forward_tiled(&self, mut x: RowTiles, shifts: Option<&Tensor<3>>) -> RowTiles {
        let shift = self.time_shift.zip(shifts);
        let shift = shift.map(|(shift, shifts)| shift.of(shifts));
        let norm = self.norm1.statistics(&x);
        let shape = x.dims();
        let mut shortcuts = Vec::new();
        let rows = |chunk: Chunk| {
            let normalized = norm.forward_silu_rows(&x, chunk.inputs.clone());
            if let Some(shortcut) = &self.shortcut {
                if chunk.outputs.start == chunk.tile.start {
                    let x = x.cut(chunk.tile);
                    shortcuts.push(
                        shortcut
                            .forward_tiled(x.dims(), |rows| x.rows(rows))
                            .concat(),
                    );
                }
                x.forget_above(chunk.inputs.end.saturating_sub(HALO));
            }
            (normalized, None)
        };
        let mut hidden = self.conv1.forward_tiled_add(shape, shift.as_ref(), rows);
        let mut residual = match self.shortcut {
            Some(_) => RowTiles::from(shortcuts),
            None => x,
        };
        let norm = self.norm2.statistics(&hidden);
        let shape = hidden.dims();
        self.conv2.forward_tiled_add(shape, None, |chunk| {
            let normalized = norm.forward_silu_rows(&hidden, chunk.inputs.clone());
            hidden.forget_above(chunk.inputs.end.saturating_sub(HALO));
            let added = residual.rows_within(chunk.outputs.clone());
            residual.forget_above(chunk.outputs.end);
            (normalized, Some(added))
        })
    }
}
