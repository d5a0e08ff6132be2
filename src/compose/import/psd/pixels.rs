//! The pictures of layers, and that of the whole.

use super::super::super::scene::MAX_SIDE;
use super::super::bad_image;
use super::channels::{Shape, Unread, samples};
use super::colors::Colors;
use super::damaged;
use super::document::Document;
use super::record::{ALPHA, MASK, Mask, Record, size};
use crate::Result;
use crate::image::Picture;

/// The most bytes that all pictures of a file together take in memory.
const MAX_BYTES: usize = 1 << 30;

/// What was read, or why it was not.
type Read<T> = std::result::Result<T, Unread>;

/// What reads the pixels of a file.
pub(super) struct Pixels {
    large: bool,
    depth: usize,
    colors: Colors,
    /// How many bytes of pictures may still be.
    room: usize,
}

impl Pixels {
    pub(super) fn of(document: &Document) -> Self {
        Self {
            large: document.large,
            depth: document.depth,
            colors: Colors::of(document),
            room: MAX_BYTES,
        }
    }

    /// The picture of a layer, and what there is to be said of its mask.
    pub(super) fn picture(&mut self, record: &Record) -> Read<(Picture, Option<&'static str>)> {
        let Some([width, height]) = sides(record.size())? else {
            // One that nobody has painted on.
            let picture = Picture {
                width: 1,
                height: 1,
                rgba: vec![0; 4],
            };
            return Ok((picture, None));
        };
        self.make_room(width, height)?;
        let mut planes = Vec::new();
        for id in 0..self.colors.count as i16 {
            let plane = self.plane(record, id, [width, height])?;
            planes.push(plane.ok_or(Unread::Damaged("a channel of its colours is missing"))?);
        }
        let alpha = self.plane(record, ALPHA, [width, height])?;
        let planes: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
        let mut rgba = self.colors.rgba(&planes, alpha.as_deref())?;
        let note = match record.mask() {
            Some(mask) if mask.disabled => Some("has a mask that is switched off; it is left out"),
            Some(mask) => {
                self.apply(record, mask, width, &mut rgba)?;
                Some("has a mask, which is made part of its alpha")
            }
            None => None,
        };
        let picture = Picture {
            width,
            height,
            rgba,
        };
        Ok((picture, note))
    }

    fn make_room(&mut self, width: usize, height: usize) -> Result<()> {
        let bytes = 4 * width * height;
        self.room = self.room.checked_sub(bytes).ok_or_else(|| {
            let most = MAX_BYTES >> 20;
            bad_image(
                format!("its layers take more than {most} MiB"),
                "merge some of them",
            )
        })?;
        Ok(())
    }

    /// The samples of a layer's channel; `None` if it has none of this kind.
    fn plane(
        &self,
        record: &Record,
        id: i16,
        [width, height]: [usize; 2],
    ) -> Read<Option<Vec<u8>>> {
        let channel = record.channels.iter().find(|(other, _)| *other == id);
        let shape = self.shape(width, height);
        channel
            .map(|(_, bytes)| samples(bytes, shape, 1, 1))
            .transpose()
    }

    fn shape(&self, width: usize, height: usize) -> Shape {
        Shape {
            width,
            height,
            depth: self.depth,
            large: self.large,
        }
    }

    /// Makes a layer's mask part of its alpha.
    fn apply(&self, record: &Record, mask: Mask, width: usize, rgba: &mut [u8]) -> Read<()> {
        let sides = sides(size(&mask.area))?;
        let plane = match sides {
            Some(sides) => self.plane(record, MASK, sides)?,
            None => None,
        };
        let plane = plane.map(|plane| self.colors.bytes(plane));
        let columns = sides.map_or(0, |[columns, _]| columns as i64);
        let [mask_top, mask_left, ..] = mask.area.map(i64::from);
        let [top, left, ..] = record.area.map(i64::from);
        let (pixels, _) = rgba.as_chunks_mut::<4>();
        for (index, pixel) in pixels.iter_mut().enumerate() {
            let x = left + (index % width) as i64 - mask_left;
            let y = top + (index / width) as i64 - mask_top;
            let place = (0..columns).contains(&x).then(|| y * columns + x);
            let inside = place.and_then(|place| plane.as_ref()?.get(usize::try_from(place).ok()?));
            let value = inside.copied().unwrap_or(mask.outside);
            let value = u32::from(if mask.inverted { 255 - value } else { value });
            pixel[3] = ((u32::from(pixel[3]) * value + 127) / 255) as u8;
        }
        Ok(())
    }

    /// How many channels of the merged picture count.
    pub(super) fn merged_channels(&self, document: &Document) -> usize {
        self.colors.count + usize::from(document.merged_alpha)
    }

    /// The merged picture, whose colours lie on white by their alpha.
    pub(super) fn merged(&self, document: &Document) -> Result<Picture> {
        let Document { width, height, .. } = *document;
        let shape = self.shape(width, height);
        let colors = self.colors.count;
        let wanted = self.merged_channels(document);
        let unread = |unread| match unread {
            Unread::Damaged(reason) => damaged(&format!("of its merged picture {reason}")),
            Unread::Failed(error) => error,
        };
        if document.channels < wanted {
            return Err(damaged("its merged picture has too few channels"));
        }
        let samples = samples(document.merged, shape, document.channels, wanted).map_err(unread)?;
        let planes: Vec<&[u8]> = samples.chunks_exact(shape.bytes()).collect();
        let (planes, alpha) = planes.split_at(colors);
        let mut rgba = self.colors.rgba(planes, alpha.first().copied())?;
        for pixel in rgba.as_chunks_mut::<4>().0 {
            let alpha = i32::from(pixel[3]);
            if (1..255).contains(&alpha) {
                for value in &mut pixel[..3] {
                    let above_white = (i32::from(*value) + alpha - 255) * 255;
                    *value = ((above_white + alpha / 2) / alpha).clamp(0, 255) as u8;
                }
            }
        }
        Ok(Picture {
            width,
            height,
            rgba,
        })
    }
}

/// The sides of an area as a picture has them; `None` if it is empty.
fn sides([width, height]: [i64; 2]) -> Read<Option<[usize; 2]>> {
    if width <= 0 || height <= 0 {
        return Ok(None);
    }
    match width.max(height) <= MAX_SIDE as i64 {
        true => Ok(Some([width as usize, height as usize])),
        false => Err(Unread::Damaged("it is more than 16384 pixels long")),
    }
}
