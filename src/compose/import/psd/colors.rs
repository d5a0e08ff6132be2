//! Samples as bytes of sRGB.

use super::super::super::memory::reserve;
use super::document::Document;
use crate::Result;
use crate::image::{Channels, ToSrgb};

/// How the samples of a file become bytes of sRGB.
pub(super) struct Colors {
    to_srgb: Option<ToSrgb>,
    /// How many channels a colour has: 1 or 3.
    pub(super) count: usize,
    /// Bytes a sample: 1 or 2.
    depth: usize,
}

impl Colors {
    /// A profile that cannot be read is ignored, as in pictures.
    pub(super) fn of(document: &Document) -> Self {
        let max = if document.depth == 2 { u16::MAX } else { 255 };
        let (channels, count) = match document.is_grey {
            true => (Channels::Grey, 1),
            false => (Channels::Rgb, 3),
        };
        let profile = document.profile;
        let to_srgb = profile.and_then(|profile| ToSrgb::from_icc(profile, channels, max));
        Self {
            to_srgb: to_srgb.filter(|to_srgb| !to_srgb.is_none()),
            count,
            depth: document.depth,
        }
    }

    /// Red, green, blue and alpha of every pixel, from one plane for each channel, and one of alpha unless all is
    /// opaque.
    pub(super) fn rgba(&self, planes: &[&[u8]], alpha: Option<&[u8]>) -> Result<Vec<u8>> {
        let pixels = planes.first().map_or(0, |plane| plane.len() / self.depth);
        let mut rgba = Vec::new();
        reserve(&mut rgba, 4 * pixels)?;
        for index in 0..pixels {
            let color = match planes {
                [red, green, blue] => [red, green, blue].map(|plane| self.sample(plane, index)),
                _ => [self.sample(planes[0], index); 3],
            };
            let [red, green, blue] = match &self.to_srgb {
                Some(to_srgb) => to_srgb.bytes([color[0], color[1], color[2], 0]),
                None => color.map(|sample| self.byte(sample)),
            };
            let alpha = alpha.map_or(255, |alpha| self.byte(self.sample(alpha, index)));
            rgba.extend([red, green, blue, alpha]);
        }
        Ok(rgba)
    }

    /// A plane of samples as bytes.
    pub(super) fn bytes(&self, plane: Vec<u8>) -> Vec<u8> {
        match self.depth {
            1 => plane,
            _ => (0..plane.len() / 2)
                .map(|index| self.byte(self.sample(&plane, index)))
                .collect(),
        }
    }

    fn sample(&self, plane: &[u8], index: usize) -> u16 {
        match self.depth {
            1 => u16::from(plane[index]),
            _ => u16::from_be_bytes([plane[2 * index], plane[2 * index + 1]]),
        }
    }

    fn byte(&self, sample: u16) -> u8 {
        match self.depth {
            1 => sample as u8,
            _ => ((u32::from(sample) + 128) / 257) as u8,
        }
    }
}
