//! The padded RGB of a picture with alpha: its colours continued where it is transparent.
//!
//! The paper (appendix A) repeats Gaussian filters; the released code, followed here, does the same
//! with a pyramid: the premultiplied picture is shrunk again and again by 1.2, and on the way back
//! up each level shows through where the finer one is transparent. Semi-transparent pixels are
//! therefore blended with their surroundings, not kept straight.

use super::Picture;

/// How much smaller each level of the pyramid is than the one before.
const SHRINK: f64 = 1.2;

/// The padded RGB of `picture`: planes of red, green and blue in [0, 1], sRGB.
///
/// Opaque pixels keep their colour exactly; a fully transparent picture is black.
pub fn padded_rgb(picture: &Picture) -> Vec<f32> {
    if picture.rgba.is_empty() {
        return Vec::new();
    }
    let pyramid = pyramid(premultiplied(picture));
    let mut padded: Option<[Plane; 3]> = None;
    for [red, green, blue, alpha] in pyramid.iter().rev() {
        let colors = [red, green, blue];
        let coarser = padded
            .map(|planes| planes.map(|plane| plane.enlarged(alpha.width, alpha.height)))
            .unwrap_or_else(|| colors.map(|color| seed(color, alpha)));
        padded = Some(fill(colors, alpha, coarser));
    }
    padded
        .into_iter()
        .flatten()
        .flat_map(|plane| plane.values)
        .collect()
}

/// One channel of a level.
#[derive(Clone)]
struct Plane {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

/// Premultiplied red, green and blue, and alpha.
type Level = [Plane; 4];

fn premultiplied(picture: &Picture) -> Level {
    let (pixels, _) = picture.rgba.as_chunks::<4>();
    std::array::from_fn(|channel| {
        let value = |pixel: &[u8; 4]| {
            let alpha = f32::from(pixel[3]) / 255.0;
            match channel {
                3 => alpha,
                _ => f32::from(pixel[channel]) / 255.0 * alpha,
            }
        };
        Plane {
            width: picture.width,
            height: picture.height,
            values: pixels.iter().map(value).collect(),
        }
    })
}

/// The level `finest` and ever smaller ones, down to a side of 1.
fn pyramid(finest: Level) -> Vec<Level> {
    let mut levels = vec![];
    let mut level = finest;
    while level[0].width.min(level[0].height) > 1 {
        let [width, height] =
            [level[0].width, level[0].height].map(|side| (side as f64 / SHRINK) as usize);
        let smaller = level.each_ref().map(|plane| plane.shrunk(width, height));
        levels.push(std::mem::replace(&mut level, smaller));
    }
    levels.push(level);
    levels
}

/// The mean colour of the coarsest level, where the way up begins; black if all is transparent.
fn seed(color: &Plane, alpha: &Plane) -> Plane {
    let mean = color.sum() / alpha.sum().max(1e-8);
    Plane {
        width: color.width,
        height: color.height,
        values: vec![mean; color.values.len()],
    }
}

/// `colors` with `coarser` showing through where `alpha` is below 1.
fn fill(colors: [&Plane; 3], alpha: &Plane, coarser: [Plane; 3]) -> [Plane; 3] {
    let mut filled = coarser;
    for (plane, color) in filled.iter_mut().zip(colors) {
        let pixels = color.values.iter().zip(&alpha.values);
        for (value, (color, alpha)) in plane.values.iter_mut().zip(pixels) {
            *value = color + *value * (1.0 - alpha);
        }
    }
    filled
}

impl Plane {
    fn sum(&self) -> f32 {
        self.values.iter().sum()
    }

    /// The mean over the area of each new pixel (OpenCV's `INTER_AREA`).
    fn shrunk(&self, width: usize, height: usize) -> Plane {
        self.resized(
            &box_weights(self.width, width),
            &box_weights(self.height, height),
        )
    }

    /// Bilinear between the centres of pixels (OpenCV's `INTER_LINEAR`).
    fn enlarged(&self, width: usize, height: usize) -> Plane {
        self.resized(
            &linear_weights(self.width, width),
            &linear_weights(self.height, height),
        )
    }

    /// Resizes rows by `across`, then columns by `down`.
    fn resized(&self, across: &[ResampleWeights], down: &[ResampleWeights]) -> Plane {
        let rows: Vec<f32> = self
            .values
            .chunks_exact(self.width)
            .flat_map(|row| across.iter().map(|taps| taps.apply(row)))
            .collect();
        let (width, height) = (across.len(), down.len());
        let mut values = vec![0.0; width * height];
        for (row, taps) in values.chunks_exact_mut(width).zip(down) {
            for (index, &weight) in taps.weights.iter().enumerate() {
                let source = &rows[(taps.first + index) * width..][..width];
                row.iter_mut()
                    .zip(source)
                    .for_each(|(sum, value)| *sum += value * weight);
            }
        }
        Plane {
            width,
            height,
            values,
        }
    }
}

/// The old pixels that make a new one along an axis: a run of them and their weights, whose sum
/// is 1.
struct ResampleWeights {
    first: usize,
    weights: Vec<f32>,
}

impl ResampleWeights {
    fn apply(&self, row: &[f32]) -> f32 {
        let run = &row[self.first..][..self.weights.len()];
        run.iter()
            .zip(&self.weights)
            .map(|(value, weight)| value * weight)
            .sum()
    }
}

/// Each new pixel covers `old / new` old ones and takes of each the part that it covers.
fn box_weights(old: usize, new: usize) -> Vec<ResampleWeights> {
    let ratio = old as f64 / new as f64;
    let taps = |index: usize| {
        let (start, end) = (
            index as f64 * ratio,
            ((index + 1) as f64 * ratio).min(old as f64),
        );
        let first = start as usize;
        let last = (end.ceil() as usize).min(old);
        let weights = (first..last).map(|pixel| {
            let covered = end.min(pixel as f64 + 1.0) - start.max(pixel as f64);
            (covered / (end - start)) as f32
        });
        ResampleWeights {
            first,
            weights: weights.collect(),
        }
    };
    (0..new).map(taps).collect()
}

/// Each new pixel lies between two old ones; the outer ones go on beyond the edge.
fn linear_weights(old: usize, new: usize) -> Vec<ResampleWeights> {
    let ratio = old as f64 / new as f64;
    let taps = |index: usize| {
        let centre = ((index as f64 + 0.5) * ratio - 0.5).clamp(0.0, (old - 1) as f64);
        let first = centre as usize;
        let second = (centre - first as f64) as f32;
        ResampleWeights {
            first,
            weights: if first + 1 < old {
                vec![1.0 - second, second]
            } else {
                vec![1.0]
            },
        }
    };
    (0..new).map(taps).collect()
}
