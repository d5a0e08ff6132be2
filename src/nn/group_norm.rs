use burn::tensor::Tensor;

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
        let [batch, channels, height, width] = x.dims();
        let per_group = channels / self.groups * height * width;
        let grouped = x.reshape([batch, self.groups, per_group]);
        let centred = grouped.clone() - grouped.mean_dim(2);
        let variance = centred.clone().square().mean_dim(2);
        let scale = variance.add_scalar(self.epsilon).sqrt().recip();
        let normalised = (centred * scale).reshape([batch, channels, height, width]);
        normalised * self.weight.clone() + self.bias.clone()
    }
}
