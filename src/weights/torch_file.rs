//! Files that `torch.save` wrote (`.pt`, `.bin`, `.ckpt`), read lazily and trusted in nothing.
//!
//! Newer ones are zip archives of a pickle that describes the tensors and one stored entry for each
//! storage; older ones are a few pickles with the storages behind them. Only the pickles are held,
//! and one tensor at a time is fetched. Nothing in them is run: see [`pickle`](super::pickle).

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use zip::{CompressionMethod, ZipArchive};

use super::HostTensor;
use super::files::{self, Files, ReadAt};
use super::hash::sha256_from;
use super::pickle::{Pickle, RawTensor, Refusal, Value};
use super::safetensors::{Dtype, check_room, decode_f32};
use crate::{Error, ErrorCode, Result, memory};

/// The largest pickle that is read: far above that of any checkpoint.
const MAX_PICKLE_BYTES: u64 = 8 << 20;

/// How a zip archive begins.
const ZIP: [u8; 4] = *b"PK\x03\x04";

/// How a pickle begins, from Python 2.3 on.
const PICKLE: u8 = 0x80;

/// What torch writes first into files that are no archives, as a pickle of its own.
const MAGIC: [u8; 15] = *b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// A tensor of a file: a view of numbers that others may see, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TorchTensor {
    /// Element type.
    pub dtype: Dtype,
    /// Sizes of the axes, outermost first.
    pub shape: Vec<usize>,
    /// Elements from one entry to the next, of each axis.
    pub strides: Vec<u64>,
    /// The file's byte at which the first element stands.
    pub start: u64,
}

/// An open file of PyTorch's, its tensors by the keys of the dictionaries around them, joined with
/// dots.
#[derive(Debug)]
pub struct TorchFile {
    path: PathBuf,
    file: Box<dyn ReadAt>,
    tensors: BTreeMap<String, TorchTensor>,
}

impl TorchFile {
    /// Whether a file that begins with these nine bytes may be one. A safetensors file may begin as a
    /// pickle does, by the length of its header, but goes on with that.
    pub fn is_one(beginning: [u8; 9]) -> bool {
        let is_pickle = matches!(beginning, [PICKLE, 2..=5, ..]) && beginning[8] != b'{';
        beginning.starts_with(&ZIP) || is_pickle
    }

    /// Opens the file at `path` among `files`.
    ///
    /// # Errors
    /// `model_not_found` if there is no such file, `model_damaged` if it breaks the format,
    /// `model_unsupported` if its pickle names anything that tensors do not need.
    pub fn open_in(files: &dyn Files, path: &Path) -> Result<Self> {
        let path = path.to_path_buf();
        let mut file = files::open(files, &path)?;
        let tensors = read_tensors(file.as_mut()).map_err(|refusal| refused(&path, refusal))?;
        Ok(Self {
            path,
            file,
            tensors,
        })
    }

    /// The SHA-256 of the file, in hexadecimal digits.
    pub fn sha256(&mut self) -> Result<String> {
        let hash = sha256_from(self.file.as_mut(), 0);
        hash.map_err(|error| refused(&self.path, Refusal::Damaged(error.to_string())))
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tensors by name, in alphabetical order.
    pub fn tensors(&self) -> &BTreeMap<String, TorchTensor> {
        &self.tensors
    }

    /// The bytes from the first value of tensor `name` to its last.
    ///
    /// # Errors
    /// `model_damaged` if there is no such tensor, or it has no values.
    pub fn read_bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        let tensor = self.tensors.get(name);
        let tensor = tensor.ok_or_else(|| self.wrong(name, "is missing"))?;
        if tensor.shape.contains(&0) {
            return Err(self.wrong(name, "is empty"));
        }
        let axes = tensor.shape.iter().zip(&tensor.strides);
        let last: u64 = axes.map(|(size, stride)| (*size as u64 - 1) * stride).sum();
        let length = (last as usize + 1) * tensor.dtype.size();
        let mut bytes = memory::zeroed(length, &format!("tensor {name:?}"))?;
        let read = self.file.read_at(tensor.start, &mut bytes);
        read.map_err(|error| self.wrong(name, &format!("cannot be read: {error}")))?;
        Ok(bytes)
    }

    fn wrong(&self, name: &str, reason: &str) -> Error {
        let refusal = Refusal::Damaged(format!("tensor {name:?} {reason}"));
        refused(&self.path, refusal)
    }

    /// Tensor `name`, which must hold values, widened or narrowed to `f32`.
    ///
    /// # Errors
    /// As [`TorchFile::read_bytes`], or if its values have no fractions.
    pub fn read(&mut self, name: &str) -> Result<HostTensor> {
        let bytes = self.read_bytes(name)?;
        let wrong = |reason: &str| self.wrong(name, reason);
        let tensor = &self.tensors[name];
        let count: usize = tensor.shape.iter().product();
        check_room(name, count + bytes.len() / tensor.dtype.size())?;
        let axes = || tensor.shape.iter().zip(&tensor.strides);
        let seen = decode_f32(tensor.dtype, &bytes)
            .ok_or_else(|| wrong("is not of floating point type"))?;
        let place = |index: usize| {
            let places = axes().rev().scan(index, |rest, (size, stride)| {
                let along = *rest % size;
                *rest /= size;
                Some(along * *stride as usize)
            });
            places.sum::<usize>()
        };
        let values = (0..count).map(|index| seen[place(index)]);
        Ok(HostTensor::new(tensor.shape.clone(), values.collect()))
    }
}

fn refused(path: &Path, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Damaged(reason) => Error::new(
            ErrorCode::ModelDamaged,
            format!(
                "{} is not a sound file of PyTorch's: {reason}",
                path.display()
            ),
            "fetch it again, or take it as .safetensors",
        ),
        Refusal::Foreign(name) => Error::new(
            ErrorCode::ModelUnsupported,
            format!(
                "{} asks Python for {name}, which is not run",
                path.display()
            ),
            "take the model as .safetensors",
        ),
    }
}

type Tensors = BTreeMap<String, TorchTensor>;

fn read_tensors(file: &mut dyn ReadAt) -> std::result::Result<Tensors, Refusal> {
    let length = file.length().map_err(damaged)?;
    let mut start = vec![0; length.min(MAX_PICKLE_BYTES) as usize];
    if length >= ZIP.len() as u64 {
        file.read_at(0, &mut start[..ZIP.len()]).map_err(damaged)?;
    }
    if start.starts_with(&ZIP) {
        return from_archive(file);
    }
    file.read_at(0, &mut start).map_err(damaged)?;
    from_pickles(file, &start, length)
}

/// Where storages are by their keys: first byte, and bytes.
type Storages = BTreeMap<String, (u64, u64)>;

/// The tensors of a pickle over its storages.
fn placed(
    tensors: Vec<(String, RawTensor)>,
    storages: &Storages,
) -> std::result::Result<Tensors, Refusal> {
    let mut placed = Tensors::new();
    for (name, tensor) in tensors {
        let RawTensor {
            storage,
            offset,
            shape,
            strides,
        } = tensor;
        let size = storage.dtype.size() as u64;
        let (start, bytes) = storages
            .get(&storage.key)
            .ok_or_else(|| damaged(format!("the numbers of {name:?} are missing")))?;
        if storage.count.checked_mul(size) != Some(*bytes) {
            return Err(damaged(format!(
                "the numbers of {name:?} take {bytes} bytes, not {} times {size}",
                storage.count
            )));
        }
        let tensor = TorchTensor {
            dtype: storage.dtype,
            shape,
            strides,
            start: start + offset * size,
        };
        placed.insert(name, tensor);
    }
    Ok(placed)
}

/// An archive: `NAME/data.pkl`, and `NAME/data/KEY` for each storage.
fn from_archive(file: &mut dyn ReadAt) -> std::result::Result<Tensors, Refusal> {
    let length = file.length().map_err(damaged)?;
    let reader = Reader {
        file,
        position: 0,
        length,
    };
    let mut archive = ZipArchive::new(reader).map_err(damaged)?;
    let mut entries = BTreeMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(damaged(format!("{name} in it is compressed or locked")));
        }
        let (start, size) = (entry.data_start(), entry.size());
        let start = start.filter(|start| {
            let end = start.checked_add(size);
            size == entry.compressed_size() && end.is_some_and(|end| end <= length)
        });
        let start = start.ok_or_else(|| damaged(format!("{name} in it has a wrong size")))?;
        entries.insert(name, (index, start, size));
    }
    let pickle = entries
        .keys()
        .find_map(|name| name.strip_suffix("data.pkl"));
    let folder = pickle
        .ok_or_else(|| damaged("it holds no data.pkl"))?
        .to_string();
    let mut text = |name: &str| {
        let Some((index, _, size)) = entries.get(&format!("{folder}{name}")) else {
            return Ok(None);
        };
        if *size > MAX_PICKLE_BYTES {
            return Err(damaged(format!("{name} in it has {size} bytes")));
        }
        let mut bytes = Vec::new();
        let mut entry = archive.by_index(*index).map_err(damaged)?;
        entry.read_to_end(&mut bytes).map_err(damaged)?;
        Ok(Some(bytes))
    };
    if text("byteorder")?.is_some_and(|order| order != b"little") {
        return Err(damaged("its numbers have their bytes in the other order"));
    }
    let (pickle, _) = Pickle::read(&text("data.pkl")?.unwrap_or_default())?;
    let data = format!("{folder}data/");
    let storages = entries.iter().filter_map(|(name, (_, start, size))| {
        let key = name.strip_prefix(&data)?;
        Some((key.to_string(), (*start, *size)))
    });
    placed(pickle.tensors()?, &storages.collect())
}

/// Pickles one after the other: a magic number, a version, the machine, the tensors, the keys of the
/// storages; then each storage, behind its number of elements.
fn from_pickles(
    file: &mut dyn ReadAt,
    start: &[u8],
    length: u64,
) -> std::result::Result<Tensors, Refusal> {
    let mut position = 0;
    let mut next = || -> std::result::Result<Pickle, Refusal> {
        let (pickle, bytes) = Pickle::read(&start[position..])?;
        position += bytes;
        Ok(pickle)
    };
    next()?;
    if !start.starts_with(&MAGIC) {
        return Err(damaged("it is a pickle that torch did not write"));
    }
    for _ in ["version", "machine"] {
        next()?;
    }
    let tensors = next()?.tensors()?;
    let keys = next()?;
    let Value::List(list) = keys.root() else {
        return Err(damaged("the list of its storages is missing"));
    };
    let mut at = position as u64;
    let mut storages = Storages::new();
    for key in list {
        let Value::Text(key) = keys.value(*key) else {
            return Err(damaged("a storage has no name"));
        };
        let used = tensors
            .iter()
            .find(|(_, tensor)| tensor.storage.key == *key);
        let (_, used) = used.ok_or_else(|| damaged(format!("nothing uses storage {key}")))?;
        let mut count = [0; 8];
        file.read_at(at, &mut count).map_err(damaged)?;
        let bytes = u64::from_le_bytes(count).checked_mul(used.storage.dtype.size() as u64);
        at += 8;
        let end = bytes.and_then(|bytes| at.checked_add(bytes));
        let end = end.filter(|end| *end <= length);
        let end = end.ok_or_else(|| damaged(format!("storage {key} is cut short")))?;
        storages.insert(key.clone(), (at, end - at));
        at = end;
    }
    placed(tensors, &storages)
}

fn damaged(reason: impl ToString) -> Refusal {
    Refusal::Damaged(reason.to_string())
}

/// Bytes at any place, as what is read from a place on.
struct Reader<'a> {
    file: &'a mut dyn ReadAt,
    position: u64,
    length: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.position);
        let count = left.min(buffer.len() as u64) as usize;
        self.file.read_at(self.position, &mut buffer[..count])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::End(by) => (self.length, by),
            SeekFrom::Current(by) => (self.position, by),
        };
        let position = base.checked_add_signed(by);
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
