//! Prompts that change while sampling, as the web UIs write it: `[before:after:when]`,
//! `[added:when]`, `[removed::when]` and `[one|another]`, which takes turns.
//!
//! `when` is a share of the steps if it is below 1, else a step. Brackets may stand in brackets. What
//! is written otherwise, such as `[less]` or a bracket without its partner, stays as it is for
//! [`WeightedText`](super::WeightedText) to read; so does a backslash with what it protects.

use std::collections::HashSet;

use crate::{Error, ErrorCode, Result};

/// How deep brackets may stand in brackets.
const MAX_DEPTH: usize = 100;

/// A prompt, and what it is at each step.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptSchedule(Vec<Node>);

/// A piece of a prompt.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Text(String),
    /// One until a step, then the other.
    Change {
        before: Vec<Node>,
        after: Vec<Node>,
        when: f64,
    },
    /// Each for a step, in turn.
    Turns(Vec<Vec<Node>>),
}

impl PromptSchedule {
    /// Takes a prompt apart.
    ///
    /// # Errors
    /// `bad_option` if brackets are nested more than 100 deep.
    ///
    /// ```
    /// # use glassine::internals::text::PromptSchedule;
    /// let prompt = PromptSchedule::parse("a [red:blue:0.5] house").unwrap();
    /// assert_eq!(prompt.at(2, 4), "a red house");
    /// assert_eq!(prompt.at(3, 4), "a blue house");
    /// ```
    pub fn parse(prompt: &str) -> Result<Self> {
        let mut parser = Parser {
            prompt,
            position: 0,
            depth: 0,
            too_deep: false,
            text_brackets: HashSet::new(),
        };
        let nodes = parser.outside();
        if parser.too_deep {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!("the prompt has brackets in more than {MAX_DEPTH} others"),
                "write a weight as a number, such as (word:1.5)",
            ));
        }
        Ok(Self(nodes))
    }

    /// The text at `step`, counted from 0, of so many `steps`. Prompts count steps from 1, and the
    /// web UIs take the first two for step 1: what holds until step 2 is there at 0, 1 and 2.
    pub fn at(&self, step: usize, steps: usize) -> String {
        let mut text = String::new();
        write(&self.0, step.max(1), steps, &mut text);
        text
    }
}

/// Appends what `nodes` are at `step`, counted from 1.
fn write(nodes: &[Node], step: usize, steps: usize, text: &mut String) {
    for node in nodes {
        match node {
            Node::Text(part) => *text += part,
            Node::Change {
                before,
                after,
                when,
            } => {
                let share = *when < 1.0;
                let last = if share { when * steps as f64 } else { *when };
                let now = if step as f64 <= last.trunc() {
                    before
                } else {
                    after
                };
                write(now, step, steps, text);
            }
            Node::Turns(turns) => write(&turns[(step - 1) % turns.len()], step, steps, text),
        }
    }
}

struct Parser<'a> {
    prompt: &'a str,
    position: usize,
    /// Brackets around what is being read.
    depth: usize,
    too_deep: bool,
    /// Where brackets are that were found to be text, so that none is tried twice.
    text_brackets: HashSet<usize>,
}

impl Parser<'_> {
    /// The whole prompt. Brackets that do not go together, colons and bars are text.
    fn outside(&mut self) -> Vec<Node> {
        let mut nodes = Vec::new();
        while let Some(character) = self.peek() {
            match (character == '[').then(|| self.square()).flatten() {
                Some(bracket) => nodes.extend(bracket),
                None => self.take_plain(character, &mut nodes),
            }
        }
        nodes
    }

    /// What is in a bracket, up to what can end it or divide it. `None` if brackets in it do not
    /// go together.
    fn inside(&mut self) -> Option<Vec<Node>> {
        let mut nodes = Vec::new();
        while let Some(character) = self.peek() {
            match character {
                '[' => nodes.extend(self.square()?),
                '(' => nodes.extend(self.round()?),
                ']' | ')' | ':' | '|' => return Some(nodes),
                character => self.take_plain(character, &mut nodes),
            }
        }
        None
    }

    /// `[...]`; where it is none, nothing is read.
    fn square(&mut self) -> Option<Vec<Node>> {
        self.bracket(|parser| {
            let first = parser.inside()?;
            match parser.next()? {
                ']' => Some(enclosed('[', first, ']')),
                ':' => parser.change(first),
                '|' => {
                    let mut turns = vec![first];
                    loop {
                        turns.push(parser.inside()?);
                        match parser.next()? {
                            ']' => return Some(vec![Node::Turns(turns)]),
                            '|' => {}
                            _ => return None,
                        }
                    }
                }
                _ => None,
            }
        })
    }

    /// What follows the first colon of `[...:`.
    fn change(&mut self, first: Vec<Node>) -> Option<Vec<Node>> {
        let (before, after, when) = match self.take_number() {
            Some(when) => (Vec::new(), first, when),
            None => {
                let second = self.inside()?;
                self.take(':')?;
                (first, second, self.take_number()?)
            }
        };
        Some(vec![Node::Change {
            before,
            after,
            when,
        }])
    }

    /// `(...)` or `(...:...)` within another bracket, which stays as it is.
    fn round(&mut self) -> Option<Vec<Node>> {
        self.bracket(|parser| {
            let mut nodes = parser.inside()?;
            if parser.take(':').is_some() {
                nodes.push(Node::Text(":".into()));
                nodes.extend(parser.inside()?);
            }
            parser.take(')')?;
            Some(enclosed('(', nodes, ')'))
        })
    }

    /// Reads an opening bracket and what `content` makes of what follows it.
    fn bracket(
        &mut self,
        content: impl FnOnce(&mut Self) -> Option<Vec<Node>>,
    ) -> Option<Vec<Node>> {
        let start = self.position;
        if self.text_brackets.contains(&start) {
            return None;
        }
        if self.depth == MAX_DEPTH {
            self.too_deep = true;
            return None;
        }
        self.depth += 1;
        self.position += 1;
        let nodes = content(self);
        self.depth -= 1;
        if nodes.is_none() {
            self.position = start;
            self.text_brackets.insert(start);
        }
        nodes
    }

    /// A number, the spaces around it and the bracket that ends.
    fn take_number(&mut self) -> Option<f64> {
        let rest = &self.prompt[self.position..];
        let (number, _) = rest.split_once(']')?;
        // `parse` alone would also read `inf` and `nan`.
        let numeric = |character: char| character.is_ascii_digit() || "+-.eE".contains(character);
        let when = number.trim();
        let value = when.parse().ok().filter(|_| when.chars().all(numeric))?;
        self.position += number.len() + 1;
        Some(value)
    }

    fn take_plain(&mut self, character: char, nodes: &mut Vec<Node>) {
        let start = self.position;
        self.position += character.len_utf8();
        if character == '\\' {
            self.next();
        }
        let text = &self.prompt[start..self.position];
        match nodes.last_mut() {
            Some(Node::Text(last)) => *last += text,
            _ => nodes.push(Node::Text(text.into())),
        }
    }

    fn peek(&self) -> Option<char> {
        self.prompt[self.position..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.position += character.len_utf8();
        Some(character)
    }

    fn take(&mut self, expected: char) -> Option<()> {
        (self.peek()? == expected).then(|| self.position += expected.len_utf8())
    }
}

fn enclosed(opening: char, inner: Vec<Node>, closing: char) -> Vec<Node> {
    let mut nodes = vec![Node::Text(opening.into())];
    nodes.extend(inner);
    nodes.push(Node::Text(closing.into()));
    nodes
}

#[cfg(test)]
mod tests {
    use super::PromptSchedule;

    /// Fails unless `prompt` is `expected` at every one of its steps, counted from 1.
    fn check(prompt: &str, expected: &[&str]) {
        let schedule = PromptSchedule::parse(prompt).unwrap();
        let steps = expected.len();
        let texts: Vec<_> = (1..=steps).map(|step| schedule.at(step, steps)).collect();
        assert_eq!(texts, expected, "{prompt}");
        assert_eq!(schedule.at(0, steps), expected[0], "{prompt}");
    }

    #[test]
    fn when_is_a_share_below_1_else_a_step() {
        check("[a:b:0.5]", &["a", "a", "b", "b"]);
        check("[a:b:0.6]", &["a", "b", "b"]);
        check("[a:b:1.0] c", &["a c", "b c", "b c"]);
        check("[a:b:\t2 ]", &["a", "a", "b"]);
        check("[a:b:+2.]", &["a", "a", "b"]);
        check("[a:b:1e1]", &["a", "a", "a"]);
        check("[a:b:-0.5]", &["b", "b"]);
        check("[a:b:0]", &["b", "b"]);
    }

    #[test]
    fn either_side_may_be_empty() {
        check("[a:1]", &["", "a"]);
        check("[a::1]", &["a", ""]);
        check("[::1]", &["", ""]);
        check("[a|]", &["a", "", "a"]);
        check("[|a||b]", &["", "a", "", "b", ""]);
        check("[a:3:1]", &["a", "3"]);
    }

    #[test]
    fn brackets_stand_in_brackets() {
        check("[[a:b:1]:c:2]", &["a", "b", "c"]);
        check("[(a:1.2) b|c]", &["(a:1.2) b", "c"]);
        check("a] [b:c:1]", &["a] b", "a] c"]);
        check("(a [b:c:1]", &["(a b", "(a c"]);
        check(r"[a\:b:c\]:1]", &[r"a\:b", r"c\]"]);
    }

    #[test]
    fn what_is_written_otherwise_is_text() {
        for text in [
            "a | b: c",
            "[less]",
            "[a|b:0.5]",
            "[a:b:c:2]",
            "[x (3:4:1.1):5]",
            "[(a [b) c]:3]",
            "[a:b:inf]",
            "[a:b:nan]",
            "[a:b:]",
            "[a:b:3",
            r"\[a:b:3\]",
            r"a \",
        ] {
            check(text, &[text, text]);
        }
    }

    #[test]
    fn depth_has_a_limit_and_unclosed_brackets_take_no_time() {
        let deep = |depth: usize| format!("{}a{}", "[".repeat(depth), "]".repeat(depth));
        assert!(PromptSchedule::parse(&deep(100)).is_ok());
        let error = PromptSchedule::parse(&deep(1000)).unwrap_err();
        assert!(error.message.contains("100"), "{error}");
        let open = "[a".repeat(90);
        check(&open, &[&open]);
    }
}
