//! Files that a fuzzer writes as text.
//!
//! An input is a list of sections, separated by zero bytes. Of a safetensors file it lists the tensors
//! alone: header and bytes are made from that, so that mutations do not end at the first check of the
//! format. The target `safetensors` takes whole files, damaged ones too.

pub mod tiny;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use glassine::image::Picture;
use glassine::pack::{Files, InMemory, ReadAt};
use glassine::pack::{PackSource, PackStore};
use glassine::{Error, ErrorCode, Result};
use serde_json::{Value, json};

/// More bytes of tensors than this are not made up for a header.
const MAX_TENSOR_BYTES: u64 = 1 << 20;

/// The sections of an input.
pub fn sections(input: &str) -> impl Iterator<Item = &str> {
    input.split('\0')
}

/// A safetensors file with the tensors and the metadata that the lines of `list` say: a name, a type and
/// axes between commas, or `#`, a key and a value. Whatever the axes are, the header is sound.
pub fn safetensors(list: &str) -> Vec<u8> {
    let mut entries = serde_json::Map::new();
    let mut metadata = serde_json::Map::new();
    let mut end = 0u64;
    for line in list.lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        if let Some(key) = name.strip_prefix('#') {
            let value = words.collect::<Vec<_>>().join(" ");
            metadata.insert(key.into(), value.into());
            continue;
        }
        let dtype = words.next().unwrap_or_default();
        let axes = words.next().unwrap_or_default().split(',');
        let shape: Vec<u64> = axes.filter_map(|axis| axis.parse().ok()).collect();
        let size = match dtype {
            "F64" | "I64" => 8,
            "F32" => 4,
            "F16" | "BF16" => 2,
            _ => 1,
        };
        let length = shape
            .iter()
            .try_fold(size, |length: u64, axis| length.checked_mul(*axis));
        let Some(next) = length.and_then(|length| end.checked_add(length)) else {
            continue;
        };
        if next > MAX_TENSOR_BYTES || entries.contains_key(name) {
            continue;
        }
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [end, next] });
        entries.insert(name.into(), entry);
        end = next;
    }
    if !metadata.is_empty() {
        entries.insert("__metadata__".into(), metadata.into());
    }
    let header = Value::Object(entries).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    // Bytes below 64 make no float above 2, and no NaN, at which packing would stop.
    file.extend((0..end).map(|index| (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as u8));
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

/// A picture whose size depends on its path; one in sixteen breaks the rules of [`Picture`].
pub fn scene_picture(path: &str) -> Picture {
    let hash = path.bytes().fold(0, |hash: usize, byte| {
        (hash * 31 + usize::from(byte)) % 65_521
    });
    let (width, height) = (1 + hash % 7, 1 + hash / 7 % 5);
    let length = if hash % 16 == 5 {
        3
    } else {
        4 * width * height
    };
    Picture {
        width,
        height,
        rgba: (0..length).map(|index| (index * 37 + hash) as u8).collect(),
    }
}
