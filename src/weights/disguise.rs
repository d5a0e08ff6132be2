//! What a file is that is no safetensors file, told by how it begins.

use std::path::Path;

use crate::{Error, ErrorCode};

/// How many of a file's first bytes are looked at.
pub(super) const BEGINNING: usize = 512;

/// How many characters of a text are quoted.
const QUOTED: usize = 60;

/// The refusal of the file at `path` that begins with `beginning`, if that is of another known
/// kind: a saved web page, the pointer that stands for a large file in Git, a pickle.
pub(super) fn refusal(path: &Path, beginning: &[u8]) -> Option<Error> {
    let found = |code, what: &str, hint: &str| {
        let message = format!("{} is {what}", path.display());
        Some(Error::new(code, message, hint))
    };
    let damaged = |what: &str, hint: &str| found(ErrorCode::ModelDamaged, what, hint);
    if beginning.is_empty() {
        return damaged("empty", "download it again");
    }
    if is_pickle(beginning) {
        return found(
            ErrorCode::ModelUnsupported,
            "a pickle, which can run code when opened",
            "convert it to .safetensors first",
        );
    }
    if beginning.starts_with(b"GGUF") {
        return found(
            ErrorCode::ModelUnsupported,
            "a GGUF file, which is not read",
            "pass the model as .safetensors; glassine quantizes it itself",
        );
    }
    let text = beginning_of_text(beginning)?;
    let lower = text.to_ascii_lowercase();
    if text.starts_with("version https://git-lfs") {
        return damaged(
            "a Git LFS pointer, which stands for a file and is not it",
            "fetch the file with `git lfs pull`, or download it from its page",
        );
    }
    let page = ["<!doctype", "<html", "<head", "<?xml", "<!--"];
    if page.iter().any(|start| lower.starts_with(start)) {
        return damaged(
            "a web page (HTML) and not a model",
            "download the file itself: its page may want a login or a confirmation first",
        );
    }
    let line = text.lines().next().unwrap_or_default().trim();
    let quoted: String = line.chars().take(QUOTED).collect();
    damaged(
        &format!("a text that begins with {quoted:?}, and not a model"),
        "download the file again: a server may have sent an error in its place",
    )
}

/// PyTorch's archives, and plain pickles of protocols 2 to 5.
fn is_pickle(beginning: &[u8]) -> bool {
    beginning.starts_with(b"PK\x03\x04") || matches!(beginning, [0x80, 2..=5, ..])
}

/// The beginning of a text, less a byte order mark and white space; `None` if it is no text.
fn beginning_of_text(beginning: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // A letter may be cut at the end.
        Err(error) if error.valid_up_to() + 4 > beginning.len() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let is_text = |c: char| !c.is_control() || c.is_whitespace();
    (text.len() > 8 && text.chars().all(is_text)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_how_they_begin() {
        let named = |beginning: &[u8]| {
            let error = refusal(Path::new("model.safetensors"), beginning);
            error.map(|error| error.to_string()).unwrap_or_default()
        };
        for (beginning, expected) in [
            (&b""[..], "empty"),
            (b"<!DOCTYPE html><html>", "web page"),
            (b"\xef\xbb\xbf \r\n<HTML lang=\"en\">", "web page"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
                "Git LFS pointer",
            ),
            (b"PK\x03\x04\0\0\0\0\0\0archive/data.pkl", "pickle"),
            (b"\x80\x02}q\0(X\x0a\0\0\0state_dict", "pickle"),
            (b"GGUF\x03\0\0\0", "GGUF"),
            (b"Invalid username or password.", "\"Invalid username"),
            (b"{\"error\":\"Unauthorized\"}", "Unauthorized"),
        ] {
            assert!(named(beginning).contains(expected), "{}", named(beginning));
        }
        assert_eq!(named(b"\x10\x02\0\0\0\0\0\0{\"a\":{\"dtype\""), "");
        assert_eq!(named(&[0xff; 20]), "");
    }
}
