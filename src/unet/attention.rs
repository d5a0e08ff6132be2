use burn::tensor::Tensor;

use super::config::LevelConfig;
use crate::Result;
use crate::nn::{Linear, merge_heads, scaled_dot_product_attention, split_heads};
use crate::transparency::{FoldedTemporalAttention, SharedAttention};
use crate::weights::Weights;

/// Multi-head attention of tokens to themselves or to the text.
pub enum Attention {
    /// One picture, with or without the folded adapter.
    Single(Box<SingleAttention>),
    /// Several pictures at once, at a level of the UNet.
    Shared(Box<SharedAttention>, usize),
}

impl Attention {
    /// Takes an attention's tensors and, where there is an adapter, those of its unit.
    pub fn load(site: LevelConfig, weights: &Weights, adapter: Option<&Weights>) -> Result<Self> {
        match adapter {
            Some(adapter) if adapter.has_below("to_q_lora") => {
                let shared = SharedAttention::load(site.heads, weights, adapter)?;
                Ok(Self::Shared(Box::new(shared), site.level))
            }
            _ => {
                let single = SingleAttention::load(site.heads, weights, adapter)?;
                Ok(Self::Single(Box::new(single)))
            }
        }
    }

    /// Prepares a condition from the hint maps of all levels.
    pub fn set_condition(&mut self, hints: &[Tensor<4>]) {
        if let Self::Shared(shared, level) = self {
            shared.set_condition(&hints[*level]);
        }
    }

    /// What is to be added to the residual stream, for an already normalised `x`. Without a
    /// `context`, the tokens attend to themselves.
    pub fn forward(&self, x: Tensor<3>, context: Option<&Tensor<3>>) -> Tensor<3> {
        match self {
            Self::Single(single) => single.forward(x, context),
            Self::Shared(shared, _) => shared.forward(x, context),
        }
    }
}

/// Attention within one picture.
pub struct SingleAttention {
    heads: usize,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    temporal: Option<FoldedTemporalAttention>,
}

impl SingleAttention {
    /// Takes `to_q`, `to_k`, `to_v` and `to_out.0`. An `adapter` replaces their weights by ones
    /// with its LoRA merged, and adds its temporal map; biases stay the base model's.
    fn load(heads: usize, weights: &Weights, adapter: Option<&Weights>) -> Result<Self> {
        let linear = |name: &str| match adapter {
            Some(adapter) => Linear::load_split(&adapter.at(name), &weights.at(name)),
            None => Linear::load(&weights.at(name)),
        };
        Ok(Self {
            heads,
            query: linear("to_q")?,
            key: linear("to_k")?,
            value: linear("to_v")?,
            out: linear("to_out.0")?,
            temporal: adapter
                .map(|adapter| FoldedTemporalAttention::load(&adapter.at("temporal")))
                .transpose()?,
        })
    }

    fn forward(&self, x: Tensor<3>, context: Option<&Tensor<3>>) -> Tensor<3> {
        let context = context.unwrap_or(&x).clone();
        let attended = scaled_dot_product_attention(
            split_heads(self.query.forward(x.clone()), self.heads),
            split_heads(self.key.forward(context.clone()), self.heads),
            split_heads(self.value.forward(context), self.heads),
        );
        let out = self.out.forward(merge_heads(attended));
        match &self.temporal {
            Some(temporal) => out.clone() + temporal.forward(x + out),
            None => out,
        }
    }
}
