//! What the worker's functions throw when the engine calls them.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Promise, Reflect};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::values::{JsResult, error_to_js};
use crate::{Error, ErrorCode, Result};

/// What a function of the worker threw. The call in which it did stops there and fails with just
/// that: an [`Error`] has no room for codes and fields that only the package knows.
#[derive(Debug, Clone, Default)]
pub struct Thrown(Rc<RefCell<Option<JsValue>>>);

impl Thrown {
    /// Awaits the promise that a function may have returned.
    pub async fn settled(&self, answer: JsResult) -> Result<JsValue> {
        let settled = match answer {
            Ok(answer) => JsFuture::from(Promise::resolve(&answer)).await,
            Err(thrown) => Err(thrown),
        };
        settled.map_err(|thrown| {
            let error = Error::new(ErrorCode::Io, message_of(&thrown), "");
            self.0.replace(Some(thrown));
            error
        })
    }

    /// What to throw for `error`: what was thrown, if anything was.
    pub fn or(&self, error: Error) -> JsValue {
        self.0.take().unwrap_or_else(|| error_to_js(error))
    }
}

/// The message of something that was thrown.
pub fn message_of(thrown: &JsValue) -> String {
    let message = Reflect::get(thrown, &"message".into()).unwrap_or_default();
    message.as_string().unwrap_or_else(|| format!("{thrown:?}"))
}
