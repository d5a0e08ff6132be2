//! The sections of a file: what it is, its resources, its layers and its merged picture.

use super::super::bad_image;
use super::bytes::Bytes;
use super::damaged;
use super::record::{Record, block};
use crate::Result;

/// A file, taken apart.
pub(super) struct Document<'a> {
    /// Whether it is a PSB, whose lengths are wider.
    pub(super) large: bool,
    pub(super) width: usize,
    pub(super) height: usize,
    /// How many channels the merged picture has.
    pub(super) channels: usize,
    /// Bytes a sample: 1 or 2.
    pub(super) depth: usize,
    pub(super) is_grey: bool,
    /// The ICC profile.
    pub(super) profile: Option<&'a [u8]>,
    /// The layers and the ends of groups, bottom first; `None` if they cannot be made out.
    pub(super) records: Option<Vec<Record<'a>>>,
    /// Whether the merged picture has transparency behind its colours.
    pub(super) merged_alpha: bool,
    /// The merged picture, beginning with how it is compressed.
    pub(super) merged: &'a [u8],
}

impl<'a> Document<'a> {
    pub(super) fn read(file: &'a [u8]) -> Result<Self> {
        let mut bytes = Bytes(file);
        let mut document = Self::header(&mut bytes)?;
        let cut = || damaged("it is cut short");
        // A palette, which these kinds do not have.
        bytes.section(false).ok_or_else(cut)?;
        let resources = Resources::read(bytes.section(false).ok_or_else(cut)?);
        document.profile = resources.profile;
        let section = bytes.section(document.large).ok_or_else(cut)?;
        document.merged = bytes.0;
        let colors = if document.is_grey { 1 } else { 3 };
        document.merged_alpha = document.channels > colors && !resources.has_saved_channels;
        document.records = Some(Vec::new());
        if let Some(info) = layer_info(section, document.large) {
            document.records = records(info, document.large).map(|(transparent, records)| {
                document.merged_alpha = document.channels > colors && transparent;
                records
            });
        }
        Ok(document)
    }

    fn header(bytes: &mut Bytes) -> Result<Self> {
        let mut header = || -> Option<_> {
            bytes.take(4)?;
            let version = bytes.u16()?;
            bytes.take(6)?;
            let channels = bytes.u16()?;
            let [height, width] = [bytes.u32()?, bytes.u32()?];
            Some((version, channels, width, height, bytes.u16()?, bytes.u16()?))
        };
        let (version, channels, width, height, bits, mode) =
            header().ok_or_else(|| damaged("it is cut short"))?;
        if ![1, 2].contains(&version) {
            return Err(damaged("its version is not known"));
        }
        let refused = |what: String| {
            let hint = "convert it to RGB of 8 or 16 bits with the program that made it";
            bad_image(format!("it is {what}"), hint)
        };
        let is_grey = match mode {
            3 => false,
            1 => true,
            0 => return Err(refused("a bitmap of 1 bit".into())),
            2 => return Err(refused("in indexed colours".into())),
            4 => return Err(refused("in CMYK".into())),
            7 => {
                return Err(refused(
                    "in several channels of no colour (multichannel)".into(),
                ));
            }
            8 => return Err(refused("in duotone".into())),
            9 => return Err(refused("in Lab colours".into())),
            _ => return Err(damaged("its colour mode is not known")),
        };
        if ![8, 16].contains(&bits) {
            return Err(refused(format!("of {bits} bits a channel")));
        }
        Ok(Self {
            large: version == 2,
            width: width as usize,
            height: height as usize,
            channels: usize::from(channels),
            depth: usize::from(bits) / 8,
            is_grey,
            profile: None,
            records: None,
            merged_alpha: false,
            merged: &[],
        })
    }
}

/// What counts of the resources.
#[derive(Default)]
struct Resources<'a> {
    profile: Option<&'a [u8]>,
    /// Whether what lies behind the colours are selections that somebody saved.
    has_saved_channels: bool,
}

impl<'a> Resources<'a> {
    fn read(mut bytes: Bytes<'a>) -> Self {
        const ICC_PROFILE: u16 = 1039;
        const CHANNEL_NUMBERS: u16 = 1053;
        let mut found = Self::default();
        while let Some((number, data)) = resource(&mut bytes) {
            match number {
                ICC_PROFILE => found.profile = Some(data),
                // Transparency has the number 0.
                CHANNEL_NUMBERS => {
                    let (numbers, _) = data.as_chunks::<4>();
                    found.has_saved_channels =
                        !numbers.is_empty() && numbers.iter().all(|number| *number != [0; 4]);
                }
                _ => {}
            }
        }
        found
    }
}

/// The next resource: its number and what it holds.
fn resource<'a>(bytes: &mut Bytes<'a>) -> Option<(u16, &'a [u8])> {
    bytes.take(4)?;
    let number = bytes.u16()?;
    let name = usize::from(bytes.u8()?);
    // With its length it fills pairs of bytes, as does what follows.
    bytes.take(name + (name + 1) % 2)?;
    let data = bytes.section(false)?.0;
    bytes.take(data.len() % 2);
    Some((number, data))
}

/// The list of layers: at the section's beginning or, of 16 bits, in a block at its end. `None` if there is none.
fn layer_info(mut section: Bytes, large: bool) -> Option<Bytes> {
    let info = section.section(large)?;
    if !info.is_empty() {
        return Some(info);
    }
    // Masks for all layers together.
    section.section(false)?;
    while let Some((key, info)) = block(&mut section, large) {
        if [b"Lr16", b"Layr"].iter().any(|one| *one == key) {
            return Some(info);
        }
        let filled = info.0.len().next_multiple_of(4) - info.0.len();
        section.take(filled)?;
    }
    None
}

/// The records of a list, and whether it says that the merged picture has transparency.
fn records(mut info: Bytes, large: bool) -> Option<(bool, Vec<Record>)> {
    let count = info.i16()?;
    let mut records = Vec::new();
    let mut all_lengths = Vec::new();
    for _ in 0..count.unsigned_abs() {
        let (record, lengths) = Record::read(&mut info, large)?;
        records.push(record);
        all_lengths.push(lengths);
    }
    for (record, lengths) in records.iter_mut().zip(all_lengths) {
        for ((_, channel), length) in record.channels.iter_mut().zip(lengths) {
            // What is cut off is found when the channel is read.
            *channel = info
                .take(length)
                .unwrap_or_else(|| std::mem::take(&mut info.0));
        }
    }
    Some((count < 0, records))
}
