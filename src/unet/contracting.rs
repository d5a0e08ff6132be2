use burn::tensor::{Device, Tensor};

use super::UnetConfig;
use super::blocks::{DownBlock, MidBlock};
use super::config::LevelConfig;
use super::context::TextContext;
use crate::Result;
use crate::nn::{
    Conv2d, JointLinear, Linear, TimeProjections, guidance_embedding, silu, timestep_embedding,
};
use crate::weights::Weights;
use crate::weights::host::to_device;

/// The UNet's way down and its middle. A ControlNet has one of its own.
pub struct ContractingPath {
    time_features: usize,
    guidance_projection: Option<GuidanceProjection>,
    time_linear_1: Linear,
    time_linear_2: Linear,
    time_projections: JointLinear,
    conv_in: Conv2d,
    down: Vec<DownBlock>,
    mid: MidBlock,
}

/// What a [`ContractingPath`] makes of a latent.
pub struct DownMidOutput {
    /// The time embedding through SiLU, `[batch, 1, features]`.
    pub time: Tensor<3>,
    /// Feature maps for the way up, finest first.
    pub skips: Vec<Tensor<4>>,
    /// The middle's output.
    pub middle: Tensor<4>,
}

/// What a guidance scale adds to the timesteps' features.
struct GuidanceProjection {
    features: usize,
    linear: Linear,
    shift: Option<Tensor<3>>,
}

impl ContractingPath {
    /// Takes `time_embedding`, `conv_in`, `down_blocks` and `mid_block`, with an `adapter` as in
    /// [`Unet::load`](super::Unet::load).
    pub fn load(config: &UnetConfig, weights: &Weights, adapter: Option<&Weights>) -> Result<Self> {
        let levels = weights.count("down_blocks");
        let adapter_at = |name: &str| adapter.map(|adapter| adapter.at(name));
        let mut times = TimeProjections::default();
        let down = (0..levels).map(|level| {
            let name = format!("down_blocks.{level}");
            let (site, adapter) = (LevelConfig::new(config, level)?, adapter_at(&name));
            let weights = weights.at(&name);
            DownBlock::load(config, site, &weights, adapter.as_ref(), &mut times)
        });
        let down = down.collect::<Result<_>>()?;
        let mid = MidBlock::load(
            config,
            // The middle stays at the coarsest level's size.
            LevelConfig::new(config, levels.saturating_sub(1))?,
            &weights.at("mid_block"),
            adapter_at("mid_block").as_ref(),
            &mut times,
        )?;
        let guidance_projection = config.time_cond_proj_dim.map(|features| {
            let linear = Linear::load(&weights.at("time_embedding.cond_proj"))?;
            let shift = None;
            Ok(GuidanceProjection {
                features,
                linear,
                shift,
            })
        });
        Ok(Self {
            guidance_projection: guidance_projection.transpose()?,
            time_features: weights.shape("time_embedding.linear_1.weight")?[1],
            time_linear_1: Linear::load(&weights.at("time_embedding.linear_1"))?,
            time_linear_2: Linear::load(&weights.at("time_embedding.linear_2"))?,
            time_projections: times.finish(),
            conv_in: Conv2d::load(&weights.at("conv_in"))?,
            down,
            mid,
        })
    }

    /// Tells a UNet with guidance embedding the guidance `scale`.
    pub fn set_guidance(&mut self, scale: f32, device: &Device) {
        if let Some(projection) = &mut self.guidance_projection {
            let embedding = guidance_embedding(scale, projection.features);
            let embedding = to_device::<2>(&embedding, device).unsqueeze_dim(1);
            projection.shift = Some(projection.linear.forward(embedding));
        }
    }

    /// Prepares a condition from the hint maps of all levels.
    pub fn set_condition(&mut self, hints: &[Tensor<4>]) {
        for block in &mut self.down {
            block.set_condition(hints);
        }
        self.mid.set_condition(hints);
    }

    /// `latent`, `timesteps` and `context` are as in [`Unet::forward`](super::Unet::forward). An
    /// `embedding` is added to the first feature maps of every row.
    pub fn forward(
        &self,
        latent: Tensor<4>,
        timesteps: &[f32],
        context: &TextContext,
        embedding: Option<&Tensor<4>>,
    ) -> DownMidOutput {
        let time = silu(self.time_embedding(timesteps, &latent));
        let shifts = self.time_projections.forward(time.clone());
        let mut x = self.conv_in.forward(latent);
        if let Some(embedding) = embedding {
            x = x + embedding.clone();
        }
        let mut skips = vec![x.clone()];
        for block in &self.down {
            x = block.forward(x, &shifts, context, &mut skips);
        }
        let middle = self.mid.forward(x, &shifts, context);
        DownMidOutput {
            time,
            skips,
            middle,
        }
    }

    fn time_embedding(&self, timesteps: &[f32], like: &Tensor<4>) -> Tensor<3> {
        let features = timestep_embedding(timesteps, self.time_features);
        let mut features = to_device::<2>(&features, &like.device()).unsqueeze_dim(1);
        let projection = self.guidance_projection.as_ref();
        if let Some(shift) = projection.and_then(|projection| projection.shift.clone()) {
            features = features + shift;
        }
        self.time_linear_2
            .forward(silu(self.time_linear_1.forward(features)))
    }
}
