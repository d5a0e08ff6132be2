//! Denoising diffusion implicit models (Song et al. 2020), deterministic (eta 0), as in diffusers.

use super::weighted_sum;
use super::{Estimate, LatentScale, NoiseSchedule, Sampler, TimestepSpacing, Trajectory};
use crate::error::Result;

/// DDIM with eta 0.
pub struct Ddim {
    trajectory: Trajectory,
    /// The noise level after each step: that of a timestep one whole stride below, which in diffusers
    /// need not be the next one's.
    goals: Vec<f64>,
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
        let stride = schedule.num_train_timesteps() / steps;
        let goal = |timestep: &f64| match (*timestep as usize).checked_sub(stride) {
            Some(timestep) => schedule.sigma_of(timestep),
            None => schedule.final_sigma(),
        };
        let goals: Vec<f64> = timesteps.iter().map(goal).collect();
        let sigmas = timesteps
            .iter()
            .map(|&timestep| schedule.sigma_of(timestep as usize))
            .chain(goals.last().copied())
            .collect();
        let scale = LatentScale::VariancePreserving;
        let trajectory = Trajectory::new(schedule, scale, sigmas, timesteps)
            .clipped(schedule.clip_range())
            .at_strength(strength)?;
        Ok(Self {
            goals: goals[steps - trajectory.steps()..].to_vec(),
            trajectory,
        })
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
        output: &[f32],
        _noise: &mut dyn FnMut() -> Vec<f32>,
    ) -> Vec<f32> {
        let Estimate { denoised, epsilon } = self.trajectory.estimate(step, latent, output);
        let (scale, goal) = (self.trajectory.scale(), self.goals[step]);
        weighted_sum(&[
            (scale.alpha(goal), &denoised),
            (scale.noise(goal), &epsilon),
        ])
    }
}
