//! Prompts: any text has a reading, and becomes whole chunks of 77 tokens.

#![no_main]

use std::sync::OnceLock;

use burn::tensor::Device;
use glassine::internals::text::{
    Prompt, PromptPart, PromptSchedule, TextEncoder, TextEncoderConfig, Tokenizer, WeightedText,
    clean, clip_vocabulary, take_tags,
};
use glassine::internals::weights::{HostTensor, RowChunk, StoredType, TensorEntry, Weights};
use libfuzzer_sys::fuzz_target;

/// Tokens of a chunk.
const LENGTH: usize = 77;

fuzz_target!(|prompt: &str| {
    let pieces = WeightedText::parse(prompt);
    let parts = || pieces.iter().flatten();
    assert!(parts().all(|part| !part.text.is_empty() && part.weight.is_finite()));

    let tokenizer = tokenizer();
    let ids = tokenizer.encode_padded(prompt, LENGTH);
    assert_eq!((ids.len(), ids[0]), (LENGTH, tokenizer.start_id()));
    assert_eq!(clean(&clean(prompt)), clean(prompt));

    let (text, _) = take_tags(prompt);
    for part in PromptPart::split(&text) {
        // What is too deep or too long is an error.
        let Ok(schedule) = PromptSchedule::parse(&part.text) else {
            return;
        };
        for step in 0..3 {
            let text = schedule.at(step, 3);
            let Ok(prompt) = Prompt::new(&text, tokenizer, LENGTH, &[]) else {
                return;
            };
            // The encoder also panics at ids beyond the vocabulary.
            let encode = |encoder: &TextEncoder| pollster::block_on(prompt.encode(encoder, 1));
            let features = ENCODER.with(encode).expect("features");
            assert_eq!(features.tokens, prompt.chunks() * LENGTH);
            assert!(features.values.iter().all(|value| value.is_finite()));
        }
    }
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
