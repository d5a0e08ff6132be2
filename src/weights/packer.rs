use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use half::f16;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::adapter::{Adapter, AdapterKind};
use super::checkpoint::{Checkpoint, Component, sd15_scheduler};
use super::manifest::{
    Defaults, MANIFEST_FILE, MAX_SHARD_BYTES, Manifest, Precision, ShardEntry, StoredType,
    TensorEntry,
};
use super::on_device::Weights;
use super::pack::{FolderSource, Pack, hex};
use super::safetensors::{Dtype, SafetensorsFile, write_safetensors};
use super::{HostTensor, control_net};
use crate::vae::VaeDecoder;
use crate::{Error, ErrorCode, Result};

/// What to pack, and how.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// A diffusers folder or a single `.safetensors` file.
    pub model: PathBuf,
    /// A `vae_transparent_decoder` file.
    pub transparency_decoder: Option<PathBuf>,
    /// A `vae_transparent_encoder` file.
    pub transparency_encoder: Option<PathBuf>,
    /// A ControlNet's folder in diffusers' layout.
    pub controlnet: Option<PathBuf>,
    /// A `taesd_decoder` file.
    pub taesd_decoder: Option<PathBuf>,
    /// A `taesd_encoder` file.
    pub taesd_encoder: Option<PathBuf>,
    /// Attention-sharing adapters.
    pub adapters: BTreeMap<AdapterKind, PathBuf>,
    /// Whether the UNet was trained on transparent latents and needs no adapter.
    pub native_transparency: bool,
    /// How weights are stored.
    pub precision: Precision,
    /// `merges.txt` for checkpoints that carry no tokenizer.
    pub fallback_merges: Vec<u8>,
    /// Default steps of the model.
    pub default_steps: usize,
    /// Default guidance scale of the model.
    pub default_guidance: f32,
    /// The folder to create.
    pub out: PathBuf,
}

/// Bytes that a shard's header may take beside the tensors.
const HEADER_ALLOWANCE: u64 = 1 << 20;

/// Writes a pack, one tensor at a time.
pub struct Packer {
    folder: PathBuf,
    precision: Precision,
    pending: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
    pending_bytes: u64,
    components: BTreeMap<String, Value>,
    shards: Vec<ShardEntry>,
    tensors: BTreeMap<String, TensorEntry>,
}

impl Packer {
    /// Packs a checkpoint as `options` say. `progress` hears how many of how many tensors are
    /// done.
    ///
    /// The pack is built beside its destination and moved there when it is whole, so that a
    /// failure leaves nothing behind.
    ///
    /// # Errors
    /// Whatever [`Checkpoint::open`] gives; `bad_option` if the destination is in use.
    pub async fn pack(
        options: &PackOptions,
        progress: impl FnMut(usize, usize),
    ) -> Result<Manifest> {
        let name = options.out.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| {
            Error::new(
                ErrorCode::BadOption,
                format!("{} cannot be a pack's folder", options.out.display()),
                "name a folder to create",
            )
        })?;
        let replaced = options.out.join(MANIFEST_FILE).is_file();
        let empty = std::fs::read_dir(&options.out).map_or(true, |mut all| all.next().is_none());
        if !replaced && !empty {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!("{} exists and is not a pack", options.out.display()),
                "name another folder or remove it",
            ));
        }
        let mut checkpoint = Checkpoint::open(&options.model)?;
        let partial = options.out.with_file_name(format!("{name}.partial"));
        let outcome = Self::build(options, &mut checkpoint, name, &partial, progress).await;
        let outcome = outcome.and_then(|manifest| {
            replace(&partial, &options.out).map_err(|error| cannot_write(&options.out, error))?;
            Ok(manifest)
        });
        if outcome.is_err() {
            let _ = std::fs::remove_dir_all(&partial);
        }
        outcome
    }

    async fn build(
        options: &PackOptions,
        checkpoint: &mut Checkpoint,
        name: &str,
        folder: &Path,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Manifest> {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, error))?;
        let mut packer = Self {
            folder: folder.to_path_buf(),
            precision: options.precision,
            pending: Vec::new(),
            pending_bytes: 0,
            components: BTreeMap::new(),
            shards: Vec::new(),
            tensors: BTreeMap::new(),
        };
        packer.add_tokenizer(checkpoint.merges().unwrap_or(&options.fallback_merges))?;
        packer.add_checkpoint(checkpoint, &mut progress)?;
        for (kind, path) in &options.adapters {
            packer.add_adapter(*kind, path, checkpoint, &mut progress)?;
        }
        let parts = [
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
        for (component, path, telltale) in parts {
            if let Some(path) = path {
                packer.add_file(component, path, telltale)?;
            }
        }
        if let Some(folder) = &options.controlnet {
            let (config, file) = control_net::open(folder, checkpoint)?;
            packer.add_component("controlnet", config, file)?;
        }
        packer.finish(options, name).await
    }

    fn add_tokenizer(&mut self, merges: &[u8]) -> Result<()> {
        self.components
            .insert("tokenizer".into(), json!({ "kind": "clip" }));
        let shape = vec![merges.len()];
        self.add_bytes("tokenizer.merges", StoredType::U8, shape, merges.to_vec())?;
        // A shard of its own lets the tokenizer be read without any weights.
        self.write_shard()
    }

    fn add_checkpoint(
        &mut self,
        checkpoint: &mut Checkpoint,
        progress: &mut impl FnMut(usize, usize),
    ) -> Result<()> {
        let scheduler = checkpoint.config("scheduler").cloned();
        self.components
            .insert("scheduler".into(), scheduler.unwrap_or_else(sd15_scheduler));
        let names: Vec<(Component, String)> = Component::ALL
            .into_iter()
            .flat_map(|component| {
                let names = checkpoint
                    .tensors(component)
                    .map(|(name, _)| name.to_string());
                names.map(|name| (component, name)).collect::<Vec<_>>()
            })
            .collect();
        for component in Component::ALL {
            let config = checkpoint
                .config(component.name())
                .cloned()
                .unwrap_or_default();
            self.components.insert(component.name().into(), config);
        }
        for (index, (component, name)) in names.iter().enumerate() {
            let tensor = checkpoint.read(*component, name)?;
            self.add(&format!("{}.{name}", component.name()), tensor)?;
            progress(index + 1, names.len());
        }
        Ok(())
    }

    fn add_adapter(
        &mut self,
        kind: AdapterKind,
        path: &Path,
        checkpoint: &mut Checkpoint,
        progress: &mut impl FnMut(usize, usize),
    ) -> Result<()> {
        let component = format!("layers.{}", kind.as_str());
        let mut adapter = Adapter::open(kind, path, checkpoint)?;
        self.components.insert(component.clone(), json!({}));
        for (name, tensor) in adapter.shared()? {
            self.add(&format!("{component}.{name}"), tensor)?;
        }
        for unit in 0..adapter.len() {
            for (name, tensor) in adapter.unit(unit, checkpoint)? {
                self.add(&format!("{component}.{name}"), tensor)?;
            }
            progress(unit + 1, adapter.len());
        }
        Ok(())
    }

    fn add_file(&mut self, component: &str, path: &Path, telltale: &str) -> Result<()> {
        let file = SafetensorsFile::open(path)?;
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
        self.add_component(component, json!({}), file)
    }

    fn add_component(
        &mut self,
        component: &str,
        config: Value,
        mut file: SafetensorsFile,
    ) -> Result<()> {
        self.components.insert(component.into(), config);
        let names: Vec<String> = file.tensors().keys().cloned().collect();
        for name in names {
            let tensor = file.read(&name)?;
            self.add(&format!("{component}.{name}"), tensor)?;
        }
        Ok(())
    }

    fn add(&mut self, name: &str, tensor: HostTensor) -> Result<()> {
        tensor.check_finite(name)?;
        let stored = self.precision.stored();
        let bytes: Vec<u8> = match stored {
            StoredType::F16 => {
                let mut halves = tensor.data.iter().map(|value| f16::from_f32(*value));
                if let Some(value) = halves.clone().find(|value| !value.is_finite()) {
                    return Err(Error::new(
                        ErrorCode::BadOption,
                        format!("{name} holds a value beyond the range of f16 ({value})"),
                        "pack with --quantize f32",
                    ));
                }
                halves.by_ref().flat_map(f16::to_le_bytes).collect()
            }
            _ => tensor
                .data
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        };
        self.add_bytes(name, stored, tensor.shape, bytes)
    }

    /// Adds a tensor, split by rows where it is larger than a shard.
    fn add_bytes(
        &mut self,
        name: &str,
        stored: StoredType,
        shape: Vec<usize>,
        bytes: Vec<u8>,
    ) -> Result<()> {
        let limit = MAX_SHARD_BYTES - HEADER_ALLOWANCE;
        let rows = shape.first().copied().unwrap_or(1).max(1);
        let row_bytes = (bytes.len() / rows).max(1);
        let rows_per_part = (limit as usize / row_bytes).max(1);
        let mut entry = TensorEntry {
            stored,
            shape: shape.clone(),
            shards: Vec::new(),
        };
        for part in bytes.chunks(rows_per_part * row_bytes) {
            if self.pending_bytes + part.len() as u64 > limit {
                self.write_shard()?;
            }
            let mut part_shape = shape.clone();
            if let Some(first) = part_shape.first_mut() {
                *first = part.len() / row_bytes;
            }
            entry.shards.push(self.shards.len());
            self.pending_bytes += part.len() as u64;
            self.pending
                .push((name.to_string(), stored.dtype(), part_shape, part.to_vec()));
        }
        self.tensors.insert(name.to_string(), entry);
        Ok(())
    }

    fn write_shard(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let bytes = write_safetensors(&self.pending);
        let file = format!("shard-{:05}.safetensors", self.shards.len() + 1);
        let path = self.folder.join(&file);
        std::fs::write(&path, &bytes).map_err(|error| cannot_write(&path, error))?;
        self.shards.push(ShardEntry {
            file,
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(&bytes)),
        });
        self.pending.clear();
        self.pending_bytes = 0;
        Ok(())
    }

    async fn finish(mut self, options: &PackOptions, name: &str) -> Result<Manifest> {
        self.write_shard()?;
        let mut manifest = Manifest {
            glassine: Manifest::format(),
            name: name.to_string(),
            precision: options.precision,
            native_transparency: options.native_transparency,
            defaults: Defaults {
                width: 0,
                height: 0,
                steps: options.default_steps,
                guidance: options.default_guidance,
                sampler: "dpmpp-2m-karras".into(),
            },
            components: self.components,
            preview: Vec::new(),
            shards: self.shards,
            tensors: self.tensors,
        };
        let size = manifest.unet()?.sample_size * 8;
        (manifest.defaults.width, manifest.defaults.height) = (size, size);
        write_manifest(&self.folder, &manifest)?;
        manifest.preview = fit_preview(&self.folder).await?;
        write_manifest(&self.folder, &manifest)?;
        Ok(manifest)
    }
}

fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<()> {
    let json = serde_json::to_vec(manifest).expect("a manifest is plain data");
    let path = folder.join(MANIFEST_FILE);
    std::fs::write(&path, json).map_err(|error| cannot_write(&path, error))
}

/// Moves a finished pack to its place. Of a pack that is there already, only its own files go: what
/// else lies beside them, such as a model card, stays.
fn replace(finished: &Path, out: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(out)?;
    // A pack without a manifest is none, so that an interruption leaves nothing that looks whole.
    let old = out.join(MANIFEST_FILE);
    if old.is_file() {
        std::fs::remove_file(old)?;
    }
    for entry in std::fs::read_dir(out)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("shard-") && name.ends_with(".safetensors") {
            std::fs::remove_file(entry.path())?;
        }
    }
    let mut names: Vec<_> = std::fs::read_dir(finished)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<std::io::Result<_>>()?;
    names.sort_by_key(|name| name == MANIFEST_FILE);
    for name in names {
        std::fs::rename(finished.join(&name), out.join(&name))?;
    }
    std::fs::remove_dir(finished)
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::new(
        ErrorCode::Io,
        format!("cannot write {}", path.display()),
        error.to_string(),
    )
}

/// Side of the flat patches that [`fit_preview`] decodes, in latent cells, and patches a side.
const PATCH: usize = 4;
const PATCHES: usize = 4;

/// The linear map from latents to colours that comes nearest to the VAE.
///
/// Pictures of flat patches with random latents are decoded, and the colours at the patches'
/// centres are fitted by least squares.
async fn fit_preview(folder: &Path) -> Result<Vec<[f32; 3]>> {
    let pack = Pack::open(FolderSource::new(folder)).await?;
    let weights = Weights::new(&Device::flex());
    pack.load(&weights, |name| name.starts_with("vae."), async |_| true)
        .await?;
    let config = pack.manifest().vae()?;
    let decoder = VaeDecoder::load(&config, &weights.at("vae"))?;
    let mut noise = crate::sampling::NoiseGenerator::new(0);
    let mut equations = NormalEquations::default();
    for _ in 0..4 {
        let patches = noise.normal(4 * PATCHES * PATCHES);
        let side = PATCH * PATCHES;
        let cell = |index: usize| {
            let (channel, y, x) = (index / (side * side), index / side % side, index % side);
            patches[(channel * PATCHES + y / PATCH) * PATCHES + x / PATCH] / config.scaling_factor
        };
        let latent: Vec<f32> = (0..4 * side * side).map(cell).collect();
        let latent = Tensor::from_data(
            TensorData::new(latent, [1, 4, side, side]),
            weights.device(),
        );
        let picture = decoder.forward(latent).into_data_async().await;
        let picture = crate::pipeline::host_values(picture)?;
        for patch in 0..PATCHES * PATCHES {
            let (y, x) = (patch / PATCHES, patch % PATCHES);
            let centre = |index: usize| (index * PATCH + PATCH / 2) * 8;
            let pixel = |channel: usize| {
                let value = picture[(channel * side * 8 + centre(y)) * side * 8 + centre(x)];
                f64::from(value.clamp(-1.0, 1.0) * 0.5 + 0.5)
            };
            let latent = |channel: usize| f64::from(patches[channel * PATCHES * PATCHES + patch]);
            equations.add(
                [latent(0), latent(1), latent(2), latent(3), 1.0],
                [pixel(0), pixel(1), pixel(2)],
            );
        }
    }
    Ok(equations.solve())
}

/// Least squares for five inputs and three outputs.
#[derive(Default)]
struct NormalEquations {
    /// The symmetric matrix, and the right-hand sides beside it.
    rows: [[f64; 8]; 5],
}

impl NormalEquations {
    fn add(&mut self, inputs: [f64; 5], outputs: [f64; 3]) {
        for (row, input) in self.rows.iter_mut().zip(inputs) {
            for (sum, other) in row.iter_mut().zip(inputs.iter().chain(&outputs)) {
                *sum += input * other;
            }
        }
    }

    /// Gauss-Jordan elimination; the matrix is positive definite for random inputs.
    fn solve(mut self) -> Vec<[f32; 3]> {
        for pivot in 0..5 {
            let scale = 1.0 / self.rows[pivot][pivot].max(1e-12);
            self.rows[pivot]
                .iter_mut()
                .for_each(|value| *value *= scale);
            let pivot_row = self.rows[pivot];
            for (index, row) in self.rows.iter_mut().enumerate() {
                if index != pivot {
                    let factor = row[pivot];
                    row.iter_mut()
                        .zip(pivot_row)
                        .for_each(|(value, other)| *value -= factor * other);
                }
            }
        }
        self.rows
            .iter()
            .map(|row| [row[5] as f32, row[6] as f32, row[7] as f32])
            .collect()
    }
}
