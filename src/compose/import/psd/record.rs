//! What a file says of a layer, before its channels.

use super::bytes::Bytes;

/// The edges of a layer or a mask: top, left, bottom, right.
pub(super) type Area = [i32; 4];

/// A layer, or one end of a group.
pub(super) struct Record<'a> {
    pub(super) name: String,
    pub(super) area: Area,
    /// What each channel is, and its bytes, which begin with how they are compressed.
    pub(super) channels: Vec<(i16, &'a [u8])>,
    pub(super) blend: [u8; 4],
    /// Of 255, that of the layer times that of its filling.
    pub(super) opacity: f64,
    pub(super) clipped: bool,
    pub(super) visible: bool,
    pub(super) section: Option<Section>,
    /// What is said of a mask, which some programs do of none.
    mask: Option<Mask>,
    /// What the layer is, if its pixels are not all of it.
    pub(super) kind: Option<Kind>,
    /// What else it has that is not read.
    pub(super) unread: Vec<&'static str>,
}

/// Which end of a group a record is.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Section {
    /// The upper one, with the group's own blend mode if it says one.
    Head(Option<[u8; 4]>),
    /// The lower one.
    End,
}

/// A layer's mask.
#[derive(Clone, Copy)]
pub(super) struct Mask {
    pub(super) area: Area,
    /// What it is outside of its area.
    pub(super) outside: u8,
    pub(super) disabled: bool,
    pub(super) inverted: bool,
}

/// What a layer is beside pixels.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Changes what lies below it, and has no pixels.
    Adjustment(&'static str),
    /// Has pixels that show it as it was last seen.
    Drawn(&'static str),
}

/// The channel of alpha.
pub(super) const ALPHA: i16 = -1;

/// The channel of the mask.
pub(super) const MASK: i16 = -2;

impl<'a> Record<'a> {
    /// Reads one record; its channels have no bytes yet, but their lengths, which come beside it.
    pub(super) fn read(bytes: &mut Bytes<'a>, large: bool) -> Option<(Self, Vec<usize>)> {
        let area = area(bytes)?;
        let count = bytes.u16()?;
        let mut channels = Vec::new();
        let mut lengths = Vec::new();
        for _ in 0..count {
            channels.push((bytes.i16()?, &[][..]));
            lengths.push(bytes.length(large)?);
        }
        bytes.take(4).filter(|signature| *signature == b"8BIM")?;
        let blend = bytes.array()?;
        let [opacity, clipping, flags, _] = bytes.array()?;
        let mut record = Self {
            name: String::new(),
            area,
            channels,
            blend,
            opacity: f64::from(opacity) / 255.0,
            clipped: clipping != 0,
            visible: flags & 0b10 == 0,
            section: None,
            mask: None,
            kind: None,
            unread: Vec::new(),
        };
        let mut extra = bytes.section(false)?;
        let mask = extra.section(false)?;
        record.mask = (!mask.is_empty()).then(|| read_mask(mask)).flatten();
        let ranges = extra.section(false)?;
        // Pairs of black and white for each channel, of the layer and of what lies below it.
        if ranges.0.chunks(4).any(|range| range != [0, 0, 255, 255]) {
            record.unread.push("limits on the tones that are mixed");
        }
        record.name = pascal_name(&mut extra)?;
        while let Some((key, block)) = block(&mut extra, large) {
            record.read_block(key, block);
        }
        Some((record, lengths))
    }

    /// Takes in what a block says.
    fn read_block(&mut self, key: &[u8], mut block: Bytes<'a>) {
        match key {
            b"luni" => self.name = unicode_name(block).unwrap_or_else(|| self.name.clone()),
            b"lsct" | b"lsdk" => {
                let kind = block.u32();
                let blend = block.take(4).and_then(|_| block.array());
                self.section = match kind {
                    Some(1 | 2) => Some(Section::Head(blend)),
                    Some(3) => Some(Section::End),
                    _ => None,
                };
            }
            b"iOpa" => self.opacity *= f64::from(block.u8().unwrap_or(255)) / 255.0,
            b"knko" if block.u8() == Some(1) => self.unread.push("knockout"),
            b"brst" if !block.is_empty() => self.unread.push("channels that are not mixed"),
            b"lrFX" | b"lfx2" | b"lmfx" => {
                if !self.unread.contains(&EFFECTS) {
                    self.unread.push(EFFECTS);
                }
            }
            b"vmsk" | b"vsms" => self.unread.push("a vector mask"),
            b"artb" | b"artd" | b"abdd" => self.unread.push("an artboard"),
            _ => self.kind = kind(key).or(self.kind),
        }
    }

    /// The layer's mask, if it has one.
    pub(super) fn mask(&self) -> Option<Mask> {
        let is_there = self.channels.iter().any(|(id, _)| *id == MASK);
        self.mask.filter(|_| is_there)
    }

    /// Width and height.
    pub(super) fn size(&self) -> [i64; 2] {
        size(&self.area)
    }
}

const EFFECTS: &str = "effects";

/// Width and height of an area, which may be negative.
pub(super) fn size(area: &Area) -> [i64; 2] {
    let [top, left, bottom, right] = area.map(i64::from);
    [right - left, bottom - top]
}

fn area(bytes: &mut Bytes) -> Option<Area> {
    Some([bytes.i32()?, bytes.i32()?, bytes.i32()?, bytes.i32()?])
}

fn read_mask(mut bytes: Bytes) -> Option<Mask> {
    let area = area(&mut bytes)?;
    let [outside, flags] = bytes.array()?;
    Some(Mask {
        area,
        outside,
        disabled: flags & 0b10 != 0,
        inverted: flags & 0b100 != 0,
    })
}

/// The letters of Mac Roman from 128 on.
const MAC_ROMAN: &str = "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø\
    ¿¡¬√ƒ≈∆«»… ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ";

/// The name for old readers: a length, letters of no stated encoding, and what fills up to four bytes.
fn pascal_name(bytes: &mut Bytes) -> Option<String> {
    let length = usize::from(bytes.u8()?);
    let letters = bytes.take(length)?;
    let filled = (1 + length).next_multiple_of(4) - (1 + length);
    bytes.take(filled)?;
    Some(match str::from_utf8(letters) {
        Ok(name) => name.into(),
        // As Photoshop began it, and other programs write it.
        Err(_) => letters
            .iter()
            .map(|letter| from_mac_roman(*letter))
            .collect(),
    })
}

fn from_mac_roman(letter: u8) -> char {
    let known = letter.checked_sub(128);
    let known = known.and_then(|index| MAC_ROMAN.chars().nth(index.into()));
    known.unwrap_or(char::from(letter))
}

fn unicode_name(mut bytes: Bytes) -> Option<String> {
    let count = usize::try_from(bytes.u32()?).ok()?;
    let (units, _) = bytes.take(count.checked_mul(2)?)?.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
    let name: String = char::decode_utf16(units)
        .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    // Some programs end it as C does.
    Some(name.trim_end_matches('\0').into())
}

/// The blocks whose length large documents have in 8 bytes.
const LARGE_BLOCKS: [&[u8; 4]; 13] = [
    b"LMsk", b"Lr16", b"Lr32", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph", b"FMsk", b"lnk2",
    b"FEid", b"FXid", b"PxSD",
];

/// The next block of further information: its key and what it holds. `None` at the end, and where there is
/// anything else.
pub(super) fn block<'a>(bytes: &mut Bytes<'a>, large: bool) -> Option<(&'a [u8], Bytes<'a>)> {
    let signature = bytes.take(4)?;
    if ![b"8BIM", b"8B64"].contains(&signature.first_chunk()?) {
        return None;
    }
    let key = bytes.take(4)?;
    let long = large && LARGE_BLOCKS.iter().any(|one| *one == key);
    Some((key, bytes.section(long)?))
}

/// What a layer is that has such a block.
fn kind(key: &[u8]) -> Option<Kind> {
    let drawn = |what| Some(Kind::Drawn(what));
    let adjustment = |what| Some(Kind::Adjustment(what));
    match key {
        b"TySh" | b"tySh" => drawn("text"),
        b"SoLd" | b"SoLE" | b"PlLd" | b"plLd" => drawn("a smart object"),
        b"SoCo" => drawn("a filling with a colour"),
        b"GdFl" => drawn("a filling with a gradient"),
        b"PtFl" => drawn("a filling with a pattern"),
        b"brit" | b"CgEd" => adjustment("brightness and contrast"),
        b"levl" => adjustment("levels"),
        b"curv" => adjustment("curves"),
        b"expA" => adjustment("exposure"),
        b"vibA" => adjustment("vibrance"),
        b"hue " | b"hue2" => adjustment("hue and saturation"),
        b"blnc" => adjustment("colour balance"),
        b"blwh" => adjustment("black and white"),
        b"phfl" => adjustment("photo filter"),
        b"mixr" => adjustment("channel mixer"),
        b"clrL" => adjustment("colour lookup"),
        b"nvrt" => adjustment("invert"),
        b"post" => adjustment("posterize"),
        b"thrs" => adjustment("threshold"),
        b"grdm" => adjustment("gradient map"),
        b"selc" => adjustment("selective colour"),
        _ => None,
    }
}
