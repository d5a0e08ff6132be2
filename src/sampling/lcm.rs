//! Sampling of latent consistency models (Luo et al. 2023), as in diffusers.

use super::{LatentScale, NoiseSchedule, Sampler, Trajectory, weighted_sum};
use crate::error::{Error, ErrorCode, Result};

/// Number of steps of the schedule that consistency models are distilled on.
const DISTILLATION_STEPS: usize = 50;
/// Deviation of the data that the boundary condition assumes.
const SIGMA_DATA: f64 = 0.5;
/// What timesteps are multiplied with in the boundary condition.
const TIMESTEP_SCALING: f64 = 10.0;

/// Predicts the clean latent at every step and puts fresh noise of the next level on it.
pub struct Lcm {
    trajectory: Trajectory,
}

impl Lcm {
    /// See [`super::sampler`] for the arguments; at most 50 steps.
    pub fn new(schedule: &NoiseSchedule, steps: usize, strength: Option<f64>) -> Result<Self> {
        let timesteps = distilled_timesteps("lcm", schedule, steps)?;
        let levels = timesteps
            .iter()
            .map(|&timestep| schedule.sigma_of(timestep));
        let sigmas = levels.chain([0.0]).collect();
        let timesteps = timesteps.iter().map(|&timestep| timestep as f64).collect();
        let trajectory =
            Trajectory::new(schedule, LatentScale::VariancePreserving, sigmas, timesteps);
        Ok(Self {
            trajectory: trajectory
                .clipped(schedule.clip_range())
                .at_strength(strength)?,
        })
    }
}

/// The timesteps of a run of `steps` with a consistency model, falling; `sampler` is for the error.
pub(super) fn distilled_timesteps(
    sampler: &str,
    schedule: &NoiseSchedule,
    steps: usize,
) -> Result<Vec<usize>> {
    let train_timesteps = schedule.num_train_timesteps();
    let distillation_steps = DISTILLATION_STEPS.min(train_timesteps);
    if steps > distillation_steps {
        return Err(Error::new(
            ErrorCode::BadOption,
            format!("the sampler {sampler} cannot run {steps} steps"),
            format!("use 1 to {distillation_steps} steps; 4 to 8 are usual"),
        ));
    }
    let stride = train_timesteps / distillation_steps;
    let timestep = |step| (distillation_steps - step * distillation_steps / steps) * stride - 1;
    Ok((0..steps).map(timestep).collect())
}

impl Sampler for Lcm {
    fn trajectory(&self) -> &Trajectory {
        &self.trajectory
    }

    fn step(
        &mut self,
        step: usize,
        latent: &[f32],
        output: &[f32],
        noise: &mut dyn FnMut() -> Vec<f32>,
    ) -> Vec<f32> {
        let denoised = self.denoised(step, latent, output);
        if step + 1 == self.steps() {
            return denoised;
        }
        weighted_sum(&[
            (self.trajectory.alpha(step + 1), &denoised),
            (self.trajectory.noise(step + 1), &noise()),
        ])
    }

    /// The consistency function: the prediction, mixed with the latent itself so that it is the
    /// identity at timestep 0.
    fn denoised(&self, step: usize, latent: &[f32], output: &[f32]) -> Vec<f32> {
        let predicted = self.trajectory.estimate(step, latent, output).denoised;
        let scaled = self.trajectory.timesteps()[step] * TIMESTEP_SCALING;
        let squared = scaled * scaled + SIGMA_DATA * SIGMA_DATA;
        let skip = SIGMA_DATA * SIGMA_DATA / squared;
        let out = scaled / squared.sqrt();
        weighted_sum(&[(out, &predicted), (skip, latent)])
    }
}
