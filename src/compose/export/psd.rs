//! Photoshop's PSD, version 1, after the "Adobe Photoshop File Formats Specification": RGB of 8 bits
//! with transparency. All numbers are big-endian, and rows are compressed with [`pack_bits`].

use std::borrow::Borrow;

use super::super::blend::BlendMode;
use super::super::memory::reserve;
use super::super::operator::Operator;
use super::super::pack_bits::pack_bits;
use super::super::psd_blend;
use super::super::resolve::{Content, ResolvedLayer};
use super::super::scene::Scene;
use super::{export, place};
use crate::image::Picture;
use crate::{Error, ErrorCode, Result};

const FORMAT: &str = "PSD";

/// The number for compression with PackBits.
const PACK_BITS: [u8; 2] = [0, 1];

/// `scene` as a PSD file, with the flattened scene as its merged image.
///
/// `resolve` gives the picture at a path of the scene, as for [`flatten`](super::super::flatten); it
/// is asked for those of hidden layers, too. Opacity is rounded to a 255th.
///
/// Fails as `flatten` does, and with `bad_option` for a scene in linear light, too many layers, a
/// file of more than 2 GiB, and operators other than `source-over`. Only `source-atop` with blend mode
/// `normal` can be expressed, as clipping, where every layer between it and the lowest of its stack
/// is a `source-atop`, too.
pub fn to_psd<P: Borrow<Picture>>(
    scene: &Scene,
    resolve: impl FnMut(&str) -> Result<P>,
) -> Result<Vec<u8>> {
    export(scene, FORMAT, resolve, |layers, merged| {
        let mut records = Vec::new();
        add_records(layers, [scene.width, scene.height], &mut records)?;
        let planes = on_white(merged)?;
        let mut rows = Vec::new();
        write_rows(&planes, merged.width, &mut rows)?;
        let mut file = header(scene);
        let channels = records.iter().flat_map(|record| &record.channels);
        let channels: usize = channels.map(Vec::len).sum();
        /// More than a record takes: its names are the longest part of it.
        const LONGEST_RECORD: usize = 2048;
        reserve(
            &mut file,
            channels + rows.len() + (records.len() + 1) * LONGEST_RECORD,
        )?;
        // No palette and no resources.
        sized(&mut file, |_| ());
        sized(&mut file, |_| ());
        let count = i16::try_from(records.len()).map_err(|_| too_large("layers"))?;
        sized(&mut file, |section| {
            sized(section, |layers| {
                let start = layers.len();
                // Negative: the merged image's fourth channel is its transparency.
                layers.extend((-count).to_be_bytes());
                records.iter().for_each(|record| record.write(layers));
                for channel in records.iter().flat_map(|record| &record.channels) {
                    layers.extend(channel);
                }
                if layers.len() % 2 != start % 2 {
                    layers.push(0);
                }
            });
            // No masks for all layers together.
            sized(section, |_| ());
        });
        file.extend(PACK_BITS);
        file.extend(rows);
        // Lengths were written as if this held.
        match i32::try_from(file.len()) {
            Ok(_) => Ok(file),
            Err(_) => Err(too_large("bytes")),
        }
    })
}

fn too_large(what: &str) -> Error {
    Error::new(
        ErrorCode::BadOption,
        format!("the scene has too many {what} for a PSD file"),
        "use fewer or smaller layers",
    )
}

fn header(scene: &Scene) -> Vec<u8> {
    const CHANNELS: [u8; 2] = [0, 4];
    const BITS: [u8; 2] = [0, 8];
    const RGB: [u8; 2] = [0, 3];
    let mut file = b"8BPS\0\x01\0\0\0\0\0\0".to_vec();
    file.extend(CHANNELS);
    file.extend((scene.height as u32).to_be_bytes());
    file.extend((scene.width as u32).to_be_bytes());
    file.extend(BITS);
    file.extend(RGB);
    file
}

/// A layer as the file lists it. A group is two: its lower end first, its head after its layers.
struct Record {
    name: String,
    /// Top, left, bottom, right.
    area: [i32; 4],
    /// Compressed alpha, red, green and blue.
    channels: [Vec<u8>; 4],
    blend: BlendMode,
    opacity: u8,
    /// Whether the layer shows only where the next one below that is not clipped does.
    clipped: bool,
    visible: bool,
    section: Option<Section>,
}

/// Which end of a group a record is.
#[derive(Clone, Copy, PartialEq)]
enum Section {
    Head = 1,
    End = 3,
}

impl Record {
    /// A record without pixels.
    fn new(name: &str) -> Self {
        const NOT_COMPRESSED: [u8; 2] = [0, 0];
        Self {
            name: name.into(),
            area: [0; 4],
            channels: std::array::from_fn(|_| NOT_COMPRESSED.to_vec()),
            blend: BlendMode::Normal,
            opacity: 255,
            clipped: false,
            visible: true,
            section: None,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        const CHANNEL_IDS: [i16; 4] = [-1, 0, 1, 2];
        for edge in self.area {
            out.extend(edge.to_be_bytes());
        }
        out.extend(4u16.to_be_bytes());
        for (id, channel) in CHANNEL_IDS.into_iter().zip(&self.channels) {
            out.extend(id.to_be_bytes());
            out.extend((channel.len() as u32).to_be_bytes());
        }
        out.extend(b"8BIM");
        out.extend(psd_blend::key(self.blend));
        out.extend([self.opacity, u8::from(self.clipped)]);
        let hidden = if self.visible { 0 } else { 0b10 };
        // Groups have no pixels: the second bit says so, the first that it counts.
        let pixels = if self.section.is_some() { 0b11000 } else { 0 };
        out.extend([hidden | pixels, 0]);
        sized(out, |extra| {
            // Neither a mask nor limits on what is blended.
            sized(extra, |_| ());
            sized(extra, |_| ());
            self.write_names(extra);
            if let Some(section) = self.section {
                tagged(extra, b"lsct", |block| {
                    block.extend((section as u32).to_be_bytes());
                    block.extend(b"8BIM");
                    block.extend(psd_blend::key(self.blend));
                });
            }
        });
    }

    /// The name for old readers, ASCII, and in UTF-16: of both at most [`LONGEST_NAME`] units.
    fn write_names(&self, out: &mut Vec<u8>) {
        let name = shortened(&self.name);
        let ascii = name.chars().map(|character| match character {
            ' '..='~' => character as u8,
            _ => b'?',
        });
        let ascii: Vec<u8> = ascii.collect();
        let start = out.len();
        out.push(ascii.len() as u8);
        out.extend(ascii);
        let length = (out.len() - start).next_multiple_of(4);
        out.resize(start + length, 0);
        tagged(out, b"luni", |block| {
            let units: Vec<u16> = name.encode_utf16().collect();
            block.extend((units.len() as u32).to_be_bytes());
            block.extend(units.into_iter().flat_map(u16::to_be_bytes));
        });
    }
}

/// The most units of UTF-16 in the name of a layer: Photoshop takes no longer ones.
const LONGEST_NAME: usize = 255;

/// The beginning of a name that fits, without half a character.
fn shortened(name: &str) -> &str {
    let mut units = 0;
    let too_long = name.char_indices().find(|(_, character)| {
        units += character.len_utf16();
        units > LONGEST_NAME
    });
    too_long.map_or(name, |(at, _)| &name[..at])
}

/// Adds the records of `layers`, the lowest first.
fn add_records(
    layers: &[ResolvedLayer],
    scene_size: [usize; 2],
    records: &mut Vec<Record>,
) -> Result<()> {
    let mut clips = false;
    for (index, layer) in layers.iter().enumerate() {
        // Clipping counts from the next layer below that is not clipped, an operator from all that
        // lies below: the same as long as there is one such layer.
        clips = match (layer.blend, layer.operator) {
            (_, Operator::SourceOver) => false,
            (BlendMode::Normal, Operator::SourceAtop) if clips || index == 1 => true,
            _ => return Err(layer.inexpressible(FORMAT)),
        };
        let mut record = Record {
            blend: layer.blend,
            opacity: (layer.opacity * 255.0).round() as u8,
            clipped: clips,
            visible: layer.visible,
            ..Record::new(layer.name)
        };
        match &layer.content {
            Content::Picture(picture, transform) => {
                let placed = place(picture, transform, scene_size)?;
                let (width, height) = (placed.picture.width as i32, placed.picture.height as i32);
                let (top, left) = (placed.top, placed.left);
                record.area = [top, left, top + height, left + width];
                record.channels = compressed(&placed.picture)?;
            }
            Content::Group(layers) => {
                records.push(Record {
                    section: Some(Section::End),
                    ..Record::new("</Layer group>")
                });
                add_records(layers, scene_size, records)?;
                record.section = Some(Section::Head);
            }
        }
        records.push(record);
    }
    Ok(())
}

/// Alpha, red, green and blue of `picture`.
fn compressed(picture: &Picture) -> Result<[Vec<u8>; 4]> {
    let mut channels = [const { Vec::new() }; 4];
    for (out, channel) in channels.iter_mut().zip([3, 0, 1, 2]) {
        let (pixels, _) = picture.rgba.as_chunks::<4>();
        let mut plane = Vec::new();
        reserve(&mut plane, pixels.len())?;
        plane.extend(pixels.iter().map(|pixel| pixel[channel]));
        out.extend(PACK_BITS);
        write_rows(&plane, picture.width, out)?;
    }
    Ok(channels)
}

/// Compressed rows: first all their lengths, then all the rows.
fn write_rows(bytes: &[u8], width: usize, out: &mut Vec<u8>) -> Result<()> {
    let mut packed = Vec::new();
    for row in bytes.chunks_exact(width) {
        let start = packed.len();
        // Packing adds at most a 128th.
        reserve(&mut packed, width + width.div_ceil(128))?;
        pack_bits(row, &mut packed);
        // Rows have at most 16384 bytes.
        out.extend(((packed.len() - start) as u16).to_be_bytes());
    }
    reserve(out, packed.len())?;
    out.extend(packed);
    Ok(())
}

/// Planes of red, green, blue and alpha, the colours on white by their alpha: what Photoshop stores
/// of a merged image, and what readers undo.
fn on_white(merged: &Picture) -> Result<Vec<u8>> {
    let (pixels, _) = merged.rgba.as_chunks::<4>();
    let mut planes = Vec::new();
    reserve(&mut planes, merged.rgba.len())?;
    for channel in 0..3 {
        planes.extend(pixels.iter().map(|pixel| {
            let (value, alpha) = (u32::from(pixel[channel]), u32::from(pixel[3]));
            ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        }));
    }
    planes.extend(pixels.iter().map(|pixel| pixel[3]));
    Ok(planes)
}

/// Appends what `write` does, its length in front.
fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    write(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a block of further information about a layer.
fn tagged(out: &mut Vec<u8>, key: &[u8; 4], write: impl FnOnce(&mut Vec<u8>)) {
    out.extend(b"8BIM");
    out.extend(key);
    sized(out, |block| {
        let start = block.len();
        write(block);
        let length = (block.len() - start).next_multiple_of(4);
        block.resize(start + length, 0);
    });
}
