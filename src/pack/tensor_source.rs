//! Tensors under canonical (diffusers') names, wherever in one or several files they lie.

use std::collections::BTreeMap;
use std::path::Path;

use crate::weights::{HostTensor, TensorFile, TensorInfo};
use crate::{Error, ErrorCode, Result};

/// What the scale of a weight of 8-bit floats is called in place of `weight`.
const SCALES: [&str; 2] = ["scale_weight", "weight_scale"];
/// What else goes with such weights: the range of activations, and which way it was done.
const SCALED_ONLY: [&str; 5] = [
    "scale_input",
    "input_scale",
    "comfy_quant",
    "weight_scale_2",
    "scaled_fp8",
];

/// One tensor: the file, its name there, and the name of its scale if it has one.
struct Located {
    file: usize,
    name: String,
    scale: Option<String>,
}

/// Opened files, and which of their tensors have which canonical names.
#[derive(Default)]
pub struct TensorSource {
    files: Vec<TensorFile>,
    located: BTreeMap<String, Located>,
}

impl TensorSource {
    /// Takes in those tensors of `file` that `canonical` gives a name.
    ///
    /// # Errors
    /// `model_unsupported` if one is quantized in a way that is not read.
    pub fn add(
        &mut self,
        file: TensorFile,
        canonical: impl Fn(&str) -> Option<String>,
    ) -> Result<()> {
        for (name, info) in file.tensors() {
            let Some(canonical) = canonical(name).filter(|_| !is_scale(name)) else {
                continue;
            };
            if !info.dtype.is_float() {
                return Err(Error::new(
                    ErrorCode::ModelUnsupported,
                    format!(
                        "{} holds {name} as {:?}: it is quantized in a way that is not read",
                        file.path().display(),
                        info.dtype
                    ),
                    "pass the model in 16 bits, or in 8-bit floats; glassine quantizes it itself",
                ));
            }
            let stem = name.strip_suffix("weight").unwrap_or(name);
            let mut scales = SCALES.iter().map(|scale| format!("{stem}{scale}"));
            let located = Located {
                file: self.files.len(),
                name: name.clone(),
                scale: scales.find(|scale| file.tensors().contains_key(scale)),
            };
            self.located.insert(canonical, located);
        }
        self.files.push(file);
        Ok(())
    }

    /// Where the file is, or the first of several.
    pub fn path(&self) -> &Path {
        self.files.first().map_or(Path::new(""), TensorFile::path)
    }

    /// Canonical names and headers, in alphabetical order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.located
            .iter()
            .map(|(name, located)| (name.as_str(), self.info_of(located)))
    }

    /// The header of tensor `name`.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        Some(self.info_of(self.located.get(name)?))
    }

    /// The shape of tensor `name`.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.info(name)?.shape)
    }

    /// Whether a canonical name begins with `start`.
    pub fn has_below(&self, start: &str) -> bool {
        let mut from = self.located.range(start.to_string()..);
        from.next().is_some_and(|(name, _)| name.starts_with(start))
    }

    /// How many of `path.0`, `path.1`, ... there are.
    pub fn count(&self, path: &str) -> usize {
        (0..)
            .take_while(|index| self.has_below(&format!("{path}.{index}.")))
            .count()
    }

    /// Bytes of all tensors in their files.
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors().map(|(_, info)| info.byte_len()).sum()
    }

    /// Tensor `name` as `f32`, times its scale.
    ///
    /// # Errors
    /// `model_damaged` if it is not there, cannot be read or is not finite, or if its scale does not fit.
    pub fn read(&mut self, name: &str) -> Result<HostTensor> {
        let damaged = |what: String| {
            Error::new(
                ErrorCode::ModelDamaged,
                what,
                "it is incomplete or of another architecture",
            )
        };
        let located = self
            .located
            .get(name)
            .ok_or_else(|| damaged(format!("the checkpoint has no {name}")))?;
        let file = &mut self.files[located.file];
        let mut tensor = file.read_finite(&located.name)?;
        if let Some(scale) = &located.scale {
            let scales = file.read_finite(scale)?.data;
            let rows = tensor.shape.first().copied().unwrap_or(1).max(1);
            if scales.len() != 1 && scales.len() != rows {
                let count = scales.len();
                return Err(damaged(format!("{name} has {count} scales")));
            }
            let row = (tensor.data.len() / rows).max(1);
            for (index, values) in tensor.data.chunks_mut(row).enumerate() {
                let scale = scales[index % scales.len()];
                values.iter_mut().for_each(|value| *value *= scale);
            }
        }
        Ok(tensor)
    }

    /// Replaces the tensors whose names begin with `start` by those of `other`.
    pub fn replace(&mut self, start: &str, other: Self) {
        self.located.retain(|name, _| !name.starts_with(start));
        let before = self.files.len();
        let own = other.located.into_iter();
        self.located
            .extend(
                own.filter(|(name, _)| name.starts_with(start))
                    .map(|(name, located)| {
                        let file = located.file + before;
                        (name, Located { file, ..located })
                    }),
            );
        self.files.extend(other.files);
    }

    fn info_of(&self, located: &Located) -> &TensorInfo {
        &self.files[located.file].tensors()[&located.name]
    }
}

/// Whether a tensor only says how another is to be read.
fn is_scale(name: &str) -> bool {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    SCALES.contains(&leaf) || SCALED_ONLY.contains(&leaf)
}
