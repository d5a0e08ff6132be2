//! Input files, and tensors as files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use glassine::image::Picture;
use glassine::internals::weights::Dtype;
use glassine::internals::weights::{HostTensor, SafetensorsFile, write_safetensors};
use glassine::{Error, ErrorCode, Result};

/// The longest file that is read whole, in bytes: what the largest picture takes in memory.
const MAX_FILE: u64 = 512 << 20;

/// Named tensors as a safetensors file of f32.
pub fn tensors_file<'a>(
    tensors: impl IntoIterator<Item = (&'a String, &'a HostTensor)>,
) -> Vec<u8> {
    let tensors: Vec<_> = tensors
        .into_iter()
        .map(|(name, tensor)| {
            let bytes = tensor.data.iter().flat_map(|value| value.to_le_bytes());
            (
                name.clone(),
                Dtype::F32,
                tensor.shape.clone(),
                bytes.collect(),
            )
        })
        .collect();
    write_safetensors(&tensors)
}

/// A list of phrases in a JSON file.
pub fn read_phrases(path: &Path) -> Result<Vec<String>> {
    let phrases = read_whole(path).and_then(|json| {
        let phrases = serde_json::from_slice(&json);
        phrases.map_err(|error| error.to_string())
    });
    phrases.map_err(|reason| {
        Error::new(
            ErrorCode::BadOption,
            format!("{} is no list of phrases: {reason}", path.display()),
            "give a JSON file such as [\"a red apple\", \"on a table\"]",
        )
    })
}

/// The first of `names` that the file at `path` holds.
pub fn read_tensor(path: &Path, names: &[&str]) -> Result<HostTensor> {
    let as_input = |error: Error| Error::new(ErrorCode::BadImage, error.message, error.hint);
    let mut file = SafetensorsFile::open(path).map_err(as_input)?;
    let name = names
        .iter()
        .find(|name| file.tensors().contains_key(**name));
    let name = name.ok_or_else(|| {
        Error::new(
            ErrorCode::BadImage,
            format!("{} has no tensor {}", path.display(), names.join(" or ")),
            "name a file written by glassine or by the reference",
        )
    })?;
    let tensor = file.read(name).map_err(as_input)?;
    match tensor.is_finite() {
        true => Ok(tensor),
        false => Err(Error::new(
            ErrorCode::BadImage,
            format!("{name} in {} contains NaN or infinity", path.display()),
            "make the file again",
        )),
    }
}

/// The picture in a PNG, JPEG or WebP file.
pub fn read_picture(path: &Path) -> Result<Picture> {
    let bytes = read_whole(path).map_err(|reason| {
        Error::new(
            ErrorCode::BadImage,
            format!("cannot read {}: {reason}", path.display()),
            "name a PNG, JPEG or WebP file",
        )
    })?;
    Picture::from_file(&bytes).map_err(|error| {
        let message = format!("{}: {}", path.display(), error.message);
        Error::new(error.code, message, error.hint)
    })
}

/// All bytes of a file, or of a pipe, unless there are too many, as in one that never ends.
pub fn read_whole(path: &Path) -> std::result::Result<Vec<u8>, String> {
    let text = |error: std::io::Error| error.to_string();
    let file = File::open(path).map_err(text)?;
    let metadata = file.metadata().map_err(text)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            return Err("it is a device".into());
        }
    }
    let too_long = || Err(format!("it is longer than {} MiB", MAX_FILE >> 20));
    if metadata.len() > MAX_FILE {
        return too_long();
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(text)?;
    match bytes.len() as u64 > MAX_FILE {
        true => too_long(),
        false => Ok(bytes),
    }
}
