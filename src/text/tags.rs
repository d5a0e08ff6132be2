//! `<lora:name:0.8>`: what the web UIs let a prompt say of files beside the model.

/// A tag of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// What it names: `lora`, ...
    pub kind: String,
    /// What follows the first colon.
    pub argument: String,
}

impl Tag {
    /// What the tag names, without strengths.
    pub fn name(&self) -> &str {
        let name = self.argument.split(':').next();
        name.unwrap_or_default().trim()
    }

    /// Whether it names a LoRA.
    pub fn is_lora(&self) -> bool {
        matches!(self.kind.as_str(), "lora" | "lyco")
    }

    /// How strongly a LoRA is to change the UNet, 1 if that is not said, and the text encoder, if that has a
    /// strength of its own: `name:0.8`, `name:0.8:0.5` or `name:unet=0.8:te=0.5`.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn strengths(&self) -> Result<(f32, Option<f32>), String> {
        let (mut unet, mut text_encoder) = (1.0, None);
        for (index, said) in self.argument.split(':').skip(1).enumerate() {
            let (part, number) = match (said.split_once('='), index) {
                (Some((part, number)), _) => (part.trim(), number),
                (None, 0) => ("unet", said),
                (None, 1) => ("te", said),
                (None, _) => return Err(format!("{said:?} is one number too many")),
            };
            let number = number.trim().parse();
            let number = number.map_err(|_| format!("{said:?} is not a strength"))?;
            match part {
                "unet" => unet = number,
                "te" => text_encoder = Some(number),
                _ => return Err(format!("there is no strength called {part:?}")),
            }
        }
        Ok((unet, text_encoder))
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "<{}:{}>", self.kind, self.argument)
    }
}

/// The prompt without its tags, and the tags in order.
pub fn take_tags(prompt: &str) -> (String, Vec<Tag>) {
    let (mut text, mut tags) = (String::new(), Vec::new());
    let mut rest = prompt;
    while let Some(position) = rest.find('<') {
        let (before, from) = rest.split_at(position);
        text += before;
        match tag_at(from) {
            Some((tag, length)) => {
                tags.push(tag);
                rest = &from[length..];
            }
            None => {
                text.push('<');
                rest = &from[1..];
            }
        }
    }
    (text + rest, tags)
}

/// The tag that `text` begins with, and its length.
fn tag_at(text: &str) -> Option<(Tag, usize)> {
    let (inner, _) = text.strip_prefix('<')?.split_once('>')?;
    let (kind, argument) = inner.split_once(':')?;
    let is_kind = |character: char| character.is_alphanumeric() || character == '_';
    if kind.is_empty() || argument.is_empty() || !kind.chars().all(is_kind) {
        return None;
    }
    let tag = Tag {
        kind: kind.into(),
        argument: argument.into(),
    };
    Some((tag, inner.len() + 2))
}

#[cfg(test)]
mod tests {
    use super::take_tags;

    #[test]
    fn tags_are_taken_out_of_the_text() {
        let (text, tags) = take_tags("a <lora:My style:0.8:0.5>house<hypernet:x>, <3 <b>");
        assert_eq!(text, "a house, <3 <b>");
        let names: Vec<_> = tags
            .iter()
            .map(|tag| (tag.kind.as_str(), tag.name()))
            .collect();
        assert_eq!(names, [("lora", "My style"), ("hypernet", "x")]);
        assert_eq!(tags[0].to_string(), "<lora:My style:0.8:0.5>");
    }

    #[test]
    fn strengths_are_numbers_behind_the_name() {
        for (tag, expected) in [
            ("<lora:a>", Some((1.0, None))),
            ("<lora:a:0.8>", Some((0.8, None))),
            ("<lora:a: -1 :0.5>", Some((-1.0, Some(0.5)))),
            ("<lora:a:te=0:unet=0.3>", Some((0.3, Some(0.0)))),
            ("<lora:a:0,8>", None),
            ("<lora:a:1:1:1>", None),
            ("<lora:a:dyn=4>", None),
        ] {
            let (_, tags) = take_tags(tag);
            assert_eq!(tags[0].strengths().ok(), expected, "{tag}");
        }
    }

    #[test]
    fn what_is_no_tag_stays() {
        for text in [
            "a < b : c > d",
            "<lora:",
            "<:x>",
            "<lora:>",
            "<<",
            "a <lora>",
        ] {
            assert_eq!(take_tags(text), (text.to_string(), vec![]), "{text}");
        }
    }
}
