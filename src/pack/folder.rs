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
/// leaves nothing behind, and a pack that is replaced is there until then.
///
/// # Errors
/// Whatever [`Checkpoint::open`](super::Checkpoint::open) gives; `bad_option` if the destination is in use
/// or cannot be written.
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
    // A link stays one: what it points to is replaced.
    let place = out.canonicalize().unwrap_or_else(|_| out.to_owned());
    check_free(out)?;
    let building = Building::beside(&place).map_err(|error| no_place(out, error))?;
    let mut store = FolderSource::new(&building.folder);
    let manifest = Packer::pack(options, name, &Disk, &mut store, progress).await?;
    building
        .finish(&place)
        .map_err(|error| cannot_write(out, error))?;
    Ok(manifest)
}

/// Only a pack is replaced, and an empty folder.
fn check_free(out: &Path) -> Result<()> {
    let in_use = |what: &str| {
        Err(Error::new(
            ErrorCode::BadOption,
            format!("{} exists and is not a {what}", out.display()),
            "name another folder or remove it",
        ))
    };
    let is_empty = std::fs::read_dir(out).map(|mut all| all.next().is_none());
    match is_empty {
        Ok(false) if !out.join(MANIFEST_FILE).is_file() => in_use("pack"),
        Err(_) if out.symlink_metadata().is_ok() && !out.is_dir() => in_use("folder"),
        _ => Ok(()),
    }
}

/// A pack on its way, in a folder of its own. Unless it is finished, it goes with its value.
struct Building {
    /// Empty until it is there.
    folder: PathBuf,
    /// The folders that were made for it to lie in, the innermost first.
    made: Vec<PathBuf>,
}

impl Building {
    /// In a folder beside `out` that nothing else has: its name is that of the pack with a number.
    fn beside(out: &Path) -> std::io::Result<Self> {
        let parent = out.parent().unwrap_or(Path::new(""));
        let missing = |folder: &&Path| **folder != *"" && !folder.exists();
        let mut building = Self {
            folder: PathBuf::new(),
            made: parent
                .ancestors()
                .take_while(missing)
                .map(Path::to_owned)
                .collect(),
        };
        for folder in building.made.iter().rev() {
            std::fs::create_dir(folder)?;
        }
        let folder = unused_beside(out, "partial");
        std::fs::create_dir(&folder)?;
        building.folder = folder;
        Ok(building)
    }

    /// Moves the pack to its place. A pack that is there already is moved away first; what is not its
    /// own, such as a model card, comes back.
    fn finish(mut self, out: &Path) -> std::io::Result<()> {
        if !out.join(MANIFEST_FILE).is_file() {
            if out.exists() {
                std::fs::remove_dir(out)?;
            }
            std::fs::rename(&self.folder, out)?;
            self.made.clear();
            return Ok(());
        }
        let replaced = unused_beside(out, "replaced");
        std::fs::rename(out, &replaced)?;
        if let Err(error) = std::fs::rename(&self.folder, out) {
            std::fs::rename(&replaced, out)?;
            return Err(error);
        }
        for entry in std::fs::read_dir(&replaced)? {
            let entry = entry?;
            if !is_of_a_pack(&entry.file_name().to_string_lossy()) {
                std::fs::rename(entry.path(), out.join(entry.file_name()))?;
            }
        }
        std::fs::remove_dir_all(replaced)
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        // It is not there any more after it was finished.
        let _ = std::fs::remove_dir_all(&self.folder);
        for folder in &self.made {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// A path beside `out` where nothing is.
fn unused_beside(out: &Path, what: &str) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let mut numbers = 0u32..;
    loop {
        let number = numbers.next().unwrap_or_default();
        let path = out.with_file_name(format!("{name}.{what}-{number}"));
        if path.symlink_metadata().is_err() {
            return path;
        }
    }
}

/// Whether a file of this name was written by the packer.
fn is_of_a_pack(name: &str) -> bool {
    name == MANIFEST_FILE || (name.starts_with("shard-") && name.ends_with(".safetensors"))
}

/// Why nothing can be written at `out`, before anything was.
fn no_place(out: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => cannot_write(out, error),
        _ => Error::new(
            ErrorCode::BadOption,
            format!("{} cannot be written: {error}", out.display()),
            "name a folder to create in one of your own",
        ),
    }
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::new(
        ErrorCode::Io,
        format!("cannot write {}: {error}", path.display()),
        "make room, or name a folder elsewhere",
    )
}
