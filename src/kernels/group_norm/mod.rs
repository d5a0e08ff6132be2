//! Group normalisation, with SiLU where it follows: two passes over a map.
//!
//! The first takes the statistics of each channel in runs of pixels, which are then merged into a
//! scale and a shift for each channel; the second applies those. A map in tiles is passed over tile
//! by tile. The first pass over a small map makes the scales and shifts at once. The CPU does the same.

mod cpu;
#[cfg(feature = "gpu")]
pub(super) mod gpu;

use std::ops::Range;

use burn::tensor::Tensor;

#[cfg(feature = "gpu")]
use super::is_gpu;

/// What is to be known of a map to normalise it.
pub struct GroupNormParameters {
    /// The learned scale of each channel.
    pub weight: Tensor<1>,
    /// The learned shift of each channel.
    pub bias: Tensor<1>,
    /// In how many groups the channels are normalised.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

/// A scale and a shift for each channel of each picture, `[batch, 2, channels]`, that normalise the
/// map whose tiles these are, `[batch, channels, height, width]` each.
pub fn group_norm_scale_shift(tiles: &[Tensor<4>], parameters: &GroupNormParameters) -> Tensor<3> {
    #[cfg(feature = "gpu")]
    if is_gpu(&parameters.weight.device()) {
        return gpu::scale_shift(tiles, parameters);
    }
    cpu::scale_shift(tiles, parameters)
}

/// `x` times the scale plus the shift of [`group_norm_scale_shift`], then SiLU if it is asked for.
pub fn apply_scale_shift(x: Tensor<4>, scale_shift: Tensor<3>, silu: bool) -> Tensor<4> {
    let [_, _, height, _] = x.dims();
    apply_scale_shift_to_rows(vec![(x, 0..height)], scale_shift, silu)
}

/// As [`apply_scale_shift`], for some rows of each of some maps, which become one map.
pub fn apply_scale_shift_to_rows(
    maps: Vec<(Tensor<4>, Range<usize>)>,
    scale_shift: Tensor<3>,
    silu: bool,
) -> Tensor<4> {
    #[cfg(feature = "gpu")]
    if is_gpu(&scale_shift.device()) {
        return gpu::apply_to_rows(maps, scale_shift, silu);
    }
    cpu::apply_to_rows(maps, scale_shift, silu)
}

#[cfg(all(test, feature = "gpu"))]
mod tests {
    use super::*;
    use crate::kernels::test::{assert_near, both, random};

    /// Against the CPU: odd sizes, one channel a group, one group, one pixel, tiles.
    #[test]
    fn equals_the_cpus() {
        let shapes = [
            ([1, 32, 8, 8], 32),
            ([2, 320, 16, 16], 32),
            ([2, 6, 5, 7], 3),
            ([1, 12, 1, 1], 1),
            ([3, 130, 33, 9], 13),
            ([1, 8, 120, 130], 2),
        ];
        for (shape, groups) in shapes {
            let [_, channels, height, _] = shape;
            let values = random(shape, 1).mul_scalar(3.0).add_scalar(100.0);
            let (weight, bias) = (random([channels], 2), random([channels], 3));
            for tiles in [1, 2] {
                let [cpu, gpu] = both(|device| {
                    let parameters = GroupNormParameters {
                        weight: weight.clone().to_device(device),
                        bias: bias.clone().to_device(device),
                        groups,
                        epsilon: 1e-5,
                    };
                    let x = values.clone().to_device(device);
                    let tiles = x.clone().split(height.div_ceil(tiles), 2);
                    let scale_shift = group_norm_scale_shift(&tiles, &parameters);
                    // All rows but the first and the last, where there are as many.
                    let skip = height.saturating_sub(2).min(1);
                    let ends = tiles.len() - 1;
                    let rows = tiles.into_iter().enumerate().map(|(index, tile)| {
                        let [_, _, height, _] = tile.dims();
                        let end = height - if index == ends { skip } else { 0 };
                        (tile, if index == 0 { skip } else { 0 }..end)
                    });
                    let rows = apply_scale_shift_to_rows(rows.collect(), scale_shift.clone(), true);
                    let whole = apply_scale_shift(x, scale_shift, true);
                    Tensor::cat(vec![rows, whole], 2)
                });
                assert_near(cpu, gpu, 3e-5);
            }
        }
    }
}
