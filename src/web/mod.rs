//! The surface that JavaScript calls.
//!
//! This is the only folder that names wasm-bindgen, js-sys or web-sys. The npm package's worker is
//! its one caller: what the package promises to pages is written there, in TypeScript.
//!
//! It is built twice: with the feature `diffusion` it is the engine, without it the small module that
//! composites scenes and encodes PNG.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[cfg(feature = "bench")]
mod bench;
#[cfg(feature = "diffusion")]
mod convert;
#[cfg(feature = "diffusion")]
mod engine;
#[cfg(feature = "diffusion")]
mod pack;
#[cfg(not(feature = "diffusion"))]
mod scene;
mod values;

use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(feature = "bench")]
pub use bench::{BenchDevice, BenchRun, pack_tensors, prompt_tokens, seeded_noise, stored_values};
#[cfg(feature = "diffusion")]
pub use engine::{WasmEngine, estimate_gpu_memory};
#[cfg(feature = "diffusion")]
pub use pack::pack_files;
#[cfg(not(feature = "diffusion"))]
pub use scene::{WasmScene, encode_png};

#[allow(unsafe_code)]
unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Runs once when the module is instantiated. Panics become readable console messages; the worker
/// turns the trap into an error.
#[wasm_bindgen(start)]
#[allow(unsafe_code)]
fn start() {
    // SAFETY: nothing has run before. Where nobody calls the constructors (CubeCL registers its
    // kernels in some), the linker makes every export run all of them at every call, which took
    // half of all time.
    unsafe { __wasm_call_ctors() };
    console_error_panic_hook::set_once();
}
