//! One row of the scene while it is being composited.

use std::ops::Range;

use super::blend::BlendMode;
use super::color::{ColorSpace, SRGB_ENCODER, least, unpremultiply};
use super::operator::{Operator, composite_planes};

/// A row of premultiplied pixels, one plane a channel, so that loops take many pixels at a time.
pub(super) struct Row {
    planes: [Vec<f32>; 4],
}

impl Row {
    /// A transparent row.
    pub(super) fn new(width: usize) -> Self {
        Self {
            planes: std::array::from_fn(|_| vec![0.0; width]),
        }
    }

    /// Makes every pixel `color`, premultiplied.
    pub(super) fn fill(&mut self, color: [f32; 4]) {
        for (plane, channel) in self.planes.iter_mut().zip(color) {
            plane.fill(channel);
        }
    }

    /// Makes the pixels outside `span` transparent.
    pub(super) fn keep_only(&mut self, span: Range<usize>) {
        for plane in &mut self.planes {
            plane[..span.start].fill(0.0);
            plane[span.end..].fill(0.0);
        }
    }

    /// Sets the pixel at `x`, premultiplied.
    #[inline(always)]
    pub(super) fn set(&mut self, x: usize, color: [f32; 4]) {
        for (plane, channel) in self.planes.iter_mut().zip(color) {
            plane[x] = channel;
        }
    }

    /// Multiplies every pixel by `opacity`.
    pub(super) fn fade(&mut self, opacity: f32) {
        if opacity != 1.0 {
            let values = self.planes.iter_mut().flatten();
            values.for_each(|value| *value *= opacity);
        }
    }

    /// Composites the pixels `span` of `source` onto those of this row.
    pub(super) fn composite(
        &mut self,
        source: &Row,
        span: Range<usize>,
        blend: BlendMode,
        operator: Operator,
    ) {
        let backdrop = self.planes.each_mut().map(|plane| &mut plane[span.clone()]);
        let source = source.planes.each_ref().map(|plane| &plane[span.clone()]);
        composite_planes(backdrop, source, blend, operator);
    }

    /// Composites straight sRGB bytes onto the pixels from `start` on, in sRGB, by blend mode
    /// `normal` and operator `source-over`.
    pub(super) fn draw_over(&mut self, start: usize, rgba: &[u8], opacity: f32) {
        let (pixels, _) = rgba.as_chunks::<4>();
        let span = start..start + pixels.len();
        let [red, green, blue, alpha] =
            self.planes.each_mut().map(|plane| &mut plane[span.clone()]);
        // Bytes become fractions by this one factor on alpha and one on the colours.
        let (alpha_scale, color_scale) = (opacity / 255.0, 1.0 / 255.0);
        for (x, pixel) in pixels.iter().enumerate() {
            let pixel = u32::from_le_bytes(*pixel);
            let channel = |shift: u32| (pixel >> shift & 0xff) as i32 as f32;
            let source_alpha = channel(24) * alpha_scale;
            let weight = source_alpha * color_scale;
            let rest = 1.0 - source_alpha;
            red[x] = channel(0) * weight + red[x] * rest;
            green[x] = channel(8) * weight + green[x] * rest;
            blue[x] = channel(16) * weight + blue[x] * rest;
            alpha[x] = source_alpha + alpha[x] * rest;
        }
    }

    /// Writes the row, whose colours are in `space`, as straight sRGB bytes.
    pub(super) fn write(&self, space: ColorSpace, rgba: &mut [u8]) {
        match space {
            ColorSpace::Srgb => self.write_srgb(rgba),
            ColorSpace::Linear => self.write_linear(rgba),
        }
    }

    fn write_srgb(&self, rgba: &mut [u8]) {
        let (pixels, _) = rgba.as_chunks_mut::<4>();
        let [red, green, blue, alpha] = self.planes.each_ref().map(|plane| &plane[..pixels.len()]);
        for (x, pixel) in pixels.iter_mut().enumerate() {
            let scale = if alpha[x] > 0.0 {
                255.0 / alpha[x]
            } else {
                0.0
            };
            let word = nearest_byte(red[x] * scale)
                | nearest_byte(green[x] * scale) << 8
                | nearest_byte(blue[x] * scale) << 16
                | nearest_byte(alpha[x] * 255.0) << 24;
            *pixel = word.to_le_bytes();
        }
    }

    fn write_linear(&self, rgba: &mut [u8]) {
        let encoder = &*SRGB_ENCODER;
        let (pixels, _) = rgba.as_chunks_mut::<4>();
        for (x, pixel) in pixels.iter_mut().enumerate() {
            let [red, green, blue, alpha] =
                unpremultiply(self.planes.each_ref().map(|plane| plane[x]));
            *pixel = [
                encoder.byte(red),
                encoder.byte(green),
                encoder.byte(blue),
                nearest_byte(alpha * 255.0) as u8,
            ];
        }
    }
}

/// The whole number nearest to a value in [0, 255]; larger values count as 255.
#[inline(always)]
fn nearest_byte(value: f32) -> u32 {
    // Beside 2^23 the last bit of a float is worth 1: the addition rounds, and the low bits are the
    // number. A cast would have to treat NaN and overflow.
    (least(value, 255.0) + 8_388_608.0).to_bits() & 0xff
}
