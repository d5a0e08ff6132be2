use burn::tensor::Tensor;

use super::{JointLinear, Linear};
use crate::Result;
use crate::kernels::Channels;
use crate::weights::Weights;

/// The projections of a time embedding for the residual blocks of a network, which are one product.
#[derive(Default)]
pub struct TimeProjections {
    parts: Vec<Linear>,
    features: usize,
}

/// Where a residual block finds its part of what all projections give.
#[derive(Clone, Copy)]
pub struct TimeShift {
    start: usize,
    count: usize,
}

impl TimeProjections {
    /// Takes `weight` and `bias` of one block.
    pub fn add(&mut self, weights: &Weights) -> Result<TimeShift> {
        let projection = Linear::load(weights)?;
        let (start, count) = (self.features, projection.outputs());
        self.features += count;
        self.parts.push(projection);
        Ok(TimeShift { start, count })
    }

    /// The product of them all.
    pub fn finish(self) -> JointLinear {
        JointLinear::new(self.parts)
    }
}

impl TimeShift {
    /// The block's part of `shifts`, `[batch, 1, features of all blocks]`.
    pub fn of(self, shifts: &Tensor<3>) -> Channels {
        Channels {
            tokens: shifts.clone(),
            start: self.start,
            count: self.count,
        }
    }
}
