use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::architecture::Architecture;
use crate::named::{named, serde_as_text};
use crate::text::TextEncoderConfig;
use crate::unet::UnetConfig;
use crate::vae::VaeConfig;
use crate::weights::TensorEntry;
use crate::{Error, ErrorCode, Result};

/// File name of the manifest inside a pack.
pub const MANIFEST_FILE: &str = "manifest.json";

/// `manifest.json` of a pack: what it holds and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format version, [`Manifest::FORMAT`].
    pub glassine: u32,
    /// The model's name.
    pub name: String,
    /// How the weights are stored.
    pub precision: Precision,
    /// Whether the UNet itself was trained on transparent latents and needs no adapter for mode
    /// `single`.
    #[serde(default)]
    pub native_transparency: bool,
    /// Defaults for generation that suit the model.
    pub defaults: Defaults,
    /// What the model knows, in phrases as a prompt has them, where that is less than what people may ask
    /// for; nothing else is drawn right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// Configs of the parts, by component name: `text_encoder`, `tokenizer`, `unet`, `vae`,
    /// `scheduler`, `transparency_decoder`, `transparency_encoder`, `layers.attn`, `controlnet`,
    /// `taesd_decoder`, `taesd_encoder`, ...
    pub components: BTreeMap<String, Value>,
    /// Rows of red, green and blue for each of the latent's channels and for the constant term: the
    /// linear map behind previews, from latents in the sampler's scale to colours in [0, 1].
    pub preview: Vec<[f32; 3]>,
    /// The files that hold the tensors.
    pub shards: Vec<ShardEntry>,
    /// Every tensor, by component and name.
    pub tensors: BTreeMap<String, TensorEntry>,
}

/// How a pack stores its weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats, exactly as computed.
    F32,
    /// 16-bit floats.
    #[default]
    F16,
    /// 8-bit groups, and 16-bit floats for what is small or sensitive.
    Q8,
    /// 4-bit groups, 8-bit ones for sensitive layers, and 16-bit floats as in [`Precision::Q8`].
    Q4,
}

named!(Precision, "precision");
serde_as_text!(Precision);

/// What `generate` uses where the request leaves it open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Defaults {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Denoising steps.
    pub steps: usize,
    /// Guidance scale.
    pub guidance: f32,
    /// Sampler name.
    pub sampler: String,
    /// At which layer the text encoder ends: 1 is the last, 2 the last but one.
    #[serde(default = "Defaults::last_layer")]
    pub clip_skip: usize,
    /// Passes of the transparency decoder: 1 or 8.
    #[serde(default = "Defaults::all_passes")]
    pub decode_passes: usize,
}

impl Defaults {
    fn all_passes() -> usize {
        8
    }

    fn last_layer() -> usize {
        1
    }
}

/// Passes of the transparency decoder: one, or eight that are turned and mirrored.
///
/// # Errors
/// `bad_option` for any other number.
pub(crate) fn check_decode_passes(passes: usize) -> Result<()> {
    if [1, 8].contains(&passes) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::BadOption,
        format!("{passes} decode passes are not possible"),
        "use 1 or 8",
    ))
}

/// One shard: a safetensors file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// File name beside the manifest.
    pub file: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the whole file in lower-case hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// In how many bits matrices and convolutions are stored.
    #[cfg(all(feature = "gpu", target_arch = "wasm32"))]
    pub(crate) fn weight_bits(&self) -> BTreeSet<usize> {
        let weights = self.tensors.values().filter(|entry| entry.shape.len() > 1);
        let bits = weights.map(|entry| match entry.quantization() {
            Some(quantization) => quantization.bits,
            None => entry.stored.dtype().size() * 8,
        });
        bits.collect()
    }

    /// The format version that is written and read.
    pub const FORMAT: u32 = 2;

    /// How many bytes a shard may have.
    pub const MAX_SHARD_BYTES: u64 = 16 << 20;

    /// How many bytes a pack may have: far above any SD1.5, far below what could overflow.
    pub const MAX_PACK_BYTES: u64 = 16 << 30;

    /// Reads and checks a manifest. File names that lead elsewhere, sizes beyond what a pack may
    /// have and tensors without a shard are refused.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(json)
            .map_err(|error| damaged(format!("it is not a pack's manifest ({error})")))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Refuses what [`Manifest::parse`] refuses.
    pub(super) fn check(&self) -> Result<()> {
        if self.glassine != Self::FORMAT {
            return Err(Error::new(
                ErrorCode::ModelUnsupported,
                format!("the pack has format {}", self.glassine),
                format!(
                    "this glassine reads format {}; pack the model again",
                    Self::FORMAT
                ),
            ));
        }
        let mut names = BTreeSet::new();
        let mut total = 0u64;
        for shard in &self.shards {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if !shard.file.ends_with(".safetensors") || !shard.file.chars().all(plain) {
                return Err(damaged(format!(
                    "shard name {:?} is not allowed",
                    shard.file
                )));
            }
            if !names.insert(&shard.file) || shard.bytes > Self::MAX_SHARD_BYTES {
                return Err(damaged(format!(
                    "shard {} is too large or twice there",
                    shard.file
                )));
            }
            if shard.sha256.len() != 64 {
                return Err(damaged(format!("shard {} has no SHA-256", shard.file)));
            }
            total = total.saturating_add(shard.bytes);
        }
        if total > Self::MAX_PACK_BYTES {
            return Err(damaged(format!("it declares {total} bytes")));
        }
        let count = self.shards.len();
        let stray = self.tensors.iter().find(|(_, tensor)| {
            tensor.shards.is_empty()
                || tensor.shards.iter().any(|shard| *shard >= count)
                || !tensor.shards.is_sorted_by(|one, next| one < next)
                || !tensor.is_sound(tensor.shards.iter().map(|s| self.shards[*s].bytes).sum())
        });
        if let Some((name, _)) = stray {
            return Err(damaged(format!("what it says of tensor {name} is wrong")));
        }
        let outcome = Architecture::of_pack(self).check();
        outcome.map_err(|(component, flaw)| flaw.into_error(Path::new(MANIFEST_FILE), &component))
    }

    /// Whether the pack holds a component.
    pub fn has(&self, component: &str) -> bool {
        self.components.contains_key(component)
    }

    /// Whether the pack's VAE turns pictures into latents: some only decode.
    pub fn encodes(&self) -> bool {
        let start = "vae.encoder.";
        let mut from = self.tensors.range(start.to_string()..);
        from.next().is_some_and(|(name, _)| name.starts_with(start))
    }

    /// Sum of the shards' lengths in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes).sum()
    }

    /// Refuses to end the text encoder at a layer that it does not have.
    ///
    /// # Errors
    /// `bad_option`.
    pub fn check_clip_skip(&self, clip_skip: usize) -> Result<()> {
        let names = self.tensors.keys().map(String::as_str);
        check_clip_skip(clip_skip, "text_encoder.", names)
    }

    /// The config of the text encoder.
    pub fn text_encoder(&self) -> Result<TextEncoderConfig> {
        self.config("text_encoder")
    }

    /// How many numbers the vector of a token has, and of an embedding that is to fit.
    pub fn embedding_width(&self) -> usize {
        const TABLE: &str = "text_encoder.text_model.embeddings.token_embedding.weight";
        let table = self.tensors.get(TABLE);
        let width = table.and_then(|entry| entry.shape.last());
        width.copied().unwrap_or(0)
    }

    /// The config of the UNet.
    pub fn unet(&self) -> Result<UnetConfig> {
        self.config("unet")
    }

    /// The config of the VAE.
    pub fn vae(&self) -> Result<VaeConfig> {
        self.config("vae")
    }

    /// What the tensors that `wanted` accepts by name take of a device's memory, in bytes.
    pub(crate) fn device_bytes(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        let tensors = self.tensors.iter().filter(|(name, _)| wanted(name));
        tensors.map(|(name, entry)| entry.device_bytes(name)).sum()
    }

    /// How many numbers the tensors have that `wanted` accepts by name.
    pub(crate) fn numbers(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        let tensors = self.tensors.iter().filter(|(name, _)| wanted(name));
        let numbers = tensors.map(|(_, entry)| entry.shape.iter().product::<usize>() as u64);
        numbers.sum()
    }

    /// The config of `component` as type `T`.
    pub fn config<T: serde::de::DeserializeOwned>(&self, component: &str) -> Result<T> {
        let config = self.components.get(component).ok_or_else(|| {
            Error::new(
                ErrorCode::UnsupportedMode,
                format!("the pack has no {component}"),
                "pack the checkpoint again with that part",
            )
        })?;
        T::deserialize(config)
            .map_err(|error| damaged(format!("the config of {component} is wrong ({error})")))
    }
}

/// Refuses to end a text encoder at a layer that is not among `names`, which begin with `prefix`.
pub(super) fn check_clip_skip<'a>(
    clip_skip: usize,
    prefix: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let start = format!("{prefix}text_model.encoder.layers.");
    let layer = |name: &str| {
        let (layer, _) = name.strip_prefix(&start)?.split_once('.')?;
        layer.parse::<usize>().ok()
    };
    let layers = names
        .filter_map(layer)
        .max()
        .map_or(0, |last| last.saturating_add(1));
    if (1..=layers).contains(&clip_skip) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::BadOption,
        format!("clip skip {clip_skip} is not possible"),
        format!("the text encoder has {layers} layers: 1 ends at the last, {layers} at the first"),
    ))
}

fn damaged(reason: String) -> Error {
    Error::new(
        ErrorCode::ModelDamaged,
        format!("{MANIFEST_FILE} cannot be used: {reason}"),
        "fetch or pack the model again",
    )
}
