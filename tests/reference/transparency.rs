//! The transparency decoder and the single-picture adapter against the reference implementation.

use crate::support::{Case, Tolerance, model, values_of, whole_golden};
use burn::tensor::Tensor;
use glassine::image::{Picture, padded_rgb};
use glassine::internals::transparency::{
    AUGMENTATIONS, ConditionEncoder, OFFSET_GAIN, TransparencyDecoder, TransparencyEncoder,
    augment, lower_median, undo_augment,
};
use glassine::internals::unet::Unet;
use glassine::internals::vae::VaeEncoder;

#[test]
fn decoder_reads_alpha_in_one_pass_and_in_eight() {
    let case = Case::load("layerdiffuse/decoder");
    let (weights, _) = model::weights();
    let decoder = TransparencyDecoder::load(&weights.at("transparency_decoder")).unwrap();
    assert_eq!(TransparencyDecoder::size_multiple(7), 64);
    let sizes: &[&str] = if whole_golden() {
        &["128x128", "192x128"]
    } else {
        &["128x128"]
    };
    for size in sizes {
        let pixels = case.on_device::<4>(&format!("{size}.pixel"));
        let latent = case.on_device::<4>(&format!("{size}.latent"));
        let raw = decoder.forward(pixels.clone(), latent.clone());
        let tolerance = Tolerance::max_abs(case.number("/tolerance/raw_max_abs"));
        case.check_within(&format!("{size}.raw"), &values_of(raw), tolerance);

        let passes: Vec<_> = AUGMENTATIONS
            .into_iter()
            .map(|pass| {
                let output =
                    decoder.forward(augment(pixels.clone(), pass), augment(latent.clone(), pass));
                values_of(undo_augment(output.clamp(0.0, 1.0), pass))
            })
            .collect();
        let tolerance = Tolerance::max_abs(case.number("/tolerance/augmented_max_abs"));
        case.check_within(
            &format!("{size}.augmented"),
            &lower_median(&passes),
            tolerance,
        );
    }
}

#[test]
fn turning_back_undoes_every_turn() {
    let device = burn::tensor::Device::flex();
    let picture = Tensor::<1, burn::tensor::Int>::arange(0..24, &device).float();
    let picture = picture.reshape([1, 1, 4, 6]);
    for pass in AUGMENTATIONS {
        let there_and_back = undo_augment(augment(picture.clone(), pass), pass);
        assert_eq!(
            values_of(there_and_back),
            values_of(picture.clone()),
            "{pass:?}"
        );
    }
}

#[test]
fn lower_median_of_eight_is_the_fourth_smallest() {
    let passes: Vec<Vec<f32>> = [7.0, 1.0, 5.0, 3.0, 8.0, 2.0, 6.0, 4.0]
        .map(|v| vec![v])
        .into();
    assert_eq!(lower_median(&passes), [4.0]);
}

#[test]
fn folded_adapter_predicts_the_epsilon_of_the_unfolded_one() {
    let case = Case::load("layerdiffuse/attn_single");
    let (weights, pack) = model::weights();
    let config = pack.manifest().unet().unwrap();
    let adapter = weights.at("layers.attn");
    let unet = Unet::load(&config, &weights.at("unet"), Some(&adapter)).unwrap();
    check_epsilons(&case, &unet, "context");
}

/// Fails unless `unet` predicts the case's epsilon at each of its timesteps.
fn check_epsilons(case: &Case, unet: &Unet, context: &str) {
    let context = case.on_device::<3>(context);
    let rows = context.dims()[0];
    let tolerance = Tolerance::max_abs(case.number("/tolerance/eps_max_abs"));
    for timestep in case.tensor("timesteps").f32() {
        let timesteps = vec![timestep; rows];
        let epsilon = unet.forward(
            case.on_device("sample"),
            &timesteps,
            &context.clone().into(),
        );
        case.check_within(&format!("eps.t{timestep}"), &values_of(epsilon), tolerance);
    }
}

fn adapted_unet(component: &str) -> Unet {
    let (weights, pack) = model::weights();
    let config = pack.manifest().unet().unwrap();
    let adapter = weights.at(component);
    Unet::load(&config, &weights.at("unet"), Some(&adapter)).unwrap()
}

#[test]
fn three_frames_share_attention() {
    let case = Case::load("layerdiffuse/attn_joint");
    check_epsilons(&case, &adapted_unet("layers.joint"), "context_effective");
}

#[test]
fn a_condition_steers_two_frames() {
    let case = Case::load("layerdiffuse/attn_control");
    let mut unet = adapted_unet("layers.fg2bg");
    unet.set_condition(case.on_device("hint_input"));
    check_epsilons(&case, &unet, "context_effective");

    let (weights, _) = model::weights();
    let hints = ConditionEncoder::load(&weights.at("layers.fg2bg.kwargs_encoder")).unwrap();
    let tolerance = Tolerance::max_abs(case.number("/tolerance/hint_max_abs"));
    for (level, map) in hints
        .forward(case.on_device("hint_input"))
        .into_iter()
        .enumerate()
    {
        case.check_within(&format!("hint_map.{level}"), &values_of(map), tolerance);
    }
    let condition = picture(&case, "condition.rgba");
    case.check_within("hint_input", &condition.on_grey(), Tolerance::max_abs(1e-6));
}

/// The picture in a tensor `[height, width, 4]` of bytes.
fn picture(case: &Case, name: &str) -> Picture {
    let tensor = case.tensor(name);
    Picture {
        width: tensor.shape[1],
        height: tensor.shape[0],
        rgba: tensor.u8(),
    }
}

#[test]
fn encoder_hides_alpha_in_the_latent() {
    let case = Case::load("layerdiffuse/encoder");
    let (weights, pack) = model::weights();
    let encoder = TransparencyEncoder::load(&weights.at("transparency_encoder")).unwrap();
    let vae = VaeEncoder::load(&pack.manifest().vae().unwrap(), &weights.at("vae")).unwrap();
    for size in ["64x64", "128x64"] {
        let name = |leaf: &str| format!("{size}.{leaf}");
        let picture = picture(&case, &name("rgba"));
        let mut input = picture.alpha();
        input.extend(padded_rgb(&picture));
        case.check_within(&name("net_input"), &input, Tolerance::max_abs(1e-5));
        case.check_within(
            &name("vae_input"),
            &picture.on_grey(),
            Tolerance::max_abs(1e-6),
        );

        let offset = values_of(encoder.forward(case.on_device(&name("net_input"))));
        let tolerance = Tolerance::max_abs(case.number("/tolerance/offset_max_abs"));
        case.check_within(&name("offset"), &offset, tolerance);
        let posterior = vae.forward(case.on_device(&name("vae_input")));
        let (mean, std) = (values_of(posterior.mean), values_of(posterior.std));
        let tolerance = Tolerance::max_abs(case.number("/tolerance/posterior_max_abs"));
        case.check_within(&name("posterior.mean"), &mean, tolerance);
        case.check_within(&name("posterior.std"), &std, tolerance);

        for gain in [1.0, OFFSET_GAIN] {
            let adjusted = mean.iter().zip(&std).zip(&offset);
            let latent: Vec<f32> = adjusted
                .map(|((mean, std), offset)| (mean + std * gain * offset) * 0.18215)
                .collect();
            let name = name(&format!("z_gain{gain}"));
            let relative = case.number("/tolerance/z_rel_to_max");
            let tolerance = Tolerance::max_abs(relative * case.tensor(&name).peak());
            case.check_within(&name, &latent, tolerance);
        }
    }
}

#[test]
fn temporal_attention_folds_into_the_expected_map() {
    let case = Case::load("layerdiffuse/attn_single");
    let (weights, _) = model::weights();
    let adapter = weights.at("layers.attn");
    for (unit, pointer) in [(8, "/debug_units/8"), (31, "/debug_units/31")] {
        let temporal = adapter.at(case.text(pointer)).at("temporal");
        let weight = values_of(temporal.take::<2>("weight").unwrap());
        let bias = values_of(temporal.take::<1>("bias").unwrap());
        for (leaf, got) in [("weight", weight), ("bias", bias)] {
            let name = format!("unit{unit}.folded.{leaf}");
            // Rounding of f32 against the reference's own folding.
            let tolerance = Tolerance::max_abs(1e-6 * case.tensor(&name).peak());
            case.check_within(&name, &got, tolerance);
        }
    }
}
