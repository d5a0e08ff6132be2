//! LoRA files change the base model as the reference merges them.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use glassine::ErrorCode;
use glassine::internals::text::{TextEncoder, Token};
use glassine::internals::unet::Unet;
use glassine::internals::weights::{Dtype, SafetensorsFile, Weights, write_safetensors};
use glassine::pack::{
    AdapterKind, FolderSource, Lora, MANIFEST_FILE, Pack, PackOptions, PackSource, Precision,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::lora::{LoraFile, base};
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

/// A layer's weight of each number of axes, in an attention that the adapter for one picture folds.
const ATTENTION: &str = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
const CONV: &str = "unet.down_blocks.1.resnets.0.conv1";
const TEXT: &str = "text_encoder.text_model.encoder.layers.0.mlp.fc1";

/// A LoRA with updates of every kind: plain ones, ones that depend on the weight, and of biases.
fn every_kind() -> LoraFile {
    let [outputs, inputs] = [0, 1].map(|axis| base(&format!("{CONV}.weight")).shape[axis]);
    let attention = base(&format!("{ATTENTION}.weight")).shape;
    LoraFile::default()
        .with_noise(&format!("{CONV}.lora_down.weight"), &[2, inputs, 3, 3])
        .with_noise(&format!("{CONV}.lora_up.weight"), &[outputs, 2, 1, 1])
        .with_noise(&format!("{CONV}.dora_scale"), &[1, inputs, 1, 1])
        .with_noise(&format!("{CONV}.diff_b"), &[outputs])
        .with_noise(&format!("{ATTENTION}.lora_A.weight"), &[2, attention[1]])
        .with_noise(&format!("{ATTENTION}.lora_B.weight"), &[attention[0], 2])
        .with_noise(
            &format!("{ATTENTION}.lora_magnitude_vector"),
            &attention[..1],
        )
        .with_noise(&format!("{TEXT}.lokr_w1"), &[4, 2])
        .with_noise(&format!("{TEXT}.lokr_w2"), &[32, 16])
        .with_noise("unet.mid_block.resnets.0.norm1.w_norm", &[64])
        .with_noise("unet.mid_block.resnets.0.conv2.diff", &[64, 64, 3, 3])
}

/// The tiny model in f32 with the adapter for one picture, and with these LoRAs.
fn options(loras: &[&Path]) -> PackOptions {
    let mut options = model::options();
    options.transparency_decoder = None;
    let single = |kind: &AdapterKind, _: &mut _| *kind == AdapterKind::Single;
    options.adapters.retain(single);
    options.loras = loras.iter().map(|path| (path.to_path_buf(), 0.8)).collect();
    options
}

/// All values that a pack loads, by tensor.
fn loaded<S: PackSource>(pack: &Pack<S>) -> BTreeMap<String, Vec<f32>> {
    let weights = Weights::new(&Device::flex());
    let wanted = |name: &str| !name.contains("token_embedding");
    pollster::block_on(pack.load(&weights, wanted, async |_| true)).unwrap();
    let tensors = pack.manifest().tensors.iter();
    let values = tensors
        .filter(|(name, _)| weights.has(name))
        .map(|(name, entry)| {
            let values = match entry.shape.len() {
                1 => values_of(weights.take::<1>(name).unwrap()),
                2 => values_of(weights.take::<2>(name).unwrap()),
                _ => values_of(weights.take::<4>(name).unwrap()),
            };
            (name.clone(), values)
        });
    values.collect()
}

fn open(source: impl PackSource) -> Pack<impl PackSource> {
    pollster::block_on(Pack::open(source)).unwrap()
}

#[test]
fn every_kind_is_merged_alike_when_packing_and_when_loading() {
    let file = model::scratch().join("every-kind.safetensors");
    std::fs::write(&file, every_kind().bytes()).unwrap();
    let folder = |name: &str| model::scratch().join(name);
    model::pack_as(&options(&[&file]), &folder("every-kind")).unwrap();
    model::pack_as(&options(&[]), &folder("no-kind")).unwrap();
    let expected = loaded(&open(FolderSource::new(folder("every-kind"))));
    let plain = loaded(&open(FolderSource::new(folder("no-kind"))));
    let whole = FolderSource::new(folder("no-kind"));
    let split = Split::new(&folder("no-kind"), &format!("{CONV}.weight"));
    let changed = [
        "unet.down_blocks.1.resnets.0.conv1.weight",
        "unet.down_blocks.1.resnets.0.conv1.bias",
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight",
        "layers.attn.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight",
        "text_encoder.text_model.encoder.layers.0.mlp.fc1.weight",
        "unet.mid_block.resnets.0.norm1.weight",
        "unet.mid_block.resnets.0.conv2.weight",
    ];
    let loaded_with = |pack: Pack<_>| {
        pack.apply(Lora::open(&file, 0.8).unwrap()).unwrap();
        loaded(&pack)
    };
    let check = |merged: BTreeMap<String, Vec<f32>>| {
        assert!(merged.keys().eq(expected.keys()));
        for (name, values) in merged {
            let differs = values != plain[&name];
            assert_eq!(differs, changed.contains(&name.as_str()), "{name}");
            let tolerance = support::Tolerance::max_abs(2e-6);
            support::assert_close(&name, &values, &expected[&name], tolerance);
        }
    };
    check(loaded_with(pollster::block_on(Pack::open(whole)).unwrap()));
    let pack = pollster::block_on(Pack::open(split)).unwrap();
    assert_eq!(
        pack.manifest().tensors[&format!("{CONV}.weight")]
            .shards
            .len(),
        2
    );
    pack.apply(Lora::open(&file, 0.8).unwrap()).unwrap();
    check(loaded(&pack));
}

/// The files of a pack in which one tensor lies in two shards.
struct Split(BTreeMap<String, Vec<u8>>);

impl Split {
    fn new(folder: &Path, name: &str) -> Self {
        let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
        let mut manifest: Value = serde_json::from_slice(&read(MANIFEST_FILE)).unwrap();
        let shards = manifest["shards"].as_array().unwrap().clone();
        let mut files = BTreeMap::new();
        for shard in &shards {
            let file = shard["file"].as_str().unwrap();
            files.insert(file.to_string(), read(file));
        }
        let index = manifest["tensors"][name]["shards"][0].as_u64().unwrap() as usize;
        let old = shards[index]["file"].as_str().unwrap();
        let mut shard = SafetensorsFile::open(folder.join(old)).unwrap();
        let all: Vec<_> = shard.tensors().clone().into_iter().collect();
        let mut rest = Vec::new();
        let mut parts = Vec::new();
        for (own, info) in all {
            let bytes = shard.read_bytes(&own).unwrap();
            if own != name {
                rest.push((own, info.dtype, info.shape, bytes));
                continue;
            }
            let rows = info.shape[0] / 2;
            let row = bytes.len() / info.shape[0];
            for part in [&bytes[..rows * row], &bytes[rows * row..]] {
                let mut shape = info.shape.clone();
                shape[0] = part.len() / row;
                parts.push((own.clone(), Dtype::F32, shape, part.to_vec()));
            }
        }
        let mut write = |index: usize, file: &str, bytes: Vec<u8>| {
            let hash = Sha256::digest(&bytes);
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            let entry = json!({ "file": file, "bytes": bytes.len(), "sha256": hash });
            let shards = manifest["shards"].as_array_mut().unwrap();
            match shards.get_mut(index) {
                Some(old) => *old = entry,
                None => shards.push(entry),
            }
            files.insert(file.to_string(), bytes);
        };
        write(index, old, write_safetensors(&rest));
        let count = shards.len();
        for (number, part) in parts.into_iter().enumerate() {
            let file = format!("part-{number}.safetensors");
            write(count + number, &file, write_safetensors(&[part]));
        }
        manifest["tensors"][name]["shards"] = json!([count, count + 1]);
        files.insert(MANIFEST_FILE.into(), manifest.to_string().into_bytes());
        Self(files)
    }
}

impl PackSource for Split {
    async fn read(&self, file: &str) -> glassine::Result<Vec<u8>> {
        Ok(self.0[file].clone())
    }
}

#[test]
fn a_lora_that_is_not_finite_is_refused_before_anything_is_packed_or_loaded() {
    let up = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_up.weight";
    let mut values = vec![0.0; 256];
    values[100] = f32::NAN;
    let lora = LoraFile::golden("kohya").with(up, &[64, 4], &values);
    let file = model::scratch().join("not-finite.safetensors");
    std::fs::write(&file, lora.bytes()).unwrap();
    for precision in [Precision::Q4, Precision::Q8, Precision::F16, Precision::F32] {
        let mut options = options(&[&file]);
        options.precision = precision;
        let out = model::scratch().join("not-finite");
        let error = model::pack_as(&options, &out).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelDamaged, "{error}");
        let named = error.message.contains("not-finite.safetensors") && error.message.contains(up);
        assert!(named, "{error}");
        assert!(!out.exists());
    }
    let error = Lora::open(&file, 1.0).err().expect("a refusal");
    assert!(error.message.contains(up), "{error}");
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
