//! DPM-Solver++(2M) on Karras sigmas (Lu et al. 2022, algorithm 2).

use super::trajectory::karras_to_zero;
use super::{Convention, LatentScale, NoiseSchedule, Sampler, Trajectory, weighted_sum};
use crate::error::Result;

/// DPM-Solver++ of second order: extrapolates the clean latent from the last two estimates.
pub struct Dpmpp2m {
    trajectory: Trajectory,
    previous: Option<Vec<f32>>,
}

impl Dpmpp2m {
    /// A run in `convention`; see [`super::sampler`] for the other arguments.
    pub fn new(
        convention: Convention,
        schedule: &NoiseSchedule,
        steps: usize,
        strength: Option<f64>,
    ) -> Result<Self> {
        let trajectory = match convention {
            Convention::LayerDiffuse => layerdiffuse_trajectory(schedule, steps, strength),
            Convention::KDiffusion => {
                trajectory(LatentScale::VarianceExploding, schedule, steps, |sigma| {
                    schedule.timestep_of(sigma)
                })
                .at_strength(strength)?
            }
            Convention::Diffusers => {
                trajectory(LatentScale::VariancePreserving, schedule, steps, |sigma| {
                    schedule.timestep_of(sigma).round_ties_even()
                })
                .at_strength(strength)?
            }
        };
        Ok(Self {
            trajectory,
            previous: None,
        })
    }

    /// The clean latent that the step aims at. Extrapolated along log sigma, except in the first
    /// step, which has no earlier estimate, and in the last, where log sigma is infinite.
    fn target(&self, step: usize, denoised: &[f32]) -> Vec<f32> {
        let sigmas = self.trajectory.sigmas();
        match &self.previous {
            Some(previous) if step > 0 && sigmas[step + 1] > 0.0 => {
                let this_stride = (sigmas[step] / sigmas[step + 1]).ln();
                let last_stride = (sigmas[step - 1] / sigmas[step]).ln();
                let weight = 0.5 * this_stride / last_stride;
                weighted_sum(&[(1.0 + weight, denoised), (-weight, previous)])
            }
            _ => denoised.to_vec(),
        }
    }
}

impl Sampler for Dpmpp2m {
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
        let denoised = self.denoised(step, latent, output);
        let target = self.target(step, &denoised);
        let sigmas = self.trajectory.sigmas();
        let gain = self.trajectory.alpha(step + 1) * (1.0 - sigmas[step + 1] / sigmas[step]);
        self.previous = Some(denoised);
        weighted_sum(&[(self.trajectory.noise_ratio(step), latent), (gain, &target)])
    }
}

fn trajectory(
    scale: LatentScale,
    schedule: &NoiseSchedule,
    steps: usize,
    timestep_of: impl Fn(f64) -> f64,
) -> Trajectory {
    let sigmas = karras_to_zero(schedule, steps, 0);
    let timesteps = sigmas[..steps].iter().copied().map(timestep_of).collect();
    Trajectory::new(schedule, scale, sigmas, timesteps)
}

/// The released demo's: whole timesteps, and image-to-image runs all `steps` steps on the tail
/// of a schedule of `int(steps / strength)`.
fn layerdiffuse_trajectory(
    schedule: &NoiseSchedule,
    steps: usize,
    strength: Option<f64>,
) -> Trajectory {
    let total = (steps as f64 / strength.unwrap_or(1.0)) as usize;
    let sigmas = karras_to_zero(schedule, total, total - steps);
    let timesteps = sigmas[..steps]
        .iter()
        .map(|&sigma| schedule.nearest_timestep(sigma) as f64)
        .collect();
    Trajectory::new(schedule, LatentScale::VarianceExploding, sigmas, timesteps)
}
