use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::kernels::{AttentionMask, Channels, attention};
use crate::nn::{JointLinear, LayerNorm, Linear, gelu, quick_gelu};
use crate::weights::{EmbeddingTable, Weights};

/// The fields of `text_encoder/config.json` that shapes do not tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextEncoderConfig {
    /// Heads of every self-attention.
    pub num_attention_heads: usize,
    /// `"quick_gelu"` (Stable Diffusion 1.5) or `"gelu"`.
    #[serde(default = "quick_gelu_name")]
    pub hidden_act: String,
    /// Added to the variance in every layer norm.
    #[serde(default = "clip_epsilon")]
    pub layer_norm_eps: f64,
    /// Tokens that the encoder sees, 77 in CLIP.
    #[serde(default = "clip_positions")]
    pub max_position_embeddings: usize,
}

fn quick_gelu_name() -> String {
    "quick_gelu".into()
}

fn clip_epsilon() -> f64 {
    1e-5
}

fn clip_positions() -> usize {
    77
}

/// What stands at a place of the text encoder's input.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A token of the vocabulary.
    Id(u32),
    /// A vector of an [`Embedding`](super::Embedding), as wide as the encoder's features.
    Vector(Arc<[f32]>),
}

/// CLIP's text transformer: tokens to features.
pub struct TextEncoder {
    tokens: EmbeddingTable,
    positions: Tensor<2>,
    layers: Vec<Layer>,
    final_norm: LayerNorm,
}

impl TextEncoder {
    /// Takes `text_model.*`.
    pub fn load(config: &TextEncoderConfig, weights: &Weights) -> Result<Self> {
        let model = weights.at("text_model");
        let layers = (0..model.count("encoder.layers"))
            .map(|index| Layer::load(config, &model.at(format!("encoder.layers.{index}"))));
        Ok(Self {
            tokens: model.take_table("embeddings.token_embedding.weight")?,
            positions: model.take("embeddings.position_embedding.weight")?,
            layers: layers.collect::<Result<_>>()?,
            final_norm: LayerNorm::load(&model.at("final_layer_norm"), config.layer_norm_eps)?,
        })
    }

    /// How many layers there are.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Features `[batch, tokens, hidden]` of equally long rows of tokens, after the last but
    /// `clip_skip - 1` layer and the final norm: 1 runs all layers, 2 all but the last.
    ///
    /// Panics at an id beyond the vocabulary, a vector of another width, and if no layer is left.
    pub fn forward(&self, rows: &[Vec<Token>], clip_skip: usize) -> Tensor<3> {
        let length = rows.first().map_or(0, Vec::len);
        let values = |token: &Token| match token {
            Token::Id(id) => {
                let row = self.tokens.row(*id as usize);
                row.expect("an id of the vocabulary")
            }
            Token::Vector(vector) => vector.to_vec(),
        };
        let tokens: Vec<f32> = rows.iter().flatten().flat_map(values).collect();
        let shape = [rows.len(), length, self.tokens.columns()];
        let tokens: Tensor<3> =
            Tensor::from_data(TensorData::new(tokens, shape), &self.positions.device());
        let positions = self.positions.clone().narrow(0, 0, length);
        let mut hidden = tokens + positions.unsqueeze();
        for layer in &self.layers[..self.layers.len() + 1 - clip_skip] {
            hidden = layer.forward(hidden);
        }
        self.final_norm.forward(hidden)
    }
}

struct Layer {
    heads: usize,
    exact_gelu: bool,
    norm1: LayerNorm,
    projections: JointLinear,
    out: Linear,
    norm2: LayerNorm,
    expand: Linear,
    contract: Linear,
}

impl Layer {
    fn load(config: &TextEncoderConfig, weights: &Weights) -> Result<Self> {
        Ok(Self {
            heads: config.num_attention_heads,
            exact_gelu: config.hidden_act == "gelu",
            norm1: LayerNorm::load(&weights.at("layer_norm1"), config.layer_norm_eps)?,
            projections: JointLinear::new(vec![
                Linear::load(&weights.at("self_attn.q_proj"))?,
                Linear::load(&weights.at("self_attn.k_proj"))?,
                Linear::load(&weights.at("self_attn.v_proj"))?,
            ]),
            out: Linear::load(&weights.at("self_attn.out_proj"))?,
            norm2: LayerNorm::load(&weights.at("layer_norm2"), config.layer_norm_eps)?,
            expand: Linear::load(&weights.at("mlp.fc1"))?,
            contract: Linear::load(&weights.at("mlp.fc2"))?,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let normed = self.norm1.forward(x.clone());
        let [query, key, value] = Channels::parts(self.projections.forward(normed));
        let attended = attention(query, key, value, self.heads, AttentionMask::Causal);
        let x = self.out.forward_add(attended, x);
        let expanded = self.expand.forward(self.norm2.forward(x.clone()));
        let activated = if self.exact_gelu {
            gelu(expanded)
        } else {
            quick_gelu(expanded)
        };
        self.contract.forward_add(activated, x)
    }
}
