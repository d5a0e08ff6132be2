use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::TensorData;
use half::f16;

use super::Unpack;
use crate::kernels::flex::for_each_chunk;
use crate::lanes::Words;

impl Unpack for Flex {
    fn dequantize_words(
        words: IntTensor<Self>,
        scales: IntTensor<Self>,
        bits: usize,
        group: usize,
    ) -> FloatTensor<Self> {
        let (words, scales) = (words.to_contiguous(), scales.to_contiguous());
        let (words, scales) = (words.storage::<i32>(), scales.storage::<i32>());
        let values = match bits {
            4 => dequantize::<4, 8>(words, scales, group),
            _ => dequantize::<8, 4>(words, scales, group),
        };
        let length = values.len();
        FloatTensor::<Self>::from_data(TensorData::new(values, [length]))
    }

    fn f16_words_to_f32(words: IntTensor<Self>) -> FloatTensor<Self> {
        let words = words.to_contiguous();
        let words = words.storage::<i32>().iter();
        let halves = words.flat_map(|word| [*word as u16, (*word >> 16) as u16]);
        let values: Vec<f32> = halves.map(|half| f16::from_bits(half).to_f32()).collect();
        let length = values.len();
        FloatTensor::<Self>::from_data(TensorData::new(values, [length]))
    }
}

fn dequantize<const BITS: u32, const LEVELS: usize>(
    words: &[i32],
    scales: &[i32],
    group: usize,
) -> Vec<f32> {
    let mut values = vec![0f32; words.len() * LEVELS];
    for_each_chunk(&mut values, group, |index, values| {
        let half = (scales[index / 2] as u32 >> (index % 2 * 16)) as u16;
        let scale = f16::from_bits(half).to_f32();
        let words = &words[index * group / LEVELS..][..values.len() / LEVELS];
        let (four_words, rest) = words.as_chunks::<4>();
        let (vectors, rest_values) = values.split_at_mut(four_words.len() * 4 * LEVELS);
        let mut vectors = vectors.as_chunks_mut::<16>().0.iter_mut();
        let mut scaled = |bytes: Words| {
            let Some(sixteen) = vectors.next() else {
                return;
            };
            let middle = (1 << (BITS - 1)) as f32;
            for (four, levels) in sixteen.as_chunks_mut::<4>().0.iter_mut().zip(bytes.bytes()) {
                *four = ((levels - middle) * scale).to_array();
            }
        };
        for words in four_words {
            let words = Words::new(words.map(|word| word as u32));
            if BITS == 8 {
                scaled(words);
            } else {
                let (first, last) = words.half_bytes();
                scaled(first);
                scaled(last);
            }
        }
        for (values, word) in rest_values.chunks_exact_mut(LEVELS).zip(rest) {
            for (index, value) in values.iter_mut().enumerate() {
                let level = *word as u32 >> (index as u32 * BITS) & ((1 << BITS) - 1);
                *value = (level as i32 - (1 << (BITS - 1))) as f32 * scale;
            }
        }
    });
    values
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, Int, Tensor, TensorData};

    use crate::kernels::{QuantizedWeight, StoredWeight, dequantize};

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
        let values = dequantize(&StoredWeight::Quantized(Box::new(weight)), count);
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
    fn half_floats_are_read_in_pairs() {
        let words = word(vec![0xbc00_3c00u32 as i32, 0x7c00_0001]);
        let widened = dequantize(&StoredWeight::F16(Box::new(words)), 4);
        let widened: Vec<f32> = widened.into_data().try_into_vec().unwrap();
        assert_eq!(widened, [1.0, -1.0, 2f32.powi(-24), f32::INFINITY]);
    }
}
