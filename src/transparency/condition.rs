use burn::tensor::Tensor;

use crate::Result;
use crate::nn::{Conv2d, silu};
use crate::weights::Weights;

/// Turns a condition picture into one feature map for each level of the UNet.
pub struct ConditionEncoder {
    /// The convolutions that lead to each map.
    groups: Vec<Vec<Conv2d>>,
}

impl ConditionEncoder {
    /// Strides of each group's convolutions. The first group brings the picture to an eighth, each
    /// further one halves.
    pub(crate) const STRIDES: [&[usize]; 4] =
        [&[1, 1, 2, 1, 2, 1, 2, 1], &[2, 1], &[2, 1], &[2, 1]];

    /// Takes `blocks_0`, `blocks_1`, ... of a conditional adapter's `kwargs_encoder`.
    pub fn load(weights: &Weights) -> Result<Self> {
        let groups = Self::STRIDES.iter().enumerate().map(|(group, strides)| {
            let convolutions = strides.iter().enumerate().map(|(index, stride)| {
                let place = weights.at(format!("blocks_{group}.{}", 2 * index));
                Conv2d::with_options(&place, *stride, (1, 1))
            });
            convolutions.collect::<Result<Vec<_>>>()
        });
        Ok(Self {
            groups: groups.collect::<Result<_>>()?,
        })
    }

    /// Maps at 1/8, 1/16, 1/32 and 1/64 of a picture `[1, 3, height, width]` in [-1, 1].
    pub fn forward(&self, picture: Tensor<4>) -> Vec<Tensor<4>> {
        let mut x = picture;
        let mut maps = Vec::new();
        for group in &self.groups {
            for convolution in group {
                x = silu(convolution.forward(x));
            }
            maps.push(x.clone());
        }
        maps
    }
}
