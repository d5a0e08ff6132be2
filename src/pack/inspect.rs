//! What a checkpoint or a pack holds, in words.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::checkpoint::Checkpoint;
use super::component::{Component, class_of};
use super::diffusers_folder::{open_weights, read_json};
use super::kind;
use super::manifest::{MANIFEST_FILE, Manifest};
use super::mode::Mode;
use crate::weights::{Disk, TensorFile, TensorInfo};
use crate::{Error, ErrorCode, Result};

/// A description of the pack, checkpoint, part of one, or other file of a model at `path`: what it
/// is, precision, sizes, what is missing.
///
/// # Errors
/// As [`Checkpoint::open`]: what glassine does not run is refused as `pack` refuses it.
pub fn inspect(path: &Path) -> Result<String> {
    if path.join(MANIFEST_FILE).is_file() {
        let json = std::fs::read(path.join(MANIFEST_FILE)).map_err(|error| {
            Error::new(
                ErrorCode::Io,
                format!("cannot read {}", path.display()),
                error.to_string(),
            )
        })?;
        return Ok(describe_pack(&Manifest::parse(&json)?));
    }
    if let Some(folder) = describe_other_folder(path)? {
        return Ok(folder);
    }
    match Checkpoint::open(path) {
        Ok(checkpoint) => {
            checkpoint.check()?;
            Ok(describe_checkpoint(&checkpoint))
        }
        // A single file that is no checkpoint may still be one of its companions.
        Err(error) if path.is_file() => match TensorFile::open(path) {
            Ok(file) => describe_file(&file).ok_or(error),
            Err(_) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// A folder that holds one network that is no part of a checkpoint, such as a ControlNet or a LoRA;
/// `None` for anything else.
fn describe_other_folder(folder: &Path) -> Result<Option<String>> {
    let config = folder.join("config.json");
    let stem = if folder.join("adapter_config.json").is_file() {
        "adapter_model"
    } else if config.is_file() {
        let config = read_json(&Disk, &config)?;
        match class_of(&config) {
            Some(_) if Component::of_config(&config).is_none() => Component::Unet.weights_stem(),
            _ => return Ok(None),
        }
    } else {
        return Ok(None);
    };
    let files = open_weights(&Disk, folder, stem, "fetch all files of the folder")?;
    Ok(files.first().and_then(describe_file))
}

fn describe_pack(manifest: &Manifest) -> String {
    let precision = manifest.precision;
    let mut text = format!(
        "pack {} (format {}, {precision:?})\n",
        manifest.name, manifest.glassine
    );
    let total = manifest.total_bytes();
    let _ = writeln!(text, "  {total} bytes in {} shards", manifest.shards.len());
    let mut sizes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for component in manifest.components.keys() {
        let start = format!("{component}.");
        let own = manifest
            .tensors
            .iter()
            .filter(|(name, _)| name.starts_with(&start));
        let size = own.fold((0, 0), |(count, values), (_, tensor)| {
            (count + 1, values + tensor.shape.iter().product::<usize>())
        });
        sizes.insert(component, size);
    }
    for (component, (count, values)) in sizes {
        let _ = writeln!(text, "  {component}: {count} tensors, {values} values");
    }
    if !manifest.encodes() {
        text += "  pictures: are not encoded, for the VAE has no encoder (pack with --vae)\n";
    }
    for mode in Mode::ALL.iter().copied() {
        let _ = match mode.missing_part(manifest) {
            None => writeln!(text, "  mode {mode}: yes"),
            Some(part) => writeln!(text, "  mode {mode}: needs {part}"),
        };
    }
    text
}

fn describe_checkpoint(checkpoint: &Checkpoint) -> String {
    let all = Component::ALL.into_iter();
    let (here, missing): (Vec<_>, Vec<_>) = all.partition(|part| checkpoint.holds(*part));
    let title = match here.as_slice() {
        [part] => part.words(),
        _ => "checkpoint",
    };
    let mut text = format!(
        "Stable Diffusion 1.x {title} {}\n",
        checkpoint.path().display()
    );
    for part in &here {
        let sizes = describe_tensors(checkpoint.tensors(*part).map(|(_, info)| info));
        let _ = writeln!(text, "  {}: {sizes}", part.name());
    }
    match here.as_slice() {
        [part] if *part != Component::Unet => {
            let _ = writeln!(
                text,
                "  use: {}, beside a checkpoint or a UNet",
                part.option()
            );
        }
        _ => {
            for part in missing {
                let (name, option) = (part.name(), part.option());
                let _ = writeln!(text, "  {name}: missing (pack with {option})");
            }
        }
    }
    let vae = |start: &str| {
        let mut tensors = checkpoint.tensors(Component::Vae);
        tensors.any(|(name, _)| name.starts_with(start))
    };
    if here.contains(&Component::Vae) && !vae("encoder.") {
        text += "  the VAE has no encoder: a pack of it decodes only\n";
    }
    if !here.contains(&Component::Unet) {
        return text;
    }
    let _ = writeln!(text, "  prediction: {}", describe_prediction(checkpoint));
    let tokenizer = match checkpoint.merges() {
        Some(_) => "its own",
        None => "not included (CLIP's is used)",
    };
    let _ = writeln!(text, "  tokenizer: {tokenizer}");
    let _ = writeln!(
        text,
        "  transparency: needs a transparency decoder and an adapter when packing"
    );
    text
}

/// What the UNet predicts, as far as the checkpoint says so.
fn describe_prediction(checkpoint: &Checkpoint) -> String {
    let scheduler = checkpoint.config("scheduler");
    let field = |name: &str| scheduler.and_then(|config| config.get(name));
    let kind = field("prediction_type").and_then(|kind| kind.as_str());
    let zero = field("rescale_betas_zero_snr").is_some_and(|value| value == true);
    let snr = if zero { ", zero terminal SNR" } else { "" };
    format!("{}{snr}", kind.unwrap_or("epsilon"))
}

/// How many tensors of which types, and how large they are together.
fn describe_tensors<'a>(tensors: impl Iterator<Item = &'a TensorInfo>) -> String {
    let mut types: BTreeMap<String, usize> = BTreeMap::new();
    let (mut values, mut bytes) = (0, 0);
    for info in tensors {
        *types.entry(format!("{:?}", info.dtype)).or_default() += 1;
        values += info.shape.iter().product::<usize>();
        bytes += info.byte_len();
    }
    let types: Vec<_> = types
        .into_iter()
        .map(|(dtype, count)| format!("{count} {dtype}"))
        .collect();
    format!(
        "{} tensors, {values} values, {bytes} bytes",
        types.join(" + ")
    )
}

fn describe_file(file: &TensorFile) -> Option<String> {
    let kind = kind::of(file.tensors())?;
    let mut text = format!("{} {}\n", kind.name, file.path().display());
    let _ = writeln!(text, "  {}", describe_tensors(file.tensors().values()));
    let _ = match kind.option {
        Some(option) => writeln!(text, "  use: {option}"),
        None => writeln!(text, "  use: glassine does not use it"),
    };
    Some(text)
}
