use std::ops::Range;

use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::TensorData;
use half::f16;

use super::{QuantizedWeight, StoredValues, StoredWeight, Unpack};
use crate::kernels::flex::{contiguous, contiguous_words, for_each_chunk};
use crate::lanes::{Lanes, Words};

/// Numbers of a whole weight that are dequantized at a time.
const CHUNK: usize = 1 << 12;

impl Unpack for Flex {
    fn dequantize_words(
        words: IntTensor<Self>,
        scales: IntTensor<Self>,
        bits: usize,
        group: usize,
    ) -> FloatTensor<Self> {
        let (words, scales) = (words.to_contiguous(), scales.to_contiguous());
        let count = words.storage::<i32>().len() * 32 / bits;
        whole(
            HostWeight::Quantized(HostLevels {
                words,
                scales,
                bits,
                group,
            }),
            count,
        )
    }

    fn f16_words_to_f32(words: IntTensor<Self>) -> FloatTensor<Self> {
        let words = words.to_contiguous();
        let count = words.storage::<i32>().len() * 2;
        whole(HostWeight::F16(words), count)
    }
}

fn whole(weight: HostWeight, count: usize) -> FloatTensor<Flex> {
    let mut values = vec![0f32; count];
    for_each_chunk(&mut values, CHUNK, |chunk, values| {
        weight.read(chunk * CHUNK, values)
    });
    FloatTensor::<Flex>::from_data(TensorData::new(values, [count]))
}

/// A stored weight in the CPU's memory, any part of which can be read.
pub enum HostWeight {
    F32(FloatTensor<Flex>),
    F16(IntTensor<Flex>),
    Quantized(HostLevels),
}

/// As [`QuantizedWeight`].
pub struct HostLevels {
    words: IntTensor<Flex>,
    scales: IntTensor<Flex>,
    bits: usize,
    group: usize,
}

impl HostWeight {
    pub fn new(weight: &StoredWeight) -> Self {
        match &weight.values {
            StoredValues::F32(values) => Self::F32(contiguous(values.as_ref().clone())),
            StoredValues::F16(words) => Self::F16(contiguous_words(words.as_ref().clone())),
            StoredValues::Quantized(weight) => {
                let QuantizedWeight {
                    words,
                    scales,
                    bits,
                    group,
                } = weight.as_ref().clone();
                Self::Quantized(HostLevels {
                    words: contiguous_words(words),
                    scales: contiguous_words(scales),
                    bits,
                    group,
                })
            }
        }
    }

    /// Some of the values, for which there is `room` if they are not there as they are.
    pub fn values<'a>(&'a self, range: Range<usize>, room: &'a mut Vec<f32>) -> &'a [f32] {
        if let Self::F32(values) = self {
            return &values.storage()[range];
        }
        room.resize(range.len(), 0.0);
        self.read(range.start, room);
        room
    }

    /// The values from the one with index `start` on.
    fn read(&self, start: usize, values: &mut [f32]) {
        match self {
            Self::F32(all) => values.copy_from_slice(&all.storage()[start..][..values.len()]),
            Self::F16(words) => {
                let words = words.storage::<i32>();
                for (index, value) in values.iter_mut().enumerate() {
                    let index = start + index;
                    *value = widened((words[index / 2] as u32 >> (index % 2 * 16)) as u16);
                }
            }
            Self::Quantized(levels) => levels.read(start, values),
        }
    }
}

/// A half float's value, without the branches that [`f16::to_f32`] has where a processor does not know half floats.
#[inline(always)]
fn widened(half: u16) -> f32 {
    let magnitude = u32::from(half & 0x7fff) << 13;
    let sign = u32::from(half & 0x8000) << 16;
    // 2^112 is from one bias of the exponent to the other, of subnormal numbers too.
    let value = f32::from_bits(magnitude) * f32::from_bits((127 + 112) << 23);
    let beyond = if magnitude < 0x1f << 23 {
        0
    } else {
        0xff << 23
    };
    f32::from_bits(value.to_bits() | sign | beyond)
}

impl HostLevels {
    fn read(&self, start: usize, values: &mut [f32]) {
        let (words, scales) = (self.words.storage::<i32>(), self.scales.storage::<i32>());
        let (mut start, mut values) = (start, values);
        while !values.is_empty() {
            let group = start / self.group;
            let count = ((group + 1) * self.group - start).min(values.len());
            let (of_group, rest) = values.split_at_mut(count);
            let half = scales[group / 2] as u32 >> (group % 2 * 16);
            let scale = f16::from_bits(half as u16).to_f32();
            match self.bits {
                8 => read_group::<8>(words, start, scale, of_group),
                _ => read_group::<4>(words, start, scale, of_group),
            }
            (start, values) = (start + count, rest);
        }
    }
}

/// Values that share a scale.
fn read_group<const BITS: usize>(words: &[i32], start: usize, scale: f32, values: &mut [f32]) {
    let middle = (1 << (BITS - 1)) as f32;
    // Levels that begin within a word come one by one.
    let vectors = match start % (32 / BITS) {
        0 => values.len() * BITS / 128,
        _ => 0,
    };
    let count = vectors * 128 / BITS;
    let (values, rest) = values.split_at_mut(count);
    let mut sixteens = values.as_chunks_mut::<16>().0.iter_mut();
    let mut put = |bytes: Words| {
        let ([a, b, c, d], Some(values)) = (bytes.bytes(), sixteens.next()) else {
            return;
        };
        let scaled = |levels: Lanes| ((levels - middle) * scale).to_array();
        if let [first, second, third, fourth] = values.as_chunks_mut::<4>().0 {
            (*first, *second) = (scaled(a), scaled(b));
            (*third, *fourth) = (scaled(c), scaled(d));
        }
    };
    for four in words[start * BITS / 32..]
        .as_chunks::<4>()
        .0
        .iter()
        .take(vectors)
    {
        let [a, b, c, d] = *four;
        let four = Words::new([a as u32, b as u32, c as u32, d as u32]);
        if BITS == 8 {
            put(four);
        } else {
            let (first, last) = four.half_bytes();
            put(first);
            put(last);
        }
    }
    for (index, value) in rest.iter_mut().enumerate() {
        let bit = (start + count + index) * BITS;
        let level = words[bit / 32] as u32 >> (bit % 32) & ((1 << BITS) - 1);
        *value = (level as f32 - middle) * scale;
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Int, Tensor, TensorData};

    use crate::kernels::{QuantizedWeight, StoredValues, dequantize};

    fn word(words: Vec<i32>) -> Tensor<1, Int> {
        let length = words.len();
        let device = Device::flex();
        Tensor::from_data(TensorData::new(words, [length]), (&device, DType::I32))
    }

    fn values(words: Vec<u32>, scales: [f32; 2], bits: usize, group: usize) -> Vec<f32> {
        let halves = scales.map(|scale| u32::from(half::f16::from_f32(scale).to_bits()));
        let scales = vec![(halves[0] | halves[1] << 16) as i32];
        let words: Vec<i32> = words.into_iter().map(|word| word as i32).collect();
        let count = words.len() * 32 / bits;
        let weight = QuantizedWeight {
            words: word(words),
            scales: word(scales),
            bits,
            group,
        };
        let values = dequantize(&StoredValues::Quantized(Box::new(weight)).into(), count);
        values.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn four_bit_levels_run_from_the_lowest_bits_up() {
        let values = values(vec![0x7654_3210, 0xfedc_ba98], [1.0, -0.5], 4, 8);
        let first = [-8.0, -7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0];
        let second = [0.0, -0.5, -1.0, -1.5, -2.0, -2.5, -3.0, -3.5];
        assert_eq!(values, [first, second].concat());
    }

    #[test]
    fn eight_bit_levels_are_bytes_in_order() {
        let values = values(vec![0xff80_8100, 0x0180_8080], [2.0, 1.0], 8, 4);
        assert_eq!(values, [-256.0, 2.0, 0.0, 254.0, 0.0, 0.0, 0.0, -127.0]);
    }

    /// Groups that fill vectors, and the words beside them.
    #[test]
    fn long_groups_are_read_as_short_ones() {
        for (bits, group) in [(4, 32), (4, 40), (8, 16), (8, 20)] {
            let count = 2 * group * bits / 32;
            let words: Vec<u32> = (0..count as u32)
                .map(|index| index.wrapping_mul(0x9e37_79b9))
                .collect();
            let level = |index: usize| {
                let bit = index * bits;
                let level = words[bit / 32] >> (bit % 32) & ((1 << bits) - 1);
                level as i32 - (1 << (bits - 1))
            };
            let scale = |index: usize| if index < group { 0.5 } else { -2.0 };
            let expected: Vec<f32> = (0..2 * group)
                .map(|index| level(index) as f32 * scale(index))
                .collect();
            assert_eq!(values(words.clone(), [0.5, -2.0], bits, group), expected);
        }
    }

    #[test]
    fn every_half_float_is_widened() {
        for half in 0..=u16::MAX {
            let (value, expected) = (super::widened(half), half::f16::from_bits(half).to_f32());
            assert!(
                value == expected || value.is_nan() && expected.is_nan(),
                "{half:#x}: {value}"
            );
        }
    }

    #[test]
    fn half_floats_are_read_in_pairs() {
        let words = word(vec![0xbc00_3c00u32 as i32, 0x7c00_0001]);
        let widened = dequantize(&StoredValues::F16(Box::new(words)).into(), 4);
        let widened: Vec<f32> = widened.into_data().try_into_vec().unwrap();
        assert_eq!(widened, [1.0, -1.0, 2f32.powi(-24), f32::INFINITY]);
    }
}
