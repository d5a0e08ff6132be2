//! Texts in PNG, JPEG and WebP files.
//!
//! Files come from strangers: no length that one states is trusted further than the bytes that are there, and all
//! texts of a file together are unpacked up to a bound.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::{exif, xmp};

/// The most bytes of a file's texts, unpacked and all together.
pub(super) const MAX_BYTES: usize = 8 << 20;

/// The most texts of a file.
const MAX_TEXTS: usize = 256;

/// The keyword or the chunk of glassine's own recipe, as JSON.
pub(in crate::image) const OWN: &str = "glassine";

/// The chunk of it in a WebP.
pub(in crate::image) const OWN_CHUNK: &[u8; 4] = b"GLSN";

/// The keyword by which the web UIs know how a picture was made.
pub(in crate::image) const PARAMETERS: &str = "parameters";

/// The keyword of XMP data in a PNG.
const XMP: &str = "XML:com.adobe.xmp";

/// The texts in a file.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// With their keywords, which are empty for those of comments.
    pub all: Vec<(String, String)>,
    /// Whether there were more than fit.
    pub too_long: bool,
    room: usize,
}

impl Texts {
    /// Those of a picture's file; `None` if it is none.
    pub fn of(file: &[u8]) -> Option<Self> {
        let mut texts = Self {
            room: MAX_BYTES,
            ..Self::default()
        };
        match file {
            [
                0x89,
                b'P',
                b'N',
                b'G',
                b'\r',
                b'\n',
                0x1a,
                b'\n',
                chunks @ ..,
            ] => texts.read_png(chunks),
            [0xff, 0xd8, segments @ ..] => texts.read_jpeg(segments),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                chunks @ ..,
            ] => texts.read_webp(chunks),
            _ => return None,
        }
        Some(texts)
    }

    /// The first text of that keyword, in any case.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        let mut all = self.all.iter();
        let found = all.find(|(own, _)| own.eq_ignore_ascii_case(keyword))?;
        Some(&found.1)
    }

    fn read_png(&mut self, mut rest: &[u8]) {
        while let Some((length, tail)) = rest.split_first_chunk::<4>()
            && let Some((kind, tail)) = tail.split_first_chunk::<4>()
            && let Some((data, tail)) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)
        {
            match kind {
                b"tEXt" => self.read_text(data),
                b"zTXt" => self.read_packed(data),
                b"iTXt" => self.read_international(data),
                b"eXIf" => self.add_comments(exif::texts(data)),
                _ => {}
            }
            // Behind the checksum.
            rest = tail.get(4..).unwrap_or_default();
        }
    }

    fn read_text(&mut self, data: &[u8]) {
        if let Some((keyword, text)) = named(data)
            && self.fits(text)
        {
            self.add(keyword, narrow(text));
        }
    }

    fn read_packed(&mut self, data: &[u8]) {
        if let Some((keyword, [0, packed @ ..])) = named(data)
            && let Some(text) = self.unpacked(packed)
        {
            self.add(keyword, narrow(&text));
        }
    }

    fn read_international(&mut self, data: &[u8]) {
        if let Some((keyword, [packed, _, rest @ ..])) = named(data)
            && let Some((_, rest)) = split_nul(rest)
            && let Some((_, text)) = split_nul(rest)
        {
            let unpacked = match packed {
                0 => self.fits(text).then(|| text.to_vec()),
                _ => self.unpacked(text),
            };
            if let Some(text) = unpacked {
                self.add(keyword, String::from_utf8_lossy(&text).into_owned());
            }
        }
    }

    /// What was compressed, unless it is damaged or more than fits.
    fn unpacked(&mut self, packed: &[u8]) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        // One more than fits, to see whether there is.
        let mut stream = ZlibDecoder::new(packed).take(self.room as u64 + 1);
        let whole = stream.read_to_end(&mut text).is_ok();
        if text.len() > self.room {
            self.too_long = true;
            return None;
        }
        whole.then_some(text)
    }

    fn read_jpeg(&mut self, mut rest: &[u8]) {
        const EXIF: &[u8] = b"Exif\0\0";
        const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
        // Fill bytes may stand in front of a marker. Behind the start of a scan there are no more texts.
        while let [0xff, marker, tail @ ..] = rest {
            if *marker == 0xff {
                rest = &rest[1..];
                continue;
            }
            let [high, low, ..] = tail else { return };
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some((segment, behind)) = tail.split_at_checked(length) else {
                return;
            };
            let data = segment.get(2..).unwrap_or_default();
            match marker {
                0xda | 0xd9 => return,
                0xe1 if data.starts_with(EXIF) => self.add_comments(exif::texts(data)),
                0xe1 if data.starts_with(XMP) => self.add_comments(xmp::texts(&data[XMP.len()..])),
                0xfe => self.add_comments(vec![narrow(data)]),
                _ => {}
            }
            if length < 2 {
                return;
            }
            rest = behind;
        }
    }

    fn read_webp(&mut self, mut rest: &[u8]) {
        while let Some((kind, tail)) = rest.split_first_chunk::<4>()
            && let Some((length, tail)) = tail.split_first_chunk::<4>()
        {
            let length = u32::from_le_bytes(*length) as usize;
            let data = tail.get(..length).unwrap_or(tail);
            match kind {
                b"EXIF" => self.add_comments(exif::texts(data)),
                b"XMP " => self.add_comments(xmp::texts(data)),
                kind if kind == OWN_CHUNK && self.fits(data) => {
                    self.add(OWN, String::from_utf8_lossy(data).into_owned());
                }
                _ => {}
            }
            rest = tail
                .get(length.saturating_add(length % 2)..)
                .unwrap_or_default();
        }
    }

    /// Texts without a keyword, in front of which some programs write one.
    fn add_comments(&mut self, texts: Vec<String>) {
        for text in texts {
            let named = text
                .split_once(':')
                .filter(|(_, rest)| rest.trim_start().starts_with('{'));
            match named {
                Some((keyword @ ("prompt" | "Prompt" | "workflow" | "Workflow"), json)) => {
                    self.add(keyword, json.into());
                }
                _ => self.add("", text),
            }
        }
    }

    /// Whether there is room for a text of these bytes.
    fn fits(&mut self, text: &[u8]) -> bool {
        let fits = text.len() <= self.room && self.all.len() < MAX_TEXTS;
        self.too_long |= !fits;
        fits
    }

    fn add(&mut self, keyword: &str, text: String) {
        if !self.fits(text.as_bytes()) {
            return;
        }
        self.room -= text.len();
        match keyword {
            // As a PNG has it.
            XMP => self.add_comments(xmp::texts(text.as_bytes())),
            _ => self.all.push((keyword.into(), text)),
        }
    }
}

/// A keyword and what follows it.
fn named(data: &[u8]) -> Option<(&str, &[u8])> {
    let (keyword, rest) = split_nul(data)?;
    Some((std::str::from_utf8(keyword).ok()?, rest))
}

fn split_nul(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = data.iter().position(|byte| *byte == 0)?;
    let (first, rest) = data.split_at(end);
    Some((first, rest.get(1..)?))
}

/// A text of Latin-1, or of UTF-8, which many programs write in its place.
fn narrow(text: &[u8]) -> String {
    match std::str::from_utf8(text) {
        Ok(text) => text.into(),
        Err(_) => text.iter().map(|byte| char::from(*byte)).collect(),
    }
}
