//! Somebody's checkpoint: a folder or a single file, LoRAs and companion files; where there is no model,
//! companions of the tiny one. Each section of the input is a path, a line feed, and the file's text or
//! its list of tensors.

#![no_main]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use glassine::internals::text::Tokenizer;
use glassine::internals::weights::Files;
use glassine::pack::{
    AdapterKind, Checkpoint, Component, Lora, PackOptions, Packer, Precision, inspect,
};
use glassine_fuzz::tiny::Tiny;
use glassine_fuzz::{Folder, safetensors, sections};
use libfuzzer_sys::fuzz_target;

const SINGLE_FILE: &str = "model.safetensors";
const LORA: &str = "lora.safetensors";

fuzz_target!(|input: &str| {
    let mut folder = Folder::default();
    for section in sections(input) {
        let (path, text) = section.split_once('\n').unwrap_or((section, ""));
        let bytes = match path.ends_with(".safetensors") {
            true => safetensors(text),
            false => text.as_bytes().to_vec(),
        };
        folder.0.insert(path.into(), bytes);
    }
    let path = |name: &str| PathBuf::from(name);
    let has_model = folder.is_folder(&path("model")) || folder.is_file(&path(SINGLE_FILE));
    if !has_model {
        static TINY: OnceLock<Folder> = OnceLock::new();
        let tiny = TINY.get_or_init(|| Tiny::default().checkpoint());
        folder.0.extend(tiny.0.clone());
    }
    let lora = Lora::open_in(&folder, &path(LORA), 0.5);
    for model in [path("model"), path(SINGLE_FILE), path(Tiny::CHECKPOINT)] {
        if let Ok(checkpoint) = Checkpoint::open_in(&folder, &model) {
            read(checkpoint, Lora::open_in(&folder, &path(LORA), 0.5).ok());
            for precision in [Precision::F16, Precision::Q4] {
                pack(&folder, &model, precision, lora.is_ok());
            }
        }
    }
    tokenizer(&folder);
    if let Some(bytes) = folder.0.get(Path::new(SINGLE_FILE)) {
        let file = scratch().join(SINGLE_FILE);
        std::fs::write(&file, bytes).expect("writing to the scratch folder");
        let _ = inspect(&file);
    }
});

fn read(mut checkpoint: Checkpoint, lora: Option<Lora>) {
    if let Some(lora) = lora {
        let _ = checkpoint.apply(lora);
    }
    for component in Component::ALL {
        let names: Vec<_> = checkpoint
            .tensors(component)
            .map(|(name, _)| name.to_string())
            .collect();
        for name in names {
            let _ = checkpoint.read(component, &name);
        }
    }
}

/// Packs with every companion that is there.
fn pack(folder: &Folder, model: &Path, precision: Precision, with_lora: bool) {
    let file = |name: &str| folder.is_file(Path::new(name)).then(|| PathBuf::from(name));
    let adapters = AdapterKind::ALL
        .iter()
        .copied()
        .filter_map(|kind| Some((kind, file(&format!("{}.safetensors", kind.as_str()))?)));
    let mut options = PackOptions::new(model.to_path_buf());
    options.vae = file("vae.safetensors");
    options.text_encoder = file("text_encoder.safetensors");
    options.transparency_decoder = file("transparency_decoder.safetensors");
    options.transparency_encoder = file("transparency_encoder.safetensors");
    options.controlnet = file("controlnet.safetensors").or_else(|| {
        let has_folder = folder.is_folder(Path::new("controlnet"));
        has_folder.then(|| "controlnet".into())
    });
    options.taesd_decoder = file("taesd_decoder.safetensors");
    options.taesd_encoder = file("taesd_encoder.safetensors");
    options.adapters = BTreeMap::from_iter(adapters);
    options.loras = with_lora.then(|| (LORA.into(), 1.0)).into_iter().collect();
    options.precision = precision;
    let mut store = Folder::default();
    let packed = Packer::pack(&options, "fuzzed", folder, &mut store, async |_| true);
    let _ = pollster::block_on(packed);
}

fn tokenizer(folder: &Folder) {
    let text = |name: &str| {
        folder
            .0
            .get(Path::new(name))
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    let merges = text("model/tokenizer/merges.txt");
    for tokenizer in [
        Tokenizer::from_merges(merges),
        Tokenizer::from_files(text("model/tokenizer/vocab.json"), merges),
    ]
    .into_iter()
    .flatten()
    {
        let ids = tokenizer.encode_padded("An apple, 2 pears'll be <|endoftext|> é", 77);
        assert!(
            ids.iter()
                .all(|id| (*id as usize) < tokenizer.vocabulary_size())
        );
    }
}

/// Where the file lies that `inspect` reads.
fn scratch() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("glassine-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a scratch folder");
        folder
    })
}
