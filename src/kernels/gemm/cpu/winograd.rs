//! Convolutions of 3 x 3 with fewer products: F(2 x 2, 3 x 3) of Lavin and Gray, "Fast algorithms for convolutional
//! neural networks" (2015), after Winograd.
//!
//! Two by two pixels of the output are made from four by four of the input. Both the tile and the kernel are
//! transformed to 16 numbers, which are multiplied one with one, 16 products instead of 36, and summed over the
//! channels, which is a product of matrices for each of the 16. The transforms are sums and halves.

use std::ops::Range;

use super::padded::Padded;
use crate::kernels::flex::{for_each_chunk, for_each_chunk_with};
use crate::kernels::panels::{self, ROWS};
use crate::lanes::Lanes;

/// Numbers that a kernel or a tile is transformed to.
const POINTS: usize = 16;

/// Transformed numbers of the input that are made at a time: a processor's second cache holds them.
const BLOCK: usize = 1 << 18;

/// Tiles that are made at a time, or a row of them if it has more, so that their products stay in that cache too.
const BLOCK_TILES: usize = 256;

/// A convolution of 3 x 3 with stride 1.
pub struct Winograd<'a> {
    pub map: &'a Padded<'a>,
    /// Channels of the map.
    pub inputs: usize,
    /// Height and width of the output.
    pub size: [usize; 2],
    /// What [`transform_weights`] makes.
    pub weights: Vec<f32>,
}

/// A kernel's 16 numbers, for each panel of output features each of the 16 packed by itself; `weights` is
/// `[out, 3, 3, in]`.
pub fn transform_weights(weights: &[f32], inputs: usize) -> Vec<f32> {
    let features = weights.len() / (9 * inputs);
    let panel = POINTS * inputs * ROWS;
    let mut transformed = vec![0f32; features.div_ceil(ROWS) * panel];
    for_each_chunk(&mut transformed, panel, |panel, transformed| {
        let kernels = weights[panel * ROWS * 9 * inputs..].chunks_exact(9 * inputs);
        for (row, kernel) in kernels.take(ROWS).enumerate() {
            for channel in (0..inputs).step_by(4) {
                let count = (inputs - channel).min(4);
                let tap = |tap: usize| lanes(&kernel[tap * inputs + channel..][..count]);
                let line = |y: usize| [tap(y * 3), tap(y * 3 + 1), tap(y * 3 + 2)];
                let points = transform_kernel([line(0), line(1), line(2)]);
                for (point, values) in points.as_flattened().iter().enumerate() {
                    let at = (point * inputs + channel) * ROWS + row;
                    let channels = transformed[at..].iter_mut().step_by(ROWS);
                    for (transformed, value) in channels.zip(&values.to_array()[..count]) {
                        *transformed = *value;
                    }
                }
            }
        }
    });
    transformed
}

/// `G g Gᵀ`.
fn transform_kernel(kernel: [[Lanes; 3]; 3]) -> [[Lanes; 4]; 4] {
    let transform = |[a, b, c]: [Lanes; 3]| {
        let (ends, middle) = ((a + c) * 0.5, b * 0.5);
        [a, ends + middle, ends - middle, c]
    };
    let [first, second, third] = kernel;
    let column = |x: usize| transform([first[x], second[x], third[x]]);
    let columns = [column(0), column(1), column(2)];
    by_four(|y| transform([columns[0][y], columns[1][y], columns[2][y]]))
}

impl Winograd<'_> {
    /// Tiles below each other and side by side.
    fn tiles(&self) -> [usize; 2] {
        self.size.map(|length| length.div_ceil(2))
    }

    /// Rows of tiles, counted over all pictures, and the pixels of the output that they make.
    pub fn blocks(&self, batch: usize) -> Vec<(Range<usize>, Range<usize>)> {
        let [down, across] = self.tiles();
        let [height, width] = self.size;
        let pixels = |row: usize| (row / down * height + row % down * 2) * width;
        let rows = batch * down;
        let tiles = (BLOCK / (POINTS * self.inputs)).min(BLOCK_TILES);
        let count = (tiles / across).max(1);
        let starts = (0..rows).step_by(count);
        starts
            .map(|start| {
                let end = (start + count).min(rows);
                (start..end, pixels(start)..pixels(end))
            })
            .collect()
    }

    /// All features of the pixels that some rows of tiles make, `[out, pixels]`; the features are filled up to whole
    /// panels.
    pub fn block(&self, rows: &Range<usize>, pixels: usize) -> Vec<f32> {
        let [_, across] = self.tiles();
        let width = (rows.len() * across).next_multiple_of(panels::columns());
        let input = self.transform_input(rows, width);
        let panel = POINTS * self.inputs * ROWS;
        let mut block = vec![0f32; self.weights.len() / panel * ROWS * pixels];
        let products = || vec![0f32; POINTS * ROWS * width];
        for_each_chunk_with(
            &mut block,
            ROWS * pixels,
            products,
            |products, index, block| {
                let weights = self.weights[index * panel..].chunks_exact(self.inputs * ROWS);
                let input = input.chunks_exact(self.inputs * width);
                let products_of = products.chunks_exact_mut(ROWS * width);
                for ((weights, input), product) in weights.zip(input).zip(products_of) {
                    panels::multiply(weights, input, self.inputs, product);
                }
                for (row, block) in block.chunks_exact_mut(pixels).enumerate() {
                    self.transform_output(rows, &products[row * width..], width, block);
                }
            },
        );
        block
    }

    /// Each of the 16 numbers of some rows of tiles, as panels of `width` columns in all.
    fn transform_input(&self, rows: &Range<usize>, width: usize) -> Vec<f32> {
        let [down, across] = self.tiles();
        let mut packed = vec![0f32; POINTS * self.inputs * width];
        let mut four = [(); 4].map(|()| Halves::new(across));
        for channel in 0..self.inputs {
            for row in rows.clone() {
                let (picture, top) = (row / down, row % down * 2);
                let plane = (picture * self.inputs + channel) * self.map.area();
                let plane = &self.map.values[plane..][..self.map.area()];
                // The last two rows of the row of tiles above are the first two here.
                let known = if row > rows.start && top > 0 { 2 } else { 0 };
                four.rotate_left(known);
                for (y, halves) in four.iter_mut().enumerate().skip(known) {
                    let row = plane.chunks_exact(self.map.width).nth(top + y);
                    halves.fill(row.unwrap_or_default());
                }
                let first = (row - rows.start) * across;
                for tile in (0..across).step_by(4) {
                    let points = transform_tiles(&four, tile);
                    let count = (across - tile).min(4);
                    self.store(&points, [first + tile, count], channel, width, &mut packed);
                }
            }
        }
        packed
    }

    /// Puts the numbers of `count` tiles from the one with index `tile` on where they belong.
    fn store(
        &self,
        points: &[[Lanes; 4]; 4],
        [tile, count]: [usize; 2],
        channel: usize,
        width: usize,
        packed: &mut [f32],
    ) {
        let lanes = panels::columns();
        let at = |tile: usize| (tile / lanes * self.inputs + channel) * lanes + tile % lanes;
        let in_one_panel = count == 4 && tile % lanes + 4 <= lanes;
        let points = points.as_flattened().iter();
        for (packed, values) in packed.chunks_exact_mut(self.inputs * width).zip(points) {
            if in_one_panel {
                let (four, _) = packed[at(tile)..]
                    .split_first_chunk_mut::<4>()
                    .expect("lanes");
                *four = values.to_array();
            } else {
                for (index, value) in values.to_array().into_iter().enumerate().take(count) {
                    packed[at(tile + index)] = value;
                }
            }
        }
    }

    /// Makes one feature's pixels from the products of some rows of tiles, of which there are `width` of each point, and
    /// those of each point [`ROWS`] times `width` behind those of the one before.
    fn transform_output(
        &self,
        rows: &Range<usize>,
        products: &[f32],
        width: usize,
        out: &mut [f32],
    ) {
        let [down, across] = self.tiles();
        let [height, out_width] = self.size;
        let mut out = out;
        for row in rows.clone() {
            let count = (height - row % down * 2).min(2);
            let (pixels, rest) = out.split_at_mut(count * out_width);
            out = rest;
            let (upper, lower) = pixels.split_at_mut(out_width);
            for tile in (0..across).step_by(4) {
                let first = (row - rows.start) * across + tile;
                let count = (width - first).min(4);
                let point = |point: usize| {
                    let at = point * ROWS * width + first;
                    lanes(&products[at..][..count])
                };
                let [above, below] = transform_products(by_four(|y| by_four(|x| point(y * 4 + x))));
                for (out, [left, right]) in [(&mut *upper, above), (&mut *lower, below)] {
                    let Some(out) = out.get_mut(tile * 2..) else {
                        continue;
                    };
                    let (first, second) = left.zip(right);
                    if let [upper, lower, ..] = out.as_chunks_mut::<4>().0 {
                        (*upper, *lower) = (first.to_array(), second.to_array());
                    } else {
                        let pixels = [first.to_array(), second.to_array()];
                        for (out, value) in out.iter_mut().zip(pixels.as_flattened()) {
                            *out = *value;
                        }
                    }
                }
            }
        }
    }
}

/// A row of the input, its even and its odd columns apart.
struct Halves {
    even: Vec<f32>,
    odd: Vec<f32>,
}

impl Halves {
    /// For as many tiles; there is room for the four that a vector may read beyond.
    fn new(tiles: usize) -> Self {
        let values = vec![0f32; tiles + 8];
        Self {
            even: values.clone(),
            odd: values,
        }
    }

    fn fill(&mut self, row: &[f32]) {
        let (eights, rest) = row.as_chunks::<8>();
        let (even, _) = self.even.as_chunks_mut::<4>();
        let (odd, _) = self.odd.as_chunks_mut::<4>();
        for ((even, odd), eight) in even.iter_mut().zip(odd).zip(eights) {
            let [a, b, c, d, e, f, g, h] = *eight;
            let (evens, odds) = Lanes::new([a, b, c, d]).unzip(Lanes::new([e, f, g, h]));
            (*even, *odd) = (evens.to_array(), odds.to_array());
        }
        let from = eights.len() * 4;
        let mut rest = rest.iter().copied();
        // What is beyond the row may be of another one.
        for (even, odd) in self.even[from..].iter_mut().zip(&mut self.odd[from..]) {
            *even = rest.next().unwrap_or(0.0);
            *odd = rest.next().unwrap_or(0.0);
        }
    }
}

/// `Bᵀ d B` of four tiles side by side, from the four rows that they are in.
#[inline(always)]
fn transform_tiles(rows: &[Halves; 4], tile: usize) -> [[Lanes; 4]; 4] {
    let transform = |[a, b, c, d]: [Lanes; 4]| [a - c, b + c, c - b, b - d];
    let columns = by_four(|x| {
        transform(by_four(|y| {
            let half = if x % 2 == 0 {
                &rows[y].even
            } else {
                &rows[y].odd
            };
            lanes(&half[tile + x / 2..][..4])
        }))
    });
    by_four(|y| transform(by_four(|x| columns[x][y])))
}

/// `Aᵀ m A`: of four tiles the upper and the lower pixels, of each the left and the right one.
#[inline(always)]
fn transform_products(products: [[Lanes; 4]; 4]) -> [[Lanes; 2]; 2] {
    let transform = |[a, b, c, d]: [Lanes; 4]| [a + b + c, b - c - d];
    let columns = by_four(|x| transform(by_four(|y| products[y][x])));
    let row = |y: usize| transform(by_four(|x| columns[x][y]));
    [row(0), row(1)]
}

/// What `make` makes of 0 to 3. The compiler does not write a loop out where it builds for size.
#[inline(always)]
fn by_four<T>(make: impl Fn(usize) -> T) -> [T; 4] {
    [make(0), make(1), make(2), make(3)]
}

/// Up to four numbers.
#[inline(always)]
fn lanes(values: &[f32]) -> Lanes {
    match values.first_chunk::<4>() {
        Some(four) => Lanes::new(*four),
        None => {
            let mut four = [0.0; 4];
            for (four, value) in four.iter_mut().zip(values) {
                *four = *value;
            }
            Lanes::new(four)
        }
    }
}
