//! Weights as they are stored to `f32`, on every device: packed in groups, or half floats.

mod cpu;
#[cfg(feature = "gpu")]
mod gpu;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Int, Tensor};

pub(super) use self::cpu::HostWeight;
use super::KeptPanels;

/// What a device must be able to do for stored weights.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"))]
trait Unpack: Backend {
    fn dequantize_words(
        words: IntTensor<Self>,
        scales: IntTensor<Self>,
        bits: usize,
        group: usize,
    ) -> FloatTensor<Self>;

    fn f16_words_to_f32(words: IntTensor<Self>) -> FloatTensor<Self>;
}

/// A weight as it is stored on a device.
#[derive(Clone)]
pub struct StoredWeight {
    /// Its values.
    pub values: StoredValues,
    /// What a CPU makes of them.
    pub panels: KeptPanels,
}

/// A weight's values as they are stored on a device.
///
/// Boxed, because models are moved about while they are built and a browser's stack is small.
#[derive(Clone)]
pub enum StoredValues {
    /// Single numbers.
    F32(Box<Tensor<1>>),
    /// Half floats, two in a word, the first in the lower bits; the last word may be filled up.
    F16(Box<Tensor<1, Int>>),
    /// Levels in groups.
    Quantized(Box<QuantizedWeight>),
}

/// Levels that share a scale in groups.
#[derive(Clone)]
pub struct QuantizedWeight {
    /// From the lowest bits up, `32 / bits` levels in a word, stored as `level + 2^(bits-1)`.
    pub words: Tensor<1, Int>,
    /// Two half floats in a word, the first in the lower bits. Every run of `group` weights has the
    /// next scale; a weight is its level times its scale.
    pub scales: Tensor<1, Int>,
    /// Bits of a level: 4 or 8.
    pub bits: usize,
    /// Weights that share a scale, a multiple of a word's.
    pub group: usize,
}

impl From<StoredValues> for StoredWeight {
    fn from(values: StoredValues) -> Self {
        Self {
            values,
            panels: KeptPanels::default(),
        }
    }
}

impl StoredWeight {
    /// Whether values are stored in the same way.
    pub fn is_stored_like(&self, other: &Self) -> bool {
        self.values.is_stored_like(&other.values)
    }

    /// The values of `weights`, an even number of them each, one behind the other. `None` if they
    /// are stored in different ways or the scales of one fill no word.
    pub fn concat(weights: &[&Self]) -> Option<Self> {
        let values: Vec<&StoredValues> = weights.iter().map(|weight| &weight.values).collect();
        Some(Self {
            values: StoredValues::concat(&values)?,
            panels: weights.first()?.panels.anew(),
        })
    }
}

impl StoredValues {
    fn is_stored_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::F32(_), Self::F32(_)) | (Self::F16(_), Self::F16(_)) => true,
            (Self::Quantized(one), Self::Quantized(other)) => {
                (one.bits, one.group) == (other.bits, other.group)
            }
            _ => false,
        }
    }

    fn concat(weights: &[&Self]) -> Option<Self> {
        let first = weights.first()?;
        if !weights.iter().all(|weight| weight.is_stored_like(first)) {
            return None;
        }
        let (mut numbers, mut words, mut scales) = (Vec::new(), Vec::new(), Vec::new());
        for weight in weights {
            match weight {
                Self::F32(values) => numbers.push(values.as_ref().clone()),
                Self::F16(halves) => words.push(halves.as_ref().clone()),
                Self::Quantized(part) => {
                    let groups = part.words.dims()[0] * 32 / part.bits / part.group;
                    if !groups.is_multiple_of(2) {
                        return None;
                    }
                    words.push(part.words.clone());
                    scales.push(part.scales.clone());
                }
            }
        }
        Some(match first {
            Self::F32(_) => Self::F32(Box::new(joined(numbers))),
            Self::F16(_) => Self::F16(Box::new(joined_words(words))),
            Self::Quantized(first) => Self::Quantized(Box::new(QuantizedWeight {
                words: joined_words(words),
                scales: joined_words(scales),
                bits: first.bits,
                group: first.group,
            })),
        })
    }
}

/// Weights stay: what is made of them gets memory of just its size, as they have.
fn joined(parts: Vec<Tensor<1>>) -> Tensor<1> {
    let device = parts[0].device();
    device.memory_persistent_allocations(parts, |parts| Tensor::cat(parts, 0))
}

fn joined_words(parts: Vec<Tensor<1, Int>>) -> Tensor<1, Int> {
    let device = parts[0].device();
    device.memory_persistent_allocations(parts, |parts| Tensor::cat(parts, 0))
}

/// The `count` values of a stored weight.
pub fn dequantize(weight: &StoredWeight, count: usize) -> Tensor<1> {
    let values = match &weight.values {
        StoredValues::F32(values) => return values.as_ref().clone(),
        StoredValues::F16(words) => {
            Dispatch::f16_words_to_f32(words.as_ref().clone().into_dispatch())
        }
        StoredValues::Quantized(weight) => {
            let QuantizedWeight {
                words,
                scales,
                bits,
                group,
            } = weight.as_ref().clone();
            let (words, scales) = (words.into_dispatch(), scales.into_dispatch());
            Dispatch::dequantize_words(words, scales, bits, group)
        }
    };
    Tensor::from_dispatch(values).narrow(0, 0, count)
}
