use burn::tensor::Tensor;

use crate::nn::{Conv2d, relu};
use crate::weights::Weights;
use crate::{Error, ErrorCode, Result};

/// The decoder of TAESD, Ollin Boer Bohan's tiny autoencoder for the latents of Stable Diffusion:
/// a small fraction of the VAE's work, and softer detail.
pub struct TinyDecoder {
    conv_in: Conv2d,
    /// At an eighth, a quarter and half of the size, each before an enlargement.
    stages: Vec<Stage>,
    last: Block,
    conv_out: Conv2d,
}

impl TinyDecoder {
    /// Takes the tensors of a `taesd_decoder` file, which are named by place in a sequence.
    ///
    /// # Errors
    /// `model_unsupported` if it was made for latents of another model family.
    pub fn load(weights: &Weights) -> Result<Self> {
        check_latent_channels(weights.shape("1.weight")?.last())?;
        let stage = |first: usize| {
            Ok(Stage {
                blocks: blocks(weights, first)?,
                conv: Conv2d::load(&weights.at(first + 4))?,
            })
        };
        Ok(Self {
            conv_in: Conv2d::load(&weights.at(1))?,
            stages: [3, 8, 13].map(stage).into_iter().collect::<Result<_>>()?,
            last: Block::load(&weights.at(18))?,
            conv_out: Conv2d::load(&weights.at(19))?,
        })
    }

    /// The picture `[batch, 3, height, width]` of a latent `[batch, 4, height/8, width/8]` in the
    /// UNet's scale: about [0, 1], not clamped.
    pub fn forward(&self, latent: Tensor<4>) -> Tensor<4> {
        let limited = (latent / 3.0).tanh() * 3.0;
        let mut x = relu(self.conv_in.forward(limited));
        for stage in &self.stages {
            x = through(&stage.blocks, x);
            let [_, _, height, width] = x.dims();
            x = stage.conv.forward_enlarged(x, [height * 2, width * 2]);
        }
        self.conv_out.forward(self.last.forward(x))
    }
}

/// The encoder of TAESD.
pub struct TinyEncoder {
    conv_in: Conv2d,
    first: Block,
    /// At half, a quarter and an eighth of the size, each behind a convolution of stride 2.
    stages: Vec<Stage>,
    conv_out: Conv2d,
}

impl TinyEncoder {
    /// Takes the tensors of a `taesd_encoder` file.
    ///
    /// # Errors
    /// `model_unsupported` if it makes latents of another model family.
    pub fn load(weights: &Weights) -> Result<Self> {
        check_latent_channels(weights.shape("14.weight")?.first())?;
        let stage = |first: usize| {
            Ok(Stage {
                conv: Conv2d::with_options(&weights.at(first), 2, (1, 1))?,
                blocks: blocks(weights, first + 1)?,
            })
        };
        Ok(Self {
            conv_in: Conv2d::load(&weights.at(0))?,
            first: Block::load(&weights.at(1))?,
            stages: [2, 6, 10].map(stage).into_iter().collect::<Result<_>>()?,
            conv_out: Conv2d::load(&weights.at(14))?,
        })
    }

    /// The latent, in the UNet's scale, of a picture `[batch, 3, height, width]` in [0, 1].
    pub fn forward(&self, picture: Tensor<4>) -> Tensor<4> {
        let mut x = self.first.forward(self.conv_in.forward(picture));
        for stage in &self.stages {
            x = through(&stage.blocks, stage.conv.forward(x));
        }
        self.conv_out.forward(x)
    }
}

/// Blocks of one size, and the convolution that changes the size.
struct Stage {
    blocks: Vec<Block>,
    conv: Conv2d,
}

/// Three convolutions around a residual.
struct Block {
    convolutions: [Conv2d; 3],
}

impl Block {
    fn load(weights: &Weights) -> Result<Self> {
        let convolution = |index: usize| Conv2d::load(&weights.at(format!("conv.{index}")));
        Ok(Self {
            convolutions: [convolution(0)?, convolution(2)?, convolution(4)?],
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [first, second, third] = &self.convolutions;
        let hidden = relu(first.forward(x.clone()));
        let hidden = relu(second.forward(hidden));
        relu(third.forward(hidden) + x)
    }
}

/// The three blocks of a stage.
fn blocks(weights: &Weights, first: usize) -> Result<Vec<Block>> {
    (first..first + 3)
        .map(|index| Block::load(&weights.at(index)))
        .collect()
}

fn through(blocks: &[Block], x: Tensor<4>) -> Tensor<4> {
    blocks.iter().fold(x, |x, block| block.forward(x))
}

fn check_latent_channels(channels: Option<&usize>) -> Result<()> {
    if channels == Some(&4) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::ModelUnsupported,
        "the pack's TAESD is for latents of another model family",
        "pack again with the TAESD for Stable Diffusion 1.x",
    ))
}
