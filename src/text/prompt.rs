//! Prompts of any length, with weights and embeddings.
//!
//! The text encoder sees 77 tokens at a time, of which the first and the last are markers. Longer
//! prompts are encoded in chunks of 75, whose features follow each other. Weights multiply the
//! features of their tokens; each chunk is then scaled so that the mean of its features is what
//! it was. All is as in the web UI of AUTOMATIC1111.

use std::collections::BTreeSet;

use super::embedding::{Piece, Vocabulary};
use super::{Embedding, TextEncoder, Token, Tokenizer, WeightedText, clean};
use crate::weights::host::host_values;
use crate::{Error, ErrorCode, Result};

/// How many tokens a full chunk may hand over to the next, so that it ends in a comma.
const COMMA_REACH: usize = 20;

/// A prompt as the text encoder takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    chunks: Vec<Chunk>,
    /// The embeddings that it names, by their places in the list.
    pub embeddings: BTreeSet<usize>,
    /// What it names as `embedding:NAME` that is not there.
    pub unknown: BTreeSet<String>,
}

/// As many tokens as the text encoder sees at a time, and each one's weight.
#[derive(Debug, Clone, PartialEq)]
struct Chunk {
    tokens: Vec<Token>,
    weights: Vec<f64>,
}

/// A prompt's features in ordinary memory.
#[derive(Debug, Clone, PartialEq)]
pub struct TextFeatures {
    /// Chunks that they are of.
    pub chunks: usize,
    /// Tokens of all chunks.
    pub tokens: usize,
    /// `[tokens, hidden]`.
    pub values: Vec<f32>,
}

impl Prompt {
    /// The most chunks that a prompt may have: 2,400 tokens.
    pub const MAX_CHUNKS: usize = 32;

    /// Cuts `text`, which is what a prompt is at some step, into chunks of `length` tokens with the
    /// markers. A name of one of `embeddings` stands for its vectors.
    ///
    /// # Errors
    /// `bad_option` if the text has more chunks than [`Prompt::MAX_CHUNKS`].
    pub fn new(
        text: &str,
        tokenizer: &Tokenizer,
        length: usize,
        embeddings: &[Embedding],
    ) -> Result<Self> {
        let vocabulary = Vocabulary::new(embeddings);
        let mut writer = Writer::new(tokenizer, length);
        let (mut used, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        for (index, parts) in WeightedText::parse(text).iter().enumerate() {
            if index > 0 {
                writer.end_chunk();
            }
            for part in parts {
                for piece in vocabulary.pieces(&clean(&part.text)) {
                    match piece {
                        Piece::Text(text) => writer.text(text, part.weight),
                        Piece::Embedding(place) => {
                            used.insert(place);
                            writer.vectors(embeddings[place].vectors(), part.weight);
                        }
                        Piece::Unknown(name) => {
                            unknown.insert(name.into());
                        }
                    }
                }
            }
        }
        let chunks = writer.finish();
        if chunks.len() > Self::MAX_CHUNKS {
            let room = length.saturating_sub(2);
            return Err(Error::new(
                ErrorCode::BadOption,
                format!("a prompt takes {} chunks of {room} tokens", chunks.len()),
                format!("at most {} are possible; shorten it", Self::MAX_CHUNKS),
            ));
        }
        Ok(Self {
            chunks,
            embeddings: used,
            unknown,
        })
    }

    /// How many chunks it has.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// The prompt's features; `clip_skip` is as in [`TextEncoder::forward`].
    pub async fn encode(&self, encoder: &TextEncoder, clip_skip: usize) -> Result<TextFeatures> {
        let rows: Vec<_> = self
            .chunks
            .iter()
            .map(|chunk| chunk.tokens.clone())
            .collect();
        let features = encoder.forward(&rows, clip_skip);
        let [chunks, length, hidden] = features.dims();
        let mut values = host_values(features.into_data_async().await)?;
        let of_chunks = values.chunks_exact_mut((length * hidden).max(1));
        for (chunk, values) in self.chunks.iter().zip(of_chunks) {
            if chunk.weights.iter().any(|weight| *weight != 1.0) {
                weigh(values, &chunk.weights, hidden);
            }
        }
        Ok(TextFeatures {
            chunks,
            tokens: chunks * length,
            values,
        })
    }
}

/// Multiplies `hidden` features of each token by its weight, then all by a factor that restores
/// their mean.
fn weigh(features: &mut [f32], weights: &[f64], hidden: usize) {
    let sum = |features: &[f32]| features.iter().map(|value| f64::from(*value)).sum::<f64>();
    let original = sum(features);
    for (features, weight) in features.chunks_exact_mut(hidden).zip(weights) {
        features
            .iter_mut()
            .for_each(|value| *value = (f64::from(*value) * weight) as f32);
    }
    let factor = original / sum(features);
    // There is no mean to restore where everything cancels out.
    if factor.is_finite() {
        features
            .iter_mut()
            .for_each(|value| *value = (f64::from(*value) * factor) as f32);
    }
}

/// Chunks that are being filled.
struct Writer<'a> {
    tokenizer: &'a Tokenizer,
    /// Tokens of a chunk, with the markers.
    length: usize,
    /// The token of a comma that ends a piece.
    comma: Option<u32>,
    chunks: Vec<Chunk>,
    tokens: Vec<(Token, f64)>,
    /// Where the last comma stands in the chunk that is being filled.
    last_comma: Option<usize>,
}

impl<'a> Writer<'a> {
    fn new(tokenizer: &'a Tokenizer, length: usize) -> Self {
        Self {
            tokenizer,
            length,
            comma: tokenizer.encode(",").first().copied(),
            chunks: Vec::new(),
            tokens: Vec::new(),
            last_comma: None,
        }
    }

    /// Tokens between the markers of a chunk.
    fn room(&self) -> usize {
        self.length.saturating_sub(2).max(1)
    }

    fn text(&mut self, text: &str, weight: f64) {
        for id in self.tokenizer.encode(text) {
            self.make_room(Some(id) == self.comma);
            self.tokens.push((Token::Id(id), weight));
        }
    }

    /// An embedding's vectors, which stay in one chunk.
    fn vectors(&mut self, vectors: &[std::sync::Arc<[f32]>], weight: f64) {
        self.make_room(false);
        if self.tokens.len() + vectors.len() > self.room() {
            self.end_chunk();
        }
        let vectors = vectors.iter().cloned();
        self.tokens
            .extend(vectors.map(|vector| (Token::Vector(vector), weight)));
    }

    /// Begins a chunk where the last is full, with what follows a comma near its end.
    fn make_room(&mut self, is_comma: bool) {
        let filled = self.tokens.len();
        let near = |comma: &usize| filled - comma <= COMMA_REACH;
        let split = self.last_comma.filter(near).filter(|_| !is_comma);
        if filled == self.room() {
            let moved = split.map_or(vec![], |comma| self.tokens.split_off(comma + 1));
            self.end_chunk();
            self.tokens = moved;
        }
        if is_comma {
            self.last_comma = Some(self.tokens.len());
        }
    }

    fn end_chunk(&mut self) {
        self.last_comma = None;
        let mut chunk = Chunk {
            tokens: vec![Token::Id(self.tokenizer.start_id())],
            weights: vec![1.0],
        };
        for (token, weight) in self.tokens.drain(..) {
            chunk.tokens.push(token);
            chunk.weights.push(weight);
        }
        let end = Token::Id(self.tokenizer.end_id());
        chunk.tokens.resize(self.length, end);
        chunk.weights.resize(self.length, 1.0);
        self.chunks.push(chunk);
    }

    /// The chunks. An empty prompt has one, too.
    fn finish(mut self) -> Vec<Chunk> {
        if !self.tokens.is_empty() || self.chunks.is_empty() {
            self.end_chunk();
        }
        self.chunks
    }
}
