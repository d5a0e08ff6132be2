use burn::tensor::Tensor;

use super::NORM_EPSILON;
use super::blocks::{MidBlock, resnets};
use crate::Result;
use crate::nn::{Conv2d, Downsample, DownsamplePadding, GroupNorm, ResnetBlock, RowTiles};
use crate::weights::Weights;

pub struct Encoder {
    conv_in: Conv2d,
    levels: Vec<Level>,
    mid: MidBlock,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

struct Level {
    resnets: Vec<ResnetBlock>,
    downsample: Option<Downsample>,
}

impl Encoder {
    pub fn load(weights: &Weights, groups: usize) -> Result<Self> {
        let levels = (0..weights.count("down_blocks"))
            .map(|index| Level::load(&weights.at(format!("down_blocks.{index}")), groups));
        Ok(Self {
            conv_in: Conv2d::load(&weights.at("conv_in"))?,
            levels: levels.collect::<Result<_>>()?,
            mid: MidBlock::load(&weights.at("mid_block"), groups)?,
            norm_out: GroupNorm::load(&weights.at("conv_norm_out"), groups, NORM_EPSILON)?,
            conv_out: Conv2d::load(&weights.at("conv_out"))?,
        })
    }

    pub fn forward(&self, picture: Tensor<4>) -> Tensor<4> {
        let picture = RowTiles::from(picture);
        let mut x = self
            .conv_in
            .forward_tiled(picture.dims(), |rows| picture.rows(rows));
        for level in &self.levels {
            for resnet in &level.resnets {
                x = resnet.forward_tiled(x, None);
            }
            if let Some(downsample) = &level.downsample {
                x = downsample.forward_tiled(x);
            }
        }
        let x = self.mid.forward(x.concat());
        self.conv_out.forward(self.norm_out.forward_silu(x))
    }
}

impl Level {
    fn load(weights: &Weights, groups: usize) -> Result<Self> {
        let downsample = weights.at("downsamplers.0");
        Ok(Self {
            resnets: resnets(weights, groups)?,
            downsample: downsample
                .has_below("conv")
                .then(|| Downsample::load(&downsample, DownsamplePadding::RightAndBottom))
                .transpose()?,
        })
    }
}
