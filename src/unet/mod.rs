//! The denoising UNet of Stable Diffusion 1.5, in diffusers' naming.
//!
//! One file a block. Levels, widths, layers and context width are read from the weights' shapes,
//! so that every UNet of this family is the same code.

mod attention;
mod blocks;
mod transformer;

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::nn::{Conv2d, GroupNorm, Linear, silu, timestep_embedding};
use crate::transparency::HintEncoder;
use crate::weights::Weights;
use crate::{Error, ErrorCode, Result};
use blocks::{DownBlock, MidBlock, Site, UpBlock};

/// The fields of `unet/config.json` that shapes do not tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnetConfig {
    /// Heads of every attention. The name is diffusers': for this family it holds the number of
    /// heads and not their width.
    pub attention_head_dim: Heads,
    /// Groups of every group norm.
    #[serde(default = "sd15_groups")]
    pub norm_num_groups: usize,
    /// Added to the variance in the group norms of resnets and output.
    #[serde(default = "sd15_epsilon")]
    pub norm_eps: f64,
    /// Width and height of the latents that the model was trained on, in latent cells.
    #[serde(default = "sd15_sample_size")]
    pub sample_size: usize,
}

/// Number of attention heads, the same at all levels or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Heads {
    /// The same number everywhere.
    Same(usize),
    /// One number a level, finest first.
    PerLevel(Vec<usize>),
}

impl Heads {
    fn at(&self, level: usize) -> Result<usize> {
        match self {
            Self::Same(heads) => Some(*heads),
            Self::PerLevel(heads) => heads.get(level).copied(),
        }
        .filter(|heads| *heads > 0)
        .ok_or_else(|| {
            Error::new(
                ErrorCode::ModelDamaged,
                format!("the UNet's config gives no number of heads for level {level}"),
                "pack the checkpoint again",
            )
        })
    }
}

fn sd15_groups() -> usize {
    32
}

fn sd15_epsilon() -> f64 {
    1e-5
}

fn sd15_sample_size() -> usize {
    64
}

/// Predicts the noise (epsilon) in a latent.
pub struct Unet {
    time_features: usize,
    time_linear_1: Linear,
    time_linear_2: Linear,
    conv_in: Conv2d,
    down: Vec<DownBlock>,
    mid: MidBlock,
    up: Vec<UpBlock>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    hint: Option<HintEncoder>,
}

impl Unet {
    /// Takes the UNet's tensors from `weights` and, where an `adapter` is given, what replaces or
    /// joins its attentions from there (see [`crate::transparency`]).
    pub fn load(config: &UnetConfig, weights: &Weights, adapter: Option<&Weights>) -> Result<Self> {
        let levels = weights.count("down_blocks");
        let adapter_at = |name: &str| adapter.map(|adapter| adapter.at(name));
        let site = |level: usize| {
            let heads = config.attention_head_dim.at(level)?;
            Ok(Site { level, heads })
        };
        let down = (0..levels).map(|level| {
            let name = format!("down_blocks.{level}");
            let adapter = adapter_at(&name);
            DownBlock::load(config, site(level)?, &weights.at(&name), adapter.as_ref())
        });
        let up = (0..levels).map(|index| {
            let name = format!("up_blocks.{index}");
            let (site, adapter) = (site(levels - 1 - index)?, adapter_at(&name));
            UpBlock::load(config, site, &weights.at(&name), adapter.as_ref())
        });
        let hint = adapter.map(|adapter| adapter.at("kwargs_encoder"));
        let hint = hint.filter(|hint| hint.has_below("blocks_0"));
        Ok(Self {
            time_features: weights.shape("time_embedding.linear_1.weight")?[1],
            time_linear_1: Linear::load(&weights.at("time_embedding.linear_1"))?,
            time_linear_2: Linear::load(&weights.at("time_embedding.linear_2"))?,
            conv_in: Conv2d::load(&weights.at("conv_in"))?,
            down: down.collect::<Result<_>>()?,
            mid: MidBlock::load(
                config,
                // The middle stays at the coarsest level's size.
                site(levels.saturating_sub(1))?,
                &weights.at("mid_block"),
                adapter_at("mid_block").as_ref(),
            )?,
            up: up.collect::<Result<_>>()?,
            norm_out: GroupNorm::load(
                &weights.at("conv_norm_out"),
                config.norm_num_groups,
                config.norm_eps,
            )?,
            conv_out: Conv2d::load(&weights.at("conv_out"))?,
            hint: hint.map(|hint| HintEncoder::load(&hint)).transpose()?,
        })
    }

    /// Makes a condition picture `[1, 3, height, width]` in [-1, 1] steer everything that follows.
    /// Only conditional adapters take one.
    pub fn set_condition(&mut self, picture: Tensor<4>) {
        let Some(hint) = &self.hint else { return };
        let hints = hint.forward(picture);
        self.down
            .iter_mut()
            .for_each(|block| block.set_condition(&hints));
        self.mid.set_condition(&hints);
        self.up
            .iter_mut()
            .for_each(|block| block.set_condition(&hints));
    }

    /// Epsilon of `latent` `[batch, 4, height, width]` at one timestep for each row, steered by
    /// text features `context` `[batch, tokens, features]`.
    pub fn forward(&self, latent: Tensor<4>, timesteps: &[f32], context: &Tensor<3>) -> Tensor<4> {
        let time = silu(self.time_embedding(timesteps, &latent));
        let mut x = self.conv_in.forward(latent);
        let mut skips = vec![x.clone()];
        for block in &self.down {
            x = block.forward(x, &time, context, &mut skips);
        }
        x = self.mid.forward(x, &time, context);
        for block in &self.up {
            x = block.forward(x, &time, context, &mut skips);
        }
        self.conv_out.forward(silu(self.norm_out.forward(x)))
    }

    fn time_embedding(&self, timesteps: &[f32], like: &Tensor<4>) -> Tensor<2> {
        let features = timestep_embedding(timesteps, self.time_features);
        let data = TensorData::new(features.data, features.shape);
        let features = Tensor::from_data(data, &like.device());
        self.time_linear_2
            .forward(silu(self.time_linear_1.forward(features)))
    }
}
