use std::collections::BTreeMap;
use std::path::Path;

use super::architecture::{Architecture, Flaw};
use super::lora::{FittedLora, Lora};
use super::manifest::{MANIFEST_FILE, Manifest, ShardEntry};
use crate::text::Tokenizer;
use crate::weights::HostTensor;
use crate::weights::hash::sha256;
use crate::weights::safetensors::{Dtype, SafetensorsBytes, TensorInfo};
use crate::weights::weight::decode_part;
use crate::weights::{RowChunk, Weights};
use crate::weights::{StoredType, TensorEntry};
use crate::{Error, ErrorCode, Result};

/// Of networks with no more numbers than this a CPU keeps the weights as it multiplies them.
const KEPT_NUMBERS: u64 = 32 << 20;

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

    /// The SHA-256 of `bytes` in hexadecimal digits, by whatever computes it fastest where the source is.
    async fn sha256(&self, bytes: &[u8]) -> String {
        sha256(bytes)
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

    async fn read_again(&self, file: &str) -> Result<Vec<u8>> {
        (*self).read_again(file).await
    }

    async fn sha256(&self, bytes: &[u8]) -> String {
        (*self).sha256(bytes).await
    }
}

/// `lora` matched to the layers of the model of that manifest.
///
/// # Errors
/// As [`Pack::fit`].
pub(super) fn fit(lora: &Lora, manifest: &Manifest) -> Result<FittedLora> {
    let tensors = manifest.tensors.iter();
    let shapes = tensors.map(|(name, entry)| (name.clone(), entry.file_shape()));
    let fitted = lora.fit(&shapes.collect())?;
    let table = fitted.tensors().find(|name| name.contains(".embeddings."));
    match table {
        None => Ok(fitted),
        Some(table) => Err(Error::new(
            ErrorCode::ModelUnsupported,
            format!(
                "{} cannot be applied to a loaded model: it changes {table}",
                lora.name()
            ),
            "pack the model with it: glassine pack --lora",
        )),
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
    source: S,
}

impl<S: PackSource> Pack<S> {
    /// Reads the manifest.
    pub async fn open(source: S) -> Result<Self> {
        let json = source.read(MANIFEST_FILE).await?;
        Ok(Self {
            manifest: Manifest::parse(&json)?,
            sha256: source.sha256(&json).await,
            source,
        })
    }

    /// About how many bytes of a device's memory `lora` takes once it is [applied](Pack::apply).
    ///
    /// # Errors
    /// As [`Pack::fit`].
    pub(crate) fn lora_bytes(&self, lora: &Lora) -> Result<u64> {
        Ok(self.fit(lora)?.device_bytes())
    }

    /// `lora` matched to the model's layers.
    ///
    /// # Errors
    /// `model_unsupported` if the LoRA is for another architecture, or changes what is looked up and
    /// not computed with.
    pub(super) fn fit(&self, lora: &Lora) -> Result<FittedLora> {
        fit(lora, &self.manifest)
    }

    /// The pack that `manifest` describes, before there is a file of it.
    pub(super) fn unfinished(manifest: &Manifest, source: S) -> Self {
        Self {
            manifest: manifest.clone(),
            sha256: String::new(),
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
        let weights = weights.keeping_panels(self.manifest.numbers(&wanted) <= KEPT_NUMBERS);
        let shards = self.shards_with(&wanted);
        let total_bytes = shards
            .iter()
            .map(|index| self.manifest.shards[*index].bytes)
            .sum();
        let mut loaded_bytes = 0;
        for index in shards {
            let shard = &self.manifest.shards[index];
            let bytes = self.read_checked(shard).await?;
            self.load_shard(index, &bytes, &weights, &wanted)?;
            loaded_bytes += shard.bytes;
            let event = LoadEvent {
                loaded_bytes,
                total_bytes,
            };
            if !progress(event).await {
                return Err(aborted());
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
        if self.check(shard, &bytes).await.is_ok() {
            return Ok(bytes);
        }
        let bytes = self.source.read_again(&shard.file).await?;
        self.check(shard, &bytes).await?;
        Ok(bytes)
    }

    async fn check(&self, shard: &ShardEntry, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 != shard.bytes {
            let reason = format!("it has {} bytes instead of {}", bytes.len(), shard.bytes);
            return Err(damaged(shard, &reason));
        }
        if self.source.sha256(bytes).await != shard.sha256 {
            return Err(damaged(shard, "its SHA-256 does not match the manifest"));
        }
        Ok(())
    }

    fn load_shard(
        &self,
        index: usize,
        bytes: &[u8],
        weights: &Weights,
        wanted: &impl Fn(&str) -> bool,
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
                weights.insert_part(name, entry, part)?;
            }
        }
        Ok(())
    }
}

/// Single tensors of a pack in ordinary memory. The shard that was read last is kept, since
/// neighbours are asked for one after the other.
pub(super) struct BaseTensors<'a, S> {
    pack: &'a Pack<S>,
    last: Option<(usize, Vec<u8>)>,
}

impl<'a, S: PackSource> BaseTensors<'a, S> {
    pub fn new(pack: &'a Pack<S>) -> Self {
        Self { pack, last: None }
    }

    /// The whole tensor `name`, convolutions as checkpoints have them.
    pub async fn read(&mut self, name: &str) -> Result<HostTensor> {
        let manifest = &self.pack.manifest;
        let unlike = || unlike_manifest(name);
        let entry = manifest.tensors.get(name).ok_or_else(unlike)?;
        let mut values = Vec::new();
        for index in &entry.shards {
            let bytes = self.shard(*index).await?;
            let shard = &manifest.shards[*index];
            let parsed =
                SafetensorsBytes::parse(bytes).map_err(|reason| damaged(shard, &reason))?;
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

    async fn shard(&mut self, index: usize) -> Result<&[u8]> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != index) {
            self.last = None;
            let shard = &self.pack.manifest.shards[index];
            self.last = Some((index, self.pack.read_checked(shard).await?));
        }
        Ok(self.last.as_ref().map_or(&[], |(_, bytes)| bytes))
    }
}

fn unlike_manifest(name: &str) -> Error {
    Error::new(
        ErrorCode::ModelDamaged,
        format!("tensor {name} is not as the manifest says"),
        "fetch or pack the model again",
    )
}

pub(super) fn aborted() -> Error {
    Error::new(ErrorCode::Aborted, "loading was aborted", "")
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

fn damaged(shard: &ShardEntry, reason: &str) -> Error {
    Error::new(
        ErrorCode::ModelDamaged,
        format!("shard {} is damaged: {reason}", shard.file),
        "fetch or pack the model again",
    )
}
