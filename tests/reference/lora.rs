//! LoRA files change the base model as the reference merges them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::lora::{LoraFile, base};
use crate::support::{Case, Tolerance, golden, model, values_of};
use burn::tensor::Device;
use glassine::ErrorCode;
use glassine::internals::text::{TextEncoder, Token};
use glassine::internals::unet::Unet;
use glassine::internals::weights::{Dtype, SafetensorsFile, Weights, write_safetensors};
use glassine::pack::{
    AdapterKind, FolderSource, Lora, LoraStrength, MANIFEST_FILE, Pack, PackOptions, PackSource,
    Precision,
};
use glassine::pipeline::{Engine, Generation, LoadOptions, Mode, NoProgress, Request, VaeKind};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

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

/// Text features and epsilon of a case, with LoRAs on the loaded model.
fn outputs<S: PackSource>(pack: &Pack<S>, case: &Case, loras: &[Lora]) -> [Vec<f32>; 2] {
    let weights = Weights::new(&Device::flex());
    pollster::block_on(pack.load(&weights, |_| true, async |_| true)).unwrap();
    let manifest = pack.manifest();
    let text = manifest.text_encoder().unwrap();
    let text = TextEncoder::load(&text, &weights.at("text_encoder")).unwrap();
    let adapter = manifest
        .has("layers.attn")
        .then(|| weights.at("layers.attn"));
    let unet = &manifest.unet().unwrap();
    let unet = Unet::load(unet, &weights.at("unet"), adapter.as_ref()).unwrap();
    pollster::block_on(pack.apply(loras, &weights)).unwrap();
    let ids = case.tensor("token_ids").row(0).u32();
    let features = text.forward(&[ids.into_iter().map(Token::Id).collect()], 1);
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
fn merged_when_packing_and_applied_to_a_loaded_model() {
    for name in ["kohya", "peft"] {
        let case = Case::load(&format!("lora/{name}"));
        for (strength, suffix) in STRENGTHS {
            let out = format!("lora-{name}-{suffix}");
            let pack = packed(&out, Precision::F32, &[(name, strength)]);
            check(&case, suffix, outputs(&pack, &case, &[]));

            let pack = packed("lora-base", Precision::F32, &[]);
            let loras = [open_lora(name, strength)];
            check(&case, suffix, outputs(&pack, &case, &loras));
        }
    }
}

#[test]
fn opposite_strengths_cancel() {
    let case = Case::load("lora/peft");
    let pack = packed("lora-cancelled", Precision::F32, &[("peft", 0.7)]);
    let [features, _] = outputs(&pack, &case, &[open_lora("peft", -0.7)]);
    case.check("base_text", &features);
}

/// Merged and quantized again, the effect of half as much had a cosine of 0.94 with the right one on 4 bits.
#[test]
fn over_quantized_weights_the_effect_is_that_in_f32() {
    let case = Case::load("lora/kohya");
    let effect = |precision: Precision, out: &str| {
        let pack = packed(out, precision, &[]);
        let [_, without] = outputs(&pack, &case, &[]);
        let [_, with] = outputs(&pack, &case, &[open_lora("kohya", 0.3)]);
        let pairs = with.into_iter().zip(without);
        pairs.map(|(with, without)| with - without).collect()
    };
    let expected: Vec<f32> = effect(Precision::F32, "lora-base");
    for (precision, out, least) in [
        (Precision::Q8, "lora-q8", 0.998),
        (Precision::Q4, "lora-q4", 0.975),
        (Precision::F16, "lora-f16", 0.99999),
    ] {
        let effect: Vec<f32> = effect(precision, out);
        let cosine = crate::support::cosine(&effect, &expected);
        assert!(cosine > least, "{precision:?}: {cosine}");
    }
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

fn open<S: PackSource>(source: S) -> Pack<S> {
    pollster::block_on(Pack::open(source)).unwrap()
}

#[test]
fn every_kind_is_the_same_merged_and_applied() {
    let case = Case::load("lora/kohya");
    let file = model::scratch().join("every-kind.safetensors");
    std::fs::write(&file, every_kind().bytes()).unwrap();
    let folder = |name: &str| model::scratch().join(name);
    model::pack_as(&options(&[&file]), &folder("every-kind")).unwrap();
    model::pack_as(&options(&[]), &folder("no-kind")).unwrap();
    let expected = outputs(&open(FolderSource::new(folder("every-kind"))), &case, &[]);
    let whole = open(FolderSource::new(folder("no-kind")));
    let split = open(Split::new(&folder("no-kind"), &format!("{CONV}.weight")));
    let conv = &split.manifest().tensors[&format!("{CONV}.weight")];
    assert_eq!(conv.shards.len(), 2);
    let loras = [Lora::open(&file, 0.8).unwrap()];
    let applied = [
        outputs(&whole, &case, &loras),
        outputs(&split, &case, &loras),
    ];
    let plain = outputs(&whole, &case, &[]);
    for (part, what) in ["features", "epsilon"].into_iter().enumerate() {
        let cosine = crate::support::cosine(&plain[part], &expected[part]);
        assert!(cosine < 0.99999, "{what} {cosine}: the LoRA does something");
        for outputs in &applied {
            let tolerance = Tolerance::max_abs(1e-4);
            crate::support::assert_close(what, &outputs[part], &expected[part], tolerance);
        }
    }
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
    let error = Lora::open(&file, 1.0).expect_err("a refusal");
    assert!(error.message.contains(up), "{error}");
}

#[test]
fn what_is_no_lora_for_the_model_is_refused() {
    for (file, words) in [
        (
            "layerdiffuse/weights/layer_sd15_joint",
            "attention-sharing adapter",
        ),
        ("controlnet/model/diffusion_pytorch_model", "a ControlNet"),
        ("sd-tiny/model/unet/diffusion_pytorch_model", "a checkpoint"),
        ("community/tiny-style", "textual inversion"),
    ] {
        let no_lora = golden(&format!("{file}.safetensors"));
        let error = Lora::open(&no_lora, 1.0).expect_err("a refusal");
        assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
        assert!(error.message.contains(words), "{error}");
    }

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
    let stray = Lora::open(&stray, 1.0).unwrap();
    let weights = Weights::new(&Device::flex());
    let error = pollster::block_on(pack.apply(&[stray], &weights)).unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
    assert!(error.message.contains("lora_unet_nowhere"), "{error}");
}

/// For sums in another order: of a latent of values up to 13, after two guided steps.
const ROUNDING: Tolerance = Tolerance {
    max_abs: 1e-3,
    min_cosine: None,
};

/// The tiny model with all adapters, at work.
struct Loaded(Engine<FolderSource>);

impl Loaded {
    fn new(options: LoadOptions) -> Self {
        let engine = Engine::open(model::pack(), Device::flex(), options);
        Self(pollster::block_on(engine).unwrap())
    }

    fn generate(&mut self, change: impl FnOnce(&mut Request)) -> glassine::Result<Generation> {
        let mut request = Request::new("a cat");
        request.mode = Some(Mode::Opaque);
        (request.width, request.height) = (Some(64), Some(64));
        request.steps = Some(2);
        request.seed = 1;
        request.vae = VaeKind::Tiny;
        change(&mut request);
        pollster::block_on(self.0.generate(&request, &mut NoProgress))
    }

    /// The latent of the picture of that prompt with those LoRAs.
    fn latent(&mut self, prompt: &str, loras: &[Lora]) -> Vec<f32> {
        let change = |request: &mut Request| {
            request.prompt = prompt.into();
            request.loras = loras.to_vec();
        };
        self.generate(change).unwrap().latent.values.data
    }

    fn check_same(&mut self, prompts: [&str; 2], loras: [&[Lora]; 2]) {
        let [one, other] = [0, 1].map(|index| self.latent(prompts[index], loras[index]));
        crate::support::assert_close(prompts[0], &one, &other, ROUNDING);
    }
}

fn differ(one: &[f32], other: &[f32]) {
    assert!(crate::support::cosine(one, other) < 0.9999);
}

#[test]
fn a_request_leaves_nothing_of_its_loras_behind() {
    let mut engine = Loaded::new(LoadOptions::default());
    let before = engine.latent("a cat", &[]);
    let with = engine.latent("a cat", &[open_lora("kohya", 1.0)]);
    differ(&before, &with);
    differ(&with, &engine.latent("a cat", &[open_lora("kohya", 0.3)]));
    assert_eq!(engine.latent("a cat", &[open_lora("kohya", 0.0)]), before);
    assert_eq!(engine.latent("a cat", &[]), before);
}

#[test]
fn loras_of_a_request_add_up_in_any_order() {
    let mut engine = Loaded::new(LoadOptions::default());
    let [kohya, peft] = ["kohya", "peft"].map(|name| open_lora(name, 0.6));
    let both = [kohya.clone(), peft.clone()];
    engine.check_same(["a cat"; 2], [&both, &[peft, kohya.clone()]]);
    let twice = [kohya.clone(), kohya.clone()];
    engine.check_same(["a cat"; 2], [&twice, &[open_lora("kohya", 1.2)]]);
    let cancelled = [kohya, open_lora("kohya", -0.6)];
    engine.check_same(["a cat"; 2], [&cancelled, &[]]);
}

#[test]
fn an_engines_own_loras_are_in_every_request() {
    let mut options = LoadOptions::default();
    options.loras = vec![open_lora("kohya", 1.0)];
    // The networks are loaded anew, one after the other.
    options.memory_limit = Some(0);
    let mut engine = Loaded::new(options);
    let mut plain = Loaded::new(LoadOptions::default());
    for _ in 0..2 {
        let expected = plain.latent("a cat", &[open_lora("kohya", 1.0)]);
        assert_eq!(engine.latent("a cat", &[]), expected);
        let loras = [open_lora("kohya", 1.0), open_lora("peft", 0.5)];
        assert_eq!(
            engine.latent("a cat", &loras[1..]),
            plain.latent("a cat", &loras)
        );
    }
    let expected = plain.latent("a cat", &[open_lora("kohya", 0.2)]);
    assert_eq!(engine.latent("a cat <lora:kohya:0.2>", &[]), expected);
}

#[test]
fn tags_say_how_strong_a_lora_is() {
    let mut engine = Loaded::new(LoadOptions::default());
    let lora = &[open_lora("kohya", 1.0)];
    let strong = |unet, text_encoder| [lora[0].with_strength(LoraStrength { unet, text_encoder })];
    for (tags, expected) in [
        ("<lora:kohya:0.4>", strong(0.4, 0.4)),
        ("<lora:KOHYA:0.4>", strong(0.4, 0.4)),
        ("<lora:kohya>", strong(1.0, 1.0)),
        ("<lora:kohya:0>", strong(0.0, 0.0)),
        ("<lora:kohya:0.4:0>", strong(0.4, 0.0)),
        ("<lora:kohya:0.1><lora:kohya:0.5>", strong(0.6, 0.6)),
    ] {
        let prompts = [&*format!("a cat{tags}"), "a cat"];
        engine.check_same(prompts, [lora, &expected]);
    }
    let text_alone = engine.latent("a cat <lora:kohya:0:1>", lora);
    differ(&text_alone, &engine.latent("a cat", &strong(0.0, 0.0)));
    let generation = engine.generate(|request| {
        request.prompt = "a cat <lora:kohya:0.25:0.5>".into();
        request.loras = lora.to_vec();
    });
    let used = &generation.unwrap().loras;
    let expected = LoraStrength {
        unet: 0.25,
        text_encoder: 0.5,
    };
    assert_eq!(used[0].strength(), expected);
}

#[test]
fn tags_without_effect_are_warned_of() {
    let mut engine = Loaded::new(LoadOptions::default());
    let mut warnings = |prompt: &str, negative: &str| {
        let generation = engine.generate(|request| {
            request.prompt = format!("a cat {prompt}");
            request.negative_prompt = negative.into();
            request.loras = vec![open_lora("kohya", 1.0), open_lora("peft", 1.0)];
        });
        generation.unwrap().warnings
    };
    for (prompt, negative, words) in [
        ("<lora:other:1>", "", &["<lora:other:1>", "kohya, peft"][..]),
        ("<lora:kohya:0,8>", "", &["0,8", "not a strength"]),
        ("<lora:kohya:101>", "", &["-100 to 100"]),
        ("<lora:kohya:nan>", "", &["-100 to 100"]),
        ("<hypernet:kohya:1>", "", &["no hypernet"]),
        ("", "<lora:kohya:1>", &["negative prompt", "<lora:kohya:1>"]),
    ] {
        let warnings = warnings(prompt, negative);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            words.iter().all(|word| warnings[0].contains(word)),
            "{warnings:?}"
        );
    }
}

#[test]
fn a_frames_prompt_names_loras_for_the_whole_picture() {
    let mut engine = Loaded::new(LoadOptions::default());
    let mut latent = |prompt: &str, background: &str, strength: f32| {
        let generation = engine.generate(|request| {
            request.mode = Some(Mode::Joint);
            request.vae = VaeKind::Full;
            request.prompt = prompt.into();
            request.background_prompt = background.into();
            request.loras = vec![open_lora("kohya", strength)];
        });
        generation.unwrap().latent.values.data
    };
    let expected = latent("a cat", "a forest", 0.4);
    differ(&latent("a cat", "a forest", 0.0), &expected);
    let named = latent("a cat", "a forest<lora:kohya:0.4>", 1.0);
    crate::support::assert_close("joint", &named, &expected, ROUNDING);
}

#[test]
fn what_a_lora_of_a_request_cannot_do_is_said_before_any_work() {
    let mut engine = Loaded::new(LoadOptions::default());
    let mut refused = |file: LoraFile| {
        let lora = file.open(1.0).unwrap();
        engine
            .generate(|request| request.loras = vec![lora])
            .unwrap_err()
    };
    let table = "text_encoder.text_model.embeddings.position_embedding";
    let shape = base(&format!("{table}.weight")).shape;
    let error = refused(LoraFile::default().with_noise(&format!("{table}.diff"), &shape));
    assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
    assert!(
        error.message.contains(table) && error.hint.contains("pack"),
        "{error}"
    );
    let wide = LoraFile::default()
        .with_noise(&format!("{ATTENTION}.lora_down.weight"), &[2, 768])
        .with_noise(&format!("{ATTENTION}.lora_up.weight"), &[320, 2]);
    assert_eq!(refused(wide).code, ErrorCode::ModelUnsupported);
    let huge = vec![1e38; 64 * 4];
    let up = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_up.weight";
    let strong = LoraFile::golden("kohya")
        .with(up, &[64, 4], &huge)
        .open(100.0)
        .unwrap();
    let error = engine
        .generate(|request| request.loras = vec![strong])
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::BadOption, "{error}");
    let after = engine.latent("a cat", &[]);
    assert_eq!(
        after,
        Loaded::new(LoadOptions::default()).latent("a cat", &[])
    );
}

#[test]
fn one_that_changes_the_text_encoder_alone_says_so() {
    let mut engine = Loaded::new(LoadOptions::default());
    let lora = LoraFile::default()
        .with_noise(&format!("{TEXT}.lora_down.weight"), &[2, 32])
        .with_noise(&format!("{TEXT}.lora_up.weight"), &[128, 2]);
    let before = engine.latent("a cat", &[]);
    let lora = lora.open(1.0).unwrap();
    let generation = engine
        .generate(|request| request.loras = vec![lora])
        .unwrap();
    differ(&before, &generation.latent.values.data);
    assert!(generation.warnings[0].contains("text encoder alone"));
}
