//! One row of the scene while it is being composited.

use std::ops::Range;

use super::blend::BlendMode;
use super::color::{ColorSpace, SRGB_ENCODER};
use super::memory::reserve;
use super::operator::{Operator, composite_planes};
use crate::Result;
use crate::lanes::{Lanes, Rgba, Words};

/// A row of premultiplied pixels, one plane a channel, so that loops take many pixels at a time.
pub(super) struct Row {
    /// A few pixels longer than the row: four can be read and written from any pixel on.
    planes: [Vec<f32>; 4],
}

impl Row {
    /// A transparent row. Fails with `out_of_memory`.
    pub(super) fn new(width: usize) -> Result<Self> {
        let mut planes: [Vec<f32>; 4] = Default::default();
        for plane in &mut planes {
            reserve(plane, width + 4)?;
            plane.resize(width + 4, 0.0);
        }
        Ok(Self { planes })
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

    /// Sets the four pixels from `x` on, of which the last ones may be beyond the end of the row.
    #[inline(always)]
    pub(super) fn set_four(&mut self, x: usize, color: Rgba) {
        for (plane, four) in self.planes.iter_mut().zip(color) {
            if let Some(pixels) = plane[x..].first_chunk_mut() {
                *pixels = four.to_array();
            }
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

    /// Composites four pixels, of which those beyond the end of the row must be transparent, onto
    /// those from `x` on, by blend mode `normal` and operator `source-over`.
    #[inline(always)]
    pub(super) fn draw_four_over(&mut self, x: usize, source: Rgba) {
        let rest = 1.0 - source[3];
        for (plane, summand) in self.planes.iter_mut().zip(source) {
            if let Some(four) = plane[x..].first_chunk_mut() {
                *four = (Lanes::new(*four) * rest + summand).to_array();
            }
        }
    }

    /// Writes the row, whose colours are in `space`, as straight sRGB bytes.
    pub(super) fn write(&self, space: ColorSpace, rgba: &mut [u8]) {
        match space {
            ColorSpace::Srgb => self.write_encoded(|value| (value * 255.0).nearest_bytes(), rgba),
            ColorSpace::Linear => {
                let encoder = &*SRGB_ENCODER;
                self.write_encoded(|light| encoder.bytes(light), rgba);
            }
        }
    }

    #[inline(always)]
    fn write_encoded(&self, encode: impl Fn(Lanes) -> Words, rgba: &mut [u8]) {
        let (quads, rest) = rgba.as_chunks_mut::<16>();
        let x = 4 * quads.len();
        for (index, quad) in quads.iter_mut().enumerate() {
            *quad = self.four_bytes(4 * index, &encode);
        }
        let last = self.four_bytes(x, &encode);
        rest.copy_from_slice(&last[..rest.len()]);
    }

    /// Four pixels from `x` on as straight bytes.
    #[inline(always)]
    fn four_bytes(&self, x: usize, encode: impl Fn(Lanes) -> Words) -> [u8; 16] {
        let [red, green, blue, alpha] = &self.planes;
        let alpha = four_at(alpha, x);
        let scale = alpha.at_most(0.0).choose(0.0, 1.0 / alpha);
        encode(four_at(red, x) * scale)
            .with::<8>(encode(four_at(green, x) * scale))
            .with::<16>(encode(four_at(blue, x) * scale))
            .with::<24>((alpha * 255.0).nearest_bytes())
            .to_pixels()
    }
}

#[inline(always)]
fn four_at(plane: &[f32], x: usize) -> Lanes {
    plane[x..]
        .first_chunk()
        .map_or(Lanes::splat(0.0), |four| Lanes::new(*four))
}
