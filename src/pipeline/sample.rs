use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::conditioning::{Conditioning, StepFeatures, StepPrompts};
use super::control::{ControlNetRun, residuals};
use super::guidance::Guidance;
use super::networks::Networks;
use super::observer::{Event, Observer};
use super::repaint::{Hold, Repaint};
use super::request::{Request, ResolvedRequest, Variation};
use crate::pack::{Lora, Manifest, Mode};
use crate::sampling::{Convention, ModelInput, NoiseGenerator, NoiseSchedule, Sampler, sampler};
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
    /// What is repainted, if something is: how the decoded picture is [finished](Repaint::finish).
    pub repaint: Option<Repaint>,
    /// Intermediate tensors, if they were asked for.
    pub dump: Dump,
    /// The names of the embeddings that the prompts name.
    pub embeddings: Vec<String>,
    /// The LoRAs that it was made with, the engine's own first, as strong as they were.
    pub loras: Vec<Lora>,
    /// What the request says that has no effect, in words for its author.
    pub warnings: Vec<String>,
}

/// A generation on its way from prompts to a finished latent.
pub(super) struct Sampling<'a> {
    request: &'a Request,
    plan: &'a ResolvedRequest,
    manifest: &'a Manifest,
    sampler: Box<dyn Sampler>,
    start: Start,
    pictures: usize,
    dump: Dump,
}

/// The sampler of a request, for an image-to-image `strength` where there is something to start from.
pub(super) fn sampler_for(
    request: &Request,
    plan: &ResolvedRequest,
    manifest: &Manifest,
    strength: Option<f64>,
) -> Result<Box<dyn Sampler>> {
    let schedule = NoiseSchedule::new(&manifest.config("scheduler")?)?;
    sampler(
        plan.sampler,
        request.convention,
        &schedule,
        plan.steps,
        strength,
    )
}

/// What a generation starts from beside noise.
#[derive(Default)]
pub(super) struct Start {
    /// Latent of the initial picture, one frame.
    pub init: Option<HostTensor>,
    /// What of it is repainted.
    pub repaint: Option<Repaint>,
    /// For an inpainting UNet, the latent of the picture without what is repainted.
    pub hidden: Option<HostTensor>,
}

impl<'a> Sampling<'a> {
    pub fn new(
        request: &'a Request,
        plan: &'a ResolvedRequest,
        manifest: &'a Manifest,
        start: Start,
        pictures: usize,
    ) -> Result<Self> {
        Ok(Self {
            request,
            plan,
            manifest,
            sampler: sampler_for(request, plan, manifest, request.resolved_strength())?,
            start,
            pictures,
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

    /// The second half: runs the UNet, step by step, on all pictures at once. `steering` are the ControlNets at work.
    pub async fn run(
        mut self,
        networks: &Networks,
        prompts: StepFeatures,
        steering: &[ControlNetRun<'_>],
        observer: &mut impl Observer,
    ) -> Result<Vec<Sampled>> {
        let (request, plan) = (self.request, self.plan);
        let mut contexts = Vec::new();
        let own_frames = plan.mode.roles().len();
        let frames = self.pictures * own_frames;
        let shape = vec![frames, 4, plan.height / 8, plan.width / 8];
        let mut draw = frame_noise(request.seed, &shape);
        let drawn = match request.variation {
            Some(Variation { seed, amount }) => {
                let mut one = shape.clone();
                one[0] = own_frames;
                let other = frame_noise(seed, &one)().repeat(self.pictures);
                let frame = shape[1..].iter().product();
                let frames = draw();
                let frames = frames.chunks(frame).zip(other.chunks(frame));
                frames
                    .flat_map(|(one, other)| on_sphere(one, other, amount))
                    .collect()
            }
            None => draw(),
        };
        let noise = request
            .noise
            .as_ref()
            .map_or(drawn, |noise| noise.data.clone());
        let init = self.start.init.as_ref();
        let init = init.map(|init| init.data.repeat(frames));
        let (hold, beside) = self.held(init.as_deref(), &noise);
        let init = init.filter(|_| !self.starts_from_noise_alone());
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
                contexts = prompts.contexts(step, self.pictures, &networks.device);
            }
            let input = self.sampler.model_input(step);
            let mut predicted = Vec::new();
            for context in &contexts {
                let rows = predict(
                    input,
                    &latent,
                    &shape,
                    context,
                    beside.as_ref(),
                    networks,
                    |batch, timesteps| {
                        residuals(steering, (step, steps), batch, timesteps, context)
                    },
                );
                predicted.extend(rows.await?);
            }
            let guidance = Guidance {
                scale: plan.guidance,
                weights: prompts.weights(),
                rescale: request.guidance_rescale,
            };
            let output = guidance.apply(predicted, &shape)?;
            let wanted = request.preview_every;
            if wanted.is_some_and(|every| (step + 1).is_multiple_of(every)) {
                let denoised = self.sampler.denoised(step, &latent, &output);
                let denoised = HostTensor::new(shape.clone(), denoised);
                let map = &self.manifest.preview;
                preview = Some(super::preview::preview(&denoised, map, networks).await?);
            }
            latent = self.sampler.step(step, &latent, &output, &mut draw);
            if let Some(hold) = &hold {
                hold.apply(&mut latent, step, &*self.sampler);
            }
            keep(format!("latent.step.{step}"), &latent);
        }
        keep("latent.final".into(), &latent);
        let mut own_shape = shape.clone();
        own_shape[0] = own_frames;
        let values = HostTensor::new(shape, latent);
        values.check_finite("the final latent")?;
        let each = values.data.chunks_exact(own_shape.iter().product());
        let seed_of = |picture: usize| request.seed.wrapping_add((picture * own_frames) as u64);
        let (embeddings, warnings) = prompts.notes();
        let sampled = each.enumerate().map(|(picture, values)| Sampled {
            latent: Latent {
                values: HostTensor::new(own_shape.clone(), values.to_vec()),
                mode: plan.mode,
                seed: seed_of(picture),
            },
            repaint: self.start.repaint.clone(),
            dump: std::mem::take(&mut self.dump),
            embeddings: embeddings.clone(),
            loras: Vec::new(),
            warnings: warnings.clone(),
        });
        Ok(sampled.collect())
    }
}

impl Sampling<'_> {
    /// What is repainted from the ground up, in diffusers' pipeline.
    fn starts_from_noise_alone(&self) -> bool {
        let convention = self.plan.sampler.resolve(self.request.convention);
        let diffusers = convention.is_ok_and(|convention| convention == Convention::Diffusers);
        let wholly = self.request.resolved_strength() == Some(1.0);
        self.start.repaint.is_some() && wholly && diffusers
    }

    /// What keeps a part of the latent as it is: cells that are held or, for an inpainting UNet, what it
    /// sees beside the latent, `[1, 5, height/8, width/8]`.
    fn held(&self, init: Option<&[f32]>, noise: &[f32]) -> (Option<Hold>, Option<HostTensor>) {
        let (Some(repaint), Some(init)) = (&self.start.repaint, init) else {
            return (None, None);
        };
        let (width, height) = (self.plan.width / 8, self.plan.height / 8);
        let mask = repaint.cells(width, height);
        match &self.start.hidden {
            Some(hidden) => {
                let is_free = |value: &f32| f32::from(*value > 0.0);
                let values = mask.iter().map(is_free).chain(hidden.data.iter().copied());
                (
                    None,
                    Some(HostTensor::new([1, 5, height, width], values.collect())),
                )
            }
            None => {
                let (init, noise) = (init.to_vec(), noise.to_vec());
                (Some(Hold { init, mask, noise }), None)
            }
        }
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

/// The place `amount` of the way from one noise to another on the sphere (slerp).
fn on_sphere(from: &[f32], to: &[f32], amount: f64) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let cosine = dot(from, to) / (dot(from, from) * dot(to, to)).sqrt();
    let angle = cosine.clamp(-1.0, 1.0).acos();
    // Between directions that are nearly the same, the way is straight.
    let (keep, take) = match angle.sin() {
        sine if sine < 1e-3 => (1.0 - amount, amount),
        sine => (
            ((1.0 - amount) * angle).sin() / sine,
            (amount * angle).sin() / sine,
        ),
    };
    let mix = |(from, to): (&f32, &f32)| (keep * f64::from(*from) + take * f64::from(*to)) as f32;
    from.iter().zip(to).map(mix).collect()
}

pub(super) fn aborted() -> Error {
    Error::new(ErrorCode::Aborted, "the work was aborted", "")
}

/// The UNet's output for every row of the batch that `context` is for. What it sees `beside` the latent
/// is the same for all.
async fn predict(
    input: ModelInput,
    latent: &[f32],
    shape: &[usize],
    context: &TextContext,
    beside: Option<&HostTensor>,
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
    let residuals = residuals(&batch, &timesteps);
    let batch = match beside {
        Some(beside) => {
            let beside = to_device(beside, &networks.device).repeat_dim(0, rows);
            Tensor::cat(vec![batch, beside], 1)
        }
        None => batch,
    };
    let predicted = match residuals {
        Some(residuals) => {
            let unet = networks.unet();
            unet.forward_controlled(batch, &timesteps, context, residuals)
        }
        None => networks.unet().forward(batch, &timesteps, context),
    };
    host_values(predicted.into_data_async().await)
}
