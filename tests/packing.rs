//! Checkpoints become packs, and packs are not trusted.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use glassine::ErrorCode;
use glassine::weights::{
    AdapterKind, Dtype, FolderSource, MANIFEST_FILE, Manifest, Pack, PackOptions, PackSource,
    Packer, Precision, SafetensorsFile, Weights, write_safetensors,
};
use support::{golden, golden_bytes, model};

fn pack(options: &PackOptions) -> glassine::Result<Manifest> {
    pollster::block_on(Packer::pack(options, |_, _| ()))
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

/// The tiny model as an original single file: the published one where it lies in the golden data,
/// else put together from the folder by the table of names.
fn single_file() -> PathBuf {
    let original = golden("sd-tiny/single-file.safetensors");
    if original.is_file() {
        return original;
    }
    let names: HashMap<String, String> =
        serde_json::from_slice(&golden_bytes("sd-tiny/single-file-names.json")).unwrap();
    let folder = model::checkpoint();
    let mut files: HashMap<&str, SafetensorsFile> = HashMap::new();
    for component in ["text_encoder", "unet", "vae"] {
        let name = if component == "text_encoder" {
            "model"
        } else {
            "diffusion_pytorch_model"
        };
        let path = folder.join(component).join(format!("{name}.safetensors"));
        files.insert(component, SafetensorsFile::open(path).unwrap());
    }
    let mut tensors = vec![
        ("model_ema.decay".into(), Dtype::F32, vec![], vec![0; 4]),
        ("betas".into(), Dtype::F32, vec![2], vec![0; 8]),
    ];
    for (original, canonical) in &names {
        let (component, name) = canonical.split_once('.').unwrap();
        let tensor = files.get_mut(component).unwrap().read(name).unwrap();
        let mut shape = tensor.shape;
        if original.contains(".attn_1.") && shape.len() == 2 {
            shape.extend([1, 1]);
        }
        let bytes = tensor
            .data
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        tensors.push((original.clone(), Dtype::F32, shape, bytes));
    }
    let path = model::scratch().join("single-file.safetensors");
    std::fs::write(&path, write_safetensors(&tensors)).unwrap();
    path
}

#[test]
fn a_single_file_gives_the_same_pack_as_a_folder() {
    let base = |model: PathBuf, out: &str| PackOptions {
        model,
        transparency_decoder: None,
        adapters: BTreeMap::new(),
        ..model::options(out)
    };
    let folder = base(model::checkpoint(), "from-folder");
    let file = base(single_file(), "from-file");
    let from_folder = pack(&folder).unwrap();
    let from_file = pack(&file).unwrap();
    assert_eq!(from_folder.tensors, from_file.tensors);
    assert!(shards(&folder.out, &from_folder) == shards(&file.out, &from_file));
}

#[test]
fn large_tensors_are_split_over_shards_of_sixteen_mebibytes() {
    let options = model::options("sharded");
    let manifest = pack(&options).unwrap();
    for shard in &manifest.shards {
        assert!(
            shard.bytes <= 16 << 20,
            "{} has {} bytes",
            shard.file,
            shard.bytes
        );
        SafetensorsFile::open(options.out.join(&shard.file))
            .expect("every shard is a safetensors file");
    }
    load(FolderSource::new(&options.out)).unwrap();
}

#[test]
fn packing_again_replaces_the_pack_and_nothing_else() {
    let options = PackOptions {
        transparency_decoder: None,
        adapters: BTreeMap::new(),
        ..model::options("again")
    };
    pack(&options).unwrap();
    std::fs::write(options.out.join("MODEL_CARD.md"), "kept").unwrap();
    let half = PackOptions {
        precision: Precision::F16,
        ..options.clone()
    };
    let manifest = pack(&half).unwrap();
    load(FolderSource::new(&options.out)).unwrap();
    assert!(options.out.join("MODEL_CARD.md").is_file());
    let files = std::fs::read_dir(&options.out).unwrap().count();
    assert_eq!(
        files,
        manifest.shards.len() + 2,
        "no shard of the first pack is left"
    );

    let used = model::scratch().join("used");
    std::fs::create_dir_all(&used).unwrap();
    std::fs::write(used.join("letter.txt"), "kept").unwrap();
    let error = pack(&PackOptions {
        out: used.clone(),
        ..options
    })
    .unwrap_err();
    assert_eq!(error.code, ErrorCode::BadOption, "{error}");
    assert!(used.join("letter.txt").is_file());
}

#[test]
fn half_precision_halves_the_pack() {
    let whole = pack(&model::options("f32")).unwrap();
    let half = PackOptions {
        precision: Precision::F16,
        ..model::options("f16")
    };
    let half = pack(&half).unwrap();
    let ratio = half.total_bytes() as f64 / whole.total_bytes() as f64;
    assert!((0.5..0.52).contains(&ratio), "{ratio}");
}

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let options = PackOptions {
        transparency_decoder: None,
        adapters: BTreeMap::new(),
        ..model::options("flipped")
    };
    let manifest = pack(&options).unwrap();
    let shard = options.out.join(&manifest.shards[1].file);
    let sound = std::fs::read(&shard).unwrap();
    for position in [0, 9, sound.len() / 2, sound.len() - 1] {
        let mut damaged = sound.clone();
        damaged[position] ^= 1;
        std::fs::write(&shard, damaged).unwrap();
        let error = load(FolderSource::new(&options.out)).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelDamaged, "{error}");
        assert!(error.message.contains(&manifest.shards[1].file), "{error}");
    }
    std::fs::write(&shard, &sound[..sound.len() - 1]).unwrap();
    assert_eq!(
        load(FolderSource::new(&options.out)).unwrap_err().code,
        ErrorCode::ModelDamaged
    );
    std::fs::remove_file(&shard).unwrap();
    assert_eq!(
        load(FolderSource::new(&options.out)).unwrap_err().code,
        ErrorCode::ModelDamaged
    );
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
    let options = PackOptions {
        transparency_decoder: None,
        adapters: BTreeMap::new(),
        ..model::options("mended")
    };
    pack(&options).unwrap();
    load(MendingSource(FolderSource::new(&options.out))).unwrap();
}

#[test]
fn manifests_cannot_lead_elsewhere() {
    let json = std::fs::read({
        let options = model::options("manifest");
        pack(&options).unwrap();
        options.out.join(MANIFEST_FILE)
    })
    .unwrap();
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
    let newer = parse(&|value| value["glassine"] = 2.into());
    assert_eq!(newer.unwrap_err().code, ErrorCode::ModelUnsupported);
    for end in 0..json.len().min(2000) {
        assert!(Manifest::parse(&json[..end]).is_err());
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
    std::fs::write(path("model.ckpt"), b"pickle").unwrap();
    let refused = [
        (path("model.ckpt"), ".safetensors"),
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
        let error = pack(&PackOptions {
            model,
            ..model::options("refused")
        })
        .unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!path("refused").exists() && !path("refused.partial").exists());
    }
    let joint = golden("layerdiffuse/weights/layer_sd15_vae_transparent_decoder.safetensors");
    let options = PackOptions {
        adapters: BTreeMap::from([(AdapterKind::Single, joint)]),
        ..model::options("refused")
    };
    let error = pack(&options).unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
    assert!(!path("refused").exists() && !path("refused.partial").exists());
}
