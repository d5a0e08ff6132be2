//! What of a UNet is read from its config.

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Error, ErrorCode};

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
    #[serde(default = "sd15_sample_size", deserialize_with = "largest_side")]
    pub sample_size: usize,
    /// Width of the guidance embedding of a UNet that was distilled with guidance (Meng et al. 2023).
    #[serde(default)]
    pub time_cond_proj_dim: Option<usize>,
    /// Channels that it sees: those of a latent, or with mask and masked picture beside it 9.
    #[serde(default = "latent_channels")]
    pub in_channels: usize,
}

impl UnetConfig {
    /// Whether the UNet sees a mask and what the mask leaves of a picture.
    pub fn is_inpainting(&self) -> bool {
        self.in_channels == INPAINTING_CHANNELS
    }
}

/// Of a latent, a mask and another latent.
pub(crate) const INPAINTING_CHANNELS: usize = 4 + 1 + 4;

fn latent_channels() -> usize {
    4
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
    pub(crate) fn at(&self, level: usize) -> crate::Result<usize> {
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

/// One side for both, or height and width, or nothing said.
fn largest_side<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Sides {
        Same(usize),
        Both([usize; 2]),
    }
    Ok(match Option::deserialize(deserializer)? {
        None => sd15_sample_size(),
        Some(Sides::Same(side)) => side,
        Some(Sides::Both([height, width])) => height.max(width),
    })
}

/// Where in the UNet a block stands.
#[derive(Debug, Clone, Copy)]
pub struct LevelConfig {
    /// The level, finest first.
    pub level: usize,
    /// Attention heads at this level.
    pub heads: usize,
}

impl LevelConfig {
    pub fn new(config: &UnetConfig, level: usize) -> crate::Result<Self> {
        let heads = config.attention_head_dim.at(level)?;
        Ok(Self { level, heads })
    }
}
