//! Where words begin and end.

/// Whether a character is part of a word: a letter, a digit or a low line.
pub(super) fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether a word may begin or end between what ends in `left` and what begins with `right`: not
/// both are of one word.
pub(super) fn is_boundary(left: &str, right: &str) -> bool {
    let last = left.chars().next_back().is_some_and(is_word_character);
    let first = right.chars().next().is_some_and(is_word_character);
    !(last && first)
}

/// Where `word` stands in `text` as a whole word, the first time.
pub(super) fn find_word(text: &str, word: &str) -> Option<usize> {
    text.match_indices(word)
        .map(|(position, _)| position)
        .find(|position| {
            let (before, rest) = text.split_at(*position);
            let after = &rest[word.len()..];
            is_boundary(before, word) && is_boundary(word, after)
        })
}
