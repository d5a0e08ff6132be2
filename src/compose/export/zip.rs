//! Zip archives in memory.

use std::io::{ErrorKind, Write as _};

use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use crate::image::MemoryFile;
use crate::{Error, ErrorCode, Result};

/// An archive on its way. Nothing in it is compressed, as pictures are already.
pub(super) struct ZipFile {
    writer: ZipWriter<MemoryFile>,
    /// What it is, for messages.
    format: &'static str,
}

impl ZipFile {
    pub(super) fn new(format: &'static str) -> Self {
        Self {
            writer: ZipWriter::new(MemoryFile::default()),
            format,
        }
    }

    pub(super) fn add(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let options = SimpleFileOptions::default();
        let started = self.writer.start_file(path, options);
        let written = started.and_then(|()| Ok(self.writer.write_all(bytes)?));
        written.map_err(|error| self.failed(error))
    }

    pub(super) fn finish(self) -> Result<Vec<u8>> {
        let format = self.format;
        let file = self.writer.finish();
        Ok(file.map_err(|error| failed(format, error))?.into_bytes())
    }

    fn failed(&self, error: ZipError) -> Error {
        failed(self.format, error)
    }
}

fn failed(format: &str, error: ZipError) -> Error {
    let full = matches!(&error, ZipError::Io(error) if error.kind() == ErrorKind::OutOfMemory);
    Error::new(
        if full {
            ErrorCode::OutOfMemory
        } else {
            ErrorCode::BadOption
        },
        format!("cannot write the {format} file: {error}"),
        "use fewer or smaller layers",
    )
}
