use burn::tensor::Tensor;

use super::config::{LevelConfig, UnetConfig};
use super::context::TextContext;
use super::transformer::Transformer;
use crate::Result;
use crate::kernels::concat_channels;
use crate::nn::{Downsample, DownsamplePadding, ResnetBlock, TimeProjections, Upsample};
use crate::weights::Weights;

/// One resnet and, at levels with attention, one transformer.
struct Layer {
    resnet: ResnetBlock,
    transformer: Option<Transformer>,
}

impl Layer {
    fn set_condition(&mut self, hints: &[Tensor<4>]) {
        if let Some(transformer) = &mut self.transformer {
            transformer.set_condition(hints);
        }
    }

    fn forward(&self, x: Tensor<4>, shifts: &Tensor<3>, context: &TextContext) -> Tensor<4> {
        let x = self.resnet.forward(x, Some(shifts));
        match &self.transformer {
            Some(transformer) => transformer.forward(x, context),
            None => x,
        }
    }
}

fn load_layers(
    config: &UnetConfig,
    site: LevelConfig,
    weights: &Weights,
    adapter: Option<&Weights>,
    times: &mut TimeProjections,
) -> Result<Vec<Layer>> {
    (0..weights.count("resnets"))
        .map(|index| {
            let attention = weights.at(format!("attentions.{index}"));
            let adapter = adapter.map(|adapter| adapter.at(format!("attentions.{index}")));
            Ok(Layer {
                resnet: load_resnet(config, &weights.at(format!("resnets.{index}")), times)?,
                transformer: attention
                    .has_below("norm")
                    .then(|| Transformer::load(config, site, &attention, adapter.as_ref()))
                    .transpose()?,
            })
        })
        .collect()
}

fn load_resnet(
    config: &UnetConfig,
    weights: &Weights,
    times: &mut TimeProjections,
) -> Result<ResnetBlock> {
    let (groups, epsilon) = (config.norm_num_groups, config.norm_eps);
    ResnetBlock::load_with_time(weights, groups, epsilon, times)
}

/// Layers of one level on the way down; each leaves its output as a skip.
pub struct DownBlock {
    layers: Vec<Layer>,
    downsample: Option<Downsample>,
}

impl DownBlock {
    pub fn load(
        config: &UnetConfig,
        site: LevelConfig,
        weights: &Weights,
        adapter: Option<&Weights>,
        times: &mut TimeProjections,
    ) -> Result<Self> {
        let downsample = weights.at("downsamplers.0");
        Ok(Self {
            layers: load_layers(config, site, weights, adapter, times)?,
            downsample: downsample
                .has_below("conv")
                .then(|| Downsample::load(&downsample, DownsamplePadding::Symmetric))
                .transpose()?,
        })
    }

    pub fn set_condition(&mut self, hints: &[Tensor<4>]) {
        for layer in &mut self.layers {
            layer.set_condition(hints);
        }
    }

    pub fn forward(
        &self,
        mut x: Tensor<4>,
        shifts: &Tensor<3>,
        context: &TextContext,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        for layer in &self.layers {
            x = layer.forward(x, shifts, context);
            skips.push(x.clone());
        }
        if let Some(downsample) = &self.downsample {
            x = downsample.forward(x);
            skips.push(x.clone());
        }
        x
    }
}

/// Layers at the coarsest level, usually a resnet with a transformer and a resnet. Distilled UNets may
/// have none.
pub struct MidBlock {
    layers: Vec<Layer>,
}

impl MidBlock {
    pub fn load(
        config: &UnetConfig,
        site: LevelConfig,
        weights: &Weights,
        adapter: Option<&Weights>,
        times: &mut TimeProjections,
    ) -> Result<Self> {
        let layers = load_layers(config, site, weights, adapter, times)?;
        Ok(Self { layers })
    }

    pub fn set_condition(&mut self, hints: &[Tensor<4>]) {
        for layer in &mut self.layers {
            layer.set_condition(hints);
        }
    }

    pub fn forward(&self, x: Tensor<4>, shifts: &Tensor<3>, context: &TextContext) -> Tensor<4> {
        let layers = self.layers.iter();
        layers.fold(x, |x, layer| layer.forward(x, shifts, context))
    }
}

/// Layers of one level on the way up; each takes a skip.
pub struct UpBlock {
    layers: Vec<Layer>,
    upsample: Option<Upsample>,
}

impl UpBlock {
    pub fn load(
        config: &UnetConfig,
        site: LevelConfig,
        weights: &Weights,
        adapter: Option<&Weights>,
        times: &mut TimeProjections,
    ) -> Result<Self> {
        let upsample = weights.at("upsamplers.0");
        Ok(Self {
            layers: load_layers(config, site, weights, adapter, times)?,
            upsample: upsample
                .has_below("conv")
                .then(|| Upsample::load(&upsample))
                .transpose()?,
        })
    }

    pub fn set_condition(&mut self, hints: &[Tensor<4>]) {
        for layer in &mut self.layers {
            layer.set_condition(hints);
        }
    }

    pub fn forward(
        &self,
        mut x: Tensor<4>,
        shifts: &Tensor<3>,
        context: &TextContext,
        skips: &mut Vec<Tensor<4>>,
    ) -> Tensor<4> {
        for layer in &self.layers {
            let skip = skips.pop().expect("one skip for each layer of the way up");
            x = layer.forward(concat_channels(x, skip), shifts, context);
        }
        match (&self.upsample, skips.last()) {
            (Some(upsample), Some(skip)) => {
                let [_, _, height, width] = skip.dims();
                upsample.forward_to(x, [height, width])
            }
            _ => x,
        }
    }
}
