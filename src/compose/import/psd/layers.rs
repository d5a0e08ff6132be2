//! Records as layers and groups, with their pictures.

use super::super::super::blend::BlendMode;
use super::super::super::operator::Operator;
use super::super::super::scene::Layer;
use super::super::super::scene_image::SceneImage;
use super::super::{PASSES_THROUGH, Pictures, any_mixes};
use super::channels::Unread;
use super::document::Document;
use super::pixels::Pixels;
use super::record::{Kind, Record, Section};
use crate::Result;

/// What makes layers of records.
pub(super) struct Reader {
    pub(super) pixels: Pixels,
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
            pixels: Pixels::of(document),
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
        let (picture, note) = match self.pixels.picture(record) {
            Ok(read) => read,
            Err(Unread::Damaged(reason)) => {
                self.warn(name, &format!("is left out: {reason}"));
                return Ok(None);
            }
            Err(Unread::Failed(error)) => return Err(error),
        };
        if let Some(note) = note {
            self.warn(name, note);
        }
        let path = self.pictures.add(name, SceneImage::Pixels(picture));
        let [top, left, ..] = record.area;
        let layer = Layer {
            x: left.into(),
            y: top.into(),
            ..Layer::picture(path)
        };
        Ok(Some(self.settings(record, record.blend, layer)))
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
