use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use half::f16;

use super::HostTensor;
use super::entry::{RowChunk, TensorEntry};
use super::quantize::{Quantization, Quantized, dequantize};
use super::safetensors::{Dtype, decode_f32};
use crate::kernels::{self, KeptPanels, QuantizedWeight, StoredValues, StoredWeight};

/// A layer's weight on a device: dense, or quantized and dequantized anew at each use, so that no more
/// than one layer's weights ever stand there as `f32`, unless [`Weight::keeping_panels`] was asked for.
#[derive(Clone)]
pub struct Weight {
    shape: Vec<usize>,
    values: StoredWeight,
}

impl Weight {
    /// Moves a tensor to `device` as `f32`.
    pub fn dense(tensor: HostTensor, device: &Device) -> Self {
        let length = tensor.data.len();
        let values = TensorData::new(tensor.data, [length]);
        // Weights stay: they get memory of just their size, apart from that of intermediate
        // results, which is handed out in rounded sizes.
        let values = device
            .memory_persistent_allocations(values, |values| Tensor::from_data(values, device));
        Self {
            shape: tensor.shape,
            values: StoredValues::F32(Box::new(values)).into(),
        }
    }

    /// Moves a tensor to `device` as half floats.
    pub fn half(tensor: &HostTensor, device: &Device) -> Self {
        let halves = tensor.data.iter();
        let bytes = halves.flat_map(|value| f16::from_f32(*value).to_le_bytes());
        Self {
            shape: tensor.shape.clone(),
            values: StoredValues::F16(Box::new(words(&bytes.collect::<Vec<_>>(), device))).into(),
        }
    }

    /// Moves what `table` holds to `device`: quantized values as they are, half floats of a matrix
    /// or a convolution too, everything else, being small, as `f32`. `None` if its bytes are not as
    /// its entry says.
    pub(super) fn from_table(table: EmbeddingTable, device: &Device) -> Option<Self> {
        let EmbeddingTable {
            entry,
            bytes,
            scales,
        } = table;
        let values = match entry.quantization() {
            Some(Quantization { bits, group }) => {
                StoredValues::Quantized(Box::new(QuantizedWeight {
                    words: words(&bytes, device),
                    scales: words(&scales, device),
                    bits,
                    group,
                }))
            }
            None if entry.stays_half() => StoredValues::F16(Box::new(words(&bytes, device))),
            None => {
                let values = decode_f32(entry.stored.dtype(), &bytes)?;
                return Some(Self::dense(HostTensor::new(entry.shape, values), device));
            }
        };
        let shape = entry.shape;
        let values = values.into();
        Some(Self { shape, values })
    }

    /// The same weight, of which a CPU keeps what it packs it to.
    pub(super) fn keeping_panels(mut self) -> Self {
        self.values.panels = KeptPanels::keeping();
        self
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values, in the order of the axes.
    pub fn stored(&self) -> &StoredWeight {
        &self.values
    }

    /// The rows of `weights` one below the other. `None` if they are stored in different ways.
    pub fn concat(weights: &[&Self]) -> Option<Self> {
        let mut shape = weights.first()?.shape.clone();
        let fits = |weight: &&Self| {
            let count: usize = weight.shape.iter().product();
            weight.shape[1..] == shape[1..] && count.is_multiple_of(2)
        };
        if !weights.iter().all(fits) {
            return None;
        }
        shape[0] = weights.iter().map(|weight| weight.shape[0]).sum();
        let stored: Vec<&StoredWeight> = weights.iter().map(|weight| &weight.values).collect();
        let values = StoredWeight::concat(&stored)?;
        Some(Self { shape, values })
    }

    /// The same weight seen as one of as many values in another shape.
    pub fn reshaped(mut self, shape: &[usize]) -> Self {
        self.shape = shape.to_vec();
        self
    }

    /// The values as a tensor of `D` axes, which must be as many as the shape has.
    pub fn dequantize<const D: usize>(&self) -> Tensor<D> {
        let shape: [usize; D] = self.shape.as_slice().try_into().expect("as many axes");
        kernels::dequantize(&self.values, shape.iter().product()).reshape(shape)
    }
}

/// Bytes as 32-bit words on a device; what is missing of the last word is filled up.
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
    device.memory_persistent_allocations(TensorData::new(words, [length]), |words| {
        Tensor::from_data(words, (device, DType::I32))
    })
}

/// The values of a run of rows of the tensor that `entry` describes. `None` if the bytes are not as
/// it says.
pub(crate) fn decode_part(entry: &TensorEntry, part: RowChunk<'_>) -> Option<Vec<f32>> {
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

/// A tensor in ordinary memory as it is stored, whose rows are decoded when they are looked up.
///
/// The token embeddings stay one: too large for a WebGPU binding, and of no use on a device, since
/// a prompt needs a few rows of them.
#[derive(Debug, Clone)]
pub struct EmbeddingTable {
    entry: TensorEntry,
    bytes: Vec<u8>,
    scales: Vec<u8>,
}

impl EmbeddingTable {
    /// An empty table for the rows of the tensor that `entry` describes.
    pub(super) fn new(entry: &TensorEntry) -> Self {
        Self {
            entry: entry.clone(),
            bytes: Vec::new(),
            scales: Vec::new(),
        }
    }

    /// Adds the next run of rows.
    pub(super) fn push(&mut self, part: RowChunk<'_>) {
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

    /// Whether all rows are there.
    pub(super) fn is_whole(&self) -> bool {
        let (columns, rows) = (
            self.columns(),
            self.entry.shape.first().copied().unwrap_or(1),
        );
        let scales = self
            .entry
            .quantization()
            .map_or(0, |quantization| columns / quantization.group * 2);
        self.bytes.len() == rows * self.row_bytes() && self.scales.len() == rows * scales
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
        let part = RowChunk {
            bytes: &bytes,
            scales: scales.as_deref(),
        };
        decode_part(&self.entry, part)
    }
}
