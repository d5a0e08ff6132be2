use burn::tensor::Device;
use js_sys::{Array, Date, Function, Promise, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::convert::{
    error_from_js, error_to_js, event_to_js, latent_from_js, latent_to_js, layers_to_js, object,
    picture_from_js, request_from_js,
};
use crate::pipeline::{Engine, Event, Latent, Mode, Observer, VaeSize};
use crate::transparency::OFFSET_GAIN;
use crate::weights::PackSource;
use crate::{Error, ErrorCode, Result};

/// A pack behind a JavaScript function that reads its files.
struct JsSource {
    read: Function,
}

impl PackSource for JsSource {
    async fn read(&self, file: &str) -> Result<Vec<u8>> {
        let bytes = call(&self.read, &file.into())
            .await
            .map_err(|error| error_from_js(&error))?;
        let bytes = bytes.dyn_into::<Uint8Array>().map_err(|_| {
            Error::new(
                ErrorCode::Io,
                format!("reading {file} gave no Uint8Array"),
                "a ModelSource's read must resolve to bytes",
            )
        })?;
        Ok(bytes.to_vec())
    }
}

/// Events go to a JavaScript function whose promise says whether to go on.
struct JsObserver {
    report: Function,
}

impl Observer for JsObserver {
    async fn report(&mut self, event: Event) -> bool {
        let answer = call(&self.report, &event_to_js(&event)).await;
        answer.is_ok_and(|answer| answer.is_truthy())
    }
}

/// Calls a function and awaits the promise it may return.
async fn call(function: &Function, argument: &JsValue) -> std::result::Result<JsValue, JsValue> {
    let answer = function.call1(&JsValue::UNDEFINED, argument)?;
    JsFuture::from(Promise::resolve(&answer)).await
}

/// What an export gives, or the error object that it throws.
pub(super) type JsResult = std::result::Result<JsValue, JsValue>;

/// An error that carries no latent.
pub(super) fn plain(error: Error) -> JsValue {
    error_to_js(&error, None)
}

/// A model on a device.
#[wasm_bindgen]
pub struct WasmEngine {
    engine: Engine<JsSource>,
    device: String,
}

#[wasm_bindgen]
impl WasmEngine {
    /// Loads the pack behind `read` onto device `"webgpu"` or `"cpu"`.
    pub async fn load(
        read: Function,
        device: String,
        report: Function,
    ) -> std::result::Result<WasmEngine, JsValue> {
        let target = match device.as_str() {
            "webgpu" => crate::kernels::gpu_device().await.map_err(plain)?,
            _ => Device::flex(),
        };
        let mut observer = JsObserver { report };
        let engine = Engine::load(JsSource { read }, target, &mut observer).await;
        Ok(Self {
            engine: engine.map_err(plain)?,
            device,
        })
    }

    /// What the model is and can do.
    pub fn info(&self) -> JsValue {
        let manifest = self.engine.manifest();
        let defaults = &manifest.defaults;
        let modes = Array::new();
        let missing = js_sys::Object::new();
        for mode in Mode::ALL {
            match mode.missing_part(manifest) {
                None => {
                    modes.push(&mode.as_str().into());
                }
                Some(part) => {
                    let _ = js_sys::Reflect::set(&missing, &mode.as_str().into(), &part.into());
                }
            }
        }
        object([
            ("name", manifest.name.as_str().into()),
            ("device", self.device.as_str().into()),
            ("modes", modes.into()),
            ("missing", missing.into()),
            (
                "defaults",
                object([
                    ("width", (defaults.width as f64).into()),
                    ("height", (defaults.height as f64).into()),
                    ("steps", (defaults.steps as f64).into()),
                    ("guidance", defaults.guidance.into()),
                    ("sampler", defaults.sampler.as_str().into()),
                ]),
            ),
            ("sizeMultiple", (self.engine.size_multiple() as f64).into()),
            ("sha256", self.engine.sha256().into()),
        ])
    }

    /// Generates layers. A rejection carries the latent if only decoding failed.
    pub async fn generate(&mut self, request: JsValue, report: Function) -> JsResult {
        let request = request_from_js(request).map_err(plain)?;
        let mut observer = JsObserver { report };
        let started = Date::now();
        let sampled = self.engine.sample(&request, &mut observer).await;
        let latent = sampled.map_err(plain)?.latent;
        let sampled_at = Date::now();
        let decoded = self
            .engine
            .decode(
                &latent,
                request.vae,
                request.decode_passes,
                false,
                &mut observer,
            )
            .await
            .and_then(|decoded| layers_to_js(&decoded.layers));
        let layers = decoded.map_err(|error| error_to_js(&error, Some(&latent)))?;
        Ok(object([
            ("layers", layers),
            ("latent", latent_to_js(&latent)),
            (
                "timings",
                object([
                    ("denoising", (sampled_at - started).into()),
                    ("decoding", (Date::now() - sampled_at).into()),
                ]),
            ),
        ]))
    }

    /// Encodes a picture into a latent, with its alpha where the model has a transparency encoder.
    pub async fn encode(&mut self, picture: JsValue, report: Function) -> JsResult {
        let picture = picture_from_js(&picture).map_err(plain)?;
        let mut observer = JsObserver { report };
        let encoded = self
            .engine
            .encode(&picture, OFFSET_GAIN, &mut observer)
            .await;
        let transparent = Mode::Single.missing_part(self.engine.manifest()).is_none();
        let latent = Latent {
            values: encoded.map_err(plain)?.latent,
            mode: if transparent {
                Mode::Single
            } else {
                Mode::Opaque
            },
            seed: 0,
        };
        Ok(latent_to_js(&latent))
    }

    /// Decodes a latent into layers with the VAE `"full"` or `"tiny"`.
    pub async fn decode(
        &self,
        latent: JsValue,
        vae: String,
        passes: usize,
        report: Function,
    ) -> JsResult {
        let latent = latent_from_js(latent).map_err(plain)?;
        let vae: VaeSize = vae.parse().map_err(plain)?;
        let mut observer = JsObserver { report };
        let decoded = self
            .engine
            .decode(&latent, vae, passes, false, &mut observer)
            .await;
        decoded
            .and_then(|decoded| layers_to_js(&decoded.layers))
            .map_err(plain)
    }
}
