//! Sets the browser build's stack, and cuts CLIP's merges out of the crate `instant-clip-tokenizer`,
//! which carries OpenAI's file.
//!
//! That crate does not hand out its vocabulary, so its file is read where cargo has unpacked it.
//! Packing needs it: a single-file checkpoint contains no tokenizer.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const CRATE: &str = "instant-clip-tokenizer";
const FILE: &str = "bpe_simple_vocab_16e6.txt";
/// CLIP uses this many of the file's 262,145 merges: 49,408 symbols less 512 bytes and 2 markers.
const MERGES: usize = 48_894;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("wasm32") {
        // One mebibyte, the linker's own choice, is little for building a model of many layers.
        println!("cargo:rustc-cdylib-link-arg=-zstack-size=4194304");
    }
    let source = crate_directory()?.join(FILE);
    let text = fs::read_to_string(&source)
        .map_err(|error| format!("cannot read {}: {error}", source.display()))?;
    let target = Path::new(&env::var("OUT_DIR")?).join("clip_merges.txt");
    fs::write(target, cut(&text)?)?;
    Ok(())
}

/// The header line in the form of `merges.txt`, and the merges that CLIP uses.
fn cut(text: &str) -> Result<String, Box<dyn Error>> {
    let merges: Vec<&str> = text.lines().skip(1).take(MERGES).collect();
    if merges.len() != MERGES {
        return Err(format!("{FILE} of {CRATE} has only {} merges", merges.len()).into());
    }
    Ok(format!("#version: 0.2\n{}\n", merges.join("\n")))
}

/// Where cargo keeps the sources of the build dependency.
fn crate_directory() -> Result<PathBuf, Box<dyn Error>> {
    let manifest = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("Cargo.toml");
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version", "1", "--locked"])
        // Nothing but what this build needs itself, so that nothing else is downloaded.
        .arg("--no-default-features")
        .args(["--filter-platform", &env::var("TARGET")?])
        .arg("--manifest-path")
        .arg(manifest)
        .output()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo metadata failed: {message}").into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == CRATE)
        .and_then(|package| package["manifest_path"].as_str())
        .and_then(|path| Path::new(path).parent())
        .map(Path::to_path_buf)
        .ok_or_else(|| format!("cargo metadata does not name {CRATE}").into())
}
