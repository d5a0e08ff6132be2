//! What a picture is resampled from: premultiplied colours on a grid.

use super::color::Decoder;
use super::memory::reserve;
use crate::Result;
use crate::image::Picture;
use crate::lanes::{Lanes, Rgba, Words};

/// A grid of premultiplied colours.
pub(super) trait Texels {
    /// Columns and rows.
    fn size(&self) -> [usize; 2];

    /// Lanes of red, green, blue and alpha.
    fn texel(&self, x: usize, y: usize) -> Lanes;
}

/// Four places in a grid, the centres of whose texels lie at whole numbers.
pub(super) struct Places {
    /// Columns and rows of the texels to the left and above.
    pub(super) texels: [[usize; 2]; 4],
    /// How far to the right of them the places lie, 0 to 1.
    pub(super) across: Lanes,
    /// How far below.
    pub(super) down: Lanes,
}

impl Places {
    /// The weights of the texels above, to the left and to the right, and below.
    #[inline(always)]
    fn weights(&self, factor: f32) -> [Lanes; 4] {
        let (lower, upper) = (self.down * factor, (1.0 - self.down) * factor);
        let rest = 1.0 - self.across;
        [
            rest * upper,
            self.across * upper,
            rest * lower,
            self.across * lower,
        ]
    }
}

/// A picture as it is.
pub(super) struct Bytes<'a> {
    pub(super) picture: &'a Picture,
    pub(super) decoder: &'a Decoder,
}

impl Texels for Bytes<'_> {
    #[inline(always)]
    fn size(&self) -> [usize; 2] {
        [self.picture.width, self.picture.height]
    }

    #[inline(always)]
    fn texel(&self, x: usize, y: usize) -> Lanes {
        let (pixels, _) = self.picture.rgba.as_chunks::<4>();
        self.decoder.pixel(pixels[y * self.picture.width + x])
    }
}

impl Bytes<'_> {
    /// The colours at four places between texels, times `factor`. All neighbours are there.
    #[inline(always)]
    pub(super) fn between(&self, places: &Places, factor: f32) -> Rgba {
        let row = 4 * self.picture.width;
        let block = |[x, y]: [usize; 2]| -> ([u8; 8], [u8; 8]) {
            let block = &self.picture.rgba[y * row + 4 * x..][..row + 8];
            let pair = |bytes: Option<&[u8; 8]>| bytes.map_or([0; 8], |bytes| *bytes);
            (pair(block.first_chunk()), pair(block.last_chunk()))
        };
        let [a, b, c, d] = places.texels;
        let (a, b, c, d) = (block(a), block(b), block(c), block(d));
        let upper = Words::pairs([a.0, b.0, c.0, d.0]);
        let lower = Words::pairs([a.1, b.1, c.1, d.1]);
        let weights = places.weights(factor);
        let read = |words: Words, weight: Lanes| self.decoder.four(words, weight);
        let [upper_left, upper_right] = [read(upper.0, weights[0]), read(upper.1, weights[1])];
        let [lower_left, lower_right] = [read(lower.0, weights[2]), read(lower.1, weights[3])];
        let sum = |channel: usize| {
            upper_left[channel]
                + upper_right[channel]
                + (lower_left[channel] + lower_right[channel])
        };
        [sum(0), sum(1), sum(2), sum(3)]
    }
}

/// A picture halved one or more times.
pub(super) struct Level {
    pub(super) size: [usize; 2],
    texels: Vec<[f32; 4]>,
}

impl Texels for Level {
    #[inline(always)]
    fn size(&self) -> [usize; 2] {
        self.size
    }

    #[inline(always)]
    fn texel(&self, x: usize, y: usize) -> Lanes {
        Lanes::new(self.texels[y * self.size[0] + x])
    }
}

impl Level {
    /// Half of `source`: each texel is the mean of two by two. Odd sizes are rounded up, and the
    /// last texel then stands for itself and a copy of itself. Fails with `out_of_memory`.
    pub(super) fn halved(source: &impl Texels) -> Result<Self> {
        let [source_width, source_height] = source.size();
        let size = [source_width.div_ceil(2), source_height.div_ceil(2)];
        let mut texels = Vec::new();
        reserve(&mut texels, size[0] * size[1])?;
        for y in 0..size[1] {
            let (top, bottom) = (2 * y, (2 * y + 1).min(source_height - 1));
            for x in 0..size[0] {
                let (left, right) = (2 * x, (2 * x + 1).min(source_width - 1));
                let upper = source.texel(left, top) + source.texel(right, top);
                let lower = source.texel(left, bottom) + source.texel(right, bottom);
                texels.push(((upper + lower) * 0.25).to_array());
            }
        }
        Ok(Self { size, texels })
    }
}

/// The colour between texels, whose centres lie at whole numbers; the edge goes on outside.
#[inline(always)]
pub(super) fn bilinear(texels: &impl Texels, x: f64, y: f64) -> Lanes {
    let [width, height] = texels.size();
    let ([left, right], across) = neighbours(x, width);
    let ([top, bottom], down) = neighbours(y, height);
    let upper = between(texels.texel(left, top), texels.texel(right, top), across);
    let lower = between(
        texels.texel(left, bottom),
        texels.texel(right, bottom),
        across,
    );
    between(upper, lower, down)
}

/// From `a` at 0 to `b` at 1.
#[inline(always)]
fn between(a: Lanes, b: Lanes, position: f32) -> Lanes {
    a * (1.0 - position) + b * position
}

/// The texels on both sides of `position` on an axis of `length` texels, and the weight of the
/// second.
#[inline(always)]
fn neighbours(position: f64, length: usize) -> ([usize; 2], f32) {
    let position = position.clamp(0.0, (length - 1) as f64);
    let first = position as usize;
    let second = (first + 1).min(length - 1);
    ([first, second], (position - first as f64) as f32)
}
