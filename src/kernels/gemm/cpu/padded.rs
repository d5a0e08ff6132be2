use std::borrow::Cow;

use super::super::{ConvGeometry, Enlarged};
use crate::kernels::flex::for_each_chunk;

/// A map as a convolution sees it: enlarged if it is to be, with the zeros around it.
pub struct Padded<'a> {
    /// Plane by plane.
    pub values: Cow<'a, [f32]>,
    pub height: usize,
    pub width: usize,
}

impl<'a> Padded<'a> {
    /// Of planes of `size`.
    pub fn new(planes: &'a [f32], size: [usize; 2], geometry: ConvGeometry) -> Self {
        let [height, width] = geometry.enlarged.map_or(size, |enlarged| enlarged.size);
        let [(above, below), (left, right)] = geometry.padding;
        let padded_width = left + width + right;
        let area = (above + height + below) * padded_width;
        let values = if area == size[0] * size[1] && geometry.enlarged.is_none() {
            Cow::Borrowed(planes)
        } else {
            let mut values = vec![0f32; planes.len() / (size[0] * size[1]) * area];
            for_each_chunk(&mut values, area, |plane, values| {
                let plane = &planes[plane * size[0] * size[1]..][..size[0] * size[1]];
                let rows = values.chunks_exact_mut(padded_width).skip(above);
                for (y, row) in rows.take(height).enumerate() {
                    let row = &mut row[left..][..width];
                    match geometry.enlarged {
                        Some(Enlarged { skip, .. }) => {
                            let source = &plane[(y + skip) / 2 * size[1]..][..size[1]];
                            for (pair, value) in row.chunks_mut(2).zip(source) {
                                pair.fill(*value);
                            }
                        }
                        None => row.copy_from_slice(&plane[y * width..][..width]),
                    }
                }
            });
            Cow::Owned(values)
        };
        Self {
            values,
            height: above + height + below,
            width: padded_width,
        }
    }

    /// Numbers in a plane.
    pub fn area(&self) -> usize {
        self.height * self.width
    }
}
