//! What was read, as it comes together.

use serde_json::{Number, Value};

use super::Recipe;

/// What a picture says of how it was made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReadRecipe {
    /// What is understood of it.
    pub recipe: Recipe,
    /// What is not, as the file has it: names and values, in the file's order.
    pub others: Vec<(String, String)>,
    /// What is missing or differs, in words for people.
    pub warnings: Vec<String>,
}

impl ReadRecipe {
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.recipe.insert(name.into(), value.into());
    }

    pub(super) fn keep(&mut self, name: &str, value: &str) {
        self.others.push((name.into(), value.into()));
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.recipe.is_empty() && self.others.is_empty() && self.warnings.is_empty()
    }
}

/// A number as it is written, whole ones without a fraction.
pub(super) fn number(text: &str) -> Option<Number> {
    let text = text.trim();
    if let Ok(whole) = text.parse::<u64>() {
        return Some(whole.into());
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    // Words such as `inf` are no numbers of JSON.
    let is_digit = |character: char| character.is_ascii_digit() || "+-.eE".contains(character);
    let finite = text.parse().ok().filter(|_| text.chars().all(is_digit));
    Number::from_f64(finite?)
}

/// The beginning of a text, for a message.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
