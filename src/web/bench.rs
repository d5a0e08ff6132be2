//! What `scripts/bench` times: single layers and single networks on given values.
//!
//! Only with the feature `bench`, which the package is built without.

use burn::tensor::{Device, Tensor};
use half::f16;
use js_sys::{Array, Float32Array, Function, Reflect, Uint32Array};
use serde::Deserialize;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::engine::JsSource;
use super::thrown::Thrown;
use super::values::{JsResult, error_to_js};
use crate::kernels::{AttentionMask, attention};
use crate::nn::{Conv2d, GroupNorm, Linear};
use crate::pack::{Manifest, Pack};
use crate::sampling::NoiseGenerator;
use crate::text::Tokenizer;
use crate::transparency::{AUGMENTATIONS, TransparencyDecoder, augment};
use crate::unet::{TextContext, Unet};
use crate::vae::VaeDecoder;
use crate::weights::host::{host_values, to_device};
use crate::weights::weight::decode_part;
use crate::weights::{
    HostTensor, Quantization, RowChunk, StoredType, TensorEntry, Weights, quantize,
};
use crate::{Error, ErrorCode, Result};

/// Added to the variance in the group norm that is timed alone.
const NORM_EPSILON: f64 = 1e-5;

/// A device that layers and networks are put on.
#[wasm_bindgen]
pub struct BenchDevice {
    device: Device,
}

/// A layer or network on a device, with its inputs.
#[wasm_bindgen]
pub struct BenchRun {
    forward: Box<dyn Fn() -> Tensor<1>>,
}

#[wasm_bindgen]
impl BenchRun {
    /// Computes the output `times` times and reads the last one.
    pub async fn run(&self, times: usize) -> JsResult<Float32Array> {
        let mut output = (self.forward)();
        for _ in 1..times {
            output = (self.forward)();
        }
        let values = host_values(output.into_data_async().await).map_err(error_to_js)?;
        Ok(values.as_slice().into())
    }
}

impl BenchRun {
    fn new<const D: usize>(forward: impl Fn() -> Tensor<D> + 'static) -> Self {
        Self {
            forward: Box::new(move || flat(forward())),
        }
    }
}

// Tensors come from JavaScript as `{shape, data}`, an array of numbers and a `Float32Array`.
#[wasm_bindgen]
impl BenchDevice {
    /// Device `"webgpu"` or `"cpu"`.
    pub async fn open(device: String) -> JsResult<BenchDevice> {
        let device = match device.as_str() {
            "webgpu" => crate::kernels::gpu_device().await.map_err(error_to_js)?,
            _ => Device::flex(),
        };
        Ok(Self { device })
    }

    /// A linear layer, `x` times the transpose of `weight` plus `bias`; `stored` is how the weight
    /// is kept: `"f32"`, `"f16"`, `"q8"` or `"q4"`.
    pub fn linear(
        &self,
        x: JsValue,
        weight: JsValue,
        bias: JsValue,
        stored: JsValue,
    ) -> JsResult<BenchRun> {
        let layer = self.weighted(weight, bias, stored, Linear::load)?;
        let x: Tensor<3> = self.tensor(&x);
        Ok(BenchRun::new(move || layer.forward(x.clone())))
    }

    /// A convolution of stride 1 that keeps the size, its weight kept as in [`Self::linear`].
    pub fn conv2d(
        &self,
        x: JsValue,
        weight: JsValue,
        bias: JsValue,
        stored: JsValue,
    ) -> JsResult<BenchRun> {
        let layer = self.weighted(weight, bias, stored, Conv2d::load)?;
        let x: Tensor<4> = self.tensor(&x);
        Ok(BenchRun::new(move || layer.forward(x.clone())))
    }

    /// A group norm and SiLU.
    pub fn group_norm_silu(
        &self,
        x: JsValue,
        weight: JsValue,
        bias: JsValue,
        groups: usize,
    ) -> JsResult<BenchRun> {
        let layer = self.weighted(weight, bias, "f32".into(), |weights| {
            GroupNorm::load(weights, groups, NORM_EPSILON)
        })?;
        let x: Tensor<4> = self.tensor(&x);
        Ok(BenchRun::new(move || layer.forward_silu(x.clone())))
    }

    /// Attention of `heads` heads over queries, keys and values `[batch, tokens, channels]`.
    pub fn attention(
        &self,
        query: JsValue,
        key: JsValue,
        value: JsValue,
        heads: usize,
    ) -> BenchRun {
        let inputs: [Tensor<3>; 3] = [query, key, value].map(|tensor| self.tensor(&tensor));
        BenchRun::new(move || {
            let [query, key, value] = inputs.clone();
            attention(query, key, value, heads, AttentionMask::None)
        })
    }

    /// The UNet of the pack behind `read`, without adapters.
    pub async fn unet(
        &self,
        read: Function,
        latent: JsValue,
        timestep: f32,
        context: JsValue,
    ) -> JsResult<BenchRun> {
        let unet = self.load(read, &["unet."]).await;
        let unet = unet.and_then(|(manifest, weights)| {
            Unet::load(&manifest.unet()?, &weights.at("unet"), None)
        });
        let unet = unet.map_err(error_to_js)?;
        let latent: Tensor<4> = self.tensor(&latent);
        let context = TextContext::from(self.tensor::<3>(&context));
        let timesteps = vec![timestep; latent.dims()[0]];
        Ok(BenchRun::new(move || {
            unet.forward(latent.clone(), &timesteps, &context)
        }))
    }

    /// The VAE's decoder, on an unscaled latent.
    pub async fn vae_decoder(&self, read: Function, latent: JsValue) -> JsResult<BenchRun> {
        let decoder = self
            .load(read, &["vae.decoder.", "vae.post_quant_conv."])
            .await;
        let decoder = decoder
            .and_then(|(manifest, weights)| VaeDecoder::load(&manifest.vae()?, &weights.at("vae")));
        let decoder = decoder.map_err(error_to_js)?;
        let latent: Tensor<4> = self.tensor(&latent);
        Ok(BenchRun::new(move || decoder.forward(latent.clone())))
    }

    /// The transparency decoder, on as many of the eight turns of its inputs as there are
    /// `passes`. The outputs follow each other and stay turned.
    pub async fn transparency_decoder(
        &self,
        read: Function,
        pixels: JsValue,
        latent: JsValue,
        passes: usize,
    ) -> JsResult<BenchRun> {
        let decoder = self.load(read, &["transparency_decoder."]).await;
        let decoder = decoder.and_then(|(_, weights)| {
            TransparencyDecoder::load(&weights.at("transparency_decoder"))
        });
        let decoder = decoder.map_err(error_to_js)?;
        let inputs: [Tensor<4>; 2] = [pixels, latent].map(|tensor| self.tensor(&tensor));
        Ok(BenchRun::new(move || {
            let turns = AUGMENTATIONS.into_iter().take(passes).map(|turn| {
                let [pixels, latent] = inputs.clone().map(|tensor| augment(tensor, turn));
                flat(decoder.forward(pixels, latent))
            });
            Tensor::cat(turns.collect(), 0)
        }))
    }
}

impl BenchDevice {
    fn tensor<const D: usize>(&self, value: &JsValue) -> Tensor<D> {
        to_device(&tensor_from_js(value), &self.device)
    }

    /// The layer that `load` makes of a weight, kept as in [`Self::linear`], and a bias.
    fn weighted<L>(
        &self,
        weight: JsValue,
        bias: JsValue,
        stored: JsValue,
        load: impl FnOnce(&Weights) -> Result<L>,
    ) -> JsResult<L> {
        let weights = Weights::new(&self.device);
        let put =
            StoredTensor::new(weight, stored).and_then(|tensor| tensor.put(&weights, "weight"));
        weights.insert("bias", tensor_from_js(&bias));
        put.and_then(|()| load(&weights)).map_err(error_to_js)
    }

    /// The tensors of a pack whose names begin with any of `parts`.
    async fn load(&self, read: Function, parts: &[&str]) -> Result<(Manifest, Weights)> {
        let pack = Pack::open(source(read)).await?;
        let weights = Weights::new(&self.device);
        let wanted = |name: &str| parts.iter().any(|part| name.starts_with(part));
        pack.load(&weights, wanted, async |_| true).await?;
        Ok((pack.manifest().clone(), weights))
    }
}

/// What a weight is worth once it is stored as in [`BenchDevice::linear`].
#[wasm_bindgen]
pub fn stored_values(weight: JsValue, stored: JsValue) -> JsResult<Float32Array> {
    let values = StoredTensor::new(weight, stored).and_then(|tensor| tensor.values());
    Ok(values.map_err(error_to_js)?.as_slice().into())
}

/// Calls `take` with name, shape and values of each tensor of a pack whose name begins with
/// `part`.
#[wasm_bindgen]
pub async fn pack_tensors(read: Function, part: String, take: Function) -> JsResult<()> {
    let cpu = BenchDevice {
        device: Device::flex(),
    };
    let loaded = cpu.load(read, &[&part]).await.map_err(error_to_js)?;
    let (manifest, weights) = loaded;
    let tensors = manifest.tensors.iter();
    for (name, entry) in tensors.filter(|(name, _)| name.starts_with(&part)) {
        let values = values_of(&weights, name, entry.shape.len()).await;
        let tensor = inputs_first(&entry.shape, values.map_err(error_to_js)?);
        let shape: Array = tensor
            .shape
            .iter()
            .map(|size| JsValue::from(*size as f64))
            .collect();
        let values = Float32Array::from(tensor.data.as_slice());
        take.call3(&JsValue::UNDEFINED, &name.into(), &shape, &values)?;
    }
    Ok(())
}

/// The manifest of the pack behind `read`, and the tokens of `text`, padded, for its text encoder.
#[wasm_bindgen]
pub async fn prompt_tokens(read: Function, text: String, length: usize) -> JsResult<Uint32Array> {
    let tokenizer = async {
        let pack = Pack::open(source(read)).await?;
        pack.tokenizer().await
    };
    let tokenizer: Result<Tokenizer> = tokenizer.await;
    let tokens = tokenizer.map_err(error_to_js)?.encode_padded(&text, length);
    Ok(tokens.as_slice().into())
}

/// The noise that a picture of that seed starts from.
#[wasm_bindgen]
pub fn seeded_noise(seed: u32, length: usize) -> Float32Array {
    NoiseGenerator::new(seed.into())
        .normal(length)
        .as_slice()
        .into()
}

/// A weight as a pack stores it.
struct StoredTensor {
    entry: TensorEntry,
    bytes: Vec<u8>,
    scales: Option<Vec<u8>>,
}

impl StoredTensor {
    fn new(weight: JsValue, stored: JsValue) -> Result<Self> {
        let tensor = tensor_from_js(&weight).channels_last();
        let stored = StoredType::deserialize(serde_wasm_bindgen::Deserializer::from(stored));
        let unusable = || Error::new(ErrorCode::BadOption, "the weight cannot be stored so", "");
        let stored = stored.map_err(|_| unusable())?;
        let mut entry = TensorEntry {
            stored,
            group: None,
            shape: tensor.shape.clone(),
            shards: Vec::new(),
        };
        let quantization = match stored {
            StoredType::Q8 => Quantization::Q8,
            StoredType::Q4 => Quantization::Q4,
            StoredType::F16 => {
                let halves = tensor.data.iter().map(|value| f16::from_f32(*value));
                let bytes = halves.flat_map(f16::to_le_bytes).collect();
                return Ok(Self {
                    entry,
                    bytes,
                    scales: None,
                });
            }
            _ => {
                let bytes = tensor.data.iter().flat_map(|value| value.to_le_bytes());
                return Ok(Self {
                    entry,
                    bytes: bytes.collect(),
                    scales: None,
                });
            }
        };
        entry.group = Some(quantization.group);
        let quantized = quantize(&tensor, quantization).ok_or_else(unusable)?;
        let scales = quantized.scales.into_iter().flat_map(f16::to_le_bytes);
        Ok(Self {
            entry,
            bytes: quantized.levels,
            scales: Some(scales.collect()),
        })
    }

    fn part(&self) -> RowChunk<'_> {
        RowChunk {
            bytes: &self.bytes,
            scales: self.scales.as_deref(),
        }
    }

    fn put(&self, weights: &Weights, name: &str) -> Result<()> {
        weights.insert_part(name, &self.entry, self.part())
    }

    /// As they came.
    fn values(&self) -> Result<Vec<f32>> {
        let values = decode_part(&self.entry, self.part());
        let values = values
            .ok_or_else(|| Error::new(ErrorCode::Internal, "the weight cannot be read back", ""))?;
        Ok(inputs_first(&self.entry.shape, values).data)
    }
}

/// A tensor of `shape` with a convolution's inputs before its height and width again.
fn inputs_first(shape: &[usize], values: Vec<f32>) -> HostTensor {
    let [out, height, width, inputs] = shape[..] else {
        return HostTensor::new(shape, values);
    };
    let area = height * width;
    let rows = values.chunks_exact((area * inputs).max(1));
    let moved = rows.flat_map(|row| {
        (0..inputs).flat_map(move |input| row.iter().skip(input).step_by(inputs).copied())
    });
    HostTensor::new([out, inputs, height, width], moved.collect())
}

fn source(read: Function) -> JsSource {
    JsSource {
        read,
        thrown: Thrown::default(),
    }
}

/// `{shape, data}` from JavaScript.
fn tensor_from_js(value: &JsValue) -> HostTensor {
    let property = |name: &str| Reflect::get(value, &name.into()).unwrap_or_default();
    let shape = Array::from(&property("shape")).into_iter();
    let shape: Vec<_> = shape
        .map(|size| size.as_f64().unwrap_or_default() as usize)
        .collect();
    let data = property("data").dyn_into::<Float32Array>();
    HostTensor::new(shape, data.unwrap_or_default().to_vec())
}

/// The values of a loaded tensor of that many axes.
async fn values_of(weights: &Weights, name: &str, axes: usize) -> Result<Vec<f32>> {
    let values = match axes {
        1 => weights.take::<1>(name)?,
        // Token embeddings are looked up by rows.
        2 if name.ends_with("token_embedding.weight") => {
            let table = weights.take_table(name)?;
            let rows = (0..table.rows()).filter_map(|index| table.row(index));
            return Ok(rows.flatten().collect());
        }
        2 => flat(weights.take::<2>(name)?),
        3 => flat(weights.take::<3>(name)?),
        _ => flat(weights.take::<4>(name)?),
    };
    host_values(values.into_data_async().await)
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    tensor.reshape([-1])
}
