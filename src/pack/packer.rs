use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::adapter::{Adapter, AdapterKind};
use super::architecture::Flaw;
use super::checkpoint::Checkpoint;
use super::component::{Component, sd15_scheduler};
use super::control_net::{self, CONTROL_NET};
use super::latent_rgb::fit_latent_rgb;
use super::lora::Lora;
use super::manifest::{
    Defaults, MANIFEST_FILE, Manifest, Precision, ShardEntry, check_clip_skip, check_decode_passes,
};
use super::reader::{LoadEvent, PackStore};
use super::stored_tensor::{Rows, StoredTensor};
use super::tensor_source::TensorSource;
use crate::sampling::{NoiseSchedule, NoiseScheduleConfig, SamplerName, sampler};
use crate::text::{Tokenizer, clip_vocabulary};
use crate::weights::Files;
use crate::weights::{Dtype, TensorFile, write_safetensors};
use crate::weights::{HostTensor, StoredType, TensorEntry};
use crate::{Error, ErrorCode, Result};

/// What to pack, and how. Made by [`PackOptions::new`]; the fields are then set one by one.
///
/// As JSON, the names are those of the package's `models.import`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct PackOptions {
    /// A diffusers folder or a single `.safetensors` file.
    pub model: PathBuf,
    /// A VAE to use in place of the checkpoint's, or where it has none: a folder in diffusers'
    /// layout, a file, or a checkpoint that holds one.
    pub vae: Option<PathBuf>,
    /// A text encoder to use in place of the checkpoint's, or where it has none, as for the VAE.
    pub text_encoder: Option<PathBuf>,
    /// A `vae_transparent_decoder` file.
    pub transparency_decoder: Option<PathBuf>,
    /// A `vae_transparent_encoder` file.
    pub transparency_encoder: Option<PathBuf>,
    /// A ControlNet: a folder in diffusers' layout, or a file.
    pub controlnet: Option<PathBuf>,
    /// A `taesd_decoder` file.
    pub taesd_decoder: Option<PathBuf>,
    /// A `taesd_encoder` file.
    pub taesd_encoder: Option<PathBuf>,
    /// Attention-sharing adapters.
    #[serde(default, rename = "layers")]
    pub adapters: BTreeMap<AdapterKind, PathBuf>,
    /// LoRA files that are merged into the base model, with their strengths.
    #[serde(default)]
    pub loras: Vec<(PathBuf, f32)>,
    /// Whether the UNet was trained on transparent latents and needs no adapter.
    #[serde(default)]
    pub native_transparency: bool,
    /// How weights are stored.
    #[serde(default, rename = "quantize")]
    pub precision: Precision,
    /// Default steps of the model.
    #[serde(default = "default_steps")]
    pub default_steps: usize,
    /// Default guidance scale of the model.
    #[serde(default = "default_guidance")]
    pub default_guidance: f32,
    /// Default sampler of the model.
    #[serde(default)]
    pub default_sampler: SamplerName,
    /// Default layer at which the text encoder ends: 1 is the last.
    #[serde(default = "default_clip_skip")]
    pub default_clip_skip: usize,
    /// Default passes of the transparency decoder: 1 where it was trained to need no more, else 8.
    #[serde(default = "default_decode_passes")]
    pub default_decode_passes: usize,
    /// What the model knows, in phrases; empty if it is any.
    #[serde(default)]
    pub words: Vec<String>,
}

fn default_steps() -> usize {
    PackOptions::DEFAULT_STEPS
}

fn default_guidance() -> f32 {
    PackOptions::DEFAULT_GUIDANCE
}

fn default_clip_skip() -> usize {
    PackOptions::DEFAULT_CLIP_SKIP
}

fn default_decode_passes() -> usize {
    PackOptions::DEFAULT_DECODE_PASSES
}

impl PackOptions {
    /// Steps that suit Stable Diffusion 1.5.
    pub const DEFAULT_STEPS: usize = 20;
    /// Guidance scale that suits Stable Diffusion 1.5.
    pub const DEFAULT_GUIDANCE: f32 = 7.0;
    /// The text encoder's last layer, at which Stable Diffusion 1.5 was trained.
    pub const DEFAULT_CLIP_SKIP: usize = 1;
    /// The paper's passes, turned and mirrored, of which the median is taken.
    pub const DEFAULT_DECODE_PASSES: usize = 8;

    /// The checkpoint `model` alone, in the default precision.
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            vae: None,
            text_encoder: None,
            transparency_decoder: None,
            transparency_encoder: None,
            controlnet: None,
            taesd_decoder: None,
            taesd_encoder: None,
            adapters: BTreeMap::new(),
            loras: Vec::new(),
            native_transparency: false,
            precision: Precision::default(),
            default_steps: Self::DEFAULT_STEPS,
            default_guidance: Self::DEFAULT_GUIDANCE,
            default_sampler: SamplerName::default(),
            default_clip_skip: Self::DEFAULT_CLIP_SKIP,
            default_decode_passes: Self::DEFAULT_DECODE_PASSES,
            words: Vec::new(),
        }
    }

    /// Refuses defaults that no request could be made with.
    fn check_defaults(&self) -> Result<()> {
        let (steps, guidance) = (self.default_steps, self.default_guidance);
        let schedule = NoiseSchedule::new(&NoiseScheduleConfig::default())?;
        sampler(self.default_sampler, None, &schedule, steps, None)?;
        check_decode_passes(self.default_decode_passes)?;
        if (0.0..=100.0).contains(&guidance) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::BadOption,
            format!("the default guidance is {guidance}"),
            "use a number from 0 to 100, such as 7, or 1 for models that were distilled with it",
        ))
    }
}

/// Bytes of a shard: half of what is allowed, so that less is lost where a download breaks off.
const SHARD_BYTES: u64 = 8 << 20;

/// Bytes that a tensor may take in a shard's header, beside its name.
const HEADER_ENTRY_BYTES: usize = 128;

/// Writes a pack, one tensor at a time, so that memory holds no more than the largest and a shard.
pub struct Packer<'a, S, P> {
    options: &'a PackOptions,
    store: &'a mut S,
    progress: P,
    done: LoadEvent,
    pending: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
    pending_bytes: u64,
    components: BTreeMap<String, Value>,
    shards: Vec<ShardEntry>,
    tensors: BTreeMap<String, TensorEntry>,
}

impl<'a, S: PackStore, P: AsyncFnMut(LoadEvent) -> bool> Packer<'a, S, P> {
    /// Packs what `options` name among `files` into `store`, the manifest last, as model `name`.
    /// `progress` is as in [`pack_folder`](super::pack_folder).
    ///
    /// # Errors
    /// Whatever [`Checkpoint::open`] and the store give; `aborted`.
    pub async fn pack(
        options: &'a PackOptions,
        name: &str,
        files: &dyn Files,
        store: &'a mut S,
        progress: P,
    ) -> Result<Manifest> {
        options.check_defaults()?;
        let mut checkpoint = Checkpoint::open_in(files, &options.model)?;
        let replaced = [
            (Component::Vae, &options.vae),
            (Component::TextEncoder, &options.text_encoder),
        ];
        for (component, path) in replaced {
            if let Some(path) = path {
                checkpoint.replace(component, files, path)?;
            }
        }
        checkpoint.check_whole()?;
        let text_encoder = checkpoint.tensors(Component::TextEncoder);
        check_clip_skip(
            options.default_clip_skip,
            "",
            text_encoder.map(|(name, _)| name),
        )?;
        for (path, strength) in &options.loras {
            checkpoint.apply(Lora::open_in(files, path, *strength)?)?;
        }
        let mut adapters = Vec::new();
        for (kind, path) in &options.adapters {
            adapters.push((*kind, Adapter::open(files, *kind, path, &checkpoint)?));
        }
        let parts = open_parts(options, files, &checkpoint)?;
        check(&checkpoint, &adapters, &parts)?;
        let part_bytes = parts.iter().map(|(_, _, source)| source.tensor_bytes());
        let adapter_bytes = adapters.iter().map(|(_, adapter)| adapter.tensor_bytes());
        let total_bytes =
            checkpoint.tensor_bytes() + part_bytes.sum::<u64>() + adapter_bytes.sum::<u64>();
        let mut packer = Self {
            options,
            store,
            progress,
            done: LoadEvent {
                loaded_bytes: 0,
                total_bytes,
            },
            pending: Vec::new(),
            pending_bytes: 0,
            components: BTreeMap::new(),
            shards: Vec::new(),
            tensors: BTreeMap::new(),
        };
        packer.add_tokenizer(merges(&checkpoint)).await?;
        packer.add_checkpoint(&mut checkpoint).await?;
        for (kind, adapter) in &mut adapters {
            packer.add_adapter(*kind, adapter, &mut checkpoint).await?;
        }
        for (component, config, source) in parts {
            packer.add_part(component, config, source).await?;
        }
        packer.finish(name).await
    }

    async fn add_tokenizer(&mut self, merges: &[u8]) -> Result<()> {
        self.components
            .insert("tokenizer".into(), json!({ "kind": "clip" }));
        let entry = TensorEntry {
            stored: StoredType::U8,
            group: None,
            shape: vec![merges.len()],
            shards: Vec::new(),
        };
        let rows = Rows {
            name: "tokenizer.merges".into(),
            dtype: Dtype::U8,
            row: Vec::new(),
            bytes: merges.to_vec(),
        };
        self.add_rows(entry, vec![rows]).await?;
        // A shard of its own lets the tokenizer be read without any weights.
        self.write_shard().await
    }

    async fn add_checkpoint(&mut self, checkpoint: &mut Checkpoint) -> Result<()> {
        let scheduler = checkpoint.config("scheduler").cloned();
        self.components
            .insert("scheduler".into(), scheduler.unwrap_or_else(sd15_scheduler));
        for component in Component::ALL {
            let config = checkpoint.config(component.name()).cloned();
            let config = config.unwrap_or_default();
            self.components.insert(component.name().into(), config);
            let own = checkpoint.tensors(component);
            let own: Vec<_> = own
                .map(|(name, info)| (name.to_string(), info.byte_len()))
                .collect();
            for (name, bytes) in own {
                let tensor = checkpoint.read(component, &name)?;
                self.add(&format!("{}.{name}", component.name()), tensor)
                    .await?;
                self.report(bytes).await?;
            }
        }
        Ok(())
    }

    async fn add_adapter(
        &mut self,
        kind: AdapterKind,
        adapter: &mut Adapter,
        checkpoint: &mut Checkpoint,
    ) -> Result<()> {
        let component = format!("layers.{}", kind.as_str());
        self.components.insert(component.clone(), json!({}));
        for (name, tensor) in adapter.shared()? {
            self.add(&format!("{component}.{name}"), tensor).await?;
        }
        let (bytes, units) = (adapter.tensor_bytes(), adapter.len() as u64);
        for unit in 0..adapter.len() {
            for (name, tensor) in adapter.unit(unit, checkpoint)? {
                self.add(&format!("{component}.{name}"), tensor).await?;
            }
            let until = |unit: u64| bytes * unit / units;
            self.report(until(unit as u64 + 1) - until(unit as u64))
                .await?;
        }
        Ok(())
    }

    async fn add_part(
        &mut self,
        component: &str,
        config: Value,
        mut source: TensorSource,
    ) -> Result<()> {
        self.components.insert(component.into(), config);
        let own = source.tensors();
        let own: Vec<_> = own
            .map(|(name, info)| (name.to_string(), info.byte_len()))
            .collect();
        for (name, bytes) in own {
            let tensor = source.read(&name)?;
            self.add(&format!("{component}.{name}"), tensor).await?;
            self.report(bytes).await?;
        }
        Ok(())
    }

    async fn report(&mut self, bytes: u64) -> Result<()> {
        self.done.loaded_bytes += bytes;
        match (self.progress)(self.done).await {
            true => Ok(()),
            false => Err(Error::new(ErrorCode::Aborted, "packing was aborted", "")),
        }
    }

    async fn add(&mut self, name: &str, tensor: HostTensor) -> Result<()> {
        let StoredTensor { entry, rows } = StoredTensor::new(name, tensor, self.options.precision)?;
        self.add_rows(entry, rows).await
    }

    /// Adds the rows of a tensor, the first kind under its own name, and splits them where they
    /// are larger than a shard.
    async fn add_rows(&mut self, mut entry: TensorEntry, kinds: Vec<Rows>) -> Result<()> {
        let header_bytes = kinds
            .iter()
            .map(|kind| kind.name.len() + HEADER_ENTRY_BYTES);
        let header_bytes = header_bytes.sum::<usize>() as u64;
        // What the header starts with and is padded by fits beside one entry more.
        let limit = SHARD_BYTES.saturating_sub(header_bytes + HEADER_ENTRY_BYTES as u64);
        let rows = entry.shape.first().copied().unwrap_or(1).max(1);
        let row_bytes: usize = kinds.iter().map(|kind| kind.bytes.len() / rows).sum();
        // An even number, so that half floats of a part fill whole words.
        let rows_per_part = ((limit as usize / row_bytes.max(1)) & !1).max(2);
        for start in (0..rows).step_by(rows_per_part) {
            let count = rows_per_part.min(rows - start);
            let part_bytes = (count * row_bytes) as u64;
            // A shard holds a name once, so that each part but the first starts another.
            if start > 0 || self.pending_bytes + part_bytes > limit {
                self.write_shard().await?;
            }
            self.pending_bytes += part_bytes + header_bytes;
            entry.shards.push(self.shards.len());
            for kind in &kinds {
                let length = kind.bytes.len() / rows;
                let bytes = kind.bytes[start * length..(start + count) * length].to_vec();
                let mut shape = kind.row.clone();
                if !entry.shape.is_empty() {
                    shape.insert(0, count);
                }
                self.pending
                    .push((kind.name.clone(), kind.dtype, shape, bytes));
            }
        }
        self.tensors.insert(kinds[0].name.clone(), entry);
        Ok(())
    }

    async fn write_shard(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let bytes = write_safetensors(&self.pending);
        self.pending.clear();
        self.pending_bytes = 0;
        let shard = ShardEntry {
            file: format!("shard-{:05}.safetensors", self.shards.len() + 1),
            bytes: bytes.len() as u64,
            sha256: self.store.sha256(&bytes).await,
        };
        self.store.write(&shard.file, bytes).await?;
        self.shards.push(shard);
        Ok(())
    }

    async fn finish(mut self, name: &str) -> Result<Manifest> {
        self.write_shard().await?;
        let options = self.options;
        let mut manifest = Manifest {
            glassine: Manifest::FORMAT,
            name: name.to_string(),
            precision: options.precision,
            native_transparency: options.native_transparency,
            defaults: Defaults {
                width: 0,
                height: 0,
                steps: options.default_steps,
                guidance: options.default_guidance,
                sampler: options.default_sampler.to_string(),
                clip_skip: options.default_clip_skip,
                decode_passes: options.default_decode_passes,
            },
            words: options.words.clone(),
            components: self.components,
            preview: Vec::new(),
            shards: self.shards,
            tensors: self.tensors,
        };
        let size = manifest.unet()?.sample_size * 8;
        (manifest.defaults.width, manifest.defaults.height) = (size, size);
        // What has too long a name for a shard, or no values, would only be refused on loading.
        manifest.check()?;
        manifest.preview = fit_latent_rgb(&manifest, self.store).await?;
        let json = serde_json::to_vec(&manifest).expect("a manifest is plain data");
        self.store.write(MANIFEST_FILE, json).await?;
        Ok(manifest)
    }
}

/// Refuses models that cannot be run, before anything is written.
fn check(
    checkpoint: &Checkpoint,
    adapters: &[(AdapterKind, Adapter)],
    parts: &[(&'static str, Value, TensorSource)],
) -> Result<()> {
    let mut whole = checkpoint.architecture();
    let mut paths: BTreeMap<String, &Path> = BTreeMap::new();
    for (kind, adapter) in adapters {
        let component = format!("layers.{}", kind.as_str());
        whole.configs.insert(component.clone(), json!({}));
        whole.shapes.extend(adapter.shapes());
        paths.insert(component, adapter.path());
    }
    for (component, config, source) in parts {
        whole.configs.insert(component.to_string(), config.clone());
        let shapes = source.tensors();
        let shapes = shapes.map(|(name, info)| (format!("{component}.{name}"), info.shape.clone()));
        whole.shapes.extend(shapes);
        paths.insert(component.to_string(), source.path());
    }
    let path_of = |component: &str| match paths.get(component) {
        Some(path) => *path,
        None => checkpoint.path_of(component),
    };
    let refused =
        |(component, flaw): (String, Flaw)| flaw.into_error(path_of(&component), &component);
    whole.check().map_err(refused)?;
    let tokenizer = Tokenizer::from_merges(merges(checkpoint))?;
    let vocabulary = whole.check_vocabulary(&tokenizer);
    vocabulary.map_err(|flaw| refused(("text_encoder".into(), flaw)))
}

/// `merges.txt` of the checkpoint's tokenizer, or CLIP's.
fn merges(checkpoint: &Checkpoint) -> &[u8] {
    checkpoint.merges().unwrap_or(clip_vocabulary::merges())
}

/// The companion files that `options` name, each with its component and config.
fn open_parts(
    options: &PackOptions,
    files: &dyn Files,
    base: &Checkpoint,
) -> Result<Vec<(&'static str, Value, TensorSource)>> {
    // A tensor that only the right file holds stands beside each.
    let named = [
        (
            "transparency_decoder",
            &options.transparency_decoder,
            "latent_conv_in.weight",
        ),
        (
            "transparency_encoder",
            &options.transparency_encoder,
            "blocks.16.weight",
        ),
        ("taesd_decoder", &options.taesd_decoder, "19.weight"),
        ("taesd_encoder", &options.taesd_encoder, "14.weight"),
    ];
    let mut parts = Vec::new();
    for (component, path, telltale) in named {
        let Some(path) = path else { continue };
        let file = TensorFile::open_in(files, path)?;
        if !file.tensors().contains_key(telltale) {
            return Err(Error::new(
                ErrorCode::ModelUnsupported,
                format!(
                    "{} is not a {component}: it has no {telltale}",
                    path.display()
                ),
                "pass the file published for it",
            ));
        }
        let mut source = TensorSource::default();
        source.add(file, |name| Some(name.to_string()))?;
        parts.push((component, json!({}), source));
    }
    if let Some(path) = &options.controlnet {
        let (config, source) = control_net::open(files, path, base)?;
        parts.push((CONTROL_NET, config, source));
    }
    Ok(parts)
}
