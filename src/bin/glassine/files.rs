//! Output files appear whole or not at all.

use std::io::{self, Write};
use std::path::Path;

use glassine::image::Picture;
use glassine::internals::weights::Dtype;
use glassine::internals::weights::{HostTensor, SafetensorsFile, write_safetensors};
use glassine::{Error, ErrorCode, Result};

/// Writes `bytes` beside `path` and moves them there, so that a failure leaves no part of a file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes).map_err(|error| {
        Error::new(
            ErrorCode::BadOption,
            format!("cannot write {}: {error}", path.display()),
            "name a file in an existing folder",
        )
    })
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link stays one: what it points to is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // As any new file, and not for its owner alone, as temporary ones are.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(&path)?;
    Ok(())
}

/// Writes named tensors as f32.
pub fn write_tensors<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'a String, &'a HostTensor)>,
) -> Result<()> {
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
    write(path, &write_safetensors(&tensors))
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
    file.read(name).map_err(as_input)
}

/// The picture in a PNG, JPEG or WebP file.
pub fn read_picture(path: &Path) -> Result<Picture> {
    let bytes = std::fs::read(path).map_err(|error| {
        Error::new(
            ErrorCode::BadImage,
            format!("cannot read {}: {error}", path.display()),
            "name a PNG, JPEG or WebP file",
        )
    })?;
    Picture::from_file(&bytes).map_err(|error| {
        let message = format!("{}: {}", path.display(), error.message);
        Error::new(error.code, message, error.hint)
    })
}
