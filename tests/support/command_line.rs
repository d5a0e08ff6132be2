//! The command line as users run it.

use std::path::Path;
use std::process::{Command, Output};

use glassine::image::Picture;

pub use super::model::packed;

/// Runs the binary, which is at `CARGO_BIN_EXE_glassine`.
pub fn glassine(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glassine"))
        .args(arguments)
        .output()
        .expect("running glassine")
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The pixels of a picture's file, whatever else it says.
pub fn pixels(path: &Path) -> Vec<u8> {
    let file = std::fs::read(path).expect("a picture");
    Picture::from_file(&file).expect("a picture").rgba
}

/// Fails unless the command ended with `code`, one line on standard error and `words` in it.
pub fn assert_fails(output: &Output, code: i32, words: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    for word in words {
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    }
}
