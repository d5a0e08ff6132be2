use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::engine::Models;
use super::preview::preview;
use super::request::{Plan, Request};
use super::{Event, Mode, Observer, host_values, to_device};
use crate::sampling::{NoiseGenerator, NoiseSchedule, Sampler, sampler};
use crate::text::Tokenizer;
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
    /// The seed it was made from.
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

/// Runs text encoder and UNet.
pub(super) async fn sample(
    request: &Request,
    plan: &Plan,
    manifest: &Manifest,
    tokenizer: &Tokenizer,
    models: &Models,
    observer: &mut impl Observer,
) -> Result<Sampled> {
    let schedule = NoiseSchedule::new(&manifest.config("scheduler")?)?;
    let mut sampler = sampler(
        plan.sampler,
        request.convention,
        &schedule,
        plan.steps,
        None,
    )?;
    if !observer.report(Event::Encoding).await {
        return Err(aborted());
    }
    let mut dump = Dump::new();
    let guided = plan.guidance != 1.0;
    let context = encode_prompts(request, guided, manifest, tokenizer, models);
    if request.dump {
        dump_context(&context, guided, &mut dump).await?;
    }
    let shape = vec![1, 4, plan.height / 8, plan.width / 8];
    let length: usize = shape.iter().product();
    let mut generator = NoiseGenerator::new(request.seed);
    let drawn = generator.normal(length);
    let noise = request
        .noise
        .as_ref()
        .map_or(drawn, |noise| noise.data.clone());
    let mut latent = sampler.start(&noise, None);
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
        let epsilon =
            guided_epsilon(&*sampler, step, &latent, &shape, &context, plan, models).await?;
        let wanted = request
            .preview_every
            .is_some_and(|every| (step + 1).is_multiple_of(every));
        let preview = wanted.then(|| {
            let denoised = sampler.denoised(step, &latent, &epsilon);
            preview(&denoised, shape[3], shape[2], &manifest.preview)
        });
        latent = sampler.step(step, &latent, &epsilon, &mut || generator.normal(length));
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

pub(super) fn aborted() -> Error {
    Error::new(ErrorCode::Aborted, "the work was aborted", "")
}

/// Features of the negative prompt, if there is guidance, and of the prompt, as rows.
fn encode_prompts(
    request: &Request,
    guided: bool,
    manifest: &Manifest,
    tokenizer: &Tokenizer,
    models: &Models,
) -> Tensor<3> {
    let length = manifest
        .text_encoder()
        .map_or(77, |config| config.max_position_embeddings);
    let negative = guided.then_some(&request.negative_prompt);
    let prompts = negative.into_iter().chain([&request.prompt]);
    let ids: Vec<_> = prompts
        .map(|prompt| tokenizer.encode_padded(prompt, length))
        .collect();
    models.text_encoder.forward(&ids)
}

async fn dump_context(context: &Tensor<3>, guided: bool, dump: &mut Dump) -> Result<()> {
    let [rows, tokens, features] = context.dims();
    let values = host_values(context.to_data_async().await)?;
    let names: &[&str] = if guided {
        &["text.uncond", "text.cond"]
    } else {
        &["text.cond"]
    };
    for (name, row) in names.iter().zip(values.chunks(values.len() / rows)) {
        let row = HostTensor::new([1, tokens, features], row.to_vec());
        dump.insert((*name).into(), row);
    }
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
    plan: &Plan,
    models: &Models,
) -> Result<Vec<f32>> {
    let input = sampler.model_input(step);
    let rows = context.dims()[0];
    let scaled: Vec<f32> = latent.iter().map(|value| value * input.scale).collect();
    let mut batched = shape.to_vec();
    batched[0] = rows;
    let batch = to_device(
        &HostTensor::new(batched, scaled.repeat(rows)),
        &context.device(),
    );
    let predicted = models
        .unet
        .forward(batch, &vec![input.timestep; rows], context);
    let predicted = host_values(predicted.into_data_async().await)?;
    let epsilon = match predicted.split_at(predicted.len() / rows) {
        (only, []) => only.to_vec(),
        (negative, positive) => negative
            .iter()
            .zip(positive)
            .map(|(negative, positive)| negative + plan.guidance * (positive - negative))
            .collect(),
    };
    let epsilon = HostTensor::new(shape.to_vec(), epsilon);
    epsilon.check_finite("the UNet's output")?;
    Ok(epsilon.data)
}
