//! Zip archives of strangers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Display;
use std::io::{Cursor, ErrorKind, Read};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::super::inside::inside;
use super::bad_image;
use crate::image::MemoryFile;
use crate::{Error, ErrorCode, Result};

/// The most bytes that are unpacked of an archive, all its entries together.
const MAX_BYTES: u64 = 1 << 30;

/// The most entries of an archive.
const MAX_ENTRIES: usize = 20_000;

/// An archive, its files by their paths.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    files: BTreeMap<String, usize>,
    /// How many bytes may still be unpacked.
    room: u64,
}

impl<'a> Archive<'a> {
    /// Opens an archive whose entries all lie inside of it, each under a path of its own.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        if zip.has_duplicate_names() {
            return Err(bad_image("it has two files of one name", HINT));
        }
        if zip.len() > MAX_ENTRIES {
            let count = zip.len();
            return Err(bad_image(format!("it has {count} files"), HINT));
        }
        let mut files = BTreeMap::new();
        for index in 0..zip.len() {
            let file = zip.by_index_raw(index).map_err(damaged)?;
            let name = file.name().map_err(damaged)?.into_owned();
            let path = inside(&name).ok_or_else(|| {
                bad_image(
                    format!("its file {name:?} would lie outside of it"),
                    "do not unpack it with other programs either",
                )
            })?;
            if file.is_dir() {
                continue;
            }
            match files.entry(path) {
                Entry::Vacant(place) => place.insert(index),
                Entry::Occupied(other) => {
                    let path = other.key();
                    return Err(bad_image(format!("it has two files {path:?}"), HINT));
                }
            };
        }
        Ok(Self {
            zip,
            files,
            room: MAX_BYTES,
        })
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The paths of its files, in alphabetical order.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The bytes of the file `path`; `None` if there is no such file.
    pub(super) fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(&index) = self.files.get(path) else {
            return Ok(None);
        };
        let wrong = |reason: &dyn Display| bad_image(format!("its file {path:?} {reason}"), HINT);
        let file = self.zip.by_index_raw(index).map_err(damaged)?;
        if file.encrypted() {
            return Err(wrong(&"has a password"));
        }
        let (length, checksum) = (file.size(), file.crc32());
        if length > self.room {
            let most = MAX_BYTES >> 20;
            let reason = format!("takes it beyond {most} MiB");
            return Err(wrong(&reason));
        }
        // One more than it is to have, to see whether there are.
        let unpacked = match file.compression() {
            CompressionMethod::Stored => unpack(file.take(length + 1)),
            CompressionMethod::DEFLATE => unpack(DeflateDecoder::new(file).take(length + 1)),
            other => {
                return Err(wrong(&format!(
                    "is compressed in a way that is not read ({other})"
                )));
            }
        };
        let unpacked = unpacked.map_err(|error| match error.kind() {
            ErrorKind::OutOfMemory => Error::new(
                ErrorCode::OutOfMemory,
                format!("there is no memory for its file {path:?}"),
                "use smaller pictures",
            ),
            _ => wrong(&"is damaged"),
        })?;
        let mut crc = Crc::new();
        crc.update(&unpacked);
        if unpacked.len() as u64 != length || crc.sum() != checksum {
            return Err(wrong(&"is damaged"));
        }
        self.room -= length;
        Ok(Some(unpacked))
    }

    /// The text in the file `path`.
    pub(super) fn read_text(&mut self, path: &str) -> Result<String> {
        let bytes = self.read(path)?.unwrap_or_default();
        let text = String::from_utf8(bytes);
        text.map_err(|_| bad_image(format!("its file {path:?} is no text in UTF-8"), HINT))
    }
}

const HINT: &str = "it may be damaged: get or write it anew";

fn damaged(error: impl Display) -> Error {
    bad_image(format!("it is no sound zip archive: {error}"), HINT)
}

fn unpack(mut from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut file = MemoryFile::default();
    std::io::copy(&mut from, &mut file)?;
    Ok(file.into_bytes())
}
