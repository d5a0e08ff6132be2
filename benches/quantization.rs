//! What quantization costs, measured against the exact weights.
//!
//! ```text
//! cargo bench --bench quantization -- layers CASE EXACT_PACK
//!     the cosine of epsilon where one group of the UNet's layers alone is quantized to 4 bits
//! cargo bench --bench quantization -- packs CASE EXACT_PACK PACK...
//!     a row of the table in docs/measurements.md for each pack
//! ```
//!
//! CASE is a folder with a latent, a context and a timestep, as scripts/golden/full-size writes it.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use glassine::internals::unet::Unet;
use glassine::internals::weights::{
    HostTensor, Quantization, SafetensorsFile, Weights, dequantize, quantize,
};
use glassine::pack::{FolderSource, Pack};
use glassine::pipeline::{Engine, Generation, NoProgress, Request};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["layers", case, exact] => {
            pollster::block_on(layers(&Case::load(case, "latent_8x8")?, exact))
        }
        ["packs", case, exact, packs @ ..] => {
            pollster::block_on(compare(&Case::load(case, "latent_64x64")?, exact, packs))
        }
        // Cargo runs every bench without arguments.
        _ => Ok(()),
    }
}

/// What the UNet is given.
struct Case {
    latent: HostTensor,
    context: HostTensor,
    timestep: f32,
}

impl Case {
    fn load(folder: &str, latent: &str) -> Result<Self> {
        let folder = Path::new(folder);
        let json = std::fs::read(folder.join("case.json"))?;
        let json: serde_json::Value = serde_json::from_slice(&json)?;
        let mut tensors = SafetensorsFile::open(folder.join("expected.safetensors"))?;
        let (latent, mut context) = (tensors.read(latent)?, tensors.read("context")?);
        // The last prompts are for as many latents.
        let row = context.data.len() / context.shape[0];
        context.shape[0] = latent.shape[0];
        context
            .data
            .drain(..context.data.len() - latent.shape[0] * row);
        Ok(Self {
            latent,
            context,
            timestep: json["timestep"].as_f64().ok_or("no timestep")? as f32,
        })
    }

    fn epsilon(&self, unet: &Unet) -> Vec<f32> {
        let device = Device::flex();
        let data = |tensor: &HostTensor| TensorData::new(tensor.data.clone(), tensor.shape.clone());
        let latent: Tensor<4> = Tensor::from_data(data(&self.latent), &device);
        let context: Tensor<3> = Tensor::from_data(data(&self.context), &device);
        let timesteps = vec![self.timestep; self.latent.shape[0]];
        let epsilon = unet.forward(latent, &timesteps, &context.clone().into());
        epsilon.into_data().try_into_vec().expect("f32 values")
    }
}

/// Every tensor of a pack's UNet, exact and as 4 bits leave it.
struct Variants {
    pack: Pack<FolderSource>,
    exact: BTreeMap<String, HostTensor>,
}

impl Variants {
    async fn load(folder: &str) -> Result<Self> {
        let pack = Pack::open(FolderSource::new(folder)).await?;
        let mut exact: BTreeMap<String, HostTensor> = BTreeMap::new();
        for shard in &pack.manifest().shards {
            let mut file = SafetensorsFile::open(Path::new(folder).join(&shard.file))?;
            let names: Vec<String> = file.tensors().keys().cloned().collect();
            for name in names.iter().filter(|name| name.starts_with("unet.")) {
                let part = file.read(name)?;
                let whole = exact.entry(name.clone()).or_insert_with(|| {
                    let shape = pack.manifest().tensors[name].shape.clone();
                    HostTensor {
                        shape,
                        data: Vec::new(),
                    }
                });
                whole.data.extend(part.data);
            }
        }
        Ok(Self { pack, exact })
    }

    /// The UNet with the tensors quantized that `chosen` accepts.
    fn unet(&self, chosen: impl Fn(&str) -> bool) -> Result<Unet> {
        let weights = Weights::new(&Device::flex());
        for (name, tensor) in &self.exact {
            let mut tensor = tensor.clone();
            if chosen(name) && Quantization::Q4.applies_to(&tensor.shape) {
                let quantized = quantize(&tensor, Quantization::Q4).ok_or("out of range")?;
                tensor.data = dequantize(&quantized, Quantization::Q4);
            }
            weights.insert(name, tensor);
        }
        Ok(Unet::load(
            &self.pack.manifest().unet()?,
            &weights.at("unet"),
            None,
        )?)
    }

    fn values(&self, chosen: impl Fn(&str) -> bool) -> usize {
        let suits = |tensor: &&HostTensor| Quantization::Q4.applies_to(&tensor.shape);
        let own = self.exact.iter().filter(|(name, _)| chosen(name));
        own.map(|(_, tensor)| tensor)
            .filter(suits)
            .map(|tensor| tensor.data.len())
            .sum()
    }
}

/// Block and kind of layer that a tensor belongs to: `down_blocks.1 attn1`, `mid_block resnets`.
fn group_of(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let kinds = [
        "attn1",
        "attn2",
        "ff",
        "proj_in",
        "proj_out",
        "resnets",
        "downsamplers",
        "upsamplers",
    ];
    let kind = kinds.into_iter().find(|kind| parts.contains(kind));
    let block = match parts[1] {
        "down_blocks" | "up_blocks" => format!("{}.{}", parts[1], parts[2]),
        block => block.to_string(),
    };
    format!("{block} {}", kind.unwrap_or(""))
}

async fn layers(case: &Case, exact: &str) -> Result<()> {
    let variants = Variants::load(exact).await?;
    let expected = case.epsilon(&variants.unet(|_| false)?);
    let mut groups: Vec<String> = variants.exact.keys().map(|name| group_of(name)).collect();
    groups.sort();
    groups.dedup();
    let mut rows = Vec::new();
    for group in groups {
        let values = variants.values(|name| group_of(name) == group);
        if values > 0 {
            let epsilon = case.epsilon(&variants.unet(|name| group_of(name) == group)?);
            let lost = 1.0 - cosine(&expected, &epsilon);
            rows.push((lost * 1e6 / (values as f64 * 1e-6), lost, values, group));
        }
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("| layers | weights (millions) | 1 - cosine | per million weights |");
    println!("| --- | --- | --- | --- |");
    for (density, lost, values, group) in rows {
        println!(
            "| {group} | {:.2} | {lost:.2e} | {:.2e} |",
            values as f64 * 1e-6,
            density * 1e-6
        );
    }
    Ok(())
}

async fn run(folder: &str, case: &Case) -> Result<(Vec<f32>, Generation, u64)> {
    let device = Device::flex();
    let pack = Pack::open(FolderSource::new(folder)).await?;
    let weights = Weights::new(&device);
    pack.load(&weights, |name| name.starts_with("unet."), async |_| true)
        .await?;
    let unet = Unet::load(&pack.manifest().unet()?, &weights.at("unet"), None)?;
    let epsilon = case.epsilon(&unet);
    drop(unet);
    let mut engine = Engine::load(FolderSource::new(folder), device, &mut NoProgress).await?;
    let mut request = Request::new("an apple, 4k, high quality");
    (request.width, request.height) = (Some(64), Some(64));
    (request.decode_passes, request.dump) = (Some(1), true);
    let generation = engine.generate(&request, &mut NoProgress).await?;
    Ok((epsilon, generation, pack.manifest().total_bytes()))
}

async fn compare(case: &Case, exact: &str, packs: &[&str]) -> Result<()> {
    let (expected, reference, _) = run(exact, case).await?;
    println!(
        "| pack | MB | cosine of epsilon | largest error of epsilon | cosine of the final latent | PSNR of RGBA |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for pack in packs {
        let (epsilon, generation, bytes) = run(pack, case).await?;
        let pairs = expected.iter().zip(&epsilon);
        let worst = pairs.fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
        let latent = cosine(
            &reference.latent.values.data,
            &generation.latent.values.data,
        );
        let rgba = |generation: &Generation| generation.dump["rgba"].data.clone();
        println!(
            "| {pack} | {:.1} | {:.6} | {worst:.4} | {latent:.5} | {:.1} dB |",
            bytes as f64 * 1e-6,
            cosine(&expected, &epsilon),
            psnr(&rgba(&reference), &rgba(&generation)),
        );
    }
    Ok(())
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Of values in [0, 1].
fn psnr(a: &[f32], b: &[f32]) -> f64 {
    let lost: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    -10.0 * (lost / a.len() as f64).log10()
}
