//! LoRA files against the tiny model: what fits can be merged into a checkpoint, and runs on a loaded pack. The file alone is
//! looked at as one that is to be kept.
//!
//! The input's first section lists the tensors; the second, if there is one, is PEFT's config.

#![no_main]

use std::path::Path;

use burn::tensor::{Device, Tensor};
use glassine::internals::text::{TextEncoder, Token};
use glassine::internals::unet::Unet;
use glassine::internals::weights::{StoredType, Weights};
use glassine::pack::{Addition, Checkpoint, Component, Lora, Pack};
use glassine::{Error, ErrorCode};
use glassine_fuzz::tiny::Tiny;
use glassine_fuzz::{Folder, safetensors, sections};
use libfuzzer_sys::fuzz_target;

const FOLDER: &str = "lora";

fuzz_target!(|input: &str| {
    let mut sections = sections(input);
    let file = safetensors(sections.next().unwrap_or_default());
    let mut folder = Folder::default();
    folder
        .0
        .insert(Path::new(FOLDER).join("adapter_model.safetensors"), file);
    if let Some(config) = sections.next() {
        let config = (
            Path::new(FOLDER).join("adapter_config.json"),
            config.as_bytes().to_vec(),
        );
        folder.0.extend([config]);
    }
    let file = Path::new(FOLDER).join("adapter_model.safetensors");
    match Addition::open(&folder, &file) {
        Ok(_) => MODELS.with(|models| {
            for pack in &models.packs {
                let pack = pollster::block_on(Pack::open(pack)).expect("the tiny model");
                Addition::misfit(&folder, &file, pack.manifest());
            }
        }),
        Err(error) => assert_allowed(&error),
    }
    let open = |strength| Lora::open_in(&folder, Path::new(FOLDER), strength);
    match open(1.0) {
        Ok(_) => MODELS.with(|models| {
            into_checkpoint(&models.checkpoint, open(0.5).expect("the same"));
            for pack in &models.packs {
                pollster::block_on(onto_pack(pack, open(-1.5).expect("the same")));
            }
        }),
        Err(error) => assert_allowed(&error),
    }
});

fn into_checkpoint(files: &Folder, lora: Lora) {
    let model = Path::new(Tiny::CHECKPOINT);
    let mut checkpoint = Checkpoint::open_in(files, model).expect("the tiny model");
    if let Err(error) = checkpoint.apply(lora) {
        return assert_allowed(&error);
    }
    for component in [Component::Unet, Component::TextEncoder] {
        let names = checkpoint
            .tensors(component)
            .map(|(name, _)| name.to_string());
        for name in names.collect::<Vec<_>>() {
            match checkpoint.read(component, &name) {
                Ok(tensor) => assert!(tensor.data.iter().all(|value| value.is_finite()), "{name}"),
                Err(error) => assert_allowed(&error),
            }
        }
    }
}

async fn onto_pack(files: &Folder, lora: Lora) {
    let pack = Pack::open(files).await.expect("the tiny model");
    let device = Device::flex();
    let weights = Weights::new(&device);
    let loaded = pack.load(&weights, |_| true, async |_| true).await;
    loaded.expect("the tiny model");
    let manifest = pack.manifest();
    let text = manifest.text_encoder().expect("a text encoder");
    let text = TextEncoder::load(&text, &weights.at("text_encoder")).expect("a text encoder");
    let adapter = manifest
        .has("layers.attn")
        .then(|| weights.at("layers.attn"));
    let unet = manifest.unet().expect("a UNet");
    let unet = Unet::load(&unet, &weights.at("unet"), adapter.as_ref()).expect("a UNet");
    if let Err(error) = pack.apply(&[lora], &weights).await {
        return assert_allowed(&error);
    }
    let features = text.forward(&[vec![Token::Id(0); 4]], 1);
    let noise = unet.forward(
        Tensor::zeros([1, 4, 8, 8], &device),
        &[500.0],
        &features.into(),
    );
    assert_eq!(noise.dims(), [1, 4, 8, 8]);
}

/// It is the LoRA that is at fault.
fn assert_allowed(error: &Error) {
    let allowed = [
        ErrorCode::BadOption,
        ErrorCode::ModelDamaged,
        ErrorCode::ModelUnsupported,
    ];
    let blames = allowed.contains(&error.code) && !error.message.contains("manifest");
    assert!(blames, "{:?}: {error}", error.code);
}

struct Models {
    checkpoint: Folder,
    /// In half floats, and with quantized linear layers and a folded adapter.
    packs: [Folder; 2],
}

thread_local! {
    static MODELS: Models = models();
}

fn models() -> Models {
    let mut tiny = Tiny::default();
    let kept = ["unet", "text_encoder", "layers.attn"];
    let is_kept = |name: &str| kept.iter().any(|kept| name.starts_with(kept));
    tiny.configs.retain(|name, _| is_kept(name));
    tiny.tensors.retain(|name, _| is_kept(name));
    let checkpoint = tiny.checkpoint();
    let halves = tiny.pack(false).expect("a small model");
    // The middle of the second layer's width is the only one that a group of 8 divides.
    for (name, tensor) in &mut tiny.tensors {
        if name.ends_with("mlp.fc2.weight") || name.ends_with("ff.net.2.weight") {
            (tensor.stored, tensor.group) = (StoredType::Q4, Some(8));
        }
    }
    Models {
        checkpoint,
        packs: [halves, tiny.pack(true).expect("a small model")],
    }
}
