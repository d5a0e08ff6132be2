//! Colour spaces, and colours as bytes and as numbers, straight and premultiplied.
//!
//! A colour is red, green, blue and alpha. It is straight if its channels are those of the paint,
//! and premultiplied if they are those times alpha.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::lanes::{Lanes, Rgba, Words, lesser};
use crate::named::{named, serde_as_text};
use crate::{Error, ErrorCode, Result};

/// The space in which colours are mixed. Pictures are sRGB in either case.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "lowercase")]
pub enum ColorSpace {
    /// `srgb`: the encoded values, as CSS does it.
    #[default]
    Srgb,
    /// `linear`: linear light with the primaries of sRGB.
    Linear,
}

named!(ColorSpace, "colour space");

serde_as_text!(ColorSpace);

/// A straight sRGB colour of four bytes, written `#rrggbbaa` as in CSS; transparent black unless
/// given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Color {
    /// Red, green, blue and alpha.
    pub rgba: [u8; 4],
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:08x}", u32::from_be_bytes(self.rgba))
    }
}

impl FromStr for Color {
    type Err = Error;

    /// Reads `#rrggbbaa`, or `#rrggbb` for an opaque colour.
    fn from_str(text: &str) -> Result<Self> {
        let bad_color = || {
            Error::new(
                ErrorCode::BadOption,
                format!("{text:?} is no colour"),
                "write #rrggbbaa or #rrggbb with hexadecimal digits",
            )
        };
        let digits = text.strip_prefix('#').ok_or_else(bad_color)?;
        // from_str_radix would also take a sign.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(bad_color());
        }
        let number = u32::from_str_radix(digits, 16).map_err(|_| bad_color())?;
        let rgba = match digits.len() {
            8 => number.to_be_bytes(),
            6 => (number << 8 | 0xff).to_be_bytes(),
            _ => return Err(bad_color()),
        };
        Ok(Self { rgba })
    }
}

serde_as_text!(Color);

/// The linear light of an sRGB value, both in [0, 1] (IEC 61966-2-1).
pub fn linear_from_srgb(value: f32) -> f32 {
    if value <= 0.04045 {
        return value / 12.92;
    }
    // In f64, whose powers round to the same f32 everywhere.
    ((f64::from(value) + 0.055) / 1.055).powf(2.4) as f32
}

/// The sRGB value of a linear light, both in [0, 1] (IEC 61966-2-1).
pub fn srgb_from_linear(value: f32) -> f32 {
    if value <= 0.003_130_8 {
        return value * 12.92;
    }
    (1.055 * f64::from(value).powf(1.0 / 2.4) - 0.055) as f32
}

/// Four bytes as numbers in [0, 1]; neither colour space nor premultiplication changes.
pub fn from_rgba8(rgba: [u8; 4]) -> [f32; 4] {
    rgba.map(|byte| f32::from(byte) / 255.0)
}

/// Four numbers as the nearest bytes, those outside [0, 1] as the nearest end.
pub fn to_rgba8(rgba: [f32; 4]) -> [u8; 4] {
    rgba.map(|value| (value * 255.0).round() as u8)
}

/// A straight colour, premultiplied.
pub fn premultiply([red, green, blue, alpha]: [f32; 4]) -> [f32; 4] {
    [red * alpha, green * alpha, blue * alpha, alpha]
}

/// A premultiplied colour, straight; black where alpha is 0. Channels in [0, 1] stay there.
#[inline(always)]
pub fn unpremultiply([red, green, blue, alpha]: [f32; 4]) -> [f32; 4] {
    // A division, not a product with 1 / alpha: equal channels give exactly 1.
    let divisor = if alpha > 0.0 { alpha } else { 1.0 };
    let straight = |channel: f32| lesser(channel / divisor, 1.0);
    [straight(red), straight(green), straight(blue), alpha]
}

/// What the bytes of straight sRGB pixels are in a colour space.
pub(super) struct Decoder {
    space: ColorSpace,
    /// The value of every byte of a colour.
    values: [f32; 256],
}

impl Decoder {
    pub(super) fn new(space: ColorSpace) -> Self {
        let value = |byte: usize| {
            let value = byte as f32 / 255.0;
            match space {
                ColorSpace::Srgb => value,
                ColorSpace::Linear => linear_from_srgb(value),
            }
        };
        Self {
            space,
            values: std::array::from_fn(value),
        }
    }

    /// One pixel as lanes of red, green, blue and alpha, premultiplied.
    #[inline(always)]
    pub(super) fn pixel(&self, [red, green, blue, alpha]: [u8; 4]) -> Lanes {
        let value = |byte: u8| self.values[usize::from(byte)];
        let straight = [value(red), value(green), value(blue), 1.0];
        Lanes::new(straight) * (f32::from(alpha) / 255.0)
    }

    /// Four pixels times `factor`, premultiplied.
    #[inline(always)]
    pub(super) fn four(&self, words: Words, factor: impl Into<Lanes>) -> Rgba {
        let alpha = words.channel::<24>() * (factor.into() * (1.0 / 255.0));
        match self.space {
            ColorSpace::Srgb => {
                let weight = alpha * (1.0 / 255.0);
                let [red, green, blue] = [
                    words.channel::<0>(),
                    words.channel::<8>(),
                    words.channel::<16>(),
                ];
                [red * weight, green * weight, blue * weight, alpha]
            }
            ColorSpace::Linear => {
                let pixels = words.to_pixels();
                let value = |index: usize| self.values[usize::from(pixels[index])];
                let four = |first: usize| {
                    Lanes::new([
                        value(first),
                        value(first + 4),
                        value(first + 8),
                        value(first + 12),
                    ])
                };
                [four(0) * alpha, four(1) * alpha, four(2) * alpha, alpha]
            }
        }
    }
}

/// The nearest sRGB bytes of linear light, without a power for each pixel.
pub(super) struct SrgbEncoder {
    /// For every 4096th of linear light, the byte for half a 4096th less.
    below: Vec<u8>,
    /// The linear light from which on the next byte is nearer, for each byte.
    end: [f32; 256],
}

/// The one encoder; its tables are computed when first used.
pub(super) static SRGB_ENCODER: LazyLock<SrgbEncoder> = LazyLock::new(SrgbEncoder::new);

impl SrgbEncoder {
    /// Bytes end at least a 3295th apart: between two halves there is at most one end.
    const STEPS: u16 = 4096;

    fn new() -> Self {
        let mut end = std::array::from_fn(|byte| linear_from_srgb((byte as f32 + 0.5) / 255.0));
        end[255] = f32::INFINITY;
        let below = (0..=Self::STEPS)
            .map(|step| {
                let light = (f32::from(step) - 0.5) / f32::from(Self::STEPS);
                end.iter().take_while(|&&end| end <= light).count() as u8
            })
            .collect();
        Self { below, end }
    }

    /// The nearest bytes for four linear lights; the nearest end for those outside [0, 1].
    #[inline(always)]
    pub(super) fn bytes(&self, lights: Lanes) -> Words {
        let lights = lights.greatest(0.0).least(1.0);
        let steps = (lights * f32::from(Self::STEPS)).nearest().to_array();
        let lights = lights.to_array();
        let byte = |lane: usize| {
            let below = self.below[steps[lane] as usize];
            u32::from(below) + u32::from(lights[lane] >= self.end[usize::from(below)])
        };
        Words::new([byte(0), byte(1), byte(2), byte(3)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn byte(light: f32) -> u32 {
        SRGB_ENCODER.bytes(Lanes::splat(light)).to_array()[0]
    }

    #[test]
    fn encoder_gives_the_nearest_byte() {
        for step in 0..=100_000 {
            let light = step as f32 / 100_000.0;
            let exact = srgb_from_linear(light) * 255.0;
            let byte = byte(light) as f32;
            assert!((byte - exact).abs() <= 0.5001, "{light}: {byte}, {exact}");
        }
        assert_eq!((byte(-1.0), byte(2.0)), (0, 255));
    }

    #[test]
    fn encoder_returns_every_byte() {
        let values = Decoder::new(ColorSpace::Linear).values;
        for (expected, light) in values.into_iter().enumerate() {
            assert_eq!(byte(light) as usize, expected);
        }
    }
}
