use std::ops::Range;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

use super::super::Addends;
use crate::kernels::Channels;
use crate::kernels::flex::contiguous;
use crate::lanes::Lanes;

/// What is added to a product, in the order of its axes.
pub struct HostAddends<const D: usize> {
    bias: Option<FloatTensor<Flex>>,
    /// `[batch, out]`.
    shift: Option<FloatTensor<Flex>>,
    residual: Option<FloatTensor<Flex>>,
    /// Numbers of the residual from the one to the next picture's, and those before the first that is added.
    residual_map: [usize; 2],
    /// Features.
    out: usize,
}

impl<const D: usize> HostAddends<D> {
    /// For `out` features.
    pub fn new(addends: Addends<D>, out: usize) -> Self {
        let residual_map = match addends.residual.as_ref().map(Tensor::dims) {
            Some(shape) if D == 4 => [shape[2] * shape[3], addends.residual_top * shape[3]],
            _ => [0, 0],
        };
        Self {
            bias: addends.bias.map(contiguous),
            shift: addends.shift.map(Channels::narrow).map(contiguous),
            residual: addends.residual.map(contiguous),
            residual_map,
            out,
        }
    }
}

impl HostAddends<3> {
    /// Some features of a token, of which each picture has `tokens`.
    pub fn add_to_token(
        &self,
        token: usize,
        tokens: usize,
        features: Range<usize>,
        sums: &mut [f32],
    ) {
        let mut add = |values: &Option<FloatTensor<Flex>>, row: usize| {
            if let Some(values) = values {
                add(&values.storage()[row * self.out..][features.clone()], sums);
            }
        };
        add(&self.bias, 0);
        add(&self.shift, token / tokens);
        add(&self.residual, token);
    }
}

impl HostAddends<4> {
    /// What is added to all pixels of a feature of a picture.
    pub fn constant(&self, [picture, feature]: [usize; 2]) -> f32 {
        let number = |values: &Option<FloatTensor<Flex>>, at: usize| {
            values
                .as_ref()
                .map_or(0.0, |values| values.storage::<f32>()[at])
        };
        number(&self.bias, feature) + number(&self.shift, picture * self.out + feature)
    }

    /// What is added to each of some pixels of a feature of a picture, from the one with index `first` on.
    pub fn add_to_plane(&self, [picture, feature]: [usize; 2], first: usize, sum: &mut [f32]) {
        if let Some(residual) = &self.residual {
            let [area, top] = self.residual_map;
            let at = (picture * self.out + feature) * area + top + first;
            add(&residual.storage()[at..][..sum.len()], sum);
        }
    }
}

fn add(values: &[f32], sum: &mut [f32]) {
    let (fours, rest) = values.as_chunks::<4>();
    let (sum_fours, sum_rest) = sum.as_chunks_mut::<4>();
    for (sum, four) in sum_fours.iter_mut().zip(fours) {
        *sum = (Lanes::new(*sum) + Lanes::new(*four)).to_array();
    }
    for (sum, value) in sum_rest.iter_mut().zip(rest) {
        *sum += value;
    }
}
