//! Errors, pictures and bytes on their way between Rust and JavaScript.

use js_sys::{Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::image::Picture;
use crate::{Error, ErrorCode, Result, memory};

/// What an export gives, or the error object that it throws.
pub type JsResult<T = JsValue> = std::result::Result<T, JsValue>;

/// A plain object of these properties.
pub fn object<const N: usize>(properties: [(&str, JsValue); N]) -> JsValue {
    let object = Object::new();
    for (name, value) in properties {
        set(&object, name, value);
    }
    object.into()
}

/// Sets a property of an object that was just made.
pub fn set(object: &JsValue, name: &str, value: JsValue) {
    // Setting a property of a fresh object or error cannot fail.
    let _ = Reflect::set(object, &name.into(), &value);
}

/// An `Error` with the fields that the package's `GlassineError` takes over.
pub fn error_to_js(error: Error) -> JsValue {
    let value = JsValue::from(js_sys::Error::new(&error.message));
    set(&value, "code", error.code.as_str().into());
    set(&value, "hint", error.hint.as_str().into());
    set(&value, "recoverable", error.code.is_recoverable().into());
    value
}

/// A picture as `{width, height, rgba}`.
pub fn picture_to_js(picture: &Picture) -> JsValue {
    object([
        ("width", (picture.width as f64).into()),
        ("height", (picture.height as f64).into()),
        ("rgba", Uint8Array::from(picture.rgba.as_slice()).into()),
    ])
}

/// The bytes of an array of JavaScript's.
///
/// # Errors
/// `out_of_memory`.
pub fn copied(array: &Uint8Array) -> Result<Vec<u8>> {
    let mut bytes = memory::zeroed(array.length() as usize, "what was handed over")?;
    array.copy_to(&mut bytes);
    Ok(bytes)
}

/// A picture: the bytes of a PNG, JPEG or WebP file, or `{width, height, rgba}` of straight bytes.
pub fn picture_from_js(value: &JsValue) -> Result<Picture> {
    if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
        return Picture::from_file(&copied(bytes)?);
    }
    let number = |name: &str| Reflect::get(value, &name.into()).ok()?.as_f64();
    let rgba = Reflect::get(value, &"rgba".into());
    let rgba = rgba
        .ok()
        .and_then(|rgba| rgba.dyn_into::<Uint8Array>().ok());
    if let (Some(width), Some(height), Some(rgba)) = (number("width"), number("height"), rgba) {
        let (width, height, rgba) = (width as usize, height as usize, copied(&rgba)?);
        let length = width
            .checked_mul(height)
            .and_then(|pixels| pixels.checked_mul(4));
        if width > 0 && length == Some(rgba.len()) {
            return Ok(Picture {
                width,
                height,
                rgba,
            });
        }
    }
    Err(Error::new(
        ErrorCode::BadImage,
        "a given picture is not usable",
        "give a Layer, an ImageData, or a Blob of a PNG, JPEG or WebP file",
    ))
}
