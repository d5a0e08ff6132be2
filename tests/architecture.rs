//! A model that cannot be run is refused by name before anything of it is packed or loaded.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::support::model;
use glassine::internals::weights::SafetensorsFile;
use glassine::pack::{Checkpoint, Files, InMemory, MANIFEST_FILE, Manifest, ReadAt};
use glassine::{Error, ErrorCode};
use serde_json::{Value, json};

/// Names and shapes of the tensors of a file, whose values are all zero.
type Header = BTreeMap<String, Vec<usize>>;

/// The tiny model's folder without its values, so that a variant costs no more than its headers.
#[derive(Clone)]
struct Model {
    configs: BTreeMap<PathBuf, Value>,
    weights: BTreeMap<PathBuf, Header>,
}

impl Model {
    fn new() -> Self {
        let folder = model::checkpoint();
        let config = |path: &str| {
            let json = std::fs::read(folder.join(path)).unwrap();
            (path.into(), serde_json::from_slice(&json).unwrap())
        };
        let weights = |path: &str| {
            let file = SafetensorsFile::open(folder.join(path)).unwrap();
            let tensors = file.tensors().iter();
            let header = tensors.map(|(name, info)| (name.clone(), info.shape.clone()));
            (path.into(), header.collect())
        };
        Self {
            configs: BTreeMap::from(["text_encoder/config.json", UNET, VAE, SCHEDULER].map(config)),
            weights: BTreeMap::from([TEXT_WEIGHTS, UNET_WEIGHTS, VAE_WEIGHTS].map(weights)),
        }
    }

    fn check(&self) -> Result<(), Error> {
        Checkpoint::open_in(self, Path::new(""))?.check()
    }

    /// The error for the model after `change`.
    fn refused(&self, change: impl FnOnce(&mut Self)) -> Error {
        let mut changed = self.clone();
        change(&mut changed);
        changed.check().expect_err("the model is refused")
    }

    fn set(&mut self, file: &str, field: &str, value: Value) {
        self.configs.get_mut(Path::new(file)).unwrap()[field] = value;
    }

    fn tensors(&mut self, file: &str) -> &mut Header {
        self.weights.get_mut(Path::new(file)).unwrap()
    }
}

const TEXT: &str = "text_encoder/config.json";
const UNET: &str = "unet/config.json";
const VAE: &str = "vae/config.json";
const SCHEDULER: &str = "scheduler/scheduler_config.json";
const TEXT_WEIGHTS: &str = "text_encoder/model.safetensors";
const UNET_WEIGHTS: &str = "unet/diffusion_pytorch_model.safetensors";
const VAE_WEIGHTS: &str = "vae/diffusion_pytorch_model.safetensors";

impl Files for Model {
    fn is_file(&self, path: &Path) -> bool {
        self.configs.contains_key(path) || self.weights.contains_key(path)
    }

    fn is_folder(&self, path: &Path) -> bool {
        let mut files = self.configs.keys().chain(self.weights.keys());
        !self.is_file(path) && files.any(|file| file.starts_with(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        if let Some(config) = self.configs.get(path) {
            return Ok(Box::new(InMemory(config.to_string().into_bytes())));
        }
        let header = self.weights.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Zeros::new(header)))
    }
}

/// A safetensors file of f16 zeros.
#[derive(Debug)]
struct Zeros {
    header: Vec<u8>,
    length: u64,
}

impl Zeros {
    fn new(header: &Header) -> Self {
        let mut end = 0;
        let entry = |(name, shape): (&String, &Vec<usize>)| {
            let start = end;
            end += 2 * shape.iter().product::<usize>();
            let entry = json!({ "dtype": "F16", "shape": shape, "data_offsets": [start, end] });
            (name.clone(), entry)
        };
        let entries: serde_json::Map<String, Value> = header.iter().map(entry).collect();
        let json = Value::Object(entries).to_string().into_bytes();
        let header = [&(json.len() as u64).to_le_bytes()[..], &json].concat();
        let length = (header.len() + end) as u64;
        Self { header, length }
    }
}

impl ReadAt for Zeros {
    fn length(&mut self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_at(&mut self, start: u64, buffer: &mut [u8]) -> io::Result<()> {
        for (index, byte) in (start as usize..).zip(buffer) {
            *byte = self.header.get(index).copied().unwrap_or(0);
        }
        Ok(())
    }
}

#[test]
fn the_tiny_model_passes() {
    Model::new().check().unwrap();
}

#[test]
fn every_tensor_is_needed() {
    let whole = Model::new();
    for (file, header) in &whole.weights {
        for name in header.keys() {
            let error = whole.refused(|model| {
                model.weights.get_mut(file).unwrap().remove(name);
            });
            let path = Path::new(name);
            let place = path.with_extension("");
            // Where a whole layer goes by its first tensor, the message names the layer.
            let named = error.message.contains(name)
                || error.message.contains(&*place.to_string_lossy())
                || error.message.contains("levels")
                || error.message.contains("layers");
            assert!(named, "{name}: {error}");
        }
    }
}

#[test]
fn every_shape_is_checked() {
    let whole = Model::new();
    for (file, header) in &whole.weights {
        // Some of them: each variant's headers take their time to be read.
        for (name, shape) in header.iter().step_by(7) {
            for axis in 0..shape.len() {
                let error = whole.refused(|model| {
                    model.weights.get_mut(file).unwrap().get_mut(name).unwrap()[axis] += 1;
                });
                assert_eq!(
                    error.code,
                    ErrorCode::ModelUnsupported,
                    "{name} {axis}: {error}"
                );
            }
            whole.refused(|model| {
                model
                    .weights
                    .get_mut(file)
                    .unwrap()
                    .get_mut(name)
                    .unwrap()
                    .push(1);
            });
        }
    }
}

/// Fields that change what a network computes, with a value that is not computed here.
#[test]
fn configs_of_other_networks_are_refused_by_the_field() {
    let whole = Model::new();
    for (file, field, value) in [
        (TEXT, "hidden_act", json!("silu")),
        (TEXT, "num_attention_heads", json!(5)),
        (TEXT, "num_attention_heads", json!(0)),
        (TEXT, "max_position_embeddings", json!(78)),
        (TEXT, "max_position_embeddings", json!(4_000_000_000u64)),
        (TEXT, "vocab_size", json!(49409)),
        (TEXT, "num_hidden_layers", json!(3)),
        (TEXT, "layer_norm_eps", json!(-1.0)),
        (UNET, "act_fn", json!("gelu")),
        (UNET, "class_embed_type", json!("timestep")),
        (UNET, "num_class_embeds", json!(1000)),
        (UNET, "addition_time_embed_dim", json!(256)),
        (UNET, "only_cross_attention", json!(true)),
        (
            UNET,
            "only_cross_attention",
            json!([false, true, false, false]),
        ),
        (UNET, "dual_cross_attention", json!(true)),
        (UNET, "resnet_time_scale_shift", json!("scale_shift")),
        (UNET, "time_embedding_type", json!("fourier")),
        (UNET, "timestep_post_act", json!("silu")),
        (UNET, "flip_sin_to_cos", json!(false)),
        (UNET, "freq_shift", json!(1)),
        (UNET, "center_input_sample", json!(true)),
        (UNET, "conv_in_kernel", json!(5)),
        (UNET, "downsample_padding", json!(0)),
        (UNET, "mid_block_scale_factor", json!(1.5)),
        (
            UNET,
            "mid_block_type",
            json!("UNetMidBlock2DSimpleCrossAttn"),
        ),
        (UNET, "mid_block_type", Value::Null),
        (UNET, "encoder_hid_dim", json!(768)),
        (UNET, "attention_type", json!("gated")),
        (UNET, "attention_head_dim", json!([5, 10, 20, 20])),
        (UNET, "attention_head_dim", json!([8, 8])),
        (UNET, "attention_head_dim", json!(0)),
        (UNET, "num_attention_heads", json!(4)),
        (UNET, "cross_attention_dim", json!(768)),
        (UNET, "block_out_channels", json!([64, 32, 64, 128])),
        (UNET, "layers_per_block", json!(1)),
        (UNET, "transformer_layers_per_block", json!(2)),
        (UNET, "down_block_types", json!(["AttnDownBlock2D"])),
        (UNET, "norm_num_groups", json!(5)),
        (UNET, "norm_num_groups", json!(0)),
        (UNET, "norm_eps", json!(0.0)),
        (UNET, "in_channels", json!(8)),
        (UNET, "out_channels", json!(8)),
        (VAE, "act_fn", json!("relu")),
        (VAE, "shift_factor", json!(0.1)),
        (VAE, "latent_channels", json!(16)),
        (VAE, "scaling_factor", json!(0.0)),
        (VAE, "scaling_factor", json!(-1.0)),
        (VAE, "use_quant_conv", json!(false)),
        (VAE, "mid_block_add_attention", json!(false)),
        (VAE, "latents_mean", json!([0.1, 0.2, 0.3, 0.4])),
        (VAE, "norm_num_groups", json!(5)),
        (VAE, "up_block_types", json!(["AttnUpDecoderBlock2D"])),
        (VAE, "_class_name", json!("AsymmetricAutoencoderKL")),
        (SCHEDULER, "prediction_type", json!("flow_prediction")),
        (SCHEDULER, "beta_schedule", json!("sigmoid")),
        (SCHEDULER, "beta_end", json!(1.5)),
        (SCHEDULER, "thresholding", json!(true)),
        (
            SCHEDULER,
            "_class_name",
            json!("FlowMatchEulerDiscreteScheduler"),
        ),
        (SCHEDULER, "_class_name", json!("EDMEulerScheduler")),
        (SCHEDULER, "use_flow_sigmas", json!(true)),
        (SCHEDULER, "trained_betas", json!([0.1, 0.2])),
        (UNET, "_class_name", json!("UNetMotionModel")),
        // Of a type that cannot be read.
        (TEXT, "hidden_act", Value::Null),
        (TEXT, "layer_norm_eps", json!("small")),
        (UNET, "attention_head_dim", Value::Null),
        (UNET, "norm_num_groups", Value::Null),
        (UNET, "sample_size", json!([64, 64, 64])),
        (UNET, "sample_size", json!(0)),
        (UNET, "sample_size", json!([64, 4_000_000_000u64])),
        (VAE, "scaling_factor", Value::Null),
        (SCHEDULER, "steps_offset", json!(-1)),
        (SCHEDULER, "timestep_spacing", json!("log")),
    ] {
        let error = whole.refused(|model| model.set(file, field, value.clone()));
        assert_eq!(
            error.code,
            ErrorCode::ModelUnsupported,
            "{field} {value}: {error}"
        );
        let words: &[&str] = match field {
            // Their numbers show in what does not fit them.
            "num_attention_heads" if file == TEXT => &["heads"],
            "attention_head_dim" => &["head"],
            "norm_num_groups" => &["groups"],
            "max_position_embeddings" => &["position_embedding"],
            "beta_end" => &["betas"],
            field => &[field],
        };
        assert!(
            words.iter().all(|word| error.message.contains(word)),
            "{field}: {error}"
        );
    }
}

/// What real folders say and what changes nothing.
#[test]
fn configs_may_say_what_is_computed_anyway() {
    let whole = Model::new();
    for (file, field, value) in [
        (TEXT, "projection_dim", json!(768)),
        (
            TEXT,
            "_name_or_path",
            json!("openai/clip-vit-large-patch14"),
        ),
        (UNET, "only_cross_attention", json!(false)),
        (UNET, "num_attention_heads", Value::Null),
        (UNET, "upcast_attention", json!(true)),
        (UNET, "use_linear_projection", json!(true)),
        (UNET, "sample_size", json!(96)),
        (UNET, "sample_size", json!([64, 96])),
        (UNET, "sample_size", Value::Null),
        (UNET, "_class_name", json!("UNet2DConditionModel")),
        (UNET, "mid_block_type", json!("UNetMidBlock2DCrossAttn")),
        (UNET, "layers_per_block", json!([2, 2, 2, 2])),
        (UNET, "mid_block_scale_factor", json!(1.0)),
        (VAE, "force_upcast", json!(true)),
        (VAE, "shift_factor", Value::Null),
        (VAE, "sample_size", json!(512)),
        (SCHEDULER, "_class_name", json!("EulerDiscreteScheduler")),
        (SCHEDULER, "beta_schedule", json!("squaredcos_cap_v2")),
    ] {
        let mut model = whole.clone();
        model.set(file, field, value);
        model
            .check()
            .unwrap_or_else(|error| panic!("{field}: {error}"));
    }
}

#[test]
fn a_text_encoder_of_another_width_does_not_fit() {
    let error = Model::new().refused(|model| {
        let header = model.tensors(UNET_WEIGHTS);
        for (name, shape) in header.iter_mut() {
            if name.contains("attn2.to_k") || name.contains("attn2.to_v") {
                shape[1] = 768;
            }
        }
        model.set(UNET, "cross_attention_dim", json!(768));
    });
    assert!(
        error.message.contains("768") && error.message.contains("32"),
        "{error}"
    );
}

#[test]
fn a_vae_of_three_levels_makes_pictures_of_another_size() {
    let error = Model::new().refused(|model| {
        let header = model.tensors(VAE_WEIGHTS);
        header.retain(|name, _| !name.contains("up_blocks.3."));
        header.retain(|name, _| !name.contains("up_blocks.2.upsamplers"));
    });
    assert!(
        error.message.contains("3 levels where 4 are needed"),
        "{error}"
    );
}

#[test]
fn a_vae_without_an_encoder_is_one_that_decodes() {
    let mut model = Model::new();
    let header = model.tensors(VAE_WEIGHTS);
    header.retain(|name, _| !name.starts_with("encoder.") && !name.starts_with("quant_conv."));
    model.check().unwrap();
}

/// The manifest of the tiny model's pack with all its companions.
fn manifest() -> Value {
    let json = std::fs::read(model::packed().join(MANIFEST_FILE)).unwrap();
    serde_json::from_slice(&json).unwrap()
}

fn parse(manifest: &Value) -> Result<Manifest, Error> {
    Manifest::parse(manifest.to_string().as_bytes())
}

/// Hashes do not help against whoever writes the manifest.
#[test]
fn a_pack_is_checked_when_it_is_opened() {
    let mut manifest = manifest();
    parse(&manifest).unwrap();
    let names: Vec<String> = manifest["tensors"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let names = names.iter().filter(|name| !name.starts_with("tokenizer."));
    // Some of each component: a manifest takes its time to be read.
    for name in names.step_by(17) {
        let entry = manifest["tensors"]
            .as_object_mut()
            .unwrap()
            .remove(name)
            .unwrap();
        let error = parse(&manifest).expect_err(name);
        assert_eq!(error.code, ErrorCode::ModelDamaged, "{name}: {error}");
        let mut turned = entry.clone();
        let shape = turned["shape"].as_array_mut().unwrap();
        shape.push(json!(1));
        shape.rotate_right(1);
        manifest["tensors"][name] = turned;
        let error = parse(&manifest).expect_err(name);
        assert_eq!(error.code, ErrorCode::ModelUnsupported, "{name}: {error}");
        manifest["tensors"][name] = entry;
    }
}
