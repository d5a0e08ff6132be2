//! Where the packer reads from: a disk, or the files that a page was given.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::{Error, ErrorCode, Result};

/// Bytes that can be read from any place.
pub trait ReadAt: fmt::Debug {
    /// How many bytes there are.
    fn length(&mut self) -> io::Result<u64>;

    /// Fills `buffer` with the bytes from `start` on.
    fn read_at(&mut self, start: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// Files by path.
pub trait Files {
    /// Whether `path` is a file.
    fn is_file(&self, path: &Path) -> bool;

    /// Whether `path` is a folder.
    fn is_folder(&self, path: &Path) -> bool;

    /// Opens the file at `path`.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt>>;

    /// The whole file at `path`, which must be a small one.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        const LIMIT: u64 = 64 << 20;
        let mut file = self.open(path)?;
        let length = file.length()?;
        if length > LIMIT {
            return Err(io::Error::other("it is far too large"));
        }
        let mut bytes = vec![0; length as usize];
        file.read_at(0, &mut bytes)?;
        Ok(bytes)
    }
}

/// The file at `path`.
///
/// # Errors
/// `model_not_found`, named.
pub(super) fn open(files: &dyn Files, path: &Path) -> Result<Box<dyn ReadAt>> {
    files.open(path).map_err(|error| {
        Error::new(
            ErrorCode::ModelNotFound,
            format!("cannot open {}", path.display()),
            error.to_string(),
        )
    })
}

/// The files of this computer.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl Files for Disk {
    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(File::open(path)?))
    }
}

/// One file whose bytes are at hand, under any path.
#[derive(Debug, Clone)]
pub struct InMemory(pub Vec<u8>);

impl Files for InMemory {
    fn is_file(&self, _path: &Path) -> bool {
        true
    }

    fn is_folder(&self, _path: &Path) -> bool {
        false
    }

    fn open(&self, _path: &Path) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(self.clone()))
    }
}

impl ReadAt for InMemory {
    fn length(&mut self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&mut self, start: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        let bytes = self.0.get(start..end);
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl ReadAt for File {
    fn length(&mut self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&mut self, start: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(start))?;
        self.read_exact(buffer)
    }
}
