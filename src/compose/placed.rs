//! Pictures at a place in the scene, read row by row, premultiplied.

use std::ops::Range;

use super::color::Decoder;
use super::resample::Resampler;
use super::texels::Bytes;
use super::transform::Transform;
use crate::Result;
use crate::image::Picture;
use crate::lanes::{Rgba, Words};

/// A picture placed in a scene.
pub(super) struct PlacedPicture<'a> {
    bytes: Bytes<'a>,
    placement: Placement,
}

enum Placement {
    /// Pixel on pixel, the top left one at this place.
    Translated([i64; 2]),
    /// At any place, in any direction and size.
    Resampled(Resampler),
}

impl<'a> PlacedPicture<'a> {
    /// `picture`, whose pixels `transform` carries into the scene; `decoder` reads it in the
    /// scene's space. Fails with `out_of_memory`.
    pub(super) fn new(
        picture: &'a Picture,
        decoder: &'a Decoder,
        transform: &Transform,
    ) -> Result<Self> {
        let bytes = Bytes { picture, decoder };
        let placement = match transform.whole_shift() {
            Some(shift) => Placement::Translated(shift),
            None => Placement::Resampled(Resampler::new(&bytes, transform)?),
        };
        Ok(Self { bytes, placement })
    }

    /// Hands `put` the pixels of row `y` of a scene of this width, times `opacity`: a column, and
    /// the four pixels from there on, of which those that are the next call's, or beyond the
    /// picture, are transparent. Gives the columns outside which the picture has no part.
    #[inline(always)]
    pub(super) fn read_row(
        &self,
        y: usize,
        width: usize,
        opacity: f32,
        put: impl FnMut(usize, Rgba),
    ) -> Range<usize> {
        match &self.placement {
            Placement::Translated(shift) => self.read_bytes(*shift, y, width, opacity, put),
            Placement::Resampled(resampler) => {
                resampler.read_row(&self.bytes, y, width, opacity, put)
            }
        }
    }

    #[inline(always)]
    fn read_bytes(
        &self,
        shift: [i64; 2],
        y: usize,
        width: usize,
        opacity: f32,
        mut put: impl FnMut(usize, Rgba),
    ) -> Range<usize> {
        let (start, rgba) = self.bytes_in_row(shift, y, width);
        let decoder = self.bytes.decoder;
        let (quads, rest) = rgba.as_chunks::<16>();
        for (index, quad) in quads.iter().enumerate() {
            put(
                start + 4 * index,
                decoder.four(Words::from_pixels(quad), opacity),
            );
        }
        let last = decoder.four(Words::from_some_pixels(rest), opacity);
        put(start + 4 * quads.len(), last);
        start..start + rgba.len() / 4
    }

    /// Where row `y` of a scene of this width meets the picture, whose top left pixel lies at
    /// `shift`, and the bytes there.
    fn bytes_in_row(&self, [left, top]: [i64; 2], y: usize, width: usize) -> (usize, &[u8]) {
        let picture = self.bytes.picture;
        let row = usize::try_from(y as i64 - top).ok();
        let Some(row) = row.filter(|&row| row < picture.height) else {
            return (0, &[]);
        };
        let limit = |x: i64| x.clamp(0, width as i64);
        let (start, end) = (
            limit(left),
            limit(left.saturating_add(picture.width as i64)),
        );
        if start == end {
            return (0, &[]);
        }
        let first = row * picture.width + (start - left) as usize;
        let bytes = &picture.rgba[4 * first..][..4 * (end - start) as usize];
        (start as usize, bytes)
    }
}
