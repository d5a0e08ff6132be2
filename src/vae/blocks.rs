use burn::tensor::Tensor;

use super::NORM_EPSILON;
use crate::Result;
use crate::nn::{AttentionBlock, GroupNorm, ResnetBlock};
use crate::weights::Weights;

/// Resnet, attention of one head, resnet: the middle of encoder and decoder.
pub struct MidBlock {
    resnets: [ResnetBlock; 2],
    attention: AttentionBlock,
}

impl MidBlock {
    pub fn load(weights: &Weights, groups: usize) -> Result<Self> {
        let norm = |weights: &Weights| GroupNorm::load(weights, groups, NORM_EPSILON);
        Ok(Self {
            resnets: [
                resnet(&weights.at("resnets.0"), groups)?,
                resnet(&weights.at("resnets.1"), groups)?,
            ],
            attention: AttentionBlock::load(&weights.at("attentions.0"), 1, norm)?,
        })
    }

    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.resnets[0].forward(x, None);
        let x = self.attention.forward(x);
        self.resnets[1].forward(x, None)
    }
}

/// All resnets below `weights.resnets`.
pub fn resnets(weights: &Weights, groups: usize) -> Result<Vec<ResnetBlock>> {
    (0..weights.count("resnets"))
        .map(|index| resnet(&weights.at(format!("resnets.{index}")), groups))
        .collect()
}

fn resnet(weights: &Weights, groups: usize) -> Result<ResnetBlock> {
    ResnetBlock::load(weights, groups, NORM_EPSILON)
}
