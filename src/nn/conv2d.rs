use std::ops::Range;

use burn::tensor::Tensor;

use super::RowTiles;
use super::row_tiles::chunk_rows;
use crate::Result;
use crate::kernels::{self, Addends, Channels, ConvGeometry, ConvRows, Enlarged};
use crate::weights::{LowRank, UpdateSlot, Weight, Weights};

/// A 2-D convolution; `weight` is `[out, height, width, in]`.
pub struct Conv2d {
    weight: Weight,
    bias: Option<Tensor<1>>,
    stride: usize,
    /// Rows above and below, and columns left and right.
    padding: (usize, usize),
    slot: UpdateSlot,
}

/// Rows that a convolution makes at a time. Those of a map come from its top to its bottom.
pub struct Chunk {
    /// The rows that they are made from.
    pub inputs: Range<usize>,
    /// The rows that they become.
    pub outputs: Range<usize>,
    /// The rows of the tile in which those are.
    pub tile: Range<usize>,
}

impl Conv2d {
    /// Stride 1, padded so that the size stays the same.
    pub fn load(weights: &Weights) -> Result<Self> {
        let shape = weights.shape("weight")?;
        let half = shape.get(1).copied().unwrap_or(1) / 2;
        Self::with_options(weights, 1, (half, half))
    }

    /// With `stride` and zero padding of `(before, after)` on both axes.
    pub fn with_options(weights: &Weights, stride: usize, padding: (usize, usize)) -> Result<Self> {
        let bias = weights.has("bias").then(|| weights.take("bias"));
        let weight = weights.take_weight::<4>("weight")?;
        Ok(Self {
            slot: weights.slot(weight.shape()[0]),
            weight,
            bias: bias.transpose()?,
            stride,
            padding,
        })
    }

    /// Applies the convolution to `[batch, in, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.convolve(x, self.geometry())
    }

    /// As [`Conv2d::forward`], after `x` was enlarged to `[height, width]`, twice its own or one
    /// less, by repeating each pixel.
    pub fn forward_enlarged(&self, x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        let geometry = ConvGeometry {
            enlarged: Some(Enlarged { size, skip: 0 }),
            ..self.geometry()
        };
        self.convolve(x, geometry)
    }

    /// As [`Conv2d::forward_enlarged`] to twice the size, for a map in tiles. The enlarged map is
    /// nowhere in memory.
    pub fn forward_enlarged_tiled(&self, mut x: RowTiles) -> RowTiles {
        let [batch, channels, height, width] = x.dims();
        let enlarged = [batch, channels, height * 2, width * 2];
        self.by_tiles(enlarged, None, |Chunk { inputs, .. }, geometry| {
            let sources = inputs.start / 2..inputs.end.div_ceil(2);
            geometry.enlarged = Some(Enlarged {
                size: [inputs.len(), width * 2],
                skip: inputs.start % 2,
            });
            x.forget_above(sources.start);
            (x.rows(sources), None)
        })
    }

    /// Applies the convolution to a map of `shape` that need not be anywhere as a whole: `rows`
    /// makes any chunk of its rows.
    pub fn forward_tiled(
        &self,
        shape: [usize; 4],
        mut rows: impl FnMut(Range<usize>) -> Tensor<4>,
    ) -> RowTiles {
        self.by_tiles(shape, None, |chunk, _| (rows(chunk.inputs), None))
    }

    /// As [`Conv2d::forward_tiled`], plus `shift` for each feature of each picture. `rows` gives what
    /// a chunk is made from, and a map whose rows from a given one on are to be added to it.
    pub fn forward_tiled_add(
        &self,
        shape: [usize; 4],
        shift: Option<&Channels>,
        mut rows: impl FnMut(Chunk) -> (Tensor<4>, Option<(Tensor<4>, usize)>),
    ) -> RowTiles {
        self.by_tiles(shape, shift, |chunk, _| rows(chunk))
    }

    /// Makes the output for a map of `shape` in tiles, each in chunks of rows. `rows` is as in
    /// [`Conv2d::forward_tiled_add`], and may change the geometry for the chunk.
    fn by_tiles(
        &self,
        shape: [usize; 4],
        shift: Option<&Channels>,
        mut rows: impl FnMut(Chunk, &mut ConvGeometry) -> (Tensor<4>, Option<(Tensor<4>, usize)>),
    ) -> RowTiles {
        let [batch, channels, height, width] = shape;
        let [out_height, out_width] = self.geometry().output([height, width]);
        let row_bytes = 4 * batch * width * channels * self.stride;
        let chunk = chunk_rows(row_bytes, out_height);
        let out_row_bytes = 4 * batch * out_width * self.outputs();
        RowTiles::from_fn(out_height, out_row_bytes, |tile| {
            let shape = [batch, self.outputs(), tile.len(), out_width];
            let chunks = tile.clone().step_by(chunk).map(|start| {
                let outputs = start..(start + chunk).min(tile.end);
                let (inputs, mut geometry) = self.rows_for(&outputs, height);
                let chunk = Chunk {
                    inputs,
                    outputs,
                    tile: tile.clone(),
                };
                let (x, residual) = rows(chunk, &mut geometry);
                self.conv_rows(x, geometry, shift.cloned(), residual)
            });
            kernels::conv2d_by_rows(shape, self.weight.stored(), chunks)
        })
    }

    /// The rows that some rows of the output are made from in a map of `height`, and the geometry
    /// for those.
    fn rows_for(&self, outputs: &Range<usize>, height: usize) -> (Range<usize>, ConvGeometry) {
        let mut geometry = self.geometry();
        let (before, _) = self.padding;
        // Counted from the first row of the padding.
        let first = outputs.start * self.stride;
        let last = (outputs.end - 1) * self.stride + geometry.kernel[0];
        geometry.padding[0] = (
            before.saturating_sub(first),
            last.saturating_sub(before + height),
        );
        let inputs = first.saturating_sub(before)..(last - before).min(height);
        (inputs, geometry)
    }

    /// Features that come out.
    fn outputs(&self) -> usize {
        self.weight.shape()[0]
    }

    fn geometry(&self) -> ConvGeometry {
        let shape = self.weight.shape();
        ConvGeometry {
            kernel: [shape[1], shape[2]],
            stride: self.stride,
            padding: [self.padding; 2],
            enlarged: None,
        }
    }

    fn convolve(&self, x: Tensor<4>, geometry: ConvGeometry) -> Tensor<4> {
        let map = self.conv_rows(x, geometry, None, None);
        kernels::conv2d(map, self.weight.stored(), self.outputs())
    }

    fn conv_rows(
        &self,
        x: Tensor<4>,
        geometry: ConvGeometry,
        shift: Option<Channels>,
        residual: Option<(Tensor<4>, usize)>,
    ) -> ConvRows {
        // A kernel does not see the weight's shape.
        assert_eq!(
            x.dims()[1],
            self.weight.shape()[3],
            "input channels of a convolution of shape {:?}",
            self.weight.shape()
        );
        let (residual, residual_top) = self.updated(&x, geometry, residual).unzip();
        ConvRows {
            x,
            geometry,
            addends: Addends {
                bias: self.slot.bias(self.bias.as_ref()),
                shift,
                residual,
                residual_top: residual_top.unwrap_or(0),
            },
        }
    }

    /// `residual` plus what an update adds to the features of `x`.
    fn updated(
        &self,
        x: &Tensor<4>,
        geometry: ConvGeometry,
        mut residual: Option<(Tensor<4>, usize)>,
    ) -> Option<(Tensor<4>, usize)> {
        let Some(update) = self.slot.update() else {
            return residual;
        };
        let mut add = |x: Tensor<4>, geometry: ConvGeometry, weight: &Weight| {
            let (residual_map, residual_top) = residual.take().unzip();
            let addends = Addends {
                residual: residual_map,
                residual_top: residual_top.unwrap_or(0),
                ..Addends::default()
            };
            let rows = ConvRows {
                x,
                geometry,
                addends,
            };
            let sum = kernels::conv2d(rows, weight.stored(), self.outputs());
            residual = Some((sum, 0));
        };
        if let Some(LowRank { down, up }) = &update.low_rank {
            let rows = ConvRows {
                x: x.clone(),
                geometry,
                addends: Addends::default(),
            };
            let low = kernels::conv2d(rows, down.stored(), down.shape()[0]);
            add(low, ConvGeometry::POINTWISE, up);
        }
        if let Some(dense) = &update.dense {
            add(x.clone(), geometry, dense);
        }
        residual
    }
}
