//! The tiny model as an original single file, and files that are made of it by other names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use glassine::internals::weights::{Dtype, SafetensorsFile, write_safetensors};

use super::{golden, golden_bytes, model};

/// A tensor as it stands in a file: name, type, shape, bytes.
pub type Entry = (String, Dtype, Vec<usize>, Vec<u8>);

/// The whole model: the published file where it lies in the golden data, else put together from the
/// folder by the table of names.
pub fn whole() -> PathBuf {
    let original = golden("sd-tiny/single-file.safetensors");
    if original.is_file() {
        return original;
    }
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(build).clone()
}

fn build() -> PathBuf {
    let names: HashMap<String, String> =
        serde_json::from_slice(&golden_bytes("sd-tiny/single-file-names.json")).unwrap();
    let folder = model::checkpoint();
    let mut parts: HashMap<&str, HashMap<String, Entry>> = HashMap::new();
    for (part, stem) in [
        ("text_encoder", "model"),
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
    ] {
        let entries = read(&folder.join(part).join(format!("{stem}.safetensors")));
        let by_name = entries.into_iter().map(|entry| (entry.0.clone(), entry));
        parts.insert(part, by_name.collect());
    }
    let mut tensors = vec![
        ("model_ema.decay".into(), Dtype::F32, vec![], vec![0; 4]),
        ("betas".into(), Dtype::F32, vec![2], vec![0; 8]),
    ];
    for (original, canonical) in &names {
        let (part, name) = canonical.split_once('.').unwrap();
        let (_, dtype, mut shape, bytes) = parts[part][name].clone();
        if original.contains(".attn_1.") && shape.len() == 2 {
            shape.extend([1, 1]);
        }
        tensors.push((original.clone(), dtype, shape, bytes));
    }
    write("single-file.safetensors", &tensors)
}

/// All tensors of a file.
pub fn read(path: &Path) -> Vec<Entry> {
    let mut file = SafetensorsFile::open(path).unwrap();
    let infos = file.tensors().clone();
    let tensors = infos.into_iter().map(|(name, info)| {
        let bytes = file.read_bytes(&name).unwrap();
        (name, info.dtype, info.shape, bytes)
    });
    tensors.collect()
}

/// Writes a file into the scratch folder.
#[track_caller]
pub fn write(name: &str, tensors: &[Entry]) -> PathBuf {
    let path = model::scratch().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, write_safetensors(tensors)).unwrap();
    path
}

/// The whole file's tensors under other names, and without those that `rename` gives none.
pub fn renamed(rename: impl Fn(&str) -> Option<String>) -> Vec<Entry> {
    static TENSORS: OnceLock<Vec<Entry>> = OnceLock::new();
    let all = TENSORS.get_or_init(|| read(&whole())).iter();
    all.filter_map(|(name, dtype, shape, bytes)| {
        Some((rename(name)?, *dtype, shape.clone(), bytes.clone()))
    })
    .collect()
}

/// A mark without values, such as `v_pred`.
pub fn mark(name: &str) -> Entry {
    (name.into(), Dtype::F32, vec![0], vec![])
}
