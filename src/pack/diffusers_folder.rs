//! Files in diffusers' layout: configs, weights in variants and shards, tokenizers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::text::{Tokenizer, clip_vocabulary};
use crate::weights::{Files, TensorFile};
use crate::{Error, ErrorCode, Result};

/// What stands between the name of weights and `.safetensors`, the best first: averaged weights
/// ("ema", which a plain name means as well) are for use, the others for training on.
const VARIANTS: [&str; 6] = ["", ".fp16", ".bf16", ".fp32", ".ema", ".non_ema"];

/// Opens the weights `stem` in `folder`: one file, in any variant, the shards that an index names, or a
/// file of PyTorch's.
///
/// # Errors
/// `model_not_found` with `hint` if there are none, or a shard is missing.
pub(super) fn open_weights(
    files: &dyn Files,
    folder: &Path,
    stem: &str,
    hint: &str,
) -> Result<Vec<TensorFile>> {
    for variant in VARIANTS {
        let path = folder.join(format!("{stem}{variant}.safetensors"));
        if files.is_file(&path) {
            return Ok(vec![TensorFile::open_in(files, &path)?]);
        }
        if let Some(index) = index_of(files, folder, stem, variant) {
            return open_shards(files, folder, &index);
        }
    }
    let torch = [format!("{stem}.bin"), "pytorch_model.bin".into()];
    let mut torch = torch.iter().map(|name| folder.join(name));
    if let Some(path) = torch.find(|path| files.is_file(path)) {
        return Ok(vec![TensorFile::open_in(files, &path)?]);
    }
    Err(Error::new(
        ErrorCode::ModelNotFound,
        format!("{}.safetensors is missing", folder.join(stem).display()),
        hint,
    ))
}

/// The index of weights that are split over several files; the variant has stood at three places.
fn index_of(files: &dyn Files, folder: &Path, stem: &str, variant: &str) -> Option<PathBuf> {
    let names = [
        format!("{stem}{variant}.safetensors.index.json"),
        format!("{stem}.safetensors{variant}.index.json"),
        format!("{stem}.safetensors.index{variant}.json"),
    ];
    let paths = names.map(|name| folder.join(name));
    paths.into_iter().find(|path| files.is_file(path))
}

fn open_shards(files: &dyn Files, folder: &Path, index: &Path) -> Result<Vec<TensorFile>> {
    let json = read_json(files, index)?;
    let map = json["weight_map"].as_object();
    let names: Option<BTreeSet<&str>> =
        map.and_then(|map| map.values().map(Value::as_str).collect());
    let is_plain = |name: &&str| !name.contains(['/', '\\']) && name.ends_with(".safetensors");
    let names = names.filter(|names| !names.is_empty() && names.iter().all(is_plain));
    let names = names.ok_or_else(|| {
        Error::new(
            ErrorCode::ModelDamaged,
            format!("{} names no files of weights", index.display()),
            "fetch it again",
        )
    })?;
    let open = |name| {
        let path = folder.join(name);
        if files.is_file(&path) {
            return TensorFile::open_in(files, &path);
        }
        Err(Error::new(
            ErrorCode::ModelNotFound,
            format!(
                "{} is missing, which {} names",
                path.display(),
                index.display()
            ),
            "fetch all files of the folder",
        ))
    };
    names.into_iter().map(open).collect()
}

/// The JSON at `path`.
pub(super) fn read_json(files: &dyn Files, path: &Path) -> Result<Value> {
    let bytes = files.read(path).map_err(|error| {
        Error::new(
            ErrorCode::ModelNotFound,
            format!("cannot read {}: {error}", path.display()),
            "the folder must be in diffusers' layout",
        )
    })?;
    // Editors on Windows put a byte order mark in front.
    let json = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(json).map_err(|error| {
        Error::new(
            ErrorCode::ModelDamaged,
            format!("{} is not JSON: {error}", path.display()),
            "fetch it again",
        )
    })
}

/// `merges.txt` of the tokenizer in `folder`, after checking that its tokens are numbered in CLIP's
/// order, which is what lets a pack store the merges alone. `None` for CLIP's own: a folder that
/// holds no tokens stands for it.
pub(super) fn read_tokenizer(files: &dyn Files, folder: &Path) -> Result<Option<Vec<u8>>> {
    let has = |name: &str| files.is_file(&folder.join(name));
    if has("merges.txt") || has("vocab.json") {
        return read_merges(files, folder).map(Some);
    }
    if !has("tokenizer.json") {
        return Ok(None);
    }
    let json = read_json(files, &folder.join("tokenizer.json"))?;
    let (vocabulary, merges) = (&json["model"]["vocab"], &json["model"]["merges"]);
    let merges = merges_text(merges).ok_or_else(|| {
        Error::new(
            ErrorCode::ModelUnsupported,
            format!(
                "{} has no byte-pair merges",
                folder.join("tokenizer.json").display()
            ),
            "glassine runs models with CLIP's tokenizer",
        )
    })?;
    check_order(folder, vocabulary.to_string().as_bytes(), &merges)?;
    Ok((merges != clip_vocabulary::merges()).then_some(merges))
}

fn read_merges(files: &dyn Files, folder: &Path) -> Result<Vec<u8>> {
    let read = |name: &str| {
        files.read(&folder.join(name)).map_err(|error| {
            Error::new(
                ErrorCode::ModelNotFound,
                format!("cannot read {}: {error}", folder.join(name).display()),
                "the folder must hold CLIP's tokenizer as vocab.json and merges.txt",
            )
        })
    };
    let merges = read("merges.txt")?;
    check_order(folder, &read("vocab.json")?, &merges)?;
    Ok(merges)
}

/// The merges of a `tokenizer.json`, which are pairs or texts with a space, as a `merges.txt`.
fn merges_text(merges: &Value) -> Option<Vec<u8>> {
    let mut text = String::from("#version: 0.2\n");
    for merge in merges.as_array()? {
        match merge.as_array().map(Vec::as_slice) {
            Some([left, right]) => text += &format!("{} {}", left.as_str()?, right.as_str()?),
            _ => text += merge.as_str()?,
        }
        text.push('\n');
    }
    Some(text.into_bytes())
}

fn check_order(folder: &Path, vocabulary: &[u8], merges: &[u8]) -> Result<()> {
    let explicit = Tokenizer::from_files(vocabulary, merges)?;
    if explicit == Tokenizer::from_merges(merges)? {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::ModelUnsupported,
        format!(
            "{} numbers its tokens in an order of its own",
            folder.display()
        ),
        "glassine runs models with CLIP's tokenizer",
    ))
}
