//! Long and weighted prompts become the features that their parts have.

mod support;

use burn::tensor::{Device, Tensor};
use glassine::internals::text::{Prompt, TextEncoder, Tokenizer, clip_vocabulary};
use glassine::pipeline::{Engine, Mode, NoProgress, Request};
use support::{Tolerance, assert_close, model, values_of};

/// Tokens that the encoder sees at a time.
const LENGTH: usize = 77;
/// For sums in another order.
const ROUNDING: Tolerance = Tolerance {
    max_abs: 1e-5,
    min_cosine: None,
};

struct Text {
    tokenizer: Tokenizer,
    encoder: TextEncoder,
}

impl Text {
    fn load() -> Self {
        let (weights, pack) = model::weights();
        let config = pack.manifest().text_encoder().unwrap();
        Self {
            tokenizer: Tokenizer::from_merges(clip_vocabulary::merges()).unwrap(),
            encoder: TextEncoder::load(&config, &weights.at("text_encoder")).unwrap(),
        }
    }

    /// The features of `prompt` alone.
    fn features(&self, prompt: &str) -> Tensor<3> {
        let prompts = Prompt::batch(&[prompt.into()], &self.tokenizer, LENGTH);
        Prompt::encode(&prompts, &self.encoder)
    }

    fn values(&self, prompt: &str) -> Vec<f32> {
        values_of(self.features(prompt))
    }
}

/// A prompt of this many tokens.
fn words(count: usize) -> String {
    let words = ["a", "small", "red", "house", "on", "green", "hill"];
    let words: Vec<_> = words.into_iter().cycle().take(count).collect();
    words.join(" ")
}

#[test]
fn a_short_prompt_is_encoded_as_it_is() {
    let text = Text::load();
    for prompt in ["", "a small red house", &words(75)] {
        let ids = vec![text.tokenizer.encode_padded(prompt, LENGTH)];
        let plain = values_of(text.encoder.forward(&ids));
        assert_eq!(text.values(prompt), plain, "{prompt:?}");
    }
}

#[test]
fn a_long_prompt_is_encoded_in_chunks() {
    let text = Text::load();
    let long = words(75 + 75 + 10);
    assert_eq!(text.features(&long).dims()[1], 3 * LENGTH);
    let words: Vec<_> = long.split(' ').collect();
    let chunks = words.chunks(75).map(|words| text.values(&words.join(" ")));
    let apart = chunks.collect::<Vec<_>>().concat();
    assert_close("three chunks", &text.values(&long), &apart, ROUNDING);
}

#[test]
fn prompts_of_a_batch_are_equally_long() {
    let text = Text::load();
    let texts = [words(80), "a house".into(), String::new()];
    let prompts = Prompt::batch(&texts, &text.tokenizer, LENGTH);
    let together = values_of(Prompt::encode(&prompts, &text.encoder));
    let [house, nothing] = ["a house", ""].map(|prompt| text.values(prompt));
    let apart = [
        &text.values(&words(80)),
        &house,
        &nothing,
        &nothing,
        &nothing,
    ];
    assert_close(
        "a batch",
        &together,
        &apart.map(Vec::as_slice).concat(),
        ROUNDING,
    );
}

#[test]
fn a_weight_of_1_changes_nothing() {
    let text = Text::load();
    assert_eq!(text.values("a (red:1.0) house"), text.values("a red house"));
}

#[test]
fn a_weight_multiplies_its_tokens_and_the_mean_is_restored() {
    let text = Text::load();
    let plain = text.values("a small red house");
    let width = plain.len() / LENGTH;
    let mut expected = plain.clone();
    // The start marker, a, small, red.
    for value in &mut expected[3 * width..4 * width] {
        *value *= 1.5;
    }
    let sum = |values: &[f32]| values.iter().map(|value| f64::from(*value)).sum::<f64>();
    let factor = sum(&plain) / sum(&expected);
    let expected: Vec<_> = expected
        .iter()
        .map(|value| f64::from(*value) * factor)
        .collect();
    let weighted = text.values("a small (red:1.5) house");
    // The features are random and so have a mean near 0, whose quotients are coarse.
    let largest = expected
        .iter()
        .fold(0.0, |peak: f64, value| value.abs().max(peak));
    let tolerance = Tolerance::max_abs(1e-3 * largest);
    assert_close("one weight", &weighted, &expected, tolerance);
}

#[test]
fn a_chunk_without_weights_is_not_changed_by_another() {
    let text = Text::load();
    let weighted = text.values(&format!("({}:1.5) a house", words(75)));
    let (_, second) = weighted.split_at(weighted.len() / 2);
    assert_close("the second", second, &text.values("a house"), ROUNDING);
}

#[test]
fn every_frame_and_the_negative_prompt_have_as_many_chunks() {
    let mut request = Request::new("a (red:1.2) house");
    request.negative_prompt = "text".into();
    request.foreground_prompt = words(80);
    request.mode = Some(Mode::Joint);
    request.width = Some(64);
    request.height = Some(64);
    request.steps = Some(1);
    request.decode_passes = 1;
    request.dump = true;
    let generation = pollster::block_on(async {
        let source = model::pack().clone();
        let mut engine = Engine::load(source, Device::flex(), &mut NoProgress).await?;
        engine.generate(&request, &mut NoProgress).await
    });
    let dump = generation.unwrap().dump;
    let shape = |name: &str| dump[name].shape[..2].to_vec();
    assert_eq!(shape("text.cond"), [1, 2 * LENGTH]);
    assert_eq!(shape("text.uncond"), [1, 2 * LENGTH]);
    assert_eq!(shape("text.cond.frames"), [3, 2 * LENGTH]);
}
