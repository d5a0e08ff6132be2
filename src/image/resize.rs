use image::Rgba32FImage;
use image::imageops::{FilterType, crop_imm, resize};

use super::{Picture, Rect};

impl Picture {
    /// The picture scaled and cropped around its centre to `width` x `height`, which keeps its
    /// proportions. Colours are weighted by alpha, so that hidden ones do not bleed in.
    pub fn fitted(&self, width: usize, height: usize) -> Self {
        let picture = without_far_ends(self.premultiplied(), width, height);
        let (own_width, own_height) = picture.dimensions();
        let ratio = f64::max(
            width as f64 / f64::from(own_width),
            height as f64 / f64::from(own_height),
        );
        let filled =
            |own: u32, side: usize| (f64::from(own) * ratio).round().max(side as f64) as u32;
        let (filled_width, filled_height) = (filled(own_width, width), filled(own_height, height));
        let resized = resize(&picture, filled_width, filled_height, FilterType::Triangle);
        let left = (filled_width - width as u32) / 2;
        let top = (filled_height - height as u32) / 2;
        let cropped = crop_imm(&resized, left, top, width as u32, height as u32);
        Self::straight(cropped.to_image())
    }

    /// The picture scaled to `width` x `height`, whatever its proportions, colours weighted as in
    /// [`Picture::fitted`].
    pub fn resized(&self, width: usize, height: usize) -> Self {
        if (self.width, self.height) == (width, height) {
            return self.clone();
        }
        let (width, height) = (width as u32, height as u32);
        let picture = self.premultiplied();
        Self::straight(resize(&picture, width, height, FilterType::CatmullRom))
    }

    /// The part `rect`; beyond the edges their pixels go on.
    pub fn cropped(&self, rect: Rect) -> Self {
        let inside = |place: i64, side: usize| place.clamp(0, side as i64 - 1) as usize;
        let mut rgba = Vec::with_capacity(4 * rect.width * rect.height);
        for row in 0..rect.height as i64 {
            let y = inside(rect.y + row, self.height);
            for column in 0..rect.width as i64 {
                let x = inside(rect.x + column, self.width);
                rgba.extend_from_slice(&self.rgba[4 * (y * self.width + x)..][..4]);
            }
        }
        Self {
            width: rect.width,
            height: rect.height,
            rgba,
        }
    }

    /// Colours times alpha, all in [0, 1], outside of which resizing cuts values off.
    fn premultiplied(&self) -> Rgba32FImage {
        let values = self.rgba.chunks_exact(4).flat_map(|pixel| {
            let alpha = f32::from(pixel[3]) / 255.0;
            [0, 1, 2]
                .map(|channel| f32::from(pixel[channel]) / 255.0 * alpha)
                .into_iter()
                .chain([alpha])
        });
        let (width, height) = (self.width as u32, self.height as u32);
        let buffer = Rgba32FImage::from_raw(width, height, values.collect());
        buffer.expect("four values a pixel")
    }

    fn straight(premultiplied: Rgba32FImage) -> Self {
        let (width, height) = premultiplied.dimensions();
        let values = premultiplied.into_raw();
        let straight = values.chunks_exact(4).flat_map(|pixel| {
            let alpha = pixel[3].clamp(0.0, 1.0);
            let color = |value: f32| (value / alpha.max(1e-6) * 255.0).round() as u8;
            [
                color(pixel[0]),
                color(pixel[1]),
                color(pixel[2]),
                (alpha * 255.0).round() as u8,
            ]
        });
        Self {
            width: width as usize,
            height: height as usize,
            rgba: straight.collect(),
        }
    }
}

/// `picture` without what lies far outside of the part that fills `width` x `height`: scaled with
/// the rest, the ends of a long strip would take gigabytes before they are cropped.
fn without_far_ends(picture: Rgba32FImage, width: usize, height: usize) -> Rgba32FImage {
    /// How many times the length that is needed is kept.
    const KEPT: u64 = 4;
    let (own_width, own_height) = (picture.width(), picture.height());
    let kept = |own: u32, other: u32, side: usize, other_side: usize| {
        let needed = (u64::from(other) * side as u64).div_ceil(other_side as u64);
        u64::from(own).min(KEPT * needed) as u32
    };
    let kept_width = kept(own_width, own_height, width, height);
    let kept_height = kept(own_height, own_width, height, width);
    if (kept_width, kept_height) == (own_width, own_height) {
        return picture;
    }
    let (left, top) = (own_width - kept_width, own_height - kept_height);
    crop_imm(&picture, left / 2, top / 2, kept_width, kept_height).to_image()
}
