//! Pictures that are turned, mirrored, scaled or moved by parts of a pixel.
//!
//! Resampling happens on premultiplied values in the scene's colour space, so that colour under
//! alpha 0 never shows. A picture that is enlarged or turned is interpolated bilinearly; one that
//! is shrunk is averaged over the area of each pixel of the scene. The outline is antialiased over
//! one pixel of the scene.

use std::ops::Range;

use super::texels::{Bytes, Level, Places, Texels, bilinear};
use super::transform::Transform;
use crate::Result;
use crate::lanes::{Lanes, Rgba, Words};

/// Reads a picture through a transform.
pub(super) struct Resampler {
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
    pub(super) fn new(bytes: &Bytes, transform: &Transform) -> Result<Self> {
        let scale = transform.scale();
        let mut shrunk = None;
        let mut density = 1.0;
        while scale / density <= 0.5 {
            let level = match &shrunk {
                Some(level) => Level::halved(level)?,
                None => Level::halved(bytes)?,
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
        Ok(Self {
            inverse: transform.inverse(),
            scale,
            size: bytes.size().map(|side| side as f64),
            shrunk,
            density,
            spread: (texels_across - 1.0) / 2.0,
        })
    }

    /// [`PlacedPicture::read_row`](super::placed::PlacedPicture::read_row) for the picture `bytes`.
    #[inline(always)]
    pub(super) fn read_row(
        &self,
        bytes: &Bytes,
        y: usize,
        width: usize,
        opacity: f32,
        mut put: impl FnMut(usize, Rgba),
    ) -> Range<usize> {
        let span = self.span(y, width);
        if let Some(level) = &self.shrunk {
            for x in span.clone() {
                put(x, self.pixel(level, [x, y], opacity));
            }
            return span;
        }
        let inside = self.span_inside(y, &span);
        for x in span.start..inside.start {
            put(x, self.pixel(bytes, [x, y], opacity));
        }
        self.read_inside(bytes, y, inside.clone(), opacity, &mut put);
        for x in inside.end..span.end {
            put(x, self.pixel(bytes, [x, y], opacity));
        }
        span
    }

    /// One pixel of the scene, which the picture may cover in part, or not at all, and three
    /// transparent ones.
    #[inline(always)]
    fn pixel(&self, texels: &impl Texels, [x, y]: [usize; 2], opacity: f32) -> Rgba {
        let point = self.inverse.apply([x as f64 + 0.5, y as f64 + 0.5]);
        let coverage = self.coverage(point) * opacity;
        // Also false for NaN, which places far beyond the range of numbers give.
        let color = if coverage > 0.0 {
            self.sample(texels, point) * coverage
        } else {
            Lanes::splat(0.0)
        };
        let [red, green, blue, alpha] = color.to_array();
        let first = |channel: f32| Lanes::new([channel, 0.0, 0.0, 0.0]);
        [first(red), first(green), first(blue), first(alpha)]
    }

    /// Reads pixels that lie in the picture with all that they are made of, four at a time.
    #[inline(always)]
    fn read_inside(
        &self,
        bytes: &Bytes,
        y: usize,
        columns: Range<usize>,
        opacity: f32,
        put: &mut impl FnMut(usize, Rgba),
    ) {
        let [x, y] = [columns.start, y].map(|pixel| pixel as f64 + 0.5);
        let first = self.inverse.apply([x, y]);
        let fixed = |texels: f64| (texels * FIXED_ONE).round() as i64;
        let mut place = first.map(|position| fixed(position - 0.5));
        let walk = Walk::new(self.inverse.x_axis.map(fixed));
        let spread = fixed(self.spread);
        for x in columns.step_by(4) {
            let color = if spread == 0 {
                bytes.between(&walk.places(place), opacity)
            } else {
                let at = |across: i64, down: i64| {
                    let places = walk.places([place[0] + across, place[1] + down]);
                    bytes.between(&places, opacity * 0.25)
                };
                let upper = sum(at(-spread, -spread), at(spread, -spread));
                let lower = sum(at(-spread, spread), at(spread, spread));
                sum(upper, lower)
            };
            put(x, color);
            place = [place[0] + 4 * walk.step[0], place[1] + 4 * walk.step[1]];
        }
    }

    /// The columns of row `y` that can meet the picture.
    fn span(&self, y: usize, width: usize) -> Range<usize> {
        let (first, last) = self.crossing(y, -0.5 / self.scale);
        // One more at either end, for rounding.
        let start = (first.floor() - 1.0).max(0.0);
        let end = (last.ceil() + 2.0).min(width as f64);
        if start < end {
            start as usize..end as usize
        } else {
            0..0
        }
    }

    /// Of the columns `span` of row `y`, a multiple of four that the picture covers wholly and
    /// whose samples have all their neighbours.
    fn span_inside(&self, y: usize, span: &Range<usize>) -> Range<usize> {
        // A hundredth of a texel and a pixel at either end, for rounding.
        let neighbours = (0.51 + self.spread) / self.density;
        let (first, last) = self.crossing(y, neighbours.max(0.5 / self.scale));
        let start = (first.ceil() + 1.0).max(span.start as f64);
        let end = last.floor().min(span.end as f64);
        if start < end {
            let length = (end - start) as usize;
            start as usize..start as usize + length - length % 4
        } else {
            span.start..span.start
        }
    }

    /// The first and the last column of row `y`, as numbers between columns, that lie at least
    /// `margin` pixels of the picture inside it; the last is before the first if there is none.
    fn crossing(&self, y: usize, margin: f64) -> (f64, f64) {
        const NONE: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);
        let start = self.inverse.apply([0.5, y as f64 + 0.5]);
        let step = self.inverse.x_axis;
        let (mut first, mut last) = (f64::NEG_INFINITY, f64::INFINITY);
        for axis in [0, 1] {
            let (low, high) = (margin, self.size[axis] - margin);
            // Also for NaN, which places far beyond the range of numbers give.
            if low > high || !start[axis].is_finite() {
                return NONE;
            }
            if step[axis] == 0.0 {
                if start[axis] < low || start[axis] > high {
                    return NONE;
                }
                continue;
            }
            let ends = [low, high].map(|end| (end - start[axis]) / step[axis]);
            first = f64::max(first, ends[0].min(ends[1]));
            last = f64::min(last, ends[0].max(ends[1]));
        }
        (first, last)
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

/// 1 as a number with 32 binary places.
const FIXED_ONE: f64 = (1u64 << 32) as f64;

/// Four places, each a step from the one before, in texels with 32 binary places.
struct Walk {
    step: [i64; 2],
    /// The fractions of none to three steps.
    ahead: [Words; 2],
}

impl Walk {
    fn new(step: [i64; 2]) -> Self {
        let ahead = step.map(|step| Words::new([0, 1, 2, 3].map(|steps| (steps * step) as u32)));
        Self { step, ahead }
    }

    /// The places from this one on.
    #[inline(always)]
    fn places(&self, [x, y]: [i64; 2]) -> Places {
        let [step_x, step_y] = self.step;
        let texel = |steps: i64| {
            let whole = |place: i64| (place >> 32) as usize;
            [whole(x + steps * step_x), whole(y + steps * step_y)]
        };
        let fractions = |place: i64, ahead: Words| (Words::splat(place as u32) + ahead).fractions();
        Places {
            texels: [texel(0), texel(1), texel(2), texel(3)],
            across: fractions(x, self.ahead[0]),
            down: fractions(y, self.ahead[1]),
        }
    }
}

#[inline(always)]
fn sum(a: Rgba, b: Rgba) -> Rgba {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
}
