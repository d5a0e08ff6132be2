use burn::tensor::Tensor;

use crate::nn::{
    AttentionBlock, Conv2d, Downsample, DownsamplePadding, GroupNorm, ResnetBlock, RowTiles,
    Upsample,
};
use crate::weights::Weights;
use crate::{Error, ErrorCode, Result};

/// Added to the variance in every group norm.
const NORM_EPSILON: f64 = 1e-5;

/// Reads colour and alpha from a VAE reconstruction and its latent (equation 3 of the paper).
///
/// A UNet without time embedding; the number of levels, their widths and which have attention are
/// read from the weights. The published decoders have seven levels.
pub struct TransparencyDecoder {
    conv_in: Conv2d,
    latent_conv_in: Conv2d,
    down: Vec<DownLevel>,
    mid_resnets: [ResnetBlock; 2],
    mid_attention: AttentionBlock,
    up: Vec<UpLevel>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl TransparencyDecoder {
    /// Groups of every group norm.
    pub(crate) const GROUPS: usize = 4;
    /// Channels of one attention head.
    pub(crate) const HEAD_CHANNELS: usize = 8;
    /// The latent, an eighth of the picture's size, joins before this level.
    pub(crate) const LATENT_LEVEL: usize = 3;
    /// More would leave nothing of the largest pictures.
    pub(crate) const MAX_LEVELS: usize = 12;

    /// Takes the tensors of a `vae_transparent_decoder` file.
    pub fn load(weights: &Weights) -> Result<Self> {
        let levels = weights.count("down_blocks");
        if levels <= Self::LATENT_LEVEL {
            return Err(Error::new(
                ErrorCode::ModelDamaged,
                format!("the transparency decoder has {levels} levels"),
                "it needs more than 3; pass a vae_transparent_decoder file",
            ));
        }
        let down =
            (0..levels).map(|level| DownLevel::load(&weights.at(format!("down_blocks.{level}"))));
        let up = (0..levels).map(|level| UpLevel::load(&weights.at(format!("up_blocks.{level}"))));
        Ok(Self {
            conv_in: Conv2d::load(&weights.at("conv_in"))?,
            latent_conv_in: Conv2d::load(&weights.at("latent_conv_in"))?,
            down: down.collect::<Result<_>>()?,
            mid_resnets: [
                load_resnet(&weights.at("mid_block.resnets.0"))?,
                load_resnet(&weights.at("mid_block.resnets.1"))?,
            ],
            mid_attention: load_attention(&weights.at("mid_block.attentions.0"))?,
            up: up.collect::<Result<_>>()?,
            norm_out: load_norm(&weights.at("conv_norm_out"))?,
            conv_out: Conv2d::load(&weights.at("conv_out"))?,
        })
    }

    /// Pictures must have sides that are multiples of this many pixels for a decoder of so many
    /// levels.
    pub fn size_multiple(levels: usize) -> usize {
        1 << levels.saturating_sub(1)
    }

    /// One pass: alpha, red, green, blue `[batch, 4, height, width]`, not clipped, from `pixels`
    /// `[batch, 3, height, width]` in [0, 1] and the unscaled `latent` an eighth of that size.
    pub fn forward(&self, pixels: Tensor<4>, latent: Tensor<4>) -> Tensor<4> {
        let mut x = self.conv_in.forward(pixels);
        let mut skips = vec![x.clone()];
        for (index, level) in self.down.iter().enumerate() {
            if index == Self::LATENT_LEVEL {
                x = x + self.latent_conv_in.forward(latent.clone());
            }
            x = level.forward(x, &mut skips);
        }
        x = self.mid_resnets[0].forward(x, None);
        x = self.mid_attention.forward(x);
        x = self.mid_resnets[1].forward(x, None);
        for level in &self.up {
            x = level.forward(x, &mut skips);
        }
        self.conv_out.forward(self.norm_out.forward_silu(x))
    }
}

fn load_norm(weights: &Weights) -> Result<GroupNorm> {
    GroupNorm::load(weights, TransparencyDecoder::GROUPS, NORM_EPSILON)
}

fn load_resnet(weights: &Weights) -> Result<ResnetBlock> {
    ResnetBlock::load(weights, TransparencyDecoder::GROUPS, NORM_EPSILON)
}

/// A resnet and, at the coarse levels, an attention.
struct Layer {
    resnet: ResnetBlock,
    attention: Option<AttentionBlock>,
}

impl Layer {
    fn load_all(weights: &Weights) -> Result<Vec<Self>> {
        (0..weights.count("resnets"))
            .map(|index| {
                let attention = weights.at(format!("attentions.{index}"));
                Ok(Self {
                    resnet: load_resnet(&weights.at(format!("resnets.{index}")))?,
                    attention: attention
                        .has_below("group_norm")
                        .then(|| load_attention(&attention))
                        .transpose()?,
                })
            })
            .collect()
    }

    fn forward(&self, x: RowTiles) -> Tensor<4> {
        let x = self.resnet.forward_tiled(x, None).concat();
        match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        }
    }
}

struct DownLevel {
    layers: Vec<Layer>,
    downsample: Option<Downsample>,
}

impl DownLevel {
    fn load(weights: &Weights) -> Result<Self> {
        let downsample = weights.at("downsamplers.0");
        Ok(Self {
            layers: Layer::load_all(weights)?,
            downsample: downsample
                .has_below("conv")
                .then(|| Downsample::load(&downsample, DownsamplePadding::Symmetric))
                .transpose()?,
        })
    }

    fn forward(&self, mut x: Tensor<4>, skips: &mut Vec<Tensor<4>>) -> Tensor<4> {
        for layer in &self.layers {
            x = layer.forward(x.into());
            skips.push(x.clone());
        }
        if let Some(downsample) = &self.downsample {
            x = downsample.forward(x);
            skips.push(x.clone());
        }
        x
    }
}

struct UpLevel {
    layers: Vec<Layer>,
    upsample: Option<Upsample>,
}

impl UpLevel {
    fn load(weights: &Weights) -> Result<Self> {
        let upsample = weights.at("upsamplers.0");
        Ok(Self {
            layers: Layer::load_all(weights)?,
            upsample: upsample
                .has_below("conv")
                .then(|| Upsample::load(&upsample))
                .transpose()?,
        })
    }

    fn forward(&self, mut x: Tensor<4>, skips: &mut Vec<Tensor<4>>) -> Tensor<4> {
        for layer in &self.layers {
            let skip = skips.pop().expect("one skip for each layer of the way up");
            x = layer.forward(RowTiles::concat_channels(x, skip));
        }
        match &self.upsample {
            Some(upsample) => upsample.forward(x),
            None => x,
        }
    }
}

fn load_attention(weights: &Weights) -> Result<AttentionBlock> {
    let heads = weights.shape("to_q.weight")?[0] / TransparencyDecoder::HEAD_CHANNELS;
    AttentionBlock::load(weights, heads, load_norm)
}
