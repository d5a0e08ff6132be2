use burn::tensor::Tensor;

use super::UnetConfig;
use super::context::TextContext;
use super::contracting::ContractingPath;
use crate::Result;
use crate::nn::{Conv2d, silu};
use crate::weights::Weights;

/// A ControlNet: a second way down through the UNet, which also sees a control picture and shifts
/// the feature maps of the first ("Adding Conditional Control to Text-to-Image Diffusion Models",
/// Zhang, Rao and Agrawala, 2023).
pub struct ControlNet {
    hint: HintEmbedding,
    path: ContractingPath,
    /// The "zero convolutions": one for each skip.
    skips: Vec<Conv2d>,
    middle: Conv2d,
}

/// What a ControlNet adds inside of the UNet.
pub struct Residuals {
    /// To the skips, in the order of the way down.
    pub skips: Vec<Tensor<4>>,
    /// To the middle's output.
    pub middle: Tensor<4>,
}

impl Residuals {
    /// Those of two ControlNets of one UNet together.
    pub fn plus(self, other: Self) -> Self {
        let skips = self.skips.into_iter().zip(other.skips);
        Self {
            skips: skips.map(|(one, other)| one + other).collect(),
            middle: self.middle + other.middle,
        }
    }
}

impl ControlNet {
    /// Takes a ControlNet's tensors, under diffusers' names. `config` is the UNet's own shape.
    pub fn load(config: &UnetConfig, weights: &Weights) -> Result<Self> {
        let skips = (0..weights.count("controlnet_down_blocks"))
            .map(|index| Conv2d::load(&weights.at(format!("controlnet_down_blocks.{index}"))));
        Ok(Self {
            hint: HintEmbedding::load(&weights.at("controlnet_cond_embedding"))?,
            path: ContractingPath::load(config, weights, None)?,
            skips: skips.collect::<Result<_>>()?,
            middle: Conv2d::load(&weights.at("controlnet_mid_block"))?,
        })
    }

    /// Feature maps at an eighth of a control picture `[1, 3, height, width]` in [0, 1].
    pub fn embed(&self, picture: Tensor<4>) -> Tensor<4> {
        self.hint.forward(picture)
    }

    /// What to add inside of the UNet for the same `latent`, `timesteps` and `context`, times
    /// `scale`. One `embedding`, as [`ControlNet::embed`] gives it, serves all rows.
    pub fn forward(
        &self,
        latent: Tensor<4>,
        timesteps: &[f32],
        context: &TextContext,
        embedding: &Tensor<4>,
        scale: f32,
    ) -> Residuals {
        let contracted = self
            .path
            .forward(latent, timesteps, context, Some(embedding));
        let skips = self.skips.iter().zip(contracted.skips);
        Residuals {
            skips: skips
                .map(|(convolution, skip)| convolution.forward(skip) * scale)
                .collect(),
            middle: self.middle.forward(contracted.middle) * scale,
        }
    }
}

/// Convolutions that bring a picture to the latent's size, three of them of stride 2.
struct HintEmbedding {
    convolutions: Vec<Conv2d>,
    out: Conv2d,
}

impl HintEmbedding {
    fn load(weights: &Weights) -> Result<Self> {
        let first = Conv2d::load(&weights.at("conv_in"));
        let blocks = (0..weights.count("blocks")).map(|index| {
            let stride = 1 + index % 2;
            Conv2d::with_options(&weights.at(format!("blocks.{index}")), stride, (1, 1))
        });
        Ok(Self {
            convolutions: std::iter::once(first)
                .chain(blocks)
                .collect::<Result<_>>()?,
            out: Conv2d::load(&weights.at("conv_out"))?,
        })
    }

    fn forward(&self, picture: Tensor<4>) -> Tensor<4> {
        let last = self
            .convolutions
            .iter()
            .fold(picture, |x, convolution| silu(convolution.forward(x)));
        self.out.forward(last)
    }
}
