//! LayerDiffuse's attention-sharing files, made ready for a pack.
//!
//! A file holds one unit for every attention of the UNet: LoRA factors for the query, key, value
//! and output weights of each frame, and a temporal attention. Over one frame the temporal
//! attention is an affine map, so that a unit folds into four merged weights, one matrix and one
//! vector; with several frames the factors stay apart, being smaller than their products.

use std::path::Path;

use super::checkpoint::Checkpoint;
use super::component::Component;
use crate::named::{named, serde_as_text};
use crate::weights::Files;
use crate::weights::HostTensor;
use crate::weights::TensorFile;
use crate::weights::host::matmul;
use crate::{Error, ErrorCode, Result};

/// The weights of an attention that LoRA changes.
const PROJECTIONS: [&str; 4] = ["to_q", "to_k", "to_v", "to_out"];

/// What an adapter is for: the KIND of `--layers KIND=FILE`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "lowercase")]
pub enum AdapterKind {
    /// `attn`: one transparent picture.
    #[strum(serialize = "attn")]
    Single,
    /// `joint`: foreground, background and the two blended.
    Joint,
    /// `fg2bg`: a background for a foreground, and the two blended.
    #[strum(serialize = "fg2bg")]
    ForegroundToBackground,
    /// `bg2fg`: a foreground for a background, and the two blended.
    #[strum(serialize = "bg2fg")]
    BackgroundToForeground,
}

named!(AdapterKind, "kind of layers");
serde_as_text!(AdapterKind);

impl AdapterKind {
    pub(super) fn frames(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Joint => 3,
            _ => 2,
        }
    }

    /// Whether a picture is given for it to fit.
    pub(super) fn is_conditional(self) -> bool {
        matches!(
            self,
            Self::ForegroundToBackground | Self::BackgroundToForeground
        )
    }

    /// The name of the file that LayerDiffuse published for Stable Diffusion 1.5.
    pub fn published_file(self) -> &'static str {
        match self {
            Self::Single => "layer_sd15_transparent_attn.safetensors",
            Self::Joint => "layer_sd15_joint.safetensors",
            Self::ForegroundToBackground => "layer_sd15_fg2bg.safetensors",
            Self::BackgroundToForeground => "layer_sd15_bg2fg.safetensors",
        }
    }
}

/// An opened adapter file, matched to the attentions of a base model.
pub struct Adapter {
    kind: AdapterKind,
    file: TensorFile,
    /// Path of each unit's attention in the UNet, by unit.
    units: Vec<String>,
}

impl Adapter {
    /// Opens `path` among `files` for the UNet of `base`.
    ///
    /// # Errors
    /// `model_unsupported` if the file is not an adapter of this kind and number of units.
    pub fn open(
        files: &dyn Files,
        kind: AdapterKind,
        path: &Path,
        base: &Checkpoint,
    ) -> Result<Self> {
        let file = TensorFile::open_in(files, path)?;
        let units = unit_paths(base);
        let has = |name: String| file.tensors().contains_key(&name);
        let count =
            |name: &dyn Fn(usize) -> String| (0..).take_while(|index| has(name(*index))).count();
        let frames = count(&|frame| format!("hookers.layers.0.to_q_lora.{frame}.down.weight"));
        let found = count(&|unit| format!("hookers.layers.{unit}.temporal_i.weight"));
        let conditional = has("kwargs_encoder.blocks_0.0.weight".into());
        let reason = if frames == 0 {
            "it holds no attention-sharing units".to_string()
        } else if frames != kind.frames() {
            format!("it is for {frames} frames and not for {}", kind.frames())
        } else if conditional != kind.is_conditional() {
            "its hint encoder is missing".to_string()
        } else if found != units.len() {
            format!(
                "it has {found} units and the UNet {} attentions",
                units.len()
            )
        } else {
            return Ok(Self { kind, file, units });
        };
        let name = kind.as_str();
        Err(Error::new(
            ErrorCode::ModelUnsupported,
            format!(
                "{} cannot be used as --layers {name}: {reason}",
                path.display()
            ),
            format!("pass a file like {}", kind.published_file()),
        ))
    }

    /// Bytes of all tensors of the file.
    pub fn tensor_bytes(&self) -> u64 {
        self.file.tensor_bytes()
    }

    /// Number of units.
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// The tensors of one unit, under the names that the UNet's loader looks for: folded for one
    /// frame, as published for several.
    pub fn unit(
        &mut self,
        unit: usize,
        base: &mut Checkpoint,
    ) -> Result<Vec<(String, HostTensor)>> {
        if self.kind == AdapterKind::Single {
            return self.fold(unit, base);
        }
        let start = format!("hookers.layers.{unit}.");
        let path = self.units[unit].clone();
        self.read_renamed(&start, &format!("{path}."))
    }

    /// Names that the file's tensors have in a pack, factors not folded, and their shapes.
    pub fn shapes(&self) -> impl Iterator<Item = (String, Vec<usize>)> {
        let component = format!("layers.{}", self.kind.as_str());
        self.file.tensors().iter().filter_map(move |(name, info)| {
            let name = match name.strip_prefix("hookers.layers.") {
                Some(rest) => {
                    let (unit, rest) = rest.split_once('.')?;
                    format!("{}.{rest}", self.units.get(unit.parse::<usize>().ok()?)?)
                }
                None => name.clone(),
            };
            Some((format!("{component}.{name}"), info.shape.clone()))
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Tensors that belong to no unit: the hint encoder of conditional adapters.
    pub fn shared(&mut self) -> Result<Vec<(String, HostTensor)>> {
        self.read_renamed("kwargs_encoder.", "kwargs_encoder.")
    }

    fn read_renamed(&mut self, from: &str, to: &str) -> Result<Vec<(String, HostTensor)>> {
        let names: Vec<String> = self.file.tensors().keys().cloned().collect();
        let own = names
            .iter()
            .filter_map(|name| Some((name, name.strip_prefix(from)?)));
        own.map(|(name, rest)| Ok((format!("{to}{rest}"), self.file.read_finite(name)?)))
            .collect()
    }

    fn fold(&mut self, unit: usize, base: &mut Checkpoint) -> Result<Vec<(String, HostTensor)>> {
        let path = self.units[unit].clone();
        let mut folded = Vec::new();
        for projection in PROJECTIONS {
            let name = match projection {
                "to_out" => format!("{path}.to_out.0.weight"),
                _ => format!("{path}.{projection}.weight"),
            };
            let merged = self.merge_lora(unit, projection, base.read(Component::Unet, &name)?)?;
            folded.push((name, merged));
        }
        // What the last projection gives is what the temporal attention sees.
        let channels = folded.last().map_or(0, |(_, out)| out.shape[0]);
        let (weight, bias) = self.fold_temporal(unit, channels)?;
        folded.push((format!("{path}.temporal.weight"), weight));
        folded.push((format!("{path}.temporal.bias"), bias));
        Ok(folded)
    }

    fn merge_lora(
        &mut self,
        unit: usize,
        projection: &str,
        base: HostTensor,
    ) -> Result<HostTensor> {
        let lora = format!("hookers.layers.{unit}.{projection}_lora.0");
        let up = self.file.read_finite(&format!("{lora}.up.weight"))?;
        let down = self.file.read_finite(&format!("{lora}.down.weight"))?;
        let fits = match (up.shape.as_slice(), down.shape.as_slice()) {
            ([rows, rank], [factors, columns]) => {
                rank == factors && base.shape == [*rows, *columns]
            }
            _ => false,
        };
        if !fits {
            return Err(other_base(format!(
                "{lora} is {:?} · {:?} for a base weight of {:?}",
                up.shape, down.shape, base.shape
            )));
        }
        let mut merged = matmul(&up, &down);
        for (value, base) in merged.data.iter_mut().zip(&base.data) {
            *value += base;
        }
        Ok(merged)
    }

    /// `W_o (W_v (W_i (scale · n + shift) + b_i) + b_v) + b_o` as one matrix and one vector over
    /// the plainly normalised state `n` of this many channels.
    fn fold_temporal(&mut self, unit: usize, channels: usize) -> Result<(HostTensor, HostTensor)> {
        let mut read = |leaf: &str, shape: &[usize]| {
            let name = format!("hookers.layers.{unit}.temporal_{leaf}");
            let tensor = self.file.read_finite(&name)?;
            match tensor.shape == shape {
                true => Ok(tensor),
                false => Err(other_base(format!(
                    "{name} is {:?} instead of {shape:?}",
                    tensor.shape
                ))),
            }
        };
        let (vector, matrix) = ([channels], [channels, channels]);
        let (scale, shift) = (read("n.weight", &vector)?, read("n.bias", &vector)?);
        let mut weight = read("i.weight", &matrix)?;
        let mut bias = HostTensor::new([channels, 1], shift.data);
        bias = add(matmul(&weight, &bias), &read("i.bias", &vector)?);
        for row in weight.data.chunks_mut(channels) {
            for (value, scale) in row.iter_mut().zip(&scale.data) {
                *value *= scale;
            }
        }
        for layer in ["v", "o"] {
            let next = read(&format!("{layer}.weight"), &matrix)?;
            weight = matmul(&next, &weight);
            bias = add(
                matmul(&next, &bias),
                &read(&format!("{layer}.bias"), &vector)?,
            );
        }
        Ok((weight, HostTensor::new([channels], bias.data)))
    }
}

fn other_base(reason: String) -> Error {
    Error::new(
        ErrorCode::ModelUnsupported,
        reason,
        "the adapter is for another base model",
    )
}

fn add(mut a: HostTensor, b: &HostTensor) -> HostTensor {
    for (a, b) in a.data.iter_mut().zip(&b.data) {
        *a += b;
    }
    a
}

/// The UNet's attentions in the order of an adapter's units: down, up, and the middle block last;
/// in each transformer the self-attention first.
fn unit_paths(base: &Checkpoint) -> Vec<String> {
    let order = |path: &str| match path.split('.').next() {
        Some("down_blocks") => 0,
        Some("up_blocks") => 1,
        _ => 2,
    };
    let suffix = ".to_q.weight";
    let mut paths: Vec<String> = base
        .tensors(Component::Unet)
        .filter_map(|(name, _)| Some(name.strip_suffix(suffix)?.to_string()))
        .collect();
    paths.sort_by_key(|path| (order(path), path.clone()));
    paths
}
