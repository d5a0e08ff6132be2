//! What a LoRA's file says of its training: the words that call for what it was taught, and its base model.

use std::collections::BTreeMap;

use serde_json::Value;

/// The most words that are given.
const MAX_WORDS: usize = 12;

/// The longest word, in letters: longer ones are captions.
const MAX_LETTERS: usize = 100;

/// Where trainers note the base model, the most telling first.
const BASE_MODELS: [&str; 3] = [
    "ss_sd_model_name",
    "modelspec.architecture",
    "ss_base_model_version",
];

/// The words that call for what the LoRA was taught, the most telling first: its trigger phrase, else the
/// tags that at least half as many of the training's captions have as the most frequent one.
pub fn trigger_words(metadata: &BTreeMap<String, String>) -> Vec<String> {
    let phrase = metadata.get("modelspec.trigger_phrase");
    let mut words = phrase.map_or_else(Vec::new, |phrase| {
        phrase.split(',').map(str::to_string).collect()
    });
    if words.iter().all(|word| word.trim().is_empty()) {
        words = frequent_tags(metadata.get("ss_tag_frequency"));
    }
    let mut found: Vec<String> = Vec::new();
    for word in words.iter().map(|word| word.trim()) {
        if !word.is_empty()
            && word.chars().count() <= MAX_LETTERS
            && !found.iter().any(|had| had == word)
        {
            found.push(word.into());
        }
    }
    found.truncate(MAX_WORDS);
    found
}

/// What the LoRA was trained on, in the words of its trainer.
pub fn base_model(metadata: &BTreeMap<String, String>) -> Option<String> {
    let mut said = BASE_MODELS.iter().filter_map(|field| metadata.get(*field));
    let said = said.find(|said| !["", "None"].contains(&said.trim()))?;
    let name = said.rsplit(['/', '\\']).next().unwrap_or_default();
    // An architecture has a slash of its own: "stable-diffusion-v1/lora".
    let name = match name {
        "lora" => said,
        name => name,
    };
    Some(name.trim().into())
}

/// The tags of kohya's `ss_tag_frequency`, which counts them for each folder of the training.
fn frequent_tags(json: Option<&String>) -> Vec<String> {
    let folders: BTreeMap<String, Value> = json
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    for (tag, count) in folders.values().filter_map(Value::as_object).flatten() {
        *counts.entry(tag.trim()).or_default() += count.as_f64().unwrap_or(0.0);
    }
    let most = counts.values().copied().fold(0.0, f64::max);
    let mut tags: Vec<_> = counts
        .into_iter()
        .filter(|(_, count)| *count > 0.0 && *count * 2.0 >= most)
        .collect();
    // Those that are as frequent keep the order of their letters.
    tags.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    tags.into_iter().map(|(tag, _)| tag.into()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{base_model, trigger_words};

    fn metadata<const N: usize>(fields: [(&str, &str); N]) -> BTreeMap<String, String> {
        let fields = fields.into_iter();
        fields
            .map(|(name, text)| (name.into(), text.into()))
            .collect()
    }

    #[test]
    fn a_trigger_phrase_counts_before_the_captions() {
        let captions = r#"{"10_ink": {"ink style": 20, "1girl": 12, "hat": 3}, "2_more": {"ink style ": 4, "tree": 13}}"#;
        let both = metadata([
            ("modelspec.trigger_phrase", "inkst, inkst, , ink style"),
            ("ss_tag_frequency", captions),
        ]);
        assert_eq!(trigger_words(&both), ["inkst", "ink style"]);
        let counted = metadata([
            ("modelspec.trigger_phrase", " "),
            ("ss_tag_frequency", captions),
        ]);
        assert_eq!(trigger_words(&counted), ["ink style", "tree", "1girl"]);
    }

    #[test]
    fn what_is_not_as_trainers_write_it_says_nothing() {
        for captions in ["", "[]", "no", r#"{"a": 3, "b": {"c": "d"}, "e": {"": 5}}"#] {
            let said = metadata([("ss_tag_frequency", captions)]);
            assert_eq!(trigger_words(&said), Vec::<String>::new(), "{captions}");
        }
        let long = "a".repeat(101);
        assert!(trigger_words(&metadata([("modelspec.trigger_phrase", &long)])).is_empty());
    }

    #[test]
    fn the_base_model_is_named_as_the_trainer_does() {
        let own = [
            ("ss_sd_model_name", "/models/v1-5.ckpt"),
            ("ss_base_model_version", "sd_v1"),
        ];
        assert_eq!(base_model(&metadata(own)).as_deref(), Some("v1-5.ckpt"));
        let own = [
            ("ss_sd_model_name", "None"),
            ("modelspec.architecture", "stable-diffusion-v1/lora"),
        ];
        assert_eq!(
            base_model(&metadata(own)).as_deref(),
            Some("stable-diffusion-v1/lora")
        );
        assert_eq!(base_model(&metadata([])), None);
    }
}
