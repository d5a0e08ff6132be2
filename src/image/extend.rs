use super::Picture;
use crate::{Result, memory};

/// What there may be no memory for.
const WHAT: &str = "the larger picture";

impl Picture {
    /// The picture with so many pixels more on its left, top, right and bottom. Its edges go on there, the
    /// softer the farther, colours weighted by alpha.
    ///
    /// # Errors
    /// `out_of_memory`.
    pub fn extended(&self, [left, top, right, bottom]: [usize; 4]) -> Result<Self> {
        let wide = self.transposed()?.with_rows(left, right)?.transposed()?;
        wide.with_rows(top, bottom)
    }

    fn with_rows(&self, above: usize, below: usize) -> Result<Self> {
        let edge = |row: usize| Edge::new(&self.rgba[4 * row * self.width..][..4 * self.width]);
        let (first, last) = (edge(0), edge(self.height - 1));
        let height = above + self.height + below;
        let mut rgba = Vec::new();
        memory::reserve(&mut rgba, 4 * self.width * height, WHAT)?;
        for distance in (1..=above).rev() {
            rgba.extend(first.softened(distance));
        }
        rgba.extend_from_slice(&self.rgba);
        for distance in 1..=below {
            rgba.extend(last.softened(distance));
        }
        Ok(Self {
            width: self.width,
            height,
            rgba,
        })
    }

    fn transposed(&self) -> Result<Self> {
        let pixel = |index: usize| {
            let (column, row) = (index / self.height, index % self.height);
            &self.rgba[4 * (row * self.width + column)..][..4]
        };
        let pixels = 0..self.width * self.height;
        Ok(Self {
            width: self.height,
            height: self.width,
            rgba: memory::collected(self.rgba.len(), pixels.flat_map(pixel).copied(), WHAT)?,
        })
    }
}

/// A row of pixels as sums from its start, so that any mean is two of them.
struct Edge {
    /// Colours times alpha, alpha, and the colours alone.
    sums: Vec<[f64; 7]>,
}

impl Edge {
    fn new(row: &[u8]) -> Self {
        let mut sums = vec![[0.0; 7]];
        for pixel in row.chunks_exact(4) {
            let [red, green, blue, alpha] = [0, 1, 2, 3].map(|channel| f64::from(pixel[channel]));
            let values = [
                red * alpha,
                green * alpha,
                blue * alpha,
                alpha,
                red,
                green,
                blue,
            ];
            let last = sums[sums.len() - 1];
            sums.push(std::array::from_fn(|index| last[index] + values[index]));
        }
        Self { sums }
    }

    /// The row so many pixels away: each is the mean of a stretch as long.
    fn softened(&self, distance: usize) -> impl Iterator<Item = u8> + '_ {
        let width = self.sums.len() - 1;
        (0..width).flat_map(move |column| {
            let from = column.saturating_sub(distance / 2);
            let to = (column + distance / 2 + 1).min(width);
            let sum: [f64; 7] =
                std::array::from_fn(|index| self.sums[to][index] - self.sums[from][index]);
            let count = (to - from) as f64;
            // Colours that nobody sees go on as they are.
            let color = |channel: usize| match sum[3] > 0.0 {
                true => sum[channel] / sum[3],
                false => sum[4 + channel] / count,
            };
            [color(0), color(1), color(2), sum[3] / count].map(|value| value.round() as u8)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_go_on() {
        let (red, clear) = ([255, 0, 0, 255], [0, 0, 200, 0]);
        let picture = Picture {
            width: 2,
            height: 1,
            rgba: [red, clear].concat(),
        };
        let larger = picture.extended([1, 2, 3, 0]).unwrap();
        assert_eq!((larger.width, larger.height), (6, 3));
        let row = |y: usize| &larger.rgba[24 * y..][..24];
        assert_eq!(row(2), [red, red, clear, clear, clear, clear].concat());
        // One pixel away nothing is mixed, two away the neighbours are, weighted by alpha.
        assert_eq!(row(1), row(2));
        assert_eq!(row(0)[4..8], [255, 0, 0, 170]);
        assert_eq!(row(0)[20..], clear);
    }
}
