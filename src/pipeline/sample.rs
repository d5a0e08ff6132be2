use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::control::ControlNetRun;
use super::guidance::guided;
use super::networks::Networks;
use super::observer::{Event, Observer};
use super::request::{Request, ResolvedRequest};
use crate::pack::Manifest;
use crate::pack::{Mode, Role};
use crate::sampling::{ModelInput, NoiseGenerator, NoiseSchedule, Sampler, sampler};
use crate::text::{Prompt, TextEncoder, Tokenizer};
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

    /// The first half: runs the text encoder. Gives text features for the rows of a batch: the
    /// negative prompt for every frame, if there is guidance, then each frame's own prompt. They are
    /// read back, so that no work is left that needs the text encoder, which may be freed now.
    pub async fn encode(
        &mut self,
        tokenizer: &Tokenizer,
        encoder: &TextEncoder,
        observer: &mut impl Observer,
    ) -> Result<HostTensor> {
        if !observer.report(Event::Encoding).await {
            return Err(aborted());
        }
        let request = self.request;
        let roles = self.plan.mode.roles();
        let guided = self.plan.has_negative_rows;
        let mut texts = vec![request.prompt.clone()];
        texts.extend(roles.iter().map(|role| frame_prompt(request, *role)));
        texts.extend(guided.then(|| request.negative_prompt.clone()));
        let length = self.manifest.text_encoder()?.max_position_embeddings;
        let prompts = Prompt::batch(&texts, tokenizer, length);
        let (main, rest) = prompts.split_at(1);
        let (frames, negative) = rest.split_at(roles.len());
        let encode = |prompts: &[Prompt]| Prompt::encode(prompts, encoder);
        let positive = encode(frames);
        let negative = guided.then(|| encode(negative));
        if request.dump {
            keep_features("text.cond", &encode(main), &mut self.dump).await?;
            if roles.len() > 1 {
                keep_features("text.cond.frames", &positive, &mut self.dump).await?;
            }
            if let Some(negative) = &negative {
                keep_features("text.uncond", negative, &mut self.dump).await?;
            }
        }
        let context = match negative {
            Some(negative) => Tensor::cat(vec![negative.repeat_dim(0, roles.len()), positive], 0),
            None => positive,
        };
        let shape = context.dims();
        let values = host_values(context.into_data_async().await)?;
        Ok(HostTensor::new(shape, values))
    }

    /// The second half: runs the UNet, step by step. `steering` is the ControlNet at work, if there
    /// is a control picture.
    pub async fn run(
        mut self,
        networks: &Networks,
        context: &HostTensor,
        steering: Option<ControlNetRun<'_>>,
        observer: &mut impl Observer,
    ) -> Result<Sampled> {
        let (request, plan) = (self.request, self.plan);
        let context = &TextContext::from(to_device(context, &networks.device));
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
            let input = self.sampler.model_input(step);
            let predicted = predict(
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
            let output = guided(
                predicted.await?,
                &shape,
                plan.guidance,
                request.guidance_rescale,
            )?;
            let wanted = request.preview_every;
            if wanted.is_some_and(|every| (step + 1).is_multiple_of(every)) {
                let denoised = self.sampler.denoised(step, &latent, &output);
                let denoised = HostTensor::new(shape.clone(), denoised);
                let map = &self.manifest.preview;
                preview = Some(super::preview::preview(&denoised, map, networks).await?);
            }
            latent = self.sampler.step(step, &latent, &output, &mut draw);
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
        let dump = self.dump;
        Ok(Sampled { latent, dump })
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

/// The text that steers a frame: what was said of it in particular, then the main prompt.
fn frame_prompt(request: &Request, role: Role) -> String {
    let own = match role {
        Role::Foreground => &request.foreground_prompt,
        Role::Background => &request.background_prompt,
        Role::Blended => &request.blended_prompt,
        Role::Image => "",
    };
    match own {
        "" => request.prompt.clone(),
        own => format!("{own}, {}", request.prompt),
    }
}

async fn keep_features(name: &str, features: &Tensor<3>, dump: &mut Dump) -> Result<()> {
    let values = host_values(features.to_data_async().await)?;
    dump.insert(name.into(), HostTensor::new(features.dims(), values));
    Ok(())
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
