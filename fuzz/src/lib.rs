//! Files that a fuzzer writes as text.
//!
//! An input is a list of sections, separated by zero bytes. Of a safetensors file it gives the JSON
//! header alone: length and tensors' bytes are added, so that mutations of the header do not end at
//! the first check of the format. The target `safetensors` takes whole files, damaged ones too.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use glassine::pack::{Files, InMemory, ReadAt};
use glassine::pack::{PackSource, PackStore};
use glassine::{Error, ErrorCode, Result};
use serde_json::Value;

/// More bytes of tensors than this are not made up for a header.
const MAX_TENSOR_BYTES: u64 = 1 << 20;

/// The sections of an input.
pub fn sections(input: &str) -> impl Iterator<Item = &str> {
    input.split('\0')
}

/// A safetensors file with this header, and tensors of as many bytes as it asks for.
pub fn safetensors(header: &str) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    let tensors: BTreeMap<String, Value> = serde_json::from_str(header).unwrap_or_default();
    let ends = tensors
        .values()
        .filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    let length = ends.max().unwrap_or(0).min(MAX_TENSOR_BYTES);
    // Bytes below 64 make no float above 2, and no NaN, at which packing would stop.
    file.extend((0..length).map(|index| (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as u8));
    file
}

/// Files in memory, by path.
#[derive(Debug, Default)]
pub struct Folder(pub BTreeMap<PathBuf, Vec<u8>>);

impl Files for Folder {
    fn is_file(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.0
            .keys()
            .any(|file| file != path && file.starts_with(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        let bytes = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(InMemory(bytes.clone())))
    }
}

impl PackSource for Folder {
    async fn read(&self, file: &str) -> Result<Vec<u8>> {
        let bytes = self.0.get(Path::new(file)).cloned();
        bytes.ok_or_else(|| Error::new(ErrorCode::ModelDamaged, format!("{file} is missing"), ""))
    }
}

impl PackStore for Folder {
    async fn write(&mut self, file: &str, bytes: Vec<u8>) -> Result<()> {
        self.0.insert(file.into(), bytes);
        Ok(())
    }
}
