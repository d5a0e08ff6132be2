use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::manifest::{MANIFEST_FILE, Manifest, ShardEntry};
use super::on_device::Weights;
use super::safetensors::{SafetensorsBytes, decode_f32};
use crate::text::Tokenizer;
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

/// A pack in a folder on disk.
#[derive(Debug, Clone)]
pub struct FolderSource {
    folder: PathBuf,
}

impl FolderSource {
    /// The pack in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }
}

impl PackSource for FolderSource {
    async fn read(&self, file: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(file);
        std::fs::read(&path).map_err(|error| match file {
            MANIFEST_FILE => Error::new(
                ErrorCode::ModelNotFound,
                format!("{} is not a pack: {error}", self.folder.display()),
                "make one with `glassine pack`",
            ),
            _ => Error::new(
                ErrorCode::ModelDamaged,
                format!("cannot read {}: {error}", path.display()),
                "fetch or pack the model again",
            ),
        })
    }
}

/// Progress of loading, in bytes of shards.
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
            sha256: hex(&Sha256::digest(&json)),
            source,
        })
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
        for index in shards {
            let shard = &self.manifest.shards[index];
            let bytes = self.read_checked(shard).await?;
            self.unpack_shard(index, &bytes, weights, &wanted)?;
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
        match merges {
            Some((_, _, merges)) => Tokenizer::from_merges(merges),
            None => Err(damaged(shard, "tokenizer.merges is not in it")),
        }
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

    fn unpack_shard(
        &self,
        index: usize,
        bytes: &[u8],
        weights: &Weights,
        wanted: &impl Fn(&str) -> bool,
    ) -> Result<()> {
        let shard = &self.manifest.shards[index];
        let parsed = SafetensorsBytes::parse(bytes).map_err(|reason| damaged(shard, &reason))?;
        for (name, info, data) in parsed.tensors() {
            let declared = self.manifest.tensors.get(name).filter(|entry| {
                entry.shards.contains(&index)
                    && entry.shape.get(1..) == info.shape.get(1..)
                    && entry.stored.dtype() == info.dtype
            });
            let Some(entry) = declared else {
                let reason = format!("tensor {name} is not as the manifest says");
                return Err(damaged(shard, &reason));
            };
            if wanted(name)
                && let Some(values) = decode_f32(info.dtype, data)
            {
                weights.insert_part(name, &entry.shape, values);
            }
        }
        Ok(())
    }
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
