//! Requests, events, layers and latents on their way between Rust and JavaScript.

use js_sys::{Array, Float32Array, Reflect, Uint8Array};
use serde::Deserialize;
use wasm_bindgen::{JsCast, JsValue};

use super::values::{error_to_js, object, picture_from_js, picture_to_js, set};
use crate::pack::Lora;
use crate::pipeline::{Control, Event, Init, Latent, Layer, Mode, Request};
use crate::weights::HostTensor;
use crate::{Error, ErrorCode, Result};

/// The error of a request whose latent is kept, because only decoding it failed.
pub fn error_with_latent(error: &Error, latent: &Latent) -> JsValue {
    let value = error_to_js(error);
    set(&value, "latent", latent_to_js(latent));
    value
}

/// The error behind what a callback of the page rejected with.
pub fn error_from_js(value: &JsValue) -> Error {
    let text = |name: &str| {
        let property = Reflect::get(value, &name.into()).ok()?;
        property.as_string()
    };
    let name = text("code").unwrap_or_default();
    let code = ErrorCode::ALL
        .iter()
        .copied()
        .find(|code| code.as_str() == name)
        .unwrap_or(ErrorCode::Io);
    let message = text("message").unwrap_or_else(|| format!("{value:?}"));
    Error::new(code, message, text("hint").unwrap_or_default())
}

/// The bytes that reading `file` gave.
pub fn bytes_from_js(file: &str, value: JsValue) -> Result<Vec<u8>> {
    let bytes = value.dyn_into::<Uint8Array>().map_err(|_| {
        Error::new(
            ErrorCode::Io,
            format!("reading {file} gave no Uint8Array"),
            "a ModelSource's read must resolve to bytes",
        )
    })?;
    Ok(bytes.to_vec())
}

/// The event object that `report` is called with.
pub fn event_to_js(event: &Event) -> JsValue {
    match event {
        Event::Loading {
            loaded_bytes,
            total_bytes,
        } => object([
            ("phase", "loading".into()),
            ("loadedBytes", (*loaded_bytes as f64).into()),
            ("totalBytes", (*total_bytes as f64).into()),
        ]),
        Event::Encoding => object([("phase", "encoding".into())]),
        Event::Denoising {
            step,
            steps,
            preview,
        } => object([
            ("phase", "denoising".into()),
            ("step", (*step as f64).into()),
            ("steps", (*steps as f64).into()),
            (
                "preview",
                preview.as_ref().map_or(JsValue::UNDEFINED, picture_to_js),
            ),
        ]),
        Event::Decoding { pass, passes } => object([
            ("phase", "decoding".into()),
            ("pass", (*pass as f64).into()),
            ("passes", (*passes as f64).into()),
        ]),
    }
}

/// Layers as pictures with role and seed.
pub fn layers_to_js(layers: &[Layer]) -> JsValue {
    let array = Array::new();
    for layer in layers {
        let value = picture_to_js(&layer.picture);
        set(&value, "role", layer.role.as_str().into());
        set(&value, "seed", (layer.seed as f64).into());
        array.push(&value);
    }
    array.into()
}

/// A latent as a plain object.
pub fn latent_to_js(latent: &Latent) -> JsValue {
    let axis = |index: usize| {
        latent
            .values
            .shape
            .get(index)
            .map_or(0.0, |size| *size as f64)
    };
    object([
        (
            "data",
            Float32Array::from(latent.values.data.as_slice()).into(),
        ),
        ("frames", axis(0).into()),
        ("height", axis(2).into()),
        ("width", axis(3).into()),
        ("mode", latent.mode.as_str().into()),
        ("seed", (latent.seed as f64).into()),
    ])
}

/// The reverse of [`latent_to_js`].
pub fn latent_from_js(value: JsValue) -> Result<Latent> {
    #[derive(Deserialize)]
    struct Fields {
        data: Vec<f32>,
        frames: usize,
        height: usize,
        width: usize,
        mode: String,
        #[serde(default)]
        seed: u64,
    }
    let wrong = |reason: String| {
        let hint = "pass one that glassine made";
        Error::new(
            ErrorCode::BadImage,
            format!("the latent is not usable: {reason}"),
            hint,
        )
    };
    let fields: Fields =
        serde_wasm_bindgen::from_value(value).map_err(|error| wrong(error.to_string()))?;
    let shape = [fields.frames, 4, fields.height, fields.width];
    let length = shape
        .iter()
        .try_fold(1usize, |product, size| product.checked_mul(*size));
    if length != Some(fields.data.len()) {
        return Err(wrong(format!(
            "{} values for shape {shape:?}",
            fields.data.len()
        )));
    }
    Ok(Latent {
        values: HostTensor::new(shape, fields.data),
        mode: fields.mode.parse()?,
        seed: fields.seed,
    })
}

/// A LoRA from `{name, bytes, strength}`.
pub fn lora_from_js(value: &JsValue) -> Result<Lora> {
    let property = |name: &str| Reflect::get(value, &name.into()).unwrap_or_default();
    let name = property("name").as_string().unwrap_or_default();
    let bytes = bytes_from_js(&name, property("bytes"))?;
    let strength = property("strength").as_f64().unwrap_or(1.0);
    Lora::from_bytes(&name, bytes, strength as f32)
}

/// A request from the options object of `engine.generate`.
pub fn request_from_js(value: JsValue) -> Result<Request> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Fields {
        prompt: String,
        negative_prompt: Option<String>,
        foreground_prompt: Option<String>,
        background_prompt: Option<String>,
        blended_prompt: Option<String>,
        #[serde(default, with = "serde_wasm_bindgen::preserve")]
        foreground: JsValue,
        #[serde(default, with = "serde_wasm_bindgen::preserve")]
        background: JsValue,
        #[serde(default, with = "serde_wasm_bindgen::preserve")]
        init: JsValue,
        #[serde(default, with = "serde_wasm_bindgen::preserve")]
        control: JsValue,
        control_scale: Option<f32>,
        control_start: Option<f64>,
        control_end: Option<f64>,
        fit: Option<bool>,
        strength: Option<f64>,
        mode: Option<String>,
        width: Option<usize>,
        height: Option<usize>,
        steps: Option<usize>,
        guidance: Option<f32>,
        sampler: Option<String>,
        convention: Option<String>,
        seed: Option<u64>,
        noise: Option<Vec<f32>>,
        vae: Option<String>,
        decode_passes: Option<usize>,
        preview_every: Option<usize>,
    }
    let fields: Fields = serde_wasm_bindgen::from_value(value).map_err(|error| {
        Error::new(
            ErrorCode::BadOption,
            format!("the options cannot be used: {error}"),
            "see the documentation of GenerateOptions",
        )
    })?;
    let mut request = Request::new(fields.prompt);
    request.negative_prompt = fields.negative_prompt.unwrap_or_default();
    request.foreground_prompt = fields.foreground_prompt.unwrap_or_default();
    request.background_prompt = fields.background_prompt.unwrap_or_default();
    request.blended_prompt = fields.blended_prompt.unwrap_or_default();
    let picture = |value: &JsValue| match value.is_undefined() || value.is_null() {
        true => Ok(None),
        false => picture_from_js(value).map(Some),
    };
    request.foreground = picture(&fields.foreground)?;
    request.background = picture(&fields.background)?;
    request.init = picture(&fields.init)?.map(Init::Picture);
    request.control = picture(&fields.control)?.map(|picture| {
        let default = Control::new(picture);
        Control {
            scale: fields.control_scale.unwrap_or(default.scale),
            start: fields.control_start.unwrap_or(default.start),
            end: fields.control_end.unwrap_or(default.end),
            ..default
        }
    });
    request.fit = fields.fit.unwrap_or(request.fit);
    request.strength = fields.strength.unwrap_or(request.strength);
    request.mode = fields.mode.map(|mode| mode.parse()).transpose()?;
    request.width = fields.width;
    request.height = fields.height;
    request.steps = fields.steps;
    request.guidance = fields.guidance;
    request.sampler = fields.sampler.map(|name| name.parse()).transpose()?;
    request.convention = fields.convention.map(|name| name.parse()).transpose()?;
    request.seed = fields.seed.unwrap_or(request.seed);
    if let Some(vae) = fields.vae {
        request.vae = vae.parse()?;
    }
    request.decode_passes = fields.decode_passes.unwrap_or(request.decode_passes);
    request.preview_every = fields.preview_every;
    if let Some(noise) = fields.noise {
        let (Some(width), Some(height)) = (fields.width, fields.height) else {
            return Err(Error::new(
                ErrorCode::BadOption,
                "noise was given without a size",
                "give width and height too",
            ));
        };
        let frames = request.mode.unwrap_or(Mode::Single).roles().len();
        let shape = [frames, 4, height / 8, width / 8];
        if noise.len() != shape.iter().product::<usize>() {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!("noise has {} values", noise.len()),
                format!("this size needs shape {shape:?}"),
            ));
        }
        request.noise = Some(HostTensor::new(shape, noise));
    }
    Ok(request)
}
