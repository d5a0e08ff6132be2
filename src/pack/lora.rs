//! Low-rank adaptations of a base model: files in kohya's and in PEFT's naming.
//!
//! A layer's weight becomes `W + strength · alpha / rank · up · down`. kohya spells a layer's path
//! with underscores and stores an alpha for each; PEFT keeps the dots, and alpha equals the rank.

use std::collections::BTreeMap;
use std::path::Path;

use crate::weights::HostTensor;
use crate::weights::SafetensorsFile;
use crate::weights::host::matmul;
use crate::weights::{Disk, Files, InMemory};
use crate::{Error, ErrorCode, Result};

/// Beginnings of layer names in a file, and the component that each stands for.
const COMPONENTS: [(&str, &str); 6] = [
    ("lora_unet_", "unet_"),
    ("lora_te_", "text_encoder_"),
    ("unet.", "unet_"),
    ("text_encoder.", "text_encoder_"),
    ("base_model.model.unet.", "unet_"),
    ("base_model.model.text_encoder.", "text_encoder_"),
];

/// Endings of the names of the two factors, down first.
const FACTORS: [[&str; 2]; 2] = [
    [".lora_down.weight", ".lora_up.weight"],
    [".lora_A.weight", ".lora_B.weight"],
];

/// A LoRA file and how strongly it is applied.
pub struct Lora {
    file: SafetensorsFile,
    strength: f32,
    /// Names of a layer's factors and of its alpha, by component and path with underscores.
    layers: BTreeMap<String, [String; 3]>,
}

impl Lora {
    /// Opens a LoRA file on disk. A strength of 1 applies it as it was trained.
    ///
    /// # Errors
    /// `model_unsupported` if the file holds no LoRA or something besides plain LoRA.
    pub fn open(path: &Path, strength: f32) -> Result<Self> {
        Self::open_in(&Disk, path, strength)
    }

    /// As [`Lora::open`], of a file's bytes; `name` stands for the file in messages.
    pub fn from_bytes(name: &str, bytes: Vec<u8>, strength: f32) -> Result<Self> {
        Self::open_in(&InMemory(bytes), Path::new(name), strength)
    }

    /// As [`Lora::open`], among `files`.
    pub fn open_in(files: &dyn Files, path: &Path, strength: f32) -> Result<Self> {
        let file = SafetensorsFile::open_in(files, path)?;
        let refuse = |reason: String| {
            Error::new(
                ErrorCode::ModelUnsupported,
                format!("{} cannot be applied: {reason}", path.display()),
                "pass a LoRA for Stable Diffusion 1.5 in kohya's or PEFT's naming",
            )
        };
        if !strength.is_finite() {
            return Err(refuse(format!("strength {strength} is not a number")));
        }
        let mut layers = BTreeMap::new();
        for name in file.tensors().keys() {
            let Some((layer, [down, up])) = split_name(name) else {
                continue;
            };
            let key = canonical(layer).ok_or_else(|| {
                refuse(format!(
                    "it holds {layer}, which is of another kind of model"
                ))
            })?;
            let names = [down, up, ".alpha"].map(|end| format!("{layer}{end}"));
            if !file.tensors().contains_key(&names[1]) {
                return Err(refuse(format!("{} is missing", names[1])));
            }
            layers.insert(key, names);
        }
        let is_plain = |name: &String| {
            let is_factor = FACTORS.as_flattened().iter().any(|end| name.ends_with(end));
            is_factor || name.ends_with(".alpha")
        };
        if let Some(name) = file.tensors().keys().find(|name| !is_plain(name)) {
            return Err(refuse(format!("{name} is not part of a plain LoRA")));
        }
        match layers.is_empty() {
            true => Err(refuse("it holds no LoRA".into())),
            false => Ok(Self {
                file,
                strength,
                layers,
            }),
        }
    }

    /// What prompts call it: the file's name without its ending.
    pub fn name(&self) -> String {
        let stem = self.file.path().file_stem();
        stem.unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Refuses a file with layers that are not among `names`, which are tensors of a pack.
    ///
    /// # Errors
    /// `model_unsupported` if the LoRA is for another architecture.
    pub fn check_fits<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<()> {
        let known: std::collections::BTreeSet<String> = names.filter_map(layer_key).collect();
        let stray = self.layers.iter().find(|(key, _)| !known.contains(*key));
        match stray {
            None => Ok(()),
            Some((_, [down, ..])) => Err(Error::new(
                ErrorCode::ModelUnsupported,
                format!(
                    "{} cannot be applied: the model has no layer for {down}",
                    self.file.path().display()
                ),
                "the LoRA is for another base model",
            )),
        }
    }

    /// Whether the LoRA changes tensor `name` of a pack.
    pub fn changes(&self, name: &str) -> bool {
        layer_key(name).is_some_and(|key| self.layers.contains_key(&key))
    }

    /// Adds what the LoRA changes about tensor `name` of a pack, if it does.
    ///
    /// # Errors
    /// `model_unsupported` if the factors do not have the tensor's size.
    pub fn apply(&mut self, name: &str, tensor: &mut HostTensor) -> Result<()> {
        let names = layer_key(name).and_then(|key| self.layers.get(&key));
        let Some([down, up, alpha]) = names.cloned() else {
            return Ok(());
        };
        let (up, down) = (flat(self.file.read(&up)?), flat(self.file.read(&down)?));
        let rank = up.shape[1];
        let rows = tensor.shape.first().copied().unwrap_or(0);
        let fits = rank == down.shape[0]
            && rows == up.shape[0]
            && tensor.data.len() == rows * down.shape[1];
        if !fits {
            return Err(Error::new(
                ErrorCode::ModelUnsupported,
                format!(
                    "a LoRA of {:?} · {:?} does not fit {name} of {:?}",
                    up.shape, down.shape, tensor.shape
                ),
                "the LoRA is for another base model",
            ));
        }
        let alpha = match self.file.tensors().contains_key(&alpha) {
            true => self.file.read(&alpha)?.data.first().copied(),
            false => None,
        };
        let scale = self.strength * alpha.unwrap_or(rank as f32) / rank as f32;
        let delta = matmul(&up, &down);
        for (value, delta) in tensor.data.iter_mut().zip(delta.data) {
            *value += scale * delta;
        }
        Ok(())
    }
}

/// The layer that a factor `down` belongs to, and how its factors' names end.
fn split_name(name: &str) -> Option<(&str, [&'static str; 2])> {
    FACTORS
        .into_iter()
        .find_map(|ends| Some((name.strip_suffix(ends[0])?, ends)))
}

/// A layer's name in a file as component and path with underscores.
fn canonical(layer: &str) -> Option<String> {
    COMPONENTS.into_iter().find_map(|(start, component)| {
        let path = layer.strip_prefix(start)?;
        Some(format!("{component}{}", path.replace('.', "_")))
    })
}

/// The key of a pack's tensor, if it is a weight that a LoRA may change. Folded attention weights
/// of an adapter are changed as the UNet's own that they stand for.
fn layer_key(name: &str) -> Option<String> {
    let path = name.strip_suffix(".weight")?;
    let path = match path.strip_prefix("layers.attn.") {
        Some(path) => format!("unet_{path}"),
        None => path.to_string(),
    };
    Some(path.replace('.', "_"))
}

/// A factor as a matrix: convolutions hold rows of inputs.
fn flat(mut factor: HostTensor) -> HostTensor {
    let rows = factor.shape.first().copied().unwrap_or(1).max(1);
    factor.shape = vec![rows, factor.data.len() / rows];
    factor
}
