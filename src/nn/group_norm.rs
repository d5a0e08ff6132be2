use burn::tensor::Tensor;

use super::RowTiles;
use crate::weights::Weights;
use crate::{Error, ErrorCode, Result};

/// Group normalisation over `[batch, channels, height, width]` with learned scale and shift.
pub struct GroupNorm {
    weight: Tensor<4>,
    bias: Tensor<4>,
    groups: usize,
    epsilon: f64,
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
            weight: weight.reshape([1, channels, 1, 1]),
            bias: bias.reshape([1, channels, 1, 1]),
            groups,
            epsilon,
        })
    }

    /// Normalises each group of channels of each picture to mean 0 and deviation 1.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = RowTiles::from(x);
        let statistics = self.statistics(&x);
        statistics.forward(x.concat())
    }

    /// The normalisation of a map, to be applied to any part of it.
    pub fn statistics(&self, map: &RowTiles) -> GroupNormStatistics {
        let [batch, channels, height, width] = map.dims();
        let count = (channels / self.groups * height * width) as f32;
        let grouped =
            |tile: &Tensor<4>| tile.clone().reshape([batch as i64, self.groups as i64, -1]);
        let mean_of = |sums: &dyn Fn(&Tensor<4>) -> Tensor<3>| {
            let sums = map.iter().map(sums).reduce(|sum, more| sum + more);
            sums.expect("a map has tiles") / count
        };
        let mean = mean_of(&|tile| grouped(tile).sum_dim(2));
        let squares = |tile: &Tensor<4>| (grouped(tile) - mean.clone()).square().sum_dim(2);
        let deviation = mean_of(&squares).add_scalar(self.epsilon).sqrt();
        let spread = |values: Tensor<3>| {
            let each = values.repeat_dim(2, channels / self.groups);
            each.reshape([batch, channels, 1, 1])
        };
        let scale = self.weight.clone() / spread(deviation);
        GroupNormStatistics {
            shift: self.bias.clone() - spread(mean) * scale.clone(),
            scale,
        }
    }
}

/// A [`GroupNorm`] for one map: a scale and a shift for each channel of each picture.
pub struct GroupNormStatistics {
    scale: Tensor<4>,
    shift: Tensor<4>,
}

impl GroupNormStatistics {
    /// Normalises the map, or some rows of it.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x * self.scale.clone() + self.shift.clone()
    }
}
