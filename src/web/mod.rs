//! The surface that JavaScript calls.
//!
//! This is the only folder that names wasm-bindgen, js-sys or web-sys. The npm package's worker is
//! its one caller: what the package promises to pages is written there, in TypeScript.

mod convert;
mod engine;
mod pack;
mod scene;

use wasm_bindgen::prelude::wasm_bindgen;

pub use engine::WasmEngine;
pub use pack::pack_files;
pub use scene::WasmScene;

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Runs once when the module is instantiated. Panics become readable console messages; the worker
/// turns the trap into an error.
#[wasm_bindgen(start)]
fn start() {
    // SAFETY: nothing has run before. Where nobody calls the constructors (CubeCL registers its
    // kernels in some), the linker makes every export run all of them at every call, which took
    // half of all time.
    unsafe { __wasm_call_ctors() };
    console_error_panic_hook::set_once();
}
