//! Checkpoints and packs.
//!
//! [`Packer`] turns somebody's checkpoint into a pack, one tensor at a time; [`Pack`] reads a
//! pack back, one shard at a time, onto a device. Both speak safetensors.

mod adapter;
mod addition;
mod architecture;
mod checkpoint;
mod component;
mod control_net;
mod diffusers_folder;
mod family;
mod folder;
mod inspect;
mod kind;
mod latent_rgb;
mod lora;
mod lora_updates;
mod manifest;
mod mode;
mod packer;
mod precision_policy;
mod reader;
mod single_file;
mod stored_tensor;
mod tensor_source;
mod training_notes;

pub use adapter::AdapterKind;
pub use addition::{Addition, AdditionKind};
pub use checkpoint::Checkpoint;
pub use component::Component;
pub use control_net::ControlNetFile;
pub(crate) use control_net::{CONTROL_NET, is_control_net};
pub use folder::{FolderSource, pack_folder};
pub use inspect::inspect;
pub use lora::{Lora, LoraStrength};
pub(crate) use manifest::check_decode_passes;
pub use manifest::{MANIFEST_FILE, Manifest, Precision, ShardEntry};
pub use mode::{Mode, Role};
pub use packer::{PackOptions, Packer};
pub use reader::{LoadEvent, Pack, PackSource, PackStore};

pub use crate::weights::{Disk, Files, InMemory, ReadAt};
