//! How a prompt says which of its words count more or less, as the web UIs write it:
//! `(word:1.2)` counts 1.2 times, `(word)` 1.1 times and `[word]` 1/1.1 times. Brackets within
//! brackets multiply, and a backslash makes a bracket text. `BREAK` ends a chunk.

use super::words::find_word;

/// The factor of a bracket without a number; square brackets divide by it.
const BRACKET_FACTOR: f64 = 1.1;

/// The largest weight, and below 0 the smallest. What many brackets multiply to would be infinite.
const MAX_WEIGHT: f64 = 1e4;

/// The word after which text begins in a chunk of its own.
const BREAK: &str = "BREAK";

/// A part of a prompt and how much it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedText {
    /// The text, without brackets and weights.
    pub text: String,
    /// The factor on its features, 1 outside brackets; from -10,000 to 10,000.
    pub weight: f64,
}

impl WeightedText {
    /// Takes a prompt apart: the pieces between the words `BREAK`, and the parts of each.
    /// Neighbours have different weights.
    ///
    /// Every prompt has a reading: a bracket without its partner, such as that of `:)`, is text,
    /// and a backslash before anything but a bracket or a backslash is left out.
    ///
    /// ```
    /// # use glassine::internals::text::WeightedText;
    /// let pieces = WeightedText::parse("a (red:1.3) apple :) BREAK hill");
    /// let parts: Vec<_> = pieces[0].iter().map(|part| (part.text.as_str(), part.weight)).collect();
    /// assert_eq!(parts, [("a ", 1.0), ("red", 1.3), (" apple :)", 1.0)]);
    /// assert_eq!(pieces[1][0].text, "hill");
    /// ```
    pub fn parse(prompt: &str) -> Vec<Vec<Self>> {
        let mut reader = Reader::default();
        let mut characters = prompt.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' => {
                    let escaped = characters.next_if(|next| "()[]\\".contains(*next));
                    escaped.into_iter().for_each(|escaped| reader.text(escaped));
                }
                '(' | '[' => reader.open(character),
                ')' => reader.close('(', character),
                ']' => reader.close('[', character),
                character => reader.text(character),
            }
        }
        reader.finish()
    }
}

/// A prompt that is being read.
#[derive(Default)]
struct Reader {
    /// What was read; every opening bracket has a part of its own, which is text until its partner
    /// comes.
    parts: Vec<WeightedText>,
    /// The opening brackets that wait for their partners: each bracket and its part.
    open: Vec<(char, usize)>,
    /// Whether more text belongs to the last part.
    goes_on: bool,
}

impl Reader {
    fn text(&mut self, character: char) {
        match self.parts.last_mut() {
            Some(last) if self.goes_on => last.text.push(character),
            _ => self.parts.push(WeightedText {
                text: character.into(),
                weight: 1.0,
            }),
        }
        self.goes_on = true;
    }

    fn open(&mut self, bracket: char) {
        self.goes_on = false;
        self.open.push((bracket, self.parts.len()));
        self.text(bracket);
        self.goes_on = false;
    }

    /// `opening` is the partner of `bracket`. Brackets in between go on waiting for theirs.
    fn close(&mut self, opening: char, bracket: char) {
        let partner = self
            .open
            .iter()
            .rposition(|(waiting, _)| *waiting == opening);
        let Some(partner) = partner else {
            return self.text(bracket);
        };
        let (_, first) = self.open.remove(partner);
        let factor = match opening {
            '(' => self.take_number(first).unwrap_or(BRACKET_FACTOR),
            _ => 1.0 / BRACKET_FACTOR,
        };
        self.parts[first].text.clear();
        for part in &mut self.parts[first..] {
            part.weight *= factor;
        }
        self.goes_on = false;
    }

    /// Removes the `:number` that the text after the bracket of part `first` ends with.
    fn take_number(&mut self, first: usize) -> Option<f64> {
        let (last, earlier) = self.parts.split_last_mut()?;
        let (before, number) = last.text.rsplit_once(':')?;
        // `parse` alone would also read `inf` and `1e3`.
        let plain = |character: char| character.is_ascii_digit() || "+-.".contains(character);
        let number = number.trim();
        let weight: f64 = number.parse().ok().filter(|_| number.chars().all(plain))?;
        if earlier.len() <= first || !weight.is_finite() {
            return None;
        }
        last.text.truncate(before.len());
        Some(weight)
    }

    fn finish(self) -> Vec<Vec<WeightedText>> {
        let mut pieces: Vec<Vec<WeightedText>> = vec![Vec::new()];
        for mut part in self.parts {
            part.weight = part.weight.clamp(-MAX_WEIGHT, MAX_WEIGHT);
            while let Some(position) = find_word(&part.text, BREAK) {
                let after = part.text[position + BREAK.len()..].trim_start().to_string();
                part.text.truncate(position);
                part.text.truncate(part.text.trim_end().len());
                append(&mut pieces, part.clone());
                pieces.push(Vec::new());
                part.text = after;
            }
            append(&mut pieces, part);
        }
        pieces
    }
}

/// Adds a part to the last of `pieces`.
fn append(pieces: &mut [Vec<WeightedText>], part: WeightedText) {
    let Some(piece) = pieces.last_mut().filter(|_| !part.text.is_empty()) else {
        return;
    };
    match piece.last_mut() {
        Some(last) if last.weight == part.weight => last.text += &part.text,
        _ => piece.push(part),
    }
}

#[cfg(test)]
mod tests {
    use super::WeightedText;

    /// Fails unless `prompt` has these parts, up to rounding of the weights.
    fn check(prompt: &str, expected: &[(&str, f64)]) {
        let pieces = WeightedText::parse(prompt);
        assert_eq!(pieces.len(), 1, "{prompt}");
        let parts = &pieces[0];
        let texts: Vec<_> = parts.iter().map(|part| part.text.as_str()).collect();
        let expected_texts: Vec<_> = expected.iter().map(|(text, _)| *text).collect();
        assert_eq!(texts, expected_texts, "{prompt}");
        for (part, (text, weight)) in parts.iter().zip(expected) {
            let difference = (part.weight - weight).abs();
            assert!(difference < 1e-6, "{prompt}: {text:?} has {}", part.weight);
        }
    }

    #[test]
    fn round_brackets_take_a_number_or_1_1() {
        check(
            "a (red) apple",
            &[("a ", 1.0), ("red", 1.1), (" apple", 1.0)],
        );
        check("(red:1.5) apple", &[("red", 1.5), (" apple", 1.0)]);
        check("(red: .5 )", &[("red", 0.5)]);
        check("(red:-1)", &[("red", -1.0)]);
        check("(10:30:2)", &[("10:30", 2.0)]);
    }

    #[test]
    fn square_brackets_divide() {
        check(
            "a [red] apple",
            &[("a ", 1.0), ("red", 1.0 / 1.1), (" apple", 1.0)],
        );
        check("[red:2]", &[("red:2", 1.0 / 1.1)]);
    }

    #[test]
    fn brackets_within_brackets_multiply() {
        check("((red))", &[("red", 1.21)]);
        check("((red) apple:2)", &[("red", 2.2), (" apple", 2.0)]);
        check(
            "(a (red:1.5):2) b",
            &[("a ", 2.0), ("red", 3.0), (" b", 1.0)],
        );
        check("[(red)] apple", &[("red apple", 1.0)]);
        check("(a [b) c]", &[("a ", 1.1), ("b", 1.0), (" c", 1.0 / 1.1)]);
    }

    #[test]
    fn escaped_brackets_are_text() {
        check(r"\(red\)", &[("(red)", 1.0)]);
        check(r"(\(red\):1.5)", &[("(red)", 1.5)]);
        check(r"\[a\] \\", &[(r"[a] \", 1.0)]);
        check(r"\a \:\", &[("a :", 1.0)]);
    }

    #[test]
    fn brackets_without_partners_are_text() {
        for prompt in [
            "",
            "an apple",
            "smile :)",
            ":( :[",
            "a] (b",
            "((",
            "1) one 2) two",
        ] {
            let whole = [(prompt, 1.0)];
            check(prompt, if prompt.is_empty() { &[] } else { &whole });
        }
        check("((red) apple", &[("(", 1.0), ("red", 1.1), (" apple", 1.0)]);
        check("(a [b) c", &[("a [b", 1.1), (" c", 1.0)]);
    }

    #[test]
    fn what_is_no_number_stays_text() {
        for inner in ["a:b", "a:", "a:1e3", "a:inf", "a:1.2.3", "a:+", "a:--1"] {
            check(&format!("({inner})"), &[(inner, 1.1)]);
        }
        let infinite = format!("a:{}", "9".repeat(400));
        check(&format!("({infinite})"), &[(&infinite, 1.1)]);
        check("(:1.5)", &[]);
        check("a:1.5)", &[("a:1.5)", 1.0)]);
    }

    #[test]
    fn weights_have_a_limit() {
        let deep = format!("{}red{}", "(".repeat(1000), ")".repeat(1000));
        check(&deep, &[("red", 1e4)]);
        check("(red:-99999999)", &[("red", -1e4)]);
        let light = format!("{}red{}", "[".repeat(1000), "]".repeat(1000));
        check(&light, &[("red", 0.0)]);
    }

    #[test]
    fn break_divides_wherever_it_is_a_word() {
        let pieces = |prompt: &str| -> Vec<String> {
            let pieces = WeightedText::parse(prompt);
            let text =
                |parts: &Vec<WeightedText>| parts.iter().map(|part| part.text.as_str()).collect();
            pieces.iter().map(text).collect()
        };
        assert_eq!(pieces("one BREAK two"), ["one", "two"]);
        assert_eq!(pieces("BREAK (a BREAK b:1.2),BREAK"), ["", "a", "b,", ""]);
        assert_eq!(pieces("a BREAK\nBREAK b"), ["a", "", "b"]);
        assert_eq!(pieces("break BREAKS DAYBREAK"), ["break BREAKS DAYBREAK"]);
    }
}
