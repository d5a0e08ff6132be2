//! Checkpoints, packs and the tensors inside them.
//!
//! [`Packer`] turns somebody's checkpoint into a pack, one tensor at a time; [`Pack`] reads a
//! pack back, one shard at a time, onto a device. Both speak safetensors.

mod adapter;
mod checkpoint;
mod control_net;
mod files;
mod folder;
mod host;
mod inspect;
mod lora;
mod manifest;
mod on_device;
mod pack;
mod packer;
mod preview;
mod quantize;
mod recipe;
mod safetensors;
mod single_file;
mod weight;

pub use adapter::AdapterKind;
pub use checkpoint::{Checkpoint, Component};
pub use files::{Disk, Files, InMemory, ReadAt};
pub use folder::{FolderSource, pack_folder};
pub use host::HostTensor;
pub use inspect::inspect;
pub use lora::Lora;
pub use manifest::{MANIFEST_FILE, Manifest, Precision, ShardEntry, StoredType, TensorEntry};
pub use on_device::{Part, Weights};
pub use pack::{LoadEvent, Pack, PackSource, PackStore};
pub use packer::{PackOptions, Packer};
pub use quantize::{Quantization, Quantized, dequantize, quantize};
pub use safetensors::{Dtype, SafetensorsFile, TensorInfo, write_safetensors};
pub use weight::{Table, Weight};
