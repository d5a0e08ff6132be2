//! The variational autoencoder between pictures and latents, in diffusers' naming.
//!
//! Pictures are `[batch, 3, height, width]` in [-1, 1]; latents `[batch, 4, height/8, width/8]`,
//! unscaled: the UNet works on latents times [`VaeConfig::scaling_factor`]. The tiny autoencoder
//! that may stand in for it has conventions of its own: [`TinyDecoder`], [`TinyEncoder`].

mod blocks;
mod decoder;
mod encoder;
mod posterior;
mod tiny;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

pub use posterior::Posterior;
pub use tiny::{TinyDecoder, TinyEncoder};

use crate::Result;
use crate::nn::Conv2d;
use crate::weights::Weights;
use decoder::Decoder;
use encoder::Encoder;

/// The fields of `vae/config.json` that shapes do not tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VaeConfig {
    /// Latents are multiplied by this before diffusion.
    #[serde(default = "sd15_scaling_factor")]
    pub scaling_factor: f32,
    /// Groups of every group norm.
    #[serde(default = "sd15_groups")]
    pub norm_num_groups: usize,
}

fn sd15_scaling_factor() -> f32 {
    0.18215
}

fn sd15_groups() -> usize {
    32
}

/// Added to the variance in every group norm of the VAE.
const NORM_EPSILON: f64 = 1e-6;

/// Latents to pictures.
pub struct VaeDecoder {
    post_quant: Conv2d,
    decoder: Decoder,
}

impl VaeDecoder {
    /// Takes `post_quant_conv` and `decoder`.
    pub fn load(config: &VaeConfig, weights: &Weights) -> Result<Self> {
        Ok(Self {
            post_quant: Conv2d::load(&weights.at("post_quant_conv"))?,
            decoder: Decoder::load(&weights.at("decoder"), config.norm_num_groups)?,
        })
    }

    /// The picture of an unscaled latent, about [-1, 1], not clamped.
    pub fn forward(&self, latent: Tensor<4>) -> Tensor<4> {
        self.decoder.forward(self.post_quant.forward(latent))
    }
}

/// Pictures to the distribution of their latents.
pub struct VaeEncoder {
    encoder: Encoder,
    quant: Conv2d,
}

impl VaeEncoder {
    /// Takes `encoder` and `quant_conv`.
    pub fn load(config: &VaeConfig, weights: &Weights) -> Result<Self> {
        Ok(Self {
            encoder: Encoder::load(&weights.at("encoder"), config.norm_num_groups)?,
            quant: Conv2d::load(&weights.at("quant_conv"))?,
        })
    }

    /// The posterior of a picture in [-1, 1].
    pub fn forward(&self, picture: Tensor<4>) -> Posterior {
        Posterior::from_moments(self.quant.forward(self.encoder.forward(picture)))
    }
}
