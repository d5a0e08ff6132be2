//! UniPC (Zhao et al. 2023): a multistep predictor whose last prediction is corrected as soon as
//! the model was evaluated there. Second order, data prediction, B(h) = e^h - 1, as in diffusers.

use super::trajectory::{karras_to_zero, sigmas_to_zero};
use super::{LatentScale, NoiseSchedule, Sampler, TimestepSpacing, Trajectory, weighted_sum};
use crate::error::Result;

/// The unified predictor-corrector of second order.
pub struct UniPc {
    trajectory: Trajectory,
    history: Option<History>,
}

/// What the corrector needs of the step before.
struct History {
    /// The (corrected) latent that entered that step.
    latent: Vec<f32>,
    /// The clean latent estimated there.
    denoised: Vec<f32>,
    /// The clean latent estimated one step earlier still.
    earlier: Option<Vec<f32>>,
    /// Order of that step's prediction.
    order: usize,
}

impl UniPc {
    /// See [`super::sampler`] for the arguments; `karras` picks the Karras sigmas.
    pub fn new(
        karras: bool,
        schedule: &NoiseSchedule,
        steps: usize,
        strength: Option<f64>,
    ) -> Result<Self> {
        let (sigmas, timesteps) = if karras {
            let sigmas = karras_to_zero(schedule, steps, 0);
            let timesteps = sigmas[..steps]
                .iter()
                .map(|&sigma| schedule.timestep_of(sigma).round_ties_even())
                .collect();
            (sigmas, timesteps)
        } else {
            let timesteps = spaced_timesteps(schedule, steps);
            let sigmas = sigmas_to_zero(&timesteps, |t| schedule.sigma_interpolated(t));
            (sigmas, timesteps)
        };
        let trajectory =
            Trajectory::new(schedule, LatentScale::VariancePreserving, sigmas, timesteps);
        Ok(Self {
            trajectory: trajectory.at_strength(strength)?,
            history: None,
        })
    }

    /// The latent before `step`, predicted by the step before it, made again now that the model's
    /// estimate `denoised` at that place is known.
    fn corrected(&self, step: usize, history: &History, denoised: &[f32]) -> Vec<f32> {
        let stride = Stride::new(&self.trajectory, step - 1);
        match (&history.earlier, history.order) {
            (Some(earlier), 2) => {
                let ratio = stride.earlier_ratio(&self.trajectory, step - 1);
                let (first, second) = stride.second_order_integrals();
                let earlier_weight = (first - second) / (1.0 - ratio);
                stride.advance(
                    history,
                    &[
                        (earlier_weight / ratio, earlier),
                        (first - earlier_weight, denoised),
                    ],
                )
            }
            _ => stride.advance(history, &[(0.5, denoised)]),
        }
    }

    /// Not in the last step, where log sigma becomes infinite, nor between timesteps that
    /// coincide, as they can in runs of very many steps.
    fn allows_second_order(&self, step: usize) -> bool {
        let sigmas = &self.trajectory.sigmas()[step - 1..];
        sigmas[0] > sigmas[1] && sigmas[1] > sigmas[2] && sigmas[2] > 0.0
    }

    /// The latent after `step`.
    fn predicted(&self, step: usize, history: &History) -> Vec<f32> {
        let stride = Stride::new(&self.trajectory, step);
        match (&history.earlier, history.order) {
            (Some(earlier), 2) => {
                let ratio = stride.earlier_ratio(&self.trajectory, step);
                stride.advance(history, &[(0.5 / ratio, earlier)])
            }
            _ => stride.advance(history, &[]),
        }
    }
}

impl Sampler for UniPc {
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
        // A step 0 begins a run anew.
        let last = self.history.take().filter(|_| step > 0);
        let latent = match &last {
            Some(last) => self.corrected(step, last, &denoised),
            None => latent.to_vec(),
        };
        let order = if last.is_some() && self.allows_second_order(step) {
            2
        } else {
            1
        };
        let history = History {
            latent,
            denoised,
            earlier: last.map(|last| last.denoised),
            order,
        };
        let next = self.predicted(step, &history);
        self.history = Some(history);
        next
    }
}

/// The coefficients of the step from one noise level to the next.
struct Stride {
    /// Length in log sigma.
    length: f64,
    /// Factor of the latent.
    noise_ratio: f64,
    /// Factor of the clean latent, of first order.
    gain: f64,
}

impl Stride {
    fn new(trajectory: &Trajectory, step: usize) -> Self {
        let ratio = trajectory.sigmas()[step + 1] / trajectory.sigmas()[step];
        Self {
            length: -ratio.ln(),
            noise_ratio: trajectory.noise_ratio(step),
            gain: trajectory.alpha(step + 1) * (1.0 - ratio),
        }
    }

    /// Place of the noise level before `step`'s, in units of this stride from its start (negative).
    fn earlier_ratio(&self, trajectory: &Trajectory, step: usize) -> f64 {
        let sigmas = trajectory.sigmas();
        -(sigmas[step - 1] / sigmas[step]).ln() / self.length
    }

    /// The right-hand side of the corrector's two order conditions: the integrals of the
    /// exponential's weight against a line and a parabola, over B(h).
    fn second_order_integrals(&self) -> (f64, f64) {
        let h = -self.length;
        let weight = h.exp_m1();
        let line = weight / h - 1.0;
        let parabola = line / h - 0.5;
        (line / weight, 2.0 * parabola / weight)
    }

    /// From the start of the stride to its end: the first-order step towards the estimate there,
    /// plus the weighted differences of other estimates from it.
    fn advance(&self, from: &History, others: &[(f64, &[f32])]) -> Vec<f32> {
        let moved: f64 = others.iter().map(|(weight, _)| weight).sum();
        let mut terms: Vec<(f64, &[f32])> = vec![
            (self.noise_ratio, &from.latent),
            (self.gain * (1.0 - moved), &from.denoised),
        ];
        terms.extend(
            others
                .iter()
                .map(|&(weight, other)| (self.gain * weight, other)),
        );
        weighted_sum(&terms)
    }
}

/// One timestep more than is run, the last of them dropped: the final noise level is zero.
fn spaced_timesteps(schedule: &NoiseSchedule, steps: usize) -> Vec<f64> {
    match schedule.spacing_or(TimestepSpacing::Linspace) {
        TimestepSpacing::Linspace => {
            let mut timesteps = schedule.even_timesteps(steps + 1);
            timesteps.truncate(steps);
            timesteps.into_iter().map(f64::round_ties_even).collect()
        }
        TimestepSpacing::Leading => schedule.leading_timesteps(steps, steps + 1),
        TimestepSpacing::Trailing => schedule.trailing_timesteps(steps),
    }
}
