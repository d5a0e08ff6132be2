//! Tensors: in safetensors files, quantized, in ordinary memory and on a device.
//!
//! [`Weights`] is what modules are built from; a [`Weight`] stays quantized on its device. What turns
//! checkpoints into packs and reads packs is in [`crate::pack`].

mod disguise;
mod entry;
mod files;
pub(crate) mod hash;
pub(crate) mod host;
mod on_device;
mod pickle;
mod quantize;
pub(crate) mod safetensors;
mod tensor_file;
mod torch_file;
mod update;
pub(crate) mod weight;

pub use entry::{RowChunk, StoredType, TensorEntry};
pub use files::{Disk, Files, InMemory, ReadAt};
pub use host::HostTensor;
pub use on_device::Weights;
pub use quantize::{Quantization, Quantized, dequantize, quantize};
pub use safetensors::{Dtype, SafetensorsFile, TensorInfo, write_safetensors};
pub use tensor_file::TensorFile;
pub use torch_file::{TorchFile, TorchTensor};
pub use update::{LayerUpdate, LowRank, SlotLayer, UpdateSlot};
pub use weight::{EmbeddingTable, Weight};
