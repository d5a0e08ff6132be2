//! Euler's method on evenly spaced timesteps.

use super::trajectory::sigmas_to_zero;
use super::{
    Convention, LatentScale, NoiseSchedule, Sampler, TimestepSpacing, Trajectory, weighted_sum,
};
use crate::error::Result;

/// Euler's method: each step follows the predicted noise straight to the next noise level.
pub struct Euler {
    trajectory: Trajectory,
}

impl Euler {
    /// A run in `convention`; see [`super::sampler`] for the other arguments.
    pub fn new(
        convention: Convention,
        schedule: &NoiseSchedule,
        steps: usize,
        strength: Option<f64>,
    ) -> Result<Self> {
        Ok(Self {
            trajectory: euler_trajectory(convention, schedule, steps, strength)?,
        })
    }
}

impl Sampler for Euler {
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
        let epsilon = self.trajectory.estimate(step, latent, output).epsilon;
        let sigmas = self.trajectory.sigmas();
        weighted_sum(&[(1.0, latent), (sigmas[step + 1] - sigmas[step], &epsilon)])
    }
}

/// The noise levels of both Euler samplers. The conventions differ in how sigma is interpolated
/// between the timesteps of the schedule, and only diffusers knows other spacings.
pub(super) fn euler_trajectory(
    convention: Convention,
    schedule: &NoiseSchedule,
    steps: usize,
    strength: Option<f64>,
) -> Result<Trajectory> {
    let scale = LatentScale::VarianceExploding;
    if convention == Convention::KDiffusion {
        let timesteps = schedule.even_timesteps(steps);
        let sigmas = sigmas_to_zero(&timesteps, |t| schedule.sigma_log_interpolated(t));
        return Trajectory::new(schedule, scale, sigmas, timesteps).at_strength(strength);
    }
    let spacing = schedule.spacing_or(TimestepSpacing::Linspace);
    let timesteps = match spacing {
        TimestepSpacing::Linspace => schedule.even_timesteps(steps),
        TimestepSpacing::Leading => schedule.leading_timesteps(steps, steps),
        TimestepSpacing::Trailing => schedule.trailing_timesteps(steps),
    };
    let sigmas = sigmas_to_zero(&timesteps, |t| schedule.sigma_interpolated(t));
    let initial_noise = match spacing {
        // Leading timesteps stop short of pure noise; diffusers then keeps the latent's variance.
        TimestepSpacing::Leading => (sigmas[0] * sigmas[0] + 1.0).sqrt(),
        _ => sigmas[0],
    };
    Trajectory::new(schedule, scale, sigmas, timesteps)
        .with_initial_noise(initial_noise)
        .at_strength(strength)
}
