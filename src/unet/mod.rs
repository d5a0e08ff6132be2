//! The denoising UNet of Stable Diffusion 1.5, in diffusers' naming.
//!
//! One file a block. Levels, widths, layers and context width are read from the weights' shapes,
//! so that every UNet of this family is the same code.

mod attention;
mod blocks;
mod config;
mod context;
mod contracting;
mod control_net;
mod transformer;

use burn::tensor::{Device, Tensor};

pub use config::{Heads, UnetConfig};
pub use context::TextContext;
pub use control_net::{ControlNet, Residuals};

use crate::Result;
use crate::nn::{Conv2d, GroupNorm, JointLinear, TimeProjections};
use crate::transparency::ConditionEncoder;
use crate::weights::Weights;
use blocks::UpBlock;
use config::LevelConfig;
use contracting::{ContractingPath, DownMidOutput};

/// Predicts the noise in a latent, or what else it was trained for.
pub struct Unet {
    contracting: ContractingPath,
    up: Vec<UpBlock>,
    up_time_projections: JointLinear,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    hint: Option<ConditionEncoder>,
}

impl Unet {
    /// Takes the UNet's tensors from `weights` and, where an `adapter` is given, what replaces or
    /// joins its attentions from there (see [`crate::transparency`]).
    pub fn load(config: &UnetConfig, weights: &Weights, adapter: Option<&Weights>) -> Result<Self> {
        let levels = weights.count("up_blocks");
        let mut times = TimeProjections::default();
        let up = (0..levels).map(|index| {
            let name = format!("up_blocks.{index}");
            let site = LevelConfig::new(config, levels - 1 - index)?;
            let adapter = adapter.map(|adapter| adapter.at(&name));
            let weights = weights.at(&name);
            UpBlock::load(config, site, &weights, adapter.as_ref(), &mut times)
        });
        let hint = adapter.map(|adapter| adapter.at("kwargs_encoder"));
        let hint = hint.filter(|hint| hint.has_below("blocks_0"));
        Ok(Self {
            contracting: ContractingPath::load(config, weights, adapter)?,
            up: up.collect::<Result<_>>()?,
            up_time_projections: times.finish(),
            norm_out: GroupNorm::load(
                &weights.at("conv_norm_out"),
                config.norm_num_groups,
                config.norm_eps,
            )?,
            conv_out: Conv2d::load(&weights.at("conv_out"))?,
            hint: hint.map(|hint| ConditionEncoder::load(&hint)).transpose()?,
        })
    }

    /// Makes a condition picture `[1, 3, height, width]` in [-1, 1] steer everything that follows.
    /// Only conditional adapters take one.
    pub fn set_condition(&mut self, picture: Tensor<4>) {
        let Some(hint) = &self.hint else { return };
        let hints = hint.forward(picture);
        self.contracting.set_condition(&hints);
        self.up
            .iter_mut()
            .for_each(|block| block.set_condition(&hints));
    }

    /// Makes a UNet with guidance embedding follow the prompt by the guidance `scale` from now on. Other
    /// UNets have no use for it: their guidance is between two outputs.
    pub fn set_guidance(&mut self, scale: f32, device: &Device) {
        self.contracting.set_guidance(scale, device);
    }

    /// The output for `latent` `[batch, 4, height, width]` at one timestep for each row, steered by
    /// a text for each row.
    pub fn forward(
        &self,
        latent: Tensor<4>,
        timesteps: &[f32],
        context: &TextContext,
    ) -> Tensor<4> {
        let contracted = self.contracting.forward(latent, timesteps, context, None);
        self.expand(contracted, context)
    }

    /// As [`Unet::forward`], with what a ControlNet adds for the same rows.
    pub fn forward_controlled(
        &self,
        latent: Tensor<4>,
        timesteps: &[f32],
        context: &TextContext,
        control: Residuals,
    ) -> Tensor<4> {
        let mut contracted = self.contracting.forward(latent, timesteps, context, None);
        let skips = contracted.skips.into_iter().zip(control.skips);
        contracted.skips = skips.map(|(skip, residual)| skip + residual).collect();
        contracted.middle = contracted.middle + control.middle;
        self.expand(contracted, context)
    }

    /// The way up.
    fn expand(&self, contracted: DownMidOutput, context: &TextContext) -> Tensor<4> {
        let DownMidOutput {
            time,
            mut skips,
            middle: mut x,
        } = contracted;
        let shifts = self.up_time_projections.forward(time);
        for block in &self.up {
            x = block.forward(x, &shifts, context, &mut skips);
        }
        self.conv_out.forward(self.norm_out.forward_silu(x))
    }
}
