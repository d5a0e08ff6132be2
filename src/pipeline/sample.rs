use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::conditioning::{Conditioning, StepFeatures, StepPrompts};
use super::control::ControlNetRun;
use super::networks::Networks;
use super::observer::{Event, Observer};
use super::request::{Request, ResolvedRequest};
use crate::pack::Manifest;
use crate::pack::Mode;
use crate::sampling::{ModelInput, NoiseGenerator, NoiseSchedule, Sampler, sampler};
use crate::text::{TextEncoder, Tokenizer};
use crate::unet::{Residuals, TextContext};
use crate::weights::HostTensor;
use crate::weights::host::{host_values, to_device};
use crate::{Error, ErrorCode, Result};

/// Intermediate tensors by name, as `--dump` writes them.
pub type Dump = BTreeMap<String, HostTensor>;

/// A finished latent, ready to be decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Latent {
    /// `[frames, 4, height/8, width/8]` in the UNet's scale, that is, before division by the VAE's
    /// scaling factor.
    pub values: HostTensor,
    /// The mode it was made in, which says how it is decoded.
    pub mode: Mode,
    /// The seed of its first frame.
    pub seed: u64,
}

/// What sampling gives.
#[derive(Debug)]
pub struct Sampled {
    /// The finished latent.
    pub latent: Latent,
    /// Intermediate tensors, if they were asked for.
    pub dump: Dump,
    /// The names of the embeddings that the prompts name.
    pub embeddings: Vec<String>,
    /// What the request says that has no effect, in words for its author.
    pub warnings: Vec<String>,
}

/// A generation on its way from prompts to a finished latent.
pub(super) struct Sampling<'a> {
    request: &'a Request,
    plan: &'a ResolvedRequest,
    manifest: &'a Manifest,
    sampler: Box<dyn Sampler>,
    /// Latent of the initial picture, one frame.
    init: Option<HostTensor>,
    dump: Dump,
}

impl<'a> Sampling<'a> {
    pub fn new(
        request: &'a Request,
        plan: &'a ResolvedRequest,
        manifest: &'a Manifest,
        init: Option<HostTensor>,
    ) -> Result<Self> {
        let schedule = NoiseSchedule::new(&manifest.config("scheduler")?)?;
        let strength = init.as_ref().map(|_| request.strength);
        let convention = request.convention;
        Ok(Self {
            request,
            plan,
            manifest,
            sampler: sampler(plan.sampler, convention, &schedule, plan.steps, strength)?,
            init,
            dump: Dump::new(),
        })
    }

    /// What the prompts are at each step that is run, in tokens.
    pub fn prompts(
        &self,
        conditioning: Conditioning<'_>,
        tokenizer: &Tokenizer,
    ) -> Result<StepPrompts> {
        conditioning.tokenize(tokenizer, self.sampler.steps(), self.request.dump)
    }

    /// The first half: runs the text encoder, which may be freed afterwards.
    pub async fn encode(
        &mut self,
        prompts: StepPrompts,
        encoder: &TextEncoder,
        observer: &mut impl Observer,
    ) -> Result<StepFeatures> {
        if !observer.report(Event::Encoding).await {
            return Err(aborted());
        }
        let features = prompts.encode(encoder).await?;
        if self.request.dump {
            self.dump.extend(features.first());
        }
        Ok(features)
    }

    /// The second half: runs the UNet, step by step. `steering` is the ControlNet at work, if there
    /// is a control picture.
    pub async fn run(
        mut self,
        networks: &Networks,
        prompts: StepFeatures,
        steering: Option<ControlNetRun<'_>>,
        observer: &mut impl Observer,
    ) -> Result<Sampled> {
        let (request, plan) = (self.request, self.plan);
        let mut contexts = Vec::new();
        let frames = plan.mode.roles().len();
        let shape = vec![frames, 4, plan.height / 8, plan.width / 8];
        let mut draw = frame_noise(request.seed, &shape);
        let drawn = draw();
        let noise = request
            .noise
            .as_ref()
            .map_or(drawn, |noise| noise.data.clone());
        let init = self.init.as_ref().map(|init| init.data.repeat(frames));
        let mut latent = self.sampler.start(&noise, init.as_deref());
        let mut keep = |name: String, values: &[f32]| {
            if request.dump {
                let values = HostTensor::new(shape.clone(), values.to_vec());
                self.dump.insert(name, values);
            }
        };
        keep("latent.initial".into(), &latent);
        let steps = self.sampler.steps();
        let mut preview = None;
        for step in 0..=steps {
            let denoising = Event::Denoising {
                step,
                steps,
                preview: preview.take(),
            };
            if !observer.report(denoising).await {
                return Err(aborted());
            }
            if step == steps {
                break;
            }
            if prompts.changes_at(step) {
                contexts = prompts.contexts(step, &networks.device);
            }
            let input = self.sampler.model_input(step);
            let mut predicted = Vec::new();
            for context in &contexts {
                let rows = predict(
                    input,
                    &latent,
                    &shape,
                    context,
                    networks,
                    |batch, timesteps| {
                        let steering = steering.as_ref()?;
                        steering.residuals((step, steps), batch, timesteps, context)
                    },
                );
                predicted.extend(rows.await?);
            }
            let epsilon = guided(predicted, &shape, plan.guidance, prompts.weights())?;
            let wanted = request.preview_every;
            if wanted.is_some_and(|every| (step + 1).is_multiple_of(every)) {
                let denoised = self.sampler.denoised(step, &latent, &epsilon);
                let denoised = HostTensor::new(shape.clone(), denoised);
                let map = &self.manifest.preview;
                preview = Some(super::preview::preview(&denoised, map, networks).await?);
            }
            latent = self.sampler.step(step, &latent, &epsilon, &mut draw);
            keep(format!("latent.step.{step}"), &latent);
        }
        keep("latent.final".into(), &latent);
        let values = HostTensor::new(shape, latent);
        values.check_finite("the final latent")?;
        let latent = Latent {
            values,
            mode: plan.mode,
            seed: request.seed,
        };
        let (embeddings, warnings) = prompts.notes();
        Ok(Sampled {
            latent,
            dump: self.dump,
            embeddings,
            warnings,
        })
    }
}

/// Draws unit normal noise for all frames, each from a generator of its own: the seeds count up.
fn frame_noise(seed: u64, shape: &[usize]) -> impl FnMut() -> Vec<f32> + use<> {
    let length = shape[1..].iter().product();
    let seeds = (0..shape[0] as u64).map(|frame| seed.wrapping_add(frame));
    let mut generators: Vec<_> = seeds.map(NoiseGenerator::new).collect();
    move || {
        let frames = generators
            .iter_mut()
            .map(|generator| generator.normal(length));
        frames.collect::<Vec<_>>().concat()
    }
}

pub(super) fn aborted() -> Error {
    Error::new(ErrorCode::Aborted, "the work was aborted", "")
}

/// The UNet's output for every row of the batch that `context` is for.
async fn predict(
    input: ModelInput,
    latent: &[f32],
    shape: &[usize],
    context: &TextContext,
    networks: &Networks,
    residuals: impl FnOnce(&Tensor<4>, &[f32]) -> Option<Residuals>,
) -> Result<Vec<f32>> {
    let [rows, ..] = context.features().dims();
    let scaled: Vec<f32> = latent.iter().map(|value| value * input.scale).collect();
    let mut batched = shape.to_vec();
    batched[0] = rows;
    let batch = HostTensor::new(batched, scaled.repeat(rows / shape[0]));
    let batch = to_device(&batch, &networks.device);
    let timesteps = vec![input.timestep; rows];
    let predicted = match residuals(&batch, &timesteps) {
        Some(residuals) => {
            let unet = networks.unet();
            unet.forward_controlled(batch, &timesteps, context, residuals)
        }
        None => networks.unet().forward(batch, &timesteps, context),
    };
    host_values(predicted.into_data_async().await)
}

/// Epsilon of a latent of `shape`: the negative prompt's, and from there to each part of the prompt
/// by the guidance scale times its weight, where `predicted` has them all.
fn guided(
    predicted: Vec<f32>,
    shape: &[usize],
    guidance: f32,
    weights: &[f32],
) -> Result<Vec<f32>> {
    let values = shape.iter().product();
    let epsilon = match predicted.split_at(values) {
        (only, []) => only.to_vec(),
        (negative, positive) => {
            let mut epsilon = negative.to_vec();
            for (positive, weight) in positive.chunks_exact(values).zip(weights) {
                let scale = weight * guidance;
                for ((sum, negative), positive) in epsilon.iter_mut().zip(negative).zip(positive) {
                    *sum += scale * (positive - negative);
                }
            }
            epsilon
        }
    };
    let epsilon = HostTensor::new(shape, epsilon);
    epsilon.check_finite("the UNet's output")?;
    Ok(epsilon.data)
}
