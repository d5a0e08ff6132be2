//! SHA-256 by the browser, which has the processor's instructions for it.

use js_sys::{Array, Function, Promise, Reflect, Uint8Array, global};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use super::values::JsResult;
use crate::weights::hash;

/// The SHA-256 of `bytes` in hexadecimal digits. A page that is not secure has no browser's, and takes the module's own.
pub async fn sha256(bytes: &[u8]) -> String {
    match digest(bytes).await {
        Ok(digest) => hash::hex(&Uint8Array::new(&digest).to_vec()),
        Err(_) => hash::sha256(bytes),
    }
}

async fn digest(bytes: &[u8]) -> JsResult {
    let crypto = Reflect::get(&global(), &"crypto".into())?;
    let subtle = Reflect::get(&crypto, &"subtle".into())?;
    let digest: Function = Reflect::get(&subtle, &"digest".into())?.dyn_into()?;
    let arguments = Array::of2(&"SHA-256".into(), &Uint8Array::from(bytes));
    let promise: Promise = digest.apply(&subtle, &arguments)?.dyn_into()?;
    JsFuture::from(promise).await
}
