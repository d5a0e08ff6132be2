//! Prompts of any length, with weights.
//!
//! The text encoder sees 77 tokens at a time, of which the first and the last are markers. Longer
//! prompts are encoded in chunks of 75, whose features follow each other. Weights multiply the
//! features of their tokens; each chunk is then scaled so that the mean of its features is what
//! it was. Both are as in the web UI of AUTOMATIC1111.

use burn::tensor::{Tensor, TensorData};

use super::{TextEncoder, Tokenizer, WeightedText};

/// A prompt as the text encoder takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    chunks: Vec<Chunk>,
}

/// As many tokens as the text encoder sees at a time.
#[derive(Debug, Clone, PartialEq)]
struct Chunk {
    ids: Vec<u32>,
    weights: Vec<f32>,
}

impl Prompt {
    /// Prompts that go into one batch: each is cut into chunks of `length` tokens with the
    /// markers, and empty chunks make all as long as the longest.
    pub fn batch(texts: &[String], tokenizer: &Tokenizer, length: usize) -> Vec<Self> {
        let mut prompts: Vec<_> = texts
            .iter()
            .map(|text| Self::new(text, tokenizer, length))
            .collect();
        let longest = prompts.iter().map(|prompt| prompt.chunks.len()).max();
        let empty = Chunk::new(&[], tokenizer, length);
        for prompt in &mut prompts {
            // An empty prompt has a chunk, too.
            prompt
                .chunks
                .resize(longest.unwrap_or(0).max(1), empty.clone());
        }
        prompts
    }

    fn new(text: &str, tokenizer: &Tokenizer, length: usize) -> Self {
        let parts = WeightedText::parse(text);
        let tokens: Vec<_> = parts
            .iter()
            .flat_map(|part| {
                let ids = tokenizer.encode(&part.text);
                ids.into_iter().map(|id| (id, part.weight))
            })
            .collect();
        let room = length.saturating_sub(2).max(1);
        let chunks = tokens
            .chunks(room)
            .map(|tokens| Chunk::new(tokens, tokenizer, length));
        Self {
            chunks: chunks.collect(),
        }
    }

    /// Features `[prompts, chunks * length, hidden]` of prompts of one [`Prompt::batch`].
    pub fn encode(prompts: &[Self], encoder: &TextEncoder) -> Tensor<3> {
        let chunks: Vec<_> = prompts.iter().flat_map(|prompt| &prompt.chunks).collect();
        let ids: Vec<_> = chunks.iter().map(|chunk| chunk.ids.clone()).collect();
        let mut features = encoder.forward(&ids);
        if chunks.iter().any(|chunk| chunk.is_weighted()) {
            let weights = chunks.iter().flat_map(|chunk| chunk.weights.clone());
            features = weigh(features, weights.collect());
        }
        let hidden = features.dims()[2];
        features.reshape([prompts.len() as i32, -1, hidden as i32])
    }
}

impl Chunk {
    fn new(tokens: &[(u32, f32)], tokenizer: &Tokenizer, length: usize) -> Self {
        let (mut ids, mut weights) = (vec![tokenizer.start_id()], vec![1.0]);
        ids.extend(tokens.iter().map(|(id, _)| id));
        weights.extend(tokens.iter().map(|(_, weight)| weight));
        ids.resize(length, tokenizer.end_id());
        weights.resize(length, 1.0);
        Self { ids, weights }
    }

    fn is_weighted(&self) -> bool {
        self.weights.iter().any(|weight| *weight != 1.0)
    }
}

/// Multiplies `features` `[chunks, tokens, hidden]` by a weight for each token, then each chunk by
/// a factor that restores its mean.
fn weigh(features: Tensor<3>, weights: Vec<f32>) -> Tensor<3> {
    let [chunks, tokens, _] = features.dims();
    let weights = TensorData::new(weights, [chunks, tokens, 1]);
    let weights = Tensor::from_data(weights, &features.device());
    let weighted = features.clone() * weights;
    let mean = |features: Tensor<3>| features.mean_dim(2).mean_dim(1);
    let restored = mean(features) / mean(weighted.clone());
    weighted * restored
}
