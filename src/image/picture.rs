use crate::{Error, ErrorCode, Result};

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
