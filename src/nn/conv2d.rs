use std::ops::Range;

use burn::tensor::Tensor;

use super::RowTiles;
use crate::Result;
use crate::kernels::{self, Addends, Channels, ConvGeometry};
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
            enlarged: Some(size),
            ..self.geometry()
        };
        self.convolve(x, geometry, None, None)
    }

    /// Applies the convolution to a map of `shape` that need not be anywhere as a whole: `rows`
    /// makes any chunk of its rows.
    pub fn forward_tiled(
        &self,
        shape: [usize; 4],
        rows: impl Fn(Range<usize>) -> Tensor<4>,
    ) -> RowTiles {
        self.forward_tiled_add(shape, rows, None, |_| None)
    }

    /// As [`Conv2d::forward_tiled`], plus `shift` for each feature of each picture,
    /// and what `residual` gives for a chunk of the result's rows.
    pub fn forward_tiled_add(
        &self,
        shape: [usize; 4],
        rows: impl Fn(Range<usize>) -> Tensor<4>,
        shift: Option<&Channels>,
        residual: impl Fn(Range<usize>) -> Option<Tensor<4>>,
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
            self.convolve(rows(inputs), geometry, shift.cloned(), residual(tile))
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
