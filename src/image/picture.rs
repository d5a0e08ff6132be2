use crate::Result;

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

    /// Reads a PNG, JPEG or WebP file as browsers show it: turned as its EXIF data says, and in sRGB by its
    /// ICC profile or by PNG's chunks cICP, sRGB, gAMA and cHRM, of which the first counts that is there,
    /// after cICP the profile. Colour under alpha 0 is converted like all other; alpha stays.
    ///
    /// # Errors
    /// `bad_image` if the bytes are no such file, or the picture is animated, of high dynamic range, or
    /// larger than 16384 pixels a side or 512 MiB in memory; `out_of_memory`.
    pub fn from_file(bytes: &[u8]) -> Result<Self> {
        super::read::read(bytes)
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
}
