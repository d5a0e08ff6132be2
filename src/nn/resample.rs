use burn::tensor::Tensor;

use super::{Conv2d, RowTiles};
use crate::Result;
use crate::weights::Weights;

/// Where a [`Downsample`] pads its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownsamplePadding {
    /// One pixel on every side: UNet and transparency decoder.
    Symmetric,
    /// One pixel on the right and at the bottom: the VAE encoder.
    RightAndBottom,
}

/// A 3x3 convolution of stride 2.
pub struct Downsample {
    conv: Conv2d,
}

impl Downsample {
    /// Takes `conv`.
    pub fn load(weights: &Weights, padding: DownsamplePadding) -> Result<Self> {
        let padding = match padding {
            DownsamplePadding::Symmetric => (1, 1),
            DownsamplePadding::RightAndBottom => (0, 1),
        };
        Ok(Self {
            conv: Conv2d::with_options(&weights.at("conv"), 2, padding)?,
        })
    }

    /// Halves height and width, rounding up where the padding is symmetric.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.conv.forward(x)
    }

    /// As [`Downsample::forward`], for a map in tiles.
    pub fn forward_tiled(&self, mut x: RowTiles) -> RowTiles {
        self.conv.forward_tiled(x.dims(), |rows| {
            x.forget_above(rows.start);
            x.rows(rows)
        })
    }
}

/// Nearest-neighbour enlargement followed by a 3x3 convolution.
pub struct Upsample {
    conv: Conv2d,
}

impl Upsample {
    /// Takes `conv`.
    pub fn load(weights: &Weights) -> Result<Self> {
        Ok(Self {
            conv: Conv2d::load(&weights.at("conv"))?,
        })
    }

    /// Doubles height and width.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        self.forward_to(x, [height * 2, width * 2])
    }

    /// As [`Upsample::forward`], for a map in tiles.
    pub fn forward_tiled(&self, x: RowTiles) -> RowTiles {
        self.conv.forward_enlarged_tiled(x)
    }

    /// Enlarges to `[height, width]`, which is not quite double where an odd size was halved.
    pub fn forward_to(&self, x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        self.conv.forward_enlarged(x, size)
    }
}
