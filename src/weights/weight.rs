use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use half::f16;

use super::manifest::TensorEntry;
use super::on_device::Part;
use super::quantize::{Quantization, Quantized, dequantize};
use super::safetensors::{Dtype, decode_f32};
use crate::kernels::unpack;

/// A layer's weight on a device: dense, or packed and unpacked anew at each use, so that no more
/// than one layer's weights ever stand there as `f32`.
#[derive(Clone)]
pub struct Weight {
    shape: Vec<usize>,
    /// Boxed, because models are moved about while they are built and a browser's stack is small.
    values: Box<Values>,
}

#[derive(Clone)]
enum Values {
    Dense(Tensor<1>),
    Packed {
        words: Tensor<1, Int>,
        scales: Tensor<1, Int>,
        quantization: Quantization,
    },
}

impl Weight {
    /// A dense weight of `shape`.
    pub(super) fn dense(shape: &[usize], values: Tensor<1>) -> Self {
        Self {
            shape: shape.to_vec(),
            values: Box::new(Values::Dense(values)),
        }
    }

    /// A run of rows of the tensor that `entry` describes, moved to `device`. `None` if its bytes
    /// are not as the entry says.
    pub(super) fn from_part(entry: &TensorEntry, part: Part<'_>, device: &Device) -> Option<Self> {
        let values = match entry.quantization() {
            None => {
                let values = decode_part(entry, part)?;
                let length = values.len();
                Values::Dense(Tensor::from_data(TensorData::new(values, [length]), device))
            }
            Some(quantization) => Values::Packed {
                words: words(part.bytes, device),
                scales: words(part.scales?, device),
                quantization,
            },
        };
        Some(Self {
            shape: entry.shape.clone(),
            values: Box::new(values),
        })
    }

    /// The weight whose rows are those of `parts` in order.
    pub(super) fn join(mut parts: Vec<Self>) -> Option<Self> {
        if parts.len() <= 1 {
            return parts.pop();
        }
        let (mut dense, mut all_words, mut all_scales) = (Vec::new(), Vec::new(), Vec::new());
        let (shape, mut packing) = (parts[0].shape.clone(), None);
        for part in parts {
            match *part.values {
                Values::Dense(values) => dense.push(values),
                Values::Packed {
                    words,
                    scales,
                    quantization,
                } => {
                    all_words.push(words);
                    all_scales.push(scales);
                    packing = Some(quantization);
                }
            }
        }
        let values = match packing {
            None => Values::Dense(Tensor::cat(dense, 0)),
            Some(quantization) => Values::Packed {
                words: Tensor::cat(all_words, 0),
                scales: Tensor::cat(all_scales, 0),
                quantization,
            },
        };
        Some(Self {
            shape,
            values: Box::new(values),
        })
    }

    /// Sizes of the axes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether there are as many values as the shape says.
    pub(super) fn is_whole(&self) -> bool {
        self.values_held() == self.shape.iter().product::<usize>()
    }

    /// How many rows the values make up.
    pub(super) fn rows_held(&self) -> usize {
        let columns: usize = self.shape.iter().skip(1).product();
        self.values_held() / columns.max(1)
    }

    fn values_held(&self) -> usize {
        match self.values.as_ref() {
            Values::Dense(values) => values.dims()[0],
            Values::Packed {
                words,
                scales,
                quantization,
            } => {
                let held = words.dims()[0] * 32 / quantization.bits;
                let scaled = (held / quantization.group).div_ceil(2) == scales.dims()[0];
                if scaled { held } else { 0 }
            }
        }
    }

    /// The same weight seen as one of as many values in another shape.
    pub fn reshaped(mut self, shape: &[usize]) -> Self {
        self.shape = shape.to_vec();
        self
    }

    /// The values as a tensor of `D` axes, which must be as many as the shape has.
    pub fn unpack<const D: usize>(&self) -> Tensor<D> {
        let shape: [usize; D] = self.shape.as_slice().try_into().expect("as many axes");
        let values = match self.values.as_ref() {
            Values::Dense(values) => values.clone(),
            Values::Packed {
                words,
                scales,
                quantization: Quantization { bits, group },
            } => unpack(words.clone(), scales.clone(), *bits, *group),
        };
        values.reshape(shape)
    }
}

/// Bytes as 32-bit words on a device; half a word at the end is filled up.
fn words(bytes: &[u8], device: &Device) -> Tensor<1, Int> {
    let words: Vec<i32> = bytes
        .chunks(4)
        .map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            i32::from_le_bytes(word)
        })
        .collect();
    let length = words.len();
    Tensor::from_data(TensorData::new(words, [length]), (device, DType::I32))
}

/// The values of a run of rows of the tensor that `entry` describes. `None` if the bytes are not as
/// it says.
pub(super) fn decode_part(entry: &TensorEntry, part: Part<'_>) -> Option<Vec<f32>> {
    let Some(quantization) = entry.quantization() else {
        return decode_f32(entry.stored.dtype(), part.bytes);
    };
    let scales = decode_f32(Dtype::F16, part.scales?)?;
    if part.bytes.len() * 8 / quantization.bits != scales.len() * quantization.group {
        return None;
    }
    let quantized = Quantized {
        levels: part.bytes.to_vec(),
        scales: scales.into_iter().map(f16::from_f32).collect(),
    };
    Some(dequantize(&quantized, quantization))
}

/// A table in ordinary memory as it is stored, whose rows are decoded when they are looked up.
///
/// The token embeddings are one: too large for a WebGPU binding, and of no use on a device, since
/// a prompt needs a few rows of them.
#[derive(Debug, Clone)]
pub struct Table {
    entry: TensorEntry,
    bytes: Vec<u8>,
    scales: Vec<u8>,
}

impl Table {
    /// An empty table for the rows of the tensor that `entry` describes.
    pub(super) fn new(entry: &TensorEntry) -> Self {
        Self {
            entry: entry.clone(),
            bytes: Vec::new(),
            scales: Vec::new(),
        }
    }

    /// Adds the next run of rows.
    pub(super) fn push(&mut self, part: Part<'_>) {
        self.bytes.extend_from_slice(part.bytes);
        self.scales
            .extend_from_slice(part.scales.unwrap_or_default());
    }

    /// Values in a row.
    pub fn columns(&self) -> usize {
        self.entry.shape.iter().skip(1).product()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.bytes.len() / self.row_bytes().max(1)
    }

    fn row_bytes(&self) -> usize {
        match self.entry.quantization() {
            Some(quantization) => quantization.row_bytes(self.columns()),
            None => self.columns() * self.entry.stored.dtype().size(),
        }
    }

    /// Row `index`; `None` beyond the last.
    pub fn row(&self, index: usize) -> Option<Vec<f32>> {
        let row = |bytes: &'_ [u8], length: usize| {
            let start = index.checked_mul(length)?;
            bytes
                .get(start..start.checked_add(length)?)
                .map(<[u8]>::to_vec)
        };
        let bytes = row(&self.bytes, self.row_bytes())?;
        let scales = match self.entry.quantization() {
            Some(quantization) => Some(row(&self.scales, self.columns() / quantization.group * 2)?),
            None => None,
        };
        let part = Part {
            bytes: &bytes,
            scales: scales.as_deref(),
        };
        decode_part(&self.entry, part)
    }
}
