use burn::tensor::Tensor;

use super::UnetConfig;
use super::attention::{Attention, Target};
use super::config::LevelConfig;
use super::context::TextContext;
use crate::Result;
use crate::nn::{GroupNorm, LayerNorm, Linear, by_chunks, from_tokens, to_tokens};
use crate::weights::Weights;

/// Added to the variance in the group norm before the tokens.
const GROUP_NORM_EPSILON: f64 = 1e-6;
/// Added to the variance in the layer norms.
const LAYER_NORM_EPSILON: f64 = 1e-5;

/// Attention among the cells of a feature map and to the text, around a residual.
pub struct Transformer {
    norm: GroupNorm,
    project_in: Linear,
    blocks: Vec<TransformerBlock>,
    project_out: Linear,
}

impl Transformer {
    pub fn load(
        config: &UnetConfig,
        site: LevelConfig,
        weights: &Weights,
        adapter: Option<&Weights>,
    ) -> Result<Self> {
        let blocks = (0..weights.count("transformer_blocks")).map(|index| {
            let name = format!("transformer_blocks.{index}");
            let adapter = adapter.map(|adapter| adapter.at(&name));
            TransformerBlock::load(site, &weights.at(&name), adapter.as_ref())
        });
        Ok(Self {
            norm: GroupNorm::load(
                &weights.at("norm"),
                config.norm_num_groups,
                GROUP_NORM_EPSILON,
            )?,
            project_in: Linear::load(&weights.at("proj_in"))?,
            blocks: blocks.collect::<Result<_>>()?,
            project_out: Linear::load(&weights.at("proj_out"))?,
        })
    }

    /// Prepares a condition from the hint maps of all levels.
    pub fn set_condition(&mut self, hints: &[Tensor<4>]) {
        for block in &mut self.blocks {
            block.self_attention.set_condition(hints);
            block.cross_attention.set_condition(hints);
        }
    }

    pub fn forward(&self, x: Tensor<4>, context: &TextContext) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let tokens = to_tokens(self.norm.forward(x.clone()));
        let mut tokens = self.project_in.forward(tokens);
        for block in &self.blocks {
            tokens = block.forward(tokens, context);
        }
        let out = self.project_out.forward_add(tokens, to_tokens(x));
        from_tokens(out, [height, width])
    }
}

struct TransformerBlock {
    norm1: LayerNorm,
    self_attention: Attention,
    norm2: LayerNorm,
    cross_attention: Attention,
    norm3: LayerNorm,
    feed_forward: FeedForward,
}

impl TransformerBlock {
    fn load(site: LevelConfig, weights: &Weights, adapter: Option<&Weights>) -> Result<Self> {
        let norm = |name| LayerNorm::load(&weights.at(name), LAYER_NORM_EPSILON);
        let attention = |name, target| {
            let adapter = adapter.map(|adapter| adapter.at(name));
            Attention::load(site, target, &weights.at(name), adapter.as_ref())
        };
        Ok(Self {
            norm1: norm("norm1")?,
            self_attention: attention("attn1", Target::Own)?,
            norm2: norm("norm2")?,
            cross_attention: attention("attn2", Target::Text)?,
            norm3: norm("norm3")?,
            feed_forward: FeedForward::load(&weights.at("ff"))?,
        })
    }

    fn forward(&self, x: Tensor<3>, context: &TextContext) -> Tensor<3> {
        let normed = self.norm1.forward(x.clone());
        let x = self.self_attention.forward_add(normed, context, x);
        let normed = self.norm2.forward(x.clone());
        let x = self.cross_attention.forward_add(normed, context, x);
        let normed = self.norm3.forward(x.clone());
        self.feed_forward.forward_add(normed, x)
    }
}

/// Two linear layers around a gated exact GELU.
struct FeedForward {
    expand: Linear,
    contract: Linear,
}

impl FeedForward {
    fn load(weights: &Weights) -> Result<Self> {
        Ok(Self {
            expand: Linear::load(&weights.at("net.0.proj"))?,
            contract: Linear::load(&weights.at("net.2"))?,
        })
    }

    fn forward_add(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        by_chunks([x, residual], self.expand.outputs() / 2, |[x, residual]| {
            let expanded = self.expand.forward_geglu(x);
            self.contract.forward_add(expanded, residual)
        })
    }
}
