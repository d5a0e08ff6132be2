//! Trajectory consistency distillation (Zheng et al. 2024), as in diffusers.

use super::lcm::distilled_timesteps;
use super::{Estimate, LatentScale, NoiseSchedule, Sampler, Trajectory, weighted_sum};
use crate::error::Result;

/// How much of the way each step goes beyond its goal, to come back by fresh noise; gamma in the paper.
const ETA: f64 = 0.3;

/// Goes along the model's trajectory to a time before the next one, and puts fresh noise on it.
pub struct Tcd {
    trajectory: Trajectory,
    /// The noise level that each step goes to before it adds noise.
    goals: Vec<f64>,
}

impl Tcd {
    /// See [`super::sampler`] for the arguments; at most 50 steps.
    pub fn new(schedule: &NoiseSchedule, steps: usize, strength: Option<f64>) -> Result<Self> {
        let timesteps = distilled_timesteps("tcd", schedule, steps)?;
        let boundaries = || timesteps.iter().copied().chain([0]);
        let sigmas = boundaries().map(|timestep| schedule.sigma_of(timestep));
        let timesteps = timesteps.iter().map(|&timestep| timestep as f64).collect();
        let trajectory = Trajectory::new(
            schedule,
            LatentScale::VariancePreserving,
            sigmas.collect(),
            timesteps,
        )
        .at_strength(strength)?;
        let goal = |timestep: usize| schedule.sigma_of(((1.0 - ETA) * timestep as f64) as usize);
        let goals: Vec<f64> = boundaries().skip(1).map(goal).collect();
        let skipped = steps - trajectory.steps();
        Ok(Self {
            goals: goals[skipped..].to_vec(),
            trajectory,
        })
    }
}

impl Sampler for Tcd {
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
        let Estimate { denoised, epsilon } = self.trajectory.estimate(step, latent, output);
        let scale = LatentScale::VariancePreserving;
        let (alpha, goal_noise) = (scale.alpha(self.goals[step]), scale.noise(self.goals[step]));
        if step + 1 == self.steps() {
            return weighted_sum(&[(alpha, &denoised), (goal_noise, &epsilon)]);
        }
        // From the goal on, the signal shrinks to its share at the next level and noise fills up.
        let shrink = self.trajectory.alpha(step + 1) / alpha;
        let fresh = (1.0 - shrink * shrink).sqrt();
        weighted_sum(&[
            (shrink * alpha, &denoised),
            (shrink * goal_noise, &epsilon),
            (fresh, &noise()),
        ])
    }
}
