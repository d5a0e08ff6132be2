//! Group normalisation, with SiLU where it follows: two passes over a map on a GPU.
//!
//! The first takes the statistics of each channel in runs of pixels, which are then merged into a
//! scale and a shift for each channel; the second applies those. A map in tiles is passed over tile
//! by tile. The first pass over a small map makes the scales and shifts at once.

#[cfg(feature = "gpu")]
pub(super) mod gpu;

use std::ops::Range;

use burn::tensor::{Tensor, activation};

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
    on_cpu(tiles, parameters)
}

/// `x` times the scale plus the shift of [`group_norm_scale_shift`], then SiLU if it is asked for.
pub fn apply_scale_shift(x: Tensor<4>, scale_shift: Tensor<3>, silu: bool) -> Tensor<4> {
    #[cfg(feature = "gpu")]
    if is_gpu(&x.device()) {
        let [_, _, height, _] = x.dims();
        return gpu::apply_to_rows(vec![(x, 0..height)], scale_shift, silu);
    }
    let [batch, channels, ..] = x.dims();
    let each = |index| {
        let row = scale_shift.clone().narrow(1, index, 1);
        row.reshape([batch, channels, 1, 1])
    };
    let x = x * each(0) + each(1);
    if silu { activation::silu(x) } else { x }
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
    let rows = maps.into_iter().map(|(map, rows)| map.slice_dim(2, rows));
    apply_scale_shift(Tensor::cat(rows.collect(), 2), scale_shift, silu)
}

fn on_cpu(tiles: &[Tensor<4>], parameters: &GroupNormParameters) -> Tensor<3> {
    let [channels] = parameters.weight.dims();
    let groups = parameters.groups;
    let grouped = |tile: &Tensor<4>| {
        let [batch, ..] = tile.dims();
        tile.clone().reshape([batch as i64, groups as i64, -1])
    };
    let count: usize = tiles.iter().map(|tile| grouped(tile).dims()[2]).sum();
    let mean_of = |sums: &dyn Fn(&Tensor<4>) -> Tensor<3>| {
        let sums = tiles.iter().map(sums).reduce(|sum, more| sum + more);
        sums.expect("a map has tiles") / count as f32
    };
    let mean = mean_of(&|tile| grouped(tile).sum_dim(2));
    let variance = mean_of(&|tile| (grouped(tile) - mean.clone()).square().sum_dim(2));
    let [batch, ..] = mean.dims();
    let each_channel = |values: Tensor<3>| {
        let each = values.repeat_dim(2, channels / groups);
        each.reshape([batch, 1, channels])
    };
    let deviation = each_channel(variance.add_scalar(parameters.epsilon).sqrt());
    let scale = parameters.weight.clone().reshape([1, 1, channels]) / deviation;
    let bias = parameters.bias.clone().reshape([1, 1, channels]);
    let shift = bias - each_channel(mean) * scale.clone();
    Tensor::cat(vec![scale, shift], 1)
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
