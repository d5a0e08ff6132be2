//! The safetensors format, read lazily and trusted in nothing.
//!
//! A file is an 8-byte little-endian header length, a JSON header and the tensors' bytes. The
//! reader holds the header only and fetches one tensor at a time, so that a checkpoint of several
//! gigabytes costs the memory of its largest tensor.
//!
//! The crate `safetensors` holds offsets as `usize`: in a browser, where that has 32 bits, it
//! refuses the header of every file of more than 4 GiB, as full-precision checkpoints are. So the
//! rules are here, and the crate checks them in the tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use serde::Deserialize;

use super::HostTensor;
use super::files::{Disk, Files, ReadAt};
use crate::{Error, ErrorCode, Result};

/// The reference implementation's cap on the header, which keeps a forged length from allocating.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Element types that glassine reads or writes. Others are listed but cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub enum Dtype {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    BOOL,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::BOOL => 1,
        }
    }

    /// Whether the elements are floating point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }
}

/// What the header says of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Element type.
    pub dtype: Dtype,
    /// Sizes of the axes, outermost first.
    pub shape: Vec<usize>,
    /// First byte, counted from the end of the header.
    start: u64,
    /// One past the last byte, counted from the end of the header.
    end: u64,
}

impl TensorInfo {
    /// Bytes of the tensor in the file.
    pub fn byte_len(&self) -> u64 {
        self.end - self.start
    }
}

#[derive(Deserialize)]
struct RawInfo {
    dtype: Dtype,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// Header of a safetensors file: every tensor's type, shape and place.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub tensors: BTreeMap<String, TensorInfo>,
    /// What the file says of itself.
    metadata: BTreeMap<String, String>,
    /// Where the tensors' bytes start in the file.
    data_start: u64,
}

impl Header {
    /// Parses the bytes between the length field and the data, of a file of `file_len` bytes.
    ///
    /// Holds the format's rules: offsets start at 0, touch, and end with the file, so that nothing
    /// is hidden between or behind the tensors; sizes follow from types and shapes.
    pub fn parse(json: &[u8], file_len: u64) -> std::result::Result<Self, String> {
        let raw: BTreeMap<String, serde_json::Value> = serde_json::from_slice(json)
            .map_err(|error| format!("its header is not JSON ({error})"))?;
        let mut tensors = BTreeMap::new();
        let mut metadata = BTreeMap::new();
        for (name, value) in raw {
            if name == "__metadata__" {
                metadata = texts(value);
                continue;
            }
            let info = parse_info(value).map_err(|reason| format!("tensor {name:?}: {reason}"))?;
            tensors.insert(name, info);
        }
        let data_start = 8 + json.len() as u64;
        check_contiguous(&tensors, file_len.saturating_sub(data_start))?;
        Ok(Self {
            tensors,
            metadata,
            data_start,
        })
    }
}

/// The entries of `__metadata__`. The format wants texts; anything else is no reason to refuse a
/// file, and is left out.
fn texts(metadata: serde_json::Value) -> BTreeMap<String, String> {
    let serde_json::Value::Object(entries) = metadata else {
        return BTreeMap::new();
    };
    let texts = entries
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_str()?.to_string())));
    texts.collect()
}

fn parse_info(value: serde_json::Value) -> std::result::Result<TensorInfo, String> {
    let raw: RawInfo = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let [start, end] = raw.data_offsets;
    let elements = raw
        .shape
        .iter()
        .try_fold(1u64, |product, size| product.checked_mul(*size));
    let bytes = elements.and_then(|count| count.checked_mul(raw.dtype.size() as u64));
    if bytes.is_none() || end.checked_sub(start) != bytes {
        return Err(format!(
            "shape {:?} does not fit byte range {start}..{end}",
            raw.shape
        ));
    }
    let shape = raw.shape.iter().map(|size| usize::try_from(*size));
    Ok(TensorInfo {
        dtype: raw.dtype,
        shape: shape
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| "too large")?,
        start,
        end,
    })
}

fn check_contiguous(
    tensors: &BTreeMap<String, TensorInfo>,
    data_len: u64,
) -> std::result::Result<(), String> {
    let mut ranges: Vec<_> = tensors
        .values()
        .map(|info| (info.start, info.end))
        .collect();
    ranges.sort_unstable();
    let mut position = 0;
    for (start, end) in ranges {
        if start != position {
            return Err(format!(
                "its tensors overlap or leave a gap at byte {position}"
            ));
        }
        position = end;
    }
    if position != data_len {
        return Err(format!(
            "it should hold {position} bytes of tensors but holds {data_len}"
        ));
    }
    Ok(())
}

/// The header's length, from the first eight bytes of a file of `file_len` bytes.
pub(crate) fn header_length(prefix: [u8; 8], file_len: u64) -> std::result::Result<u64, String> {
    let length = u64::from_le_bytes(prefix);
    if length > MAX_HEADER_BYTES || length.checked_add(8).is_none_or(|end| end > file_len) {
        return Err("its header is longer than the file or than 100 MB".into());
    }
    Ok(length)
}

/// A safetensors file, read one tensor at a time.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    file: Box<dyn ReadAt>,
    header: Header,
}

impl SafetensorsFile {
    /// Opens `path` on disk and checks its header.
    ///
    /// # Errors
    /// `model_not_found` if there is no such file, `model_damaged` if it breaks the format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_in(&Disk, path.as_ref())
    }

    /// As [`SafetensorsFile::open`], among `files`.
    pub fn open_in(files: &dyn Files, path: &Path) -> Result<Self> {
        let path = path.to_path_buf();
        let mut file = files.open(&path).map_err(|error| {
            Error::new(
                ErrorCode::ModelNotFound,
                format!("cannot open {}", path.display()),
                error.to_string(),
            )
        })?;
        let header = read_header(file.as_mut()).map_err(|reason| damaged(&path, &reason))?;
        Ok(Self { path, file, header })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tensors by name, in alphabetical order.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.header.tensors
    }

    /// What the file says of itself, by name.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.header.metadata
    }

    /// Bytes of all tensors together.
    pub fn tensor_bytes(&self) -> u64 {
        self.header.tensors.values().map(TensorInfo::byte_len).sum()
    }

    /// The bytes of tensor `name` as they stand in the file.
    pub fn read_bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        let info = self
            .header
            .tensors
            .get(name)
            .ok_or_else(|| damaged(&self.path, &format!("it has no tensor {name:?}")))?;
        let length = usize::try_from(info.byte_len())
            .map_err(|_| damaged(&self.path, &format!("tensor {name:?} is too large")))?;
        let mut bytes = vec![0; length];
        self.file
            .read_at(self.header.data_start + info.start, &mut bytes)
            .map_err(|error| damaged(&self.path, &error.to_string()))?;
        Ok(bytes)
    }

    /// Tensor `name`, which must hold values, widened or narrowed to `f32`.
    pub fn read(&mut self, name: &str) -> Result<HostTensor> {
        let bytes = self.read_bytes(name)?;
        let info = &self.header.tensors[name];
        if bytes.is_empty() {
            return Err(damaged(&self.path, &format!("tensor {name:?} is empty")));
        }
        let data = decode_f32(info.dtype, &bytes).ok_or_else(|| {
            damaged(
                &self.path,
                &format!("tensor {name:?} is not of floating point type"),
            )
        })?;
        Ok(HostTensor::new(info.shape.clone(), data))
    }
}

fn read_header(file: &mut dyn ReadAt) -> std::result::Result<Header, String> {
    let to_text = |error: std::io::Error| error.to_string();
    let file_len = file.length().map_err(to_text)?;
    let mut prefix = [0; 8];
    file.read_at(0, &mut prefix)
        .map_err(|_| "it is shorter than eight bytes".to_string())?;
    let mut json = vec![0; header_length(prefix, file_len)? as usize];
    file.read_at(8, &mut json).map_err(to_text)?;
    Header::parse(&json, file_len)
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::new(
        ErrorCode::ModelDamaged,
        format!("{} is not a sound safetensors file", path.display()),
        format!("{reason}; fetch it again"),
    )
}

/// Little-endian elements of a floating point type as `f32`; `None` for other types.
pub(crate) fn decode_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let (chunks, _) = bytes.as_chunks::<N>();
        chunks.iter().map(|chunk| convert(*chunk)).collect()
    }
    Some(match dtype {
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        _ => return None,
    })
}

/// A whole safetensors file in memory: its tensors' headers, and each one's bytes.
pub(crate) struct SafetensorsBytes<'a> {
    header: Header,
    bytes: &'a [u8],
}

impl<'a> SafetensorsBytes<'a> {
    pub fn parse(bytes: &'a [u8]) -> std::result::Result<Self, String> {
        let prefix = bytes
            .first_chunk::<8>()
            .ok_or("it is shorter than eight bytes")?;
        let length = header_length(*prefix, bytes.len() as u64)? as usize;
        let header = Header::parse(&bytes[8..8 + length], bytes.len() as u64)?;
        Ok(Self { header, bytes })
    }

    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo, &'a [u8])> {
        self.header.tensors.iter().map(|(name, info)| {
            let start = (self.header.data_start + info.start) as usize;
            let end = (self.header.data_start + info.end) as usize;
            (name.as_str(), info, &self.bytes[start..end])
        })
    }
}

/// A safetensors file over `tensors` (name, type, shape, bytes), which keep their order.
pub fn write_safetensors(tensors: &[(String, Dtype, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut position = 0;
    for (name, dtype, shape, bytes) in tensors {
        let end = position + bytes.len();
        header.insert(
            name.clone(),
            serde_json::json!({
                "dtype": format!("{dtype:?}"), "shape": shape, "data_offsets": [position, end]
            }),
        );
        position = end;
    }
    let mut json = serde_json::Value::Object(header).to_string().into_bytes();
    // Padding the header with spaces aligns the data, which readers that map files rely on.
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut file = Vec::with_capacity(8 + json.len() + position);
    file.extend((json.len() as u64).to_le_bytes());
    file.extend(json);
    for (_, _, _, bytes) in tensors {
        file.extend(bytes);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with this header over `data` bytes.
    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    #[test]
    fn the_crate_safetensors_accepts_and_refuses_the_same_headers() {
        let tensor = |start: u64, end: u64, shape: &str| {
            format!(r#"{{"dtype":"F16","shape":{shape},"data_offsets":[{start},{end}]}}"#)
        };
        let (first, second) = (tensor(0, 4, "[2]"), tensor(4, 12, "[2,2]"));
        let headers = [
            (true, format!(r#"{{"a":{first},"b":{second}}}"#)),
            (true, format!(r#"{{"b":{second},"a":{first}}}"#)),
            (
                true,
                format!(r#"{{"__metadata__":{{"x":"y"}},"a":{first},"b":{second}}}   "#),
            ),
            (false, format!(r#"{{"a":{first}}}"#)),
            (
                false,
                format!(r#"{{"a":{first},"b":{}}}"#, tensor(3, 11, "[2,2]")),
            ),
            (
                false,
                format!(r#"{{"a":{first},"b":{}}}"#, tensor(5, 13, "[2,2]")),
            ),
            (
                false,
                format!(r#"{{"a":{first},"b":{}}}"#, tensor(4, 12, "[2,3]")),
            ),
            (
                false,
                format!(r#"{{"a":{first},"b":{}}}"#, tensor(12, 4, "[2,2]")),
            ),
            (
                false,
                format!(
                    r#"{{"a":{first},"b":{}}}"#,
                    tensor(4, 12, "[18446744073709551615,2]")
                ),
            ),
            (
                false,
                format!(r#"{{"a":{first},"b":{}}}"#, second.replace("F16", "F99")),
            ),
            (false, format!(r#"{{"a":{first},"b":{second}"#)),
        ];
        for (valid, header) in headers {
            let bytes = file(&header, 12);
            assert_eq!(SafetensorsBytes::parse(&bytes).is_ok(), valid, "{header}");
            assert_eq!(
                safetensors::SafeTensors::deserialize(&bytes).is_ok(),
                valid,
                "{header}"
            );
        }
    }
}
