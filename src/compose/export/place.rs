//! Layers as pictures at whole pixels of the scene.

use std::borrow::Cow;
use std::ops::Range;

use super::super::color::{ColorSpace, Decoder};
use super::super::memory::transparent_bytes;
use super::super::placed::PlacedPicture;
use super::super::row::Row;
use super::super::scene::MAX_SIDE;
use super::super::transform::Transform;
use crate::Result;
use crate::image::Picture;

/// A picture whose top left pixel lies at a place in the scene.
pub(super) struct Placed<'a> {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) picture: Cow<'a, Picture>,
}

/// `picture` as it appears where `transform` puts it in a scene of `scene_size`, colours in sRGB.
///
/// Parts outside the scene are kept, unless the layer is longer than [`MAX_SIDE`] or lies further
/// away than that; then only the part inside the scene is, and one transparent pixel if there is
/// none.
pub(super) fn place<'a>(
    picture: &'a Picture,
    transform: &Transform,
    scene_size: [usize; 2],
) -> Result<Placed<'a>> {
    let size = [picture.width, picture.height];
    let mut area = covered(size, transform);
    let near = |span: &Range<i64>| {
        let limit = MAX_SIDE as i64;
        span.start >= -limit && span.end <= 2 * limit && span.end - span.start <= limit
    };
    let whole = area.iter().all(near);
    if !whole {
        for (span, side) in area.iter_mut().zip(scene_size) {
            *span = span.start.clamp(0, side as i64)..span.end.clamp(0, side as i64);
        }
    }
    if area.iter().any(Range::is_empty) {
        area = [0..1, 0..1];
    }
    let [left, top] = area.each_ref().map(|span| span.start);
    let picture = match transform.whole_shift() {
        Some(_) if whole => Cow::Borrowed(picture),
        _ => Cow::Owned(draw(picture, transform, &area)?),
    };
    Ok(Placed {
        left: left as i32,
        top: top as i32,
        picture,
    })
}

/// The columns and rows of the scene's pixels that a picture of `size` has a part in.
fn covered(size: [usize; 2], transform: &Transform) -> [Range<i64>; 2] {
    // The outline is antialiased over a pixel, half of which lies outside.
    let margin = 0.5 / transform.scale();
    let [right, bottom] = size.map(|side| side as f64 + margin);
    let corners = [
        [-margin, -margin],
        [right, -margin],
        [-margin, bottom],
        [right, bottom],
    ];
    let corners = corners.map(|corner| transform.apply(corner));
    [0, 1].map(|axis| {
        let ends = corners.map(|corner| corner[axis]);
        let low = ends.into_iter().fold(f64::INFINITY, f64::min);
        let high = ends.into_iter().fold(f64::NEG_INFINITY, f64::max);
        // A pixel counts if its centre lies within; far beyond any scene the end is no matter.
        let whole = |value: f64| value.clamp(-1e9, 1e9) as i64;
        whole((low - 0.5).floor()) + 1..whole((high - 0.5).ceil())
    })
}

/// The pixels `area` of the scene with `picture` alone in it.
fn draw(picture: &Picture, transform: &Transform, area: &[Range<i64>; 2]) -> Result<Picture> {
    let [left, top] = area.each_ref().map(|span| span.start as f64);
    let [width, height] = area.each_ref().map(|span| (span.end - span.start) as usize);
    let [x, y] = transform.origin;
    let moved = Transform {
        origin: [x - left, y - top],
        ..*transform
    };
    let space = ColorSpace::Srgb;
    let decoder = Decoder::new(space);
    let placed = PlacedPicture::new(picture, &decoder, &moved)?;
    let mut rgba = transparent_bytes(4 * width * height)?;
    let mut row = Row::new(width)?;
    for (y, bytes) in rgba.chunks_exact_mut(4 * width).enumerate() {
        row.fill([0.0; 4]);
        placed.read_row(y, width, 1.0, |x, pixels| row.set_four(x, pixels));
        row.write(space, bytes);
    }
    Ok(Picture {
        width,
        height,
        rgba,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize) -> Picture {
        Picture {
            width,
            height,
            rgba: [10, 20, 30, 0].repeat(width * height),
        }
    }

    fn turned(degrees: f64, shift: [f64; 2]) -> Transform {
        Transform::about([2.0, 1.0], false, 1.0, degrees, shift)
    }

    #[test]
    fn what_is_only_moved_keeps_its_bytes() {
        let picture = picture(4, 2);
        let placed = place(&picture, &turned(0.0, [-3.0, 7.0]), [8, 8]).unwrap();
        assert_eq!((placed.left, placed.top), (-3, 7));
        assert!(matches!(placed.picture, Cow::Borrowed(same) if *same == picture));
    }

    #[test]
    fn the_area_is_what_the_picture_covers() {
        assert_eq!(covered([4, 2], &turned(90.0, [0.0, 0.0])), [1..3, -1..3]);
        assert_eq!(covered([4, 2], &turned(0.0, [0.5, 0.0])), [0..5, 0..2]);
        // With half a pixel around it, it reaches (2.5 + 1.5) / √2 = 2.83 from the centre.
        assert_eq!(covered([4, 2], &turned(45.0, [0.0, 0.0])), [-1..5, -2..4]);
    }

    #[test]
    fn what_is_far_away_is_cut_to_the_scene() {
        let picture = picture(4, 2);
        let placed = place(&picture, &turned(0.0, [1e12, 0.0]), [8, 8]).unwrap();
        assert_eq!((placed.left, placed.top), (0, 0));
        assert_eq!((placed.picture.width, placed.picture.height), (1, 1));
        let huge = Transform::about([2.0, 1.0], false, 1e6, 0.0, [0.0, 0.0]);
        let placed = place(&picture, &huge, [8, 6]).unwrap();
        assert_eq!((placed.picture.width, placed.picture.height), (8, 6));
    }
}
