//! LoRA files change the base model as the reference merges them.

mod support;

use burn::tensor::Device;
use glassine::ErrorCode;
use glassine::internals::text::{TextEncoder, Token};
use glassine::internals::unet::Unet;
use glassine::internals::weights::Weights;
use glassine::pack::{FolderSource, Lora, Pack, Precision};
use support::{Case, golden, model, values_of};

/// The strengths of the cases, and how their tensors spell them.
const STRENGTHS: [(f32, &str); 2] = [(1.0, "1_0"), (0.6, "0_6")];

/// A pack of the tiny model without companions, LoRAs merged into it when it was made.
fn packed(out: &str, precision: Precision, loras: &[(&str, f32)]) -> Pack<FolderSource> {
    let file =
        |(name, strength): &(&str, f32)| (golden(&format!("lora/{name}.safetensors")), *strength);
    let mut options = model::options();
    options.transparency_decoder = None;
    options.adapters = Default::default();
    options.loras = loras.iter().map(file).collect();
    options.precision = precision;
    let folder = model::scratch().join(out);
    model::pack_as(&options, &folder).unwrap();
    pollster::block_on(Pack::open(FolderSource::new(folder))).unwrap()
}

fn open_lora(name: &str, strength: f32) -> Lora {
    Lora::open(&golden(&format!("lora/{name}.safetensors")), strength).unwrap()
}

/// Text features and epsilon of a case.
fn outputs(pack: &Pack<FolderSource>, case: &Case) -> [Vec<f32>; 2] {
    let weights = Weights::new(&Device::flex());
    pollster::block_on(pack.load(&weights, |_| true, async |_| true)).unwrap();
    let manifest = pack.manifest();
    let text = manifest.text_encoder().unwrap();
    let text = TextEncoder::load(&text, &weights.at("text_encoder")).unwrap();
    let ids = case.tensor("token_ids").row(0).u32();
    let features = text.forward(&[ids.into_iter().map(Token::Id).collect()], 1);
    let unet = Unet::load(&manifest.unet().unwrap(), &weights.at("unet"), None).unwrap();
    let timestep = case.number("/timestep") as f32;
    let epsilon = unet.forward(
        case.on_device("latent"),
        &[timestep],
        &features.clone().into(),
    );
    [values_of(features), values_of(epsilon)]
}

fn check(case: &Case, suffix: &str, [features, epsilon]: [Vec<f32>; 2]) {
    case.check(&format!("text_{suffix}"), &features);
    case.check(&format!("eps_{suffix}"), &epsilon);
}

#[test]
fn merged_when_packing_and_when_loading() {
    for name in ["kohya", "peft"] {
        let case = Case::load(&format!("lora/{name}"));
        for (strength, suffix) in STRENGTHS {
            let out = format!("lora-{name}-{suffix}");
            let pack = packed(&out, Precision::F32, &[(name, strength)]);
            check(&case, suffix, outputs(&pack, &case));

            let pack = packed("lora-base", Precision::F32, &[]);
            pack.apply(open_lora(name, strength)).unwrap();
            check(&case, suffix, outputs(&pack, &case));
        }
    }
}

#[test]
fn opposite_strengths_cancel() {
    let case = Case::load("lora/peft");
    let pack = packed("lora-cancelled", Precision::F32, &[("peft", 0.7)]);
    pack.apply(open_lora("peft", -0.7)).unwrap();
    let [features, _] = outputs(&pack, &case);
    case.check("base_text", &features);
}

#[test]
fn merging_into_a_quantized_pack_keeps_it_quantized() {
    let case = Case::load("lora/peft");
    let pack = packed("lora-q8", Precision::Q8, &[]);
    pack.apply(open_lora("peft", 1.0)).unwrap();
    let [_, epsilon] = outputs(&pack, &case);
    let cosine = support::cosine(&epsilon, &case.f32("eps_1_0"));
    assert!(cosine > 0.9995, "{cosine}");
}

#[test]
fn what_is_no_lora_for_the_model_is_refused() {
    let no_lora = golden("layerdiffuse/weights/layer_sd15_joint.safetensors");
    let error = Lora::open(&no_lora, 1.0).err().expect("a refusal");
    assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");

    let stray = model::scratch().join("stray.safetensors");
    let factor = |name: &str, shape: [usize; 2]| {
        let bytes = vec![0; shape[0] * shape[1] * 4];
        (
            name.to_string(),
            glassine::internals::weights::Dtype::F32,
            shape.to_vec(),
            bytes,
        )
    };
    let file = glassine::internals::weights::write_safetensors(&[
        factor("lora_unet_nowhere.lora_down.weight", [2, 8]),
        factor("lora_unet_nowhere.lora_up.weight", [8, 2]),
    ]);
    std::fs::write(&stray, file).unwrap();
    let pack = packed("lora-base-2", Precision::F32, &[]);
    let error = pack.apply(Lora::open(&stray, 1.0).unwrap()).unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
    assert!(error.message.contains("lora_unet_nowhere"), "{error}");
}
