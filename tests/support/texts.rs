//! Files with texts in them, as programs write them: no pictures, since nobody looks at their pixels.

use std::io::Write;

use flate2::write::ZlibEncoder;

/// A PNG of these chunks, each a keyword, if it has one, and what follows.
pub fn png(chunks: &[(&[u8; 4], &str, &[u8])]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut add = |kind: &[u8; 4], data: &[u8]| {
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(kind);
        file.extend(data);
        // The sums are not looked at.
        file.extend([0; 4]);
    };
    add(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    for (kind, keyword, data) in chunks {
        let keyword = match keyword.is_empty() {
            true => Vec::new(),
            false => [keyword.as_bytes(), b"\0"].concat(),
        };
        add(kind, &[&keyword, *data].concat());
    }
    add(b"IEND", &[]);
    file
}

/// A JPEG of these segments.
pub fn jpeg(segments: &[(u8, &[u8])]) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    for (marker, data) in segments {
        file.extend([0xff, *marker]);
        file.extend((data.len() as u16 + 2).to_be_bytes());
        file.extend(*data);
    }
    file.extend([0xff, 0xda, 0, 2, 0xff, 0xd9]);
    file
}

/// A WebP of these chunks.
pub fn webp(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0".to_vec();
    file.extend([8, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (kind, data) in chunks {
        file.extend(*kind);
        file.extend((data.len() as u32).to_le_bytes());
        file.extend(*data);
        file.extend((data.len() % 2 == 1).then_some(0));
    }
    let length = (file.len() as u32 - 8).to_le_bytes();
    file[4..8].copy_from_slice(&length);
    file
}

/// EXIF data whose one field is a user's comment.
pub fn exif(comment: &[u8], little_endian: bool) -> Vec<u8> {
    let short = |value: u16| match little_endian {
        true => value.to_le_bytes(),
        false => value.to_be_bytes(),
    };
    let long = |value: u32| match little_endian {
        true => value.to_le_bytes(),
        false => value.to_be_bytes(),
    };
    let mut data = if little_endian {
        b"II".to_vec()
    } else {
        b"MM".to_vec()
    };
    data.extend(short(42));
    data.extend(long(8));
    for (tag, kind, count) in [(0x8769, 4, 1), (0x9286, 7, comment.len() as u32)] {
        let behind = data.len() as u32 + 2 + 12 + 4;
        data.extend([short(1), short(tag), short(kind)].concat());
        data.extend([long(count), long(behind), long(0)].concat());
    }
    data.extend(comment);
    data
}

/// EXIF data of one field of the picture's own directory.
pub fn exif_field(tag: u16, kind: u16, value: &[u8]) -> Vec<u8> {
    exif_fields(&[(tag, kind)], value)
}

/// EXIF data of fields that all stand for the same bytes.
pub fn exif_fields(fields: &[(u16, u16)], value: &[u8]) -> Vec<u8> {
    let mut data = b"MM\0\x2a\0\0\0\x08".to_vec();
    data.extend((fields.len() as u16).to_be_bytes());
    let behind = (data.len() + 12 * fields.len() + 4) as u32;
    for (tag, kind) in fields {
        data.extend(tag.to_be_bytes());
        data.extend(kind.to_be_bytes());
        data.extend((value.len() as u32).to_be_bytes());
        data.extend(behind.to_be_bytes());
    }
    data.extend([0; 4]);
    data.extend(value);
    data
}

/// Compressed as PNG has it.
pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}
