use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::architecture::{Architecture, Flaw};
use super::lora::{FittedLora, Lora};
use super::manifest::{MANIFEST_FILE, Manifest, ShardEntry};
use crate::text::Tokenizer;
use crate::weights::HostTensor;
use crate::weights::quantize;
use crate::weights::safetensors::{Dtype, SafetensorsBytes, TensorInfo};
use crate::weights::weight::decode_part;
use crate::weights::{RowChunk, Weights};
use crate::weights::{StoredType, TensorEntry};
use crate::{Error, ErrorCode, Result};

/// Where a pack's files come from: a folder, a URL, a store.
#[allow(async_fn_in_trait)]
pub trait PackSource {
    /// The whole file of that name.
    async fn read(&self, file: &str) -> Result<Vec<u8>>;

    /// The file once more, because what [`PackSource::read`] gave was damaged. A store that knows
    /// where its files came from mends its copy first.
    async fn read_again(&self, file: &str) -> Result<Vec<u8>> {
        self.read(file).await
    }
}

/// Where a pack's files can be written too, so that one is made there.
#[allow(async_fn_in_trait)]
pub trait PackStore: PackSource {
    /// Writes the whole file of that name.
    async fn write(&mut self, file: &str, bytes: Vec<u8>) -> Result<()>;
}

impl<S: PackSource> PackSource for &S {
    async fn read(&self, file: &str) -> Result<Vec<u8>> {
        (*self).read(file).await
    }
}

/// Progress of loading a pack's shards, or of reading what one is packed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadEvent {
    /// Bytes read and checked so far.
    pub loaded_bytes: u64,
    /// Bytes that will be read.
    pub total_bytes: u64,
}

/// An opened pack: its manifest, and its files when they are asked for.
pub struct Pack<S> {
    manifest: Manifest,
    sha256: String,
    /// Merged into what is loaded.
    loras: RefCell<Vec<FittedLora>>,
    source: S,
}

impl<S: PackSource> Pack<S> {
    /// Reads the manifest.
    pub async fn open(source: S) -> Result<Self> {
        let json = source.read(MANIFEST_FILE).await?;
        Ok(Self {
            manifest: Manifest::parse(&json)?,
            sha256: hex(&Sha256::digest(&json)),
            loras: RefCell::default(),
            source,
        })
    }

    /// Merges `lora` into everything that is loaded from now on. Weights keep the type in which
    /// they are stored: quantized ones are quantized anew.
    ///
    /// # Errors
    /// `model_unsupported` if the LoRA is for another architecture.
    pub fn apply(&self, lora: Lora) -> Result<()> {
        let tensors = self.manifest.tensors.iter();
        let shapes = tensors.map(|(name, entry)| (name.clone(), file_shape(entry)));
        let lora = lora.fit(&shapes.collect())?;
        self.loras.borrow_mut().push(lora);
        Ok(())
    }

    /// The pack that `manifest` describes, before there is a file of it.
    pub(super) fn unfinished(manifest: &Manifest, source: S) -> Self {
        Self {
            manifest: manifest.clone(),
            sha256: String::new(),
            loras: RefCell::default(),
            source,
        }
    }

    /// What the pack holds.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest, which names the model and everything in it.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Brings all tensors that `wanted` accepts by name onto `weights`' device, one shard at a
    /// time. `progress` is awaited after each shard and stops the loading by returning false.
    pub async fn load(
        &self,
        weights: &Weights,
        wanted: impl Fn(&str) -> bool,
        mut progress: impl AsyncFnMut(LoadEvent) -> bool,
    ) -> Result<()> {
        let shards = self.shards_with(&wanted);
        let total_bytes = shards
            .iter()
            .map(|index| self.manifest.shards[*index].bytes)
            .sum();
        let mut loaded_bytes = 0;
        let mut merging = Merging::new();
        for index in shards {
            let shard = &self.manifest.shards[index];
            let bytes = self.read_checked(shard).await?;
            self.load_shard(index, &bytes, weights, &wanted, &mut merging)
                .await?;
            loaded_bytes += shard.bytes;
            let event = LoadEvent {
                loaded_bytes,
                total_bytes,
            };
            if !progress(event).await {
                return Err(Error::new(ErrorCode::Aborted, "loading was aborted", ""));
            }
        }
        Ok(())
    }

    /// The pack's tokenizer.
    pub async fn tokenizer(&self) -> Result<Tokenizer> {
        let entry = self.manifest.tensors.get("tokenizer.merges");
        let shard = entry.and_then(|entry| self.manifest.shards.get(*entry.shards.first()?));
        let shard = shard.ok_or_else(|| {
            Error::new(
                ErrorCode::ModelDamaged,
                "the pack has no tokenizer",
                "pack the checkpoint again",
            )
        })?;
        let bytes = self.read_checked(shard).await?;
        let parsed = SafetensorsBytes::parse(&bytes).map_err(|reason| damaged(shard, &reason))?;
        let merges = parsed
            .tensors()
            .find(|(name, _, _)| *name == "tokenizer.merges");
        let Some((_, _, merges)) = merges else {
            return Err(damaged(shard, "tokenizer.merges is not in it"));
        };
        let tokenizer = Tokenizer::from_merges(merges)?;
        let vocabulary = Architecture::of_pack(&self.manifest).check_vocabulary(&tokenizer);
        let refused = |flaw: Flaw| flaw.into_error(Path::new(MANIFEST_FILE), "text_encoder");
        vocabulary.map_err(refused)?;
        Ok(tokenizer)
    }

    fn shards_with(&self, wanted: &impl Fn(&str) -> bool) -> Vec<usize> {
        let tensors = self.manifest.tensors.iter();
        let chosen = tensors.filter(|(name, _)| wanted(name));
        let mut shards: Vec<_> = chosen
            .flat_map(|(_, tensor)| tensor.shards.clone())
            .collect();
        shards.sort_unstable();
        shards.dedup();
        shards
    }

    async fn read_checked(&self, shard: &ShardEntry) -> Result<Vec<u8>> {
        let bytes = self.source.read(&shard.file).await?;
        if check(shard, &bytes).is_ok() {
            return Ok(bytes);
        }
        let bytes = self.source.read_again(&shard.file).await?;
        check(shard, &bytes)?;
        Ok(bytes)
    }

    /// Hands over a run of a tensor's rows. A tensor that LoRAs change is held in `merging` until
    /// it is whole, since its rows may depend on each other, and handed over then.
    async fn insert(
        &self,
        weights: &Weights,
        name: &str,
        entry: &TensorEntry,
        part: RowChunk<'_>,
        merging: &mut Merging,
    ) -> Result<()> {
        let base_name = base_name(name);
        let changes = |lora: &FittedLora| lora.changes(&base_name);
        if !self.loras.borrow().iter().any(changes) {
            return weights.insert_part(name, entry, part);
        }
        let values = decode_part(entry, part).ok_or_else(|| unlike_manifest(name))?;
        let held = merging.entry(name.to_string()).or_default();
        held.extend(values);
        match held.len().cmp(&entry.shape.iter().product()) {
            Ordering::Less => return Ok(()),
            Ordering::Equal => {}
            Ordering::Greater => return Err(unlike_manifest(name)),
        }
        let values = merging.remove(name).unwrap_or_default();
        let tensor = HostTensor::new(entry.shape.clone(), values).channels_first();
        let merged = self.merge(name, tensor).await?.channels_last();
        let (entry, bytes, scales) = encode_values(entry, merged.data).ok_or_else(|| {
            let what = format!("{name} with the LoRAs is beyond what quantized weights can be");
            Error::new(ErrorCode::BadOption, what, "use a smaller strength")
        })?;
        let part = RowChunk {
            bytes: &bytes,
            scales: scales.as_deref(),
        };
        weights.insert_part(name, &entry, part)
    }

    /// Merges the LoRAs into the whole tensor `name`.
    async fn merge(&self, name: &str, mut tensor: HostTensor) -> Result<HostTensor> {
        let base_name = base_name(name);
        let depends = |lora: &FittedLora| lora.depends_on(&base_name);
        if base_name == name || !self.loras.borrow().iter().any(depends) {
            for lora in self.loras.borrow_mut().iter_mut() {
                lora.apply(&base_name, &mut tensor)?;
            }
            return Ok(tensor);
        }
        // What such a LoRA adds has to be computed from the UNet's own weight.
        let base = self.read_tensor(&base_name).await?;
        let mut changed = base.clone();
        for lora in self.loras.borrow_mut().iter_mut() {
            lora.apply(&base_name, &mut changed)?;
        }
        let deltas = changed.data.iter().zip(&base.data);
        for (value, (changed, base)) in tensor.data.iter_mut().zip(deltas) {
            *value += changed - base;
        }
        Ok(tensor)
    }

    /// The whole tensor `name` as it is stored, convolutions as checkpoints have them.
    async fn read_tensor(&self, name: &str) -> Result<HostTensor> {
        let unlike = || unlike_manifest(name);
        let entry = self.manifest.tensors.get(name).ok_or_else(unlike)?;
        let mut values = Vec::new();
        for index in &entry.shards {
            let shard = &self.manifest.shards[*index];
            let bytes = self.read_checked(shard).await?;
            let parsed =
                SafetensorsBytes::parse(&bytes).map_err(|reason| damaged(shard, &reason))?;
            let find = |wanted: &str| {
                let mut tensors = parsed.tensors();
                Some(tensors.find(|(name, _, _)| *name == wanted)?.2)
            };
            let part = RowChunk {
                bytes: find(name).ok_or_else(unlike)?,
                scales: find(&format!("{name}{SCALES}")),
            };
            values.extend(decode_part(entry, part).ok_or_else(unlike)?);
        }
        match values.len() == entry.shape.iter().product::<usize>() {
            true => Ok(HostTensor::new(entry.shape.clone(), values).channels_first()),
            false => Err(unlike()),
        }
    }

    async fn load_shard(
        &self,
        index: usize,
        bytes: &[u8],
        weights: &Weights,
        wanted: &impl Fn(&str) -> bool,
        merging: &mut Merging,
    ) -> Result<()> {
        let shard = &self.manifest.shards[index];
        let parsed = SafetensorsBytes::parse(bytes).map_err(|reason| damaged(shard, &reason))?;
        let all: BTreeMap<_, _> = parsed
            .tensors()
            .map(|(name, info, data)| (name, (info, data)))
            .collect();
        let unlike = |name: &str| {
            let reason = format!("tensor {name} is not as the manifest says");
            damaged(shard, &reason)
        };
        for (name, (info, bytes)) in &all {
            let Some(entry) = self.manifest.tensors.get(*name) else {
                // Scales are taken with the levels that they belong to.
                let levels = name.strip_suffix(SCALES).and_then(|name| all.get(name));
                levels.ok_or_else(|| unlike(name))?;
                continue;
            };
            let scales = all.get(format!("{name}{SCALES}").as_str());
            if !entry.shards.contains(&index) || !is_declared(entry, info, scales.map(|s| s.0)) {
                return Err(unlike(name));
            }
            if wanted(name) && entry.stored != StoredType::U8 {
                let scales = scales.map(|scales| scales.1);
                let part = RowChunk { bytes, scales };
                self.insert(weights, name, entry, part, merging).await?;
            }
        }
        Ok(())
    }
}

/// Values of tensors that LoRAs change, of which rows are still to come, by name.
type Merging = BTreeMap<String, Vec<f32>>;

/// The shape of a tensor in checkpoints and LoRA files, which have a convolution's inputs before
/// its height and width.
fn file_shape(entry: &TensorEntry) -> Vec<usize> {
    match entry.shape[..] {
        [out, height, width, inputs] => vec![out, inputs, height, width],
        _ => entry.shape.clone(),
    }
}

/// The tensor as which LoRAs change tensor `name`: an adapter's folded attention weights stand for
/// the UNet's own.
fn base_name(name: &str) -> String {
    match name.strip_prefix("layers.attn.") {
        Some(path) => format!("unet.{path}"),
        None => name.to_string(),
    }
}

fn unlike_manifest(name: &str) -> Error {
    Error::new(
        ErrorCode::ModelDamaged,
        format!("tensor {name} is not as the manifest says"),
        "fetch or pack the model again",
    )
}

/// Changed values as a device takes them: quantized like the tensor they are part of, or as `f32`,
/// which half floats become there anyway.
fn encode_values(
    entry: &TensorEntry,
    values: Vec<f32>,
) -> Option<(TensorEntry, Vec<u8>, Option<Vec<u8>>)> {
    let mut entry = entry.clone();
    match entry.quantization() {
        Some(quantization) => {
            let rows = HostTensor::new([1, values.len()], values);
            let quantized = quantize(&rows, quantization)?;
            let scales = quantized.scales.iter();
            let scales = scales.flat_map(|scale| scale.to_le_bytes()).collect();
            Some((entry, quantized.levels, Some(scales)))
        }
        None => {
            entry.stored = StoredType::F32;
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            Some((entry, bytes.collect(), None))
        }
    }
}

/// What the name of a quantized tensor's scales ends with.
pub(super) const SCALES: &str = ".scales";

/// Whether a shard holds rows of a tensor just as its entry says.
fn is_declared(entry: &TensorEntry, info: &TensorInfo, scales: Option<&TensorInfo>) -> bool {
    if info.dtype != entry.stored.dtype() {
        return false;
    }
    let Some(quantization) = entry.quantization() else {
        return entry.shape.get(1..) == info.shape.get(1..);
    };
    let columns: usize = entry.shape[1..].iter().product();
    let (Some(scales), [rows, bytes]) = (scales, info.shape.as_slice()) else {
        return false;
    };
    scales.dtype == Dtype::F16
        && *bytes == quantization.row_bytes(columns)
        && scales.shape == [*rows, columns / quantization.group]
}

fn check(shard: &ShardEntry, bytes: &[u8]) -> Result<()> {
    if bytes.len() as u64 != shard.bytes {
        let reason = format!("it has {} bytes instead of {}", bytes.len(), shard.bytes);
        return Err(damaged(shard, &reason));
    }
    if hex(&Sha256::digest(bytes)) != shard.sha256 {
        return Err(damaged(shard, "its SHA-256 does not match the manifest"));
    }
    Ok(())
}

fn damaged(shard: &ShardEntry, reason: &str) -> Error {
    Error::new(
        ErrorCode::ModelDamaged,
        format!("shard {} is damaged: {reason}", shard.file),
        "fetch or pack the model again",
    )
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
