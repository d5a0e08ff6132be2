//! Prompts are read as the web UIs read them: their grammar, long and weighted texts, embeddings.

use crate::support::{Case, Tolerance, assert_close, golden, golden_bytes, model, values_of};
use burn::tensor::Device;
use glassine::ErrorCode;
use glassine::internals::text::{
    Prompt, PromptSchedule, TextEncoder, TextFeatures, Token, Tokenizer, WeightedText,
    clip_vocabulary,
};
use glassine::internals::weights::{Dtype, HostTensor, write_safetensors};
use glassine::pipeline::{
    Convention, Embedding, Engine, Generation, Mode, NoProgress, Request, SamplerName,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

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

    /// The features of `prompt`.
    fn features(&self, prompt: &str) -> TextFeatures {
        let prompt = Prompt::new(prompt, &self.tokenizer, LENGTH, &[]).unwrap();
        pollster::block_on(prompt.encode(&self.encoder, 1)).unwrap()
    }

    fn values(&self, prompt: &str) -> Vec<f32> {
        self.features(prompt).values
    }

    /// What the chunks of `prompt` are, as features of the plain texts of `chunks`.
    fn check_chunks(&self, prompt: &str, chunks: &[&str]) {
        let apart = chunks.iter().map(|chunk| self.values(chunk));
        let apart = apart.collect::<Vec<_>>().concat();
        assert_close(prompt, &self.values(prompt), &apart, ROUNDING);
    }
}

/// A prompt of this many tokens.
fn words(count: usize) -> String {
    let words = ["a", "small", "red", "house", "on", "green", "hill"];
    let words: Vec<_> = words.into_iter().cycle().take(count).collect();
    words.join(" ")
}

#[test]
fn parts_and_weights_are_the_original_parsers() {
    #[derive(Deserialize)]
    struct Row {
        prompt: String,
        parts: Vec<(String, f64)>,
    }
    #[derive(Deserialize)]
    struct Table {
        cases: Vec<Row>,
    }
    let table: Table =
        serde_json::from_slice(&golden_bytes("community/emphasis.json")).expect("a table");
    assert!(table.cases.len() >= 11);
    for Row { prompt, parts } in table.cases {
        let pieces = WeightedText::parse(&prompt);
        let mut got: Vec<(&str, f64)> = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                got.push(("BREAK", -1.0));
            }
            got.extend(piece.iter().map(|part| (part.text.as_str(), part.weight)));
        }
        assert_eq!(got.len(), parts.len(), "{prompt}: {got:?}");
        for ((text, weight), (expected, expected_weight)) in got.iter().zip(&parts) {
            assert_eq!(text, expected, "{prompt}");
            assert!(
                (weight - expected_weight).abs() < 1e-12,
                "{prompt}: {weight}"
            );
        }
    }
}

#[test]
fn schedules_are_the_original_parsers() {
    #[derive(Deserialize)]
    struct Row {
        prompt: String,
        steps: usize,
        schedule: Vec<(usize, String)>,
    }
    #[derive(Deserialize)]
    struct Table {
        cases: Vec<Row>,
    }
    let table: Table =
        serde_json::from_slice(&golden_bytes("community/schedules.json")).expect("a table");
    assert!(table.cases.len() >= 14);
    for row in table.cases {
        let schedule = PromptSchedule::parse(&row.prompt).unwrap();
        for step in 0..row.steps {
            let entry = row.schedule.iter().find(|(last, _)| step <= *last);
            let expected = &entry.expect("an entry for every step").1;
            assert_eq!(
                &schedule.at(step, row.steps),
                expected,
                "{} {step}",
                row.prompt
            );
        }
    }
}

#[test]
fn a_short_prompt_is_encoded_as_it_is() {
    let text = Text::load();
    for prompt in ["", "a small red house", &words(75)] {
        let ids = text.tokenizer.encode_padded(prompt, LENGTH);
        let tokens = ids.into_iter().map(Token::Id).collect();
        let plain = values_of(text.encoder.forward(&[tokens], 1));
        assert_eq!(text.values(prompt), plain, "{prompt:?}");
    }
}

#[test]
fn a_long_prompt_is_encoded_in_chunks() {
    let text = Text::load();
    let long = words(75 + 75 + 10);
    assert_eq!(text.features(&long).tokens, 3 * LENGTH);
    let words: Vec<_> = long.split(' ').collect();
    let chunks: Vec<_> = words.chunks(75).map(|words| words.join(" ")).collect();
    let chunks: Vec<_> = chunks.iter().map(String::as_str).collect();
    text.check_chunks(&long, &chunks);
}

#[test]
fn a_chunk_ends_in_a_comma_if_one_is_near() {
    let text = Text::load();
    for (before, moved) in [(55, true), (54, false)] {
        let (first, second) = (words(before), words(40));
        let prompt = format!("{first}, {second}");
        let tail = || second.split(' ').collect::<Vec<_>>();
        // The comma is a token, too.
        let cut = if moved { 0 } else { 75 - before - 1 };
        let chunks = [
            format!("{first}, {}", tail()[..cut].join(" ")),
            tail()[cut..].join(" "),
        ];
        text.check_chunks(&prompt, &chunks.each_ref().map(String::as_str));
    }
    let full = words(75);
    text.check_chunks(&format!("{full}, red"), &[&full, ", red"]);
}

#[test]
fn break_begins_a_chunk() {
    let text = Text::load();
    text.check_chunks("a house BREAK hill", &["a house", "hill"]);
    text.check_chunks("BREAK a house BREAK", &["", "a house"]);
    let full = words(75);
    text.check_chunks(&format!("{full} BREAK hill"), &[&full, "hill"]);
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
    assert_close("one weight", &weighted, &expected, ROUNDING);
}

#[test]
fn no_weight_makes_features_infinite() {
    let text = Text::load();
    let deep = format!("{}red{}", "(".repeat(1000), ")".repeat(1000));
    for prompt in [&deep, "(red:99999999999999)", "(a:1e30) (b:nan)", "(red:0)"] {
        let values = text.values(prompt);
        assert!(values.iter().all(|value| value.is_finite()), "{prompt}");
    }
}

#[test]
fn a_chunk_without_weights_is_not_changed_by_another() {
    let text = Text::load();
    let weighted = text.values(&format!("({}:1.5) a house", words(75)));
    let (_, second) = weighted.split_at(weighted.len() / 2);
    assert_close("the second", second, &text.values("a house"), ROUNDING);
}

#[test]
fn text_is_cleaned_as_the_original_tokenizer_does() {
    let text = Text::load();
    for (prompt, plain) in [
        ("“a red house”", "\"a red house\""),
        ("the fox’s house", "the fox's house"),
        ("ｒｅｄ　ｈｏｕｓｅ", "red house"),
        ("red &amp; green", "red & green"),
        ("a ﬁsh", "a fish"),
        ("\u{feff}red house", "red house"),
    ] {
        assert_eq!(text.values(prompt), text.values(plain), "{prompt}");
    }
}

/// A small run of `request`, and what comes of it.
fn generate(change: impl FnOnce(&mut Request)) -> glassine::Result<Generation> {
    let mut request = Request::new("a red house");
    request.mode = Some(Mode::Opaque);
    request.width = Some(64);
    request.height = Some(64);
    request.steps = Some(1);
    request.decode_passes = Some(1);
    request.seed = 3;
    request.dump = true;
    change(&mut request);
    pollster::block_on(async {
        let source = model::pack();
        let mut engine = Engine::load(source, Device::flex(), &mut NoProgress).await?;
        engine.generate(&request, &mut NoProgress).await
    })
}

/// Fails unless the request is refused as `bad_option`, in these words.
fn check_refused(words: &[&str], change: impl FnOnce(&mut Request)) {
    let error = generate(change).expect_err("an error");
    assert_eq!(error.code, ErrorCode::BadOption, "{error}");
    let line = error.to_string();
    assert!(words.iter().all(|word| line.contains(word)), "{line}");
}

#[test]
fn limits_are_stated() {
    let prompt = |text: String| move |request: &mut Request| request.prompt = text;
    check_refused(&["100000", "20000"], prompt("a".repeat(100_000)));
    check_refused(&["54 chunks", "32"], prompt("é ".repeat(4_000)));
    let deep = format!("{}a{}", "[".repeat(1000), "]".repeat(1000));
    check_refused(&["100"], prompt(deep));
    check_refused(&["17 parts", "16"], prompt(["a"; 17].join(" AND ")));
    check_refused(&["2024", "comma"], prompt("the year :2024".into()));
    check_refused(&["negative", "20001"], |request| {
        request.negative_prompt = "a".repeat(20_001);
    });
    check_refused(&["clip skip 0", "layers"], |request| {
        request.clip_skip = Some(0)
    });
    check_refused(&["clip skip 99"], |request| request.clip_skip = Some(99));
}

#[test]
fn and_needs_guidance() {
    for guidance in [1.0, 0.5] {
        check_refused(&["AND", "guidance"], |request| {
            request.prompt = "a house AND a hill".into();
            request.guidance = Some(guidance);
        });
    }
}

/// The first latent after a step, which shows what the prompts did.
fn latent(change: impl FnOnce(&mut Request)) -> Vec<f32> {
    let generation = generate(change).unwrap();
    generation.dump["latent.final"].data.clone()
}

#[test]
fn parts_add_up_by_their_weights() {
    let one = latent(|_| {});
    // The same direction twice, by half.
    let halves = latent(|request| request.prompt = "a red house:0.5 AND a red house :.5".into());
    assert_close("halves", &halves, &one, Tolerance::max_abs(1e-3));
    // Of prompts whose lengths have no small multiple, each is a batch of its own.
    let (long, longer) = (words(75 * 4), words(75 * 5));
    let apart = |prompt: String| {
        let longer = longer.clone();
        latent(move |request| {
            request.prompt = prompt;
            request.negative_prompt = longer;
        })
    };
    let halves = apart(format!("{long} :0.5 AND {long} :0.5"));
    assert_close("long", &halves, &apart(long), Tolerance::max_abs(1e-3));
}

#[test]
fn a_frames_prompt_goes_in_front_of_every_part() {
    let joint = |prompt: &str, foreground: &str| {
        generate(|request| {
            request.mode = Some(Mode::Joint);
            request.prompt = prompt.into();
            request.foreground_prompt = foreground.into();
        })
        .unwrap()
    };
    let generation = joint("a house AND a hill :0.5", "red");
    let features = |name: &str| generation.dump[name].data.clone();
    let text = Text::load();
    let parts = [
        ("text.cond.frames", ["red, a house", "a house", "a house"]),
        ("text.cond.part.1", ["red,  a hill", " a hill", " a hill"]),
    ];
    for (name, texts) in parts {
        let expected = texts.map(|prompt| text.values(prompt)).concat();
        assert_close(name, &features(name), &expected, ROUNDING);
    }
}

#[test]
fn frames_have_a_common_length_and_the_negative_prompt_its_own() {
    let generation = generate(|request| {
        request.prompt = "a (red:1.2) house".into();
        request.negative_prompt = "text".into();
        request.foreground_prompt = words(80);
        request.mode = Some(Mode::Joint);
    });
    let dump = generation.unwrap().dump;
    let shape = |name: &str| dump[name].shape[..2].to_vec();
    assert_eq!(shape("text.cond"), [1, LENGTH]);
    assert_eq!(shape("text.uncond"), [1, LENGTH]);
    assert_eq!(shape("text.cond.frames"), [3, 2 * LENGTH]);
}

#[test]
fn tags_leave_the_text_and_are_warned_of() {
    let generation = generate(|request| {
        request.prompt = "a <lora:Old style:0.8>red house".into();
        request.negative_prompt = "<hypernet:x:1>".into();
    });
    let generation = generation.unwrap();
    assert_eq!(
        generation.dump["text.cond"].data,
        Text::load().values("a red house")
    );
    assert_eq!(generation.warnings.len(), 2, "{:?}", generation.warnings);
    assert!(generation.warnings[0].contains("<lora:Old style:0.8>"));
    assert!(generation.warnings[0].contains("no LoRA was given"));
    assert!(generation.warnings[1].contains("negative prompt"));
}

#[test]
fn a_weight_without_and_is_warned_of() {
    let generation = generate(|request| request.prompt = "a house, 16:9".into()).unwrap();
    assert!(
        generation.warnings[0].contains(":9"),
        "{:?}",
        generation.warnings
    );
    assert_eq!(
        generation.dump["text.cond"].data,
        Text::load().values("a house, 16")
    );
    let plain = generate(|request| request.prompt = "a house, 16:9,".into()).unwrap();
    assert!(plain.warnings.is_empty(), "{:?}", plain.warnings);
}

/// An embedding of so many vectors of the tiny model's width, whose numbers begin with `first`.
fn embedding(file: &str, key: &str, count: usize, first: f32) -> glassine::Result<Embedding> {
    Embedding::from_bytes(file, embedding_file(key, vec![count, 32], first), None)
}

fn embedding_file(key: &str, shape: Vec<usize>, first: f32) -> Vec<u8> {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|index| first + index as f32 * 0.01);
    let bytes = values.flat_map(f32::to_le_bytes).collect();
    write_safetensors(&[(key.into(), Dtype::F32, shape, bytes)])
}

#[test]
fn an_embedding_is_known_by_the_hash_of_its_file() {
    let file = embedding_file("emb_params", vec![1, 32], 0.1);
    let hash = Sha256::digest(&file);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let embedding = Embedding::from_bytes("style.safetensors", file, None);
    assert_eq!(embedding.unwrap().hash(), hash);
}

/// What `prompt` names of embeddings called so, and what of it is left as words.
fn named(prompt: &str, files: &[&str]) -> Vec<String> {
    let embeddings = files
        .iter()
        .map(|file| embedding(file, "emb_params", 1, 0.1).unwrap());
    let generation = generate(|request| {
        request.prompt = prompt.into();
        request.embeddings = embeddings.collect();
    });
    generation.unwrap().embeddings
}

#[test]
fn an_embeddings_name_is_a_whole_word_in_any_case() {
    let files = [
        "cat.safetensors",
        "Foto-v1.5.safetensors",
        "風格.safetensors",
        "my style.safetensors",
        "style.safetensors",
    ];
    let check = |prompt: &str, expected: &[&str]| {
        assert_eq!(named(prompt, &files), expected, "{prompt}");
    };
    check("a CAT, (cat:1.2)", &["cat"]);
    check("category, bobcat, cat2, cat_, 2cat, cats", &[]);
    check("foto-V1.5, x", &["Foto-v1.5"]);
    check("foto-v1.55", &[]);
    check("風格 painting", &["風格"]);
    check("水彩風格画", &[]);
    check("in my style", &["my style"]);
    check("in [your:my:0.5] style", &["my style"]);
    check("in your style", &["style"]);
    check("embedding:cat embedding:style.pt:", &["cat", "style"]);
}

#[test]
fn an_embeddings_vectors_are_tokens() {
    let text = Text::load();
    let embeddings = [embedding("cat.safetensors", "emb_params", 3, 0.1).unwrap()];
    let prompt = |text_: &str| {
        let prompt = Prompt::new(text_, &text.tokenizer, LENGTH, &embeddings).unwrap();
        pollster::block_on(prompt.encode(&text.encoder, 1)).unwrap()
    };
    let mut tokens: Vec<Token> = text.tokenizer.encode_padded("a red", LENGTH)[..3]
        .iter()
        .map(|id| Token::Id(*id))
        .collect();
    tokens.extend(embeddings[0].vectors().iter().cloned().map(Token::Vector));
    tokens.extend(text.tokenizer.encode("house").into_iter().map(Token::Id));
    tokens.resize(LENGTH, Token::Id(text.tokenizer.end_id()));
    let expected = values_of(text.encoder.forward(&[tokens], 1));
    assert_eq!(prompt("a red cat house").values, expected);
    // What does not fit the chunk begins the next.
    assert_eq!(prompt(&format!("{} cat", words(72))).chunks, 1);
    assert_eq!(prompt(&format!("{} cat", words(73))).chunks, 2);
    // A chunk that is full of vectors.
    let full = [embedding("full.safetensors", "full", 75, 0.0).unwrap()];
    let full = Prompt::new("full", &text.tokenizer, LENGTH, &full).unwrap();
    assert_eq!(full.chunks(), 1);
}

#[test]
fn embeddings_are_called_after_their_file_and_as_they_call_themselves() {
    let names = |file: &str, key: &str, name: Option<&str>| {
        let embedding = Embedding::from_bytes(file, embedding_file(key, vec![32], 0.1), name);
        let generation = generate(|request| {
            request.prompt = "<own> stem given".into();
            request.embeddings = vec![embedding.unwrap()];
        });
        generation.unwrap()
    };
    for (key, name, places) in [
        ("emb_params", None, 1),
        ("string_to_param.*", None, 1),
        ("<own>", None, 2),
        ("<own>", Some("given"), 1),
    ] {
        let generation = names("a/stem.safetensors", key, name);
        assert_eq!(generation.embeddings.len(), 1, "{key}");
        assert!(generation.warnings.is_empty());
        let words = Text::load();
        let vectors = generation.dump["text.cond"].data.clone();
        assert_ne!(vectors, words.values("<own> stem given"), "{key} {places}");
    }
}

#[test]
fn what_is_no_embedding_of_the_model_is_refused_by_name() {
    let two = |names: [&str; 2], widths: [usize; 2]| {
        let tensor = |(name, width): (&str, usize)| {
            let bytes = vec![0; 4 * width];
            (name.to_string(), Dtype::F32, vec![1, width], bytes)
        };
        write_safetensors(
            &names
                .into_iter()
                .zip(widths)
                .map(tensor)
                .collect::<Vec<_>>(),
        )
    };
    let nan = embedding_file("nan", vec![1, 32], f32::NAN);
    for (bytes, code, reason) in [
        (
            two(["clip_l", "clip_g"], [768, 1280]),
            ErrorCode::ModelUnsupported,
            "SDXL",
        ),
        (
            two(["a.weight", "b.weight"], [32, 32]),
            ErrorCode::ModelUnsupported,
            "2 tensors",
        ),
        (
            embedding_file("x", vec![1, 2, 16], 0.0),
            ErrorCode::ModelUnsupported,
            "[1, 2, 16]",
        ),
        (
            write_safetensors(&[]),
            ErrorCode::ModelUnsupported,
            "no tensor",
        ),
        (
            embedding_file("x", vec![0, 32], 0.0),
            ErrorCode::ModelDamaged,
            "empty",
        ),
        (nan, ErrorCode::ModelDamaged, "NaN"),
        (b"<html>".to_vec(), ErrorCode::ModelDamaged, "safetensors"),
    ] {
        let error = Embedding::from_bytes("style.safetensors", bytes, None).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        let line = error.to_string();
        assert!(
            line.contains("style.safetensors") && line.contains(reason),
            "{line}"
        );
    }
    let wide = Embedding::from_bytes(
        "wide.safetensors",
        embedding_file("x", vec![1, 1024], 0.0),
        None,
    );
    let many = embedding("many.safetensors", "x", 76, 0.0);
    for (embedding, reason) in [(wide, "Stable Diffusion 2"), (many, "at most 75")] {
        let refused = generate(|request| request.embeddings = vec![embedding.unwrap()]);
        let line = refused.expect_err("an error").to_string();
        assert!(
            line.contains(reason) && line.contains(".safetensors"),
            "{line}"
        );
    }
    check_refused(&["a/x.safetensors", "b/X.safetensors"], |request| {
        let twice = ["a/x.safetensors", "b/X.safetensors"]
            .map(|file| embedding(file, "emb_params", 1, 0.0));
        request.embeddings = twice.into_iter().collect::<Result<_, _>>().unwrap();
    });
    let nameless = Embedding::from_bytes(
        "x.safetensors",
        embedding_file("x", vec![32], 0.0),
        Some(" "),
    );
    assert_eq!(nameless.unwrap_err().code, ErrorCode::BadOption);
}

#[test]
fn unknown_and_unused_embeddings_are_warned_of() {
    let generation = generate(|request| {
        request.prompt = "a red house, embedding:nothere".into();
        request.embeddings = vec![embedding("cat.safetensors", "emb_params", 1, 0.1).unwrap()];
    });
    let warnings = generation.unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("nothere") && warnings[0].contains("cat"));
    assert!(warnings[1].contains("no prompt names"));
}

/// The whole run that a case of golden/community describes, but for its features.
fn check_run(name: &str) {
    let case = Case::load(&format!("community/{name}"));
    let noise = case.tensor("unit_noise");
    let embeddings = case.description().get("embeddings").map(|_| {
        ["tiny-style.pt", "bad-tiny.safetensors"]
            .map(|file| Embedding::open(&golden(&format!("community/{file}")), None).unwrap())
    });
    let generation = generate(|request| {
        request.prompt = case.text("/prompt").into();
        request.negative_prompt = case.text("/negative_prompt").into();
        request.steps = Some(case.number("/steps") as usize);
        request.guidance = Some(case.number("/guidance_scale") as f32);
        request.seed = case.number("/seed") as u64;
        request.noise = Some(HostTensor::new(noise.shape.clone(), noise.f32()));
        (request.sampler, request.convention) = match case.text("/sampler") {
            "ddim" => (Some(SamplerName::Ddim), None),
            _ => (
                Some(SamplerName::Dpmpp2mKarras),
                Some(Convention::KDiffusion),
            ),
        };
        request.embeddings = embeddings.into_iter().flatten().collect();
        let clip_skip = case.description().get("clip_skip");
        request.clip_skip = clip_skip
            .and_then(|skip| skip.as_u64())
            .map(|skip| skip as usize);
    });
    let generation = generation.unwrap();
    assert!(generation.warnings.is_empty(), "{:?}", generation.warnings);
    let dump = &generation.dump;
    case.check("context_0", &dump["text.uncond"].data);
    case.check("context_1", &dump["text.cond"].data);
    case.check("start_latent", &dump["latent.initial"].data);
    let steps = 0..case.number("/steps") as usize;
    let latents: Vec<_> = steps
        .flat_map(|step| dump[&format!("latent.step.{step}")].data.clone())
        .collect();
    case.check("latents", &latents);
    case.check("final_latent", &dump["latent.final"].data);
    case.check("image01", &dump["pixel"].data);
}

macro_rules! runs {
    ($($name:ident)*) => {
        $(#[test]
        #[ignore = "needs the whole of the golden data in GLASSINE_GOLDEN"]
        fn $name() {
            check_run(stringify!($name).trim_start_matches("run_"));
        })*
    };
}

runs! {
    run_alternate
    run_and
    run_break
    run_clip_skip
    run_embedding
    run_emphasis
    run_long
    run_schedule
}
