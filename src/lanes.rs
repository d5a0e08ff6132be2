//! Four numbers at a time.
//!
//! The loops over pixels and over feature maps are written with these, not left to the compiler, because the browser
//! build is optimised for size and then no loop is vectorised.

use std::ops::{Add, Div, Mul, Sub};

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use portable as backend;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use simd128 as backend;

/// Red, green and blue of four pixels.
pub(crate) type Rgb = [Lanes; 3];

/// Red, green, blue and alpha of four pixels, premultiplied.
pub(crate) type Rgba = [Lanes; 4];

/// The smaller of two numbers that are not NaN. `f32::min` has to treat NaN, for which WebAssembly
/// has no vector instruction.
#[inline(always)]
pub(crate) fn lesser(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Puts what `of` makes of each of some numbers into `out`, which has room for as many.
#[cfg(feature = "diffusion")]
#[inline(always)]
pub(crate) fn map_lanes(values: &[f32], out: &mut [f32], of: impl Fn(Lanes) -> Lanes) {
    let (fours, rest) = values.as_chunks::<4>();
    let (out_fours, out_rest) = out[..values.len()].as_chunks_mut::<4>();
    for (out, four) in out_fours.iter_mut().zip(fours) {
        *out = of(Lanes::new(*four)).to_array();
    }
    for (out, value) in out_rest.iter_mut().zip(rest) {
        [*out, ..] = of(Lanes::splat(*value)).to_array();
    }
}

/// Four f32.
#[derive(Clone, Copy)]
pub(crate) struct Lanes(backend::Numbers);

/// Four answers to a comparison.
#[derive(Clone, Copy)]
pub(crate) struct Mask(backend::Answers);

/// Four RGBA8 pixels, each a word with red in the lowest byte.
#[derive(Clone, Copy)]
pub(crate) struct Words(backend::Words);

impl Lanes {
    /// The same number four times.
    #[inline(always)]
    pub(crate) fn splat(value: f32) -> Self {
        Self(backend::splat(value))
    }

    /// These four, first to last.
    #[inline(always)]
    pub(crate) fn new(values: [f32; 4]) -> Self {
        Self(backend::numbers(values))
    }

    /// The four, first to last.
    #[inline(always)]
    pub(crate) fn to_array(self) -> [f32; 4] {
        backend::array(self.0)
    }

    /// The smaller of each two, neither of which may be NaN.
    #[inline(always)]
    pub(crate) fn least(self, other: impl Into<Self>) -> Self {
        Self(backend::least(self.0, other.into().0))
    }

    /// The larger of each two, neither of which may be NaN.
    #[inline(always)]
    pub(crate) fn greatest(self, other: impl Into<Self>) -> Self {
        Self(backend::greatest(self.0, other.into().0))
    }

    /// The first and the second of each two that lie side by side in these eight.
    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub(crate) fn unzip(self, next: Self) -> (Self, Self) {
        let (first, second) = backend::unzip(self.0, next.0);
        (Self(first), Self(second))
    }

    /// Each of these with the one beside it in `other`, eight in all.
    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub(crate) fn zip(self, other: Self) -> (Self, Self) {
        let (first, last) = backend::zip(self.0, other.0);
        (Self(first), Self(last))
    }

    /// The last three of these and the first of the `next`.
    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub(crate) fn shift_in(self, next: Self) -> Self {
        Self(backend::shift_in(self.0, next.0))
    }

    /// Rows of four numbers as columns.
    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub(crate) fn transpose([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        let ((ac, ac_last), (bd, bd_last)) = (a.zip(c), b.zip(d));
        let ((first, second), (third, fourth)) = (ac.zip(bd), ac_last.zip(bd_last));
        [first, second, third, fourth]
    }

    /// The square root of each.
    #[inline(always)]
    pub(crate) fn sqrt(self) -> Self {
        Self(backend::sqrt(self.0))
    }

    /// e to the power of each number, off by two units in the last place at most; of a number above 88
    /// as of 88.
    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub(crate) fn exp(self) -> Self {
        // Beside 1.5 * 2^23 the last bit of a float is worth 1: the addition rounds.
        const ROUND: f32 = 12_582_912.0;
        let power = self.greatest(-87.0).least(88.0);
        let whole = (power * std::f32::consts::LOG2_E + ROUND) - ROUND;
        // ln 2 in two parts, of which the first times any whole number here is exact.
        let rest = power - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
        // The coefficients are those of Cephes' expf (Moshier, 1989).
        let mut series = rest * 1.987_569_1e-4 + 1.398_2e-3;
        for coefficient in [8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            series = series * rest + coefficient;
        }
        let fraction = series * rest * rest + rest + 1.0;
        fraction * Self(backend::power_of_two((whole + 127.0).nearest().0))
    }

    /// Where each number is at most `limit`.
    #[inline(always)]
    pub(crate) fn at_most(self, limit: impl Into<Self>) -> Mask {
        Mask(backend::at_most(self.0, limit.into().0))
    }

    /// The whole number nearest to each number in [0, 255]; larger ones count as 255.
    #[inline(always)]
    pub(crate) fn nearest_bytes(self) -> Words {
        self.least(255.0).nearest()
    }

    /// The whole number nearest to each number in [0, 2^22].
    #[inline(always)]
    pub(crate) fn nearest(self) -> Words {
        // Beside 2^23 the last bit of a float is worth 1: the addition rounds, and the low bits
        // are the number. A cast would have to treat NaN and overflow.
        Words(backend::low_bits((self + 8_388_608.0).0))
    }
}

impl Mask {
    /// Where the answer was yes, `yes`, elsewhere `no`.
    #[inline(always)]
    pub(crate) fn choose(self, yes: impl Into<Lanes>, no: impl Into<Lanes>) -> Lanes {
        Lanes(backend::choose(self.0, yes.into().0, no.into().0))
    }
}

impl Words {
    /// The four pixels of these bytes.
    #[inline(always)]
    pub(crate) fn from_pixels(bytes: &[u8; 16]) -> Self {
        Self(backend::from_bytes(*bytes))
    }

    /// These four, first to last.
    #[inline(always)]
    pub(crate) fn new(words: [u32; 4]) -> Self {
        Self(backend::words(words))
    }

    /// The same word four times.
    #[inline(always)]
    pub(crate) fn splat(word: u32) -> Self {
        Self::new([word; 4])
    }

    /// The left and the right ones of four pairs of pixels.
    #[inline(always)]
    pub(crate) fn pairs(pairs: [[u8; 8]; 4]) -> (Self, Self) {
        let (left, right) = backend::pairs(pairs.map(u64::from_le_bytes));
        (Self(left), Self(right))
    }

    /// Each word as a fraction of 2^32, to 24 binary places.
    #[inline(always)]
    pub(crate) fn fractions(self) -> Lanes {
        Lanes(backend::high_bits(self.0)) * (1.0 / (1 << 24) as f32)
    }

    /// Up to three pixels and transparent ones.
    #[inline(always)]
    pub(crate) fn from_some_pixels(bytes: &[u8]) -> Self {
        let mut pixels = [0; 16];
        pixels[..bytes.len()].copy_from_slice(bytes);
        Self::from_pixels(&pixels)
    }

    /// The four, first to last.
    #[inline(always)]
    pub(crate) fn to_array(self) -> [u32; 4] {
        backend::word_array(self.0)
    }

    /// The sixteen bytes as numbers in [0, 255].
    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub(crate) fn bytes(self) -> [Lanes; 4] {
        let [a, b, c, d] = backend::bytes(self.0);
        [Lanes(a), Lanes(b), Lanes(c), Lanes(d)]
    }

    /// The 32 halves of bytes as bytes of their own, from the lowest bits up.
    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub(crate) fn half_bytes(self) -> (Self, Self) {
        let (first, last) = backend::half_bytes(self.0);
        (Self(first), Self(last))
    }

    /// The bytes of the four pixels.
    #[inline(always)]
    pub(crate) fn to_pixels(self) -> [u8; 16] {
        backend::to_bytes(self.0)
    }

    /// The channel whose byte begins at bit `SHIFT`, as numbers in [0, 255].
    #[inline(always)]
    pub(crate) fn channel<const SHIFT: u32>(self) -> Lanes {
        Lanes(backend::byte_at::<SHIFT>(self.0))
    }

    /// Adds the low bytes of `other` from bit `SHIFT` on, where so far there is 0.
    #[inline(always)]
    pub(crate) fn with<const SHIFT: u32>(self, other: Self) -> Self {
        Self(backend::or_shifted::<SHIFT>(self.0, other.0))
    }
}

impl From<f32> for Lanes {
    #[inline(always)]
    fn from(value: f32) -> Self {
        Self::splat(value)
    }
}

impl Add for Words {
    type Output = Self;

    /// Wraps around.
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(backend::add_words(self.0, other.0))
    }
}

/// Arithmetic of lanes with lanes and with single numbers.
macro_rules! arithmetic {
    ($($trait:ident, $method:ident;)*) => {$(
        impl<T: Into<Lanes>> $trait<T> for Lanes {
            type Output = Lanes;

            #[inline(always)]
            fn $method(self, other: T) -> Lanes {
                Lanes(backend::$method(self.0, other.into().0))
            }
        }

        impl $trait<Lanes> for f32 {
            type Output = Lanes;

            #[inline(always)]
            fn $method(self, other: Lanes) -> Lanes {
                Lanes::splat(self).$method(other)
            }
        }
    )*};
}

arithmetic! {
    Add, add;
    Sub, sub;
    Mul, mul;
    Div, div;
}

/// For the compiler to make vectors of.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod portable {

    pub type Numbers = [f32; 4];
    /// All bits or none.
    pub type Answers = [u32; 4];
    pub type Words = [u32; 4];

    #[inline(always)]
    pub fn splat(value: f32) -> Numbers {
        [value, value, value, value]
    }

    #[inline(always)]
    pub fn numbers(values: [f32; 4]) -> Numbers {
        values
    }

    #[inline(always)]
    pub fn array(numbers: Numbers) -> [f32; 4] {
        numbers
    }

    #[inline(always)]
    pub fn words(words: [u32; 4]) -> Words {
        words
    }

    #[inline(always)]
    pub fn word_array(words: Words) -> [u32; 4] {
        words
    }

    #[inline(always)]
    pub fn pairs([a, b, c, d]: [u64; 4]) -> (Words, Words) {
        let left = [a as u32, b as u32, c as u32, d as u32];
        let right = [a, b, c, d].map(|pair| (pair >> 32) as u32);
        (left, right)
    }

    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub fn bytes(words: Words) -> [Numbers; 4] {
        words.map(|word| word.to_le_bytes().map(f32::from))
    }

    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub fn half_bytes([a, b, c, d]: Words) -> (Words, Words) {
        // The lower or the upper two bytes of a word.
        let spread = |word: u32, shift: u32| {
            let half = |index: u32| (word >> (shift + 4 * index) & 0xf) << (8 * index);
            half(0) | half(1) | half(2) | half(3)
        };
        (
            [spread(a, 0), spread(a, 16), spread(b, 0), spread(b, 16)],
            [spread(c, 0), spread(c, 16), spread(d, 0), spread(d, 16)],
        )
    }

    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub fn unzip([a, b, c, d]: Numbers, [e, f, g, h]: Numbers) -> (Numbers, Numbers) {
        ([a, c, e, g], [b, d, f, h])
    }

    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub fn shift_in([_, b, c, d]: Numbers, [e, ..]: Numbers) -> Numbers {
        [b, c, d, e]
    }

    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub fn zip([a, b, c, d]: Numbers, [e, f, g, h]: Numbers) -> (Numbers, Numbers) {
        ([a, e, b, f], [c, g, d, h])
    }

    #[inline(always)]
    pub fn from_bytes(bytes: [u8; 16]) -> Words {
        let (words, _) = bytes.as_chunks();
        [0, 1, 2, 3].map(|index| u32::from_le_bytes(words[index]))
    }

    #[inline(always)]
    pub fn to_bytes(words: Words) -> [u8; 16] {
        let mut bytes = [0; 16];
        let chunks = bytes.as_chunks_mut().0;
        chunks.copy_from_slice(&words.map(u32::to_le_bytes));
        bytes
    }

    macro_rules! lane_by_lane {
        ($($(#[$meta:meta])? $name:ident $(<$shift:ident>)? ($($argument:ident: $kind:ty),*) -> $result:ty = $value:expr;)*) => {$(
            $(#[$meta])?
            #[inline(always)]
            pub fn $name$(<const $shift: u32>)?($($argument: $kind),*) -> $result {
                let lane = |index: usize| {
                    $(let $argument = $argument[index];)*
                    $value
                };
                [lane(0), lane(1), lane(2), lane(3)]
            }
        )*};
    }

    lane_by_lane! {
        add(a: Numbers, b: Numbers) -> Numbers = a + b;
        sub(a: Numbers, b: Numbers) -> Numbers = a - b;
        mul(a: Numbers, b: Numbers) -> Numbers = a * b;
        div(a: Numbers, b: Numbers) -> Numbers = a / b;
        least(a: Numbers, b: Numbers) -> Numbers = super::lesser(a, b);
        greatest(a: Numbers, b: Numbers) -> Numbers = if a > b { a } else { b };
        sqrt(a: Numbers) -> Numbers = a.sqrt();
        at_most(a: Numbers, limit: Numbers) -> Answers = if a <= limit { u32::MAX } else { 0 };
        choose(answer: Answers, yes: Numbers, no: Numbers) -> Numbers =
            f32::from_bits(yes.to_bits() & answer | no.to_bits() & !answer);
        low_bits(a: Numbers) -> Words = a.to_bits() & 0x7f_ffff;
        add_words(a: Words, b: Words) -> Words = a.wrapping_add(b);
        high_bits(word: Words) -> Numbers = (word >> 8) as i32 as f32;
        byte_at<SHIFT>(word: Words) -> Numbers = (word >> SHIFT & 0xff) as i32 as f32;
        or_shifted<SHIFT>(word: Words, bytes: Words) -> Words = word | bytes << SHIFT;
        #[cfg(feature = "diffusion")]
        power_of_two(exponent: Words) -> Numbers = f32::from_bits(exponent << 23);
    }
}

/// WebAssembly's vectors of 128 bits.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
// The vectors of std::arch convert to and from arrays by transmutation alone.
#[allow(unsafe_code)]
mod simd128 {
    pub use std::arch::wasm32::{
        f32x4_add as add, f32x4_div as div, f32x4_le as at_most, f32x4_mul as mul,
        f32x4_pmax as greatest, f32x4_pmin as least, f32x4_splat as splat, f32x4_sqrt as sqrt,
        f32x4_sub as sub, u32x4_add as add_words,
    };
    use std::arch::wasm32::{
        f32x4_convert_i32x4, i32x4_shuffle, i32x4_splat, u32x4, u32x4_shl, u32x4_shr, u64x2, v128,
        v128_and, v128_bitselect, v128_or,
    };
    #[cfg(feature = "diffusion")]
    use std::arch::wasm32::{
        i8x16_shuffle, u16x8_extend_high_u8x16, u16x8_extend_low_u8x16, u32x4_extend_high_u16x8,
        u32x4_extend_low_u16x8,
    };
    use std::mem::transmute;

    pub type Numbers = v128;
    pub type Answers = v128;
    pub type Words = v128;

    // SAFETY, for the next five: both types are 16 bytes, and any bytes are a value of either.

    #[inline(always)]
    pub fn numbers(values: [f32; 4]) -> Numbers {
        unsafe { transmute(values) }
    }

    #[inline(always)]
    pub fn array(numbers: Numbers) -> [f32; 4] {
        unsafe { transmute(numbers) }
    }

    #[inline(always)]
    pub fn word_array(words: Words) -> [u32; 4] {
        unsafe { transmute(words) }
    }

    #[inline(always)]
    pub fn from_bytes(bytes: [u8; 16]) -> Words {
        unsafe { transmute(bytes) }
    }

    #[inline(always)]
    pub fn to_bytes(words: Words) -> [u8; 16] {
        unsafe { transmute(words) }
    }

    #[inline(always)]
    pub fn words([a, b, c, d]: [u32; 4]) -> Words {
        u32x4(a, b, c, d)
    }

    #[inline(always)]
    pub fn pairs([a, b, c, d]: [u64; 4]) -> (Words, Words) {
        let (first, last) = (u64x2(a, b), u64x2(c, d));
        let left = i32x4_shuffle::<0, 2, 4, 6>(first, last);
        (left, i32x4_shuffle::<1, 3, 5, 7>(first, last))
    }

    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub fn bytes(words: Words) -> [Numbers; 4] {
        let (low, high) = (
            u16x8_extend_low_u8x16(words),
            u16x8_extend_high_u8x16(words),
        );
        let first = f32x4_convert_i32x4(u32x4_extend_low_u16x8(low));
        let second = f32x4_convert_i32x4(u32x4_extend_high_u16x8(low));
        let third = f32x4_convert_i32x4(u32x4_extend_low_u16x8(high));
        [
            first,
            second,
            third,
            f32x4_convert_i32x4(u32x4_extend_high_u16x8(high)),
        ]
    }

    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub fn half_bytes(words: Words) -> (Words, Words) {
        let mask = i32x4_splat(0x0f0f_0f0f);
        let (even, odd) = (v128_and(words, mask), v128_and(u32x4_shr(words, 4), mask));
        let first =
            i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(even, odd);
        let last = i8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(
            even, odd,
        );
        (first, last)
    }

    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub fn unzip(first: Numbers, last: Numbers) -> (Numbers, Numbers) {
        let even = i32x4_shuffle::<0, 2, 4, 6>(first, last);
        (even, i32x4_shuffle::<1, 3, 5, 7>(first, last))
    }

    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub fn shift_in(first: Numbers, next: Numbers) -> Numbers {
        i32x4_shuffle::<1, 2, 3, 4>(first, next)
    }

    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub fn zip(one: Numbers, other: Numbers) -> (Numbers, Numbers) {
        let first = i32x4_shuffle::<0, 4, 1, 5>(one, other);
        (first, i32x4_shuffle::<2, 6, 3, 7>(one, other))
    }

    #[inline(always)]
    pub fn high_bits(words: Words) -> Numbers {
        f32x4_convert_i32x4(u32x4_shr(words, 8))
    }

    #[inline(always)]
    pub fn choose(answers: Answers, yes: Numbers, no: Numbers) -> Numbers {
        v128_bitselect(yes, no, answers)
    }

    #[inline(always)]
    pub fn low_bits(numbers: Numbers) -> Words {
        v128_and(numbers, i32x4_splat(0x7f_ffff))
    }

    #[inline(always)]
    pub fn byte_at<const SHIFT: u32>(words: Words) -> Numbers {
        f32x4_convert_i32x4(v128_and(u32x4_shr(words, SHIFT), i32x4_splat(0xff)))
    }

    #[cfg(feature = "diffusion")]
    #[inline(always)]
    pub fn power_of_two(exponents: Words) -> Numbers {
        u32x4_shl(exponents, 23)
    }

    #[inline(always)]
    pub fn or_shifted<const SHIFT: u32>(words: Words, bytes: Words) -> Words {
        v128_or(words, u32x4_shl(bytes, SHIFT))
    }
}

#[cfg(all(test, feature = "diffusion"))]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let rows =
            [0, 4, 8, 12].map(|first| Lanes::new([0, 1, 2, 3].map(|index| (first + index) as f32)));
        let columns = Lanes::transpose(rows).map(Lanes::to_array);
        assert_eq!(columns[1], [1.0, 5.0, 9.0, 13.0]);
        assert_eq!(columns[2], [2.0, 6.0, 10.0, 14.0]);
    }

    #[test]
    fn bytes_and_their_halves_are_numbers_in_order() {
        let words = Words::new([0x0403_0201, 0x0807_06ff, 0, 0x8000_0000]);
        let bytes = words.bytes().map(Lanes::to_array).concat();
        assert_eq!(
            bytes,
            [1, 2, 3, 4, 255, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 128].map(|byte| byte as f32)
        );
        let (first, last) = Words::new([0x7654_3210, 0xfedc_ba98, 0, 0x5000_000a]).half_bytes();
        let first = first.bytes().map(Lanes::to_array).concat();
        assert_eq!(
            first,
            std::array::from_fn::<f32, 16, _>(|index| index as f32)
        );
        let last = last.bytes().map(Lanes::to_array).concat();
        assert_eq!((last[7], last[8], last[15]), (0.0, 10.0, 5.0));
    }

    #[test]
    fn exponentials_are_as_good_as_floats() {
        for step in -9_000..=8_800 {
            let power = step as f32 / 100.0;
            let [value, ..] = Lanes::splat(power).exp().to_array();
            let expected = f64::from(power.max(-87.0)).exp();
            let off = (f64::from(value) - expected).abs() / expected;
            assert!(off < 2.5e-7, "e to the power of {power}: {value}");
        }
    }
}
