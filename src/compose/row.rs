//! One row of the scene while it is being composited.

use std::ops::Range;

use super::blend::BlendMode;
use super::color::{ColorSpace, SRGB_ENCODER, unpremultiply};
use super::lanes::{Lanes, Words};
use super::operator::{Operator, composite_planes};

/// A row of premultiplied pixels, one plane a channel, so that loops take many pixels at a time.
pub(super) struct Row {
    /// A few pixels longer than the row: four can be read and written from any pixel on.
    planes: [Vec<f32>; 4],
}

impl Row {
    /// A transparent row.
    pub(super) fn new(width: usize) -> Self {
        Self {
            planes: std::array::from_fn(|_| vec![0.0; width + 4]),
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

    /// Sets the pixel at `x`: lanes of red, green, blue and alpha, premultiplied.
    #[inline(always)]
    pub(super) fn set(&mut self, x: usize, color: Lanes) {
        let [red, green, blue, alpha] = &mut self.planes;
        [red[x], green[x], blue[x], alpha[x]] = color.to_array();
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
        let (quads, rest) = rgba.as_chunks::<16>();
        for (index, quad) in quads.iter().enumerate() {
            self.draw_four_over(start + 4 * index, quad, opacity);
        }
        let x = start + 4 * quads.len();
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        self.draw_four_over(x, &last, opacity);
    }

    /// Composites four pixels, of which those beyond the end of the row must be transparent.
    #[inline(always)]
    fn draw_four_over(&mut self, x: usize, pixels: &[u8; 16], opacity: f32) {
        let words = Words::from_pixels(pixels);
        // Bytes become fractions by one factor on alpha and one on the colours.
        let source_alpha = words.channel::<24>() * (opacity / 255.0);
        let weight = source_alpha * (1.0 / 255.0);
        let rest = 1.0 - source_alpha;
        let [red, green, blue, alpha] = &mut self.planes;
        add_to(red, x, rest, words.channel::<0>() * weight);
        add_to(green, x, rest, words.channel::<8>() * weight);
        add_to(blue, x, rest, words.channel::<16>() * weight);
        add_to(alpha, x, rest, source_alpha);
    }

    /// Writes the row, whose colours are in `space`, as straight sRGB bytes.
    pub(super) fn write(&self, space: ColorSpace, rgba: &mut [u8]) {
        match space {
            ColorSpace::Srgb => self.write_srgb(rgba),
            ColorSpace::Linear => self.write_linear(rgba),
        }
    }

    fn write_srgb(&self, rgba: &mut [u8]) {
        let (quads, rest) = rgba.as_chunks_mut::<16>();
        let x = 4 * quads.len();
        for (index, quad) in quads.iter_mut().enumerate() {
            *quad = self.four_bytes(4 * index);
        }
        let last = self.four_bytes(x);
        rest.copy_from_slice(&last[..rest.len()]);
    }

    /// Four pixels from `x` on as straight bytes.
    #[inline(always)]
    fn four_bytes(&self, x: usize) -> [u8; 16] {
        let [red, green, blue, alpha] = &self.planes;
        let alpha = four_at(alpha, x);
        let scale = alpha.at_most(0.0).choose(0.0, 255.0 / alpha);
        (four_at(red, x) * scale)
            .nearest_bytes()
            .with::<8>((four_at(green, x) * scale).nearest_bytes())
            .with::<16>((four_at(blue, x) * scale).nearest_bytes())
            .with::<24>((alpha * 255.0).nearest_bytes())
            .to_pixels()
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
                (alpha * 255.0).round() as u8,
            ];
        }
    }
}

/// Multiplies four values of a plane by `factor` and adds `summand`.
#[inline(always)]
fn add_to(plane: &mut [f32], x: usize, factor: Lanes, summand: Lanes) {
    if let Some(four) = plane[x..].first_chunk_mut() {
        *four = (Lanes::new(*four) * factor + summand).to_array();
    }
}

#[inline(always)]
fn four_at(plane: &[f32], x: usize) -> Lanes {
    plane[x..]
        .first_chunk()
        .map_or(Lanes::splat(0.0), |four| Lanes::new(*four))
}
