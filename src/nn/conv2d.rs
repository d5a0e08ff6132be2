use std::ops::Range;

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, module};

use super::RowTiles;
use crate::Result;
use crate::weights::{Weight, Weights};

/// A 2-D convolution with bias; `weight` is `[out, in, height, width]`.
pub struct Conv2d {
    weight: Weight,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
}

impl Conv2d {
    /// Stride 1, padded so that the size stays the same.
    pub fn load(weights: &Weights) -> Result<Self> {
        let shape = weights.shape("weight")?;
        let half = shape.last().copied().unwrap_or(1) / 2;
        Self::with_options(weights, 1, (half, half))
    }

    /// With `stride` and zero padding of `(before, after)` on both axes.
    pub fn with_options(weights: &Weights, stride: usize, padding: (usize, usize)) -> Result<Self> {
        let bias = weights.has("bias").then(|| weights.take("bias"));
        Ok(Self {
            weight: weights.take_weight::<4>("weight")?,
            bias: bias.transpose()?,
            options: ConvOptions::new_with_padding([stride; 2], [padding; 2], [1; 2], 1),
        })
    }

    /// Applies the convolution to `[batch, in, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.convolve(x, self.weight.dequantize(), self.options.clone())
    }

    /// Applies the convolution to a map of `shape` that need not be anywhere as a whole: `rows`
    /// makes any chunk of its rows.
    pub fn forward_tiled(
        &self,
        shape: [usize; 4],
        rows: impl Fn(Range<usize>) -> Tensor<4>,
    ) -> RowTiles {
        let weight: Tensor<4> = self.weight.dequantize();
        let [out, _, kernel, _] = weight.dims();
        let [batch, channels, height, width] = shape;
        let [stride, _] = self.options.stride;
        let [(before, after), _] = self.options.padding;
        let out_height = (before + height + after - kernel) / stride + 1;
        let row_bytes = 4 * batch * width * out.div_ceil(stride).max(channels * stride);
        RowTiles::from_fn(out_height, row_bytes, |tile| {
            // Counted from the first row of the padding.
            let (first, last) = (tile.start * stride, (tile.end - 1) * stride + kernel);
            let mut options = self.options.clone();
            options.padding[0] = (
                before.saturating_sub(first),
                last.saturating_sub(before + height),
            );
            let inputs = first.saturating_sub(before)..(last - before).min(height);
            self.convolve(rows(inputs), weight.clone(), options)
        })
    }

    fn convolve(&self, x: Tensor<4>, weight: Tensor<4>, options: ConvOptions<2>) -> Tensor<4> {
        module::conv2d(x, weight, self.bias.clone(), options)
    }
}
