use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::control::Steering;
use super::engine::Models;
use super::preview::preview;
use super::request::{Plan, Request};
use super::{Event, Mode, Observer, Role, host_values, to_device};
use crate::sampling::{NoiseGenerator, NoiseSchedule, Sampler, sampler};
use crate::text::{Prompt, Tokenizer};
use crate::weights::{HostTensor, Manifest};
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

/// What sampling works with.
pub(super) struct Inputs<'a> {
    pub request: &'a Request,
    pub plan: &'a Plan,
    pub manifest: &'a Manifest,
    pub tokenizer: &'a Tokenizer,
    pub models: &'a Models,
    /// Latent of the initial picture, one frame.
    pub init: Option<HostTensor>,
    /// The ControlNet at work, if there is a control picture.
    pub steering: Option<Steering<'a>>,
}

/// Runs text encoder and UNet.
pub(super) async fn sample(inputs: Inputs<'_>, observer: &mut impl Observer) -> Result<Sampled> {
    let Inputs {
        request,
        plan,
        manifest,
        models,
        ..
    } = inputs;
    let schedule = NoiseSchedule::new(&manifest.config("scheduler")?)?;
    let strength = inputs.init.as_ref().map(|_| request.strength);
    let convention = request.convention;
    let mut sampler = sampler(plan.sampler, convention, &schedule, plan.steps, strength)?;
    if !observer.report(Event::Encoding).await {
        return Err(aborted());
    }
    let mut dump = Dump::new();
    let context = encode_prompts(&inputs, &mut dump).await?;
    let frames = plan.mode.roles().len();
    let shape = vec![frames, 4, plan.height / 8, plan.width / 8];
    let mut draw = frame_noise(request.seed, &shape);
    let drawn = draw();
    let noise = request
        .noise
        .as_ref()
        .map_or(drawn, |noise| noise.data.clone());
    let init = inputs.init.as_ref().map(|init| init.data.repeat(frames));
    let mut latent = sampler.start(&noise, init.as_deref());
    let mut keep = |name: String, values: &[f32]| {
        if request.dump {
            dump.insert(name, HostTensor::new(shape.clone(), values.to_vec()));
        }
    };
    keep("latent.initial".into(), &latent);
    let steps = sampler.steps();
    for step in 0..steps {
        let denoising = Event::Denoising {
            step,
            steps,
            preview: None,
        };
        if step == 0 && !observer.report(denoising).await {
            return Err(aborted());
        }
        let epsilon = guided_epsilon(&*sampler, step, &latent, &shape, &context, &inputs).await?;
        let wanted = request
            .preview_every
            .is_some_and(|every| (step + 1).is_multiple_of(every));
        let preview = match wanted {
            true => {
                let denoised = sampler.denoised(step, &latent, &epsilon);
                let denoised = HostTensor::new(shape.clone(), denoised);
                Some(preview(&denoised, &manifest.preview, models).await?)
            }
            false => None,
        };
        latent = sampler.step(step, &latent, &epsilon, &mut draw);
        keep(format!("latent.step.{step}"), &latent);
        let denoising = Event::Denoising {
            step: step + 1,
            steps,
            preview,
        };
        if !observer.report(denoising).await {
            return Err(aborted());
        }
    }
    keep("latent.final".into(), &latent);
    let values = HostTensor::new(shape, latent);
    values.check_finite("the final latent")?;
    let latent = Latent {
        values,
        mode: plan.mode,
        seed: request.seed,
    };
    Ok(Sampled { latent, dump })
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

/// Text features for the rows of a batch: the negative prompt for every frame, if there is
/// guidance, then each frame's own prompt.
async fn encode_prompts(inputs: &Inputs<'_>, dump: &mut Dump) -> Result<Tensor<3>> {
    let (request, models) = (inputs.request, inputs.models);
    let roles = inputs.plan.mode.roles();
    let guided = inputs.plan.guidance != 1.0;
    let mut texts = vec![request.prompt.clone()];
    texts.extend(roles.iter().map(|role| frame_prompt(request, *role)));
    texts.extend(guided.then(|| request.negative_prompt.clone()));
    let length = inputs.manifest.text_encoder()?.max_position_embeddings;
    let prompts = Prompt::batch(&texts, inputs.tokenizer, length);
    let (main, rest) = prompts.split_at(1);
    let (frames, negative) = rest.split_at(roles.len());
    let encode = |prompts: &[Prompt]| Prompt::encode(prompts, &models.text_encoder);
    let positive = encode(frames);
    let negative = guided.then(|| encode(negative));
    if request.dump {
        keep_features("text.cond", &encode(main), dump).await?;
        if roles.len() > 1 {
            keep_features("text.cond.frames", &positive, dump).await?;
        }
        if let Some(negative) = &negative {
            keep_features("text.uncond", negative, dump).await?;
        }
    }
    Ok(match negative {
        Some(negative) => Tensor::cat(vec![negative.repeat_dim(0, roles.len()), positive], 0),
        None => positive,
    })
}

async fn keep_features(name: &str, features: &Tensor<3>, dump: &mut Dump) -> Result<()> {
    let values = host_values(features.to_data_async().await)?;
    dump.insert(name.into(), HostTensor::new(features.dims(), values));
    Ok(())
}

/// The UNet's epsilon, extrapolated from the negative prompt's to the prompt's by the guidance
/// scale.
async fn guided_epsilon(
    sampler: &dyn Sampler,
    step: usize,
    latent: &[f32],
    shape: &[usize],
    context: &Tensor<3>,
    inputs: &Inputs<'_>,
) -> Result<Vec<f32>> {
    let input = sampler.model_input(step);
    let rows = context.dims()[0];
    let branches = rows / shape[0];
    let scaled: Vec<f32> = latent.iter().map(|value| value * input.scale).collect();
    let mut batched = shape.to_vec();
    batched[0] = rows;
    let batch = to_device(
        &HostTensor::new(batched, scaled.repeat(branches)),
        &context.device(),
    );
    let (unet, timesteps) = (&inputs.models.unet, vec![input.timestep; rows]);
    let residuals = inputs.steering.as_ref().and_then(|steering| {
        steering.residuals((step, sampler.steps()), &batch, &timesteps, context)
    });
    let predicted = match residuals {
        Some(residuals) => unet.forward_controlled(batch, &timesteps, context, residuals),
        None => unet.forward(batch, &timesteps, context),
    };
    let predicted = host_values(predicted.into_data_async().await)?;
    let epsilon = match predicted.split_at(predicted.len() / branches) {
        (only, []) => only.to_vec(),
        (negative, positive) => negative
            .iter()
            .zip(positive)
            .map(|(negative, positive)| negative + inputs.plan.guidance * (positive - negative))
            .collect(),
    };
    let epsilon = HostTensor::new(shape.to_vec(), epsilon);
    epsilon.check_finite("the UNet's output")?;
    Ok(epsilon.data)
}
