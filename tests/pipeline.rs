//! Whole generations against the reference implementations, step by step.

mod support;

use burn::tensor::Device;
use glassine::pipeline::{Engine, Generation, Mode, Quiet, Request};
use glassine::sampling::{Convention, SamplerName};
use glassine::weights::HostTensor;
use support::{Case, Tolerance, model};

fn generate(request: &Request) -> Generation {
    let source = model::pack().clone();
    pollster::block_on(async {
        let mut engine = Engine::load(source, Device::flex(), &mut Quiet).await?;
        engine.generate(request, &mut Quiet).await
    })
    .unwrap()
}

/// The request that a case of golden/pipeline describes.
fn text_to_image(case: &Case) -> Request {
    let (sampler, convention) = match case.text("/sampler") {
        "ddim" => (SamplerName::Ddim, None),
        "dpmpp_2m_karras_kdiff" => (SamplerName::Dpmpp2mKarras, Some(Convention::KDiffusion)),
        "dpmpp_2m_karras_diffusers" => (SamplerName::Dpmpp2mKarras, Some(Convention::Diffusers)),
        other => panic!("the tests do not know the sampler {other}"),
    };
    let negative = case.description()["negative_prompt"].as_str();
    Request {
        negative_prompt: negative.unwrap_or_default().into(),
        mode: Some(Mode::Opaque),
        width: Some(case.number("/width") as usize),
        height: Some(case.number("/height") as usize),
        steps: Some(case.number("/steps") as usize),
        guidance: Some(case.number("/guidance_scale") as f32),
        sampler: Some(sampler),
        convention,
        seed: case.number("/seed") as u64,
        dump: true,
        ..Request::new(case.text("/prompt"))
    }
}

#[test]
fn text_becomes_the_pictures_that_diffusers_makes() {
    for name in [
        "t2i_64x64_ddim",
        "t2i_64x64_ddim_seed2",
        "t2i_64x64_dpmpp_2m_karras_diffusers",
        "t2i_64x64_dpmpp_2m_karras_kdiff",
        "t2i_128x64_ddim",
        "t2i_128x64_dpmpp_2m_karras_diffusers",
        "t2i_128x64_dpmpp_2m_karras_kdiff",
        "t2i_nocfg_ddim",
        "t2i_nocfg_dpmpp_2m_karras_kdiff",
    ] {
        let case = Case::load(&format!("pipeline/{name}"));
        let generation = generate(&text_to_image(&case));
        let dump = &generation.dump;
        let mut context = dump
            .get("text.uncond")
            .map_or(vec![], |tensor| tensor.data.clone());
        context.extend(&dump["text.cond"].data);
        case.check("context", &context);
        case.check("start_latent", &dump["latent.initial"].data);
        let steps = case.number("/steps") as usize;
        let latents: Vec<f32> = (0..steps)
            .flat_map(|step| dump[&format!("latent.step.{step}")].data.clone())
            .collect();
        case.check("latents", &latents);
        case.check("final_latent", &dump["latent.final"].data);
        case.check("image01", &dump["pixel"].data);
        assert!(
            generation.layers[0]
                .picture
                .rgba
                .chunks(4)
                .all(|pixel| pixel[3] == 255)
        );
    }
}

#[test]
fn text_becomes_the_transparent_picture_that_layerdiffuse_makes() {
    let case = Case::load("layerdiffuse/e2e_single");
    let noise = case.tensor("noise");
    let generation = generate(&Request {
        negative_prompt: case.text("/settings/negative").into(),
        mode: Some(Mode::Single),
        width: Some(128),
        height: Some(128),
        steps: Some(6),
        guidance: Some(7.0),
        convention: Some(Convention::LayerDiffuse),
        seed: 12345,
        noise: Some(HostTensor::new(noise.shape.clone(), noise.f32())),
        dump: true,
        ..Request::new(case.text("/settings/prompt"))
    });
    let dump = &generation.dump;
    let relative = case.number("/tolerance/latent_rel_to_max");
    for name in dump.keys().filter(|name| name.starts_with("latent.")) {
        let tolerance = Tolerance::max_abs(relative * case.tensor(name).peak());
        case.check_within(name, &dump[name].data, tolerance);
    }
    for name in ["pixel", "rgba"] {
        let tolerance = Tolerance::max_abs(case.number(&format!("/tolerance/{name}_max_abs")));
        case.check_within(name, &dump[name].data, tolerance);
    }
    let expected = case.tensor("u8.foreground").u8();
    let got = &generation.layers[0].picture.rgba;
    let differences = got.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b));
    let equal = differences
        .clone()
        .filter(|difference| *difference == 0)
        .count();
    assert!(
        equal * 100 >= expected.len() * 97,
        "{equal} of {} bytes are equal",
        expected.len()
    );
    assert!(differences.max() <= Some(2));
}

#[test]
fn a_seed_draws_the_noise_that_the_reference_drew() {
    let case = Case::load("layerdiffuse/e2e_single");
    let drawn = glassine::sampling::NoiseGenerator::new(12345).normal(4 * 16 * 16);
    case.check_within("noise", &drawn, Tolerance::max_abs(5e-6));
}
