//! A tensor as a pack of some precision stores it.

use half::f16;

use super::manifest::Precision;
use super::precision_policy::stored_type;
use super::reader::SCALES;
use crate::weights::{
    Dtype, HostTensor, Quantization, RowChunk, StoredType, TensorEntry, TensorInfo, quantize,
};
use crate::{Error, ErrorCode, Result};

/// Rows of one kind: values, levels or scales.
pub(super) struct Rows {
    /// What they are called in a shard.
    pub name: String,
    /// The type of each number.
    pub dtype: Dtype,
    /// Sizes of a row's axes.
    pub row: Vec<usize>,
    /// All rows, one after the other.
    pub bytes: Vec<u8>,
}

/// A tensor in its stored type.
pub(super) struct StoredTensor {
    /// How it is stored, in no shards yet.
    pub entry: TensorEntry,
    /// Its values or levels, and the scales of levels.
    pub rows: Vec<Rows>,
}

impl StoredTensor {
    /// `tensor`, which a checkpoint has under `name`, as a pack of `precision` stores it.
    ///
    /// # Errors
    /// `non_finite`; `bad_option` if values are beyond the range of what they are stored as.
    pub fn new(name: &str, tensor: HostTensor, precision: Precision) -> Result<Self> {
        tensor.check_finite(name)?;
        let tensor = tensor.channels_last();
        let entry = entry(name, tensor.shape.clone(), precision);
        let rows = match entry.quantization() {
            Some(quantization) => quantized_rows(name, &tensor, quantization),
            None => float_rows(name, &tensor, entry.stored),
        };
        let rows = rows.ok_or_else(|| {
            Error::new(
                ErrorCode::BadOption,
                format!("{name} holds values beyond the range of f16"),
                "pack with --quantize f32",
            )
        })?;
        Ok(Self { entry, rows })
    }

    /// All of it, as a shard would hold it.
    pub fn chunk(&self) -> RowChunk<'_> {
        RowChunk {
            bytes: &self.rows[0].bytes,
            scales: self.rows.get(1).map(|scales| scales.bytes.as_slice()),
        }
    }
}

/// What a checkpoint's tensor of that header takes of a device's memory, stored as in [`StoredTensor::new`].
pub(super) fn device_bytes(name: &str, info: &TensorInfo, precision: Precision) -> u64 {
    let shape = match info.shape[..] {
        [out, inputs, height, width] => vec![out, height, width, inputs],
        _ => info.shape.clone(),
    };
    entry(name, shape, precision).device_bytes(name)
}

/// How a tensor of a shape that is channels last is stored, in no shards yet.
fn entry(name: &str, shape: Vec<usize>, precision: Precision) -> TensorEntry {
    let (stored, quantization) = stored_type(precision, name, &shape);
    TensorEntry {
        stored,
        group: quantization.map(|quantization| quantization.group),
        shape,
        shards: Vec::new(),
    }
}

/// Floats of the type `stored`; `None` if one is beyond its range.
fn float_rows(name: &str, tensor: &HostTensor, stored: StoredType) -> Option<Vec<Rows>> {
    let bytes = match stored {
        StoredType::F16 => half_bytes(&tensor.data)?,
        _ => tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    Some(vec![Rows {
        name: name.to_string(),
        dtype: stored.dtype(),
        row: tensor.shape.get(1..).unwrap_or_default().to_vec(),
        bytes,
    }])
}

/// The values as half floats; `None` if one is beyond their range.
fn half_bytes(values: &[f32]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(values.len() * 2);
    for value in values {
        let half = f16::from_f32(*value);
        if !half.is_finite() {
            return None;
        }
        bytes.extend(half.to_le_bytes());
    }
    Some(bytes)
}

/// Levels and scales of a tensor; `None` if a scale is beyond the range of half floats.
fn quantized_rows(
    name: &str,
    tensor: &HostTensor,
    quantization: Quantization,
) -> Option<Vec<Rows>> {
    let columns: usize = tensor.shape[1..].iter().product();
    let quantized = quantize(tensor, quantization)?;
    let scales = quantized.scales.iter();
    Some(vec![
        Rows {
            name: name.to_string(),
            dtype: Dtype::U8,
            row: vec![quantization.row_bytes(columns)],
            bytes: quantized.levels,
        },
        Rows {
            name: format!("{name}{SCALES}"),
            dtype: Dtype::F16,
            row: vec![columns / quantization.group],
            bytes: scales.flat_map(|scale| scale.to_le_bytes()).collect(),
        },
    ])
}
