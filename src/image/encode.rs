//! Pictures as files: PNG and lossless WebP, both of straight alpha, and with colour kept under alpha 0.

use std::io::ErrorKind;

use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};

use super::recipe::{OWN, OWN_CHUNK, PARAMETERS, Recipe, parameters};
use super::{MemoryFile, Picture};
use crate::{Error, ErrorCode, Result, memory};

/// The longest side of a WebP that every program reads, in pixels.
const MAX_WEBP_SIDE: usize = 16_383;

impl Picture {
    /// The picture as a PNG file of 8-bit RGBA in sRGB, with colour kept under alpha 0.
    ///
    /// # Errors
    /// `out_of_memory`.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        self.to_png_with(None)
    }

    /// The same PNG with what made the picture as texts: `glassine`, the recipe as JSON, and `parameters`, as
    /// the web UIs write it (see [`parameters`](super::parameters)).
    ///
    /// # Errors
    /// `out_of_memory`.
    pub fn to_png_with(&self, recipe: Option<&Recipe>) -> Result<Vec<u8>> {
        let mut png = MemoryFile::default();
        let written = self.write_png(recipe, &mut png);
        written.map_err(|error| failed("PNG", ImageError::IoError(error.into())))?;
        Ok(png.into_bytes())
    }

    fn write_png(
        &self,
        recipe: Option<&Recipe>,
        png: &mut MemoryFile,
    ) -> std::result::Result<(), png::EncodingError> {
        let mut encoder = png::Encoder::new(png, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(png::Filter::Adaptive);
        encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
        if let Some(recipe) = recipe {
            let own = serde_json::Value::from(recipe.clone()).to_string();
            for (keyword, text) in [(PARAMETERS, parameters(recipe)), (OWN, own)] {
                add_text(&mut encoder, keyword, text)?;
            }
        }
        encoder.write_header()?.write_image_data(&self.rgba)
    }

    /// The picture as a lossless WebP file, which has every pixel as it is, colour under alpha 0 included.
    /// What made the picture is in its EXIF data, as the web UIs write it, and the recipe as JSON in a chunk `GLSN`.
    ///
    /// # Errors
    /// `bad_image` for more than 16383 pixels a side, `out_of_memory`.
    pub fn to_webp(&self, recipe: Option<&Recipe>) -> Result<Vec<u8>> {
        if self.width.max(self.height) > MAX_WEBP_SIDE {
            let (width, height) = (self.width, self.height);
            return Err(Error::new(
                ErrorCode::BadImage,
                format!("a WebP cannot have {width} x {height} pixels"),
                format!("write a PNG, or at most {MAX_WEBP_SIDE} pixels a side"),
            ));
        }
        let mut webp = MemoryFile::default();
        let mut encoder = WebPEncoder::new_lossless(&mut webp);
        if let Some(recipe) = recipe {
            let exif = user_comment(&parameters(recipe).replace('\0', ""));
            // This encoder takes all there is.
            let _ = encoder.set_exif_metadata(exif);
        }
        let (width, height) = (self.width as u32, self.height as u32);
        let written = encoder.write_image(&self.rgba, width, height, ExtendedColorType::Rgba8);
        written.map_err(|error| failed("WebP", error))?;
        let mut webp = webp.into_bytes();
        if let Some(recipe) = recipe {
            let own = serde_json::Value::from(recipe.clone()).to_string();
            add_chunk(&mut webp, OWN_CHUNK, own.as_bytes())?;
        }
        Ok(webp)
    }
}

/// Puts a chunk behind all others of a WebP, where readers pass by what they do not know.
fn add_chunk(webp: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) -> Result<()> {
    memory::reserve(webp, data.len() + 9, "the WebP")?;
    webp.extend(name);
    webp.extend((data.len() as u32).to_le_bytes());
    webp.extend(data);
    // Chunks begin at even places.
    webp.extend((data.len() % 2 == 1).then_some(0));
    let length = webp.len() as u32 - 8;
    webp[4..8].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// A chunk of text: of Latin-1 where that has all of its characters, as most readers know it, else of UTF-8; so also
/// where the bytes of Latin-1 could be taken for UTF-8, as many programs write it there.
fn add_text(
    encoder: &mut png::Encoder<&mut MemoryFile>,
    keyword: &str,
    text: String,
) -> std::result::Result<(), png::EncodingError> {
    let text = text.replace('\0', "");
    let narrow: Option<Vec<u8>> = text
        .chars()
        .map(|letter| u8::try_from(letter).ok())
        .collect();
    let is_clear = |narrow: Vec<u8>| narrow.is_ascii() || std::str::from_utf8(&narrow).is_err();
    match narrow.is_some_and(is_clear) {
        true => encoder.add_text_chunk(keyword.into(), text),
        false => encoder.add_itxt_chunk(keyword.into(), text),
    }
}

/// EXIF data of one field, UserComment, in UTF-16.
fn user_comment(text: &str) -> Vec<u8> {
    const LONG: u16 = 4;
    const UNDEFINED: u16 = 7;
    const EXIF_DIRECTORY: u16 = 0x8769;
    const USER_COMMENT: u16 = 0x9286;
    let mut comment = b"UNICODE\0".to_vec();
    comment.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    let mut exif = b"MM\0\x2a".to_vec();
    exif.extend(8u32.to_be_bytes());
    // Two directories of one entry of 12 bytes each, then the text.
    let directory = |exif: &mut Vec<u8>, tag: u16, kind: u16, count: usize| {
        let behind = (exif.len() + 2 + 12 + 4) as u32;
        exif.extend(1u16.to_be_bytes());
        exif.extend(tag.to_be_bytes());
        exif.extend(kind.to_be_bytes());
        exif.extend((count as u32).to_be_bytes());
        exif.extend(behind.to_be_bytes());
        exif.extend(0u32.to_be_bytes());
    };
    directory(&mut exif, EXIF_DIRECTORY, LONG, 1);
    directory(&mut exif, USER_COMMENT, UNDEFINED, comment.len());
    exif.extend(comment);
    exif
}

fn failed(format: &str, error: ImageError) -> Error {
    match error {
        ImageError::IoError(error) if error.kind() == ErrorKind::OutOfMemory => Error::new(
            ErrorCode::OutOfMemory,
            format!("there is no memory for the {format}"),
            "use a smaller picture",
        ),
        error => Error::new(
            ErrorCode::Internal,
            format!("cannot encode a {format}: {error}"),
            "",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::read_recipe;

    /// Every alpha with colours, also under alpha 0.
    fn picture() -> Picture {
        let pixels = (0..256u32).flat_map(|index| [index * 7, index * 5 + 3, 255 - index, index]);
        Picture {
            width: 16,
            height: 16,
            rgba: pixels.map(|value| value as u8).collect(),
        }
    }

    fn recipe(prompt: &str) -> Recipe {
        let json =
            serde_json::json!({"prompt": prompt, "seed": 7, "steps": 4, "own": {"tags": ["ä", 1]}});
        json.as_object().unwrap().clone()
    }

    /// The names of a PNG's chunks and what they hold.
    fn chunks(png: &[u8]) -> Vec<(&[u8], &[u8])> {
        let mut rest = &png[8..];
        let mut chunks = Vec::new();
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            chunks.push((&tail[..4], &tail[4..][..length]));
            rest = &tail[8 + length..];
        }
        chunks
    }

    #[test]
    fn a_png_says_that_it_is_srgb_and_how_it_was_made() {
        let plain = picture().to_png().unwrap();
        let names: Vec<_> = chunks(&plain).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [b"IHDR", b"sRGB", b"IDAT", b"IEND"]);
        assert_eq!(chunks(&plain)[1].1, [0]);
        assert!(read_recipe(&plain).unwrap().is_none());
        for (prompt, kind) in [
            ("straße, \"x\"\nsecond: line", b"tEXt"),
            ("日本 🍐", b"iTXt"),
        ] {
            let made = recipe(prompt);
            let png = picture().to_png_with(Some(&made)).unwrap();
            let chunks = chunks(&png);
            let texts: Vec<_> = chunks.iter().filter(|(name, _)| name == kind).collect();
            assert!(texts[0].1.starts_with(b"parameters\0"));
            assert!(texts[1].1.starts_with(b"glassine\0"));
            assert_eq!(read_recipe(&png).unwrap().unwrap().recipe, made);
            assert!(Picture::from_file(&png).unwrap() == picture());
        }
        // Latin-1 is one byte for each letter.
        let png = picture().to_png_with(Some(&recipe("straße"))).unwrap();
        assert!(
            chunks(&png)
                .iter()
                .any(|(_, text)| text.starts_with(b"parameters\0stra\xdfe\n"))
        );
        let png = picture()
            .to_png_with(Some(&recipe("nul\0nul ö🍐")))
            .unwrap();
        assert_eq!(
            read_recipe(&png).unwrap().unwrap().recipe["prompt"],
            "nul\0nul ö🍐",
            "JSON escapes it"
        );
    }

    #[test]
    fn a_webp_is_the_picture_bit_for_bit() {
        let plain = picture().to_webp(None).unwrap();
        assert!(Picture::from_file(&plain).unwrap() == picture());
        let webp = picture().to_webp(Some(&recipe("日本"))).unwrap();
        assert!(Picture::from_file(&webp).unwrap() == picture());
        let utf16: Vec<u8> = "日本\nSteps: 4"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        let comment = [b"UNICODE\0", &utf16[..]].concat();
        assert!(webp.windows(comment.len()).any(|bytes| bytes == comment));
        for prompt in ["日本", "even", "nul\0\nNegative prompt: Ã¼"] {
            let made = recipe(prompt);
            let webp = picture().to_webp(Some(&made)).unwrap();
            assert_eq!(webp.len() % 2, 0);
            assert_eq!(read_recipe(&webp).unwrap().unwrap().recipe, made);
            assert!(Picture::from_file(&webp).unwrap() == picture());
        }
        let long = Picture {
            width: 16_384,
            height: 1,
            rgba: vec![0; 4 * 16_384],
        };
        assert_eq!(long.to_webp(None).unwrap_err().code, ErrorCode::BadImage);
        for (width, height) in [(1, 1), (1, 300), (300, 1), (16_383, 1)] {
            let rgba = (0..4 * width * height)
                .map(|index| (index * 37 % 251) as u8)
                .collect();
            let picture = Picture {
                width,
                height,
                rgba,
            };
            assert!(Picture::from_file(&picture.to_webp(None).unwrap()).unwrap() == picture);
        }
    }
}
