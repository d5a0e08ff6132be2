//! Requests, events, layers and latents on their way between Rust and JavaScript.

use std::collections::BTreeMap;

use js_sys::{Array, Float32Array, Reflect, Uint8Array};
use serde::Deserialize;
use wasm_bindgen::{JsCast, JsValue};

use super::files::one_file;
use super::values::{copied, object, picture_from_js, picture_to_js, set};
use crate::pack::{Lora, LoraStrength};
use crate::pipeline::{
    Control, ControlNetFile, Embedding, Event, Latent, Layer, Request, RequestFiles, RequestOptions,
};
use crate::weights::HostTensor;
use crate::{Error, ErrorCode, Result};

/// Adds to the error of a request its latent, which is kept because only decoding it failed.
pub fn with_latent(error: JsValue, latent: &Latent) -> JsValue {
    set(&error, "latent", latent_to_js(latent));
    error
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
    copied(&bytes)
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

/// A LoRA from `{file, bytes, name, hash, strength, textEncoderStrength}`, with or without a name and a hash.
pub fn lora_from_js(value: &JsValue) -> Result<Lora> {
    let property = |name: &str| Reflect::get(value, &name.into()).unwrap_or_default();
    let number = |name: &str| property(name).as_f64().unwrap_or(1.0) as f32;
    let file = property("file").as_string().unwrap_or_default();
    let bytes = bytes_from_js(&file, property("bytes"))?;
    let lora = Lora::from_bytes(&file, bytes, 1.0)?.with_strength(LoraStrength {
        unet: number("strength"),
        text_encoder: number("textEncoderStrength"),
    });
    let lora = match property("name").as_string() {
        Some(name) => lora.with_name(name),
        None => lora,
    };
    Ok(match property("hash").as_string() {
        Some(hash) => lora.wanting(&hash),
        None => lora,
    })
}

/// LoRAs as `{name, strength, textEncoderStrength, hash}`, the third where it is not the second.
///
/// # Errors
/// As [`Lora::hash`].
pub fn loras_to_js(loras: &[Lora]) -> Result<JsValue> {
    let array = Array::new();
    for lora in loras {
        let LoraStrength { unet, text_encoder } = lora.strength();
        let value = object([
            ("name", lora.name().into()),
            ("strength", shortest(unet).into()),
        ]);
        if text_encoder != unet {
            set(&value, "textEncoderStrength", shortest(text_encoder).into());
        }
        set(&value, "hash", lora.hash()?.into());
        array.push(&value);
    }
    Ok(array.into())
}

/// The number that is written with the fewest digits and is read as `value`.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// An embedding from `{file, bytes, name}`, the first and last of which are texts.
fn embedding_from_js(value: &JsValue) -> Result<Embedding> {
    let property = |name: &str| Reflect::get(value, &name.into()).unwrap_or_default();
    let file = property("file").as_string().unwrap_or_default();
    let bytes = bytes_from_js(&file, property("bytes"))?;
    Embedding::from_bytes(&file, bytes, property("name").as_string().as_deref())
}

/// Those of the embeddings that are called so, as `{name, hash}`.
pub fn embeddings_to_js(names: &[String], embeddings: &[Embedding]) -> JsValue {
    let array = Array::new();
    for name in names {
        let own = embeddings.iter().find(|one| one.name() == name);
        let hash = own.map_or(JsValue::UNDEFINED, |one| one.hash().into());
        array.push(&object([("name", name.into()), ("hash", hash)]));
    }
    array.into()
}

/// The texts as an array.
pub fn texts_to_js(texts: &[String]) -> JsValue {
    let array: Array = texts
        .iter()
        .map(|text| JsValue::from(text.as_str()))
        .collect();
    array.into()
}

/// ControlNets that are open, by what the page calls their files.
#[derive(Default)]
pub struct OpenControlNets(BTreeMap<String, ControlNetFile>);

impl OpenControlNets {
    /// The ControlNet from `{id, name, length, read}`: opened once for each `id`.
    fn open(&mut self, value: &JsValue) -> Result<ControlNetFile> {
        let property = |name: &str| Reflect::get(value, &name.into()).unwrap_or_default();
        let id = property("id").as_string().unwrap_or_default();
        if let Some(open) = self.0.get(&id) {
            return Ok(open.clone());
        }
        let name = property("name").as_string().unwrap_or_default();
        let length = property("length").as_f64().unwrap_or_default();
        let (files, path) = one_file(&name, length, property("read").into());
        let opened = ControlNetFile::open_in(&files, &path)?;
        self.0.insert(id, opened.clone());
        Ok(opened)
    }

    /// A control from `{picture, controlnet, scale, start, end}`, of which only the picture has to be there.
    fn control(&mut self, value: &JsValue) -> Result<Control> {
        let property = |name: &str| Reflect::get(value, &name.into()).unwrap_or_default();
        let number = |name: &str| property(name).as_f64();
        let mut control = Control::new(picture_from_js(&property("picture"))?);
        let controlnet = property("controlnet");
        if controlnet.is_object() {
            control.controlnet = Some(self.open(&controlnet)?);
        }
        control.scale = number("scale").map_or(control.scale, |scale| scale as f32);
        control.start = number("start").unwrap_or(control.start);
        control.end = number("end").unwrap_or(control.end);
        Ok(control)
    }

    /// Lets go of those that `request` does not use.
    fn keep_those_of(&mut self, request: &Request) {
        let is_used = |open: &ControlNetFile| {
            let mut controls = request.controls.iter();
            controls.any(|control| control.controlnet.as_ref() == Some(open))
        };
        self.0.retain(|_, open| is_used(open));
    }
}

/// A request from the options object of `engine.generate`.
pub fn request_from_js(value: JsValue, control_nets: &mut OpenControlNets) -> Result<Request> {
    let picture = |name: &str| {
        let value = Reflect::get(&value, &name.into()).unwrap_or_default();
        match value.is_undefined() || value.is_null() {
            true => Ok(None),
            false => picture_from_js(&value).map(Some),
        }
    };
    let list = |name: &str| {
        let list = Reflect::get(&value, &name.into()).unwrap_or_default();
        list.dyn_into::<Array>().unwrap_or_default()
    };
    let embeddings = list("embeddings");
    let embeddings = embeddings.iter().map(|file| embedding_from_js(&file));
    let files = RequestFiles {
        embeddings: embeddings.collect::<Result<_>>()?,
        loras: list("loras")
            .iter()
            .map(|file| lora_from_js(&file))
            .collect::<Result<_>>()?,
        foreground: picture("foreground")?,
        background: picture("background")?,
        init: picture("init")?,
        mask: picture("mask")?,
        control: picture("control")?,
        controls: list("controls")
            .iter()
            .map(|control| control_nets.control(&control))
            .collect::<Result<_>>()?,
    };
    let options: RequestOptions = serde_wasm_bindgen::from_value(value).map_err(|error| {
        Error::new(
            ErrorCode::BadOption,
            format!("the options cannot be used: {error}"),
            "see the documentation of GenerateOptions",
        )
    })?;
    let request = options.into_request(files)?;
    control_nets.keep_those_of(&request);
    Ok(request)
}
