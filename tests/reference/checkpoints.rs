//! Checkpoints as people have them: under all their names, in parts, in other types, and what is
//! refused by name.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::support::single_file::{self, Entry, mark, read, renamed, write};
use crate::support::{golden, model, torch};
use glassine::ErrorCode;
use glassine::image::Picture;
use glassine::internals::text::clip_vocabulary;
use glassine::internals::weights::{Dtype, SafetensorsFile, write_safetensors};
use glassine::pack::{
    Checkpoint, Component, FolderSource, Manifest, PackOptions, Precision, inspect,
};
use glassine::pipeline::{Engine, Init, LoadOptions, Mode, NoProgress, Request};
use serde_json::{Value, json};

const UNET: &str = "model.diffusion_model.";
const VAE: &str = "first_stage_model.";
const TEXT: &str = "cond_stage_model.transformer.text_model.";

fn options(model: &Path) -> PackOptions {
    let mut options = PackOptions::new(model);
    options.precision = Precision::F32;
    options
}

fn pack(options: &PackOptions) -> glassine::Result<(Manifest, Vec<Vec<u8>>)> {
    let out = tempfile::tempdir_in(model::scratch()).unwrap();
    let folder = out.path().join("pack");
    let manifest = model::pack_as(options, &folder)?;
    let files = manifest.shards.iter();
    let shards = files.map(|shard| std::fs::read(folder.join(&shard.file)).unwrap());
    let shards = shards.collect();
    Ok((manifest, shards))
}

/// Fails unless packing gives what packing the whole single file gives.
fn assert_same_as_whole(options: &PackOptions) {
    static WHOLE: OnceLock<(Manifest, Vec<Vec<u8>>)> = OnceLock::new();
    let whole = WHOLE.get_or_init(|| pack(&self::options(&single_file::whole())).unwrap());
    let (manifest, shards) = pack(options).unwrap_or_else(|error| panic!("{options:?}: {error}"));
    assert_eq!(manifest.components, whole.0.components, "{options:?}");
    assert_eq!(manifest.tensors, whole.0.tensors, "{options:?}");
    assert_eq!(manifest.preview, whole.0.preview, "{options:?}");
    assert!(shards == whole.1, "{options:?}");
}

/// Fails unless packing and, of a file of its own, inspecting is refused with `code` and `words`.
fn assert_refused(options: &PackOptions, code: ErrorCode, words: &[&str]) {
    let error = pack(options).expect_err("a refusal");
    assert_eq!(error.code, code, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{error}: no {word:?}");
    }
}

fn assert_refused_and_not_inspected(path: &Path, code: ErrorCode, words: &[&str]) {
    assert_refused(&options(path), code, words);
    let error = inspect(path).expect_err("a refusal");
    assert_eq!(error.code, code, "{error}");
    let name = path.file_name().unwrap().to_str().unwrap();
    for word in words.iter().chain([&name]) {
        assert!(error.to_string().contains(word), "{error}: no {word:?}");
    }
}

/// The file's tensors whose names begin with `from`, with `to` in its place.
fn part(from: &str, to: &str) -> Vec<Entry> {
    renamed(|name| Some(format!("{to}{}", name.strip_prefix(from)?)))
}

fn diffusers(part: &str) -> PathBuf {
    let stem = match part {
        "text_encoder" => "model",
        _ => "diffusion_pytorch_model",
    };
    let folder = model::checkpoint().join(part);
    folder.join(format!("{stem}.safetensors"))
}

/// Copies the diffusers folder into the scratch folder.
fn copied_folder(name: &str) -> PathBuf {
    let to = model::scratch().join(name);
    model::copy_folder(&model::checkpoint(), &to);
    to
}

fn change_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

/// The attention of the VAE's middle in another naming, with matrices where `flat`.
fn with_vae_attention(names: [&str; 5], flat: bool) -> Vec<Entry> {
    let old = ["norm.", "q.", "k.", "v.", "proj_out."];
    let mut tensors = renamed(|name| {
        let Some((start, leaf)) = name.split_once(".mid.attn_1.") else {
            return Some(name.to_string());
        };
        let index = old.iter().position(|old| leaf.starts_with(old)).unwrap();
        let leaf = leaf.replace(old[index], names[index]);
        Some(format!("{start}.mid.attn_1.{leaf}"))
    });
    let of_attention = tensors
        .iter_mut()
        .filter(|(name, ..)| name.contains(".attn_1."));
    for (_, _, shape, _) in of_attention.filter(|_| flat) {
        shape.truncate(2);
    }
    tensors
}

#[test]
fn single_files_in_all_namings_give_the_same_pack() {
    let replaced = |from: &'static str, to: &'static str| {
        renamed(move |name| match name.strip_prefix(from) {
            Some(rest) => Some(format!("{to}{rest}")),
            None => Some(name.to_string()),
        })
    };
    let today = ["group_norm.", "to_q.", "to_k.", "to_v.", "to_out.0."];
    let first_year = ["group_norm.", "query.", "key.", "value.", "proj_attn."];
    let all = [
        replaced(TEXT, "cond_stage_model.transformer."),
        replaced(TEXT, "text_encoders.clip_l.transformer.text_model."),
        replaced(VAE, "vae."),
        replaced(UNET, "diffusion_model."),
        with_vae_attention(today, true),
        with_vae_attention(first_year, true),
        with_vae_attention(first_year, false),
        with_vae_attention(["norm.", "to_q.", "to_k.", "to_v.", "to_out.0."], true),
        // The whole pipeline in diffusers' names.
        ["text_encoder", "unet", "vae"]
            .into_iter()
            .flat_map(|part| {
                let mut tensors = read(&diffusers(part));
                tensors
                    .iter_mut()
                    .for_each(|tensor| tensor.0.insert_str(0, &format!("{part}.")));
                tensors
            })
            .collect(),
    ];
    for tensors in all {
        assert_same_as_whole(&options(&write("naming.safetensors", &tensors)));
    }
}

#[test]
fn parts_are_read_under_all_their_names_alone() {
    let unets = [
        part(UNET, UNET),
        part(UNET, "diffusion_model."),
        part(UNET, ""),
        read(&diffusers("unet")),
    ];
    let text_encoders = [
        part(TEXT, TEXT),
        part(TEXT, "text_model."),
        part(TEXT, ""),
        part(TEXT, "clip_l."),
        part(TEXT, "clip_l.transformer.text_model."),
        part(TEXT, "text_encoders.clip_l.transformer.text_model."),
        part(TEXT, "conditioner.text_model."),
        {
            // The whole of CLIP as it was published.
            let mut clip = part(TEXT, "text_model.");
            let vision = "vision_model.embeddings.class_embedding";
            clip.push((vision.into(), Dtype::F32, vec![1], vec![0; 4]));
            clip.push(("logit_scale".into(), Dtype::F32, vec![], vec![0; 4]));
            let projection = "text_projection.weight";
            clip.push((projection.into(), Dtype::F32, vec![1, 1], vec![0; 4]));
            clip
        },
    ];
    let old_names: Value = serde_json::from_slice(&crate::support::golden_bytes(
        "sd-tiny/vae-legacy-names.json",
    ))
    .unwrap();
    let old = |name: &str| {
        old_names["names"][name]
            .as_str()
            .unwrap_or(name)
            .to_string()
    };
    let vaes = [part(VAE, VAE), part(VAE, ""), read(&diffusers("vae")), {
        let mut tensors = read(&diffusers("vae"));
        tensors
            .iter_mut()
            .for_each(|tensor| tensor.0 = old(&tensor.0));
        tensors
    }];
    let write_all = |name: &str, all: &[Vec<Entry>]| -> Vec<PathBuf> {
        let all = all.iter().enumerate();
        all.map(|(index, tensors)| write(&format!("{name}-{index}.safetensors"), tensors))
            .collect()
    };
    let unets = write_all("unet", &unets);
    let text_encoders = write_all("text", &text_encoders);
    let vaes = write_all("vae", &vaes);
    for index in 0..text_encoders.len() {
        let mut options = options(&unets[index % unets.len()]);
        options.text_encoder = Some(text_encoders[index].clone());
        options.vae = Some(vaes[index % vaes.len()].clone());
        assert_same_as_whole(&options);
    }
    for (paths, title, use_of) in [
        (&unets, "UNet", "vae: missing (pack with --vae)"),
        (&text_encoders, "text encoder", "use: --text-encoder"),
        (&vaes, "VAE", "use: --vae"),
    ] {
        for path in paths {
            let text = inspect(path).unwrap();
            let title = format!("Stable Diffusion 1.x {title} ");
            assert!(text.starts_with(&title), "{text}");
            assert!(text.contains(use_of), "{text}");
        }
    }
}

#[test]
fn parts_come_from_folders_and_whole_checkpoints_too() {
    let without_vae = renamed(|name| (!name.starts_with(VAE)).then(|| name.to_string()));
    let without_vae = write("without-vae.safetensors", &without_vae);
    for vae in [
        model::checkpoint().join("vae"),
        model::checkpoint(),
        single_file::whole(),
    ] {
        let mut options = options(&without_vae);
        options.vae = Some(vae);
        let (manifest, shards) = pack(&options).unwrap();
        let (whole, expected) = pack(&self::options(&single_file::whole())).unwrap();
        assert_eq!(manifest.tensors, whole.tensors);
        assert!(shards == expected);
    }
    // A UNet's folder alone, with the other parts' folders.
    let mut options = options(&model::checkpoint().join("unet"));
    options.vae = Some(model::checkpoint().join("vae"));
    options.text_encoder = Some(model::checkpoint().join("text_encoder"));
    let (manifest, _) = pack(&options).unwrap();
    assert!(manifest.has("vae") && manifest.has("text_encoder"));
}

#[test]
fn what_is_missing_is_named_with_its_option() {
    let without = |starts: &'static [&'static str]| {
        renamed(|name| {
            let is_out = starts.iter().any(|start| name.starts_with(start));
            (!is_out).then(|| name.to_string())
        })
    };
    for (starts, words) in [
        (&[VAE][..], &["holds no VAE", "--vae FILE"][..]),
        (&[TEXT], &["holds no text encoder", "--text-encoder FILE"]),
        (
            &[VAE, TEXT],
            &[
                "no text encoder and no VAE",
                "--text-encoder FILE and --vae FILE",
            ],
        ),
        (&[UNET, TEXT], &["holds no UNet, only a VAE", "--vae"]),
    ] {
        let path = write("missing.safetensors", &without(starts));
        assert_refused(&options(&path), ErrorCode::ModelUnsupported, words);
        assert!(inspect(&path).is_ok());
    }
    let mut swapped = options(&single_file::whole());
    swapped.vae = Some(diffusers("unet"));
    assert_refused(&swapped, ErrorCode::ModelUnsupported, &["holds no VAE"]);
    swapped.vae = None;
    swapped.text_encoder = Some(model::scratch().join("nowhere.safetensors"));
    assert_refused(&swapped, ErrorCode::ModelNotFound, &["nowhere"]);
}

#[test]
fn a_given_part_replaces_the_checkpoints_own() {
    let mut tensors = part(VAE, "");
    let bias = tensors
        .iter_mut()
        .find(|tensor| tensor.0 == "decoder.conv_out.bias");
    let (_, dtype, _, bytes) = bias.unwrap();
    bytes.fill(0);
    bytes.truncate(3 * dtype.size());
    let mut replaced = options(&single_file::whole());
    replaced.vae = Some(write("other-vae.safetensors", &tensors));
    let (manifest, shards) = pack(&replaced).unwrap();
    let shard = manifest.tensors["vae.decoder.conv_out.bias"].shards[0];
    let path = model::scratch().join("replaced.safetensors");
    std::fs::write(&path, &shards[shard]).unwrap();
    let mut shard = SafetensorsFile::open(&path).unwrap();
    let bias = shard.read("vae.decoder.conv_out.bias").unwrap();
    assert_eq!(bias.data, [0.0; 3]);

    // What is wrong with it is said of its own file.
    let flawed = part(VAE, "").into_iter();
    let flawed: Vec<Entry> = flawed
        .filter(|tensor| tensor.0 != "decoder.conv_out.bias")
        .collect();
    replaced.vae = Some(write("flawed-vae.safetensors", &flawed));
    let words = ["flawed-vae.safetensors", "vae.decoder.conv_out.bias"];
    assert_refused(&replaced, ErrorCode::ModelDamaged, &words);

    // The VAE of SDXL looks the same but for its scale.
    let folder = model::scratch().join("sdxl-vae");
    model::copy_folder(&model::checkpoint().join("vae"), &folder);
    change_json(&folder.join("config.json"), |config| {
        config["scaling_factor"] = 0.13025.into();
    });
    replaced.vae = Some(folder);
    assert_refused(&replaced, ErrorCode::ModelUnsupported, &["VAE of SDXL"]);
}

/// The value of an 8-bit float, as PyTorch has them.
fn float8(byte: u8, mantissa_bits: u32) -> f32 {
    let exponent_bits = 7 - mantissa_bits;
    let bias = (1 << (exponent_bits - 1)) - 1;
    let exponent = i32::from((byte & 0x7f) >> mantissa_bits);
    let mantissa = f32::from(byte & ((1 << mantissa_bits) - 1)) / (1u32 << mantissa_bits) as f32;
    let size = match exponent {
        0 => mantissa * 2f32.powi(1 - bias),
        _ => (1.0 + mantissa) * 2f32.powi(exponent - bias),
    };
    if byte < 0x80 { size } else { -size }
}

#[test]
fn weights_of_eight_bit_floats_are_widened() {
    // All finite values, in turn.
    let finite = |mantissa_bits: u32| -> Vec<u8> {
        let all = (0..=255u8).filter(|byte| match mantissa_bits {
            3 => byte & 0x7f != 0x7f,
            _ => byte & 0x7c != 0x7c,
        });
        all.collect()
    };
    let scale = 0.375f32;
    for (dtype, mantissa_bits) in [(Dtype::F8_E4M3, 3), (Dtype::F8_E5M2, 2)] {
        let values = finite(mantissa_bits);
        for scaled in [None, Some("scale_weight"), Some("weight_scale")] {
            let (mut narrow, mut wide) = (Vec::new(), Vec::new());
            for (name, given, shape, bytes) in renamed(|name| Some(name.to_string())) {
                let is_narrow = name.starts_with(UNET) && name.ends_with(".to_q.weight");
                if !is_narrow {
                    narrow.push((name.clone(), given, shape.clone(), bytes.clone()));
                    wide.push((name, given, shape, bytes));
                    continue;
                }
                let count = shape.iter().product();
                let eights: Vec<u8> = values.iter().copied().cycle().take(count).collect();
                // One scale for all, or one for each row.
                let rows = shape[0];
                let scales: Vec<f32> = match scaled {
                    None => vec![1.0],
                    Some("scale_weight") => vec![scale],
                    Some(_) => (0..rows).map(|row| scale + row as f32).collect(),
                };
                let factor = |index: usize| scales[index / (count / rows) % scales.len()];
                let floats = eights
                    .iter()
                    .enumerate()
                    .map(|(index, byte)| float8(*byte, mantissa_bits) * factor(index));
                let floats = floats.flat_map(|value| value.to_le_bytes()).collect();
                wide.push((name.clone(), Dtype::F32, shape.clone(), floats));
                if let Some(leaf) = scaled {
                    let stem = name.strip_suffix("weight").unwrap();
                    let bytes = scales.iter().flat_map(|scale| scale.to_le_bytes());
                    let (bytes, shape) = (bytes.collect(), vec![scales.len(), 1]);
                    narrow.push((format!("{stem}{leaf}"), Dtype::F32, shape, bytes));
                }
                narrow.push((name, dtype, shape, eights));
            }
            if scaled.is_some() {
                narrow.push(("scaled_fp8".into(), dtype, vec![2], vec![0, 0]));
            }
            let narrow = pack(&options(&write("narrow.safetensors", &narrow))).unwrap();
            let wide = pack(&options(&write("wide.safetensors", &wide))).unwrap();
            assert_eq!(narrow.0.tensors, wide.0.tensors, "{dtype:?} {scaled:?}");
            assert!(narrow.1 == wide.1, "{dtype:?} {scaled:?}");
        }
    }
}

#[test]
fn weights_that_are_quantized_otherwise_are_refused() {
    let mut tensors = renamed(|name| Some(name.to_string()));
    let weight = format!("{UNET}input_blocks.1.1.proj_in.weight");
    let quantized = tensors.iter().find(|tensor| tensor.0 == weight).unwrap();
    let count: usize = quantized.2.iter().product();
    let place = tensors
        .iter()
        .position(|tensor| tensor.0 == weight)
        .unwrap();
    for dtype in [
        Dtype::U8,
        Dtype::I8,
        Dtype::F8_E4M3FNUZ,
        Dtype::F8_E5M2FNUZ,
        Dtype::F8_E8M0,
        Dtype::C64,
    ] {
        tensors[place].1 = dtype;
        tensors[place].3 = vec![0; count * dtype.size()];
        let path = write("quantized.safetensors", &tensors);
        let stored = format!("proj_in.weight as {dtype:?}");
        let words = [&*stored, "quantized"];
        assert_refused_and_not_inspected(&path, ErrorCode::ModelUnsupported, &words);
    }
}

#[test]
fn folders_in_all_their_forms_give_the_same_pack() {
    let (whole, expected) = pack(&options(&model::checkpoint())).unwrap();
    let same = |folder: &Path| {
        let (manifest, shards) = pack(&options(folder)).unwrap();
        assert_eq!(
            manifest.components,
            whole.components,
            "{}",
            folder.display()
        );
        assert_eq!(manifest.tensors, whole.tensors, "{}", folder.display());
        assert!(shards == expected, "{}", folder.display());
    };
    let folder = copied_folder("forms");
    let unet = folder.join("unet");
    let weights = unet.join("diffusion_pytorch_model.safetensors");
    for variant in ["fp16", "bf16", "non_ema"] {
        let name = format!("diffusion_pytorch_model.{variant}.safetensors");
        std::fs::rename(&weights, unet.join(&name)).unwrap();
        same(&folder);
        std::fs::rename(unet.join(&name), &weights).unwrap();
    }
    // As editors on Windows write it.
    let config = unet.join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("\u{feff}{text}")).unwrap();
    same(&folder);
    std::fs::write(&config, text).unwrap();
    // Averaged weights are preferred to those for training on.
    let other = write("noise.safetensors", &[mark("nothing")]);
    std::fs::copy(
        other,
        unet.join("diffusion_pytorch_model.non_ema.safetensors"),
    )
    .unwrap();
    same(&folder);

    // In shards.
    let tensors = read(&weights);
    let (one, two) = tensors.split_at(tensors.len() / 2);
    let shard = |index: usize| format!("diffusion_pytorch_model-0000{index}-of-00002.safetensors");
    for (index, half) in [(1, one), (2, two)] {
        std::fs::write(unet.join(shard(index)), write_safetensors(half)).unwrap();
    }
    std::fs::remove_file(&weights).unwrap();
    let named = |tensors: &[Entry], index: usize| -> Vec<(String, String)> {
        let names = tensors.iter();
        names
            .map(|tensor| (tensor.0.clone(), shard(index)))
            .collect()
    };
    let map: serde_json::Map<String, Value> = [named(one, 1), named(two, 2)]
        .into_iter()
        .flatten()
        .map(|(name, file)| (name, file.into()))
        .collect();
    let index = unet.join("diffusion_pytorch_model.safetensors.index.json");
    std::fs::write(
        &index,
        json!({ "metadata": {}, "weight_map": map }).to_string(),
    )
    .unwrap();
    same(&folder);
    std::fs::remove_file(unet.join(shard(2))).unwrap();
    let words = ["00002-of-00002.safetensors is missing", "index.json"];
    assert_refused(&options(&folder), ErrorCode::ModelNotFound, &words);
    let outside = json!({ "weight_map": { "conv_in.weight": "../../model.safetensors" } });
    std::fs::write(&index, outside.to_string()).unwrap();
    assert_refused(&options(&folder), ErrorCode::ModelDamaged, &["index.json"]);
}

/// The ids of CLIP's tokens, in the order of its `vocab.json`.
fn vocabulary(merges: &[&str]) -> Value {
    let printable = (b'!'..=b'~').chain(0xa1..=0xac).chain(0xae..=0xff);
    let printable: Vec<char> = printable.map(char::from).collect();
    // The other 68 bytes have letters from here on.
    let others = (0x100..0x144).map(|code| char::from_u32(code).unwrap());
    let bytes: Vec<String> = printable
        .into_iter()
        .chain(others)
        .map(String::from)
        .collect();
    let ends = bytes.iter().map(|symbol| format!("{symbol}</w>"));
    let merged = merges.iter().map(|pair| pair.replace(' ', ""));
    let marks = ["<|startoftext|>", "<|endoftext|>"].map(String::from);
    let all = bytes.iter().cloned().chain(ends).chain(merged).chain(marks);
    let ids = all.enumerate().map(|(id, symbol)| (symbol, id.into()));
    Value::Object(ids.collect())
}

#[test]
fn a_tokenizer_is_read_in_all_its_forms() {
    let (whole, expected) = pack(&options(&model::checkpoint())).unwrap();
    let folder = copied_folder("tokenizers");
    let tokenizer = folder.join("tokenizer");
    let same = || {
        let (manifest, shards) = pack(&options(&folder)).unwrap();
        assert_eq!(manifest.tensors, whole.tensors);
        assert!(shards == expected);
    };
    // Folders that name the tokenizer's class alone stand for CLIP's.
    std::fs::create_dir_all(&tokenizer).unwrap();
    for name in ["vocab.json", "merges.txt"] {
        let _ = std::fs::remove_file(tokenizer.join(name));
    }
    std::fs::write(tokenizer.join("tokenizer_config.json"), "{}").unwrap();
    same();
    let merges = std::str::from_utf8(clip_vocabulary::merges()).unwrap();
    let pairs: Vec<&str> = merges.lines().skip(1).collect();
    let vocabulary = vocabulary(&pairs);
    let write = |vocabulary: &Value, merges: Value| {
        let json = json!({ "model": { "type": "BPE", "vocab": vocabulary, "merges": merges } });
        std::fs::write(tokenizer.join("tokenizer.json"), json.to_string()).unwrap();
    };
    write(&vocabulary, json!(pairs));
    same();
    let split: Vec<Vec<&str>> = pairs.iter().map(|pair| pair.split(' ').collect()).collect();
    write(&vocabulary, json!(split));
    same();
    let mut other = vocabulary.clone();
    (other["a"], other["b"]) = (vocabulary["b"].clone(), vocabulary["a"].clone());
    write(&other, json!(pairs));
    let words = ["order of its own"];
    assert_refused(&options(&folder), ErrorCode::ModelUnsupported, &words);
}

#[test]
fn files_that_are_no_safetensors_are_named_for_what_they_are() {
    let write = |name: &str, bytes: &[u8]| {
        let path = model::scratch().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4265146304\n";
    for (name, bytes, code, words) in [
        (
            "page.safetensors",
            &b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"[..],
            ErrorCode::ModelDamaged,
            &["web page"][..],
        ),
        (
            "pointer.safetensors",
            pointer.as_bytes(),
            ErrorCode::ModelDamaged,
            &["Git LFS pointer", "git lfs pull"],
        ),
        (
            "renamed.safetensors",
            b"PK\x03\x04\0\0\0\0\0\0\0\0archive/data.pkl",
            ErrorCode::ModelDamaged,
            &["not a sound file of PyTorch's"],
        ),
        (
            "old.safetensors",
            b"\x80\x02}q\0(X\x0a\0\0\0state_dictq\x01",
            ErrorCode::ModelDamaged,
            &["not a sound file of PyTorch's"],
        ),
        (
            "error.safetensors",
            b"{\"error\":\"Unauthorized\"}",
            ErrorCode::ModelDamaged,
            &["text", "Unauthorized"],
        ),
        (
            "empty.safetensors",
            b"",
            ErrorCode::ModelDamaged,
            &["empty"],
        ),
    ] {
        let path = write(name, bytes);
        assert_refused_and_not_inspected(&path, code, words);
    }
    let whole = std::fs::read(single_file::whole()).unwrap();
    for length in [100, whole.len() / 2, whole.len() - 1] {
        let path = write("cut.safetensors", &whole[..length]);
        assert_refused_and_not_inspected(&path, ErrorCode::ModelDamaged, &["cut short"]);
    }
}

#[test]
fn other_families_are_refused_by_name() {
    let scalar = |name: &str| (name.to_string(), Dtype::F32, vec![1], vec![0; 4]);
    for (name, family) in [
        ("conditioner.embedders.0.transformer.a", "SDXL"),
        ("cond_stage_model.model.ln_final.bias", "Stable Diffusion 2"),
        (
            "model.diffusion_model.joint_blocks.0.x_block.a",
            "Stable Diffusion 3",
        ),
        ("double_blocks.0.img_attn.norm.key_norm.scale", "Flux"),
        ("model.diffusion_model.cap_embedder.1.weight", "Lumina 2"),
        ("head.modulation", "Wan"),
        ("mlp_t5.0.weight", "Hunyuan DiT"),
        ("double_layers.0.attn.w1q.weight", "AuraFlow"),
        ("t_block.1.weight", "PixArt"),
        ("clf.1.weight", "Stable Cascade"),
        ("add_embedding.image_norm.weight", "Kandinsky"),
        (
            "model.diffusion_model.input_blocks.1.1.time_stack.0.norm1.bias",
            "Stable Video Diffusion",
        ),
        ("nothing.that.is.known", "no UNet"),
    ] {
        let path = write("family.safetensors", &[scalar(name)]);
        assert_refused_and_not_inspected(&path, ErrorCode::ModelUnsupported, &[family]);
    }
    // The number of channels and the width of the texts tell as well.
    let changed = |name: &'static str, change: &dyn Fn(&mut Vec<usize>)| {
        let mut tensors = renamed(|name| Some(name.to_string()));
        for (_, dtype, shape, bytes) in tensors.iter_mut().filter(|one| one.0.ends_with(name)) {
            change(shape);
            bytes.resize(shape.iter().product::<usize>() * dtype.size(), 0);
        }
        write("changed.safetensors", &tensors)
    };
    for (channels, family) in [
        (8, "InstructPix2Pix"),
        (5, "depth-to-image"),
        (7, "upscaler"),
    ] {
        let path = changed(".input_blocks.0.0.weight", &|shape| shape[1] = channels);
        assert_refused_and_not_inspected(&path, ErrorCode::ModelUnsupported, &[family]);
    }
    for (width, family) in [
        (1024, "Stable Diffusion 2"),
        (2048, "SDXL"),
        (1280, "refiner"),
    ] {
        let path = changed(".attn2.to_k.weight", &|shape| shape[1] = width);
        assert_refused_and_not_inspected(&path, ErrorCode::ModelUnsupported, &[family]);
    }
    let path = changed("decoder.conv_in.weight", &|shape| shape[1] = 16);
    assert_refused_and_not_inspected(&path, ErrorCode::ModelUnsupported, &["16 latent channels"]);
}

#[test]
fn folders_of_other_families_are_refused_by_name() {
    let folder = copied_folder("other-family");
    for (class, family) in [
        ("StableDiffusionXLPipeline", "SDXL"),
        ("FluxPipeline", "Flux"),
        ("KandinskyV22Pipeline", "Kandinsky"),
        ("StableVideoDiffusionPipeline", "Stable Video Diffusion"),
    ] {
        change_json(&folder.join("model_index.json"), |index| {
            index["_class_name"] = class.into();
        });
        assert_refused_and_not_inspected(&folder, ErrorCode::ModelUnsupported, &[family]);
    }
    std::fs::remove_file(folder.join("model_index.json")).unwrap();
    std::fs::create_dir(folder.join("text_encoder_2")).unwrap();
    assert_refused_and_not_inspected(&folder, ErrorCode::ModelUnsupported, &["SDXL"]);
    std::fs::create_dir(folder.join("transformer")).unwrap();
    assert_refused_and_not_inspected(&folder, ErrorCode::ModelUnsupported, &["transformer"]);
}

#[test]
fn files_of_other_kinds_are_named() {
    let scalar = |name: &str| (name.to_string(), Dtype::F32, vec![1], vec![0; 4]);
    let matrix = |name: &str| (name.to_string(), Dtype::F32, vec![2, 768], vec![0; 6144]);
    let files: [(&[Entry], &str); 22] = [
        (&[scalar("lora_unet_a.lora_down.weight")], "LoRA (plain)"),
        (&[scalar("unet.a.lora_A.weight")], "LoRA (plain)"),
        (
            &[(
                "lora_unet_a_attn2_to_k.lora_down.weight".into(),
                Dtype::F32,
                vec![1, 2048],
                vec![0; 8192],
            )],
            "LoRA (plain, for SDXL)",
        ),
        (&[scalar("lora_unet_a.hada_w1_a")], "LoRA (LoHa)"),
        (&[scalar("lora_unet_a.lokr_w1")], "LoRA (LoKr)"),
        (
            &[
                scalar("lora_unet_a.lora_up.weight"),
                scalar("lora_unet_a.dora_scale"),
            ],
            "LoRA (DoRA)",
        ),
        (&[scalar("lora_unet_a.on_input")], "LoRA (IA3)"),
        (&[scalar("lora_unet_a.oft_blocks")], "LoRA (OFT)"),
        (&[scalar("lora_unet_a.diff")], "LoRA (full differences)"),
        (
            &[matrix("emb_params")],
            "textual inversion (embedding) of 2 token(s), 768 wide",
        ),
        (&[matrix("<cat-toy>")], "textual inversion"),
        (
            &[matrix("clip_l"), matrix("clip_g")],
            "textual inversion (embedding) for SDXL",
        ),
        (
            &[scalar("control_model.zero_convs.0.0.weight")],
            "ControlNet",
        ),
        (
            &[scalar("controlnet_cond_embedding.conv_in.weight")],
            "ControlNet",
        ),
        (
            &[scalar("lora_controlnet"), scalar("zero_convs.0.0.weight")],
            "ControlNet as a difference",
        ),
        (
            &[scalar("adapter.body.0.resnets.0.block1.weight")],
            "T2I-Adapter",
        ),
        (&[scalar("ip_adapter.1.to_k_ip.weight")], "IP-Adapter"),
        (
            &[scalar(
                "down_blocks.0.motion_modules.0.temporal_transformer.a",
            )],
            "motion module",
        ),
        (
            &[
                scalar("conv_first.weight"),
                scalar("body.0.rdb1.conv1.weight"),
            ],
            "upscaler",
        ),
        (&[scalar("latent")], "latent"),
        (&[scalar("latent_conv_in.weight")], "transparency decoder"),
        (&[scalar("blocks.16.weight")], "transparency encoder"),
    ];
    for (tensors, kind) in files {
        let path = write("kind.safetensors", tensors);
        let text = inspect(&path).unwrap();
        assert!(text.starts_with(kind), "{text}: not {kind}");
        assert_refused(&options(&path), ErrorCode::ModelUnsupported, &[kind]);
        let applied = [
            "(plain)",
            "(LoHa)",
            "(LoKr)",
            "(DoRA)",
            "(full differences)",
        ];
        let is_applied = applied.iter().any(|end| kind.ends_with(end));
        assert_eq!(text.contains("--lora"), is_applied, "{text}");
    }
    for (name, option) in [
        ("transparent_attn", "--layers attn"),
        ("joint", "--layers joint"),
        ("fg2bg", "--layers fg2bg"),
        ("bg2fg", "--layers bg2fg"),
        ("vae_transparent_decoder", "--transparency-decoder"),
        ("vae_transparent_encoder", "--transparency-encoder"),
    ] {
        let file = format!("layerdiffuse/weights/layer_sd15_{name}.safetensors");
        let text = inspect(&golden(&file)).unwrap();
        assert!(text.contains(option), "{text}: not {option}");
    }
    let text = inspect(&golden("controlnet/model")).unwrap();
    assert!(text.starts_with("ControlNet "), "{text}");
    let taesd = |channels: usize| {
        let weight = vec![0; 64 * channels * 4];
        let first = ("1.weight".into(), Dtype::F32, vec![64, channels], weight);
        write(
            "taesd.safetensors",
            &[first, scalar("18.conv.0.weight"), scalar("19.weight")],
        )
    };
    assert!(inspect(&taesd(4)).unwrap().starts_with("TAESD decoder "));
    let other = taesd(16);
    let text = inspect(&other).unwrap();
    assert!(text.contains("16 latent channels"), "{text}");
    let mut options = options(&single_file::whole());
    options.taesd_decoder = Some(other);
    let words = ["taesd.safetensors", "taesd_decoder"];
    assert_refused(&options, ErrorCode::ModelUnsupported, &words);
}

/// A ControlNet's tensors in the original names.
fn original_control_net() -> Vec<Entry> {
    // The tiny ControlNet has the UNet's own way down, of which the single file has the names.
    let names: std::collections::HashMap<String, String> = {
        let checkpoint = Checkpoint::open(single_file::whole()).unwrap();
        let canonical: Vec<String> = checkpoint
            .tensors(Component::Unet)
            .map(|(name, _)| name.to_string())
            .collect();
        let original = renamed(|name| name.strip_prefix(UNET).map(str::to_string));
        let layout = |name: &str| original_name(name, 2);
        let known = original.iter().map(|tensor| tensor.0.as_str());
        let known: std::collections::HashSet<_> = known.collect();
        canonical
            .into_iter()
            .filter_map(|name| {
                let original = layout(&name)?;
                assert!(known.contains(original.as_str()), "{name}: {original}");
                Some((name, original))
            })
            .collect()
    };
    let path = golden("controlnet/model/diffusion_pytorch_model.safetensors");
    let mut tensors = read(&path);
    for tensor in &mut tensors {
        let parts: Vec<&str> = tensor.0.split('.').collect();
        tensor.0 = match parts.as_slice() {
            ["controlnet_down_blocks", index, leaf] => format!("zero_convs.{index}.0.{leaf}"),
            ["controlnet_mid_block", leaf] => format!("middle_block_out.0.{leaf}"),
            ["controlnet_cond_embedding", "conv_in", leaf] => format!("input_hint_block.0.{leaf}"),
            ["controlnet_cond_embedding", "conv_out", leaf] => {
                format!("input_hint_block.14.{leaf}")
            }
            ["controlnet_cond_embedding", "blocks", index, leaf] => {
                let index = 2 * (index.parse::<usize>().unwrap() + 1);
                format!("input_hint_block.{index}.{leaf}")
            }
            _ => names[&tensor.0].clone(),
        };
    }
    tensors
}

/// The original name of a UNet's tensor, for levels of `layers` layers on the way down whose blocks
/// are numbered as if each level had two.
fn original_name(name: &str, layers: usize) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    let tail = |from: usize| parts[from..].join(".");
    let number = |index: usize| parts[index].parse::<usize>().unwrap();
    let resnet = |from: usize| {
        let leaf = match parts[from] {
            "norm1" => "in_layers.0",
            "conv1" => "in_layers.2",
            "time_emb_proj" => "emb_layers.1",
            "norm2" => "out_layers.0",
            "conv2" => "out_layers.3",
            _ => "skip_connection",
        };
        format!("{leaf}.{}", tail(from + 1))
    };
    Some(match parts[0] {
        "conv_in" => format!("input_blocks.0.0.{}", tail(1)),
        "conv_norm_out" => format!("out.0.{}", tail(1)),
        "conv_out" => format!("out.2.{}", tail(1)),
        "time_embedding" => match parts[1] {
            "linear_1" => format!("time_embed.0.{}", tail(2)),
            _ => format!("time_embed.2.{}", tail(2)),
        },
        "mid_block" => match (parts[1], parts[2]) {
            ("resnets", "0") => format!("middle_block.0.{}", resnet(3)),
            ("resnets", _) => format!("middle_block.2.{}", resnet(3)),
            _ => format!("middle_block.1.{}", tail(3)),
        },
        "down_blocks" => {
            let block = 3 * number(1) + 1;
            match parts[2] {
                "resnets" => format!("input_blocks.{}.0.{}", block + number(3), resnet(4)),
                "attentions" => format!("input_blocks.{}.1.{}", block + number(3), tail(4)),
                _ => format!("input_blocks.{}.0.op.{}", block + 2, tail(5)),
            }
        }
        "up_blocks" => {
            let block = 3 * number(1);
            // Without the middle one of three layers, the last keeps its number.
            let layer = |index: usize| if layers == 1 { 2 * index } else { index };
            match parts[2] {
                "resnets" => {
                    format!("output_blocks.{}.0.{}", block + layer(number(3)), resnet(4))
                }
                "attentions" => {
                    format!("output_blocks.{}.1.{}", block + layer(number(3)), tail(4))
                }
                _ => {
                    let part = if number(1) == 0 { 1 } else { 2 };
                    format!("output_blocks.{}.{part}.{}", block + 2, tail(4))
                }
            }
        }
        _ => return None,
    })
}

#[test]
fn a_control_net_is_read_from_a_file_in_both_namings() {
    let mut options = options(&model::checkpoint());
    options.controlnet = Some(golden("controlnet/model"));
    let (folder, expected) = pack(&options).unwrap();
    let original = original_control_net();
    let prefixed = |start: &str| -> Vec<Entry> {
        let tensors = original.iter().cloned();
        tensors
            .map(|(name, dtype, shape, bytes)| (format!("{start}{name}"), dtype, shape, bytes))
            .collect()
    };
    let files = [
        golden("controlnet/model/diffusion_pytorch_model.safetensors"),
        write("original-control.safetensors", &prefixed("control_model.")),
        write("bare-control.safetensors", &prefixed("")),
    ];
    for file in files {
        assert!(inspect(&file).unwrap().starts_with("ControlNet "));
        options.controlnet = Some(file);
        let (manifest, shards) = pack(&options).unwrap();
        assert_eq!(manifest.tensors, folder.tensors);
        assert!(shards == expected);
        assert!(manifest.config::<Value>("controlnet").unwrap()["attention_head_dim"] == 8);
    }
    let mut difference = prefixed("control_model.");
    difference.push(mark("difference"));
    for (name, tensors, reason) in [
        ("difference.safetensors", difference, "difference"),
        (
            "control_v11e_sd15_shuffle.safetensors",
            prefixed(""),
            "pooled",
        ),
        ("unet.safetensors", part(UNET, UNET), "not a ControlNet"),
    ] {
        options.controlnet = Some(write(name, &tensors));
        assert_refused(&options, ErrorCode::ModelUnsupported, &[reason, name]);
    }
}

#[test]
fn what_the_unet_predicts_is_recognised() {
    let scheduler = |marks: &[&str]| {
        let mut tensors = renamed(|name| Some(name.to_string()));
        tensors.extend(marks.iter().map(|name| mark(name)));
        let path = write("predicts.safetensors", &tensors);
        let text = inspect(&path).unwrap();
        (
            pack(&options(&path)).unwrap().0.components["scheduler"].clone(),
            text,
        )
    };
    let (plain, text) = scheduler(&[]);
    assert_eq!(plain["prediction_type"], "epsilon");
    assert!(text.contains("prediction: epsilon\n"), "{text}");
    let (v, text) = scheduler(&["v_pred"]);
    assert_eq!(v["prediction_type"], "v_prediction");
    assert_eq!(v.get("rescale_betas_zero_snr"), None);
    assert!(text.contains("prediction: v_prediction\n"), "{text}");
    let (zero, text) = scheduler(&["v_pred", "ztsnr"]);
    assert_eq!(zero["prediction_type"], "v_prediction");
    assert_eq!(zero["rescale_betas_zero_snr"], true);
    assert_eq!(zero["timestep_spacing"], "trailing");
    assert!(text.contains("v_prediction, zero terminal SNR"), "{text}");

    // ModelSpec's metadata says it too.
    let bytes = std::fs::read(single_file::whole()).unwrap();
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let (header, data) = bytes[8..].split_at(length);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    let mut specified = |kind: &str| {
        header["__metadata__"] = json!({ "modelspec.prediction_type": kind });
        let header = header.to_string().into_bytes();
        let length = (header.len() as u64).to_le_bytes();
        let path = model::scratch().join("specified.safetensors");
        std::fs::write(&path, [&length[..], &header, data].concat()).unwrap();
        path
    };
    for (kind, expected) in [
        ("v", "v_prediction"),
        ("v_prediction", "v_prediction"),
        ("v-prediction", "v_prediction"),
        ("epsilon", "epsilon"),
        ("sample", "sample"),
    ] {
        let text = inspect(&specified(kind)).unwrap();
        let line = format!("prediction: {expected}\n");
        assert!(text.contains(&line), "{kind}: {text}");
    }
    let path = specified("flow");
    assert_refused(&options(&path), ErrorCode::ModelUnsupported, &["flow"]);

    let folder = copied_folder("v-prediction");
    change_json(&folder.join("scheduler/scheduler_config.json"), |config| {
        config["prediction_type"] = "v_prediction".into();
    });
    let (manifest, _) = pack(&options(&folder)).unwrap();
    assert_eq!(
        manifest.components["scheduler"]["prediction_type"],
        "v_prediction"
    );
}

/// A UNet's tensors by diffusers' names: the tiny one's, with one layer a block, with the levels
/// below `levels` and with or without its middle.
fn distilled(levels: usize, has_middle: bool) -> Vec<Entry> {
    let kept = read(&diffusers("unet")).into_iter();
    let keep = |name: &str| {
        let parts: Vec<&str> = name.split('.').collect();
        let number = |index: usize| parts[index].parse::<usize>().unwrap();
        match parts[0] {
            "mid_block" => has_middle.then(|| name.to_string()),
            "down_blocks" => {
                let is_last = number(1) + 1 == levels;
                let kept = number(1) < levels
                    && number(3) == 0
                    && !(is_last && parts[2] == "downsamplers");
                kept.then(|| name.to_string())
            }
            "up_blocks" => {
                // The way up begins at the coarsest level.
                let level = number(1).checked_sub(4 - levels)?;
                let layer = match (parts[2], number(3)) {
                    ("upsamplers", _) => 0,
                    (_, 1) => return None,
                    (_, layer) => layer / 2,
                };
                Some(format!(
                    "up_blocks.{level}.{}.{layer}.{}",
                    parts[2],
                    parts[4..].join(".")
                ))
            }
            _ => Some(name.to_string()),
        }
    };
    kept.filter_map(|(name, dtype, shape, bytes)| Some((keep(&name)?, dtype, shape, bytes)))
        .collect()
}

/// Block numbers without gaps, as code that knows of fewer layers gives them.
fn numbered_anew(names: &[String]) -> impl Fn(&str) -> String + use<> {
    let mut blocks: std::collections::BTreeMap<String, std::collections::BTreeSet<usize>> =
        std::collections::BTreeMap::new();
    for name in names {
        let mut parts = name.splitn(3, '.');
        let (path, number) = (parts.next().unwrap(), parts.next().unwrap());
        if path.ends_with("put_blocks") {
            let number = number.parse().unwrap();
            blocks.entry(path.into()).or_default().insert(number);
        }
    }
    move |name: &str| {
        let parts: Vec<&str> = name.splitn(3, '.').collect();
        let place = blocks.get(parts[0]).and_then(|numbers| {
            let number: usize = parts[1].parse().ok()?;
            numbers.iter().position(|one| *one == number)
        });
        match place {
            Some(place) => format!("{}.{place}.{}", parts[0], parts[2]),
            None => name.to_string(),
        }
    }
}

#[test]
fn distilled_unets_are_measured_from_their_names() {
    for (levels, has_middle) in [(4, true), (4, false), (3, true), (3, false)] {
        let tensors = distilled(levels, has_middle);
        let canonical: Vec<String> = tensors.iter().map(|tensor| tensor.0.clone()).collect();
        let by_number_of = |layers: usize| {
            let mut original = tensors.clone();
            for tensor in &mut original {
                tensor.0 = original_name(&tensor.0, layers).unwrap();
            }
            original
        };
        // Scripts that know of three layers on the way up number those that there are from 0.
        let (original, script) = (by_number_of(1), by_number_of(2));
        let names: Vec<String> = original.iter().map(|tensor| tensor.0.clone()).collect();
        let anew = numbered_anew(&names);
        let mut compact = original.clone();
        compact
            .iter_mut()
            .for_each(|tensor| tensor.0 = anew(&tensor.0));
        for (form, mut entries) in [
            ("diffusers", tensors),
            ("gaps", original),
            ("script", script),
            ("compact", compact),
        ] {
            let what = format!("{levels} levels, middle {has_middle}, {form}");
            if form != "diffusers" {
                entries
                    .iter_mut()
                    .for_each(|tensor| tensor.0.insert_str(0, UNET));
            }
            let checkpoint = Checkpoint::open(write("distilled.safetensors", &entries)).unwrap();
            let mut expected = canonical.clone();
            expected.sort_unstable();
            let found: Vec<&str> = checkpoint
                .tensors(Component::Unet)
                .map(|(name, _)| name)
                .collect();
            assert_eq!(found, expected, "{what}");
            let config = checkpoint.config("unet").unwrap();
            assert_eq!(config["layers_per_block"], 1, "{what}");
            assert_eq!(
                config["block_out_channels"],
                json!([64, 32, 64, 64][..levels])
            );
            let types: Vec<&str> = (0..levels)
                .map(|level| {
                    if level == 3 {
                        "DownBlock2D"
                    } else {
                        "CrossAttnDownBlock2D"
                    }
                })
                .collect();
            assert_eq!(config["down_block_types"], json!(types), "{what}");
            let middle = config.get("mid_block_type");
            assert_eq!(middle, (!has_middle).then_some(&Value::Null), "{what}");
        }
    }
    // A UNet that lacks nothing but its middle is incomplete.
    let without = renamed(|name| (!name.contains(".middle_block.")).then(|| name.to_string()));
    let checkpoint = Checkpoint::open(write("no-middle.safetensors", &without)).unwrap();
    assert_eq!(
        checkpoint.config("unet").unwrap().get("mid_block_type"),
        None
    );
}

#[test]
#[ignore = "needs the golden data of distilled UNets in GLASSINE_GOLDEN"]
fn distilled_unets_as_single_files_are_those_in_folders() {
    for name in ["small", "tiny"] {
        let folder = golden(&format!("distilled/{name}/unet"));
        let mut tensors = read(&folder.join("diffusion_pytorch_model.safetensors"));
        for tensor in &mut tensors {
            tensor.0 = format!("{UNET}{}", original_name(&tensor.0, 1).unwrap());
        }
        let path = write("distilled-golden.safetensors", &tensors);
        let (file, folder) = (
            Checkpoint::open(path).unwrap(),
            Checkpoint::open(folder).unwrap(),
        );
        let names = |checkpoint: &Checkpoint| -> Vec<String> {
            let names = checkpoint.tensors(Component::Unet);
            names.map(|(name, _)| name.to_string()).collect()
        };
        assert_eq!(names(&file), names(&folder), "{name}");
        let (found, expected) = (file.config("unet").unwrap(), folder.config("unet").unwrap());
        for field in [
            "layers_per_block",
            "block_out_channels",
            "mid_block_type",
            "down_block_types",
            "up_block_types",
            "cross_attention_dim",
            "in_channels",
            "out_channels",
        ] {
            assert_eq!(found[field], expected[field], "{name}: {field}");
        }
    }
}

#[test]
fn a_vae_without_an_encoder_makes_a_pack_that_decodes_only() {
    let is_encoder = |name: &str| {
        let vae = name.strip_prefix(VAE).unwrap_or_default();
        vae.starts_with("encoder.") || vae.starts_with("quant_conv.")
    };
    let tensors = renamed(|name| (!is_encoder(name)).then(|| name.to_string()));
    let path = write("decoder-only.safetensors", &tensors);
    assert!(inspect(&path).unwrap().contains("decodes only"));
    let out = model::scratch().join("decoder-only");
    let manifest = model::pack_as(&options(&path), &out).unwrap();
    assert!(!manifest.encodes());
    assert!(inspect(&out).unwrap().contains("has no encoder"));
    let whole = pack(&options(&single_file::whole())).unwrap().0;
    assert_eq!(manifest.preview, whole.preview, "the decoder is the same");

    pollster::block_on(async {
        let source = FolderSource::new(&out);
        let device = burn::tensor::Device::flex();
        let mut engine = Engine::open(source, device, LoadOptions::default())
            .await
            .unwrap();
        let mut request = Request::new("a cat");
        (request.width, request.height) = (Some(64), Some(64));
        (request.steps, request.mode) = (Some(1), Some(Mode::Opaque));
        engine.generate(&request, &mut NoProgress).await.unwrap();
        let picture = Picture {
            width: 64,
            height: 64,
            rgba: vec![255; 64 * 64 * 4],
        };
        request.init = Some(Init::Picture(picture.clone()));
        let refused = [
            engine.encode(&picture, 1.0, &mut NoProgress).await.err(),
            engine.generate(&request, &mut NoProgress).await.err(),
        ];
        for error in refused {
            let error = error.unwrap();
            assert_eq!(error.code, ErrorCode::UnsupportedMode, "{error}");
            assert!(error.to_string().contains("no encoder"), "{error}");
        }
    });
}

fn write_bytes(path: &Path, bytes: Vec<u8>) {
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn an_embedding_of_pytorchs_is_named() {
    let said = inspect(&golden("community/tiny-style.pt")).unwrap();
    assert!(
        said.contains("textual inversion") && said.contains("--embedding"),
        "{said}"
    );
}

/// Nothing in them is run: they are read.
#[test]
fn files_of_pytorchs_give_the_same_pack() {
    let path = model::scratch().join("model.ckpt");
    let tensors = renamed(|name| Some(name.to_string()));
    write_bytes(&path, torch::checkpoint(&tensors));
    assert_same_as_whole(&options(&path));
    let said = inspect(&path).unwrap();
    assert!(said.contains("Stable Diffusion 1.x"), "{said}");
    // Whatever it is called.
    let renamed = model::scratch().join("really-a-pickle.safetensors");
    std::fs::copy(&path, &renamed).unwrap();
    assert_same_as_whole(&options(&renamed));

    let folder = copied_folder("torch-folder");
    let mut parts = vec![("text_encoder", "model", "pytorch_model")];
    for part in ["unet", "vae"] {
        let stem = "diffusion_pytorch_model";
        parts.push((part, stem, stem));
    }
    for (part, stem, torch_stem) in parts {
        let safetensors = folder.join(part).join(format!("{stem}.safetensors"));
        let bytes = torch::plain(&read(&safetensors));
        std::fs::remove_file(safetensors).unwrap();
        write_bytes(&folder.join(part).join(format!("{torch_stem}.bin")), bytes);
    }
    let (manifest, shards) = pack(&options(&folder)).unwrap();
    let (expected, expected_shards) = pack(&options(&model::checkpoint())).unwrap();
    assert_eq!(manifest.tensors, expected.tensors);
    assert!(shards == expected_shards);

    let evil = torch::call(torch::global("os", "system"), &[torch::text("true")]);
    let evil = torch::dict(&[("state_dict", torch::dict(&[("a", evil)]))]);
    let path = model::scratch().join("evil.ckpt");
    write_bytes(&path, torch::archive(&evil, &[]));
    assert_refused_and_not_inspected(
        &path,
        ErrorCode::ModelUnsupported,
        &["evil.ckpt", "os.system", "not run"],
    );
}
