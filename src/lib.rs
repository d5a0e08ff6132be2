//! Transparent image layers, generated natively.
//!
//! Glassine implements "Transparent Image Layer Diffusion using Latent Transparency" (Zhang and
//! Agrawala, ACM TOG 43(4), 2024) on Stable Diffusion 1.5. The same code runs on the command line
//! and, compiled to WebAssembly, in a browser on WebGPU or on the CPU.
//!
//! # Features
//!
//! * `cli` (default): the binary `glassine`, and several threads on the CPU device.
//! * `gpu`: the WebGPU device.
//! * `diffusion`: everything that runs a model. Both of the above need it; without any of them the
//!   crate composites scenes ([`compose`]) and reads and writes pictures ([`image`]).
//!
//! The oldest Rust that builds it is 1.95. On `wasm32-unknown-unknown` it runs on one thread and needs
//! no special headers. The same seed, options and device give the same picture; different devices
//! differ in the last bits of their arithmetic.
//!
//! # Where things are
//!
//! The folders follow the paper: [`text`], [`unet`] and [`vae`] are the base model, [`sampling`]
//! runs the diffusion, [`transparency`] is latent transparency (section 3.1 of the paper) and
//! [`pipeline`] puts them together. [`pack`] turns checkpoints into packs and reads packs.
//!
//! ```no_run
//! # async fn example() -> glassine::Result<()> {
//! use glassine::pipeline::{Engine, NoProgress, Request};
//! use glassine::pack::FolderSource;
//!
//! let device = burn::tensor::Device::flex();
//! let source = FolderSource::new("dreamshaper");
//! let mut engine = Engine::load(source, device, &mut NoProgress).await?;
//! let generation = engine.generate(&Request::new("a red apple"), &mut NoProgress).await?;
//! std::fs::write("apple.png", generation.layers[0].picture.to_png()?).unwrap();
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]
#![deny(unsafe_code)]

pub mod compose;
pub mod error;
pub mod image;
#[cfg(feature = "diffusion")]
pub mod kernels;
mod named;
#[cfg(feature = "diffusion")]
pub mod nn;
#[cfg(feature = "diffusion")]
pub mod pack;
#[cfg(feature = "diffusion")]
pub mod pipeline;
pub mod sampling;
#[cfg(feature = "diffusion")]
pub mod text;
#[cfg(feature = "diffusion")]
pub mod transparency;
#[cfg(feature = "diffusion")]
pub mod unet;
#[cfg(feature = "diffusion")]
pub mod vae;
#[cfg(target_arch = "wasm32")]
pub mod web;
#[cfg(feature = "diffusion")]
pub mod weights;

pub use error::{Error, ErrorCode, Result};
