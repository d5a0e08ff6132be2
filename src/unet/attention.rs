use burn::tensor::Tensor;

use super::config::LevelConfig;
use super::context::{ProjectionId, TextContext};
use crate::Result;
use crate::kernels::{AttentionMask, Channels, attention};
use crate::nn::{JointLinear, Linear};
use crate::transparency::{FoldedTemporalAttention, SharedAttention};
use crate::weights::Weights;

/// What tokens attend to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Themselves.
    Own,
    /// The text.
    Text,
}

/// Multi-head attention of tokens to themselves or to the text.
pub enum Attention {
    /// One picture, with or without the folded adapter.
    Single(Box<SingleAttention>),
    /// Several pictures at once, at a level of the UNet.
    Shared(Box<SharedAttention>, usize, Target),
}

impl Attention {
    /// Takes an attention's tensors and, where there is an adapter, those of its unit.
    pub fn load(
        site: LevelConfig,
        target: Target,
        weights: &Weights,
        adapter: Option<&Weights>,
    ) -> Result<Self> {
        match adapter {
            Some(adapter) if adapter.has_below("to_q_lora") => {
                let shared = SharedAttention::load(site.heads, weights, adapter)?;
                Ok(Self::Shared(Box::new(shared), site.level, target))
            }
            _ => {
                let single = SingleAttention::load(site, target, weights, adapter)?;
                Ok(Self::Single(Box::new(single)))
            }
        }
    }

    /// Prepares a condition from the hint maps of all levels.
    pub fn set_condition(&mut self, hints: &[Tensor<4>]) {
        if let Self::Shared(shared, level, _) = self {
            shared.set_condition(&hints[*level]);
        }
    }

    /// Adds to `residual` what already normalised tokens `x` gather.
    pub fn forward_add(
        &self,
        x: Tensor<3>,
        context: &TextContext,
        residual: Tensor<3>,
    ) -> Tensor<3> {
        match self {
            Self::Single(single) => single.forward_add(x, context, residual),
            Self::Shared(shared, _, target) => {
                let text = (*target == Target::Text).then(|| context.features());
                residual + shared.forward(x, text)
            }
        }
    }
}

/// Attention within one picture.
pub struct SingleAttention {
    heads: usize,
    projections: Projections,
    out: Linear,
    temporal: Option<FoldedTemporalAttention>,
}

/// What makes queries, keys and values.
enum Projections {
    /// All three of the tokens themselves.
    Own(Box<JointLinear>),
    /// Queries of the tokens, keys and values of the text.
    Text(Box<TextProjections>),
}

struct TextProjections {
    query: Linear,
    key_value: JointLinear,
    id: ProjectionId,
}

impl SingleAttention {
    /// Takes `to_q`, `to_k`, `to_v` and `to_out.0`. An `adapter` replaces their weights by ones
    /// with its LoRA merged, and adds its temporal map; biases stay the base model's.
    fn load(
        site: LevelConfig,
        target: Target,
        weights: &Weights,
        adapter: Option<&Weights>,
    ) -> Result<Self> {
        let linear = |name: &str| match adapter {
            Some(adapter) => Linear::load_split(&adapter.at(name), &weights.at(name)),
            None => Linear::load(&weights.at(name)),
        };
        let (query, key, value) = (linear("to_q")?, linear("to_k")?, linear("to_v")?);
        Ok(Self {
            heads: site.heads,
            projections: match target {
                Target::Own => {
                    let joint = JointLinear::new(vec![query, key, value]);
                    Projections::Own(Box::new(joint))
                }
                Target::Text => Projections::Text(Box::new(TextProjections {
                    query,
                    key_value: JointLinear::new(vec![key, value]),
                    id: ProjectionId::new(),
                })),
            },
            out: linear("to_out.0")?,
            temporal: adapter
                .map(|adapter| FoldedTemporalAttention::load(&adapter.at("temporal")))
                .transpose()?,
        })
    }

    fn forward_add(&self, x: Tensor<3>, context: &TextContext, residual: Tensor<3>) -> Tensor<3> {
        let attended = match &self.projections {
            Projections::Text(text) => {
                let key_value =
                    context.projected(text.id, |features| text.key_value.forward(features));
                let [key, value] = Channels::parts(key_value);
                let query = text.query.forward(x.clone());
                attention(query, key, value, self.heads, AttentionMask::None)
            }
            Projections::Own(joint) => {
                let [query, key, value] = Channels::parts(joint.forward(x.clone()));
                attention(query, key, value, self.heads, AttentionMask::None)
            }
        };
        match &self.temporal {
            Some(temporal) => {
                let out = self.out.forward(attended);
                residual + out.clone() + temporal.forward(x + out)
            }
            None => self.out.forward_add(attended, residual),
        }
    }
}
