//! Prompts become the ids that transformers' fast CLIP tokenizer gives them.

use crate::support::golden_bytes;
use glassine::ErrorCode;
use glassine::internals::text::{Tokenizer, clip_vocabulary};
use serde::Deserialize;

#[derive(Deserialize)]
struct Prompt {
    prompt: String,
    ids_77: Vec<u32>,
    ids_full: Vec<u32>,
    #[serde(default)]
    ambiguous: bool,
}

fn clip() -> Tokenizer {
    Tokenizer::from_merges(clip_vocabulary::merges()).expect("CLIP's merges")
}

#[test]
fn golden_prompts() {
    let tokenizer = clip();
    let prompts: Vec<Prompt> =
        serde_json::from_slice(&golden_bytes("tokenizer/prompts.json")).expect("golden prompts");
    assert!(prompts.len() >= 70);
    for golden in prompts.iter().filter(|golden| !golden.ambiguous) {
        let (first, rest) = golden.ids_full.split_first().expect("a start");
        let (last, bare) = rest.split_last().expect("an end");
        assert_eq!((*first, *last), (tokenizer.start_id(), tokenizer.end_id()));
        assert_eq!(
            tokenizer.encode(&golden.prompt),
            bare,
            "{:?}",
            golden.prompt
        );
        assert_eq!(
            tokenizer.encode_padded(&golden.prompt, 77),
            golden.ids_77,
            "{:?}",
            golden.prompt
        );
    }
}

#[test]
fn clip_vocabulary_is_complete() {
    let tokenizer = clip();
    assert_eq!(tokenizer.vocabulary_size(), 49408);
    assert_eq!((tokenizer.start_id(), tokenizer.end_id()), (49406, 49407));
}

#[test]
fn special_texts_are_markers_wherever_they_stand() {
    let tokenizer = clip();
    let word = |text: &str| tokenizer.encode(text)[0];
    let ids = tokenizer.encode("cat<|ENDOFTEXT|>dog");
    assert_eq!(ids, [word("cat"), tokenizer.end_id(), word("dog")]);
    let ids = tokenizer.encode("!<|startoftext|>!");
    assert_eq!(ids, [word("!"), tokenizer.start_id(), word("!")]);
}

#[test]
fn short_merge_lists_make_small_vocabularies() {
    let tokenizer = Tokenizer::from_merges(b"#version: 0.2\nc a\nca t</w>\n").expect("two merges");
    assert_eq!(tokenizer.vocabulary_size(), 512 + 2 + 2);
    assert_eq!(tokenizer.encode("cat"), [513]);
    assert_eq!(tokenizer.encode("cats").len(), 3);
    assert_eq!(tokenizer.encode_padded("cat", 4), [514, 513, 515, 515]);
}

#[test]
fn vocabulary_files_may_number_symbols_freely() {
    let vocabulary =
        br#"{"a": 5, "b</w>": 9, "ab</w>": 2, "<|startoftext|>": 0, "<|endoftext|>": 1}"#;
    let tokenizer = Tokenizer::from_files(vocabulary, b"a b</w>").expect("one merge");
    assert_eq!(tokenizer.encode("ab"), [2]);
    assert_eq!(tokenizer.encode("aab"), [5, 2]);
    assert_eq!(tokenizer.encode("x"), [tokenizer.end_id()], "unknown byte");
}

#[test]
fn damaged_files_are_refused() {
    let no_pair = Tokenizer::from_merges(b"#version: 0.2\nabc\n").unwrap_err();
    assert_eq!(no_pair.code, ErrorCode::ModelDamaged);
    assert!(no_pair.message.contains("abc"), "{no_pair}");
    let unknown = Tokenizer::from_merges(b"#version: 0.2\nabc d\n").unwrap_err();
    assert_eq!(unknown.code, ErrorCode::ModelDamaged);
    let unreadable = Tokenizer::from_files(b"[", b"").unwrap_err();
    assert_eq!(unreadable.code, ErrorCode::ModelDamaged);
}
