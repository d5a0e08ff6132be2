//! Unit normal noise exactly as PyTorch's CPU generator draws it (`torch.randn`, float32), so
//! that a seed means the same picture here as there.

use std::f64::consts::TAU;

/// Length of the Mersenne Twister's state.
const STATE_LENGTH: usize = 624;
/// Distance of the two words that are mixed into a new one.
const SHIFT: usize = 397;
/// PyTorch fills tensors of at least this many values block by block, smaller ones one by one.
const BLOCK: usize = 16;

/// The Mersenne Twister MT19937 (Matsumoto and Nishimura 1998).
struct MersenneTwister {
    state: [u32; STATE_LENGTH],
    position: usize,
}

impl MersenneTwister {
    fn new(seed: u32) -> Self {
        let mut state = [seed; STATE_LENGTH];
        for index in 1..STATE_LENGTH {
            let previous = state[index - 1];
            state[index] = 1_812_433_253u32
                .wrapping_mul(previous ^ (previous >> 30))
                .wrapping_add(index as u32);
        }
        Self {
            state,
            position: STATE_LENGTH,
        }
    }

    fn refill(&mut self) {
        for index in 0..STATE_LENGTH {
            let next = self.state[(index + 1) % STATE_LENGTH];
            let joined = (self.state[index] & 0x8000_0000) | (next & 0x7fff_ffff);
            let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[index] = self.state[(index + SHIFT) % STATE_LENGTH] ^ (joined >> 1) ^ twist;
        }
        self.position = 0;
    }

    fn next_u32(&mut self) -> u32 {
        if self.position == STATE_LENGTH {
            self.refill();
        }
        let mut word = self.state[self.position];
        self.position += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// Uniform in [0, 1), 24 bits.
    fn next_f32(&mut self) -> f32 {
        (self.next_u32() & 0x00ff_ffff) as f32 / 16_777_216.0
    }

    /// Uniform in [0, 1), 53 bits of two words, the high one drawn first.
    fn next_f64(&mut self) -> f64 {
        let high = u64::from(self.next_u32());
        let low = u64::from(self.next_u32());
        ((high << 32 | low) & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }
}

/// A seeded stream of unit normal noise; successive draws go on where the last one stopped.
pub struct NoiseGenerator {
    uniform: MersenneTwister,
    spare: Option<f64>,
}

impl NoiseGenerator {
    /// The stream of `torch.Generator("cpu").manual_seed(seed)`; only the low 32 bits of the
    /// seed matter.
    pub fn new(seed: u64) -> Self {
        Self {
            uniform: MersenneTwister::new(seed as u32),
            spare: None,
        }
    }

    /// The next `length` values, as `torch.randn` of that many values gives them. How a stream
    /// is cut into draws matters: two draws of 8 are not one draw of 16.
    pub fn normal(&mut self, length: usize) -> Vec<f32> {
        if length < BLOCK {
            return (0..length).map(|_| self.next_normal() as f32).collect();
        }
        let mut values: Vec<f32> = (0..length).map(|_| self.uniform.next_f32()).collect();
        for block in values.chunks_exact_mut(BLOCK) {
            uniform_to_normal(block);
        }
        if !length.is_multiple_of(BLOCK) {
            let last = &mut values[length - BLOCK..];
            last.fill_with(|| self.uniform.next_f32());
            uniform_to_normal(last);
        }
        values
    }

    /// One value of a small tensor. Box-Muller yields two; the second waits for the next small
    /// draw, whatever is drawn in between.
    fn next_normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        let angle = TAU * self.uniform.next_f64();
        let radius = (-2.0 * (-self.uniform.next_f64()).ln_1p()).sqrt();
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }
}

/// Box-Muller on a block of 16 uniforms: the first 8 give radii, the last 8 angles.
///
/// PyTorch computes in f32. So are the inputs of the logarithm and of sine and cosine here, but
/// those are taken in f64 and rounded, so that every platform draws the same noise.
fn uniform_to_normal(block: &mut [f32]) {
    let (radii, angles) = block.split_at_mut(BLOCK / 2);
    for (radius, angle) in radii.iter_mut().zip(angles) {
        let length = (-2.0 * f64::from(1.0 - *radius).ln()).sqrt() as f32;
        let direction = f64::from(std::f32::consts::TAU * *angle);
        *radius = length * direction.cos() as f32;
        *angle = length * direction.sin() as f32;
    }
}
