//! The transparency decoder and the single-picture adapter against the reference implementation.

mod support;

use burn::tensor::Tensor;
use glassine::transparency::{PASSES, TransparencyDecoder, lower_median, turn, turn_back};
use glassine::unet::Unet;
use support::{Case, Tolerance, model, values_of};

#[test]
fn decoder_reads_alpha_in_one_pass_and_in_eight() {
    let case = Case::load("layerdiffuse/decoder");
    let (weights, _) = model::weights();
    let decoder = TransparencyDecoder::load(&weights.at("transparency_decoder")).unwrap();
    assert_eq!(decoder.size_multiple(), 64);
    for size in ["128x128", "192x128"] {
        let pixels = case.on_device::<4>(&format!("{size}.pixel"));
        let latent = case.on_device::<4>(&format!("{size}.latent"));
        let raw = decoder.forward(pixels.clone(), latent.clone());
        let tolerance = Tolerance::max_abs(case.number("/tolerance/raw_max_abs"));
        case.check_within(&format!("{size}.raw"), &values_of(raw), tolerance);

        let passes: Vec<_> = PASSES
            .into_iter()
            .map(|pass| {
                let output =
                    decoder.forward(turn(pixels.clone(), pass), turn(latent.clone(), pass));
                values_of(turn_back(output.clamp(0.0, 1.0), pass))
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
    for pass in PASSES {
        let there_and_back = turn_back(turn(picture.clone(), pass), pass);
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
    let context = case.on_device::<3>("context");
    let tolerance = Tolerance::max_abs(case.number("/tolerance/eps_max_abs"));
    for timestep in case.tensor("timesteps").f32() {
        let epsilon = unet.forward(case.on_device("sample"), &[timestep; 4], &context);
        case.check_within(&format!("eps.t{timestep}"), &values_of(epsilon), tolerance);
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
