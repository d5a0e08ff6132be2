//! LayerDiffuse's attention-sharing files, folded for packing.
//!
//! A file holds one unit for every attention of the UNet: LoRA factors for the query, key, value
//! and output weights, and a temporal attention. Over one frame the temporal attention is an
//! affine map, so that a unit folds into four merged weights, one matrix and one vector.

use std::path::Path;

use super::HostTensor;
use super::checkpoint::{Checkpoint, Component};
use super::host::matmul;
use super::safetensors::SafetensorsFile;
use crate::{Error, ErrorCode, Result};

/// The weights of an attention that LoRA changes.
const PROJECTIONS: [&str; 4] = ["to_q", "to_k", "to_v", "to_out"];

/// An opened adapter file for one frame, matched to the attentions of a base model.
pub struct SingleFrameAdapter {
    file: SafetensorsFile,
    /// Path of each unit's attention in the UNet, by unit.
    units: Vec<String>,
}

impl SingleFrameAdapter {
    /// Opens `path` for the UNet of `base`.
    ///
    /// # Errors
    /// `model_unsupported` if the file is not an adapter for one frame and this number of units.
    pub fn open(path: &Path, base: &Checkpoint) -> Result<Self> {
        let file = SafetensorsFile::open(path)?;
        let units = unit_paths(base);
        let has = |name: String| file.tensors().contains_key(&name);
        let wrong = |reason: String| {
            Error::new(
                ErrorCode::ModelUnsupported,
                format!(
                    "{} cannot be used as --layers attn: {reason}",
                    path.display()
                ),
                "pass a layer_sd15_transparent_attn file",
            )
        };
        if !has("hookers.layers.0.to_q_lora.0.down.weight".into()) {
            return Err(wrong("it holds no attention-sharing units".into()));
        }
        if has("hookers.layers.0.to_q_lora.1.down.weight".into()) {
            return Err(wrong("it is for several frames".into()));
        }
        let found = (0..)
            .take_while(|unit| has(format!("hookers.layers.{unit}.temporal_i.weight")))
            .count();
        if found != units.len() {
            return Err(wrong(format!(
                "it has {found} units and the UNet {} attentions",
                units.len()
            )));
        }
        Ok(Self { file, units })
    }

    /// Number of units.
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// The folded tensors of one unit, under the names that the UNet's loader looks for.
    pub fn fold(
        &mut self,
        unit: usize,
        base: &mut Checkpoint,
    ) -> Result<Vec<(String, HostTensor)>> {
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
        let (weight, bias) = self.fold_temporal(unit)?;
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
        let up = self.file.read(&format!("{lora}.up.weight"))?;
        let down = self.file.read(&format!("{lora}.down.weight"))?;
        let fits = base.shape == [up.shape[0], down.shape[1]] && up.shape[1] == down.shape[0];
        if !fits {
            return Err(Error::new(
                ErrorCode::ModelUnsupported,
                format!(
                    "{lora} is {:?} · {:?} for a base weight of {:?}",
                    up.shape, down.shape, base.shape
                ),
                "the adapter is for another base model",
            ));
        }
        let mut merged = matmul(&up, &down);
        for (value, base) in merged.data.iter_mut().zip(&base.data) {
            *value += base;
        }
        Ok(merged)
    }

    /// `W_o (W_v (W_i (scale · n + shift) + b_i) + b_v) + b_o` as one matrix and one vector over
    /// the plainly normalised state `n`.
    fn fold_temporal(&mut self, unit: usize) -> Result<(HostTensor, HostTensor)> {
        let mut read = |leaf: &str| {
            self.file
                .read(&format!("hookers.layers.{unit}.temporal_{leaf}"))
        };
        let (scale, shift) = (read("n.weight")?, read("n.bias")?);
        let channels = scale.data.len();
        let mut weight = read("i.weight")?;
        let mut bias = HostTensor::new([channels, 1], shift.data);
        bias = add(matmul(&weight, &bias), &read("i.bias")?);
        for row in weight.data.chunks_mut(channels) {
            for (value, scale) in row.iter_mut().zip(&scale.data) {
                *value *= scale;
            }
        }
        for layer in ["v", "o"] {
            let matrix = read(&format!("{layer}.weight"))?;
            weight = matmul(&matrix, &weight);
            bias = add(matmul(&matrix, &bias), &read(&format!("{layer}.bias"))?);
        }
        Ok((weight, HostTensor::new([channels], bias.data)))
    }
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
