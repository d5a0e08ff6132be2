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
use std::fmt;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::HostTensor;
use super::disguise::{self, BEGINNING};
use super::files::{self, Disk, Files, ReadAt};
use super::hash::sha256_from;
use crate::{Error, ErrorCode, Result, memory};

/// The reference implementation's cap on the header, which keeps a forged length from allocating.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Element types that files may have. Those that [`Dtype::is_float`] does not count are listed and not
/// read as values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, non_camel_case_types)]
pub enum Dtype {
    F64,
    F32,
    F16,
    BF16,
    F8_E4M3,
    F8_E5M2,
    F8_E4M3FNUZ,
    F8_E5M2FNUZ,
    F8_E8M0,
    C64,
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
            Self::F64 | Self::C64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::F8_E4M3 | Self::F8_E5M2 | Self::F8_E4M3FNUZ | Self::F8_E5M2FNUZ => 1,
            Self::F8_E8M0 | Self::I8 | Self::U8 | Self::BOOL => 1,
        }
    }

    /// Whether the elements are floating point numbers that are read.
    pub fn is_float(self) -> bool {
        matches!(
            self,
            Self::F64 | Self::F32 | Self::F16 | Self::BF16 | Self::F8_E4M3 | Self::F8_E5M2
        )
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
    /// Of values that lie one behind the other.
    pub(super) fn packed(dtype: Dtype, shape: Vec<usize>) -> Self {
        let count = shape.iter().product::<usize>() as u64;
        Self {
            dtype,
            shape,
            start: 0,
            end: count * dtype.size() as u64,
        }
    }

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
    /// Holds the format's rules: no name stands there twice; offsets start at 0, touch, and end with
    /// the file, so that nothing is hidden between or behind the tensors; sizes follow from types and
    /// shapes.
    pub fn parse(json: &[u8], file_len: u64) -> std::result::Result<Self, String> {
        let RawHeader { tensors, metadata } = serde_json::from_slice(json)
            .map_err(|error| format!("its header is wrong ({error})"))?;
        let data_start = 8 + json.len() as u64;
        check_contiguous(&tensors, file_len.saturating_sub(data_start))?;
        Ok(Self {
            tensors,
            metadata,
            data_start,
        })
    }
}

/// The entries of a header, each read as it comes: a header of 100 MB is not held as JSON as well.
#[derive(Default)]
struct RawHeader {
    tensors: BTreeMap<String, TensorInfo>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = RawHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut entries: A,
    ) -> std::result::Result<RawHeader, A::Error> {
        let mut header = RawHeader::default();
        let mut has_metadata = false;
        while let Some(name) = entries.next_key::<String>()? {
            let is_first = if name == "__metadata__" {
                header.metadata = texts(entries.next_value()?);
                !std::mem::replace(&mut has_metadata, true)
            } else {
                let info = entries.next_value::<RawInfo>().and_then(|raw| {
                    parse_info(raw).map_err(|reason| de::Error::custom(reason.to_string()))
                });
                let info =
                    info.map_err(|error| de::Error::custom(format!("tensor {name:?}: {error}")))?;
                header.tensors.insert(name.clone(), info).is_none()
            };
            if !is_first {
                return Err(de::Error::custom(format!("{name:?} stands there twice")));
            }
        }
        Ok(header)
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

fn parse_info(raw: RawInfo) -> std::result::Result<TensorInfo, String> {
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
    match position.cmp(&data_len) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(format!(
            "it is cut short: it should hold {position} bytes of tensors and holds {data_len}"
        )),
        std::cmp::Ordering::Less => Err(format!(
            "it holds {data_len} bytes of tensors and names {position} of them"
        )),
    }
}

/// The header's length, from the first eight bytes of a file of `file_len` bytes.
pub(crate) fn header_length(prefix: [u8; 8], file_len: u64) -> std::result::Result<u64, String> {
    let length = u64::from_le_bytes(prefix);
    if length > MAX_HEADER_BYTES {
        return Err(
            "its header would be longer than 100 MB, so that it is of another format".into(),
        );
    }
    if length + 8 > file_len {
        return Err("it is cut short: it ends within its header".into());
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
        let mut file = files::open(files, &path)?;
        match read_header(file.as_mut()) {
            Ok(header) => Ok(Self { path, file, header }),
            Err(reason) => {
                let beginning = beginning(file.as_mut()).unwrap_or_default();
                let refusal = disguise::refusal(&path, &beginning);
                Err(refusal.unwrap_or_else(|| damaged(&path, &reason)))
            }
        }
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

    /// The SHA-256 of all tensors' bytes as they stand in the file, in hexadecimal digits; with the `whole` file, of
    /// the header, too.
    pub fn sha256(&mut self, whole: bool) -> Result<String> {
        let start = if whole { 0 } else { self.header.data_start };
        let hash = sha256_from(self.file.as_mut(), start);
        hash.map_err(|error| damaged(&self.path, &error.to_string()))
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
        let mut bytes = memory::zeroed(length, &format!("tensor {name:?}"))?;
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
        check_room(name, bytes.len() / info.dtype.size())?;
        let data = decode_f32(info.dtype, &bytes).ok_or_else(|| {
            damaged(
                &self.path,
                &format!("tensor {name:?} is not of floating point type"),
            )
        })?;
        Ok(HostTensor::new(info.shape.clone(), data))
    }
}

/// Whether there is room for a tensor's values, and once more for what is made of them.
pub(super) fn check_room(name: &str, values: usize) -> Result<()> {
    memory::check_room(2 * size_of::<f32>() * values, &format!("tensor {name:?}"))
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

/// The first bytes of a file.
fn beginning(file: &mut dyn ReadAt) -> std::io::Result<Vec<u8>> {
    let length = file.length()?.min(BEGINNING as u64) as usize;
    let mut bytes = vec![0; length];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
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
        Dtype::F8_E4M3 => each(bytes, |[b]| e4m3_to_f32(b)),
        // The upper byte of a half float.
        Dtype::F8_E5M2 => each(bytes, |[b]| f16::from_le_bytes([0, b]).to_f32()),
        _ => return None,
    })
}

/// A float of 4 bits of exponent (bias 7) and 3 of mantissa, without infinities.
fn e4m3_to_f32(byte: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(byte >> 3 & 15), f32::from(byte & 7));
    let size = match (exponent, byte & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * 2f32.powi(-9),
        _ => (1.0 + mantissa / 8.0) * 2f32.powi(exponent - 7),
    };
    if byte < 128 { size } else { -size }
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
            (false, format!(r#" [{{"a":{first},"b":{second}}}]"#)),
            (
                false,
                format!(
                    r#"{{"a":{},"b":{second}}}"#,
                    first.replace("\"shape\"", "\"dtype\":\"F16\",\"shape\"")
                ),
            ),
            (
                true,
                format!(
                    r#"{{"a":{},"b":{second}}}"#,
                    tensor(0, 4, "[4]").replace("F16", "F8_E4M3")
                ),
            ),
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

    #[test]
    fn a_name_that_stands_there_twice_is_refused() {
        let a = r#"{"dtype":"F16","shape":[2],"data_offsets":[0,4]}"#;
        for header in [
            format!(r#"{{"a":{a},"a":{a}}}"#),
            format!(r#"{{"__metadata__":{{}},"a":{a},"__metadata__":{{}}}}"#),
        ] {
            let reason = SafetensorsBytes::parse(&file(&header, 4)).err().unwrap();
            assert!(reason.contains("twice"), "{reason}");
        }
    }

    #[test]
    fn metadata_is_what_a_file_says_of_itself() {
        let header = r#"{"__metadata__":{"ss_v2":"False","n":1}}"#;
        let files = crate::weights::InMemory(file(header, 0));
        let file = SafetensorsFile::open_in(&files, Path::new("a")).unwrap();
        let said: Vec<_> = file.metadata().iter().collect();
        assert_eq!(said, [(&"ss_v2".to_string(), &"False".to_string())]);
    }

    #[test]
    fn floats_of_eight_bits_are_widened() {
        // Zero, the smallest, 1, 1.5, -2, the largest finite number.
        let e4m3 = decode_f32(Dtype::F8_E4M3, &[0, 1, 0x38, 0x3c, 0xc0, 0x7e]);
        assert_eq!(e4m3.unwrap(), [0.0, 2f32.powi(-9), 1.0, 1.5, -2.0, 448.0]);
        let e5m2 = decode_f32(Dtype::F8_E5M2, &[0, 1, 0x3c, 0x3e, 0xc0, 0x7b]);
        assert_eq!(
            e5m2.unwrap(),
            [0.0, 2f32.powi(-16), 1.0, 1.5, -2.0, 57344.0]
        );
        for nan in [0x7f, 0xff] {
            assert!(decode_f32(Dtype::F8_E4M3, &[nan]).unwrap()[0].is_nan());
        }
        assert!(decode_f32(Dtype::F8_E5M2, &[0x7c]).unwrap()[0].is_infinite());
    }
}
