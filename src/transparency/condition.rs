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
    /// Strides of a group's convolutions. The first group brings the picture to an eighth, each further
    /// one halves.
    pub(crate) fn strides(group: usize) -> &'static [usize] {
        match group {
            0 => &[1, 1, 2, 1, 2, 1, 2, 1],
            _ => &[2, 1],
        }
    }

    /// Takes `blocks_0`, `blocks_1`, ... of a conditional adapter's `kwargs_encoder`: one for each level
    /// of the UNet, four in the published ones.
    pub fn load(weights: &Weights) -> Result<Self> {
        let groups = (0..).take_while(|group| weights.has_below(format!("blocks_{group}")));
        let groups = groups.map(|group| {
            let strides = Self::strides(group).iter();
            let convolutions = strides.enumerate().map(|(index, stride)| {
                let place = weights.at(format!("blocks_{group}.{}", 2 * index));
                Conv2d::with_options(&place, *stride, (1, 1))
            });
            convolutions.collect::<Result<Vec<_>>>()
        });
        Ok(Self {
            groups: groups.collect::<Result<_>>()?,
        })
    }

    /// Maps at 1/8, 1/16, 1/32 and so on of a picture `[1, 3, height, width]` in [-1, 1].
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
