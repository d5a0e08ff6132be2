use std::ops::Range;

use burn::tensor::Tensor;

use super::RowTiles;
use crate::kernels::{self, GroupNormParameters};
use crate::weights::{UpdateSlot, Weights};
use crate::{Error, ErrorCode, Result};

/// Group normalisation over `[batch, channels, height, width]` with learned scale and shift.
pub struct GroupNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f32,
    slot: UpdateSlot,
}

impl GroupNorm {
    /// Takes `weight` and `bias`, of a multiple of `groups` channels.
    pub fn load(weights: &Weights, groups: usize, epsilon: f64) -> Result<Self> {
        let weight: Tensor<1> = weights.take("weight")?;
        let [channels] = weight.dims();
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(Error::new(
                ErrorCode::ModelDamaged,
                format!("{channels} channels cannot be normalised in {groups} groups"),
                "the model's config does not fit its weights; pack it again",
            ));
        }
        let bias: Tensor<1> = weights.take("bias")?;
        if bias.dims() != [channels] {
            return Err(Error::new(
                ErrorCode::ModelDamaged,
                format!("{channels} channels cannot be shifted by {:?}", bias.dims()),
                "the model is inconsistent; fetch or pack it again",
            ));
        }
        Ok(Self {
            slot: weights.slot(channels),
            weight,
            bias,
            groups,
            epsilon: epsilon as f32,
        })
    }

    /// Normalises each group of channels of each picture to mean 0 and deviation 1.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.statistics(&x.clone().into()).forward(x)
    }

    /// As [`GroupNorm::forward`], then SiLU.
    pub fn forward_silu(&self, x: Tensor<4>) -> Tensor<4> {
        self.statistics(&x.clone().into()).forward_silu(x)
    }

    /// The normalisation of a map, to be applied to any part of it.
    pub fn statistics(&self, map: &RowTiles) -> GroupNormStatistics {
        let [weight, bias] = self.slot.norm([&self.weight, &self.bias]);
        let parameters = GroupNormParameters {
            weight,
            bias,
            groups: self.groups,
            epsilon: self.epsilon,
        };
        GroupNormStatistics {
            scale_shift: kernels::group_norm_scale_shift(map.tiles(), &parameters),
        }
    }
}

/// A [`GroupNorm`] for one map.
pub struct GroupNormStatistics {
    /// For each channel of each picture, `[batch, 2, channels]`.
    scale_shift: Tensor<3>,
}

impl GroupNormStatistics {
    /// Normalises the map, or some rows of it.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        kernels::apply_scale_shift(x, self.scale_shift.clone(), false)
    }

    /// As [`GroupNormStatistics::forward`], then SiLU.
    pub fn forward_silu(&self, x: Tensor<4>) -> Tensor<4> {
        kernels::apply_scale_shift(x, self.scale_shift.clone(), true)
    }

    /// As [`GroupNormStatistics::forward_silu`], for some rows of the map.
    pub fn forward_silu_rows(&self, map: &RowTiles, rows: Range<usize>) -> Tensor<4> {
        kernels::apply_scale_shift_to_rows(map.parts(rows), self.scale_shift.clone(), true)
    }
}
