//! Group-wise quantization of weights.
//!
//! A group is a run of weights along the input dimension that shares a scale; a weight is a small
//! signed level times its group's scale. The scale is the one whose rounded levels come nearest to
//! the group in least squares, among candidates around the one that just fits the largest weight.

use half::f16;
#[cfg(feature = "cli")]
use rayon::prelude::*;

use super::HostTensor;

/// How finely weights are quantized, and in what groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantization {
    /// Bits of a level: 4 or 8.
    pub bits: usize,
    /// Weights that share a scale.
    pub group: usize,
}

impl Quantization {
    /// 4 bits, a scale for 32 weights: 4.5 bits a weight.
    pub const Q4: Self = Self { bits: 4, group: 32 };
    /// 8 bits, a scale for 64 weights: 8.25 bits a weight.
    pub const Q8: Self = Self { bits: 8, group: 64 };

    /// Whether the inputs of a tensor of `shape`, its last axis, fall into whole groups.
    pub fn applies_to(self, shape: &[usize]) -> bool {
        let inputs = shape.last().copied().unwrap_or(0);
        shape.len() > 1 && inputs > 0 && inputs.is_multiple_of(self.group)
    }

    /// Bytes of levels in a row of `columns` weights.
    pub fn row_bytes(self, columns: usize) -> usize {
        columns * self.bits / 8
    }

    /// The lowest level; the highest is one less than its negative.
    fn lowest(self) -> f32 {
        -((1 << (self.bits - 1)) as f32)
    }
}

/// Levels and scales of a tensor's groups in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    /// Levels plus `2^(bits-1)`, from the lowest bits of each byte up.
    pub levels: Vec<u8>,
    /// One scale a group.
    pub scales: Vec<f16>,
}

/// Quantizes the rows of `tensor`, which must suit `quantization`. `None` if a scale is beyond the
/// range of `f16`.
pub fn quantize(tensor: &HostTensor, quantization: Quantization) -> Option<Quantized> {
    let scale = |group: &[f32]| f16::from_f32(best_scale(group, quantization));
    // The search for scales is what takes time.
    #[cfg(feature = "cli")]
    let scales: Vec<f16> = tensor
        .data
        .par_chunks(quantization.group)
        .map(scale)
        .collect();
    #[cfg(not(feature = "cli"))]
    let scales: Vec<f16> = tensor.data.chunks(quantization.group).map(scale).collect();
    if !scales.iter().all(|scale| scale.is_finite()) {
        return None;
    }
    let mut levels = Vec::with_capacity(quantization.row_bytes(tensor.data.len()));
    for (group, scale) in tensor.data.chunks(quantization.group).zip(&scales) {
        pack_levels(group, scale.to_f32(), quantization, &mut levels);
    }
    Some(Quantized { levels, scales })
}

/// The weights behind `quantized`.
pub fn dequantize(quantized: &Quantized, quantization: Quantization) -> Vec<f32> {
    let bits = quantization.bits;
    let level = |index: usize| {
        let byte = quantized.levels[index * bits / 8] >> (index * bits % 8);
        f32::from(byte & (u8::MAX >> (8 - bits))) + quantization.lowest()
    };
    (0..quantized.levels.len() * 8 / bits)
        .map(|index| level(index) * quantized.scales[index / quantization.group].to_f32())
        .collect()
}

fn pack_levels(group: &[f32], scale: f32, quantization: Quantization, out: &mut Vec<u8>) {
    let lowest = quantization.lowest();
    let inverse = if scale == 0.0 { 0.0 } else { scale.recip() };
    let level = |value: f32| (rounded(value * inverse, lowest) - lowest) as u8;
    let bytes = group.chunks_exact(8 / quantization.bits);
    out.extend(bytes.map(|values| match values {
        [low, high] => level(*low) | level(*high) << 4,
        _ => level(values[0]),
    }));
}

fn rounded(value: f32, lowest: f32) -> f32 {
    value.round_ties_even().clamp(lowest, -lowest - 1.0)
}

/// How many levels short of the lowest, or beyond it, the largest weight may come to lie. With few
/// levels it pays to clip it.
const CLIP_CANDIDATES: [f32; 11] = [-1.6, -1.2, -0.8, -0.5, -0.25, 0.0, 0.25, 0.5, 0.8, 1.2, 1.6];

/// The scale that represents `group` best, both signs considered: the lowest level has one more
/// step than the highest, so that the side of the largest weight matters.
fn best_scale(group: &[f32], quantization: Quantization) -> f32 {
    let peak = group.iter().fold(0f32, |peak, value| {
        if value.abs() > peak.abs() {
            *value
        } else {
            peak
        }
    });
    if peak == 0.0 {
        return 0.0;
    }
    let lowest = quantization.lowest();
    // What the fit explains of the group's energy, to be made as large as possible.
    let mut best = (0.0, 0.0);
    for reach in CLIP_CANDIDATES {
        let inverse = (lowest + reach) / peak;
        let (mut product, mut energy) = (0f32, 0f32);
        for value in group {
            let level = rounded(value * inverse, lowest);
            product += value * level;
            energy += level * level;
        }
        let explained = product * product / energy.max(f32::MIN_POSITIVE);
        if explained > best.0 {
            best = (explained, product / energy);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::NoiseGenerator;

    fn random(rows: usize, columns: usize) -> HostTensor {
        let values = NoiseGenerator::new(7).normal(rows * columns);
        HostTensor::new([rows, columns], values)
    }

    /// Relative error of a quantization in the root mean square.
    fn error(tensor: &HostTensor, quantization: Quantization) -> f64 {
        let quantized = quantize(tensor, quantization).unwrap();
        let back = dequantize(&quantized, quantization);
        let square = |value: f32| f64::from(value) * f64::from(value);
        let pairs = tensor.data.iter().zip(&back);
        let lost: f64 = pairs.map(|(a, b)| square(a - b)).sum();
        let energy: f64 = tensor.data.iter().map(|value| square(*value)).sum();
        (lost / energy).sqrt()
    }

    #[test]
    fn normal_weights_lose_what_their_bits_must() {
        let tensor = random(64, 256);
        // A group of 32 normal values spans about ±2.1; sixteen levels leave 0.08 of them.
        assert!(error(&tensor, Quantization::Q4) < 0.085);
        assert!(error(&tensor, Quantization::Q8) < 0.006);
    }

    #[test]
    fn least_squares_beats_scaling_by_the_maximum() {
        let tensor = random(64, 256);
        let by_maximum: f64 = tensor
            .data
            .chunks(32)
            .map(|group| {
                let peak = group.iter().fold(0f32, |peak, value| peak.max(value.abs()));
                let step = peak / 7.0;
                let lost = |value: &f32| (value - (value / step).round() * step).powi(2);
                f64::from(group.iter().map(lost).sum::<f32>())
            })
            .sum();
        let energy: f64 = tensor.data.iter().map(|v| f64::from(v * v)).sum();
        assert!(error(&tensor, Quantization::Q4) < 0.9 * (by_maximum / energy).sqrt());
    }

    #[test]
    fn levels_that_fit_come_back_exactly() {
        let levels = (0..64).map(|index| (index % 16 - 8) as f32 * 0.25);
        let tensor = HostTensor::new([1, 64], levels.collect::<Vec<_>>());
        let quantized = quantize(&tensor, Quantization::Q4).unwrap();
        assert_eq!(dequantize(&quantized, Quantization::Q4), tensor.data);
    }

    #[test]
    fn zeros_stay_zero_and_huge_weights_are_refused() {
        let zeros = HostTensor::new([1, 32], vec![0.0; 32]);
        let quantized = quantize(&zeros, Quantization::Q4).unwrap();
        assert_eq!(dequantize(&quantized, Quantization::Q4), zeros.data);
        let huge = HostTensor::new([1, 32], vec![1e7; 32]);
        assert_eq!(quantize(&huge, Quantization::Q4), None);
    }

    #[test]
    fn only_whole_groups_suit() {
        assert!(Quantization::Q4.applies_to(&[8, 32]));
        assert!(Quantization::Q4.applies_to(&[8, 3, 3, 32]));
        assert!(!Quantization::Q4.applies_to(&[8, 3, 3, 4]));
        assert!(!Quantization::Q8.applies_to(&[8, 32]));
        assert!(!Quantization::Q4.applies_to(&[64]));
    }
}
