use std::collections::BTreeSet;

/// The most different words that a model is said not to know.
const MOST: usize = 5;

/// The words of `prompt` that are in none of `phrases`, in order and in lower case, the first few; `names`
/// are known, too. Without phrases nothing is known of what a model knows.
pub fn unknown_words<'a>(
    prompt: &str,
    phrases: &'a [String],
    names: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    if phrases.is_empty() {
        return Vec::new();
    }
    let phrases = phrases.iter().map(String::as_str);
    let known: BTreeSet<String> = phrases.chain(names).flat_map(words).collect();
    let mut unknown = Vec::new();
    for word in words(prompt) {
        if unknown.len() < MOST && !known.contains(&word) && !unknown.contains(&word) {
            unknown.push(word);
        }
    }
    unknown
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let words = text.split(|letter: char| !letter.is_alphabetic());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_phrase_has_is_unknown() {
        let phrases = ["a red apple", "on a table"].map(String::from);
        let unknown = |prompt: &str| unknown_words(prompt, &phrases, ["style"].into_iter());
        assert!(unknown("(Red apple:1.2), on [a] table").is_empty());
        assert_eq!(
            unknown("a Dragonfly on a lotus, dragonfly"),
            ["dragonfly", "lotus"]
        );
        assert!(unknown("an apple in style").contains(&"in".into()));
        assert!(!unknown("an apple in style").contains(&"style".into()));
        assert_eq!(unknown("b c d e f g").len(), MOST);
        assert!(unknown_words("anything", &[], ["style"].into_iter()).is_empty());
    }
}
