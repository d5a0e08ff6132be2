use std::collections::BTreeMap;
use std::path::Path;

use super::HostTensor;
use super::files::{Disk, Files};
use super::safetensors::{SafetensorsFile, TensorInfo};
use super::torch_file::TorchFile;
use crate::{Error, ErrorCode, Result};

/// How names of files of PyTorch's end.
const TORCH_ENDINGS: [&str; 4] = ["bin", "ckpt", "pt", "pth"];

/// Around the weights of a checkpoint of PyTorch Lightning's, beside notes on its training.
const STATE: &str = "state_dict.";

/// A file of tensors as people have them: safetensors, or PyTorch's, of which nothing is run. Told by how
/// it begins, or else by its name.
#[derive(Debug)]
pub struct TensorFile {
    source: Source,
    /// Of a file of PyTorch's, by the names that its tensors have here.
    torch: BTreeMap<String, TensorInfo>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug)]
enum Source {
    Safetensors(SafetensorsFile),
    Torch {
        file: TorchFile,
        start: &'static str,
    },
}

impl TensorFile {
    /// Opens `path` on disk and reads what it says of its tensors.
    ///
    /// # Errors
    /// `model_not_found` if there is no such file, `model_damaged` if it breaks its format,
    /// `model_unsupported` if it is a file of PyTorch's with more than tensors in it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_in(&Disk, path.as_ref())
    }

    /// As [`TensorFile::open`], among `files`.
    pub fn open_in(files: &dyn Files, path: &Path) -> Result<Self> {
        if !is_torch(files, path) {
            return Ok(Self {
                source: Source::Safetensors(SafetensorsFile::open_in(files, path)?),
                torch: BTreeMap::new(),
                metadata: BTreeMap::new(),
            });
        }
        let file = TorchFile::open_in(files, path)?;
        let wrapped = file.tensors().keys().any(|name| name.starts_with(STATE));
        let start = if wrapped { STATE } else { "" };
        let own = file.tensors().iter();
        let own = own.filter_map(|(name, tensor)| Some((name.strip_prefix(start)?, tensor)));
        // Those without values, such as counters of a training, are of no use to anybody.
        let own = own.filter(|(_, tensor)| !tensor.shape.contains(&0));
        let torch = own.map(|(name, tensor)| {
            let info = TensorInfo::packed(tensor.dtype, tensor.shape.clone());
            (name.to_string(), info)
        });
        Ok(Self {
            torch: torch.collect(),
            source: Source::Torch { file, start },
            metadata: BTreeMap::new(),
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        match &self.source {
            Source::Safetensors(file) => file.path(),
            Source::Torch { file, .. } => file.path(),
        }
    }

    /// The tensors by name, in alphabetical order.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        match &self.source {
            Source::Safetensors(file) => file.tensors(),
            Source::Torch { .. } => &self.torch,
        }
    }

    /// What a safetensors file says of itself, by name.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        match &self.source {
            Source::Safetensors(file) => file.metadata(),
            Source::Torch { .. } => &self.metadata,
        }
    }

    /// The SHA-256 by which the web UIs know the file, in hexadecimal digits: of a safetensors file's tensors as they
    /// stand there, without its header, or of the `whole` file, as is always that of one of PyTorch's.
    ///
    /// # Errors
    /// `model_damaged` if it cannot be read to its end.
    pub fn sha256(&mut self, whole: bool) -> Result<String> {
        match &mut self.source {
            Source::Safetensors(file) => file.sha256(whole),
            Source::Torch { file, .. } => file.sha256(),
        }
    }

    /// Bytes of all tensors together.
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors().values().map(TensorInfo::byte_len).sum()
    }

    /// The bytes of tensor `name` as they stand in the file.
    pub fn read_bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        match &mut self.source {
            Source::Safetensors(file) => file.read_bytes(name),
            Source::Torch { file, start } => file.read_bytes(&format!("{start}{name}")),
        }
    }

    /// Tensor `name`, which must hold values, widened or narrowed to `f32`.
    ///
    /// # Errors
    /// `model_damaged` if there is no such tensor, or it has no values or none with fractions.
    pub fn read(&mut self, name: &str) -> Result<HostTensor> {
        match &mut self.source {
            Source::Safetensors(file) => file.read(name),
            Source::Torch { file, start } => file.read(&format!("{start}{name}")),
        }
    }

    /// As [`TensorFile::read`], of a tensor that has no NaN and no infinity, which quantization would hide.
    ///
    /// # Errors
    /// `model_damaged` if it has.
    pub fn read_finite(&mut self, name: &str) -> Result<HostTensor> {
        let tensor = self.read(name)?;
        match tensor.is_finite() {
            true => Ok(tensor),
            false => Err(Error::new(
                ErrorCode::ModelDamaged,
                format!(
                    "{} cannot be used: {name} contains NaN or infinity",
                    self.path().display()
                ),
                "the file is damaged or was converted wrongly; fetch it again",
            )),
        }
    }
}

fn is_torch(files: &dyn Files, path: &Path) -> bool {
    let mut beginning = [0; 9];
    let opened = files.open(path);
    let begins = opened.is_ok_and(|mut file| {
        file.read_at(0, &mut beginning).is_ok() && TorchFile::is_one(beginning)
    });
    let ending = path.extension().unwrap_or_default();
    begins || TORCH_ENDINGS.iter().any(|torch| ending == *torch)
}
