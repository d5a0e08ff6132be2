//! The web UIs' text, taken apart: prompt, negative prompt and a line of settings.
//!
//! The text has no grammar that tells its parts from each other: a prompt may hold what looks like settings. The
//! last line that can be settings is them, as in AUTOMATIC1111's web UI; where a text has lost its line breaks,
//! they begin at the last `Steps:` behind which nothing but settings follows.

use serde_json::Deserializer;

/// The longest text that is taken apart, in bytes.
pub(super) const MAX_TEXT: usize = 1 << 18;

/// The settings that have a meaning here, by their names in the web UIs.
pub(super) const NAMED: [&str; 23] = [
    "Steps",
    "Sampler",
    "Schedule type",
    "CFG scale",
    "Seed",
    "Size",
    "Model hash",
    "Model",
    "VAE",
    "Variation seed",
    "Variation seed strength",
    "Denoising strength",
    "Clip skip",
    "Hires upscale",
    "Hires resize",
    "Hires steps",
    "Mask blur",
    "Lora hashes",
    "TI hashes",
    "Hashes",
    "Prompt",
    "Negative prompt",
    "Version",
];

/// In front of the version of the program that wrote a text.
pub(super) const OWN_VERSION: &str = "glassine ";

/// What stands in front of a negative prompt.
const NEGATIVE: &str = "Negative prompt:";

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub name: String,
    /// Without its quotes; empty for a name alone.
    pub value: String,
    /// Whether it had quotes.
    pub quoted: bool,
}

/// The parts of a text.
#[derive(Debug, Default)]
pub(super) struct Split {
    pub prompt: String,
    pub negative: String,
    pub settings: Vec<Setting>,
    /// Lines behind the settings, which some extensions write.
    pub notes: Vec<String>,
}

impl Split {
    /// Takes a text apart; one without settings is all prompt.
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        let parts = by_lines(text).or_else(|| in_one_line(text));
        let parts = parts.unwrap_or_else(|| Parts {
            head: text.into(),
            ..Parts::default()
        });
        let (prompt, negative) = prompts(&parts.head, parts.is_one_line);
        let mut split = Self {
            prompt,
            negative,
            settings: parts.settings,
            notes: parts.notes,
        };
        for (name, prompt) in [
            ("Prompt", &mut split.prompt),
            ("Negative prompt", &mut split.negative),
        ] {
            // What stands there counts, as in the web UIs.
            let said = split.settings.iter().rfind(|setting| setting.name == name);
            if let Some(said) = said {
                *prompt = said.value.clone();
            }
        }
        split
    }

    /// Whether this program's own settings are among them.
    pub fn is_own(&self) -> bool {
        is_own(&self.settings)
    }

    /// Whether there are settings that only a generated picture has.
    pub fn is_certain(&self) -> bool {
        self.is_own() || has_steps(&self.settings)
    }
}

/// Prompts, and what is behind them.
#[derive(Default)]
struct Parts {
    head: String,
    settings: Vec<Setting>,
    notes: Vec<String>,
    /// Whether the text has lost its line breaks.
    is_one_line: bool,
}

/// Settings that have a line, or several, of their own.
fn by_lines(text: &str) -> Option<Parts> {
    let lines: Vec<&str> = text.lines().collect();
    let mut first = (0..lines.len())
        .rev()
        .find(|index| are_settings(&settings(lines[*index])))?;
    let last = first;
    // A line that was broken ends with a comma. This program's own are not.
    let may_be_broken = !is_own(&settings(lines[last]));
    while may_be_broken
        && let Some(before) = first.checked_sub(1)
        && lines[before].trim_end().ends_with(',')
        && are_settings(&settings(lines[before]))
    {
        first = before;
    }
    let mut found = settings(&lines[first..=last].join(" "));
    let mut notes = Vec::new();
    for line in &lines[last + 1..] {
        let more = settings(line);
        match more.first().is_some_and(|first| is_named(&first.name)) {
            true => found.extend(more),
            false => notes.push(line.trim().to_string()),
        }
    }
    Some(Parts {
        head: lines[..first].join("\n"),
        settings: found,
        notes,
        is_one_line: false,
    })
}

/// Settings behind the prompts, in one line with them.
fn in_one_line(text: &str) -> Option<Parts> {
    /// How many places are looked at: a text of nothing else must not take forever.
    const MOST: usize = 8;
    let places = text.rmatch_indices("Steps:").map(|(place, _)| place);
    let mut places = places.take(MOST).filter(|place| {
        let before = text[..*place].chars().next_back();
        before.is_none_or(|character| character.is_whitespace() || character == ',')
    });
    let place = places.find(|place| {
        let rest = &text[*place..];
        // Within quotes it is a part of a setting.
        let quotes = rest.replace("\\\"", "").matches('"').count();
        quotes.is_multiple_of(2) && are_settings(&settings(rest))
    })?;
    let head = text[..place].trim_end().trim_end_matches(',');
    Some(Parts {
        head: head.trim_end().into(),
        settings: settings(&text[place..]),
        notes: Vec::new(),
        is_one_line: !head.contains('\n'),
    })
}

/// Prompt and negative prompt, of a text in lines or in one.
fn prompts(head: &str, is_one_line: bool) -> (String, String) {
    let mut at = 0;
    for line in head.split_inclusive('\n') {
        if line.trim_start().starts_with(NEGATIVE) {
            let negative = head[at..].trim_start();
            let negative = negative.strip_prefix(NEGATIVE).unwrap_or(negative);
            let negative = negative.strip_prefix(' ').unwrap_or(negative);
            let prompt = &head[..at];
            return (
                prompt.strip_suffix('\n').unwrap_or(prompt).into(),
                negative.into(),
            );
        }
        at += line.len();
    }
    match head.rfind(&format!(" {NEGATIVE}")) {
        Some(at) if is_one_line => (
            head[..at].trim_end().into(),
            head[at..].trim_start()[NEGATIVE.len()..]
                .trim_start()
                .into(),
        ),
        _ => (head.into(), String::new()),
    }
}

/// Whether a line can be one of settings, and not of a prompt that looks like some.
fn are_settings(settings: &[Setting]) -> bool {
    let Some(first) = settings.first() else {
        return false;
    };
    // The end of a prompt, in a text without line breaks.
    let is_end = [" Steps", " Negative prompt"];
    if is_end.iter().any(|end| first.name.ends_with(end)) || first.name == "Negative prompt" {
        return false;
    }
    let count = settings.iter().filter(|setting| !setting.value.is_empty());
    is_own(settings) || is_named(&first.name) && (count.count() >= 3 || has_steps(settings))
}

fn is_named(name: &str) -> bool {
    NAMED.contains(&name)
}

fn is_own(settings: &[Setting]) -> bool {
    let version = settings.last().filter(|last| last.name == "Version");
    version.is_some_and(|version| version.value.starts_with(OWN_VERSION))
}

fn has_steps(settings: &[Setting]) -> bool {
    let mut settings = settings.iter();
    let is_count = |setting: &Setting| setting.value.parse::<u32>().is_ok();
    settings.len() > 1 && settings.any(|setting| setting.name == "Steps" && is_count(setting))
}

/// The settings of a line: names and values, as far as it has any.
pub(super) fn settings(line: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let end = rest.find([':', ',']).unwrap_or(rest.len());
        let name = rest[..end].trim();
        let is_pair = rest[end..].starts_with(':');
        let after = rest.get(end + 1..).unwrap_or_default();
        let (value, quoted, behind) = match is_pair {
            true => value(after.trim_start()),
            false => (String::new(), false, after),
        };
        if !name.is_empty() || !value.is_empty() {
            settings.push(Setting {
                name: name.into(),
                value,
                quoted,
            });
        }
        rest = behind.trim_start();
    }
    settings
}

/// The value that `text` begins with, whether it had quotes, and what is behind the comma that ends it.
fn value(text: &str) -> (String, bool, &str) {
    if let Some(end) = quoted_end(text)
        && let Some(behind) = behind(&text[end..])
    {
        let inner = serde_json::from_str(&text[..end]);
        let inner = inner.unwrap_or_else(|_| text[1..end - 1].to_string());
        return (inner, true, behind);
    }
    // Some write JSON as it is.
    if text.starts_with(['{', '['])
        && let Some(json) = json_at(text)
        && let Some(behind) = behind(&text[json.len()..])
    {
        return (json.into(), false, behind);
    }
    let (value, behind) = text.split_once(',').unwrap_or((text, ""));
    (value.trim().into(), false, behind)
}

/// What is behind a value that ends here.
fn behind(rest: &str) -> Option<&str> {
    let rest = rest.trim_start();
    match rest.is_empty() {
        true => Some(""),
        false => rest.strip_prefix(','),
    }
}

/// The length of the text in quotes that `text` begins with.
fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if index == 0 => {}
            _ if index == 0 => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(index + 1),
            _ => {}
        }
    }
    None
}

/// The JSON that `text` begins with.
fn json_at(text: &str) -> Option<&str> {
    let mut values = Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    values.next()?.ok()?;
    text.get(..values.byte_offset())
}

/// The field of a recipe that glassine writes under this name: `controlScale` of `Control scale`.
pub(super) fn field_of(name: &str) -> Option<String> {
    let mut field = String::new();
    let mut words = name.split(' ');
    let first = words.next()?;
    let mut letters = first.chars();
    field.extend(letters.next()?.to_lowercase());
    field.extend(letters);
    for word in words {
        let mut letters = word.chars();
        field.push(
            letters
                .next()
                .filter(char::is_ascii_lowercase)?
                .to_ascii_uppercase(),
        );
        field.extend(letters);
    }
    let is_plain = |character: char| character.is_alphanumeric() || "-_/".contains(character);
    field.chars().all(is_plain).then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(line: &str) -> Vec<(String, String)> {
        let settings = settings(line).into_iter();
        settings.map(|one| (one.name, one.value)).collect()
    }

    #[test]
    fn settings_are_names_and_values() {
        let line = r#"Steps: 20, Note: "a, \"b\": c\n", Tiled, Empty: , Broken: "a" b, Open: "x, y: 1, Hashes: {"model": "a, b", "list": [1, 2]}, Tail: {1, end: [2"#;
        let expected = [
            ("Steps", "20"),
            ("Note", "a, \"b\": c\n"),
            ("Tiled", ""),
            ("Empty", ""),
            ("Broken", "\"a\" b"),
            ("Open", "\"x"),
            ("y", "1"),
            ("Hashes", r#"{"model": "a, b", "list": [1, 2]}"#),
            ("Tail", "{1"),
            ("end", "[2"),
        ];
        let expected = expected.map(|(name, value)| (name.to_string(), value.to_string()));
        assert_eq!(pairs(line), expected);
        assert_eq!(pairs(" , ,:"), []);
    }

    #[test]
    fn fields_are_named_both_ways() {
        for (name, field) in [
            ("Control scale", Some("controlScale")),
            ("Mode", Some("mode")),
            ("Own u r l", Some("ownURL")),
            ("", None),
            ("A  b", None),
            ("Has (brackets", None),
            ("Two Words", None),
        ] {
            assert_eq!(field_of(name).as_deref(), field, "{name}");
        }
    }

    #[test]
    fn the_last_line_of_settings_counts() {
        let split = Split::of(
            "a robot,\nSteps: 3, Sampler: none, Seed: 1\nbehind it\nNegative prompt: x\nSteps: 20, Sampler: Euler a",
        );
        assert_eq!(
            split.prompt,
            "a robot,\nSteps: 3, Sampler: none, Seed: 1\nbehind it"
        );
        assert_eq!(split.negative, "x");
        assert_eq!(split.settings.len(), 2);
        // Broken, with a note behind it.
        let split = Split::of(
            "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7,\nSeed: 5, Size: 64x64, Model: x\nTemplate: a {cat|dog}",
        );
        assert_eq!(split.prompt, "a cat");
        assert_eq!(split.settings.len(), 6);
        assert_eq!(split.notes, ["Template: a {cat|dog}"]);
        // No settings at all.
        let split = Split::of("masterpiece, style: oil, mood: dark, light: soft");
        assert_eq!(split.settings, []);
        assert!(!split.is_certain());
    }

    #[test]
    fn a_text_without_line_breaks_is_taken_apart() {
        let split = Split::of(
            "say \"Steps: 3, up\", Negative prompt: none on a sign Negative prompt: bad, worse Steps: 20, Sampler: Euler, Note: \"Steps: 4, Seed: 1, Size: 2x2\", Seed: 5",
        );
        assert_eq!(
            split.prompt,
            "say \"Steps: 3, up\", Negative prompt: none on a sign"
        );
        assert_eq!(split.negative, "bad, worse");
        assert_eq!(split.settings[2].value, "Steps: 4, Seed: 1, Size: 2x2");
        assert_eq!(split.settings.len(), 4);
        let split = Split::of("a cat, Steps: 20, Sampler: Euler");
        assert_eq!((&*split.prompt, &*split.negative), ("a cat", ""));
    }

    #[test]
    fn long_texts_take_no_time() {
        for piece in [
            "Steps: 1, ",
            "a: \"\\\", ",
            "b: [",
            "<lora:",
            "\n",
            "Negative prompt:",
            "x: {\"a\": [",
        ] {
            let text = piece.repeat(MAX_TEXT / piece.len());
            let _ = Split::of(&text);
        }
    }
}
