//! Models that are cut short, inconsistent or made to do harm end in an error, and not in a panic.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::{companions, golden, model};
use burn::tensor::Device;
use glassine::internals::nn::GroupNorm;
use glassine::internals::weights::{
    Dtype, HostTensor, InMemory, SafetensorsFile, Weights, write_safetensors,
};
use glassine::pack::{
    AdapterKind, Checkpoint, FolderSource, MANIFEST_FILE, Manifest, Pack, PackOptions, PackSource,
    Precision,
};
use glassine::{Error, ErrorCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Tensors of a single-file checkpoint: one of each part, and of the VAE no encoder's.
const SINGLE_FILE: [&str; 3] = [
    "model.diffusion_model.input_blocks.0.0.weight",
    "first_stage_model.decoder.up.0.block.0.conv1.weight",
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
];

/// Lengths to which a safetensors file is cut: every one up to the end of the header, and where
/// each tensor ends, a byte before and a byte after, but not the whole.
fn cuts(file: &[u8]) -> Vec<usize> {
    let header = u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
    let tensors: BTreeMap<String, Value> = serde_json::from_slice(&file[8..8 + header]).unwrap();
    let ends = tensors
        .values()
        .filter_map(|tensor| tensor["data_offsets"][1].as_u64())
        .map(|end| 8 + header + end as usize)
        .flat_map(|end| [end - 1, end, end + 1]);
    (0..=8 + header)
        .chain(ends)
        .filter(|cut| *cut < file.len())
        .collect()
}

fn tensor(name: &str, shape: &[usize]) -> (String, Dtype, Vec<usize>, Vec<u8>) {
    let bytes = vec![0; 4 * shape.iter().product::<usize>()];
    (name.to_string(), Dtype::F32, shape.to_vec(), bytes)
}

#[test]
fn a_checkpoint_that_is_cut_anywhere_is_damaged() {
    let whole = write_safetensors(&SINGLE_FILE.map(|name| tensor(name, &[2, 4])));
    let open =
        |bytes: &[u8]| Checkpoint::open_in(&InMemory(bytes.to_vec()), Path::new("cut.safetensors"));
    assert!(open(&whole).is_ok());
    for cut in cuts(&whole) {
        let error = open(&whole[..cut]).err().expect("a cut file is refused");
        assert_eq!(error.code, ErrorCode::ModelDamaged, "at {cut}: {error}");
    }
}

/// A pack of one shard, whose length and hash are always right.
struct OneShard {
    shard: Vec<u8>,
    tensors: Value,
}

impl OneShard {
    fn manifest(&self) -> Value {
        let hash = Sha256::digest(&self.shard);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({
            "glassine": 2, "name": "one", "precision": "f32", "components": {}, "preview": [],
            "defaults": {
                "width": 64, "height": 64, "steps": 1, "guidance": 1.0, "sampler": "ddim"
            },
            "shards": [{ "file": "a.safetensors", "bytes": self.shard.len(), "sha256": hash }],
            "tensors": self.tensors,
        })
    }

    fn load(&self) -> Result<(), Error> {
        pollster::block_on(async {
            let pack = Pack::open(self).await?;
            let weights = Weights::new(&Device::flex());
            pack.load(&weights, |_| true, async |_| true).await
        })
    }
}

impl PackSource for OneShard {
    async fn read(&self, file: &str) -> glassine::Result<Vec<u8>> {
        Ok(match file {
            MANIFEST_FILE => self.manifest().to_string().into_bytes(),
            _ => self.shard.clone(),
        })
    }
}

#[test]
fn a_shard_that_is_cut_anywhere_is_damaged_even_if_its_hash_is_right() {
    let tensors = [tensor("a", &[2, 3]), tensor("b", &[4]), tensor("c", &[])];
    let entry = |shape: &[usize]| json!({ "type": "f32", "shape": shape, "shards": [0] });
    let mut pack = OneShard {
        shard: write_safetensors(&tensors),
        tensors: json!({ "a": entry(&[2, 3]), "b": entry(&[4]), "c": entry(&[]) }),
    };
    pack.load().unwrap();
    let whole = pack.shard.clone();
    for cut in cuts(&whole) {
        pack.shard = whole[..cut].to_vec();
        let error = pack.load().unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelDamaged, "at {cut}: {error}");
    }
}

#[test]
fn manifests_cannot_ask_for_more_memory_than_their_shards_fill() {
    let parse = |entry: Value| {
        let pack = OneShard {
            shard: write_safetensors(&[tensor("a", &[16])]),
            tensors: json!({ "a": entry }),
        };
        Manifest::parse(pack.manifest().to_string().as_bytes())
    };
    parse(json!({ "type": "f32", "shape": [16], "shards": [0] })).unwrap();
    for entry in [
        json!({ "type": "f32", "shape": [1u64 << 30], "shards": [0] }),
        json!({ "type": "q4", "group": 32, "shape": [1 << 15, 1 << 15], "shards": [0] }),
        json!({ "type": "q4", "group": 32, "shape": [0, 1u64 << 63, 4], "shards": [0] }),
        json!({ "type": "f32", "shape": [0], "shards": [0] }),
        json!({ "type": "f32", "shape": [16], "shards": [0, 0] }),
    ] {
        let error = parse(entry.clone()).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelDamaged, "{entry}: {error}");
    }
}

#[test]
fn a_single_file_without_the_vaes_encoder_has_no_levels_to_count() {
    let file = write_safetensors(&SINGLE_FILE.map(|name| tensor(name, &[2, 4])));
    Checkpoint::open_in(&InMemory(file), Path::new("decoder.safetensors")).unwrap();
}

/// The tiny model without companions.
fn plain_options() -> PackOptions {
    let mut options = PackOptions::new(model::checkpoint());
    options.transparency_decoder = None;
    options.transparency_encoder = None;
    options.controlnet = None;
    options.taesd_decoder = None;
    options.taesd_encoder = None;
    options.adapters = BTreeMap::new();
    options.precision = Precision::F32;
    options
}

fn written(name: &str, tensors: &[(String, Dtype, Vec<usize>, Vec<u8>)]) -> PathBuf {
    let path = model::scratch().join(name);
    std::fs::write(&path, write_safetensors(tensors)).unwrap();
    path
}

fn tensors_of(path: &Path) -> Vec<(String, Dtype, Vec<usize>, Vec<u8>)> {
    let mut file = SafetensorsFile::open(path).unwrap();
    let headers = file.tensors().clone();
    let tensors = headers.iter().map(|(name, info)| {
        let bytes = file.read_bytes(name).unwrap();
        (name.clone(), info.dtype, info.shape.clone(), bytes)
    });
    tensors.collect()
}

#[test]
fn adapters_of_other_shapes_are_refused() {
    let original = golden("layerdiffuse/weights/layer_sd15_transparent_attn.safetensors");
    let tensors = tensors_of(&original);
    for name in [
        "hookers.layers.0.to_q_lora.0.up.weight",
        "hookers.layers.0.to_v_lora.0.down.weight",
        "hookers.layers.0.temporal_n.weight",
        "hookers.layers.0.temporal_n.bias",
        "hookers.layers.0.temporal_i.weight",
        "hookers.layers.0.temporal_v.weight",
        "hookers.layers.0.temporal_o.bias",
    ] {
        let mut changed = tensors.clone();
        let changing = changed.iter_mut().find(|tensor| tensor.0 == name);
        let (_, dtype, shape, bytes) = changing.unwrap();
        *shape = vec![3];
        bytes.truncate(3 * dtype.size());
        let adapter = written("changed-adapter.safetensors", &changed);
        let mut options = plain_options();
        options.adapters = BTreeMap::from([(AdapterKind::Single, adapter)]);
        let out = model::scratch().join("changed-adapter");
        let error = model::pack_as(&options, &out).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelUnsupported, "{name}: {error}");
    }
}

/// The file at `path` with NaN as the last value of tensor `name`, under the name `changed`.
fn with_nan(path: &Path, name: &str, changed: &str) -> PathBuf {
    let mut tensors = tensors_of(path);
    let changing = tensors.iter_mut().find(|tensor| tensor.0 == name);
    let (_, dtype, _, bytes) = changing.unwrap();
    let nan = match dtype {
        Dtype::F32 => f32::NAN.to_le_bytes().to_vec(),
        Dtype::F16 => vec![0, 0x7e],
        Dtype::BF16 => vec![0xc0, 0x7f],
        other => panic!("no NaN of {other:?}"),
    };
    let start = bytes.len() - nan.len();
    bytes[start..].copy_from_slice(&nan);
    written(changed, &tensors)
}

/// Quantization would hide what is no number.
#[test]
fn files_with_values_that_are_no_numbers_are_refused_by_name() {
    let weights = golden("layerdiffuse/weights");
    let vae = model::checkpoint().join("vae/diffusion_pytorch_model.safetensors");
    type Give = fn(&mut PackOptions, PathBuf);
    let files: [(PathBuf, &str, Give); 7] = [
        (vae, "decoder.conv_out.bias", |options, file| {
            options.vae = Some(file);
        }),
        (
            weights.join("layer_sd15_transparent_attn.safetensors"),
            "hookers.layers.1.to_q_lora.0.up.weight",
            |options, file| options.adapters = [(AdapterKind::Single, file)].into(),
        ),
        (
            weights.join("layer_sd15_transparent_attn.safetensors"),
            "hookers.layers.1.temporal_v.bias",
            |options, file| options.adapters = [(AdapterKind::Single, file)].into(),
        ),
        (
            weights.join("layer_sd15_joint.safetensors"),
            "hookers.layers.1.to_k_lora.2.down.weight",
            |options, file| options.adapters = [(AdapterKind::Joint, file)].into(),
        ),
        (
            weights.join("layer_sd15_fg2bg.safetensors"),
            "kwargs_encoder.blocks_0.0.weight",
            |options, file| {
                options.adapters = [(AdapterKind::ForegroundToBackground, file)].into();
            },
        ),
        (
            weights.join("layer_sd15_vae_transparent_decoder.safetensors"),
            "conv_in.weight",
            |options, file| options.transparency_decoder = Some(file),
        ),
        (companions::taesd_decoder(), "1.weight", |options, file| {
            options.taesd_decoder = Some(file);
        }),
    ];
    for (index, (path, name, give)) in files.into_iter().enumerate() {
        let file = with_nan(&path, name, &format!("nan-{index}.safetensors"));
        let mut options = plain_options();
        options.precision = Precision::Q4;
        give(&mut options, file.clone());
        let out = model::scratch().join("nan");
        let error = model::pack_as(&options, &out).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelDamaged, "{name}: {error}");
        for word in [&*file.to_string_lossy(), name, "NaN or infinity"] {
            assert!(error.message.contains(word), "{word}: {error}");
        }
        assert!(!out.exists());
    }
}

/// TAESD's decoder with one tensor more.
fn taesd_with(name: &str, extra: (String, Dtype, Vec<usize>, Vec<u8>)) -> PathBuf {
    let mut tensors = tensors_of(&companions::taesd_decoder());
    tensors.push(extra);
    written(name, &tensors)
}

#[test]
fn tensors_without_values_are_not_packed() {
    let mut options = plain_options();
    let endless = tensor("endless", &[1 << 60, 0]);
    options.taesd_decoder = Some(taesd_with("endless.safetensors", endless));
    let error = model::pack_as(&options, &model::scratch().join("endless")).unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelDamaged, "{error}");
}

#[test]
fn a_last_row_that_would_fit_the_shard_before_gets_its_own() {
    // 105 of these rows fit a shard, of which an even number is taken.
    let mut options = plain_options();
    let odd = tensor("odd", &[105, 19_950]);
    options.taesd_decoder = Some(taesd_with("odd.safetensors", odd));
    let out = model::scratch().join("odd");
    let manifest = model::pack_as(&options, &out).unwrap();
    assert_eq!(manifest.tensors["taesd_decoder.odd"].shards.len(), 2);
    let pack = pollster::block_on(Pack::open(FolderSource::new(out))).unwrap();
    let weights = Weights::new(&Device::flex());
    let wanted = |name: &str| name.starts_with("taesd_decoder.");
    pollster::block_on(pack.load(&weights, wanted, async |_| true)).unwrap();
    let odd = weights.at("taesd_decoder").take::<2>("odd").unwrap();
    assert_eq!(odd.dims(), [105, 19_950]);
}

#[test]
fn group_norms_of_two_widths_are_refused() {
    let weights = Weights::new(&Device::flex());
    weights.insert("weight", HostTensor::new([4], vec![1.0; 4]));
    weights.insert("bias", HostTensor::new([2], vec![0.0; 2]));
    let error = GroupNorm::load(&weights, 2, 1e-5).err().unwrap();
    assert_eq!(error.code, ErrorCode::ModelDamaged, "{error}");
}
