//! Attention sharing: several pictures denoised together (section 3.3 of the paper).
//!
//! A batch holds `rows · frames` sequences with the frames as the fastest index. Every frame has
//! its own low-rank change of the attention's weights, and frames see each other through temporal
//! attention: at each token position, over the frames.

use burn::tensor::{Tensor, activation};

use crate::Result;
use crate::kernels::{AttentionMask, attention};
use crate::nn::{Conv2d, LayerNorm, Linear, silu, to_tokens};
use crate::weights::{LowRank, Weights};

/// Added to the variance in the temporal layer norm.
const NORM_EPSILON: f64 = 1e-6;

/// An attention whose weights differ from frame to frame, followed by temporal attention.
pub struct SharedAttention {
    heads: usize,
    frames: usize,
    query: PerFrameLoraLinear,
    key: PerFrameLoraLinear,
    value: PerFrameLoraLinear,
    out: PerFrameLoraLinear,
    temporal: TemporalAttention,
    control: Vec<ControlConvs>,
    /// What the condition adds to the tokens, `[frames, tokens, channels]`.
    condition: Option<Tensor<3>>,
}

impl SharedAttention {
    /// Takes the base attention from `weights` and its unit of an adapter from `adapter`.
    pub fn load(heads: usize, weights: &Weights, adapter: &Weights) -> Result<Self> {
        let frames = adapter.count("to_q_lora");
        let linear = |base: &str, lora: &str| {
            PerFrameLoraLinear::load(&weights.at(base), &adapter.at(lora), frames)
        };
        let control = (0..adapter.count("control_convs"))
            .map(|frame| ControlConvs::load(&adapter.at(format!("control_convs.{frame}"))));
        Ok(Self {
            heads,
            frames,
            query: linear("to_q", "to_q_lora")?,
            key: linear("to_k", "to_k_lora")?,
            value: linear("to_v", "to_v_lora")?,
            out: linear("to_out.0", "to_out_lora")?,
            temporal: TemporalAttention::load(heads, frames, adapter)?,
            control: control.collect::<Result<_>>()?,
            condition: None,
        })
    }

    /// Prepares the condition's part for a generation from the hint map of this level.
    pub fn set_condition(&mut self, hint: &Tensor<4>) {
        if !self.control.is_empty() {
            let frames = self
                .control
                .iter()
                .map(|branch| branch.forward(hint.clone()));
            self.condition = Some(Tensor::cat(frames.collect(), 0));
        }
    }

    /// What is to be added to the residual stream, for an already normalised `x`.
    pub fn forward(&self, x: Tensor<3>, context: Option<&Tensor<3>>) -> Tensor<3> {
        let rows = x.dims()[0] / self.frames;
        let hidden = match &self.condition {
            Some(condition) => x.clone() + condition.clone().repeat_dim(0, rows),
            None => x.clone(),
        };
        let context = context.unwrap_or(&hidden).clone();
        let attended = attention(
            self.query.forward(hidden.clone()),
            self.key.forward(context.clone()),
            self.value.forward(context),
            self.heads,
            AttentionMask::None,
        );
        let hidden = hidden + self.out.forward(attended);
        let shared = self.temporal.forward(hidden.clone());
        hidden + shared - x
    }
}

/// A linear layer with a low-rank change of its weight for each frame.
struct PerFrameLoraLinear {
    base: Linear,
    changes: Vec<LowRank>,
}

impl PerFrameLoraLinear {
    fn load(base: &Weights, lora: &Weights, frames: usize) -> Result<Self> {
        let changes = (0..frames).map(|frame| {
            let up = lora.take_weight::<2>(&format!("{frame}.up.weight"))?;
            let down = lora.take_weight::<2>(&format!("{frame}.down.weight"))?;
            Ok(LowRank { down, up })
        });
        Ok(Self {
            base: Linear::load(base)?,
            changes: changes.collect::<Result<_>>()?,
        })
    }

    /// The change is computed beside the layer: that costs little, while merged weights of all frames
    /// would have to stay, and not quantized.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, inputs] = x.dims();
        let frames = self.changes.len();
        let by_frame = x.clone().reshape([batch / frames, frames * tokens, inputs]);
        let changes = self.changes.iter().enumerate().map(|(frame, change)| {
            let own = by_frame.clone().narrow(1, frame * tokens, tokens);
            change.forward(own)
        });
        let changes = Tensor::cat(changes.collect(), 1);
        let changes = changes.reshape([batch, tokens, self.base.outputs()]);
        self.base.forward_add(x, changes)
    }
}

/// Attention over the frames at each token position.
struct TemporalAttention {
    heads: usize,
    frames: usize,
    norm: LayerNorm,
    input: Linear,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
}

impl TemporalAttention {
    fn load(heads: usize, frames: usize, weights: &Weights) -> Result<Self> {
        let linear = |name: &str| Linear::load(&weights.at(name));
        Ok(Self {
            heads,
            frames,
            norm: LayerNorm::load(&weights.at("temporal_n"), NORM_EPSILON)?,
            input: linear("temporal_i")?,
            query: linear("temporal_q")?,
            key: linear("temporal_k")?,
            value: linear("temporal_v")?,
            out: linear("temporal_o")?,
        })
    }

    /// There are as many sequences as tokens, each of a few frames: far too many and too short for
    /// an attention kernel. One query frame at a time, everything is elementwise.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, channels] = x.dims();
        let (rows, width) = (batch / self.frames, channels / self.heads);
        let split = |x: Tensor<3>| x.reshape([rows, self.frames, tokens, self.heads, width]);
        let hidden = self.input.forward(self.norm.forward(x));
        let query = split(self.query.forward(hidden.clone())) / (width as f32).sqrt();
        let key = split(self.key.forward(hidden.clone()));
        let value = split(self.value.forward(hidden));
        let attended = (0..self.frames).map(|frame| {
            let scores = (query.clone().narrow(1, frame, 1) * key.clone()).sum_dim(4);
            let weights = activation::softmax(scores, 1);
            (weights * value.clone()).sum_dim(1)
        });
        let attended = Tensor::cat(attended.collect(), 1);
        self.out
            .forward(attended.reshape([batch, tokens, channels]))
    }
}

/// Two convolutions from a hint map to one frame's tokens.
struct ControlConvs {
    spread: Conv2d,
    project: Conv2d,
}

impl ControlConvs {
    fn load(weights: &Weights) -> Result<Self> {
        Ok(Self {
            spread: Conv2d::load(&weights.at("0"))?,
            project: Conv2d::load(&weights.at("2"))?,
        })
    }

    fn forward(&self, hint: Tensor<4>) -> Tensor<3> {
        let map = self.project.forward(silu(self.spread.forward(hint)));
        to_tokens(map)
    }
}
