//! Texts in EXIF data.

/// A field that programs write how a picture was made into.
const USER_COMMENT: u16 = 0x9286;

/// Where the directory is in which [`USER_COMMENT`] stands.
const EXIF_DIRECTORY: u16 = 0x8769;

/// The most fields of a directory that are looked at.
const MAX_FIELDS: usize = 512;

/// The most texts that are read: fields may all stand for the same bytes.
const MAX_TEXTS: usize = 16;

/// The longest text that is read whole, in bytes.
const MAX_LENGTH: usize = 1 << 20;

/// The texts of EXIF data: the user's comment first, then those of the picture's own directory.
pub(super) fn texts(data: &[u8]) -> Vec<String> {
    // Some writers of WebP put JPEG's introduction in front.
    let data = data.strip_prefix(b"Exif\0\0").unwrap_or(data);
    let Some(tiff) = Tiff::of(data) else {
        return Vec::new();
    };
    let fields = tiff.fields(tiff.long(4));
    let directory = fields.iter().find(|field| field.tag == EXIF_DIRECTORY);
    let inner = directory.map(|field| tiff.fields(field.offset));
    let inner = inner.unwrap_or_default();
    let comments = inner
        .iter()
        .chain(&fields)
        .filter(|field| field.tag == USER_COMMENT);
    let comments = comments.filter_map(|field| tiff.comment(tiff.bytes(field)?));
    let plain = fields
        .iter()
        .filter(|field| [ASCII, UTF_8].contains(&field.kind));
    let plain = plain.filter_map(|field| text(tiff.bytes(field)?));
    comments.chain(plain).take(MAX_TEXTS).collect()
}

const ASCII: u16 = 2;
const UTF_8: u16 = 129;

struct Field {
    tag: u16,
    kind: u16,
    count: u32,
    /// Where the field's value is, or the value itself.
    offset: Option<u32>,
    /// Where the field's last four bytes are.
    inline: usize,
}

struct Tiff<'a> {
    data: &'a [u8],
    little_endian: bool,
}

impl<'a> Tiff<'a> {
    fn of(data: &'a [u8]) -> Option<Self> {
        let little_endian = match data.get(..4)? {
            b"II\x2a\0" => true,
            b"MM\0\x2a" => false,
            _ => return None,
        };
        Some(Self {
            data,
            little_endian,
        })
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = self.data.get(at..)?.first_chunk()?;
        Some(match self.little_endian {
            true => u16::from_le_bytes(*bytes),
            false => u16::from_be_bytes(*bytes),
        })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = self.data.get(at..)?.first_chunk()?;
        Some(match self.little_endian {
            true => u32::from_le_bytes(*bytes),
            false => u32::from_be_bytes(*bytes),
        })
    }

    /// The fields of the directory at `start`, as far as they are there.
    fn fields(&self, start: Option<u32>) -> Vec<Field> {
        let start = start.map(|start| start as usize);
        let count = start.and_then(|start| self.short(start)).unwrap_or(0);
        let places = (0..usize::from(count).min(MAX_FIELDS)).map(|index| 2 + 12 * index);
        let places = places.filter_map(|place| start?.checked_add(place));
        let fields = places.map_while(|place| {
            Some(Field {
                tag: self.short(place)?,
                kind: self.short(place + 2)?,
                count: self.long(place + 4)?,
                offset: self.long(place + 8),
                inline: place + 8,
            })
        });
        fields.collect()
    }

    /// The bytes of a field of bytes.
    fn bytes(&self, field: &Field) -> Option<&'a [u8]> {
        let start = match field.count {
            0..=4 => field.inline,
            _ => field.offset? as usize,
        };
        let rest = self.data.get(start..)?;
        // What a file that was cut has of it.
        let length = rest.len().min(field.count as usize);
        Some(&rest[..length.min(MAX_LENGTH)])
    }

    /// A comment, whose first eight bytes say how it is written.
    fn comment(&self, bytes: &[u8]) -> Option<String> {
        match bytes.split_at_checked(8) {
            Some((b"UNICODE\0", wide)) => self.wide(wide),
            Some((b"ASCII\0\0\0" | b"JIS\0\0\0\0\0" | [0, 0, 0, 0, 0, 0, 0, 0], rest)) => {
                text(rest)
            }
            _ => text(bytes),
        }
    }

    /// A text of UTF-16. Programs do not agree whether its order is the file's or always the same; some mean UTF-8.
    fn wide(&self, bytes: &[u8]) -> Option<String> {
        if !bytes.contains(&0)
            && let Ok(text) = std::str::from_utf8(bytes)
            && text.bytes().any(|byte| byte == b':')
        {
            return Some(text.into());
        }
        let (bytes, mark) = match bytes {
            [0xff, 0xfe, rest @ ..] => (rest, Some(true)),
            [0xfe, 0xff, rest @ ..] => (rest, Some(false)),
            _ => (bytes, None),
        };
        let (units, _) = bytes.as_chunks::<2>();
        let [little, big] = [u16::from_le_bytes, u16::from_be_bytes].map(|unit| {
            let units = units.iter().map(|bytes| unit(*bytes));
            units.take_while(|unit| *unit != 0).collect::<Vec<u16>>()
        });
        // Settings are of letters that are small numbers in the right order alone.
        let plain = |units: &[u16]| units.iter().filter(|unit| **unit < 128).count();
        let is_little = mark.unwrap_or_else(|| match plain(&little).cmp(&plain(&big)) {
            std::cmp::Ordering::Equal => self.little_endian,
            order => order.is_gt(),
        });
        let units = if is_little { little } else { big };
        (!units.is_empty()).then(|| String::from_utf16_lossy(&units))
    }
}

/// A text of bytes, up to its end.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..end]).trim().to_string();
    (!text.is_empty()).then_some(text)
}
