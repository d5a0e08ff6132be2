//! CLIP's tokenizer: text to the ids that the text encoder embeds.
//!
//! Text is normalised (NFC, lower case), split into words, digits and runs of symbols, and every
//! piece is spelled in byte symbols that are then merged pair by pair, the earliest merge of the
//! list first (byte-pair encoding). The last symbol of a piece carries `</w>`. It follows the
//! fast CLIP tokenizer of Hugging Face, not the original one, which also repaired mojibake and
//! HTML entities.

use std::collections::HashMap;

use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, ErrorCode, Result};

const START_OF_TEXT: &str = "<|startoftext|>";
const END_OF_TEXT: &str = "<|endoftext|>";
const END_OF_WORD: &str = "</w>";
/// English endings that are pieces of their own wherever an apostrophe begins a piece.
const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/// What two neighbouring symbols become, and how early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Merge {
    rank: usize,
    merged: u32,
}

/// A byte-pair encoder with CLIP's rules and a vocabulary of any size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokenizer {
    /// Ids of the 256 bytes inside a piece.
    inner_bytes: Vec<u32>,
    /// Ids of the 256 bytes at the end of a piece.
    final_bytes: Vec<u32>,
    merges: HashMap<(u32, u32), Merge>,
    start: u32,
    end: u32,
    vocabulary_size: usize,
}

impl Tokenizer {
    /// From the contents of a `vocab.json` (symbol to id) and a `merges.txt`.
    pub fn from_files(vocab_json: &[u8], merges_txt: &[u8]) -> Result<Self> {
        let ids: HashMap<String, u32> = serde_json::from_slice(vocab_json).map_err(|error| {
            damaged(format!(
                "the tokenizer's vocabulary is not readable ({error})"
            ))
        })?;
        Self::new(&ids, &merge_list(merges_txt)?)
    }

    /// From the contents of a `merges.txt` alone; ids are given in CLIP's order: the byte
    /// symbols, the byte symbols at the end of a piece, the merges, start and end of text.
    pub fn from_merges(merges_txt: &[u8]) -> Result<Self> {
        let merges = merge_list(merges_txt)?;
        let bytes = byte_symbols_in_clip_order();
        let symbols = bytes
            .iter()
            .map(char::to_string)
            .chain(bytes.iter().map(|symbol| format!("{symbol}{END_OF_WORD}")))
            .chain(merges.iter().map(|(left, right)| format!("{left}{right}")))
            .chain([START_OF_TEXT.into(), END_OF_TEXT.into()]);
        let ids = symbols.zip(0..).collect();
        Self::new(&ids, &merges)
    }

    fn new(ids: &HashMap<String, u32>, merges: &[(&str, &str)]) -> Result<Self> {
        let id = |symbol: &str| {
            ids.get(symbol).copied().ok_or_else(|| {
                damaged(format!(
                    "the tokenizer's vocabulary has no symbol {symbol:?}"
                ))
            })
        };
        let end = id(END_OF_TEXT)?;
        // CLIP's token for the unknown is the end of text; only cut-down vocabularies need it.
        let byte_id = |suffix: &str, byte: u8| {
            let symbol = format!("{}{suffix}", byte_symbol(byte));
            ids.get(&symbol).copied().unwrap_or(end)
        };
        let mut pairs = HashMap::with_capacity(merges.len());
        for (rank, (left, right)) in merges.iter().enumerate() {
            let merged = id(&format!("{left}{right}"))?;
            pairs
                .entry((id(left)?, id(right)?))
                .or_insert(Merge { rank, merged });
        }
        Ok(Self {
            inner_bytes: (0..=255).map(|byte| byte_id("", byte)).collect(),
            final_bytes: (0..=255).map(|byte| byte_id(END_OF_WORD, byte)).collect(),
            merges: pairs,
            start: id(START_OF_TEXT)?,
            end,
            vocabulary_size: ids.values().max().map_or(0, |&id| id as usize + 1),
        })
    }

    /// The id that every encoded prompt begins with.
    pub fn start_id(&self) -> u32 {
        self.start
    }

    /// The id that ends a prompt and pads it.
    pub fn end_id(&self) -> u32 {
        self.end
    }

    /// One more than the largest id: the rows that the text encoder's embedding must have.
    pub fn vocabulary_size(&self) -> usize {
        self.vocabulary_size
    }

    /// The ids of `text`, however many, without start and end.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let text = normalised(text);
        let mut ids = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (plain, marker) = self.until_marker(rest);
            for piece in pieces(plain) {
                self.encode_piece(piece, &mut ids);
            }
            rest = &rest[plain.len()..];
            if let Some((symbol, id)) = marker {
                ids.push(id);
                rest = &rest[symbol.len()..];
            }
        }
        ids
    }

    /// Exactly `length` ids (77 for CLIP): start, as many of `text` as fit, end, and the end
    /// again as padding.
    pub fn encode_padded(&self, text: &str, length: usize) -> Vec<u32> {
        let mut ids = vec![self.start];
        ids.extend(self.encode(text));
        ids.truncate(length.saturating_sub(1));
        ids.resize(length, self.end);
        ids
    }

    /// The text in front of the first literal start or end marker, and that marker.
    fn until_marker<'text>(&self, text: &'text str) -> (&'text str, Option<(&'static str, u32)>) {
        [(START_OF_TEXT, self.start), (END_OF_TEXT, self.end)]
            .into_iter()
            .filter_map(|marker| text.find(marker.0).map(|position| (position, marker)))
            .min_by_key(|&(position, _)| position)
            .map_or((text, None), |(position, marker)| {
                (&text[..position], Some(marker))
            })
    }

    /// Byte-pair encoding of one piece.
    fn encode_piece(&self, piece: &str, ids: &mut Vec<u32>) {
        let Some((last, inner)) = piece.as_bytes().split_last() else {
            return;
        };
        let mut symbols: Vec<u32> = inner
            .iter()
            .map(|&byte| self.inner_bytes[usize::from(byte)])
            .collect();
        symbols.push(self.final_bytes[usize::from(*last)]);
        while let Some(pair) = self.earliest_pair(&symbols) {
            symbols = merge_pair(&symbols, pair, self.merges[&pair].merged);
        }
        ids.append(&mut symbols);
    }

    /// The neighbouring pair whose merge comes first in the list.
    fn earliest_pair(&self, symbols: &[u32]) -> Option<(u32, u32)> {
        symbols
            .windows(2)
            .map(|pair| (pair[0], pair[1]))
            .filter_map(|pair| self.merges.get(&pair).map(|merge| (merge.rank, pair)))
            .min()
            .map(|(_, pair)| pair)
    }
}

/// `symbols` with every `pair`, from the left, replaced by `merged`.
fn merge_pair(symbols: &[u32], pair: (u32, u32), merged: u32) -> Vec<u32> {
    let mut result = Vec::with_capacity(symbols.len());
    let mut rest = symbols;
    while let [first, tail @ ..] = rest {
        if *first == pair.0 && tail.first() == Some(&pair.1) {
            result.push(merged);
            rest = &tail[1..];
        } else {
            result.push(*first);
            rest = tail;
        }
    }
    result
}

/// NFC and lower case. Lower-cased one character at a time: that of a whole string gives a final
/// sigma at the end of a word, which CLIP's tokenizer does not.
fn normalised(text: &str) -> String {
    text.nfc().flat_map(char::to_lowercase).collect()
}

/// Cuts `text` into contractions, runs of letters, single digits and runs of anything else that
/// is not white space.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let length = piece_length(rest, first);
        let (piece, tail) = rest.split_at(length);
        rest = tail;
        Some(piece)
    })
}

/// Length in bytes of the piece that `text`, whose first character is `first`, begins with.
fn piece_length(text: &str, first: char) -> usize {
    if let Some(contraction) = CONTRACTIONS
        .iter()
        .find(|ending| text.starts_with(**ending))
    {
        return contraction.len();
    }
    match kind(first) {
        Kind::Digit => first.len_utf8(),
        run => text
            .find(|character| kind(character) != run)
            .unwrap_or(text.len()),
    }
}

/// What decides where pieces end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Digit,
    Space,
    Other,
}

fn kind(character: char) -> Kind {
    use GeneralCategory::{
        DecimalNumber, LetterNumber, LowercaseLetter, ModifierLetter, OtherLetter, OtherNumber,
        TitlecaseLetter, UppercaseLetter,
    };
    if character.is_whitespace() {
        return Kind::Space;
    }
    match get_general_category(character) {
        UppercaseLetter | LowercaseLetter | TitlecaseLetter | ModifierLetter | OtherLetter => {
            Kind::Letter
        }
        DecimalNumber | LetterNumber | OtherNumber => Kind::Digit,
        _ => Kind::Other,
    }
}

/// The pairs of a `merges.txt`, earliest first.
fn merge_list(merges_txt: &[u8]) -> Result<Vec<(&str, &str)>> {
    let text = std::str::from_utf8(merges_txt)
        .map_err(|_| damaged("the tokenizer's merges are not UTF-8".into()))?;
    let mut lines = text.lines().peekable();
    lines.next_if(|line| line.contains("#version"));
    lines
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            line.trim_end()
                .split_once(' ')
                .filter(|(left, right)| {
                    !left.is_empty() && !right.is_empty() && !right.contains(' ')
                })
                .ok_or_else(|| {
                    damaged(format!(
                        "the tokenizer's merges have the line {line:?}, which is no pair"
                    ))
                })
        })
        .collect()
}

/// The character that stands for `byte` in vocabularies: itself if it is printable, otherwise one
/// from U+0100 on, so that no symbol contains white space or control characters.
fn byte_symbol(byte: u8) -> char {
    if is_printable(byte) {
        return char::from(byte);
    }
    let unprintable_before = (0..byte).filter(|&other| !is_printable(other)).count();
    char::from_u32(0x100 + unprintable_before as u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

/// CLIP numbers the printable bytes first.
fn byte_symbols_in_clip_order() -> Vec<char> {
    let (printable, others): (Vec<u8>, Vec<u8>) = (0..=255).partition(|&byte| is_printable(byte));
    printable
        .into_iter()
        .chain(others)
        .map(byte_symbol)
        .collect()
}

fn damaged(message: String) -> Error {
    Error::new(
        ErrorCode::ModelDamaged,
        message,
        "use the tokenizer files that belong to the text encoder",
    )
}
