use crate::{Error, ErrorCode, Result};

/// The longest side of a picture that is read, in pixels.
const MAX_SIDE: u32 = 16_384;

/// The most bytes that a picture that is read may have in memory.
const MAX_BYTES: u64 = 512 << 20;

/// A picture of 8-bit red, green, blue and alpha, row by row from the top left.
///
/// Colours are sRGB and straight: not multiplied by alpha, and kept where alpha is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `width · height · 4` bytes.
    pub rgba: Vec<u8>,
}

impl Picture {
    /// From planes of values in [0, 1]: red, green, blue and, if there is a fourth, alpha.
    ///
    /// Values become bytes by truncation, as in the released LayerDiffuse code.
    pub fn from_planes(planes: &[f32], width: usize, height: usize) -> Self {
        let pixels = width * height;
        let has_alpha = planes.len() == 4 * pixels;
        let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0) as u8;
        let mut rgba = Vec::with_capacity(4 * pixels);
        for index in 0..pixels {
            rgba.extend((0..3).map(|channel| byte(planes[channel * pixels + index])));
            rgba.push(if has_alpha {
                byte(planes[3 * pixels + index])
            } else {
                255
            });
        }
        Self {
            width,
            height,
            rgba,
        }
    }

    /// Reads a PNG, JPEG or WebP file.
    ///
    /// # Errors
    /// `bad_image` if the bytes are no such file, or the picture is animated, or larger than 16384
    /// pixels a side or 512 MiB in memory.
    pub fn from_file(bytes: &[u8]) -> Result<Self> {
        let decoded = decode(bytes).map_err(|reason| {
            Error::new(
                ErrorCode::BadImage,
                format!("the picture cannot be read: {reason}"),
                "give a still PNG, JPEG or WebP of at most 16384 pixels a side",
            )
        })?;
        let rgba = decoded.into_rgba8();
        Ok(Self {
            width: rgba.width() as usize,
            height: rgba.height() as usize,
            rgba: rgba.into_raw(),
        })
    }

    /// Planes of red, green and blue in [-1, 1] on mid-grey, `(2 · colour - 1) · alpha`: what the
    /// VAE and the hint encoder see of a transparent picture.
    pub fn on_grey(&self) -> Vec<f32> {
        let plane = |channel: usize| {
            self.rgba.chunks_exact(4).map(move |pixel| {
                let color = f32::from(pixel[channel]) / 255.0;
                (color * 2.0 - 1.0) * (f32::from(pixel[3]) / 255.0)
            })
        };
        (0..3).flat_map(plane).collect()
    }

    /// Planes of red, green and blue in [0, 1] on black: what a ControlNet sees.
    pub fn on_black(&self) -> Vec<f32> {
        let plane = |channel: usize| {
            self.rgba
                .chunks_exact(4)
                .map(move |pixel| f32::from(pixel[channel]) / 255.0 * (f32::from(pixel[3]) / 255.0))
        };
        (0..3).flat_map(plane).collect()
    }

    /// The plane of alpha in [0, 1].
    pub fn alpha(&self) -> Vec<f32> {
        let alphas = self
            .rgba
            .chunks_exact(4)
            .map(|pixel| f32::from(pixel[3]) / 255.0);
        alphas.collect()
    }

    /// The picture as a PNG file of 8-bit RGBA, with colour kept under alpha 0.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        use image::ImageEncoder;
        let mut png = Vec::new();
        image::codecs::png::PngEncoder::new(&mut png)
            .write_image(
                &self.rgba,
                self.width as u32,
                self.height as u32,
                image::ExtendedColorType::Rgba8,
            )
            .map_err(|error| {
                Error::new(
                    ErrorCode::Internal,
                    format!("cannot encode a PNG: {error}"),
                    "",
                )
            })?;
        Ok(png)
    }
}

/// The picture in a PNG, JPEG or WebP file, or why it cannot be read.
fn decode(bytes: &[u8]) -> std::result::Result<image::DynamicImage, String> {
    let to_text = |error: image::ImageError| error.to_string();
    let reader = || {
        let reader = image::ImageReader::new(std::io::Cursor::new(bytes));
        let mut reader = reader
            .with_guessed_format()
            .map_err(|error| error.to_string())?;
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(MAX_BYTES);
        reader.limits(limits);
        Ok::<_, String>(reader)
    };
    let format = reader()?.format();
    let (width, height) = reader()?.into_dimensions().map_err(to_text)?;
    // The limit on allocations sees the file's own channels, which may be fewer or narrower.
    if 4 * u64::from(width) * u64::from(height) > MAX_BYTES {
        return Err(format!("it is {width} x {height} pixels large"));
    }
    // Frames of animations can make the decoder panic (image-webp 0.2.4).
    if format == Some(image::ImageFormat::WebP) {
        let cursor = std::io::Cursor::new(bytes);
        let decoder = image::codecs::webp::WebPDecoder::new(cursor).map_err(to_text)?;
        if decoder.has_animation() {
            return Err("it is an animation".into());
        }
    }
    reader()?.decode().map_err(to_text)
}
