//! Pictures at a place in the scene, read row by row, premultiplied.
//!
//! Resampling happens on premultiplied values in the scene's colour space, so that colour under
//! alpha 0 never shows. A picture that is enlarged or turned is interpolated bilinearly; one that
//! is shrunk is averaged over the area of each pixel of the scene. The outline is antialiased over
//! one pixel of the scene.

use std::ops::Range;

use super::lanes::Lanes;
use super::row::Row;
use super::transform::Transform;
use crate::image::Picture;

/// A picture placed in a scene.
pub(super) struct PlacedPicture<'a> {
    bytes: Bytes<'a>,
    placement: Placement,
}

enum Placement {
    /// Pixel on pixel, the top left one at this place.
    Shifted([i64; 2]),
    /// At any place, in any direction and size.
    Resampled(Resampler),
}

impl<'a> PlacedPicture<'a> {
    /// `picture`, whose pixels `transform` carries into the scene; `decoding` gives the value of
    /// every byte of a colour in the scene's space.
    pub(super) fn new(
        picture: &'a Picture,
        decoding: &'a [f32; 256],
        transform: &Transform,
    ) -> Self {
        let bytes = Bytes { picture, decoding };
        let placement = match transform.whole_shift() {
            Some(shift) => Placement::Shifted(shift),
            None => Placement::Resampled(Resampler::new(&bytes, transform)),
        };
        Self { bytes, placement }
    }

    /// If the picture lies pixel on pixel: where row `y` of a scene of this width meets it, and
    /// the bytes there, straight sRGB.
    pub(super) fn bytes_in_row(&self, y: usize, width: usize) -> Option<(usize, &'a [u8])> {
        let Placement::Shifted([left, top]) = self.placement else {
            return None;
        };
        let picture = self.bytes.picture;
        let row = usize::try_from(y as i64 - top).ok();
        let Some(row) = row.filter(|&row| row < picture.height) else {
            return Some((0, &[]));
        };
        let limit = |x: i64| x.clamp(0, width as i64);
        let (start, end) = (
            limit(left),
            limit(left.saturating_add(picture.width as i64)),
        );
        if start == end {
            return Some((0, &[]));
        }
        let first = row * picture.width + (start - left) as usize;
        let bytes = &picture.rgba[4 * first..][..4 * (end - start) as usize];
        Some((start as usize, bytes))
    }

    /// Reads row `y` of the scene, times `opacity`, into `row` and gives the span that was read;
    /// the picture has no part outside it.
    pub(super) fn read_row(
        &self,
        y: usize,
        width: usize,
        opacity: f32,
        row: &mut Row,
    ) -> Range<usize> {
        match &self.placement {
            Placement::Shifted(_) => self.copy_row(y, width, opacity, row),
            Placement::Resampled(resampler) => match &resampler.shrunk {
                Some(level) => resampler.read_row(level, y, width, opacity, row),
                None => resampler.read_row(&self.bytes, y, width, opacity, row),
            },
        }
    }

    fn copy_row(&self, y: usize, width: usize, opacity: f32, row: &mut Row) -> Range<usize> {
        let (start, rgba) = self.bytes_in_row(y, width).unwrap_or((0, &[]));
        let (pixels, _) = rgba.as_chunks::<4>();
        for (x, &pixel) in pixels.iter().enumerate() {
            row.set(start + x, self.bytes.premultiplied(pixel) * opacity);
        }
        start..start + pixels.len()
    }
}

/// A grid of premultiplied colours, each the four lanes red, green, blue and alpha.
trait Texels {
    fn size(&self) -> [usize; 2];
    fn texel(&self, x: usize, y: usize) -> Lanes;
}

/// A picture as it is.
struct Bytes<'a> {
    picture: &'a Picture,
    decoding: &'a [f32; 256],
}

impl Bytes<'_> {
    #[inline(always)]
    fn premultiplied(&self, [red, green, blue, alpha]: [u8; 4]) -> Lanes {
        let channel = |byte: u8| self.decoding[usize::from(byte)];
        let straight = [channel(red), channel(green), channel(blue), 1.0];
        Lanes::new(straight) * (f32::from(alpha) / 255.0)
    }
}

impl Texels for Bytes<'_> {
    #[inline(always)]
    fn size(&self) -> [usize; 2] {
        [self.picture.width, self.picture.height]
    }

    #[inline(always)]
    fn texel(&self, x: usize, y: usize) -> Lanes {
        let (pixels, _) = self.picture.rgba.as_chunks::<4>();
        self.premultiplied(pixels[y * self.picture.width + x])
    }
}

/// A picture halved one or more times.
struct Level {
    size: [usize; 2],
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
    /// last texel then stands for itself and a copy of itself.
    fn halved(source: &impl Texels) -> Self {
        let [source_width, source_height] = source.size();
        let size = [source_width.div_ceil(2), source_height.div_ceil(2)];
        let mut texels = Vec::with_capacity(size[0] * size[1]);
        for y in 0..size[1] {
            let (top, bottom) = (2 * y, (2 * y + 1).min(source_height - 1));
            for x in 0..size[0] {
                let (left, right) = (2 * x, (2 * x + 1).min(source_width - 1));
                let upper = source.texel(left, top) + source.texel(right, top);
                let lower = source.texel(left, bottom) + source.texel(right, bottom);
                texels.push(((upper + lower) * 0.25).to_array());
            }
        }
        Self { size, texels }
    }
}

/// Reads a picture through a transform.
struct Resampler {
    /// From the scene to the picture.
    inverse: Transform,
    /// Pixels of the scene for each pixel of the picture.
    scale: f64,
    /// The size of the picture.
    size: [f64; 2],
    /// The halved picture to read from instead, when shrinking by two or more.
    shrunk: Option<Level>,
    /// Texels of what is read from for each pixel of the picture: 1, 1/2, 1/4 and so on.
    density: f64,
    /// How far from the centre of a pixel its samples lie, in texels.
    spread: f64,
}

impl Resampler {
    fn new(bytes: &Bytes, transform: &Transform) -> Self {
        let scale = transform.scale();
        let mut shrunk = None;
        let mut density = 1.0;
        while scale / density <= 0.5 {
            let level = match &shrunk {
                Some(level) => Level::halved(level),
                None => Level::halved(bytes),
            };
            density *= 0.5;
            let smallest = level.size == [1, 1];
            shrunk = Some(level);
            if smallest {
                break;
            }
        }
        // A pixel covers between one and two texels in each direction. One sample at its centre
        // is the mean over one texel, two samples at half a texel from it are the mean over two.
        let texels_across = (density / scale).clamp(1.0, 2.0);
        Self {
            inverse: transform.inverse(),
            scale,
            size: bytes.size().map(|side| side as f64),
            shrunk,
            density,
            spread: (texels_across - 1.0) / 2.0,
        }
    }

    fn read_row(
        &self,
        texels: &impl Texels,
        y: usize,
        width: usize,
        opacity: f32,
        row: &mut Row,
    ) -> Range<usize> {
        let span = self.span(y, width);
        for x in span.clone() {
            let point = self.inverse.apply([x as f64 + 0.5, y as f64 + 0.5]);
            let coverage = self.coverage(point) * opacity;
            // Also false for NaN, which places far beyond the range of numbers give.
            let color = if coverage > 0.0 {
                self.sample(texels, point) * coverage
            } else {
                Lanes::splat(0.0)
            };
            row.set(x, color);
        }
        span
    }

    /// The columns of row `y` that can meet the picture.
    fn span(&self, y: usize, width: usize) -> Range<usize> {
        let start = self.inverse.apply([0.5, y as f64 + 0.5]);
        let step = self.inverse.x_axis;
        let margin = 0.5 / self.scale;
        let (mut first, mut last) = (0.0, width as f64 - 1.0);
        for axis in [0, 1] {
            let (low, high) = (-margin, self.size[axis] + margin);
            if step[axis] == 0.0 {
                if start[axis] < low || start[axis] > high {
                    return 0..0;
                }
                continue;
            }
            let ends = [low, high].map(|end| (end - start[axis]) / step[axis]);
            first = f64::max(first, ends[0].min(ends[1]));
            last = f64::min(last, ends[0].max(ends[1]));
        }
        // One more at either end, for rounding.
        let start = (first.floor() - 1.0).max(0.0);
        let end = (last.ceil() + 2.0).min(width as f64);
        if start < end {
            start as usize..end as usize
        } else {
            0..0
        }
    }

    /// How much of a pixel of the scene, whose centre is `point` in the picture, the picture
    /// covers: in each direction, the part of an interval as long as the pixel.
    #[inline(always)]
    fn coverage(&self, [x, y]: [f64; 2]) -> f32 {
        let across = self.covered(x, self.size[0]);
        let down = self.covered(y, self.size[1]);
        (across * down) as f32
    }

    #[inline(always)]
    fn covered(&self, position: f64, length: f64) -> f64 {
        let before = position * self.scale + 0.5;
        let beyond = (position - length) * self.scale + 0.5;
        before.clamp(0.0, 1.0) - beyond.clamp(0.0, 1.0)
    }

    /// The colour at a point of the picture.
    #[inline(always)]
    fn sample(&self, texels: &impl Texels, [x, y]: [f64; 2]) -> Lanes {
        let (x, y) = (x * self.density - 0.5, y * self.density - 0.5);
        if self.spread < 1e-6 {
            return bilinear(texels, x, y);
        }
        let (left, right) = (x - self.spread, x + self.spread);
        let (top, bottom) = (y - self.spread, y + self.spread);
        let upper = bilinear(texels, left, top) + bilinear(texels, right, top);
        let lower = bilinear(texels, left, bottom) + bilinear(texels, right, bottom);
        (upper + lower) * 0.25
    }
}

/// The colour between texels, whose centres lie at whole numbers; the edge goes on outside.
#[inline(always)]
fn bilinear(texels: &impl Texels, x: f64, y: f64) -> Lanes {
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
