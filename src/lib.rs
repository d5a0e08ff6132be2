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
//! [`pipeline`] generates, [`pack`] turns checkpoints into packs and reads them, [`compose`] puts
//! layers together and [`image`] is the pictures' own type. The folders behind them follow the
//! paper: `text`, `unet` and `vae` are the base model, `sampling` runs the diffusion and
//! `transparency` is latent transparency (section 3.1 of the paper).
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
mod error;
pub mod image;
#[cfg(feature = "diffusion")]
mod kernels;
mod lanes;
mod memory;
mod named;
#[cfg(feature = "diffusion")]
mod nn;
#[cfg(feature = "diffusion")]
pub mod pack;
#[cfg(feature = "diffusion")]
pub mod pipeline;
#[cfg(feature = "diffusion")]
mod sampling;
mod tags;
#[cfg(feature = "diffusion")]
mod text;
#[cfg(feature = "diffusion")]
mod transparency;
#[cfg(feature = "diffusion")]
mod unet;
#[cfg(feature = "diffusion")]
mod vae;
#[cfg(target_arch = "wasm32")]
mod web;
#[cfg(feature = "diffusion")]
mod weights;

pub use error::{Error, ErrorCode, Result};

/// The parts that the crate's own tests, benchmarks and binary reach into. Not covered by
/// semantic versioning.
#[cfg(feature = "diffusion")]
#[doc(hidden)]
pub mod internals {
    macro_rules! expose {
        ($($module:ident),*) => {
            $(pub mod $module {
                pub use crate::$module::*;
            })*
        };
    }
    #[cfg(feature = "gpu")]
    expose!(kernels);
    expose!(nn, sampling, text, transparency, unet, vae, weights);
}
