//! The surface that JavaScript calls.
//!
//! This is the only folder that names wasm-bindgen, js-sys or web-sys. The npm package's worker is
//! its one caller: what the package promises to pages is written there, in TypeScript.

mod convert;
mod engine;

use wasm_bindgen::prelude::wasm_bindgen;

pub use engine::WasmEngine;

/// Turns panics into readable console messages; the worker turns the trap into an error.
#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}
