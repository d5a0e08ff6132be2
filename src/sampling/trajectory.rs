//! The noise levels that one run passes through, and the scale its latents are kept in.

use super::{ModelInput, NoiseSchedule, weighted_sum};
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
}

/// The noise levels and timesteps of one run of n steps.
#[derive(Debug, Clone)]
pub struct Trajectory {
    scale: LatentScale,
    sigmas: Vec<f64>,
    timesteps: Vec<f64>,
    initial_noise: f64,
}

impl Trajectory {
    /// `sigmas` has one entry more than `timesteps`: step i leads from sigma i to sigma i + 1.
    pub fn new(scale: LatentScale, sigmas: Vec<f64>, timesteps: Vec<f64>) -> Self {
        assert_eq!(sigmas.len(), timesteps.len() + 1, "one sigma per boundary");
        let initial_noise = match scale {
            LatentScale::VarianceExploding => sigmas[0],
            // Not alpha * sigma, which is a little less than 1: diffusers starts from plain noise.
            LatentScale::VariancePreserving => 1.0,
        };
        Self {
            scale,
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

    /// The latent entering the first step: unit `noise` brought to the first noise level, on top
    /// of `init` where there is one.
    pub fn start(&self, noise: &[f32], init: Option<&[f32]>) -> Vec<f32> {
        let alpha = self.alpha(0);
        match init {
            Some(init) => weighted_sum(&[(alpha, init), (alpha * self.sigmas[0], noise)]),
            None => weighted_sum(&[(self.initial_noise, noise)]),
        }
    }

    /// What the model is to see at `step`.
    pub fn model_input(&self, step: usize) -> ModelInput {
        let preserving = LatentScale::VariancePreserving.alpha(self.sigmas[step]);
        ModelInput {
            scale: (preserving / self.alpha(step)) as f32,
            timestep: self.timesteps[step] as f32,
        }
    }

    /// The clean latent that `epsilon` implies: the noisy one less its noise.
    pub fn denoised(&self, step: usize, latent: &[f32], epsilon: &[f32]) -> Vec<f32> {
        let unscale = self.alpha(step).recip();
        weighted_sum(&[(unscale, latent), (-self.sigmas[step], epsilon)])
    }

    /// What the latent is multiplied with when the noise level falls from that before `step` to
    /// the next and the clean latent is accounted for elsewhere.
    pub fn noise_ratio(&self, step: usize) -> f64 {
        self.sigmas[step + 1] * self.alpha(step + 1) / (self.sigmas[step] * self.alpha(step))
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
