//! Records as layers and groups, with their pictures.

use super::super::super::blend::BlendMode;
use super::super::super::operator::Operator;
use super::super::super::scene::{Layer, MAX_SIDE};
use super::super::super::scene_image::SceneImage;
use super::super::{PASSES_THROUGH, Pictures, any_mixes};
use super::channels::{Shape, Unread, samples};
use super::colors::Colors;
use super::damaged;
use super::document::Document;
use super::record::{ALPHA, Kind, MASK, Mask, Record, Section, size};
use crate::image::Picture;
use crate::{Error, ErrorCode, Result};

/// The most bytes that all pictures of a file together take in memory.
const MAX_BYTES: usize = 1 << 30;

/// What a layer's pixels are, or why there are none.
type Pixels<T> = std::result::Result<T, Unread>;

pub(super) struct Reader {
    large: bool,
    depth: usize,
    colors: Colors,
    /// How many bytes of pictures may still be.
    room: usize,
    pub(super) pictures: Pictures,
    pub(super) warnings: Vec<String>,
}

/// A layer among its neighbours. One that is left out may still be what others are clipped to.
struct Item {
    layer: Option<Layer>,
    clipped: bool,
}

impl Reader {
    pub(super) fn new(document: &Document) -> Self {
        Self {
            large: document.large,
            depth: document.depth,
            colors: Colors::of(document),
            room: MAX_BYTES,
            pictures: Pictures::default(),
            warnings: Vec::new(),
        }
    }

    fn warn(&mut self, name: &str, what: &str) {
        self.warnings.push(format!("layer {name:?} {what}"));
    }

    /// The layers that `records` list, bottom first.
    pub(super) fn layers(&mut self, records: &[Record]) -> Result<Vec<Layer>> {
        let mut lowest = Vec::new();
        // What is in the groups that are open, the outermost first.
        let mut open: Vec<Vec<Item>> = Vec::new();
        for record in records {
            let item = match record.section {
                Some(Section::End) => {
                    open.push(Vec::new());
                    continue;
                }
                Some(Section::Head(blend)) => self.group(record, blend, open.pop()),
                None => self.layer(record)?,
            };
            open.last_mut().unwrap_or(&mut lowest).push(Item {
                layer: item,
                clipped: record.clipped,
            });
        }
        while let Some(items) = open.pop() {
            self.warnings
                .push("a group has no head; its layers lie where it was".into());
            open.last_mut().unwrap_or(&mut lowest).extend(items);
        }
        Ok(self.unclipped(lowest))
    }

    fn group(
        &mut self,
        record: &Record,
        blend: Option<[u8; 4]>,
        items: Option<Vec<Item>>,
    ) -> Option<Layer> {
        if items.is_none() {
            self.warn(&record.name, "is a group without a lower end; it is empty");
        }
        self.tell_of_unread(record);
        if record.mask().is_some_and(|mask| !mask.disabled) {
            self.warn(
                &record.name,
                "has a mask, which is left out, as it is a group's",
            );
        }
        let group = Layer::group(self.unclipped(items.unwrap_or_default()));
        let blend = blend.unwrap_or(record.blend);
        let passes = blend == *b"pass";
        let layers = group.layers.as_deref().unwrap_or_default();
        if passes && any_mixes(layers, &|layer| layer.blend != BlendMode::Normal) {
            self.warn(&record.name, PASSES_THROUGH);
        }
        Some(self.settings(record, if passes { *b"norm" } else { blend }, group))
    }

    /// `layer` with the name and mixing of a record.
    fn settings(&mut self, record: &Record, blend: [u8; 4], layer: Layer) -> Layer {
        let name = &record.name;
        let known = blend_mode(&blend);
        if known.is_none() {
            let key = String::from_utf8_lossy(&blend);
            let what = unknown_blend(&blend).unwrap_or(key.trim());
            self.warn(
                name,
                &format!("mixes in a way that is not known ({what}); it is taken as normal"),
            );
        }
        Layer {
            name: Some(name.clone()),
            opacity: record.opacity,
            blend: known.unwrap_or_default(),
            visible: record.visible,
            ..layer
        }
    }

    fn tell_of_unread(&mut self, record: &Record) {
        for what in &record.unread {
            self.warn(&record.name, &format!("has {what}, which is left out"));
        }
    }

    /// A layer with its picture; `None` if it is left out, which is said.
    fn layer(&mut self, record: &Record) -> Result<Option<Layer>> {
        let name = &record.name;
        self.tell_of_unread(record);
        match record.kind {
            Some(Kind::Adjustment(what)) => {
                self.warn(
                    name,
                    &format!("changes what lies below it ({what}); it is left out"),
                );
                return Ok(None);
            }
            Some(Kind::Drawn(what)) => {
                self.warn(
                    name,
                    &format!("is {what}; it is taken as the pixels that show it"),
                );
            }
            None => {}
        }
        let picture = match self.picture(record) {
            Ok(picture) => picture,
            Err(Unread::Damaged(reason)) => {
                self.warn(name, &format!("is left out: {reason}"));
                return Ok(None);
            }
            Err(Unread::OutOfMemory(error)) => return Err(error),
        };
        let path = self.pictures.add(name, SceneImage::Pixels(picture));
        let [top, left, ..] = record.area;
        let layer = Layer {
            x: left.into(),
            y: top.into(),
            ..Layer::picture(path)
        };
        Ok(Some(self.settings(record, record.blend, layer)))
    }

    fn picture(&mut self, record: &Record) -> Pixels<Picture> {
        let Some([width, height]) = sides(record.size())? else {
            // One that nobody has painted on.
            return Ok(Picture {
                width: 1,
                height: 1,
                rgba: vec![0; 4],
            });
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
        if let Some(mask) = record.mask() {
            self.apply(record, mask, width, &mut rgba)?;
        }
        Ok(Picture {
            width,
            height,
            rgba,
        })
    }

    fn make_room(&mut self, width: usize, height: usize) -> Result<()> {
        let bytes = 4 * width * height;
        self.room = self.room.checked_sub(bytes).ok_or_else(|| {
            Error::new(
                ErrorCode::OutOfMemory,
                format!("its layers take more than {} MiB", MAX_BYTES >> 20),
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
    ) -> Pixels<Option<Vec<u8>>> {
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
    fn apply(&mut self, record: &Record, mask: Mask, width: usize, rgba: &mut [u8]) -> Pixels<()> {
        let name = &record.name;
        if mask.disabled {
            self.warn(name, "has a mask that is switched off; it is left out");
            return Ok(());
        }
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
        self.warn(name, "has a mask, which is made part of its alpha");
        Ok(())
    }

    /// The merged picture, whose colours lie on white by their alpha.
    pub(super) fn merged(&mut self, document: &Document) -> Result<Picture> {
        let Document { width, height, .. } = *document;
        let shape = self.shape(width, height);
        let colors = self.colors.count;
        let wanted = colors + usize::from(document.merged_alpha);
        let unread = |unread| match unread {
            Unread::Damaged(reason) => damaged(&format!("of its merged picture {reason}")),
            Unread::OutOfMemory(error) => error,
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
        if document.channels > wanted {
            self.warnings
                .push("it has channels beside its colours, which are left out".into());
        }
        Ok(Picture {
            width,
            height,
            rgba,
        })
    }

    /// A stack in which what is clipped is `source-atop` of what it is clipped to. Unless that is the lowest
    /// layer, the two become a group, which is mixed as the lower one was.
    fn unclipped(&mut self, items: Vec<Item>) -> Vec<Layer> {
        let mut layers = Vec::new();
        let mut items = items.into_iter().peekable();
        while let Some(base) = items.next() {
            let mut clipped = Vec::new();
            while let Some(item) = items.next_if(|item| item.clipped) {
                clipped.extend(item.layer);
            }
            let Some(base) = base.layer else {
                for layer in &clipped {
                    let name = layer.name.clone().unwrap_or_default();
                    self.warn(
                        &name,
                        "is clipped to a layer that is left out; it is not clipped",
                    );
                }
                layers.extend(clipped);
                continue;
            };
            clipped
                .iter_mut()
                .for_each(|layer| layer.operator = Operator::SourceAtop);
            if clipped.is_empty() || layers.is_empty() {
                layers.push(base);
                layers.extend(clipped);
            } else {
                layers.push(clipping_group(base, clipped));
            }
        }
        layers
    }
}

/// A layer with what is clipped to it.
fn clipping_group(base: Layer, clipped: Vec<Layer>) -> Layer {
    let group = Layer {
        name: base.name.clone(),
        opacity: base.opacity,
        blend: base.blend,
        visible: base.visible,
        ..Layer::default()
    };
    let base = Layer {
        opacity: 1.0,
        blend: BlendMode::Normal,
        visible: true,
        ..base
    };
    Layer {
        layers: Some([vec![base], clipped].concat()),
        ..group
    }
}

/// The sides of an area as a picture has them; `None` if it is empty.
fn sides([width, height]: [i64; 2]) -> Pixels<Option<[usize; 2]>> {
    if width <= 0 || height <= 0 {
        return Ok(None);
    }
    match width.max(height) <= MAX_SIDE as i64 {
        true => Ok(Some([width as usize, height as usize])),
        false => Err(Unread::Damaged("it is more than 16384 pixels long")),
    }
}

/// The blend mode that four letters stand for.
fn blend_mode(key: &[u8; 4]) -> Option<BlendMode> {
    let known = BlendMode::ALL.iter();
    known
        .copied()
        .find(|mode| super::super::super::psd_blend::key(*mode) == key)
}

/// What the letters of a mode mean that there is none for.
fn unknown_blend(key: &[u8; 4]) -> Option<&'static str> {
    Some(match key {
        b"diss" => "dissolve",
        b"lbrn" => "linear burn",
        b"lddg" => "linear dodge",
        b"lLit" => "linear light",
        b"vLit" => "vivid light",
        b"pLit" => "pin light",
        b"hMix" => "hard mix",
        b"dkCl" => "darker colour",
        b"lgCl" => "lighter colour",
        b"fsub" => "subtract",
        b"fdiv" => "divide",
        _ => return None,
    })
}
