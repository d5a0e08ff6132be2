use std::ops::Range;

use super::padded::Padded;
use crate::kernels::flex::for_each_chunk;
use crate::kernels::panels::{self, ROWS, by_columns};

/// A convolution as the product of its weights and its input's neighbourhoods.
pub struct Direct<'a> {
    pub map: &'a Padded<'a>,
    /// Channels of the map.
    pub inputs: usize,
    pub kernel: [usize; 2],
    pub stride: usize,
    /// Height and width of the output.
    pub size: [usize; 2],
    /// `[out, height, width, in]` in panels.
    pub weights: &'a [f32],
}

impl Direct<'_> {
    /// Numbers in a neighbourhood.
    fn depth(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.inputs
    }

    /// Ranges of a picture's pixels that are made one at a time.
    pub fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let lanes = panels::columns();
        let pixels = self.size[0] * self.size[1];
        let length = (panels::BLOCK / self.depth() / lanes).max(1) * lanes;
        (0..pixels)
            .step_by(length)
            .map(move |start| start..(start + length).min(pixels))
    }

    /// The neighbourhoods of some pixels of a picture, in panels.
    pub fn lay_out(&self, picture: usize, pixels: &Range<usize>, neighbourhoods: &mut Vec<f32>) {
        let (depth, lanes) = (self.depth(), panels::columns());
        neighbourhoods.resize(pixels.len().next_multiple_of(lanes) * depth, 0.0);
        for_each_chunk(neighbourhoods, lanes * depth, |panel, packed| {
            let first = pixels.start + panel * lanes;
            by_columns!(pack(self, picture, first..pixels.end, packed));
        });
    }

    /// A panel of features of the pixels that have these neighbourhoods, feature by feature.
    pub fn multiply(&self, panel: usize, neighbourhoods: &[f32], product: &mut Vec<f32>) {
        let depth = self.depth();
        product.resize(ROWS * neighbourhoods.len() / depth, 0.0);
        let weights = &self.weights[panel * ROWS * depth..][..ROWS * depth];
        let stride = panels::columns() * depth;
        panels::multiply(weights, neighbourhoods, stride, depth, product);
    }

    /// Where the neighbourhood of a pixel begins in a channel of the map.
    fn start(&self, pixel: usize) -> usize {
        let [_, width] = self.size;
        (pixel / width * self.map.width + pixel % width) * self.stride
    }
}

/// Packs the neighbourhoods of the first `LANES` of some pixels, and where there are fewer the last one again.
fn pack<const LANES: usize>(
    conv: &Direct,
    picture: usize,
    pixels: Range<usize>,
    packed: &mut [f32],
) {
    let (packed, _) = packed.as_chunks_mut::<LANES>();
    let starts: [usize; LANES] =
        std::array::from_fn(|lane| conv.start((pixels.start + lane).min(pixels.end - 1)));
    let is_run = starts.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let [_, width] = conv.kernel;
    for (tap, packed) in packed.chunks_exact_mut(conv.inputs).enumerate() {
        let shift = tap / width * conv.map.width + tap % width;
        for (channel, packed) in packed.iter_mut().enumerate() {
            let plane = (picture * conv.inputs + channel) * conv.map.area();
            let values = &conv.map.values[plane + shift..];
            if is_run {
                panels::copy(&values[starts[0]..][..LANES], packed);
            } else {
                for (packed, start) in packed.iter_mut().zip(starts) {
                    *packed = values[start];
                }
            }
        }
    }
}
