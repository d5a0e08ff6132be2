//! Checkpoints, packs and the tensors inside them.
//!
//! [`Packer`] turns somebody's checkpoint into a pack, one tensor at a time; [`Pack`] reads a
//! pack back, one shard at a time, onto a device. Both speak safetensors.

mod adapter;
mod checkpoint;
mod control_net;
mod host;
mod inspect;
mod manifest;
mod on_device;
mod pack;
mod packer;
mod safetensors;
mod single_file;

pub use adapter::AdapterKind;
pub use checkpoint::{Checkpoint, Component};
pub use host::HostTensor;
pub use inspect::inspect;
pub use manifest::{MANIFEST_FILE, Manifest, Precision, ShardEntry, StoredType, TensorEntry};
pub use on_device::Weights;
pub use pack::{FolderSource, LoadEvent, Pack, PackSource};
pub use packer::{PackOptions, Packer};
pub use safetensors::{Dtype, SafetensorsFile, TensorInfo, write_safetensors};
