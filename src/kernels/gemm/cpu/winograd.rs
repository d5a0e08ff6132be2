//! Convolutions of 3 x 3 with fewer products: F(2 x 2, 3 x 3) of Lavin and Gray, "Fast algorithms for convolutional
//! neural networks" (2015), after Winograd.
//!
//! Two by two pixels of the output are made from four by four of the input. Both the tile and the kernel are
//! transformed to 16 numbers, which are multiplied one with one, 16 products instead of 36, and summed over the
//! channels, which is a product of matrices for each of the 16. The transforms are sums and halves.

use std::ops::Range;

use super::padded::Padded;
use crate::kernels::HostWeight;
use crate::kernels::flex::{for_each_chunk, for_each_chunk_with};
use crate::kernels::panels::{self, ROWS};
use crate::lanes::Lanes;

/// Numbers that a kernel or a tile is transformed to.
const POINTS: usize = 16;

/// Tiles that are made at a time, or a row of them if it has more, so that their products stay in the cache too.
const BLOCK_TILES: usize = 256;

/// A convolution of 3 x 3 with stride 1.
pub struct Winograd<'a> {
    pub map: &'a Padded<'a>,
    /// Channels of the map.
    pub inputs: usize,
    /// Height and width of the output.
    pub size: [usize; 2],
    /// What [`transform_weights`] makes.
    pub weights: &'a [f32],
}

/// A kernel's 16 numbers, for each panel of output features each of the 16 packed by itself; `weight` is
/// `[features, 3, 3, in]`.
pub fn transform_weights(weight: &HostWeight, features: usize, inputs: usize) -> Vec<f32> {
    let panel = POINTS * inputs * ROWS;
    let mut transformed = vec![0f32; features.div_ceil(ROWS) * panel];
    let transform = |room: &mut Vec<f32>, panel: usize, transformed: &mut [f32]| {
        let rows = panel * ROWS..features.min((panel + 1) * ROWS);
        let kernels = weight.values(rows.start * 9 * inputs..rows.end * 9 * inputs, room);
        let kernels = kernels.chunks_exact(9 * inputs);
        for channel in (0..inputs).step_by(4) {
            let count = (inputs - channel).min(4);
            let mut features = [[[Lanes::splat(0.0); ROWS]; 4]; 4];
            for (row, kernel) in kernels.clone().enumerate() {
                let tap = |tap: usize| lanes(&kernel[tap * inputs + channel..][..count]);
                let line = |y: usize| [tap(y * 3), tap(y * 3 + 1), tap(y * 3 + 2)];
                let points = transform_kernel([line(0), line(1), line(2)]);
                let points = points.as_flattened().iter();
                for (features, point) in features.as_flattened_mut().iter_mut().zip(points) {
                    features[row] = *point;
                }
            }
            for (point, features) in features.as_flattened().iter().enumerate() {
                let at = (point * inputs + channel) * ROWS;
                let (channels, _) = transformed[at..].as_chunks_mut::<ROWS>();
                for (channel, features) in channels
                    .iter_mut()
                    .zip(Lanes::transpose(*features))
                    .take(count)
                {
                    *channel = features.to_array();
                }
            }
        }
    };
    for_each_chunk_with(&mut transformed, panel, 1, Vec::new, transform);
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
    /// Tiles side by side.
    fn across(&self) -> usize {
        self.size[1].div_ceil(2)
    }

    /// Numbers in a panel of the input's transformed tiles.
    fn panel(&self) -> usize {
        POINTS * self.inputs * panels::columns()
    }

    /// Ranges of a picture's rows of tiles that are made one at a time.
    pub fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let tiles = (panels::BLOCK / (POINTS * self.inputs)).min(BLOCK_TILES);
        let (rows, count) = (self.size[0].div_ceil(2), (tiles / self.across()).max(1));
        (0..rows)
            .step_by(count)
            .map(move |start| start..(start + count).min(rows))
    }

    /// The pixels that some rows of tiles make.
    pub fn pixels(&self, rows: &Range<usize>) -> Range<usize> {
        let [height, width] = self.size;
        rows.start * 2 * width..height.min(rows.end * 2) * width
    }

    /// Each of the 16 numbers of a picture's tiles: for each panel of tiles, each of the 16 packed by itself.
    pub fn transform_input(&self, picture: usize, rows: &Range<usize>, packed: &mut Vec<f32>) {
        let (lanes, across) = (panels::columns(), self.across());
        let tiles = rows.start * across..rows.end * across;
        packed.resize(tiles.len().div_ceil(lanes) * self.panel(), 0.0);
        for_each_chunk(packed, self.panel(), |panel, packed| {
            let first = tiles.start + panel * lanes;
            let end = tiles.end.min(first + lanes);
            let mut tile = first;
            while tile < end {
                let count = (across - tile % across).min(end - tile);
                self.transform_run(picture, [tile, count], tile - first, packed);
                tile += count;
            }
        });
    }

    /// Transforms `count` tiles of one row, from the one with index `tile` on, which are those in a panel from `lane` on.
    fn transform_run(
        &self,
        picture: usize,
        [tile, count]: [usize; 2],
        lane: usize,
        packed: &mut [f32],
    ) {
        let (lanes, across) = (panels::columns(), self.across());
        let corner = tile / across * 2 * self.map.width + tile % across * 2;
        let stride = self.inputs * lanes;
        for channel in 0..self.inputs {
            let plane = (picture * self.inputs + channel) * self.map.area();
            let plane = &self.map.values[plane..][..self.map.area()];
            let packed = &mut packed[channel * lanes + lane..];
            for tile in (0..count).step_by(4) {
                let points = transform_tiles(by_four(|y| {
                    let row = plane.get(corner + tile * 2 + y * self.map.width..);
                    let row = row.unwrap_or_default();
                    match row.first_chunk() {
                        Some(row) => columns(row),
                        None => columns(&filled_up(row)),
                    }
                }));
                // Lanes too many are of the next tiles, which come later, or of none.
                let whole = lane + tile + 4 <= lanes;
                let points = points.as_flattened().iter();
                for (packed, point) in packed[tile..].chunks_mut(stride).zip(points) {
                    match packed.first_chunk_mut::<4>() {
                        Some(four) if whole => *four = point.to_array(),
                        _ => {
                            let tiles = packed.iter_mut().take(count - tile);
                            for (packed, value) in tiles.zip(point.to_array()) {
                                *packed = value;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Each of the 16 products of a panel of features with the `input` that [`Winograd::transform_input`] made, feature by
    /// feature.
    pub fn multiply(&self, panel: usize, input: &[f32], products: &mut Vec<f32>) {
        let depth = self.inputs;
        let width = input.len() / (POINTS * depth);
        products.resize(POINTS * ROWS * width, 0.0);
        let weights = self.weights.chunks_exact(depth * ROWS).skip(panel * POINTS);
        let products = products.chunks_exact_mut(ROWS * width);
        for (point, (product, weights)) in products.zip(weights).enumerate() {
            let input = &input[point * depth * panels::columns()..];
            panels::multiply(weights, input, self.panel(), depth, product);
        }
    }

    /// A feature's pixels from the products of some rows of tiles, plus `constant`.
    pub fn transform_output(
        &self,
        products: &[f32],
        feature: usize,
        constant: f32,
        pixels: &mut [f32],
    ) {
        let (across, [_, out_width]) = (self.across(), self.size);
        let width = products.len() / (POINTS * ROWS);
        let products = &products[feature * width..];
        for (row, pixels) in pixels.chunks_mut(2 * out_width).enumerate() {
            let (upper, lower) = pixels.split_at_mut(out_width);
            for tile in (0..across).step_by(4) {
                let first = row * across + tile;
                let point = |point: usize| lanes(&products[point * ROWS * width + first..]);
                let points = by_four(|y| by_four(|x| point(y * 4 + x)));
                let [above, below] = transform_products(points);
                for (row, [left, right]) in [(&mut *upper, above), (&mut *lower, below)] {
                    if let Some(row) = row.get_mut(tile * 2..) {
                        let (first, second) = left.zip(right);
                        store(first + constant, second + constant, row);
                    }
                }
            }
        }
    }
}

/// Puts eight pixels, or as many as there are, into a row.
#[inline(always)]
fn store(first: Lanes, second: Lanes, row: &mut [f32]) {
    let pixels = [first.to_array(), second.to_array()];
    if let [one, other, ..] = row.as_chunks_mut::<4>().0 {
        (*one, *other) = (first.to_array(), second.to_array());
    } else {
        for (pixel, value) in row.iter_mut().zip(pixels.as_flattened()) {
            *pixel = *value;
        }
    }
}

/// Of four tiles side by side the first, second, third and fourth column of a row.
#[inline(always)]
fn columns(row: &[f32; 12]) -> [Lanes; 4] {
    let [a, b, c, ..] = row.as_chunks::<4>().0 else {
        unreachable!()
    };
    let (a, b, c) = (Lanes::new(*a), Lanes::new(*b), Lanes::new(*c));
    let ((first, second), (next, after)) = (a.unzip(b), c.unzip(c));
    [first, second, first.shift_in(next), second.shift_in(after)]
}

/// What there is and zeros: a picture may have a row and a column fewer than its tiles, of which nothing comes into the
/// output.
#[cold]
fn filled_up<const LENGTH: usize>(values: &[f32]) -> [f32; LENGTH] {
    let mut filled_up = [0.0; LENGTH];
    for (filled, value) in filled_up.iter_mut().zip(values) {
        *filled = *value;
    }
    filled_up
}

/// `Bᵀ d B` of four tiles, from the [`columns`] of each row.
#[inline(always)]
fn transform_tiles(rows: [[Lanes; 4]; 4]) -> [[Lanes; 4]; 4] {
    let transform = |[a, b, c, d]: [Lanes; 4]| [a - c, b + c, c - b, b - d];
    let columns = by_four(|x| transform(by_four(|y| rows[y][x])));
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

/// The first four numbers, or as many as there are.
#[inline(always)]
fn lanes(values: &[f32]) -> Lanes {
    match values.first_chunk::<4>() {
        Some(four) => Lanes::new(*four),
        None => Lanes::new(filled_up(values)),
    }
}
