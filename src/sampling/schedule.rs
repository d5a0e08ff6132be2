//! The noise schedule a model was trained with: how much noise each timestep adds.
//!
//! A schedule of T training steps (1000 in Stable Diffusion 1.5) gives every timestep t a
//! cumulative product of alphas, `alpha_cumprod[t]`. Samplers mostly work with the noise level
//! `sigma = sqrt((1 - alpha_cumprod) / alpha_cumprod)` instead, which rises with t.
//! Everything here is f64: at small t, `1 - alpha_cumprod` loses most of an f32's digits.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};

/// Exponent that spreads Karras sigmas (Karras et al. 2022, equation 5).
const KARRAS_RHO: f64 = 7.0;

/// How timesteps are spread over the schedule; the names are those of `scheduler_config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestepSpacing {
    /// Evenly from the last training timestep to the first.
    Linspace,
    /// Multiples of a whole step, counted from timestep 0, plus `steps_offset`.
    Leading,
    /// Multiples of a step, counted down from the last training timestep.
    Trailing,
}

/// The fields of a diffusers `scheduler_config.json` that matter here; others are ignored,
/// and those that are missing take the value of Stable Diffusion 1.5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NoiseScheduleConfig {
    /// Number of training timesteps.
    pub num_train_timesteps: usize,
    /// Beta of the first timestep.
    pub beta_start: f64,
    /// Beta of the last timestep.
    pub beta_end: f64,
    /// `"scaled_linear"` (linear in the square root of beta) or `"linear"`.
    pub beta_schedule: String,
    /// All betas spelled out; replaces the three fields above.
    pub trained_betas: Option<Vec<f64>>,
    /// Whether DDIM's last step ends without noise (alpha_cumprod 1) instead of at timestep 0.
    pub set_alpha_to_one: bool,
    /// Added to the timesteps of [`TimestepSpacing::Leading`].
    pub steps_offset: usize,
    /// Spacing for samplers in the diffusers convention; each has its own default.
    pub timestep_spacing: Option<TimestepSpacing>,
    /// What the model predicts. Only `"epsilon"`, the noise, is supported.
    pub prediction_type: String,
    /// A schedule stretched so that the last timestep is pure noise. Not supported.
    pub rescale_betas_zero_snr: bool,
}

impl Default for NoiseScheduleConfig {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: 0.00085,
            beta_end: 0.012,
            beta_schedule: "scaled_linear".into(),
            trained_betas: None,
            set_alpha_to_one: false,
            steps_offset: 1,
            timestep_spacing: None,
            prediction_type: "epsilon".into(),
            rescale_betas_zero_snr: false,
        }
    }
}

/// A noise schedule, tabulated over the training timesteps.
#[derive(Debug, Clone)]
pub struct NoiseSchedule {
    betas: Vec<f64>,
    alphas_cumprod: Vec<f64>,
    sigmas: Vec<f64>,
    final_alpha_cumprod: f64,
    steps_offset: usize,
    timestep_spacing: Option<TimestepSpacing>,
}

impl NoiseSchedule {
    /// Tabulates `config`; fails with `model_unsupported` for schedules that glassine cannot follow.
    pub fn new(config: &NoiseScheduleConfig) -> Result<Self> {
        if config.prediction_type != "epsilon" {
            return Err(unsupported(format!(
                "the scheduler config has prediction_type {:?}",
                config.prediction_type
            )));
        }
        if config.rescale_betas_zero_snr {
            return Err(unsupported(
                "the scheduler config has rescale_betas_zero_snr set".into(),
            ));
        }
        let betas = betas(config)?;
        let alphas_cumprod: Vec<f64> = betas
            .iter()
            .scan(1.0, |product, beta| {
                *product *= 1.0 - beta;
                Some(*product)
            })
            .collect();
        let final_alpha_cumprod = if config.set_alpha_to_one {
            1.0
        } else {
            alphas_cumprod[0]
        };
        // Checkpoints and the reference samplers hold the product in f32, which at small timesteps
        // moves sigma in its fifth digit. Seeds give their pictures only with the same rounding.
        let rounded = alphas_cumprod.iter().map(|alpha| f64::from(*alpha as f32));
        Ok(Self {
            sigmas: rounded.map(sigma_of_alpha).collect(),
            betas,
            alphas_cumprod,
            final_alpha_cumprod,
            steps_offset: config.steps_offset,
            timestep_spacing: config.timestep_spacing,
        })
    }

    /// Number of training timesteps T.
    pub fn num_train_timesteps(&self) -> usize {
        self.sigmas.len()
    }

    /// Noise variance added at each timestep, `[T]`.
    pub fn betas(&self) -> &[f64] {
        &self.betas
    }

    /// Share of signal variance left at each timestep, `[T]`, falling.
    pub fn alphas_cumprod(&self) -> &[f64] {
        &self.alphas_cumprod
    }

    /// Noise level of each timestep, `[T]`, rising.
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }

    /// Noise level that DDIM's last step ends at.
    pub fn final_sigma(&self) -> f64 {
        sigma_of_alpha(self.final_alpha_cumprod)
    }

    /// Noise level at a fractional timestep, interpolated in log sigma as k-diffusion does.
    pub fn sigma_log_interpolated(&self, timestep: f64) -> f64 {
        let (low, high, weight) = self.neighbours(timestep);
        ((1.0 - weight) * low.ln() + weight * high.ln()).exp()
    }

    /// Noise level at a fractional timestep, interpolated in sigma as diffusers does.
    pub fn sigma_interpolated(&self, timestep: f64) -> f64 {
        let (low, high, weight) = self.neighbours(timestep);
        (1.0 - weight) * low + weight * high
    }

    /// The table's sigmas on both sides of `timestep`, and the share of the upper one.
    fn neighbours(&self, timestep: f64) -> (f64, f64, f64) {
        let last = self.sigmas.len() - 1;
        let timestep = timestep.clamp(0.0, last as f64);
        let low = timestep.floor() as usize;
        let high = (low + 1).min(last);
        (self.sigmas[low], self.sigmas[high], timestep - low as f64)
    }

    /// The fractional timestep whose noise level is `sigma`, interpolated in log sigma and held
    /// inside the table.
    pub fn timestep_of(&self, sigma: f64) -> f64 {
        let last = self.sigmas.len() - 1;
        let above = self.sigmas.partition_point(|&entry| entry <= sigma);
        let low = above.saturating_sub(1).min(last - 1);
        let (low_log, high_log) = (self.sigmas[low].ln(), self.sigmas[low + 1].ln());
        let weight = (sigma.ln() - low_log) / (high_log - low_log);
        low as f64 + weight.clamp(0.0, 1.0)
    }

    /// The whole timestep whose log sigma is nearest to that of `sigma`.
    pub fn nearest_timestep(&self, sigma: f64) -> usize {
        let distance = |timestep: usize| (self.sigmas[timestep].ln() - sigma.ln()).abs();
        let low = self.timestep_of(sigma).floor() as usize;
        let high = (low + 1).min(self.sigmas.len() - 1);
        if distance(high) < distance(low) {
            high
        } else {
            low
        }
    }

    /// The Karras sigmas `first..total` of a run of `total`, from the largest down, without the
    /// final zero.
    pub fn karras_sigmas(&self, total: usize, first: usize) -> Vec<f64> {
        let largest = self.sigmas[self.sigmas.len() - 1].powf(KARRAS_RHO.recip());
        let smallest = self.sigmas[0].powf(KARRAS_RHO.recip());
        (first..total)
            .map(|index| {
                let ramp = index as f64 / (total - 1).max(1) as f64;
                (largest + ramp * (smallest - largest)).powf(KARRAS_RHO)
            })
            .collect()
    }

    /// `count` fractional timesteps, evenly from T - 1 down to 0.
    pub fn even_timesteps(&self, count: usize) -> Vec<f64> {
        let last = (self.sigmas.len() - 1) as f64;
        let gaps = (count - 1).max(1) as f64;
        (0..count)
            .map(|index| last - last * index as f64 / gaps)
            .collect()
    }

    /// The spacing that the config asks for, or else `default`.
    pub fn spacing_or(&self, default: TimestepSpacing) -> TimestepSpacing {
        self.timestep_spacing.unwrap_or(default)
    }

    /// The first `count` of `total` whole timesteps in [`TimestepSpacing::Leading`], from the
    /// largest down. Multistep solvers ask for one more than they run.
    pub fn leading_timesteps(&self, count: usize, total: usize) -> Vec<f64> {
        let ratio = self.sigmas.len() / total;
        let last = self.sigmas.len() - 1;
        (0..count)
            .map(|index| (total - 1 - index) * ratio)
            .map(|timestep| timestep.saturating_add(self.steps_offset).min(last) as f64)
            .collect()
    }

    /// `count` whole timesteps in [`TimestepSpacing::Trailing`], from T - 1 down.
    pub fn trailing_timesteps(&self, count: usize) -> Vec<f64> {
        let total = self.sigmas.len() as f64;
        let ratio = total / count as f64;
        (0..count)
            .map(|index| ((total - index as f64 * ratio).round_ties_even() - 1.0).max(0.0))
            .collect()
    }
}

fn sigma_of_alpha(alpha_cumprod: f64) -> f64 {
    ((1.0 - alpha_cumprod) / alpha_cumprod).sqrt()
}

fn betas(config: &NoiseScheduleConfig) -> Result<Vec<f64>> {
    let count = match &config.trained_betas {
        Some(betas) => betas.len(),
        None => config.num_train_timesteps,
    };
    if !(2..=100_000).contains(&count) {
        return Err(unsupported(format!(
            "the scheduler config has {count} training timesteps"
        )));
    }
    let betas: Vec<f64> = match (&config.trained_betas, config.beta_schedule.as_str()) {
        (Some(betas), _) => betas.clone(),
        (None, "linear") => line(config.beta_start, config.beta_end, count).collect(),
        (None, "scaled_linear") => line(config.beta_start.sqrt(), config.beta_end.sqrt(), count)
            .map(|root| root * root)
            .collect(),
        (None, other) => {
            return Err(unsupported(format!(
                "the scheduler config has beta_schedule {other:?}"
            )));
        }
    };
    if betas.iter().all(|&beta| beta > 0.0 && beta < 1.0) {
        Ok(betas)
    } else {
        Err(unsupported(
            "the scheduler config has betas outside 0..1".into(),
        ))
    }
}

/// `count` values evenly from `start` to `end`.
fn line(start: f64, end: f64, count: usize) -> impl Iterator<Item = f64> {
    let gaps = (count - 1) as f64;
    (0..count).map(move |index| start + (end - start) * index as f64 / gaps)
}

fn unsupported(message: String) -> Error {
    Error::new(
        ErrorCode::ModelUnsupported,
        message,
        "glassine runs epsilon-predicting models with a linear or scaled_linear schedule",
    )
}
