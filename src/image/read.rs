//! Files as pictures, as browsers show them: upright, in sRGB, within bounds.

use std::fmt::Display;
use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat, ImageReader, Limits};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::Picture;
use super::color::{Channels, ToSrgb};
use crate::{Error, ErrorCode, Result, memory};

/// The longest side of a picture that is read, in pixels.
const MAX_SIDE: u32 = 16_384;

/// The most bytes that a picture that is read may have in memory.
const MAX_BYTES: u64 = 512 << 20;

/// Bytes for each pixel that decoders take beside what they give: coefficients of a progressive JPEG.
const DECODERS_OWN: usize = 8;

/// The picture in a PNG, JPEG or WebP file.
pub(super) fn read(bytes: &[u8]) -> Result<Picture> {
    let format = image::guess_format(bytes).map_err(unreadable)?;
    let png = match format {
        ImageFormat::Png => Some(PngChunks::read(bytes)?),
        _ => None,
    };
    if is_animated(format, bytes, png.as_ref())? {
        return Err(unreadable("it is an animation"));
    }
    if format == ImageFormat::Jpeg && has_fine_colors(bytes) {
        return Err(unreadable("its colours are finer than its light"));
    }
    let mut decoder = decoder(bytes, format)?;
    let (width, height) = decoder.dimensions();
    // The limit on allocations sees the file's own channels, which may be fewer or narrower.
    if 4 * u64::from(width) * u64::from(height) > MAX_BYTES || decoder.total_bytes() > MAX_BYTES {
        return Err(unreadable(format!("it is {width} x {height} pixels large")));
    }
    let orientation = orientation(&mut decoder);
    let profile = decoder.icc_profile().ok().flatten();
    let (width, height) = (width as usize, height as usize);
    memory::check_room(
        decoder.total_bytes() as usize + DECODERS_OWN * width * height,
        WHAT,
    )?;
    let rgba = match Inks::of(bytes, format) {
        Some(inks) => {
            let to_srgb =
                profile.and_then(|profile| ToSrgb::from_icc(&profile, Channels::Cmyk, 255));
            match to_srgb {
                Some(to_srgb) => inks.into_rgba(&to_srgb)?,
                None => Samples::read(decoder)?.into_rgba(None)?,
            }
        }
        None => {
            let samples = Samples::read(decoder)?;
            let to_srgb = samples.to_srgb(profile.as_deref(), png.as_ref())?;
            samples.into_rgba(to_srgb.filter(|to_srgb| !to_srgb.is_none()))?
        }
    };
    let picture = Picture {
        width,
        height,
        rgba,
    };
    upright(picture, orientation)
}

fn unreadable(reason: impl Display) -> Error {
    // What decoders say may be several lines.
    let reason = reason.to_string();
    let reason: Vec<_> = reason.split_whitespace().collect();
    Error::new(
        ErrorCode::BadImage,
        format!("the picture cannot be read: {}", reason.join(" ")),
        "give a still PNG, JPEG or WebP of at most 16384 pixels a side",
    )
}

/// What there may be no memory for.
const WHAT: &str = "the picture";

fn decoder(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    reader.into_decoder().map_err(unreadable)
}

fn is_animated(format: ImageFormat, bytes: &[u8], png: Option<&PngChunks>) -> Result<bool> {
    // Frames of animations can make the decoder panic (image-webp 0.2.4).
    if format == ImageFormat::WebP {
        let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(unreadable)?;
        return Ok(decoder.has_animation());
    }
    Ok(png.is_some_and(|png| png.animated))
}

/// Whether a JPEG samples any component more finely than its first one, the light: at such the decoder can
/// panic (zune-jpeg 0.5.15), and nobody writes them.
fn has_fine_colors(bytes: &[u8]) -> bool {
    /// Markers without a length: fill bytes, restarts and the start.
    const ALONE: [u8; 12] = [
        0, 1, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xff,
    ];
    const SCAN: u8 = 0xda;
    let is_frame =
        |marker: u8| matches!(marker, 0xc0..=0xcf if ![0xc4, 0xc8, 0xcc].contains(&marker));
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == 0xff) {
        rest = &rest[at + 1..];
        let [marker, high, low, data @ ..] = rest else {
            return false;
        };
        if ALONE.contains(marker) {
            continue;
        }
        let length = usize::from(u16::from_be_bytes([*high, *low])).saturating_sub(2);
        let data = &data[..length.min(data.len())];
        if is_frame(*marker) {
            // Precision, height, width and the number of components; of each its factors in one byte.
            let components = data.get(6..).unwrap_or_default().chunks_exact(3);
            let mut factors = components.map(|component| [component[1] >> 4, component[1] & 15]);
            let first = factors.next().unwrap_or([15; 2]);
            if factors.any(|[across, down]| across > first[0] || down > first[1]) {
                return true;
            }
        }
        if *marker == SCAN {
            return false;
        }
        rest = &rest[(3 + length).min(rest.len())..];
    }
    false
}

fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    let exif = decoder.exif_metadata().ok().flatten().unwrap_or_default();
    // Some writers of WebP put JPEG's introduction in front.
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif);
    Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms)
}

/// What a PNG says of itself in its chunks.
struct PngChunks {
    animated: bool,
    /// Primaries and transfer of cICP, where samples have their full range.
    code_points: Option<[u8; 2]>,
    srgb: bool,
    gamma: Option<f32>,
    /// White, red, green and blue.
    chromaticities: Option<[[f32; 2]; 4]>,
}

impl PngChunks {
    fn read(bytes: &[u8]) -> Result<Self> {
        let limits = png::Limits {
            bytes: MAX_BYTES as usize,
        };
        let decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
        let reader = decoder.read_info().map_err(unreadable)?;
        let info = reader.info();
        let code_points = info.coding_independent_code_points;
        let code_points = code_points.filter(|points| points.is_video_full_range_image);
        let point = |(x, y): (png::ScaledFloat, png::ScaledFloat)| [x.into_value(), y.into_value()];
        Ok(Self {
            animated: info.animation_control.is_some(),
            code_points: code_points
                .map(|points| [points.color_primaries, points.transfer_function]),
            srgb: info.srgb.is_some(),
            gamma: info.gama_chunk.map(png::ScaledFloat::into_value),
            chromaticities: info
                .chrm_chunk
                .map(|all| [all.white, all.red, all.green, all.blue].map(point)),
        })
    }

    /// What cICP says, which counts more than a profile.
    fn by_code_points(&self, max: u16) -> Result<Option<ToSrgb>> {
        /// PQ and HLG: more light than a screen's white, which cannot be had in bytes of sRGB.
        const HIGH_DYNAMIC_RANGE: [u8; 2] = [16, 18];
        match self.code_points {
            Some([_, transfer]) if HIGH_DYNAMIC_RANGE.contains(&transfer) => {
                Err(unreadable("it is of high dynamic range (PQ or HLG)"))
            }
            Some([primaries, transfer]) => Ok(ToSrgb::from_cicp(primaries, transfer, max)),
            None => Ok(None),
        }
    }

    /// What the other chunks say: with sRGB nothing else counts, and cHRM only beside gAMA.
    fn by_gamma(&self, max: u16) -> Option<ToSrgb> {
        let gamma = self.gamma.filter(|_| !self.srgb)?;
        ToSrgb::from_gamma(gamma, self.chromaticities, max)
    }
}

/// The samples of a file.
struct Samples {
    /// Of one byte each, or of two in the machine's order.
    bytes: Vec<u8>,
    color: image::ColorType,
}

impl Samples {
    fn read(decoder: impl ImageDecoder) -> Result<Self> {
        let color = decoder.color_type();
        let mut bytes = memory::zeroed(decoder.total_bytes() as usize, WHAT)?;
        decoder.read_image(&mut bytes).map_err(unreadable)?;
        Ok(Self { bytes, color })
    }

    fn channels(&self) -> usize {
        usize::from(self.color.channel_count())
    }

    fn are_wide(&self) -> bool {
        usize::from(self.color.bytes_per_pixel()) > self.channels()
    }

    /// How they become sRGB; `None` if nobody says that they are anything else.
    fn to_srgb(&self, profile: Option<&[u8]>, png: Option<&PngChunks>) -> Result<Option<ToSrgb>> {
        let max = if self.are_wide() { u16::MAX } else { 255 };
        let channels = match self.color.has_color() {
            true => Channels::Rgb,
            false => Channels::Grey,
        };
        if let Some(png) = png
            && let Some(to_srgb) = png.by_code_points(max)?
        {
            return Ok(Some(to_srgb));
        }
        let by_profile = profile.and_then(|profile| ToSrgb::from_icc(profile, channels, max));
        Ok(by_profile.or_else(|| png?.by_gamma(max)))
    }

    /// Red, green, blue and alpha. Only colours are converted, also those under alpha 0.
    fn into_rgba(self, to_srgb: Option<ToSrgb>) -> Result<Vec<u8>> {
        if to_srgb.is_none() && self.color == image::ColorType::Rgba8 {
            return Ok(self.bytes);
        }
        let (channels, wide) = (self.channels(), self.are_wide());
        let width = if wide { 2 } else { 1 };
        let byte = |sample: u16| match wide {
            true => ((u32::from(sample) + 128) / 257) as u8,
            false => sample as u8,
        };
        let pixels = self.bytes.chunks_exact(channels * width);
        let count = pixels.len();
        let colors = pixels.map(|pixel| {
            let sample = |at: usize| match wide {
                true => u16::from_ne_bytes([pixel[2 * at], pixel[2 * at + 1]]),
                false => u16::from(pixel[at]),
            };
            let color = match channels {
                1 | 2 => [sample(0); 3],
                _ => [sample(0), sample(1), sample(2)],
            };
            let [red, green, blue] = match &to_srgb {
                Some(to_srgb) => to_srgb.bytes([color[0], color[1], color[2], 0]),
                None => color.map(byte),
            };
            let alpha = match channels {
                2 | 4 => byte(sample(channels - 1)),
                _ => 255,
            };
            [red, green, blue, alpha]
        });
        bytes_of(count, colors)
    }
}

/// A JPEG of four inks.
struct Inks<'a> {
    decoder: JpegDecoder<ZCursor<&'a [u8]>>,
    /// CMYK or YCCK.
    stored: ColorSpace,
}

impl<'a> Inks<'a> {
    /// `None` for files of anything else.
    fn of(bytes: &'a [u8], format: ImageFormat) -> Option<Self> {
        if format != ImageFormat::Jpeg {
            return None;
        }
        let options = DecoderOptions::default()
            .set_strict_mode(false)
            .set_max_width(MAX_SIDE as usize)
            .set_max_height(MAX_SIDE as usize);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().ok()?;
        let stored = decoder.input_colorspace()?;
        decoder.set_options(options.jpeg_set_out_colorspace(stored));
        [ColorSpace::CMYK, ColorSpace::YCCK]
            .contains(&stored)
            .then_some(Self { decoder, stored })
    }

    fn into_rgba(mut self, to_srgb: &ToSrgb) -> Result<Vec<u8>> {
        let mut bytes = self.decoder.decode().map_err(unreadable)?;
        for pixel in bytes.as_chunks_mut::<4>().0 {
            let inks = match self.stored {
                ColorSpace::YCCK => inks_from_ycck(*pixel),
                // Files have what is left of the white, as Adobe writes them.
                _ => pixel.map(|left| 255 - left),
            };
            let [red, green, blue] = to_srgb.bytes(inks.map(u16::from));
            *pixel = [red, green, blue, 255];
        }
        Ok(bytes)
    }
}

/// The inks that luma, chroma and what is left beside black stand for.
fn inks_from_ycck([luma, blue, red, black]: [u8; 4]) -> [u8; 4] {
    let luma = f32::from(luma);
    let [blue, red] = [blue, red].map(|chroma| f32::from(chroma) - 128.0);
    [
        (luma + 1.402 * red).round() as u8,
        (luma - 0.344_136 * blue - 0.714_136 * red).round() as u8,
        (luma + 1.772 * blue).round() as u8,
        255 - black,
    ]
}

/// The bytes of `count` pixels.
fn bytes_of(count: usize, pixels: impl Iterator<Item = [u8; 4]>) -> Result<Vec<u8>> {
    memory::collected(4 * count, pixels.flatten(), WHAT)
}

/// A picture that was stored with this orientation as it is to be seen.
fn upright(stored: Picture, orientation: Orientation) -> Result<Picture> {
    use Orientation::*;
    if orientation == NoTransforms {
        return Ok(stored);
    }
    let (right, bottom) = (stored.width - 1, stored.height - 1);
    let turned = matches!(
        orientation,
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH
    );
    let (width, height) = match turned {
        true => (stored.height, stored.width),
        false => (stored.width, stored.height),
    };
    // Where in the stored picture a pixel of the upright one is.
    let source = |x: usize, y: usize| match orientation {
        NoTransforms => (x, y),
        FlipHorizontal => (right - x, y),
        Rotate180 => (right - x, bottom - y),
        FlipVertical => (x, bottom - y),
        Rotate90FlipH => (y, x),
        Rotate90 => (y, bottom - x),
        Rotate270FlipH => (right - y, bottom - x),
        Rotate270 => (right - y, x),
    };
    let (pixels, _) = stored.rgba.as_chunks::<4>();
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let colors = places.map(|(x, y)| {
        let (x, y) = source(x, y);
        pixels[y * stored.width + x]
    });
    Ok(Picture {
        width,
        height,
        rgba: bytes_of(width * height, colors)?,
    })
}
