//! The noise levels that one run passes through, and the scale its latents are kept in.

use super::{ModelInput, NoiseSchedule, PredictionType, weighted_sum};
use crate::error::{Error, ErrorCode, Result};

/// How a noisy latent is scaled between steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatentScale {
    /// `clean + sigma * noise`: the latent grows with the noise (k-diffusion).
    VarianceExploding,
    /// `(clean + sigma * noise) / sqrt(sigma^2 + 1)`: the latent keeps unit variance, which is
    /// what the model was trained on.
    VariancePreserving,
}

impl LatentScale {
    /// Share of the clean latent in a noisy one at noise level `sigma`.
    pub fn alpha(self, sigma: f64) -> f64 {
        match self {
            Self::VarianceExploding => 1.0,
            Self::VariancePreserving => (sigma * sigma + 1.0).sqrt().recip(),
        }
    }

    /// Share of the noise in a noisy latent at noise level `sigma`, which may be infinite where the
    /// variance is preserved.
    pub fn noise(self, sigma: f64) -> f64 {
        match self {
            Self::VarianceExploding => sigma,
            Self::VariancePreserving => (sigma.powi(-2) + 1.0).sqrt().recip(),
        }
    }
}

/// What a model's output implies about a noisy latent.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// The clean latent.
    pub denoised: Vec<f32>,
    /// The unit noise that is on it.
    pub epsilon: Vec<f32>,
}

/// The noise levels and timesteps of one run of n steps.
#[derive(Debug, Clone)]
pub struct Trajectory {
    scale: LatentScale,
    prediction: PredictionType,
    clip_range: Option<f64>,
    sigmas: Vec<f64>,
    timesteps: Vec<f64>,
    initial_noise: f64,
}

impl Trajectory {
    /// `sigmas` has one entry more than `timesteps`: step i leads from sigma i to sigma i + 1. The
    /// model predicts what `schedule` says.
    pub fn new(
        schedule: &NoiseSchedule,
        scale: LatentScale,
        sigmas: Vec<f64>,
        timesteps: Vec<f64>,
    ) -> Self {
        assert_eq!(sigmas.len(), timesteps.len() + 1, "one sigma per boundary");
        let initial_noise = match scale {
            LatentScale::VarianceExploding => sigmas[0],
            // Not alpha * sigma, which is a little less than 1: diffusers starts from plain noise.
            LatentScale::VariancePreserving => 1.0,
        };
        Self {
            scale,
            prediction: schedule.prediction(),
            clip_range: None,
            sigmas,
            timesteps,
            initial_noise,
        }
    }

    /// The same, but unit noise is multiplied by `factor` where there is no image to start from.
    pub fn with_initial_noise(mut self, factor: f64) -> Self {
        self.initial_noise = factor;
        self
    }

    /// The same, but estimates of the clean latent are held from `-range` to `range`, if there is one.
    pub fn clipped(mut self, range: Option<f64>) -> Self {
        self.clip_range = range;
        self
    }

    /// The last `steps` steps only: the part that image-to-image runs.
    pub fn tail(mut self, steps: usize) -> Self {
        let skipped = self.steps() - steps;
        self.sigmas.drain(..skipped);
        self.timesteps.drain(..skipped);
        self
    }

    /// The part of the run that an image-to-image `strength` leaves: `int(steps * strength)`
    /// steps, which is how diffusers counts.
    pub fn at_strength(self, strength: Option<f64>) -> Result<Self> {
        let Some(strength) = strength else {
            return Ok(self);
        };
        let steps = (self.steps() as f64 * strength) as usize;
        if steps == 0 {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!(
                    "strength {strength} of {} steps leaves no step to run",
                    self.steps()
                ),
                "raise the strength or the number of steps",
            ));
        }
        Ok(self.tail(steps))
    }

    /// Number of steps, which is the number of model evaluations.
    pub fn steps(&self) -> usize {
        self.timesteps.len()
    }

    /// How latents are scaled between steps.
    pub fn scale(&self) -> LatentScale {
        self.scale
    }

    /// Noise levels, `[steps + 1]`, falling.
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }

    /// Timesteps that the model is told, `[steps]`, falling.
    pub fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    /// Share of the clean latent in the latent before step `index` (after the last one for
    /// `index == steps`).
    pub fn alpha(&self, index: usize) -> f64 {
        self.scale.alpha(self.sigmas[index])
    }

    /// Share of the noise in the latent before step `index`, likewise.
    pub fn noise(&self, index: usize) -> f64 {
        self.scale.noise(self.sigmas[index])
    }

    /// The latent entering the first step: unit `noise` brought to the first noise level, on top
    /// of `init` where there is one.
    pub fn start(&self, noise: &[f32], init: Option<&[f32]>) -> Vec<f32> {
        let alpha = self.alpha(0);
        match init {
            Some(init) => weighted_sum(&[(alpha, init), (self.noise(0), noise)]),
            None => weighted_sum(&[(self.initial_noise, noise)]),
        }
    }

    /// What the model is to see at `step`.
    pub fn model_input(&self, step: usize) -> ModelInput {
        ModelInput {
            scale: self.input_scale(step) as f32,
            timestep: self.timesteps[step] as f32,
        }
    }

    /// What brings the latent before `step` to the unit variance that the model was trained on.
    fn input_scale(&self, step: usize) -> f64 {
        match self.scale {
            LatentScale::VarianceExploding => {
                LatentScale::VariancePreserving.alpha(self.sigmas[step])
            }
            LatentScale::VariancePreserving => 1.0,
        }
    }

    /// What the model's `output` for `latent`, as it is before `step`, implies.
    pub fn estimate(&self, step: usize, latent: &[f32], output: &[f32]) -> Estimate {
        let sigma = self.sigmas[step];
        // Of the latent at unit variance, which the model saw.
        let (alpha, noise) = {
            let scale = LatentScale::VariancePreserving;
            (scale.alpha(sigma), scale.noise(sigma))
        };
        let seen = self.input_scale(step);
        let mut estimate = match self.prediction {
            PredictionType::Epsilon => Estimate {
                denoised: weighted_sum(&[(seen / alpha, latent), (-sigma, output)]),
                epsilon: output.to_vec(),
            },
            PredictionType::V => Estimate {
                denoised: weighted_sum(&[(seen * alpha, latent), (-noise, output)]),
                epsilon: weighted_sum(&[(seen * noise, latent), (alpha, output)]),
            },
            PredictionType::Sample => Estimate {
                denoised: output.to_vec(),
                epsilon: weighted_sum(&[(seen / noise, latent), (-sigma.recip(), output)]),
            },
        };
        if let Some(range) = self.clip_range {
            let range = range as f32;
            let denoised = estimate.denoised.iter_mut();
            denoised.for_each(|value| *value = value.clamp(-range, range));
        }
        estimate
    }

    /// What the latent is multiplied with when the noise level falls from that before `step` to
    /// the next and the clean latent is accounted for elsewhere.
    pub fn noise_ratio(&self, step: usize) -> f64 {
        self.noise(step + 1) / self.noise(step)
    }
}

/// The sigmas at `timesteps` by `sigma_at`, with a final zero.
pub(super) fn sigmas_to_zero(timesteps: &[f64], sigma_at: impl Fn(f64) -> f64) -> Vec<f64> {
    timesteps
        .iter()
        .map(|&timestep| sigma_at(timestep))
        .chain([0.0])
        .collect()
}

/// Karras sigmas `first..total` with a final zero.
pub(super) fn karras_to_zero(schedule: &NoiseSchedule, total: usize, first: usize) -> Vec<f64> {
    let mut sigmas = schedule.karras_sigmas(total, first);
    sigmas.push(0.0);
    sigmas
}
