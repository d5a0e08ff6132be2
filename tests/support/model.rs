//! The tiny golden model as a checkpoint and as a pack.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use burn::tensor::Device;
use glassine::internals::weights::{Dtype, Weights, write_safetensors};
use glassine::pack::{
    AdapterKind, FolderSource, Manifest, Pack, PackOptions, Precision, pack_folder,
};

use super::{Tensors, companions, golden};

/// Scratch space of the file of tests that asks for it, in cargo's target folder. What a run leaves there, the next one of
/// the same binary removes: nothing is dropped at the end of a process.
#[track_caller]
pub fn scratch() -> PathBuf {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    let root = ROOT.get_or_init(|| {
        let binary = std::env::current_exe().expect("a test binary");
        let name = binary.file_stem().expect("a name").to_owned();
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if root.exists() {
            std::fs::remove_dir_all(&root).expect("an old folder that goes");
        }
        root
    });
    let file = Path::new(std::panic::Location::caller().file());
    let folder = root.join(file.file_stem().expect("a name"));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// The tiny Stable Diffusion 1.5 in diffusers' layout.
///
/// The copy in `tests/golden` holds only those rows of the token table that the cases use; the
/// whole table is put together here, with zeros elsewhere.
pub fn checkpoint() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let original = golden("sd-tiny/model");
        if original.join("text_encoder/model.safetensors").is_file() {
            return original;
        }
        let folder = scratch().join("sd-tiny");
        copy_folder(&original, &folder);
        let reduced = Tensors::load(&original.join("text_encoder/model-used-tokens.safetensors"));
        std::fs::write(
            folder.join("text_encoder/model.safetensors"),
            whole_table(&reduced),
        )
        .expect("writing the text encoder");
        folder
    };
    FOLDER.get_or_init(build).clone()
}

pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("golden data") {
        let entry = entry.expect("golden data");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copying golden data");
        }
    }
}

/// Adds the tensors of another safetensors file to those of `path`, or puts them in the place of those
/// of the same names; all in f32.
pub fn replace_tensors(path: &Path, other: &Path) {
    let mut tensors = BTreeMap::new();
    for file in [path, other].map(Tensors::load) {
        for name in file.names() {
            let tensor = file.get(name);
            let bytes: Vec<u8> = tensor
                .f32()
                .into_iter()
                .flat_map(f32::to_le_bytes)
                .collect();
            tensors.insert(name.to_string(), (tensor.shape.clone(), bytes));
        }
    }
    let tensors = tensors.into_iter();
    let tensors = tensors.map(|(name, (shape, bytes))| (name, Dtype::F32, shape, bytes));
    std::fs::write(path, write_safetensors(&tensors.collect::<Vec<_>>())).expect("a changed file");
}

fn whole_table(reduced: &Tensors) -> Vec<u8> {
    const TABLE: &str = "text_model.embeddings.token_embedding.weight";
    let rows = reduced.get(&format!("{TABLE}.rows"));
    let ids = reduced.get(&format!("{TABLE}.ids")).u32();
    let width = rows.shape[1];
    let mut table = vec![0.0; 49_408 * width];
    for (row, id) in ids.iter().enumerate() {
        table[*id as usize * width..][..width].copy_from_slice(&rows.row(row).f32());
    }
    let bytes = |values: &[f32]| {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    };
    let mut tensors = vec![(
        TABLE.to_string(),
        Dtype::F32,
        vec![49_408, width],
        bytes(&table),
    )];
    for name in reduced.names().filter(|name| !name.starts_with(TABLE)) {
        let tensor = reduced.get(name);
        tensors.push((
            name.to_string(),
            Dtype::F32,
            tensor.shape.clone(),
            bytes(&tensor.f32()),
        ));
    }
    write_safetensors(&tensors)
}

/// What to pack of the tiny model, in f32, with the golden transparency files and with
/// [`companions`].
pub fn options() -> PackOptions {
    let companion = |name: &str| {
        golden(&format!(
            "layerdiffuse/weights/layer_sd15_{name}.safetensors"
        ))
    };
    let adapters = [
        (AdapterKind::Single, companion("transparent_attn")),
        (AdapterKind::Joint, companion("joint")),
        (AdapterKind::ForegroundToBackground, companion("fg2bg")),
        (AdapterKind::BackgroundToForeground, companion("bg2fg")),
    ];
    let mut options = PackOptions::new(checkpoint());
    options.transparency_decoder = Some(companion("vae_transparent_decoder"));
    options.transparency_encoder = Some(companion("vae_transparent_encoder"));
    options.controlnet = Some(golden("controlnet/model"));
    options.taesd_decoder = Some(companions::taesd_decoder());
    options.taesd_encoder = Some(companions::taesd_encoder());
    options.adapters = BTreeMap::from(adapters);
    options.precision = Precision::F32;
    options
}

/// Packs into the folder `out`.
pub fn pack_as(options: &PackOptions, out: &Path) -> glassine::Result<Manifest> {
    pollster::block_on(pack_folder(options, out, async |_| true))
}

/// The folder of the tiny model's pack.
pub fn packed() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let out = scratch().join("sd-tiny-pack");
        pack_as(&options(), &out).expect("packing the tiny model");
        out
    });
    folder.clone()
}

/// The tiny model's pack.
pub fn pack() -> FolderSource {
    FolderSource::new(packed())
}

/// All weights of the tiny model's pack on the CPU device, and the opened pack.
pub fn weights() -> (Weights, Pack<FolderSource>) {
    let pack = pollster::block_on(Pack::open(pack().clone())).expect("opening the pack");
    let weights = Weights::new(&Device::flex());
    pollster::block_on(pack.load(&weights, |_| true, async |_| true)).expect("loading the pack");
    (weights, pack)
}
