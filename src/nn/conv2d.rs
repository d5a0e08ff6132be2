use std::ops::Range;

use burn::tensor::Tensor;

use super::RowTiles;
use crate::Result;
use crate::kernels::{self, Addends, Channels, ConvGeometry, Enlarged};
use crate::weights::{Weight, Weights};

/// A 2-D convolution; `weight` is `[out, height, width, in]`.
pub struct Conv2d {
    weight: Weight,
    bias: Option<Tensor<1>>,
    stride: usize,
    /// Rows above and below, and columns left and right.
    padding: (usize, usize),
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
        Ok(Self {
            weight: weights.take_weight::<4>("weight")?,
            bias: bias.transpose()?,
            stride,
            padding,
        })
    }

    /// Applies the convolution to `[batch, in, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.convolve(x, self.geometry(), None, None)
    }

    /// As [`Conv2d::forward`], after `x` was enlarged to `[height, width]`, twice its own or one
    /// less, by repeating each pixel.
    pub fn forward_enlarged(&self, x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        let geometry = ConvGeometry {
            enlarged: Some(Enlarged { size, skip: 0 }),
            ..self.geometry()
        };
        self.convolve(x, geometry, None, None)
    }

    /// As [`Conv2d::forward_enlarged`] to twice the size, for a map in tiles. The enlarged map is
    /// nowhere in memory.
    pub fn forward_enlarged_tiled(&self, mut x: RowTiles) -> RowTiles {
        let [batch, channels, height, width] = x.dims();
        let enlarged = [batch, channels, height * 2, width * 2];
        self.by_tiles(enlarged, |inputs, _, mut geometry| {
            let sources = inputs.start / 2..inputs.end.div_ceil(2);
            geometry.enlarged = Some(Enlarged {
                size: [inputs.len(), width * 2],
                skip: inputs.start % 2,
            });
            x.forget_above(sources.start);
            self.convolve(x.rows(sources), geometry, None, None)
        })
    }

    /// Applies the convolution to a map of `shape` that need not be anywhere as a whole: `rows`
    /// makes any chunk of its rows.
    pub fn forward_tiled(
        &self,
        shape: [usize; 4],
        mut rows: impl FnMut(Range<usize>) -> Tensor<4>,
    ) -> RowTiles {
        self.by_tiles(shape, |inputs, _, geometry| {
            self.convolve(rows(inputs), geometry, None, None)
        })
    }

    /// As [`Conv2d::forward_tiled`], plus `shift` for each feature of each picture. `rows` is given
    /// the rows that a chunk is made from and those that it becomes, top ones first; it gives the
    /// former, and what is to be added to the latter.
    pub fn forward_tiled_add(
        &self,
        shape: [usize; 4],
        shift: Option<&Channels>,
        mut rows: impl FnMut(Range<usize>, Range<usize>) -> (Tensor<4>, Option<Tensor<4>>),
    ) -> RowTiles {
        self.by_tiles(shape, |inputs, outputs, geometry| {
            let (x, residual) = rows(inputs, outputs);
            self.convolve(x, geometry, shift.cloned(), residual)
        })
    }

    /// Makes the output for a map of `shape` in tiles. `make` is given the rows that one is made
    /// from, those that it becomes, and the geometry for it.
    fn by_tiles(
        &self,
        shape: [usize; 4],
        mut make: impl FnMut(Range<usize>, Range<usize>, ConvGeometry) -> Tensor<4>,
    ) -> RowTiles {
        let [batch, channels, height, width] = shape;
        let (out, kernel, stride) = (self.outputs(), self.geometry().kernel[0], self.stride);
        let (before, after) = self.padding;
        let out_height = (before + height + after - kernel) / stride + 1;
        let row_bytes = 4 * batch * width * out.div_ceil(stride).max(channels * stride);
        RowTiles::from_fn(out_height, row_bytes, |tile| {
            // Counted from the first row of the padding.
            let (first, last) = (tile.start * stride, (tile.end - 1) * stride + kernel);
            let mut geometry = self.geometry();
            geometry.padding[0] = (
                before.saturating_sub(first),
                last.saturating_sub(before + height),
            );
            let inputs = first.saturating_sub(before)..(last - before).min(height);
            make(inputs, tile, geometry)
        })
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

    fn convolve(
        &self,
        x: Tensor<4>,
        geometry: ConvGeometry,
        shift: Option<Channels>,
        residual: Option<Tensor<4>>,
    ) -> Tensor<4> {
        // A kernel does not see the weight's shape.
        assert_eq!(
            x.dims()[1],
            self.weight.shape()[3],
            "input channels of a convolution of shape {:?}",
            self.weight.shape()
        );
        let addends = Addends {
            bias: self.bias.clone(),
            shift,
            residual,
        };
        kernels::conv2d(x, self.weight.stored(), self.outputs(), geometry, addends)
    }
}
