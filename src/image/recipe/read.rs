//! How a picture was made, by whichever of its texts says most.

use serde_json::Value;

use super::files::{MAX_BYTES, OWN, PARAMETERS, Texts};
use super::infotext::{MAX_TEXT, Split};
use super::reading::ReadRecipe;
use super::{comfy, own, web_ui};
use crate::{Error, ErrorCode, Result};

/// What the file of a picture, PNG, JPEG or WebP, says of how the picture was made: glassine's own recipe, else the
/// web UIs' text (PNG's text chunks, comments in EXIF, JPEG and XMP), else ComfyUI's graph. A file of that text or
/// that JSON alone is read likewise.
///
/// `None` if it says nothing. Only the texts of a picture are read, not its pixels, and not its sums.
///
/// # Errors
/// `bad_image` if it is no such file.
pub fn read_recipe(file: &[u8]) -> Result<Option<ReadRecipe>> {
    let read = match Texts::of(file) {
        Some(texts) => of_picture(&texts),
        None => Some(of_text(file).ok_or_else(no_file)?),
    };
    Ok(read.filter(|read| !read.is_empty()))
}

fn no_file() -> Error {
    Error::new(
        ErrorCode::BadImage,
        "the file is no picture, and no recipe",
        "give a PNG, JPEG or WebP file, or a recipe as JSON or as the web UIs write it",
    )
}

fn of_picture(texts: &Texts) -> Option<ReadRecipe> {
    let own = texts.get(OWN).and_then(own::recipe);
    let mut read = own
        .or_else(|| parameters(texts.get(PARAMETERS)?))
        .or_else(|| comment(texts))
        .or_else(|| comfy::recipe(texts.get("prompt"), texts.get("workflow")));
    if texts.too_long {
        let warning = "the file has longer texts than are read";
        read.get_or_insert_default().warn(warning);
    }
    read
}

/// The text under the web UIs' own keyword.
fn parameters(text: &str) -> Option<ReadRecipe> {
    if text.len() > MAX_TEXT {
        let mut read = ReadRecipe::default();
        read.warn(format!(
            "the text of the web UIs has more than {} KiB",
            MAX_TEXT >> 10
        ));
        return Some(read);
    }
    // Other programs use the keyword for a form of their own.
    if let Ok(Value::Object(_)) = serde_json::from_str(text) {
        let mut read = ReadRecipe::default();
        read.keep(PARAMETERS, text);
        read.warn("how it was made is written in a form of another program's, which is not known");
        return Some(read);
    }
    let split = Split::of(text);
    Some(web_ui::recipe(&split)).filter(|read| !read.is_empty())
}

/// A text among others, which need not be about this.
fn comment(texts: &Texts) -> Option<ReadRecipe> {
    const KEYWORDS: [&str; 4] = ["", "comment", "description", "usercomment"];
    let is_one = |keyword: &str| KEYWORDS.contains(&&*keyword.to_ascii_lowercase());
    let comments = texts.all.iter().filter(|(keyword, _)| is_one(keyword));
    let mut comments = comments.filter(|(_, text)| text.len() <= MAX_TEXT);
    comments.find_map(|(_, text)| certain(text))
}

fn certain(text: &str) -> Option<ReadRecipe> {
    let split = Split::of(text);
    split.is_certain().then(|| web_ui::recipe(&split))
}

/// A recipe that is a file of its own.
fn of_text(file: &[u8]) -> Option<ReadRecipe> {
    let text = std::str::from_utf8(file).ok()?;
    let text = text.trim_start_matches('\u{feff}').trim();
    match text.starts_with('{') {
        true if text.len() <= MAX_BYTES => of_json(text),
        false if text.len() <= MAX_TEXT => certain(text),
        _ => None,
    }
}

fn of_json(text: &str) -> Option<ReadRecipe> {
    if let Ok(object) = serde_json::from_str(text)
        && own::is_recipe(&object)
        && !comfy::is_graph(&object)
    {
        return Some(own::checked(object));
    }
    comfy::recipe(Some(text), Some(text))
}
