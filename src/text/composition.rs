//! `AND` between the parts of a prompt, whose predictions are added ("composable diffusion"), each
//! with the weight that may end it: `a house AND a hill :0.6`.

use super::words::find_word;

/// The word that divides a prompt.
const AND: &str = "AND";

/// A part of a prompt between two `AND`.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptPart {
    /// The text without the weight.
    pub text: String,
    /// How much of the part's direction is added, 1 where nothing is said.
    pub weight: f64,
}

impl PromptPart {
    /// The parts of a prompt, in order. As in the web UIs, a prompt without `AND` may end in a
    /// weight, too.
    pub fn split(prompt: &str) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut rest = prompt;
        while let Some(position) = find_word(rest, AND) {
            parts.push(Self::new(&rest[..position]));
            rest = &rest[position + AND.len()..];
        }
        parts.push(Self::new(rest));
        parts
    }

    fn new(part: &str) -> Self {
        let part = part.trim_end();
        let weighted = part.rsplit_once(':').and_then(|(text, number)| {
            let weight = number.trim_start();
            let digits = weight.strip_prefix(['+', '-']).unwrap_or(weight);
            let plain = |character: char| character.is_ascii_digit() || character == '.';
            let weight = weight.parse().ok().filter(|_| digits.chars().all(plain))?;
            Some((text.trim_end(), weight))
        });
        let (text, weight) = weighted.unwrap_or((part, 1.0));
        Self {
            text: text.into(),
            weight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PromptPart;

    fn check(prompt: &str, expected: &[(&str, f64)]) {
        let parts = PromptPart::split(prompt);
        let parts: Vec<_> = parts
            .iter()
            .map(|part| (part.text.as_str(), part.weight))
            .collect();
        assert_eq!(parts, expected, "{prompt}");
    }

    #[test]
    fn and_divides_and_a_number_weighs() {
        check(
            "a red house AND green hill :0.6 AND (sunny day:1.2) :-0.2",
            &[
                ("a red house", 1.0),
                (" green hill", 0.6),
                (" (sunny day:1.2)", -0.2),
            ],
        );
        check("a AND b:+.5 ", &[("a", 1.0), (" b", 0.5)]);
        check("a : 2. \n", &[("a", 2.0)]);
        check("AND", &[("", 1.0), ("", 1.0)]);
    }

    #[test]
    fn only_the_word_divides_and_only_a_number_weighs() {
        for prompt in [
            "a and b",
            "SAND",
            "AND_",
            "a (b:1.2)",
            "a:b",
            "a:",
            "a:1e3",
            "a:inf",
        ] {
            check(prompt, &[(prompt, 1.0)]);
        }
        check("a:1.2.3", &[("a:1.2.3", 1.0)]);
        check("a,AND,b", &[("a,", 1.0), (",b", 1.0)]);
    }
}
