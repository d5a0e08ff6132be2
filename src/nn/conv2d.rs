use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, module};

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
        module::conv2d(
            x,
            self.weight.unpack(),
            self.bias.clone(),
            self.options.clone(),
        )
    }
}
