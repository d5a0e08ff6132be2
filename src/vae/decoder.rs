use burn::tensor::Tensor;

use super::NORM_EPSILON;
use super::blocks::{MidBlock, resnets};
use crate::Result;
use crate::nn::{Conv2d, GroupNorm, ResnetBlock, RowTiles, Upsample};
use crate::weights::Weights;

pub struct Decoder {
    conv_in: Conv2d,
    mid: MidBlock,
    levels: Vec<Level>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

struct Level {
    resnets: Vec<ResnetBlock>,
    upsample: Option<Upsample>,
}

impl Decoder {
    pub fn load(weights: &Weights, groups: usize) -> Result<Self> {
        let levels = (0..weights.count("up_blocks"))
            .map(|index| Level::load(&weights.at(format!("up_blocks.{index}")), groups));
        Ok(Self {
            conv_in: Conv2d::load(&weights.at("conv_in"))?,
            mid: MidBlock::load(&weights.at("mid_block"), groups)?,
            levels: levels.collect::<Result<_>>()?,
            norm_out: GroupNorm::load(&weights.at("conv_norm_out"), groups, NORM_EPSILON)?,
            conv_out: Conv2d::load(&weights.at("conv_out"))?,
        })
    }

    pub fn forward(&self, latent: Tensor<4>) -> Tensor<4> {
        let mut x = RowTiles::from(self.mid.forward(self.conv_in.forward(latent)));
        for level in &self.levels {
            for resnet in &level.resnets {
                x = resnet.forward_tiled(x, None);
            }
            if let Some(upsample) = &level.upsample {
                x = upsample.forward_tiled(x);
            }
        }
        let norm = self.norm_out.statistics(&x);
        let picture = self.conv_out.forward_tiled(x.dims(), |rows| {
            x.forget_above(rows.start);
            norm.forward_silu_rows(&x, rows)
        });
        picture.concat()
    }
}

impl Level {
    fn load(weights: &Weights, groups: usize) -> Result<Self> {
        let upsample = weights.at("upsamplers.0");
        Ok(Self {
            resnets: resnets(weights, groups)?,
            upsample: upsample
                .has_below("conv")
                .then(|| Upsample::load(&upsample))
                .transpose()?,
        })
    }
}
