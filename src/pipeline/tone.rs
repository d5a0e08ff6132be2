//! The codec's loss of tone: a picture comes back from its latent a little darker, lighter or tinted, which
//! would draw the outline of what is repainted. What is kept shows how much, and what is made beside it
//! is shifted alike.

use crate::image::Picture;

/// Side of a latent's cell in pixels.
pub(super) const CELL: usize = 8;
/// No codec loses more of a colour, of 255, or of alpha, of 1; what differs more was made otherwise.
const LARGEST: [f32; 4] = [32.0, 32.0, 32.0, 0.1];
const SWEEPS: usize = 64;

/// For each cell a difference in colour, and a change of alpha in proportion, so that what is clear stays clear.
struct Shift {
    columns: usize,
    rows: usize,
    cells: Vec<[f32; 4]>,
}

/// Shifts the colours of `made` towards those of `given`, of the same size, and its alpha, by what they differ
/// where all cells around have a `mask` of 0; smoothly in between.
pub(super) fn match_tone(made: &mut Picture, given: &Picture, mask: &[u8]) {
    let Some(shift) = Shift::measured(made, given, mask) else {
        return;
    };
    let width = made.width;
    for (index, pixel) in made.rgba.chunks_exact_mut(4).enumerate() {
        let by = shift.at(index % width, index / width);
        for channel in 0..3 {
            pixel[channel] = (f32::from(pixel[channel]) + by[channel]).round() as u8;
        }
        pixel[3] = (f32::from(pixel[3]) * (1.0 + by[3])).round() as u8;
    }
}

impl Shift {
    /// `None` if nothing is kept.
    fn measured(made: &Picture, given: &Picture, mask: &[u8]) -> Option<Self> {
        let (columns, rows) = (made.width / CELL, made.height / CELL);
        let is_kept = |column: usize, row: usize| {
            let around = |place: usize, side: usize| place.saturating_sub(1)..(place + 2).min(side);
            around(row, rows).all(|y| around(column, columns).all(|x| mask[y * columns + x] == 0))
        };
        let known = |index: usize| {
            let (column, row) = (index % columns, index / columns);
            let kept = is_kept(column, row).then(|| difference(made, given, column, row));
            kept.flatten()
        };
        let known: Vec<Option<[f32; 4]>> = (0..columns * rows).map(known).collect();
        let count = known.iter().flatten().count() as f32;
        if count == 0.0 {
            return None;
        }
        let sum = |channel: usize| {
            known
                .iter()
                .flatten()
                .map(|cell| cell[channel])
                .sum::<f32>()
        };
        let mean = [0, 1, 2, 3].map(|channel| sum(channel) / count);
        let mut shift = Self {
            columns,
            rows,
            cells: known.iter().map(|cell| cell.unwrap_or(mean)).collect(),
        };
        for _ in 0..SWEEPS {
            shift.relax(&known);
        }
        Some(shift)
    }

    /// Brings each cell that is not known nearer to the mean of its neighbours.
    fn relax(&mut self, known: &[Option<[f32; 4]>]) {
        for index in (0..known.len()).filter(|index| known[*index].is_none()) {
            let (column, row) = (index % self.columns, index / self.columns);
            let neighbours = [
                (column > 0).then(|| index - 1),
                (column + 1 < self.columns).then(|| index + 1),
                (row > 0).then(|| index - self.columns),
                (row + 1 < self.rows).then(|| index + self.columns),
            ];
            let count = neighbours.iter().flatten().count() as f32;
            let sum = |channel: usize| {
                let values = neighbours.iter().flatten();
                values.map(|cell| self.cells[*cell][channel]).sum::<f32>()
            };
            if count > 0.0 {
                self.cells[index] = [0, 1, 2, 3].map(|channel| sum(channel) / count);
            }
        }
    }

    /// At a pixel, between the centres of the cells.
    fn at(&self, x: usize, y: usize) -> [f32; 4] {
        let place = |pixel: usize, side: usize| {
            let centre = (pixel as f32 + 0.5) / CELL as f32 - 0.5;
            let centre = centre.clamp(0.0, (side - 1) as f32);
            let from = centre as usize;
            (from, (from + 1).min(side - 1), centre - from as f32)
        };
        let (left, right, across) = place(x, self.columns);
        let (top, bottom, down) = place(y, self.rows);
        let cell = |column: usize, row: usize, channel: usize| {
            self.cells[row * self.columns + column][channel]
        };
        let mix = |from: f32, to: f32, share: f32| from + (to - from) * share;
        [0, 1, 2, 3].map(|channel| {
            mix(
                mix(cell(left, top, channel), cell(right, top, channel), across),
                mix(
                    cell(left, bottom, channel),
                    cell(right, bottom, channel),
                    across,
                ),
                down,
            )
        })
    }
}

/// How much lighter `given` is in a cell, weighted by what is seen of it; `None` if nothing is.
fn difference(made: &Picture, given: &Picture, column: usize, row: usize) -> Option<[f32; 4]> {
    let (mut sum, mut weights, mut alphas) = ([0.0; 3], 0.0, [0.0; 2]);
    for y in row * CELL..(row + 1) * CELL {
        for x in column * CELL..(column + 1) * CELL {
            let at = 4 * (y * made.width + x);
            let (made, given) = (&made.rgba[at..][..4], &given.rgba[at..][..4]);
            let weight = f32::from(made[3].min(given[3]));
            for channel in 0..3 {
                sum[channel] += weight * (f32::from(given[channel]) - f32::from(made[channel]));
            }
            weights += weight;
            alphas[0] += f32::from(made[3]);
            alphas[1] += f32::from(given[3]);
        }
    }
    (weights > 0.0).then(|| {
        let [red, green, blue] = sum.map(|sum| sum / weights);
        let by = [red, green, blue, alphas[1] / alphas[0] - 1.0];
        [0, 1, 2, 3].map(|channel| by[channel].clamp(-LARGEST[channel], LARGEST[channel]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(width: usize, height: usize, pixel: [u8; 4]) -> Picture {
        Picture {
            width,
            height,
            rgba: pixel.repeat(width * height),
        }
    }

    #[test]
    fn what_is_made_takes_the_tone_of_what_is_kept() {
        let given = filled(64, 64, [120, 120, 120, 255]);
        let mut made = filled(64, 64, [113, 121, 117, 246]);
        let mut mask = vec![0; 64];
        mask[27] = 255;
        let clear = 4 * (28 * 64 + 28) + 3;
        made.rgba[clear] = 0;
        match_tone(&mut made, &given, &mask);
        assert_eq!(std::mem::replace(&mut made.rgba[clear], 255), 0);
        assert_eq!(made, given);
    }

    #[test]
    fn nothing_is_shifted_by_what_is_not_kept_or_not_seen() {
        let given = filled(64, 64, [120, 120, 120, 0]);
        for mask in [vec![0; 64], vec![1; 64]] {
            let mut made = filled(64, 64, [113, 121, 117, 200]);
            match_tone(&mut made, &given, &mask);
            assert_eq!(made, filled(64, 64, [113, 121, 117, 200]));
        }
    }
}
