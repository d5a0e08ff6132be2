//! LoRA files that tests make, and what they make of the tiny model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glassine::Result;
use glassine::internals::weights::{Dtype, HostTensor, SafetensorsFile, write_safetensors};
use glassine::pack::{Checkpoint, Component, Lora};
use serde_json::{Value, json};

use super::{copied_bytes, golden, model};

/// A LoRA file's tensors and metadata.
#[derive(Clone, Default)]
pub struct LoraFile {
    pub tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
    pub metadata: BTreeMap<String, String>,
}

impl LoraFile {
    /// The golden file `name`, without its metadata.
    pub fn golden(name: &str) -> Self {
        let mut file = SafetensorsFile::open(golden(&format!("lora/{name}.safetensors"))).unwrap();
        let all: Vec<_> = file.tensors().clone().into_iter().collect();
        let read = |(name, info): (String, glassine::internals::weights::TensorInfo)| {
            let bytes = file.read_bytes(&name).unwrap();
            (name, (info.dtype, info.shape, bytes))
        };
        Self {
            tensors: all.into_iter().map(read).collect(),
            metadata: BTreeMap::new(),
        }
    }

    /// The same tensors under other names.
    pub fn renamed(&self, rename: impl Fn(&str) -> String) -> Self {
        let tensors = self.tensors.iter();
        let tensors = tensors.map(|(name, tensor)| (rename(name), tensor.clone()));
        Self {
            tensors: tensors.collect(),
            metadata: self.metadata.clone(),
        }
    }

    /// With this `f32` tensor, new or in place of what has its name.
    pub fn with(mut self, name: &str, shape: &[usize], values: &[f32]) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        let tensor = (Dtype::F32, shape.to_vec(), bytes.collect());
        self.tensors.insert(name.into(), tensor);
        self
    }

    /// With this tensor of pseudo-random numbers.
    pub fn with_noise(self, name: &str, shape: &[usize]) -> Self {
        let values = noise(name, shape.iter().product());
        self.with(name, shape, &values)
    }

    /// Without tensor `name`, which must be there.
    pub fn without(mut self, name: &str) -> Self {
        assert!(self.tensors.remove(name).is_some(), "{name}");
        self
    }

    /// With this entry of the metadata.
    pub fn with_metadata(mut self, name: &str, text: &str) -> Self {
        self.metadata.insert(name.into(), text.into());
        self
    }

    /// Tensor `name`'s shape and values.
    pub fn values(&self, name: &str) -> HostTensor {
        let (dtype, shape, bytes) = &self.tensors[name];
        assert_eq!(*dtype, Dtype::F32, "{name}");
        let (chunks, _) = bytes.as_chunks::<4>();
        let values = chunks.iter().map(|chunk| f32::from_le_bytes(*chunk));
        HostTensor::new(shape.clone(), values.collect())
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let tensors = self.tensors.iter();
        let tensors: Vec<_> = tensors
            .map(|(name, (dtype, shape, bytes))| {
                (name.clone(), *dtype, shape.clone(), bytes.clone())
            })
            .collect();
        let plain = write_safetensors(&tensors);
        if self.metadata.is_empty() {
            return plain;
        }
        let length = u64::from_le_bytes(*plain.first_chunk().unwrap()) as usize;
        let (header, data) = plain[8..].split_at(length);
        let mut header: Value = serde_json::from_slice(header).unwrap();
        header["__metadata__"] = json!(self.metadata);
        let header = header.to_string().into_bytes();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend(data);
        bytes
    }

    /// Opens it under the name `test.safetensors`.
    pub fn open(&self, strength: f32) -> Result<Lora> {
        Lora::from_bytes("test.safetensors", self.bytes(), strength)
    }

    /// The tensors of the tiny model that it changes, merged into them.
    pub fn merged(&self, strength: f32) -> Result<BTreeMap<String, HostTensor>> {
        merged(vec![self.open(strength)?])
    }

    /// Writes it as `name` into a new folder, which holds `config` as `adapter_config.json` too.
    #[track_caller]
    pub fn in_folder(&self, folder: &str, name: &str, config: Option<Value>) -> PathBuf {
        let folder = model::scratch().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), self.bytes()).unwrap();
        if let Some(config) = config {
            std::fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
        }
        folder
    }
}

/// The tensors of the tiny model's text encoder and UNet that `loras` change, merged.
pub fn merged(loras: Vec<Lora>) -> Result<BTreeMap<String, HostTensor>> {
    let base = tensors(&mut Checkpoint::open(model::checkpoint())?)?;
    let mut checkpoint = Checkpoint::open(model::checkpoint())?;
    for lora in loras {
        checkpoint.apply(lora)?;
    }
    let mut all = tensors(&mut checkpoint)?;
    all.retain(|name, tensor| base[name] != *tensor);
    Ok(all)
}

/// Tensor `name` of the tiny model, its component in front.
pub fn base(name: &str) -> HostTensor {
    let mut checkpoint = Checkpoint::open(model::checkpoint()).unwrap();
    let (component, name) = name.split_once('.').unwrap();
    let components = Component::ALL.into_iter();
    let mut components = components.filter(|known| known.name() == component);
    checkpoint.read(components.next().unwrap(), name).unwrap()
}

fn tensors(checkpoint: &mut Checkpoint) -> Result<BTreeMap<String, HostTensor>> {
    let mut all = BTreeMap::new();
    for component in [Component::TextEncoder, Component::Unet] {
        let names: Vec<String> = checkpoint
            .tensors(component)
            .map(|(name, _)| name.to_string())
            .filter(|name| !name.contains("token_embedding"))
            .collect();
        for name in names {
            let tensor = checkpoint.read(component, &name)?;
            all.insert(format!("{}.{name}", component.name()), tensor);
        }
    }
    Ok(all)
}

/// The original single file's names by diffusers', both without their last part.
pub fn original_layers() -> BTreeMap<String, String> {
    let names: BTreeMap<String, String> =
        serde_json::from_slice(&copied_bytes("sd-tiny/single-file-names.json")).unwrap();
    let layer = |name: &str| name.rsplit_once('.').unwrap().0.to_string();
    names
        .iter()
        .map(|(original, diffusers)| (layer(diffusers), layer(original)))
        .collect()
}

/// Numbers between -0.1 and 0.1 that differ with `name`.
pub fn noise(name: &str, count: usize) -> Vec<f32> {
    let mut state = name.bytes().fold(0x9e37_79b9_u32, |state, byte| {
        (state ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 * 0.2 - 0.1
    };
    (0..count).map(|_| next()).collect()
}

/// Fails unless two sets of tensors are the same.
pub fn assert_same(
    what: &str,
    got: &BTreeMap<String, HostTensor>,
    expected: &BTreeMap<String, HostTensor>,
) {
    let names = |all: &BTreeMap<String, HostTensor>| all.keys().cloned().collect::<Vec<_>>();
    assert!(
        !expected.is_empty(),
        "{what}: nothing is expected to change"
    );
    assert_eq!(names(got), names(expected), "{what}");
    for (name, expected) in expected {
        assert!(got[name] == *expected, "{what}: {name} differs");
    }
}

/// Opens `path` as a LoRA of strength 1 and merges it.
pub fn merged_from(path: &Path) -> Result<BTreeMap<String, HostTensor>> {
    merged(vec![Lora::open(path, 1.0)?])
}
