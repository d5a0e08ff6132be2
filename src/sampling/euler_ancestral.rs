//! Euler's method with ancestral sampling: step too far, then add fresh noise.

use super::euler::euler_trajectory;
use super::{Convention, NoiseSchedule, Sampler, Trajectory, weighted_sum};
use crate::error::Result;

/// Euler's method with fresh noise after every step (eta 1).
pub struct EulerAncestral {
    trajectory: Trajectory,
    draws_at_last_step: bool,
}

impl EulerAncestral {
    /// A run in `convention`; see [`super::sampler`] for the other arguments.
    pub fn new(
        convention: Convention,
        schedule: &NoiseSchedule,
        steps: usize,
        strength: Option<f64>,
    ) -> Result<Self> {
        Ok(Self {
            trajectory: euler_trajectory(convention, schedule, steps, strength)?,
            // diffusers draws there too, and multiplies it with zero.
            draws_at_last_step: convention == Convention::Diffusers,
        })
    }
}

impl Sampler for EulerAncestral {
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
        let epsilon = &self.trajectory.estimate(step, latent, output).epsilon;
        let (sigma, next) = (
            self.trajectory.sigmas()[step],
            self.trajectory.sigmas()[step + 1],
        );
        let (down, up) = split_next_sigma(sigma, next);
        if next > 0.0 || self.draws_at_last_step {
            weighted_sum(&[(1.0, latent), (down - sigma, epsilon), (up, &noise())])
        } else {
            weighted_sum(&[(1.0, latent), (down - sigma, epsilon)])
        }
    }
}

/// The noise level to step down to, and that of the noise then added; their squares sum to
/// the square of `next`.
fn split_next_sigma(sigma: f64, next: f64) -> (f64, f64) {
    let up_squared = next.powi(2) * (sigma.powi(2) - next.powi(2)) / sigma.powi(2);
    let down_squared = next.powi(2) - up_squared;
    (down_squared.max(0.0).sqrt(), up_squared.max(0.0).sqrt())
}
