//! What text goes through before CLIP's tokenizer in the web UIs: entities of HTML become characters,
//! curly quotes straight, ligatures and full-width forms plain letters, and control characters go.
//!
//! It is what the Python library ftfy does, which the original tokenizer uses, without its repair of
//! text that was decoded in a wrong encoding. [`Tokenizer`](super::Tokenizer) alone does none of it.

use unicode_normalization::UnicodeNormalization;

/// The characters of windows-1252 at 0x80 to 0x9f, where Unicode has control characters; those five
/// that it leaves out stay.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Letters that are two, or a letter and a sign.
const LIGATURES: [(char, &str); 22] = [
    ('Ĳ', "IJ"),
    ('ĳ', "ij"),
    ('ŉ', "ʼn"),
    ('Ǳ', "DZ"),
    ('ǲ', "Dz"),
    ('ǳ', "dz"),
    ('Ǆ', "DŽ"),
    ('ǅ', "Dž"),
    ('ǆ', "dž"),
    ('Ǉ', "LJ"),
    ('ǈ', "Lj"),
    ('ǉ', "lj"),
    ('Ǌ', "NJ"),
    ('ǋ', "Nj"),
    ('ǌ', "nj"),
    ('ﬀ', "ff"),
    ('ﬁ', "fi"),
    ('ﬂ', "fl"),
    ('ﬃ', "ffi"),
    ('ﬄ', "ffl"),
    ('ﬅ', "ſt"),
    ('ﬆ', "st"),
];

/// The longest name of an entity, or number of a character, that is looked for.
const LONGEST_ENTITY: usize = 24;

/// The text as CLIP's tokenizer is to see it, in lower case.
///
/// ```
/// # use glassine::internals::text::clean;
/// assert_eq!(clean("“Ｃat” &amp; ﬁsh"), "\"cat\" & fish");
/// ```
pub fn clean(text: &str) -> String {
    // Text with a bracket of HTML may mean an entity as it is written, from that line on.
    let mut entities = true;
    let lines = text.split_inclusive('\n').map(|line| {
        entities &= !line.contains('<');
        clean_line(line, entities)
    });
    let cleaned: String = lines.collect();
    cleaned.to_lowercase()
}

/// Cleans until nothing changes: an entity may stand for part of another.
fn clean_line(line: &str, entities: bool) -> String {
    let mut line = line.to_string();
    loop {
        let unescaped = match entities {
            true => unescape(&line),
            false => line.clone(),
        };
        let plain: String = unescaped
            .chars()
            .map(from_control)
            .flat_map(plain)
            .collect();
        let cleaned: String = without_terminal_escapes(&plain)
            .chars()
            .filter(|character| !is_unwanted(*character))
            .nfc()
            .collect();
        if cleaned == line {
            return line;
        }
        line = cleaned;
    }
}

/// Replaces entities such as `&eacute;`, `&EACUTE;` and `&#233;`.
fn unescape(text: &str) -> String {
    let mut unescaped = String::new();
    let mut rest = text;
    while let Some(position) = rest.find('&') {
        let (before, from) = rest.split_at(position);
        unescaped += before;
        let mut start = from.bytes().take(LONGEST_ENTITY + 3);
        let end = start.position(|byte| byte == b';');
        let known = end.and_then(|end| Some((entity(&from[1..end])?, end + 1)));
        let (character, length) = known.unwrap_or(("&".into(), 1));
        unescaped += &character;
        rest = &from[length..];
    }
    unescaped + rest
}

/// What an entity stands for, if it is one.
fn entity(name: &str) -> Option<String> {
    if let Some(number) = name.strip_prefix('#') {
        return numbered(number);
    }
    if name.is_empty()
        || name.len() > LONGEST_ENTITY
        || !name.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return None;
    }
    let named = |name: &str| {
        let entity = format!("&{name};");
        let decoded = html_escape::decode_html_entities(&entity).into_owned();
        (decoded != entity).then_some(decoded)
    };
    let capitals = || {
        let small = name.to_ascii_lowercase();
        let all = name == small.to_ascii_uppercase();
        named(&small)
            .filter(|_| all)
            .map(|text| text.to_uppercase())
    };
    named(name).or_else(capitals)
}

/// The character of that number, decimal or after an `x` hexadecimal.
fn numbered(number: &str) -> Option<String> {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    let is_none = matches!(code, 1..=8 | 0xb | 0xe..=0x1f | 0x7f | 0xfdd0..=0xfdef)
        || code & 0xfffe == 0xfffe && code <= 0x10_ffff;
    Some(match char::from_u32(code).filter(|_| code != 0) {
        _ if is_none => String::new(),
        Some(character) => from_control(character).into(),
        None => char::REPLACEMENT_CHARACTER.into(),
    })
}

/// What windows-1252 has at a control character's place.
fn from_control(character: char) -> char {
    let place = (character as usize).checked_sub(0x80);
    let replaced = place.and_then(|place| WINDOWS_1252.get(place));
    replaced.copied().unwrap_or(character)
}

/// A ligature's letters, the usual form of a half- or full-width character, a straight quote.
fn plain(character: char) -> impl Iterator<Item = char> {
    let ligature = LIGATURES
        .iter()
        .find(|(ligature, _)| *ligature == character);
    let letters = ligature.map_or("", |(_, letters)| letters);
    let single = match character {
        _ if ligature.is_some() => None,
        '\u{3000}' => Some(' '),
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => Some('\''),
        '\u{201c}'..='\u{201f}' => Some('"'),
        '\u{ff01}'..='\u{ffef}' => None,
        other => Some(other),
    };
    let wide = (ligature.is_none() && single.is_none()).then_some(character);
    let letters = letters.chars().map(|letter| match letter {
        '\u{2bc}' => '\'',
        letter => letter,
    });
    letters.chain(single).chain(wide.into_iter().nfkc())
}

/// Leaves out what colours text on a terminal: escape, bracket, numbers and a letter.
fn without_terminal_escapes(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(position) = rest.find("\u{1b}[") {
        let (before, from) = rest.split_at(position);
        kept += before;
        let numbers = from[2..].trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        rest = match numbers.strip_prefix(|c: char| c.is_ascii_alphabetic()) {
            Some(after) => after,
            // The escape goes by itself.
            None => &from[1..],
        };
    }
    kept + rest
}

/// Whether a character controls what shows text, and means nothing: a byte order mark, a bell.
fn is_unwanted(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{8}'
            | '\u{b}'
            | '\u{e}'..='\u{1f}'
            | '\u{7f}'
            | '\u{206a}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffc}'
    )
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn text_becomes_what_the_reference_makes_of_it() {
        for (text, expected) in [
            ("“curly” ‘quotes’ it’s ‟x‛", "\"curly\" 'quotes' it's \"x'"),
            ("ＦＵＬＬ　ｗｉｄｔｈ！ Ｕﾀｰﾝ", "full width! uターン"),
            ("ﬁsh ﬂuﬃest ĳs ŉ Ǆ", "fish fluffiest ijs 'n dž"),
            ("\u{feff}cat\u{0} dog\u{7f}", "cat dog"),
            (
                "cat &amp; dog &amp;amp; &quot;x&quot; &#39;",
                "cat & dog & \"x\" '",
            ),
            (
                "&eacute; &EACUTE; &SZLIG; &nTILDE; &hearts;",
                "é é ss &ntilde; ♥",
            ),
            (
                "&#233; &#xE9; &#X2019; &#147; &#0; &#55296;",
                "é é ' \" \u{fffd} \u{fffd}",
            ),
            (
                "this&not that &bogus; &; &#; &#x;",
                "this&not that &bogus; &; &#; &#x;",
            ),
            ("a <b> &amp; c", "a <b> &amp; c"),
            ("&amp;\n<b> &amp;\n&amp;", "&\n<b> &amp;\n&amp;"),
            ("\u{1b}[36;44mblue\u{1b}[0m", "blue"),
            ("5\u{80} \u{85}", "5€ …"),
            ("Cafe\u{301} ΟΔΟΣ", "café οδος"),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }
}
