use image::{GrayImage, Luma};
use serde::Deserialize;

use super::Picture;
use crate::named::{named, serde_as_text};
use crate::{Error, ErrorCode, Result, memory};

/// What edges are edges of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum EdgesOf {
    /// The picture on grey, so that a layer's outline is among its edges: each of red, green and blue, since
    /// colours may be as bright as each other.
    #[default]
    Color,
    /// Alpha: a layer's outline alone.
    Alpha,
}

named!(EdgesOf, "kind of edges");
serde_as_text!(EdgesOf);

/// How edges are found: Canny's way, after a blur of 1.4 pixels. How strong one is is in units of 8 bits and of Sobel's
/// operator: where black becomes white at once it is about 580.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeOptions {
    /// Of what.
    pub of: EdgesOf,
    /// What goes on where an edge began, if it is so strong; above 0.
    pub low: f32,
    /// What is an edge, if it is so strong; at least `low`.
    pub high: f32,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            of: EdgesOf::default(),
            low: 50.0,
            high: 100.0,
        }
    }
}

impl EdgeOptions {
    fn check(&self) -> Result<()> {
        if self.low > 0.0 && self.low <= self.high && self.high.is_finite() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::BadOption,
            format!("edges from {} to {} are not possible", self.low, self.high),
            "use a low threshold above 0 and a high one that is not below it, such as 50 and 100",
        ))
    }
}

impl Picture {
    /// The picture's edges, white lines on opaque black: what ControlNets for Canny edges and for scribbles are trained to
    /// see.
    ///
    /// # Errors
    /// `bad_option` for thresholds that are not possible; `out_of_memory`.
    pub fn edges(&self, options: EdgeOptions) -> Result<Self> {
        options.check()?;
        const WHAT: &str = "the picture's edges";
        // The finder has planes of 4 bytes, and a stack of places.
        memory::check_room(40 * self.width * self.height, WHAT)?;
        let lines = match options.of {
            EdgesOf::Color => {
                let [mut red, green, blue] =
                    [0, 1, 2].map(|channel| self.lines(options, |pixel| on_grey(pixel, channel)));
                for (value, others) in red.iter_mut().zip(green.into_iter().zip(blue)) {
                    *value |= others.0 | others.1;
                }
                red
            }
            EdgesOf::Alpha => self.lines(options, |pixel| pixel[3]),
        };
        let rgba = lines.into_iter();
        let rgba = rgba.flat_map(|value| [value, value, value, 255]);
        Ok(Self {
            width: self.width,
            height: self.height,
            rgba: memory::collected(self.rgba.len(), rgba, WHAT)?,
        })
    }

    /// The edges of one value of each pixel: 255 on lines, 0 elsewhere.
    fn lines(&self, options: EdgeOptions, value_of: impl Fn(&[u8]) -> u8) -> Vec<u8> {
        let mut plane = GrayImage::new(self.width as u32, self.height as u32);
        for (Luma([value]), pixel) in plane.pixels_mut().zip(self.rgba.chunks_exact(4)) {
            *value = value_of(pixel);
        }
        imageproc::edges::canny(&plane, options.low, options.high).into_raw()
    }
}

/// What a pixel has of a channel on mid-grey.
fn on_grey(pixel: &[u8], channel: usize) -> u8 {
    let color = f32::from(pixel[channel]) - 127.5;
    (color * f32::from(pixel[3]) / 255.0 + 127.5).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A red square of 16 pixels with a white one of 4 in it, on transparency of another colour.
    fn squares() -> Picture {
        let pixel = |index: usize| {
            let inside = |from: usize, to: usize| {
                let range = from..to;
                range.contains(&(index % 32)) && range.contains(&(index / 32))
            };
            match (inside(8, 24), inside(14, 18)) {
                (_, true) => [255, 255, 255, 255],
                (true, _) => [200, 0, 0, 255],
                _ => [0, 255, 0, 0],
            }
        };
        Picture {
            width: 32,
            height: 32,
            rgba: (0..32 * 32).flat_map(pixel).collect(),
        }
    }

    fn lines(of: EdgesOf) -> Vec<bool> {
        let options = EdgeOptions {
            of,
            ..EdgeOptions::default()
        };
        let edges = squares().edges(options).unwrap();
        let pixels = edges.rgba.chunks_exact(4);
        pixels
            .map(|pixel| match pixel {
                [255, 255, 255, 255] => true,
                [0, 0, 0, 255] => false,
                other => panic!("{other:?} is neither a line nor none"),
            })
            .collect()
    }

    #[test]
    fn edges_are_where_colours_or_alpha_change() {
        // On the middle row, from the left: the square's side, the inner square's two, and the other side.
        let row = |lines: &[bool]| -> Vec<usize> {
            (0..32).filter(|column| lines[16 * 32 + column]).collect()
        };
        let near = |found: &[usize], expected: &[f32]| {
            found.iter().all(|column| {
                let mut expected = expected.iter();
                expected.any(|edge| (*column as f32 - edge).abs() <= 1.0)
            }) && expected.iter().all(|edge| {
                let mut found = found.iter();
                found.any(|column| (*column as f32 - edge).abs() <= 1.0)
            })
        };
        let color = row(&lines(EdgesOf::Color));
        assert!(near(&color, &[7.5, 13.5, 17.5, 23.5]), "{color:?}");
        let alpha = row(&lines(EdgesOf::Alpha));
        assert!(near(&alpha, &[7.5, 23.5]), "{alpha:?}");
    }

    #[test]
    fn colours_that_are_as_bright_as_each_other_have_an_edge() {
        let pixel = |index: usize| match index % 16 < 8 {
            true => [176, 118, 59, 255],
            false => [60, 140, 190, 255],
        };
        let picture = Picture {
            width: 16,
            height: 16,
            rgba: (0..256).flat_map(pixel).collect(),
        };
        let edges = picture.edges(EdgeOptions::default()).unwrap();
        let row = &edges.rgba[4 * 16 * 8..4 * 16 * 9];
        let lines: Vec<usize> = (0..16).filter(|column| row[4 * column] == 255).collect();
        assert!(!lines.is_empty() && lines.iter().all(|column| (6..=9).contains(column)));
    }

    #[test]
    fn thresholds_that_are_not_possible_are_refused() {
        for (low, high) in [
            (0.0, 100.0),
            (120.0, 100.0),
            (f32::NAN, 1.0),
            (1.0, f32::INFINITY),
        ] {
            let of = EdgesOf::Color;
            let error = squares().edges(EdgeOptions { of, low, high }).unwrap_err();
            assert_eq!(error.code, ErrorCode::BadOption, "{error}");
        }
    }

    #[test]
    fn pictures_of_any_size_have_edges() {
        for (width, height) in [(1, 1), (1, 9), (2, 2), (3, 1)] {
            let rgba = (0..4 * width * height).map(|index| (index * 97) as u8);
            let picture = Picture {
                width,
                height,
                rgba: rgba.collect(),
            };
            let edges = picture
                .edges(EdgeOptions {
                    low: 1.0,
                    ..EdgeOptions::default()
                })
                .unwrap();
            assert_eq!((edges.width, edges.height), (width, height));
        }
    }
}
