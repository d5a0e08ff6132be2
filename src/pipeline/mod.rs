//! From a request to transparent layers: text, diffusion, VAE and transparency decoder in turn.

mod batch;
mod conditioning;
mod control;
mod decode;
mod encode;
mod engine;
mod extend;
mod guidance;
mod hires;
mod loras;
mod margins;
mod memory;
mod networks;
mod observer;
mod options;
mod preview;
mod repaint;
mod request;
mod sample;
mod tone;
mod vae_kind;

#[cfg(target_arch = "wasm32")]
pub(crate) use batch::Counted;
pub use control::Control;
pub use decode::{Decoded, Layer};
pub use encode::Encoded;
pub use engine::{Engine, Generation, LoadOptions};
pub use hires::Hires;
pub use margins::Margins;
pub use memory::{MemoryEstimate, estimate_memory};
pub use observer::{Event, NoProgress, Observer};
pub use options::{OptionField, RequestFiles, RequestOptions, needed_by};
pub use repaint::Repaint;
pub use request::{Init, Request, Variation};
pub use sample::{Dump, Latent, Sampled};
pub use vae_kind::VaeKind;

#[cfg(feature = "gpu")]
pub use crate::kernels::gpu_device;
pub use crate::pack::{ControlNetFile, Lora, LoraStrength, Mode, Role};
pub use crate::sampling::{Convention, SamplerName};
pub use crate::text::Embedding;
pub use crate::weights::HostTensor;
