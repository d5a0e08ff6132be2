use super::Picture;

/// At most this much counts as 0, and so far from 255 as 255: what JPEG leaves around the ends.
const RINGING: u8 = 2;

/// Where a picture is to be repainted: one byte a pixel, from 0, which keeps it, to 255.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `width · height` bytes, row by row.
    pub values: Vec<u8>,
}

/// A part of a picture, which may reach beyond its edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// Of the left edge.
    pub x: i64,
    /// Of the upper edge.
    pub y: i64,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

impl Mask {
    /// A picture's grey times its alpha.
    pub fn from_picture(picture: &Picture) -> Self {
        let value = |pixel: &[u8]| {
            let [red, green, blue, alpha] = [0, 1, 2, 3].map(|channel| u32::from(pixel[channel]));
            // Rec. 601, as Pillow and the web UIs turn colours into grey.
            let grey = (299 * red + 587 * green + 114 * blue + 500) / 1000;
            match ((grey * alpha + 127) / 255) as u8 {
                low if low <= RINGING => 0,
                high if high >= 255 - RINGING => 255,
                value => value,
            }
        };
        Self {
            width: picture.width,
            height: picture.height,
            values: picture.rgba.chunks_exact(4).map(value).collect(),
        }
    }

    /// The mask with a soft edge, which lies inside: over `radius` pixels from what is kept it rises
    /// to what it was, and what was 0 stays 0.
    pub fn softened(mut self, radius: usize) -> Self {
        if radius == 0 {
            return self;
        }
        let distances = self.distances_to_kept(radius + 1);
        for (value, distance) in self.values.iter_mut().zip(distances) {
            let share = (distance / (radius + 1) as f32).min(1.0);
            // A smooth rise, which never comes back to 0.
            let rise = share * share * (3.0 - 2.0 * share);
            let softened = (f32::from(*value) * rise).round() as u8;
            *value = softened.max(u8::from(*value > 0));
        }
        self
    }

    /// For each pixel, how far the nearest kept one is, where that is less than `limit`.
    fn distances_to_kept(&self, limit: usize) -> Vec<f32> {
        let (width, height) = (self.width, self.height);
        // First along the rows, then over them: the squared distance is a minimum of sums.
        let mut along = vec![limit; width * height];
        for (values, distances) in self.values.chunks(width).zip(along.chunks_mut(width)) {
            let mut sweep = |columns: &mut dyn Iterator<Item = usize>| {
                let mut last = limit;
                for column in columns {
                    last = if values[column] == 0 {
                        0
                    } else {
                        (last + 1).min(limit)
                    };
                    distances[column] = distances[column].min(last);
                }
            };
            sweep(&mut (0..width));
            sweep(&mut (0..width).rev());
        }
        let distance = |index: usize| {
            let (row, column) = (index / width, index % width);
            let rows = row.saturating_sub(limit)..(row + limit + 1).min(height);
            let squares = rows.map(|other| {
                let across = along[other * width + column];
                let down = other.abs_diff(row);
                across * across + down * down
            });
            (squares.min().unwrap_or(0) as f32).sqrt()
        };
        (0..width * height).map(distance).collect()
    }

    /// The whole of it.
    pub fn rect(&self) -> Rect {
        Rect {
            x: 0,
            y: 0,
            width: self.width,
            height: self.height,
        }
    }

    /// The smallest part that holds all that is repainted; `None` if nothing is.
    pub fn bounds(&self) -> Option<Rect> {
        let rows = || self.values.chunks(self.width);
        let is_free = |row: &&[u8]| row.iter().any(|value| *value > 0);
        let top = rows().position(|row| is_free(&row))?;
        let bottom = self.height - rows().rev().position(|row| is_free(&row))?;
        let first = |row: &[u8]| row.iter().position(|value| *value > 0);
        let last = |row: &[u8]| row.iter().rposition(|value| *value > 0);
        let left = rows().filter_map(first).min()?;
        let right = rows().filter_map(last).max()? + 1;
        Some(Rect {
            x: left as i64,
            y: top as i64,
            width: right - left,
            height: bottom - top,
        })
    }

    /// The part `rect` as a grid of `columns` x `rows` cells: of each the largest value, so that a
    /// stroke of one pixel counts. Beyond the edges the mask goes on as it ends.
    pub fn cells(&self, rect: Rect, columns: usize, rows: usize) -> Vec<u8> {
        let pixels = |start: i64, length: usize, index: usize, count: usize, side: usize| {
            let from = start + (index * length / count) as i64;
            let to = start + ((index + 1) * length).div_ceil(count) as i64;
            let inside = move |place: i64| place.clamp(0, side as i64 - 1) as usize;
            inside(from)..=inside(to - 1)
        };
        let cell = |index: usize| {
            let (row, column) = (index / columns, index % columns);
            let across = pixels(rect.x, rect.width, column, columns, self.width);
            let down = pixels(rect.y, rect.height, row, rows, self.height);
            let values = down.flat_map(|y| &self.values[y * self.width..][across.clone()]);
            values.copied().max().unwrap_or(0)
        };
        (0..columns * rows).map(cell).collect()
    }
}

impl Rect {
    /// Larger by `margin` on each side, as far as that is within `width` x `height`.
    pub fn grown(self, margin: usize, width: usize, height: usize) -> Self {
        let grow = |start: i64, length: usize, side: usize| {
            let from = (start - margin as i64).max(0);
            let to = (start + (length + margin) as i64).min(side as i64);
            (from, (to - from) as usize)
        };
        let (x, width) = grow(self.x, self.width, width);
        let (y, height) = grow(self.y, self.height, height);
        Self {
            x,
            y,
            width,
            height,
        }
    }

    /// Widened to the proportions of `columns` to `rows`, within `width` x `height` if it fits there.
    pub fn with_aspect(self, columns: usize, rows: usize, width: usize, height: usize) -> Self {
        let wide = (self.height * columns).div_ceil(rows).max(self.width);
        let high = (self.width * rows).div_ceil(columns).max(self.height);
        let place = |start: i64, length: usize, wanted: usize, side: usize| {
            let centred = start - (wanted - length) as i64 / 2;
            let slack = side as i64 - wanted as i64;
            match slack >= 0 {
                true => centred.clamp(0, slack),
                false => slack / 2,
            }
        };
        Self {
            x: place(self.x, self.width, wide, width),
            y: place(self.y, self.height, high, height),
            width: wide,
            height: high,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(width: usize, values: &[u8]) -> Mask {
        Mask {
            width,
            height: values.len() / width,
            values: values.to_vec(),
        }
    }

    #[test]
    fn grey_counts_as_much_as_alpha_lets_it() {
        let picture = Picture {
            width: 6,
            height: 1,
            rgba: [
                [255, 255, 255, 255],
                [255, 255, 255, 128],
                [2, 2, 2, 255],
                [253, 253, 253, 255],
                [255, 0, 0, 255],
                [255, 255, 255, 0],
            ]
            .concat(),
        };
        assert_eq!(
            Mask::from_picture(&picture).values,
            [255, 128, 0, 255, 76, 0]
        );
    }

    #[test]
    fn a_soft_edge_lies_inside() {
        let hard = mask(9, &[0, 255, 255, 255, 255, 255, 255, 255, 0]);
        let soft = hard.clone().softened(3);
        let same: Vec<bool> = soft.values.iter().map(|value| *value == 0).collect();
        let kept: Vec<bool> = hard.values.iter().map(|value| *value == 0).collect();
        assert_eq!(same, kept);
        assert_eq!(soft.values[4], 255);
        assert!(soft.values[..5].is_sorted());
        assert!(soft.values[1] > 0 && soft.values[1] < 128);
        assert_eq!(mask(1, &[255; 4]).softened(8).values, [255; 4]);
    }

    #[test]
    fn a_stroke_of_one_pixel_is_a_cell() {
        let mut values = vec![0; 16 * 16];
        values[3 * 16 + 11] = 90;
        let mask = mask(16, &values);
        assert_eq!(mask.cells(mask.rect(), 2, 2), [0, 90, 0, 0]);
        let bounds = mask.bounds().unwrap();
        assert_eq!(
            (bounds.x, bounds.y, bounds.width, bounds.height),
            (11, 3, 1, 1)
        );
    }

    #[test]
    fn a_part_takes_the_proportions_within_the_picture_if_it_can() {
        let rect = Rect {
            x: 90,
            y: 40,
            width: 8,
            height: 20,
        };
        let grown = rect.grown(4, 100, 100);
        assert_eq!(
            grown,
            Rect {
                x: 86,
                y: 36,
                width: 14,
                height: 28
            }
        );
        let square = grown.with_aspect(64, 64, 100, 100);
        assert_eq!(
            square,
            Rect {
                x: 72,
                y: 36,
                width: 28,
                height: 28
            }
        );
        let beyond = grown.with_aspect(8, 64, 100, 100);
        assert_eq!((beyond.y, beyond.height), (-6, 112));
    }
}
