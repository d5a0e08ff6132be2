//! Text encoder, UNet and VAE against the reference implementations.

mod support;

use glassine::text::TextEncoder;
use glassine::unet::Unet;
use glassine::vae::{Posterior, VaeDecoder, VaeEncoder};
use support::{Case, model, values_of};

#[test]
fn text_encoder_turns_ids_into_features() {
    let case = Case::load("text");
    let (weights, pack) = model::weights();
    let config = pack.manifest().text_encoder().unwrap();
    let encoder = TextEncoder::load(&config, &weights.at("text_encoder")).unwrap();
    let ids: Vec<Vec<u32>> = (0..3)
        .map(|row| case.tensor("input_ids").row(row).u32())
        .collect();
    case.check("last_hidden_state", &values_of(encoder.forward(&ids)));
    case.check("clip_skip_2", &values_of(encoder.forward_skipping(&ids, 1)));
}

fn unet() -> Unet {
    let (weights, pack) = model::weights();
    Unet::load(&pack.manifest().unet().unwrap(), &weights.at("unet"), None).unwrap()
}

#[test]
fn unet_predicts_epsilon_at_every_size_and_timestep() {
    let unet = unet();
    for name in [
        "unet/square",
        "unet/tall",
        "unet/wide",
        "unet/odd_optional",
        "unet/debug",
    ] {
        let case = Case::load(name);
        let context = case.on_device::<3>("context");
        let rows = context.dims()[0];
        for expected in case.expected_names() {
            let timesteps = match expected {
                "eps_per_item" => case.f32("timestep_per_item"),
                "eps" => vec![case.number("/timestep") as f32; rows],
                _ => match expected.strip_prefix("eps_t") {
                    Some(timestep) => vec![timestep.parse().unwrap(); rows],
                    None => continue,
                },
            };
            let epsilon = unet.forward(case.on_device("latent"), &timesteps, &context);
            case.check(expected, &values_of(epsilon));
        }
    }
}

#[test]
fn timesteps_become_cosines_and_sines() {
    let case = Case::load("unet/debug");
    let features = glassine::nn::timestep_embedding(&[case.number("/timestep") as f32], 64);
    case.check("time_proj", &features.data);
}

#[test]
fn vae_decodes_latents_of_every_size() {
    let (weights, pack) = model::weights();
    let config = pack.manifest().vae().unwrap();
    let decoder = VaeDecoder::load(&config, &weights.at("vae")).unwrap();
    for name in ["vae/decode_square", "vae/decode_tall"] {
        let case = Case::load(name);
        let latent = case.on_device::<4>("latent") / config.scaling_factor;
        let image = decoder.forward(latent);
        case.check("image", &values_of(image.clone()));
        case.check("image01", &values_of((image * 0.5 + 0.5).clamp(0.0, 1.0)));
    }
    let case = Case::load("vae/debug");
    let image = decoder.forward(case.on_device("latent"));
    case.check("image_out", &values_of(image));
}

#[test]
fn vae_encodes_pictures_of_every_size() {
    let (weights, pack) = model::weights();
    let config = pack.manifest().vae().unwrap();
    let encoder = VaeEncoder::load(&config, &weights.at("vae")).unwrap();
    for name in ["vae/encode_square", "vae/encode_wide"] {
        let case = Case::load(name);
        let posterior = encoder.forward(case.on_device("image"));
        case.check("mean", &values_of(posterior.mean));
        case.check("std", &values_of(posterior.std));
    }
}

#[test]
fn posterior_clamps_extreme_variances() {
    let case = Case::load("vae/posterior_clamp");
    let posterior = Posterior::from_moments(case.on_device("moments"));
    let (mean, std) = (values_of(posterior.mean), values_of(posterior.std));
    case.check("mean", &mean);
    case.check("std", &std);
    // Deviations span eleven orders of magnitude, so that the case asks for a relative comparison.
    for (got, expected) in std.iter().zip(case.f32("std")) {
        assert!(
            (got - expected).abs() <= 1e-5 * expected,
            "std {got}, expected {expected}"
        );
    }
}
