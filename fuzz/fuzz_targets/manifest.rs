//! Packs: a manifest and the tensors of its shards, in order. Lengths and hashes are put right, so that
//! what lies behind those checks is reached: loading, with a LoRA and without. The target `model` runs
//! what can be run.

#![no_main]

use burn::tensor::Device;
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
    for (shard, list) in shards.into_iter().flatten().zip(sections) {
        let bytes = safetensors(list);
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
    let _ = pack.load(&weights, |_| true, async |_| true).await;
    // As if a network had been built, whose layer has as many outputs as the LoRA says.
    let _slot = weights.at("unet.layer").slot(4);
    let _ = pack.apply(&[lora()], &weights).await;
}

/// Changes the layer that the seeds hold in several types, by what depends on its weights.
fn lora() -> Lora {
    let factor = |end: &str, shape: [usize; 2]| {
        let bytes = [0x00, 0x3c].repeat(shape[0] * shape[1]);
        (
            format!("lora_unet_layer.{end}"),
            Dtype::F16,
            shape.to_vec(),
            bytes,
        )
    };
    let bytes = write_safetensors(&[
        factor("lora_down.weight", [1, 32]),
        factor("lora_up.weight", [4, 1]),
        factor("dora_scale", [4, 1]),
    ]);
    Lora::from_bytes("lora", bytes, 1.0).expect("a LoRA")
}
