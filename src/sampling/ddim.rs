//! Denoising diffusion implicit models (Song et al. 2020), deterministic (eta 0), as in diffusers.

use super::{LatentScale, NoiseSchedule, Sampler, TimestepSpacing, Trajectory, weighted_sum};
use crate::error::Result;

/// DDIM with eta 0.
pub struct Ddim {
    trajectory: Trajectory,
}

impl Ddim {
    /// See [`super::sampler`] for the arguments.
    pub fn new(schedule: &NoiseSchedule, steps: usize, strength: Option<f64>) -> Result<Self> {
        let timesteps = match schedule.spacing_or(TimestepSpacing::Leading) {
            TimestepSpacing::Leading => schedule.leading_timesteps(steps, steps),
            TimestepSpacing::Trailing => schedule.trailing_timesteps(steps),
            TimestepSpacing::Linspace => schedule
                .even_timesteps(steps)
                .into_iter()
                .map(f64::round_ties_even)
                .collect(),
        };
        let sigmas = timesteps
            .iter()
            .map(|&timestep| schedule.sigmas()[timestep as usize])
            .chain([last_sigma(schedule, steps, timesteps[steps - 1])])
            .collect();
        let trajectory = Trajectory::new(LatentScale::VariancePreserving, sigmas, timesteps);
        Ok(Self {
            trajectory: trajectory.at_strength(strength)?,
        })
    }
}

/// The noise level after the last step, which is one stride below the last timestep if the
/// schedule reaches that far.
fn last_sigma(schedule: &NoiseSchedule, steps: usize, last_timestep: f64) -> f64 {
    let stride = schedule.num_train_timesteps() / steps;
    match (last_timestep as usize).checked_sub(stride) {
        Some(timestep) => schedule.sigmas()[timestep],
        None => schedule.final_sigma(),
    }
}

impl Sampler for Ddim {
    fn trajectory(&self) -> &Trajectory {
        &self.trajectory
    }

    fn step(
        &mut self,
        step: usize,
        latent: &[f32],
        epsilon: &[f32],
        _noise: &mut dyn FnMut() -> Vec<f32>,
    ) -> Vec<f32> {
        let denoised = self.denoised(step, latent, epsilon);
        let alpha = self.trajectory.alpha(step + 1);
        let sigma = self.trajectory.sigmas()[step + 1];
        weighted_sum(&[(alpha, &denoised), (alpha * sigma, epsilon)])
    }
}
