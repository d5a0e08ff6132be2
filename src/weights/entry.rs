//! What a pack's manifest says of one tensor, and the bytes of it that a shard holds.

use serde::{Deserialize, Serialize};

use super::quantize::Quantization;
use super::safetensors::Dtype;

/// One tensor of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorEntry {
    /// Element type in the shards.
    #[serde(rename = "type")]
    pub stored: StoredType,
    /// Weights that share a scale, for quantized types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// Sizes of the axes, outermost first.
    pub shape: Vec<usize>,
    /// The shards that hold it, by index and in order. A tensor larger than a shard is split along
    /// its first axis; each shard holds a run of rows under the tensor's name.
    ///
    /// Of a quantized tensor, a shard holds the levels of its rows as bytes under the name, and
    /// beside them one `f16` scale for each group under the name and `.scales`.
    pub shards: Vec<usize>,
}

impl TensorEntry {
    /// How the tensor is quantized, if it is.
    pub fn quantization(&self) -> Option<Quantization> {
        let bits = match self.stored {
            StoredType::Q8 => 8,
            StoredType::Q4 => 4,
            _ => return None,
        };
        Some(Quantization {
            bits,
            group: self.group?,
        })
    }

    /// The shape in checkpoints and LoRA files, which have a convolution's inputs before its height and
    /// width.
    pub(crate) fn file_shape(&self) -> Vec<usize> {
        match self.shape[..] {
            [out, height, width, inputs] => vec![out, inputs, height, width],
            _ => self.shape.clone(),
        }
    }

    /// What the tensor takes of a device's memory once it is loaded under `name`, in bytes.
    pub fn device_bytes(&self, name: &str) -> u64 {
        if stays_in_memory(name) || self.stored == StoredType::U8 {
            return 0;
        }
        let count = self.shape.iter().product::<usize>() as u64;
        let [values, scales] = match self.quantization() {
            Some(Quantization { bits, group }) => {
                [count * bits as u64 / 8, count / group as u64 * 2]
            }
            None if self.stays_half() => [count * 2, 0],
            None => [count * 4, 0],
        };
        // Buffers begin at multiples of this.
        values.next_multiple_of(256) + scales.next_multiple_of(256)
    }

    /// Whether the values stay half floats on a device. What has one axis is small, and added or
    /// multiplied as it is.
    pub(super) fn stays_half(&self) -> bool {
        self.stored == StoredType::F16 && self.shape.len() > 1
    }

    /// Whether shape, type and group go together, and the values fit `bytes` of shards.
    pub(crate) fn is_sound(&self, bytes: u64) -> bool {
        let count = self
            .shape
            .iter()
            .try_fold(1usize, |product, size| product.checked_mul(*size));
        let bits = match self.quantization() {
            Some(quantization) => quantization.bits as u64,
            None => 8 * self.stored.dtype().size() as u64,
        };
        // What is too large for its shards would still be made room for before they are read.
        let fits = |count| count > 0 && count as u64 <= bytes * 8 / bits;
        if !count.is_some_and(fits) {
            return false;
        }
        match (self.stored, self.quantization()) {
            (StoredType::Q8 | StoredType::Q4, Some(quantization)) => {
                // Whole 32-bit words in a group are what the kernels dequantize.
                let whole =
                    (8..=256).contains(&quantization.group) && quantization.group.is_multiple_of(8);
                whole && quantization.applies_to(&self.shape)
            }
            (StoredType::Q8 | StoredType::Q4, None) => false,
            _ => self.group.is_none(),
        }
    }
}

/// Whether tensor `name` is a table that is looked up by rows and needs no device.
pub(super) fn stays_in_memory(name: &str) -> bool {
    name.ends_with("token_embedding.weight")
}

/// Element types of packed tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum StoredType {
    F32,
    F16,
    U8,
    Q8,
    Q4,
}

impl StoredType {
    /// The type of the tensor's own values or levels in a shard.
    pub(crate) fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::U8 | Self::Q8 | Self::Q4 => Dtype::U8,
        }
    }
}

/// Bytes of a run of a tensor's rows, as a shard holds them.
#[derive(Debug, Clone, Copy)]
pub struct RowChunk<'a> {
    /// The values, or the levels of a quantized tensor.
    pub bytes: &'a [u8],
    /// The scales of a quantized tensor.
    pub scales: Option<&'a [u8]>,
}
