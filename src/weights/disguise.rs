//! What a file is that is no safetensors file, told by how it begins.

use std::path::Path;

use crate::{Error, ErrorCode};

/// How many of a file's first bytes are looked at.
pub(super) const BEGINNING: usize = 512;

/// How many characters of a text are quoted.
const QUOTED: usize = 60;

/// How files of other kinds begin, what they are, and what to do about it.
const OTHERS: [(&[u8], &str, &str); 8] = [
    (
        b"GGUF",
        "a GGUF file, which is not read",
        "pass the model as .safetensors; glassine quantizes it itself",
    ),
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (
        b"\x89HDF",
        "an HDF5 file, as Keras writes models",
        "pass the model as .safetensors",
    ),
    (b"\x89PNG", "a picture (PNG)", NO_PICTURE),
    (b"\xff\xd8\xff", "a picture (JPEG)", NO_PICTURE),
    (b"RIFF", "a picture (WebP) or a sound", NO_PICTURE),
];
const UNPACK: &str = "unpack it, and pass the model in it";
const NO_PICTURE: &str = "pass a model's .safetensors file";

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
    let other = OTHERS
        .iter()
        .find(|(start, ..)| beginning.starts_with(start));
    if let Some((_, what, hint)) = other {
        return found(ErrorCode::ModelUnsupported, what, hint);
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
    if path
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        return found(
            ErrorCode::ModelUnsupported,
            "a JSON file and not a model",
            "pass the folder of the model that it belongs to",
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
            (b"\x1f\x8b\x08\0\0\0", "gzip archive"),
            (b"7z\xbc\xaf\x27\x1c\0\x04", "7z archive"),
            (b"Rar!\x1a\x07\x01\0", "RAR archive"),
            (b"\x89HDF\r\n\x1a\n", "HDF5"),
            (b"\x89PNG\r\n\x1a\n", "picture"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "picture"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "picture"),
            (b"Invalid username or password.", "\"Invalid username"),
            (b"{\"error\":\"Unauthorized\"}", "Unauthorized"),
        ] {
            assert!(named(beginning).contains(expected), "{}", named(beginning));
        }
        let config = refusal(Path::new("unet/config.json"), b"{\n \"act_fn\": \"silu\"");
        assert!(config.unwrap().hint.contains("folder"));
        assert_eq!(named(b"\x10\x02\0\0\0\0\0\0{\"a\":{\"dtype\""), "");
        assert_eq!(named(&[0xff; 20]), "");
    }
}
