//! Checkpoints become packs, and packs are not trusted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::{golden, model, single_file};
use burn::tensor::Device;
use glassine::ErrorCode;
use glassine::internals::weights::{Dtype, InMemory, SafetensorsFile, Weights, write_safetensors};
use glassine::pack::{
    AdapterKind, FolderSource, MANIFEST_FILE, Manifest, Pack, PackOptions, PackSource, Precision,
};

/// Packs into the scratch folder `out`.
fn pack(options: &PackOptions, out: &str) -> glassine::Result<Manifest> {
    model::pack_as(options, &folder(out))
}

fn folder(name: &str) -> PathBuf {
    model::scratch().join(name)
}

fn load(source: impl PackSource) -> glassine::Result<()> {
    pollster::block_on(async {
        let pack = Pack::open(source).await?;
        let weights = Weights::new(&Device::flex());
        pack.load(&weights, |_| true, async |_| true).await
    })
}

/// The bytes of every weight shard, which hold names, shapes and values.
fn shards(folder: &Path, manifest: &Manifest) -> Vec<Vec<u8>> {
    let files = manifest.shards.iter();
    files
        .map(|shard| std::fs::read(folder.join(&shard.file)).unwrap())
        .collect()
}

#[test]
fn a_single_file_gives_the_same_pack_as_a_folder() {
    let base = |model: PathBuf| {
        let mut options = model::options();
        options.model = model;
        options.transparency_decoder = None;
        options.adapters = BTreeMap::new();
        options
    };
    let from_folder = pack(&base(model::checkpoint()), "from-folder").unwrap();
    let from_file = pack(&base(single_file::whole()), "from-file").unwrap();
    assert_eq!(from_folder.tensors, from_file.tensors);
    let one = shards(&folder("from-folder"), &from_folder);
    assert!(one == shards(&folder("from-file"), &from_file));
}

#[test]
fn large_tensors_are_split_over_shards_of_limited_size() {
    let manifest = pack(&model::options(), "sharded").unwrap();
    for shard in &manifest.shards {
        assert!(
            shard.bytes <= 16 << 20,
            "{} has {} bytes",
            shard.file,
            shard.bytes
        );
        SafetensorsFile::open(folder("sharded").join(&shard.file))
            .expect("every shard is a safetensors file");
    }
    load(FolderSource::new(folder("sharded"))).unwrap();
}

#[test]
fn packing_again_replaces_the_pack_and_nothing_else() {
    let mut options = model::options();
    options.transparency_decoder = None;
    options.adapters = BTreeMap::new();
    let out = folder("again");
    pack(&options, "again").unwrap();
    std::fs::write(out.join("MODEL_CARD.md"), "kept").unwrap();
    let mut half = options.clone();
    half.precision = Precision::F16;
    let manifest = pack(&half, "again").unwrap();
    load(FolderSource::new(&out)).unwrap();
    assert!(out.join("MODEL_CARD.md").is_file());
    let files = std::fs::read_dir(&out).unwrap().count();
    assert_eq!(
        files,
        manifest.shards.len() + 2,
        "no shard of the first pack is left"
    );

    let used = model::scratch().join("used");
    std::fs::create_dir_all(&used).unwrap();
    std::fs::write(used.join("letter.txt"), "kept").unwrap();
    let error = pack(&options, "used").unwrap_err();
    assert_eq!(error.code, ErrorCode::BadOption, "{error}");
    assert!(used.join("letter.txt").is_file());
}

#[test]
fn half_precision_halves_the_pack() {
    let whole = pack(&model::options(), "f32").unwrap();
    let mut half = model::options();
    half.precision = Precision::F16;
    let half = pack(&half, "f16").unwrap();
    let ratio = half.total_bytes() as f64 / whole.total_bytes() as f64;
    assert!((0.5..0.52).contains(&ratio), "{ratio}");
}

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let mut options = model::options();
    options.transparency_decoder = None;
    options.adapters = BTreeMap::new();
    let manifest = pack(&options, "flipped").unwrap();
    let out = folder("flipped");
    let shard = out.join(&manifest.shards[1].file);
    let sound = std::fs::read(&shard).unwrap();
    for position in [0, 9, sound.len() / 2, sound.len() - 1] {
        let mut damaged = sound.clone();
        damaged[position] ^= 1;
        std::fs::write(&shard, damaged).unwrap();
        let error = load(FolderSource::new(&out)).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelDamaged, "{error}");
        assert!(error.message.contains(&manifest.shards[1].file), "{error}");
    }
    std::fs::write(&shard, &sound[..sound.len() - 1]).unwrap();
    let damage = || load(FolderSource::new(&out)).unwrap_err().code;
    assert_eq!(damage(), ErrorCode::ModelDamaged);
    std::fs::remove_file(&shard).unwrap();
    assert_eq!(damage(), ErrorCode::ModelDamaged);
}

/// A store whose copies are all damaged, and which has whole ones elsewhere.
struct MendingSource(FolderSource);

impl PackSource for MendingSource {
    async fn read(&self, file: &str) -> glassine::Result<Vec<u8>> {
        let mut bytes = self.0.read(file).await?;
        if file != MANIFEST_FILE {
            bytes[0] ^= 1;
        }
        Ok(bytes)
    }

    async fn read_again(&self, file: &str) -> glassine::Result<Vec<u8>> {
        self.0.read(file).await
    }
}

#[test]
fn a_damaged_shard_is_read_again_from_a_source_that_mends_it() {
    let mut options = model::options();
    options.transparency_decoder = None;
    options.adapters = BTreeMap::new();
    pack(&options, "mended").unwrap();
    load(MendingSource(FolderSource::new(folder("mended")))).unwrap();
}

#[test]
fn manifests_cannot_lead_elsewhere() {
    pack(&model::options(), "manifest").unwrap();
    let json = std::fs::read(folder("manifest").join(MANIFEST_FILE)).unwrap();
    let parse = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        change(&mut value);
        Manifest::parse(value.to_string().as_bytes())
    };
    assert!(parse(&|_| ()).is_ok());
    let wrong: [&dyn Fn(&mut serde_json::Value); 5] = [
        &|value| value["shards"][0]["file"] = "../secret.safetensors".into(),
        &|value| value["shards"][0]["bytes"] = (1u64 << 40).into(),
        &|value| value["shards"][0]["sha256"] = "".into(),
        &|value| value["tensors"]["unet.conv_in.weight"]["shards"] = vec![99].into(),
        &|value| value["shards"][1]["file"] = value["shards"][0]["file"].clone(),
    ];
    for change in wrong {
        assert_eq!(parse(change).unwrap_err().code, ErrorCode::ModelDamaged);
    }
    for other in [Manifest::FORMAT - 1, Manifest::FORMAT + 1] {
        let other = parse(&|value| value["glassine"] = other.into());
        assert_eq!(other.unwrap_err().code, ErrorCode::ModelUnsupported);
    }
    for end in 0..json.len().min(2000) {
        assert!(Manifest::parse(&json[..end]).is_err());
    }
}

/// Whatever bytes are changed, removed or repeated, reading ends in an answer and not in a panic.
#[test]
fn mutated_headers_and_manifests_are_answered() {
    let mut options = model::options();
    options.transparency_decoder = None;
    options.adapters = BTreeMap::new();
    options.precision = Precision::Q4;
    let manifest = pack(&options, "mutated").unwrap();
    let json = std::fs::read(folder("mutated").join(MANIFEST_FILE)).unwrap();
    let shard = &manifest.shards[1].file;
    let mut shard = std::fs::read(folder("mutated").join(shard)).unwrap();
    let header = u64::from_le_bytes(*shard.first_chunk().unwrap()) as usize;
    shard.truncate(8 + header);

    let mut state = 1u64;
    let mut below = |limit: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % limit
    };
    for _ in 0..300 {
        for (bytes, is_manifest) in [(&json, true), (&shard, false)] {
            let mut bytes = bytes.clone();
            for _ in 0..=below(3) {
                let position = below(bytes.len());
                match below(3) {
                    0 => bytes[position] = below(256) as u8,
                    1 => drop(bytes.drain(position..bytes.len().min(position + 8))),
                    _ => bytes.insert(position, b"0123456789[]{},:\"-"[below(18)]),
                }
            }
            if is_manifest {
                let _ = Manifest::parse(&bytes);
            } else {
                // Its tensors are cut off, so that no mutation makes it whole.
                let file = SafetensorsFile::open_in(&InMemory(bytes), Path::new("mutated"));
                assert!(file.is_err());
            }
        }
    }
}

#[test]
fn safetensors_that_break_the_format_are_refused() {
    let bytes = |json: &str, data: usize| {
        let mut file = (json.len() as u64).to_le_bytes().to_vec();
        file.extend(json.as_bytes());
        file.resize(file.len() + data, 0);
        file
    };
    let wrong = [
        vec![],
        vec![0; 7],
        u64::MAX.to_le_bytes().to_vec(),
        bytes("[]", 0),
        bytes("{\"a\"", 0),
        bytes(
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
            4,
        ),
        bytes(
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            8,
        ),
        bytes(
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
            4,
        ),
        bytes(
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            5,
        ),
        bytes(
            r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}"#,
            0,
        ),
        bytes(
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                "b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            4,
        ),
    ];
    let path = model::scratch().join("wrong.safetensors");
    for file in wrong {
        std::fs::write(&path, &file).unwrap();
        let error = SafetensorsFile::open(&path).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelDamaged, "{error}");
    }
}

#[test]
fn what_glassine_does_not_run_is_refused_by_name() {
    let path = |name: &str| model::scratch().join(name);
    let file = |name: &str, tensors: &[&str]| {
        let tensors: Vec<_> = tensors
            .iter()
            .map(|name| (name.to_string(), Dtype::F32, vec![1], vec![0; 4]))
            .collect();
        std::fs::write(path(name), write_safetensors(&tensors)).unwrap();
        path(name)
    };
    let refused = [
        (
            file("xl.safetensors", &["conditioner.embedders.0.a"]),
            "SDXL",
        ),
        (
            file("sd2.safetensors", &["cond_stage_model.model.a"]),
            "Stable Diffusion 2",
        ),
        (
            file("unet.safetensors", &["model.diffusion_model.a"]),
            "VAE",
        ),
    ];
    for (model, expected) in refused {
        let mut options = model::options();
        options.model = model;
        let error = pack(&options, "refused").unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(left_of("refused"), Vec::<String>::new());
    }
    let joint = golden("layerdiffuse/weights/layer_sd15_vae_transparent_decoder.safetensors");
    let mut options = model::options();
    options.adapters = BTreeMap::from([(AdapterKind::Single, joint)]);
    let error = pack(&options, "refused").unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
    assert_eq!(left_of("refused"), Vec::<String>::new());
}

/// What lies where pack `name` was to be made: it, or folders of an unfinished one.
fn left_of(name: &str) -> Vec<String> {
    let beside = std::fs::read_dir(model::scratch()).unwrap();
    let names = beside.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|found| found.starts_with(name)).collect()
}

/// Fails unless packing is refused with `expected` in the message, and leaves nothing.
fn assert_unsupported(options: &PackOptions, expected: &str) {
    let error = pack(options, "unsupported").unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
    assert!(error.to_string().contains(expected), "{error}");
    assert!(!folder("unsupported").exists());
}

#[test]
fn taesd_files_that_are_swapped_are_refused() {
    let options = model::options();
    let mut swapped = options.clone();
    swapped.taesd_decoder = options.taesd_encoder.clone();
    assert_unsupported(&swapped, "is not a taesd_decoder");
}

#[test]
fn control_nets_for_something_else_are_refused() {
    const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";
    let (original, unet) = (
        golden("controlnet/model"),
        model::checkpoint().join("unet").join(WEIGHTS),
    );
    let folder = model::scratch().join("other-controlnet");
    std::fs::create_dir_all(&folder).unwrap();
    let mut options = model::options();
    options.controlnet = Some(folder.clone());
    assert_eq!(
        pack(&options, "unsupported").unwrap_err().code,
        ErrorCode::ModelNotFound
    );

    let json = std::fs::read(original.join("config.json")).unwrap();
    std::fs::write(folder.join("config.json"), &json).unwrap();
    assert_eq!(
        pack(&options, "unsupported").unwrap_err().code,
        ErrorCode::ModelNotFound
    );

    std::fs::copy(unet, folder.join(WEIGHTS)).unwrap();
    assert_unsupported(&options, "it is not a ControlNet");

    std::fs::write(folder.join(WEIGHTS), widened(&original.join(WEIGHTS))).unwrap();
    assert_unsupported(&options, "attn2.to_k.weight does not fit");

    std::fs::copy(original.join(WEIGHTS), folder.join(WEIGHTS)).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&json).unwrap();
    config["global_pool_conditions"] = true.into();
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    assert_unsupported(&options, "pooled over the whole picture");

    options.controlnet = Some(model::checkpoint());
    assert_unsupported(&options, "it is a whole model and not a ControlNet");
}

/// A ControlNet's file, for text features of twice the width.
fn widened(path: &Path) -> Vec<u8> {
    let mut file = SafetensorsFile::open(path).unwrap();
    let infos = file.tensors().clone();
    let tensors = infos.into_iter().map(|(name, info)| {
        let (mut shape, mut bytes) = (info.shape, file.read_bytes(&name).unwrap());
        if name.ends_with("attn2.to_k.weight") {
            shape[1] *= 2;
            bytes.extend(bytes.clone());
        }
        (name, info.dtype, shape, bytes)
    });
    write_safetensors(&tensors.collect::<Vec<_>>())
}
