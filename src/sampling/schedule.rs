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

/// What a model says of a noisy latent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictionType {
    /// `epsilon`: its noise.
    Epsilon,
    /// `v_prediction`: the velocity from the clean latent to the noise (Salimans and Ho 2022).
    V,
    /// `sample`: the clean latent itself.
    Sample,
}

impl PredictionType {
    fn from_config(name: &str) -> Result<Self> {
        match name {
            "epsilon" => Ok(Self::Epsilon),
            "v_prediction" => Ok(Self::V),
            "sample" => Ok(Self::Sample),
            other => Err(unsupported(format!(
                "the scheduler config has prediction_type {other:?}"
            ))),
        }
    }
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
    /// All betas spelled out, as many as there are timesteps; replaces the three fields above.
    pub trained_betas: Option<Vec<f64>>,
    /// Whether DDIM's last step ends without noise (alpha_cumprod 1) instead of at timestep 0.
    pub set_alpha_to_one: bool,
    /// Added to the timesteps of [`TimestepSpacing::Leading`].
    pub steps_offset: usize,
    /// Spacing for samplers in the diffusers convention; each has its own default.
    pub timestep_spacing: Option<TimestepSpacing>,
    /// What the model predicts: `"epsilon"`, `"v_prediction"` or `"sample"`.
    pub prediction_type: String,
    /// Stretches the schedule so that the last timestep is pure noise (zero terminal SNR; Lin et
    /// al. 2024, algorithm 1).
    pub rescale_betas_zero_snr: bool,
    /// Whether the samplers `ddim` and `lcm` hold the clean latent within `clip_sample_range`, as
    /// diffusers' do.
    pub clip_sample: bool,
    /// See `clip_sample`.
    pub clip_sample_range: f64,
    /// Holds the clean latent within a quantile of its own values. Not supported: meant for models
    /// of pixels.
    pub thresholding: bool,
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
            clip_sample: false,
            clip_sample_range: 1.0,
            thresholding: false,
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
    prediction: PredictionType,
    clip_range: Option<f64>,
}

/// What `alpha_cumprod` is held at for samplers that work with sigma, which pure noise would make
/// infinite; diffusers' number.
const SMALLEST_ALPHA_CUMPROD: f64 = 1.0 / (1 << 24) as f64;

impl NoiseSchedule {
    /// Tabulates `config`; fails with `model_unsupported` for schedules that glassine cannot follow.
    pub fn new(config: &NoiseScheduleConfig) -> Result<Self> {
        let prediction = PredictionType::from_config(&config.prediction_type)?;
        if config.rescale_betas_zero_snr && prediction == PredictionType::Epsilon {
            return Err(unsupported(
                "the scheduler config has rescale_betas_zero_snr with prediction_type \"epsilon\", \
                 which says nothing of pure noise"
                    .into(),
            ));
        }
        if config.thresholding {
            return Err(unsupported(
                "the scheduler config has thresholding set".into(),
            ));
        }
        let range = config.clip_sample_range;
        if config.clip_sample && (range.is_nan() || range <= 0.0) {
            return Err(unsupported(format!(
                "the scheduler config has a clip_sample_range of {range}"
            )));
        }
        let mut betas = betas(config)?;
        if config.rescale_betas_zero_snr {
            betas = zero_terminal_snr(&betas);
        }
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
        let held = rounded.map(|alpha| alpha.max(SMALLEST_ALPHA_CUMPROD));
        Ok(Self {
            sigmas: held.map(sigma_of_alpha).collect(),
            betas,
            alphas_cumprod,
            final_alpha_cumprod,
            steps_offset: config.steps_offset,
            timestep_spacing: config.timestep_spacing,
            prediction,
            clip_range: config.clip_sample.then_some(config.clip_sample_range),
        })
    }

    /// What the model predicts.
    pub fn prediction(&self) -> PredictionType {
        self.prediction
    }

    /// How far from zero the clean latent may be, for samplers that hold it.
    pub fn clip_range(&self) -> Option<f64> {
        self.clip_range
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

    /// Noise level of each timestep, `[T]`, rising. Where the last timestep is pure noise, its
    /// level is very large instead of infinite: see [`NoiseSchedule::sigma_of`].
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }

    /// Noise level of a whole timestep: infinite where there is nothing but noise.
    pub fn sigma_of(&self, timestep: usize) -> f64 {
        match self.alphas_cumprod[timestep] {
            0.0 => f64::INFINITY,
            _ => self.sigmas[timestep],
        }
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
    if count != config.num_train_timesteps {
        let timesteps = config.num_train_timesteps;
        return Err(unsupported(format!(
            "the scheduler config has {count} trained_betas for {timesteps} training timesteps"
        )));
    }
    let betas: Vec<f64> = match (&config.trained_betas, config.beta_schedule.as_str()) {
        (Some(betas), _) => betas.clone(),
        (None, "linear") => line(config.beta_start, config.beta_end, count).collect(),
        (None, "scaled_linear") => line(config.beta_start.sqrt(), config.beta_end.sqrt(), count)
            .map(|root| root * root)
            .collect(),
        (None, "squaredcos_cap_v2") => cosine_betas(count),
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

/// Betas whose cumulative product falls as a squared cosine, each at most 0.999 (Nichol and Dhariwal
/// 2021, section 3.2).
fn cosine_betas(count: usize) -> Vec<f64> {
    let alpha_cumprod = |step: usize| {
        let angle = (step as f64 / count as f64 + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2;
        angle.cos().powi(2)
    };
    let beta = |step| 1.0 - alpha_cumprod(step + 1) / alpha_cumprod(step);
    (0..count).map(|step| beta(step).min(0.999)).collect()
}

/// `betas` changed so that the square root of their cumulative product falls to zero at the last
/// timestep, from where it was at the first.
fn zero_terminal_snr(betas: &[f64]) -> Vec<f64> {
    let roots: Vec<f64> = betas
        .iter()
        .scan(1.0, |product, beta| {
            *product *= 1.0 - beta;
            Some(f64::sqrt(*product))
        })
        .collect();
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    let stretched = roots
        .iter()
        .map(|root| (root - last) * first / (first - last));
    let cumprod: Vec<f64> = stretched.map(|root| root * root).collect();
    let before = [1.0].into_iter().chain(cumprod.iter().copied());
    cumprod
        .iter()
        .zip(before)
        .map(|(alpha, before)| 1.0 - alpha / before)
        .collect()
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
        "glassine runs models that predict epsilon, v or the sample, with a linear, scaled_linear or \
         squaredcos_cap_v2 schedule",
    )
}
