use std::path::{Path, PathBuf};

use super::manifest::{MANIFEST_FILE, Manifest};
use super::packer::{PackOptions, Packer};
use super::reader::{LoadEvent, PackSource, PackStore};
use crate::weights::Disk;
use crate::{Error, ErrorCode, Result};

/// A pack in a folder on disk.
#[derive(Debug, Clone)]
pub struct FolderSource {
    folder: PathBuf,
}

impl FolderSource {
    /// The pack in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }
}

impl PackSource for FolderSource {
    async fn read(&self, file: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(file);
        std::fs::read(&path).map_err(|error| match file {
            MANIFEST_FILE => Error::new(
                ErrorCode::ModelNotFound,
                format!("{} is not a pack: {error}", self.folder.display()),
                "make one with `glassine pack`",
            ),
            _ => Error::new(
                ErrorCode::ModelDamaged,
                format!("cannot read {}: {error}", path.display()),
                "fetch or pack the model again",
            ),
        })
    }
}

impl PackStore for FolderSource {
    async fn write(&mut self, file: &str, bytes: Vec<u8>) -> Result<()> {
        let path = self.folder.join(file);
        std::fs::create_dir_all(&self.folder)
            .and_then(|()| std::fs::write(&path, bytes))
            .map_err(|error| cannot_write(&path, error))
    }
}

/// Packs a checkpoint on disk into the folder `out`. `progress` hears how many of how many bytes
/// are read and stops the packing by returning false.
///
/// The pack is built beside its destination and moved there when it is whole, so that a failure
/// leaves nothing behind.
///
/// # Errors
/// Whatever [`Checkpoint::open`](super::Checkpoint::open) gives; `bad_option` if the destination is in use.
pub async fn pack_folder(
    options: &PackOptions,
    out: &Path,
    progress: impl AsyncFnMut(LoadEvent) -> bool,
) -> Result<Manifest> {
    let name = out.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        Error::new(
            ErrorCode::BadOption,
            format!("{} cannot be a pack's folder", out.display()),
            "name a folder to create",
        )
    })?;
    let replaced = out.join(MANIFEST_FILE).is_file();
    let empty = std::fs::read_dir(out).map_or(true, |mut all| all.next().is_none());
    if !replaced && !empty {
        return Err(Error::new(
            ErrorCode::BadOption,
            format!("{} exists and is not a pack", out.display()),
            "name another folder or remove it",
        ));
    }
    let partial = create_beside(out, name).map_err(|error| cannot_write(out, error))?;
    let mut store = FolderSource::new(&partial);
    let outcome = Packer::pack(options, name, &Disk, &mut store, progress).await;
    let outcome = outcome.and_then(|manifest| {
        replace(&partial, out).map_err(|error| cannot_write(out, error))?;
        Ok(manifest)
    });
    if outcome.is_err() {
        let _ = std::fs::remove_dir_all(&partial);
    }
    outcome
}

/// A folder beside `out` that nothing else has: its name is that of the pack with a number.
fn create_beside(out: &Path, name: &str) -> std::io::Result<PathBuf> {
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    for number in 0u32.. {
        let folder = out.with_file_name(format!("{name}.partial-{number}"));
        match std::fs::create_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            created => return created.map(|()| folder),
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

/// Moves a finished pack to its place. Of a pack that is there already, only its own files go: what
/// else lies beside them, such as a model card, stays.
fn replace(finished: &Path, out: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(out)?;
    // A pack without a manifest is none, so that an interruption leaves nothing that looks whole.
    let old = out.join(MANIFEST_FILE);
    if old.is_file() {
        std::fs::remove_file(old)?;
    }
    for entry in std::fs::read_dir(out)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("shard-") && name.ends_with(".safetensors") {
            std::fs::remove_file(entry.path())?;
        }
    }
    let mut names: Vec<_> = std::fs::read_dir(finished)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<std::io::Result<_>>()?;
    names.sort_by_key(|name| name == MANIFEST_FILE);
    for name in names {
        std::fs::rename(finished.join(&name), out.join(&name))?;
    }
    std::fs::remove_dir(finished)
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::new(
        ErrorCode::Io,
        format!("cannot write {}", path.display()),
        error.to_string(),
    )
}
