//! The surface that JavaScript calls.
//!
//! This is the only folder that names wasm-bindgen, js-sys or web-sys. The npm package's worker is
//! its one caller: what the package promises to pages is written there, in TypeScript.
//!
//! It is built twice: with the feature `diffusion` it is the engine, without it the small module that
//! composites scenes and encodes PNG.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[cfg(feature = "diffusion")]
mod addition;
#[cfg(feature = "bench")]
mod bench;
#[cfg(feature = "diffusion")]
mod convert;
#[cfg(feature = "diffusion")]
mod digest;
#[cfg(feature = "diffusion")]
mod engine;
#[cfg(feature = "diffusion")]
mod files;
#[cfg(feature = "diffusion")]
mod pack;
#[cfg(not(feature = "diffusion"))]
mod scene;
#[cfg(feature = "diffusion")]
mod thrown;
mod values;

use wasm_bindgen::prelude::wasm_bindgen;

#[allow(unsafe_code)]
unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Runs once when the module is instantiated.
#[wasm_bindgen(start)]
#[allow(unsafe_code)]
fn start() {
    // SAFETY: nothing has run before. Where nobody calls the constructors (CubeCL registers its
    // kernels in some), the linker makes every export run all of them at every call, which took
    // half of all time.
    unsafe { __wasm_call_ctors() };
    std::panic::set_hook(Box::new(throw_panic));
}

/// Writes a panic to the console and throws, in place of the trap that would follow, the same kind of error
/// with the panic's reason. The worker makes it the error of the call, and ends.
fn throw_panic(panic: &std::panic::PanicHookInfo) {
    console_error_panic_hook::hook(panic);
    let reason = panic.payload_as_str().unwrap_or("unknown");
    let reason = reason.lines().next().unwrap_or_default();
    wasm_bindgen::throw_val(js_sys::WebAssembly::RuntimeError::new(reason).into())
}
