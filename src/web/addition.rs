use js_sys::Function;
use wasm_bindgen::prelude::wasm_bindgen;

use super::convert::texts_to_js;
use super::files::one_file;
use super::values::{JsResult, error_to_js, object, set};
use crate::pack::{Addition, Manifest};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
import type { RawAddition } from "../internal/shared/protocol.js";
"#;

/// What a file is that is kept beside models; one that is none, or damaged, is refused.
///
/// `read(index, start, end)` gives bytes of it at once; `index` is 0.
#[wasm_bindgen(unchecked_return_type = "RawAddition")]
pub fn inspect_addition(
    name: &str,
    length: f64,
    #[wasm_bindgen(
        unchecked_param_type = "(index: number, start: number, end: number) => Uint8Array"
    )]
    read: Function,
) -> JsResult {
    let (files, path) = one_file(name, length, read);
    let found = Addition::open(&files, &path).map_err(error_to_js)?;
    let Addition {
        kind,
        description,
        sha256,
        hash,
        trigger_words,
        base_model,
        width,
    } = found;
    let value = object([
        ("kind", kind.as_str().into()),
        ("description", description.into()),
        ("sha256", sha256.into()),
        ("hash", hash.into()),
        ("triggerWords", texts_to_js(&trigger_words)),
    ]);
    if let Some(base_model) = base_model {
        set(&value, "baseModel", base_model.into());
    }
    if let Some(width) = width {
        set(&value, "width", (width as f64).into());
    }
    Ok(value)
}

/// Why such a file does not fit the model of that manifest; `undefined` if it does.
#[wasm_bindgen]
pub fn addition_misfit(
    name: &str,
    length: f64,
    #[wasm_bindgen(
        unchecked_param_type = "(index: number, start: number, end: number) => Uint8Array"
    )]
    read: Function,
    manifest: &[u8],
) -> JsResult<Option<String>> {
    let manifest = Manifest::parse(manifest).map_err(error_to_js)?;
    let (files, path) = one_file(name, length, read);
    Ok(Addition::misfit(&files, &path, &manifest))
}
