use std::ops::Range;

use super::padded::Padded;
use crate::kernels::flex::for_each_chunk;
use crate::kernels::panels::{self, ROWS, by_columns};

/// Numbers of neighbourhoods that are laid out at a time: a processor's second cache holds them.
const BLOCK: usize = 1 << 18;

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
    pub weights: Vec<f32>,
}

impl Direct<'_> {
    /// Numbers in a neighbourhood.
    fn depth(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.inputs
    }

    /// Ranges of the output's pixels, counted over all pictures, to be made one at a time.
    pub fn blocks(&self, batch: usize) -> Vec<Range<usize>> {
        let lanes = panels::columns();
        let pixels = batch * self.size[0] * self.size[1];
        let length = (BLOCK / self.depth() / lanes).max(1) * lanes;
        let starts = (0..pixels).step_by(length);
        starts
            .map(|start| start..(start + length).min(pixels))
            .collect()
    }

    /// All features of some pixels, `[out, pixels]`; the features are filled up to whole panels.
    pub fn block(&self, pixels: &Range<usize>) -> Vec<f32> {
        let (depth, lanes) = (self.depth(), panels::columns());
        let width = pixels.len().next_multiple_of(lanes);
        let mut neighbourhoods = vec![0f32; width * depth];
        for_each_chunk(&mut neighbourhoods, lanes * depth, |panel, packed| {
            let first = pixels.start + panel * lanes;
            by_columns!(pack(self, first..pixels.end, packed));
        });
        let rows = self.weights.len() / depth;
        let mut block = vec![0f32; rows * width];
        for_each_chunk(&mut block, ROWS * width, |panel, product| {
            let weights = &self.weights[panel * ROWS * depth..][..ROWS * depth];
            panels::multiply(weights, &neighbourhoods, depth, product);
        });
        block
    }

    /// Where the neighbourhood of a pixel begins in the map's first channel of its picture.
    fn start(&self, pixel: usize) -> usize {
        let [height, width] = self.size;
        let (picture, pixel) = (pixel / (height * width), pixel % (height * width));
        let corner = (pixel / width * self.map.width + pixel % width) * self.stride;
        picture * self.inputs * self.map.area() + corner
    }
}

/// Packs the neighbourhoods of the first `LANES` of some pixels, and where there are fewer the last one again.
fn pack<const LANES: usize>(conv: &Direct, pixels: Range<usize>, packed: &mut [f32]) {
    let (packed, _) = packed.as_chunks_mut::<LANES>();
    let starts: [usize; LANES] =
        std::array::from_fn(|lane| conv.start((pixels.start + lane).min(pixels.end - 1)));
    let is_run = starts.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let [height, width] = conv.kernel;
    for (tap, packed) in packed
        .chunks_exact_mut(conv.inputs)
        .enumerate()
        .take(height * width)
    {
        let shift = tap / width * conv.map.width + tap % width;
        for (channel, packed) in packed.iter_mut().enumerate() {
            let shift = shift + channel * conv.map.area();
            let values = &conv.map.values[shift..];
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
