use burn::tensor::Device;
use js_sys::{Array, Date, Function};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::convert::{
    OpenControlNets, bytes_from_js, embeddings_to_js, event_to_js, latent_from_js, latent_to_js,
    layers_to_js, lora_from_js, loras_to_js, request_from_js, texts_to_js, with_latent,
};
use super::digest;
use super::thrown::Thrown;
use super::values::{JsResult, error_to_js, object, picture_from_js, set};
use crate::Result;
use crate::pack::{Lora, Manifest, PackSource};
use crate::pipeline::{
    Counted, Embedding, Engine, Event, Latent, Layer, LoadOptions, Mode, Observer, Request,
    VaeKind, estimate_memory,
};
use crate::transparency::OFFSET_GAIN;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
import type { EngineInfo, MemoryEstimate, Mode, Vae } from "../public/types.js";
import type {
  EngineEvent, EngineRequest, RawGenerated, RawLatent, RawLayer, RawLora, RawPackOptions, RawRaster,
} from "../internal/shared/protocol.js";

/** Reads one file of the pack; `again` if it was read before and is damaged. */
export type Read = (path: string, again?: boolean) => Promise<Uint8Array>;

/** Is awaited at least once per shard, denoising step and decode pass; `false` aborts. */
export type Report = (event: EngineEvent) => Promise<boolean>;
"#;

/// A pack behind a JavaScript function that reads its files; its second argument says whether the
/// file was read before and found damaged.
pub(super) struct JsSource {
    pub read: Function,
    pub thrown: Thrown,
}

impl PackSource for JsSource {
    async fn read(&self, file: &str) -> Result<Vec<u8>> {
        self.call_read(file, false).await
    }

    async fn read_again(&self, file: &str) -> Result<Vec<u8>> {
        self.call_read(file, true).await
    }

    async fn sha256(&self, bytes: &[u8]) -> String {
        digest::sha256(bytes).await
    }
}

impl JsSource {
    async fn call_read(&self, file: &str, again: bool) -> Result<Vec<u8>> {
        let promise = self
            .read
            .call2(&JsValue::UNDEFINED, &file.into(), &again.into());
        bytes_from_js(file, self.thrown.settled(promise).await?)
    }
}

/// Events go to a JavaScript function whose promise says whether to go on.
struct JsObserver {
    report: Function,
    thrown: Thrown,
}

impl Observer for JsObserver {
    async fn report(&mut self, event: Event) -> bool {
        let promise = self.report.call1(&JsValue::UNDEFINED, &event_to_js(&event));
        let answer = self.thrown.settled(promise).await;
        answer.is_ok_and(|answer| answer.is_truthy())
    }
}

/// What a picture takes of a GPU's memory with the pack of that manifest; `undefined` stands for the
/// model's own default.
#[wasm_bindgen(unchecked_return_type = "MemoryEstimate")]
pub fn estimate_gpu_memory(
    manifest: &[u8],
    #[wasm_bindgen(unchecked_param_type = "Mode | undefined")] mode: Option<String>,
    width: Option<usize>,
    height: Option<usize>,
) -> JsResult {
    let manifest = Manifest::parse(manifest).map_err(error_to_js)?;
    let mode = mode
        .map(|mode| mode.parse())
        .transpose()
        .map_err(error_to_js)?;
    let estimate = estimate_memory(&manifest, mode, width, height).map_err(error_to_js)?;
    Ok(object([
        ("allLoaded", (estimate.all_loaded as f64).into()),
        ("oneAtATime", (estimate.one_at_a_time as f64).into()),
    ]))
}

/// A model on a device.
#[wasm_bindgen]
pub struct WasmEngine {
    engine: Engine<JsSource>,
    device: String,
    thrown: Thrown,
    control_nets: OpenControlNets,
}

#[wasm_bindgen]
impl WasmEngine {
    /// Loads the pack behind `read` onto device `"webgpu"` or `"cpu"`.
    /// `loras` are those that every request is made with, with the bytes of their files;
    /// `memory_limit` is in bytes.
    pub async fn load(
        #[wasm_bindgen(unchecked_param_type = "Read")] read: Function,
        #[wasm_bindgen(unchecked_param_type = "'webgpu' | 'cpu'")] device: String,
        #[wasm_bindgen(unchecked_param_type = "RawLora[]")] loras: Array,
        memory_limit: Option<f64>,
        #[wasm_bindgen(unchecked_param_type = "Report")] report: Function,
    ) -> std::result::Result<WasmEngine, JsValue> {
        let loras = loras.iter().map(|lora| lora_from_js(&lora));
        let loras = loras.collect::<Result<_>>().map_err(error_to_js)?;
        let target = match device.as_str() {
            "webgpu" => crate::kernels::gpu_device().await.map_err(error_to_js)?,
            _ => Device::flex(),
        };
        let options = LoadOptions {
            loras,
            memory_limit: memory_limit.map(|bytes| bytes as u64),
        };
        let thrown = Thrown::default();
        let source = JsSource {
            read,
            thrown: thrown.clone(),
        };
        let engine = Engine::open(source, target, options).await;
        let engine = engine.map_err(|error| thrown.or(error))?;
        let mut loaded = Self {
            engine,
            device,
            thrown,
            control_nets: OpenControlNets::default(),
        };
        let mut observer = loaded.observer(report);
        let preloaded = loaded.engine.preload(&mut observer).await;
        preloaded.map_err(|error| loaded.thrown.or(error))?;
        Ok(loaded)
    }

    /// What the model is and can do.
    #[wasm_bindgen(unchecked_return_type = "EngineInfo")]
    pub fn info(&self) -> JsValue {
        let manifest = self.engine.manifest();
        let defaults = &manifest.defaults;
        let modes = Array::new();
        let missing = js_sys::Object::new();
        for mode in Mode::ALL.iter().copied() {
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
                    ("clipSkip", (defaults.clip_skip as f64).into()),
                    ("decodePasses", (defaults.decode_passes as f64).into()),
                ]),
            ),
            ("words", texts_to_js(&manifest.words)),
            ("embeddingWidth", (manifest.embedding_width() as f64).into()),
            ("sizeMultiple", (self.engine.size_multiple() as f64).into()),
            ("sha256", self.engine.sha256().into()),
        ])
    }

    /// Generates `count` pictures, each from the seed after those of the one before. A rejection carries the latent if
    /// only decoding failed.
    #[wasm_bindgen(unchecked_return_type = "RawGenerated[]")]
    pub async fn generate(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "EngineRequest")] request: JsValue,
        count: usize,
        #[wasm_bindgen(unchecked_param_type = "Report")] report: Function,
    ) -> JsResult<Array> {
        let mut request = request_from_js(request, &mut self.control_nets).map_err(error_to_js)?;
        let mut observer = self.observer(report);
        let made = Array::new();
        while (made.length() as usize) < count {
            let left = count - made.length() as usize;
            let size = self
                .engine
                .batch_size(&request, left)
                .map_err(error_to_js)?;
            let mut counted = Counted {
                inner: &mut observer,
                count,
                made: made.length() as usize,
                size,
            };
            let frames = match request.hires {
                Some(_) => self.generate_twice(&request, &mut counted, &made).await?,
                None => self.generate_batch(&request, &mut counted, &made).await?,
            };
            request.seed = request.seed.wrapping_add(frames);
        }
        Ok(made)
    }

    /// Encodes a picture into a latent, with its alpha where the model has a transparency encoder.
    #[wasm_bindgen(unchecked_return_type = "RawLatent")]
    pub async fn encode(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "RawRaster")] picture: JsValue,
        #[wasm_bindgen(unchecked_param_type = "Report")] report: Function,
    ) -> JsResult {
        let picture = picture_from_js(&picture).map_err(error_to_js)?;
        let mut observer = self.observer(report);
        let encoded = self
            .engine
            .encode(&picture, OFFSET_GAIN, &mut observer)
            .await;
        let transparent = Mode::Single.missing_part(self.engine.manifest()).is_none();
        let latent = Latent {
            values: encoded.map_err(|error| self.thrown.or(error))?.latent,
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
    #[wasm_bindgen(unchecked_return_type = "RawLayer[]")]
    pub async fn decode(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "RawLatent")] latent: JsValue,
        #[wasm_bindgen(unchecked_param_type = "Vae")] vae: String,
        passes: Option<usize>,
        #[wasm_bindgen(unchecked_param_type = "Report")] report: Function,
    ) -> JsResult {
        let latent = latent_from_js(latent).map_err(error_to_js)?;
        let vae: VaeKind = vae.parse().map_err(error_to_js)?;
        let mut observer = self.observer(report);
        let decoded = self
            .engine
            .decode(&latent, vae, passes, false, &mut observer)
            .await;
        decoded
            .map(|decoded| layers_to_js(&decoded.layers))
            .map_err(|error| self.thrown.or(error))
    }
}

impl WasmEngine {
    /// Adds a picture in two passes to `made`; gives how many seeds it has.
    async fn generate_twice(
        &mut self,
        request: &Request,
        observer: &mut Counted<'_, JsObserver>,
        made: &Array,
    ) -> JsResult<u64> {
        let started = Date::now();
        let generated = self.engine.generate(request, observer).await;
        let generated = generated.map_err(|error| self.thrown.or(error))?;
        // The passes' denoising and decoding take turns.
        let timings = [("denoising", Date::now() - started)];
        made.push(&generated_to_js(
            &generated.layers,
            &generated.latent,
            (&generated.embeddings, &request.embeddings),
            &generated.loras,
            &generated.warnings,
            &timings,
        )?);
        Ok(generated.layers.len() as u64)
    }

    /// Adds the pictures of a batch to `made`; gives how many seeds they have.
    async fn generate_batch(
        &mut self,
        request: &Request,
        observer: &mut Counted<'_, JsObserver>,
        made: &Array,
    ) -> JsResult<u64> {
        let (started, size) = (Date::now(), observer.size);
        let batch = self.engine.sample_batch(request, size, observer).await;
        let batch = batch.map_err(|error| self.thrown.or(error))?;
        let denoising = (Date::now() - started) / size as f64;
        let mut frames = 0;
        for sampled in batch {
            let (started, latent) = (Date::now(), sampled.latent);
            let (vae, passes) = (request.vae, request.decode_passes);
            let decoded = self.engine.decode(&latent, vae, passes, false, observer);
            let decoded = decoded.await.and_then(|mut decoded| {
                decoded.repainted(sampled.repaint.as_ref())?;
                Ok(decoded)
            });
            let decoded = decoded.map_err(|error| with_latent(self.thrown.or(error), &latent))?;
            frames += decoded.layers.len() as u64;
            let timings = [
                ("denoising", denoising),
                ("decoding", Date::now() - started),
            ];
            made.push(&generated_to_js(
                &decoded.layers,
                &latent,
                (&sampled.embeddings, &request.embeddings),
                &sampled.loras,
                &sampled.warnings,
                &timings,
            )?);
            observer.size -= 1;
            observer.made += 1;
        }
        Ok(frames)
    }

    fn observer(&self, report: Function) -> JsObserver {
        let thrown = self.thrown.clone();
        JsObserver { report, thrown }
    }
}

/// A picture that is made: its layers, its latent, the names of its embeddings among those at hand, its LoRAs, its
/// warnings, and milliseconds by phase.
fn generated_to_js(
    layers: &[Layer],
    latent: &Latent,
    (names, embeddings): (&[String], &[Embedding]),
    loras: &[Lora],
    warnings: &[String],
    timings: &[(&str, f64)],
) -> JsResult {
    let times = object([]);
    for (phase, milliseconds) in timings {
        set(&times, phase, (*milliseconds).into());
    }
    Ok(object([
        ("layers", layers_to_js(layers)),
        ("latent", latent_to_js(latent)),
        ("embeddings", embeddings_to_js(names, embeddings)),
        ("loras", loras_to_js(loras).map_err(error_to_js)?),
        ("warnings", texts_to_js(warnings)),
        ("timings", times),
    ]))
}
