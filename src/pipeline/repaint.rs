//! Repainting: a part of a picture is made anew, and the rest stays as it is, bit for bit.
//!
//! A UNet of four input channels is held: after every step the latent's kept cells are set to the
//! picture's, at the noise level that the others have reached. An inpainting UNet sees the mask and the
//! picture without what the mask hides, beside the latent. What is decoded is then put back into the
//! picture by the mask.

use super::request::Request;
use super::tone::{CELL, match_tone};
use crate::image::{Mask, Picture, Rect};
use crate::sampling::{Sampler, Trajectory};
use crate::{Error, ErrorCode, Result, memory};

/// Bytes for each pixel that a mask takes, its soft edge in the making, and the picture once more.
const ROOM: usize = 1 + size_of::<usize>() + size_of::<f32>() + 4;

/// A picture to be repainted, and where.
#[derive(Debug, Clone)]
pub struct Repaint {
    picture: Picture,
    mask: Mask,
    /// The part of the picture that is made.
    rect: Rect,
    /// The colours of what is made are brought to those of what is kept.
    match_tone: bool,
    keep_alpha: bool,
}

impl Repaint {
    /// What `request` repaints at `size`, width and height; `None` if it has no mask.
    ///
    /// # Errors
    /// `bad_image` or `bad_option` if mask, picture and size do not fit each other, or the mask keeps
    /// everything.
    pub(super) fn new(request: &Request, size: (usize, usize)) -> Result<Option<Self>> {
        let (Some(mask), Some(picture)) = (&request.mask, request.init_picture()) else {
            return Ok(None);
        };
        memory::check_room(ROOM * mask.width * mask.height, "the mask")?;
        let mask = Mask::from_picture(mask);
        if (mask.width, mask.height) != (picture.width, picture.height) {
            return Err(Error::new(
                ErrorCode::BadImage,
                format!(
                    "the mask is {} x {} and the picture {} x {}",
                    mask.width, mask.height, picture.width, picture.height
                ),
                "give a mask of the picture's size",
            ));
        }
        let bounds = mask.bounds().ok_or_else(|| {
            Error::new(
                ErrorCode::BadOption,
                "the mask keeps everything: it is black or transparent everywhere",
                "make it white where the picture is to be repainted",
            )
        })?;
        let (width, height) = (picture.width, picture.height);
        let rect = match request.mask_crop {
            None => mask.rect(),
            Some(margin) => {
                let grown = bounds.grown(margin, width, height);
                grown.with_aspect(size.0, size.1, width, height)
            }
        };
        Ok(Some(Self {
            picture: picture.clone(),
            mask: mask.softened(request.resolved_softness()),
            rect,
            match_tone: request.resolved_softness() > 0,
            keep_alpha: request.keep_alpha,
        }))
    }

    /// The part of the picture that is made, at its size in the making.
    pub(super) fn part(&self, width: usize, height: usize) -> Result<Picture> {
        self.picture.cropped(self.rect)?.resized(width, height)
    }

    /// The mask over that part in cells, in [0, 1].
    pub(super) fn cells(&self, columns: usize, rows: usize) -> Vec<f32> {
        let cells = self.mask.cells(self.rect, columns, rows);
        cells
            .iter()
            .map(|value| f32::from(*value) / 255.0)
            .collect()
    }

    /// `part`, with mid-grey where anything is to be repainted: what an inpainting UNet sees of it.
    pub(super) fn hidden(&self, part: &Picture) -> Picture {
        let mut hidden = part.clone();
        let mask = self.mask.cells(self.rect, part.width, part.height);
        for (pixel, mask) in hidden.rgba.chunks_exact_mut(4).zip(mask) {
            if mask > 0 {
                // On mid-grey, a transparent pixel is exactly that.
                pixel.copy_from_slice(&[0; 4]);
            }
        }
        hidden
    }

    /// The picture with `made` in it: mixed by the mask, premultiplied, and the picture's own pixels
    /// where the mask is 0. Where the mask has a soft edge, the codec's loss of tone is taken off.
    ///
    /// # Errors
    /// `out_of_memory`.
    pub fn finish(&self, made: &Picture) -> Result<Picture> {
        let mut part = made.resized(made.width, made.height)?;
        if self.match_tone {
            let cells = self
                .mask
                .cells(self.rect, made.width / CELL, made.height / CELL);
            match_tone(&mut part, &self.part(made.width, made.height)?, &cells);
        }
        let part = part.resized(self.rect.width, self.rect.height)?;
        memory::check_room(self.picture.rgba.len(), "the picture")?;
        let mut picture = self.picture.clone();
        for row in 0..self.rect.height {
            for column in 0..self.rect.width {
                let (x, y) = (self.rect.x + column as i64, self.rect.y + row as i64);
                let inside =
                    |place: i64, side: usize| usize::try_from(place).ok().filter(|p| *p < side);
                let (Some(x), Some(y)) = (inside(x, picture.width), inside(y, picture.height))
                else {
                    continue;
                };
                let place = y * picture.width + x;
                let share = self.mask.values[place];
                let new = &part.rgba[4 * (row * part.width + column)..][..4];
                let pixel = &mut picture.rgba[4 * place..][..4];
                let alpha = pixel[3];
                mix(pixel, new, share);
                if self.keep_alpha {
                    pixel[3] = alpha;
                }
            }
        }
        Ok(picture)
    }
}

/// `pixel` on its way to `new`, all the way at a `share` of 255.
fn mix(pixel: &mut [u8], new: &[u8], share: u8) {
    match share {
        0 => {}
        255 => pixel.copy_from_slice(new),
        _ => {
            let (to, from) = (f32::from(share) / 255.0, 1.0 - f32::from(share) / 255.0);
            let (old_weight, new_weight) = (from * f32::from(pixel[3]), to * f32::from(new[3]));
            let alpha = old_weight + new_weight;
            // Colours that nobody sees are mixed as they are.
            let (old_weight, new_weight) = match alpha > 0.0 {
                true => (old_weight / alpha, new_weight / alpha),
                false => (from, to),
            };
            for channel in 0..3 {
                let (old, new) = (f32::from(pixel[channel]), f32::from(new[channel]));
                pixel[channel] = (old * old_weight + new * new_weight).round() as u8;
            }
            pixel[3] = alpha.round() as u8;
        }
    }
}

/// The kept cells of a latent while it is sampled by a UNet that knows nothing of masks.
pub(super) struct Hold {
    /// The picture's latent, in the UNet's scale.
    pub init: Vec<f32>,
    /// The mask for each cell, in [0, 1].
    pub mask: Vec<f32>,
    /// The noise that the run began with.
    pub noise: Vec<f32>,
}

impl Hold {
    /// Sets the cells that are kept for now in the `latent` after `step`: a mask between 0 and 1 frees
    /// a cell for that share of the run.
    pub fn apply(&self, latent: &mut [f32], step: usize, sampler: &dyn Sampler) {
        let steps = sampler.steps();
        let threshold = 1.0 - (step + 1) as f32 / steps as f32;
        let trajectory: &Trajectory = sampler.trajectory();
        let (alpha, sigma) = match step + 1 == steps {
            true => (1.0, 0.0),
            false => (trajectory.alpha(step + 1), trajectory.noise(step + 1)),
        };
        let cells = self.mask.len();
        for (index, value) in latent.iter_mut().enumerate() {
            if self.mask[index % cells] <= threshold {
                let clean = alpha * f64::from(self.init[index]);
                *value = (clean + sigma * f64::from(self.noise[index])) as f32;
            }
        }
    }
}
