//! Prompts: any text has a reading, and becomes whole chunks of 77 tokens.

#![no_main]

use std::sync::OnceLock;

use burn::tensor::Device;
use glassine::internals::text::{
    Prompt, TextEncoder, TextEncoderConfig, Tokenizer, WeightedText, clip_vocabulary,
};
use glassine::internals::weights::{HostTensor, RowChunk, StoredType, TensorEntry, Weights};
use libfuzzer_sys::fuzz_target;

/// Tokens of a chunk.
const LENGTH: usize = 77;

fuzz_target!(|prompt: &str| {
    let parts = WeightedText::parse(prompt);
    assert!(parts.iter().all(|part| !part.text.is_empty()));
    assert!(
        parts
            .windows(2)
            .all(|pair| pair[0].weight != pair[1].weight)
    );

    let tokenizer = tokenizer();
    let ids = tokenizer.encode_padded(prompt, LENGTH);
    assert_eq!((ids.len(), ids[0]), (LENGTH, tokenizer.start_id()));

    let tokens: usize = parts
        .iter()
        .map(|part| tokenizer.encode(&part.text).len())
        .sum();
    let texts = [prompt.to_string(), String::new()];
    let prompts = Prompt::batch(&texts, tokenizer, LENGTH);
    let chunks = tokens.div_ceil(LENGTH - 2).max(1);
    // The encoder also panics at ids beyond the vocabulary.
    let features = ENCODER.with(|encoder| Prompt::encode(&prompts, encoder));
    assert_eq!(features.dims(), [2, chunks * LENGTH, 1]);
});

thread_local! {
    static ENCODER: TextEncoder = encoder();
}

fn tokenizer() -> &'static Tokenizer {
    static TOKENIZER: OnceLock<Tokenizer> = OnceLock::new();
    TOKENIZER
        .get_or_init(|| Tokenizer::from_merges(clip_vocabulary::merges()).expect("CLIP's merges"))
}

/// A text encoder without layers and with one feature for a token.
fn encoder() -> TextEncoder {
    let weights = Weights::new(&Device::flex());
    let rows = tokenizer().vocabulary_size();
    let entry = TensorEntry {
        stored: StoredType::F16,
        group: None,
        shape: vec![rows, 1],
        shards: vec![0],
    };
    let part = RowChunk {
        bytes: &vec![0; 2 * rows],
        scales: None,
    };
    let table = "text_model.embeddings.token_embedding.weight";
    weights
        .insert_part(table, &entry, part)
        .expect("a sound table");
    let ones = |shape: &[usize]| HostTensor::new(shape, vec![1.0; shape.iter().product()]);
    weights.insert(
        "text_model.embeddings.position_embedding.weight",
        ones(&[LENGTH, 1]),
    );
    weights.insert("text_model.final_layer_norm.weight", ones(&[1]));
    weights.insert("text_model.final_layer_norm.bias", ones(&[1]));
    let config = TextEncoderConfig {
        num_attention_heads: 1,
        hidden_act: "gelu".into(),
        layer_norm_eps: 1e-5,
        max_position_embeddings: LENGTH,
    };
    TextEncoder::load(&config, &weights).expect("a sound text encoder")
}
