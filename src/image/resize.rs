use image::Rgba32FImage;
use image::imageops::{FilterType, crop_imm, resize};

use super::{Picture, Rect};
use crate::{Result, memory};

/// What there may be no memory for.
const WHAT: &str = "the picture at another size";

impl Picture {
    /// The picture scaled and cropped around its centre to `width` x `height`, which keeps its
    /// proportions. Colours are weighted by alpha, so that hidden ones do not bleed in.
    ///
    /// # Errors
    /// `out_of_memory`.
    pub fn fitted(&self, width: usize, height: usize) -> Result<Self> {
        let picture = without_far_ends(self.premultiplied()?, width, height)?;
        let (own_width, own_height) = picture.dimensions();
        let ratio = f64::max(
            width as f64 / f64::from(own_width),
            height as f64 / f64::from(own_height),
        );
        let filled =
            |own: u32, side: usize| (f64::from(own) * ratio).round().max(side as f64) as u32;
        let (filled_width, filled_height) = (filled(own_width, width), filled(own_height, height));
        let resized = scaled(&picture, filled_width, filled_height, FilterType::Triangle)?;
        let left = (filled_width - width as u32) / 2;
        let top = (filled_height - height as u32) / 2;
        let cropped = part(&resized, [left, top], width as u32, height as u32)?;
        Self::straight(cropped)
    }

    /// The picture scaled to `width` x `height`, whatever its proportions, colours weighted as in
    /// [`Picture::fitted`].
    ///
    /// # Errors
    /// `out_of_memory`.
    pub fn resized(&self, width: usize, height: usize) -> Result<Self> {
        if (self.width, self.height) == (width, height) {
            memory::check_room(self.rgba.len(), WHAT)?;
            return Ok(self.clone());
        }
        let (width, height) = (width as u32, height as u32);
        let picture = self.premultiplied()?;
        Self::straight(scaled(&picture, width, height, FilterType::CatmullRom)?)
    }

    /// The part `rect`; beyond the edges their pixels go on.
    ///
    /// # Errors
    /// `out_of_memory`.
    pub fn cropped(&self, rect: Rect) -> Result<Self> {
        let inside = |place: i64, side: usize| place.clamp(0, side as i64 - 1) as usize;
        let mut rgba = Vec::new();
        memory::reserve(&mut rgba, 4 * rect.width * rect.height, WHAT)?;
        for row in 0..rect.height as i64 {
            let y = inside(rect.y + row, self.height);
            for column in 0..rect.width as i64 {
                let x = inside(rect.x + column, self.width);
                rgba.extend_from_slice(&self.rgba[4 * (y * self.width + x)..][..4]);
            }
        }
        Ok(Self {
            width: rect.width,
            height: rect.height,
            rgba,
        })
    }

    /// Colours times alpha, all in [0, 1], outside of which resizing cuts values off.
    fn premultiplied(&self) -> Result<Rgba32FImage> {
        let values = self.rgba.chunks_exact(4).flat_map(|pixel| {
            let alpha = f32::from(pixel[3]) / 255.0;
            [0, 1, 2]
                .map(|channel| f32::from(pixel[channel]) / 255.0 * alpha)
                .into_iter()
                .chain([alpha])
        });
        let (width, height) = (self.width as u32, self.height as u32);
        let values = memory::collected(self.rgba.len(), values, WHAT)?;
        let buffer = Rgba32FImage::from_raw(width, height, values);
        Ok(buffer.expect("four values a pixel"))
    }

    fn straight(premultiplied: Rgba32FImage) -> Result<Self> {
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
        Ok(Self {
            width: width as usize,
            height: height as usize,
            rgba: memory::collected(values.len(), straight, WHAT)?,
        })
    }
}

/// Bytes of a pixel.
const PIXEL: usize = size_of::<[f32; 4]>();

/// `picture` scaled to `width` x `height`. The rows are scaled first, and both results allocated without
/// asking.
fn scaled(
    picture: &Rgba32FImage,
    width: u32,
    height: u32,
    filter: FilterType,
) -> Result<Rgba32FImage> {
    let rows = picture.width() as usize * height as usize;
    memory::check_room(PIXEL * (rows + width as usize * height as usize), WHAT)?;
    Ok(resize(picture, width, height, filter))
}

/// The part of `picture` from the pixel `corner` on.
fn part(picture: &Rgba32FImage, corner: [u32; 2], width: u32, height: u32) -> Result<Rgba32FImage> {
    memory::check_room(PIXEL * width as usize * height as usize, WHAT)?;
    let [left, top] = corner;
    Ok(crop_imm(picture, left, top, width, height).to_image())
}

/// `picture` without what lies far outside of the part that fills `width` x `height`: scaled with
/// the rest, the ends of a long strip would take gigabytes before they are cropped.
fn without_far_ends(picture: Rgba32FImage, width: usize, height: usize) -> Result<Rgba32FImage> {
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
        return Ok(picture);
    }
    let corner = [(own_width - kept_width) / 2, (own_height - kept_height) / 2];
    part(&picture, corner, kept_width, kept_height)
}
