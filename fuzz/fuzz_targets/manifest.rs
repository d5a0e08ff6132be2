//! Packs: a manifest and the headers of its shards, in order. Lengths and hashes are put right, so
//! that what lies behind those checks is reached: loading, with a LoRA and without, and building the
//! models.

#![no_main]

use burn::tensor::Device;
use glassine::internals::sampling::NoiseSchedule;
use glassine::internals::text::TextEncoder;
use glassine::internals::transparency::{TransparencyDecoder, TransparencyEncoder};
use glassine::internals::unet::{ControlNet, Unet};
use glassine::internals::vae::{TinyDecoder, TinyEncoder, VaeDecoder, VaeEncoder};
use glassine::internals::weights::{Dtype, Weights, write_safetensors};
use glassine::pack::{Lora, MANIFEST_FILE, Manifest, Pack};
use glassine::pipeline::Mode;
use glassine_fuzz::{Folder, safetensors, sections};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sha2::{Digest, Sha256};

fuzz_target!(|input: &str| {
    let mut sections = sections(input);
    let json = sections.next().unwrap_or_default();
    let _ = Manifest::parse(json.as_bytes());
    let Ok(mut manifest) = serde_json::from_str::<Value>(json) else {
        return;
    };
    let mut folder = Folder::default();
    let shards = manifest.get_mut("shards").and_then(Value::as_array_mut);
    for (shard, header) in shards.into_iter().flatten().zip(sections) {
        let bytes = safetensors(header);
        let (Some(shard), length) = (shard.as_object_mut(), bytes.len()) else {
            continue;
        };
        let sha256: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        shard.insert("bytes".into(), length.into());
        shard.insert("sha256".into(), sha256.into());
        let file = shard
            .get("file")
            .and_then(Value::as_str)
            .unwrap_or_default();
        folder.0.insert(file.into(), bytes);
    }
    folder
        .0
        .insert(MANIFEST_FILE.into(), manifest.to_string().into_bytes());
    pollster::block_on(open(&folder));
});

async fn open(folder: &Folder) {
    let Ok(pack) = Pack::open(folder).await else {
        return;
    };
    let _ = pack.tokenizer().await;
    let manifest = pack.manifest();
    for mode in Mode::ALL.iter().copied() {
        let _ = mode.missing_part(manifest);
    }
    let weights = Weights::new(&Device::flex());
    if pack.load(&weights, |_| true, async |_| true).await.is_ok() {
        build(manifest, &weights);
    }
    if pack.apply(lora()).is_ok() {
        let weights = Weights::new(&Device::flex());
        let _ = pack.load(&weights, |_| true, async |_| true).await;
    }
}

/// Every model of the pack, from the tensors that are there.
fn build(manifest: &Manifest, weights: &Weights) {
    let _ = manifest
        .text_encoder()
        .map(|config| TextEncoder::load(&config, &weights.at("text_encoder")));
    let _ = manifest.vae().map(|config| {
        let vae = weights.at("vae");
        (
            VaeDecoder::load(&config, &vae).is_ok(),
            VaeEncoder::load(&config, &vae).is_ok(),
        )
    });
    let _ = manifest.unet().map(|config| {
        let adapter = ["layers.attn", "layers.joint"]
            .into_iter()
            .find(|name| manifest.has(name));
        let adapter = adapter.map(|name| weights.at(name));
        Unet::load(&config, &weights.at("unet"), adapter.as_ref()).is_ok()
    });
    let _ = manifest
        .config("controlnet")
        .map(|config| ControlNet::load(&config, &weights.at("controlnet")).is_ok());
    let schedule = manifest
        .config("scheduler")
        .and_then(|config| NoiseSchedule::new(&config));
    let _ = schedule.map(|schedule| schedule.leading_timesteps(20, 20));
    let _ = TransparencyDecoder::load(&weights.at("transparency_decoder"));
    let _ = TransparencyEncoder::load(&weights.at("transparency_encoder"));
    let _ = TinyDecoder::load(&weights.at("taesd_decoder"));
    let _ = TinyEncoder::load(&weights.at("taesd_encoder"));
}

/// Changes the layer that the seeds hold in several types.
fn lora() -> Lora {
    let factor = |end: &str, shape: [usize; 2]| {
        let bytes = [0x00, 0x3c].repeat(shape[0] * shape[1]);
        (
            format!("lora_unet_layer.{end}.weight"),
            Dtype::F16,
            shape.to_vec(),
            bytes,
        )
    };
    let bytes = write_safetensors(&[factor("lora_down", [1, 32]), factor("lora_up", [4, 1])]);
    Lora::from_bytes("lora", bytes, 1.0).expect("a LoRA")
}
