use std::ops::Range;

use burn::tensor::{Tensor, TensorData};
#[cfg(feature = "cli")]
use rayon::prelude::*;

use super::GroupNormParameters;
use crate::kernels::activation;
use crate::kernels::flex::{contiguous, for_each_chunk};
use crate::kernels::{concat_rows, slice_rows};
use crate::lanes::{Lanes, map_lanes};

/// Numbers that are added up as `f32` before they join the others.
const BLOCK: usize = 1024;

pub(super) fn scale_shift(tiles: &[Tensor<4>], parameters: &GroupNormParameters) -> Tensor<3> {
    let [batch, channels, ..] = tiles[0].dims();
    let groups = parameters.groups;
    let mut moments = vec![Moments::default(); batch * groups];
    for tile in tiles {
        let tile = contiguous(tile.clone());
        let values = tile.storage::<f32>();
        let group = values.len() / moments.len();
        #[cfg(feature = "cli")]
        let of_tile = values.par_chunks(group).map(Moments::of);
        #[cfg(not(feature = "cli"))]
        let of_tile = values.chunks(group).map(Moments::of);
        let of_tile: Vec<Moments> = of_tile.collect();
        for (all, tile) in moments.iter_mut().zip(of_tile) {
            all.merge(tile);
        }
    }
    let (weight, bias) = (&parameters.weight, &parameters.bias);
    let (weight, bias) = (contiguous(weight.clone()), contiguous(bias.clone()));
    let (weight, bias) = (weight.storage::<f32>(), bias.storage::<f32>());
    let mut result = Vec::with_capacity(batch * 2 * channels);
    for moments in moments.chunks(groups) {
        let of = |channel: usize| moments[channel / (channels / groups)];
        let scale = |channel: usize| {
            let deviation = (of(channel).variance() + f64::from(parameters.epsilon)).sqrt();
            f64::from(weight[channel]) / deviation
        };
        result.extend((0..channels).map(|channel| scale(channel) as f32));
        result.extend(
            (0..channels).map(|channel| {
                (f64::from(bias[channel]) - of(channel).mean * scale(channel)) as f32
            }),
        );
    }
    Tensor::from_data(
        TensorData::new(result, [batch, 2, channels]),
        &tiles[0].device(),
    )
}

pub(super) fn apply_to_rows(
    maps: Vec<(Tensor<4>, Range<usize>)>,
    scale_shift: Tensor<3>,
    silu: bool,
) -> Tensor<4> {
    let rows = maps.into_iter().map(|(map, rows)| slice_rows(map, rows));
    let x = concat_rows(rows.collect());
    let (shape, device) = (x.dims(), x.device());
    let [_, channels, height, width] = shape;
    let (x, scale_shift) = (contiguous(x), contiguous(scale_shift));
    let (x, scale_shift) = (x.storage::<f32>(), scale_shift.storage::<f32>());
    let mut out = vec![0f32; x.len()];
    let area = height * width;
    for_each_chunk(&mut out, area, |plane, out| {
        let at = plane / channels * 2 * channels + plane % channels;
        let (scale, shift) = (scale_shift[at], scale_shift[at + channels]);
        let of = |x: Lanes| {
            let value = x * scale + shift;
            match silu {
                true => activation::silu(value),
                false => value,
            }
        };
        map_lanes(&x[plane * area..][..area], out, of);
    });
    Tensor::from_data(TensorData::new(out, shape), &device)
}

/// How many numbers there are, their mean and the sum of their squared deviations.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    deviations: f64,
}

impl Moments {
    /// Of some numbers. The squares are of the distances from the first one, which keeps them small
    /// where the mean is large.
    fn of(values: &[f32]) -> Self {
        let first = values[0];
        let (mut sum, mut squares) = (0f64, 0f64);
        for block in values.chunks(BLOCK) {
            let (mut sums, mut block_squares) = (Lanes::splat(0.0), Lanes::splat(0.0));
            let (fours, rest) = block.as_chunks::<4>();
            for four in fours {
                let distance = Lanes::new(*four) - first;
                sums = sums + distance;
                block_squares = block_squares + distance * distance;
            }
            let add_up = |lanes: Lanes| lanes.to_array().into_iter().map(f64::from).sum::<f64>();
            sum += add_up(sums);
            squares += add_up(block_squares);
            for value in rest {
                let distance = f64::from(value - first);
                sum += distance;
                squares += distance * distance;
            }
        }
        let count = values.len() as f64;
        Self {
            count,
            mean: f64::from(first) + sum / count,
            deviations: (squares - sum * sum / count).max(0.0),
        }
    }

    /// Takes others in, as Chan, Golub and LeVeque do ("Algorithms for computing the sample variance",
    /// 1983).
    fn merge(&mut self, other: Self) {
        let count = self.count + other.count;
        let distance = other.mean - self.mean;
        self.deviations +=
            other.deviations + distance * distance * self.count * other.count / count;
        self.mean += distance * other.count / count;
        self.count = count;
    }

    fn variance(&self) -> f64 {
        self.deviations / self.count
    }
}
