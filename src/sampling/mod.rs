//! Sampling: from noise to a clean latent in a few steps, host arithmetic only.
//!
//! A sampler never calls the model. It says what the model is to see ([`Sampler::model_input`]),
//! is handed the model's guided output, whatever that [predicts](PredictionType), and answers with the
//! next latent ([`Sampler::step`]). Latents are flat slices of f32, all frames together, in any layout: every
//! sampler works element by element.
//!
//! ```
//! use glassine::internals::sampling::{NoiseGenerator, NoiseSchedule, NoiseScheduleConfig, SamplerName, sampler};
//!
//! let schedule = NoiseSchedule::new(&NoiseScheduleConfig::default())?;
//! let mut sampler = sampler(SamplerName::default(), None, &schedule, 20, None)?;
//! let mut noise = NoiseGenerator::new(7);
//! let mut latent = sampler.start(&noise.normal(4 * 64 * 64), None);
//! for step in 0..sampler.steps() {
//!     let input = sampler.model_input(step);
//!     let seen: Vec<f32> = latent.iter().map(|value| value * input.scale).collect();
//!     let output = seen; // a model would predict the noise in `seen` at `input.timestep`
//!     latent = sampler.step(step, &latent, &output, &mut || noise.normal(4 * 64 * 64));
//! }
//! # Ok::<(), glassine::Error>(())
//! ```

mod ddim;
mod dpmpp_2m;
mod euler;
mod euler_ancestral;
mod lcm;
mod noise;
mod schedule;
mod tcd;
mod trajectory;
mod unipc;

pub use noise::NoiseGenerator;
pub use schedule::{NoiseSchedule, NoiseScheduleConfig, PredictionType, TimestepSpacing};
pub use trajectory::{Estimate, LatentScale, Trajectory};

use crate::error::{Error, ErrorCode, Result};
use crate::named::{named, serde_as_text};

/// The largest number of steps that may be asked for.
pub const MAX_STEPS: usize = 1000;

/// The samplers, by the names that users type.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum SamplerName {
    /// `dpmpp-2m-karras`: DPM-Solver++ of second order, multistep, on Karras sigmas.
    #[default]
    #[strum(serialize = "dpmpp-2m-karras")]
    Dpmpp2mKarras,
    /// `euler`: Euler's method.
    Euler,
    /// `euler-a`: Euler's method with fresh noise after every step.
    #[strum(serialize = "euler-a")]
    EulerAncestral,
    /// `ddim`: denoising diffusion implicit models, eta 0.
    Ddim,
    /// `unipc`: the unified predictor-corrector of second order.
    #[strum(serialize = "unipc")]
    UniPc,
    /// `unipc-karras`: the same on Karras sigmas.
    #[strum(serialize = "unipc-karras")]
    UniPcKarras,
    /// `lcm`: for models distilled into latent consistency models.
    Lcm,
    /// `tcd`: for models whose trajectories were distilled (trajectory consistency), eta 0.3.
    Tcd,
}

named!(SamplerName, "sampler");
serde_as_text!(SamplerName);

impl SamplerName {
    /// The conventions this sampler exists in, its default first.
    pub fn conventions(self) -> &'static [Convention] {
        match self {
            Self::Dpmpp2mKarras => &[
                Convention::KDiffusion,
                Convention::Diffusers,
                Convention::LayerDiffuse,
            ],
            Self::Euler | Self::EulerAncestral => &[Convention::KDiffusion, Convention::Diffusers],
            Self::Ddim | Self::UniPc | Self::UniPcKarras | Self::Lcm | Self::Tcd => {
                &[Convention::Diffusers]
            }
        }
    }

    /// `convention` if this sampler exists in it; its default for `None`.
    fn resolve(self, convention: Option<Convention>) -> Result<Convention> {
        let supported = self.conventions();
        let convention = convention.unwrap_or(supported[0]);
        if supported.contains(&convention) {
            return Ok(convention);
        }
        let names: Vec<&str> = supported.iter().map(|other| other.as_str()).collect();
        Err(Error::new(
            ErrorCode::BadOption,
            format!("the sampler {self} has no convention {convention}"),
            format!("leave it out or use {}", names.join(", ")),
        ))
    }
}

/// Whose details a sampler follows where implementations of the same method differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Convention {
    /// `k-diffusion`: fractional timesteps; what the web UIs use.
    KDiffusion,
    /// `diffusers`: whole timesteps where diffusers rounds them.
    Diffusers,
    /// `layerdiffuse`: the released LayerDiffuse demo's form of `dpmpp-2m-karras`.
    #[strum(serialize = "layerdiffuse")]
    LayerDiffuse,
}

named!(Convention, "convention");
serde_as_text!(Convention);

/// What the model is to be given at a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelInput {
    /// The model sees the latent times this.
    pub scale: f32,
    /// The timestep, from 0 to T - 1; fractional in some conventions.
    pub timestep: f32,
}

/// One run of a sampler. Calls go `start`, then for each step `model_input` and `step`, in order.
pub trait Sampler: Send {
    /// The noise levels and timesteps of this run.
    fn trajectory(&self) -> &Trajectory;

    /// The latent after `step`, from the one before it and the model's guided output.
    ///
    /// `noise` draws one fresh unit normal tensor of the latent's length; only stochastic
    /// samplers call it.
    fn step(
        &mut self,
        step: usize,
        latent: &[f32],
        output: &[f32],
        noise: &mut dyn FnMut() -> Vec<f32>,
    ) -> Vec<f32>;

    /// Number of model evaluations in this run.
    fn steps(&self) -> usize {
        self.trajectory().steps()
    }

    /// The latent entering the first step, in the sampler's own scale, from unit normal `noise`
    /// and, for image-to-image, the clean latent `init`.
    fn start(&self, noise: &[f32], init: Option<&[f32]>) -> Vec<f32> {
        self.trajectory().start(noise, init)
    }

    /// What the model is to see at `step`.
    fn model_input(&self, step: usize) -> ModelInput {
        self.trajectory().model_input(step)
    }

    /// The sampler's estimate of the clean latent at `step`, for previews.
    fn denoised(&self, step: usize, latent: &[f32], output: &[f32]) -> Vec<f32> {
        self.trajectory().estimate(step, latent, output).denoised
    }
}

/// The sampler `name` for a run of `steps` steps (1 to [`MAX_STEPS`]).
///
/// `convention: None` is the sampler's own default. `strength` in (0, 1] makes it an
/// image-to-image run, which starts from a clean latent with part of the noise; it is f64
/// because the number of steps is a truncated product (0.7 of 10 steps is 7, 0.7f32 of 10 is 6).
/// All conventions run `int(steps * strength)` of the steps, except `layerdiffuse`, which runs
/// all of them on the tail of a longer schedule.
pub fn sampler(
    name: SamplerName,
    convention: Option<Convention>,
    schedule: &NoiseSchedule,
    steps: usize,
    strength: Option<f64>,
) -> Result<Box<dyn Sampler>> {
    let convention = name.resolve(convention)?;
    check_steps(steps, schedule)?;
    check_strength(strength)?;
    Ok(match name {
        SamplerName::Dpmpp2mKarras => Box::new(dpmpp_2m::Dpmpp2m::new(
            convention, schedule, steps, strength,
        )?),
        SamplerName::Euler => Box::new(euler::Euler::new(convention, schedule, steps, strength)?),
        SamplerName::EulerAncestral => Box::new(euler_ancestral::EulerAncestral::new(
            convention, schedule, steps, strength,
        )?),
        SamplerName::Ddim => Box::new(ddim::Ddim::new(schedule, steps, strength)?),
        SamplerName::UniPc => Box::new(unipc::UniPc::new(false, schedule, steps, strength)?),
        SamplerName::UniPcKarras => Box::new(unipc::UniPc::new(true, schedule, steps, strength)?),
        SamplerName::Lcm => Box::new(lcm::Lcm::new(schedule, steps, strength)?),
        SamplerName::Tcd => Box::new(tcd::Tcd::new(schedule, steps, strength)?),
    })
}

fn check_steps(steps: usize, schedule: &NoiseSchedule) -> Result<()> {
    let limit = MAX_STEPS.min(schedule.num_train_timesteps());
    if (1..=limit).contains(&steps) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::BadOption,
        format!("{steps} steps cannot be run"),
        format!("use 1 to {limit} steps"),
    ))
}

fn check_strength(strength: Option<f64>) -> Result<()> {
    match strength {
        Some(strength) if !(strength > 0.0 && strength <= 1.0) => Err(Error::new(
            ErrorCode::BadOption,
            format!("strength is {strength}"),
            "use a strength above 0, up to 1",
        )),
        _ => Ok(()),
    }
}

/// The sum of the slices, each times its weight; all of one length.
fn weighted_sum(terms: &[(f64, &[f32])]) -> Vec<f32> {
    let length = terms[0].1.len();
    for (_, values) in terms {
        assert_eq!(values.len(), length, "latents of one run have one length");
    }
    (0..length)
        .map(|index| {
            let sum: f64 = terms
                .iter()
                .map(|(weight, values)| weight * f64::from(values[index]))
                .sum();
            sum as f32
        })
        .collect()
}
