//! What a checkpoint or a pack holds, in words.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::checkpoint::Checkpoint;
use super::component::Component;
use super::manifest::{MANIFEST_FILE, Manifest};
use super::mode::Mode;
use crate::weights::SafetensorsFile;
use crate::{Error, ErrorCode, Result};

/// A description of the pack, checkpoint or adapter file at `path`: architecture, precision,
/// sizes, what is missing.
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
    match Checkpoint::open(path) {
        Ok(checkpoint) => {
            checkpoint.check()?;
            Ok(describe_checkpoint(&checkpoint))
        }
        // A single file that is no checkpoint may still be one of its companions.
        Err(error) if path.is_file() => {
            let file = SafetensorsFile::open(path)?;
            describe_companion(&file).ok_or(error)
        }
        Err(error) => Err(error),
    }
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
    for mode in Mode::ALL.iter().copied() {
        let _ = match mode.missing_part(manifest) {
            None => writeln!(text, "  mode {mode}: yes"),
            Some(part) => writeln!(text, "  mode {mode}: needs {part}"),
        };
    }
    text
}

fn describe_checkpoint(checkpoint: &Checkpoint) -> String {
    let mut text = format!(
        "Stable Diffusion 1.x checkpoint {}\n",
        checkpoint.path().display()
    );
    for component in Component::ALL {
        let mut types: BTreeMap<String, usize> = BTreeMap::new();
        let (mut values, mut bytes) = (0, 0);
        for (_, info) in checkpoint.tensors(component) {
            *types.entry(format!("{:?}", info.dtype)).or_default() += 1;
            values += info.shape.iter().product::<usize>();
            bytes += info.byte_len();
        }
        let types: Vec<_> = types
            .into_iter()
            .map(|(dtype, count)| format!("{count} {dtype}"))
            .collect();
        let _ = match types.is_empty() {
            true => writeln!(text, "  {}: missing", component.name()),
            false => writeln!(
                text,
                "  {}: {} tensors, {values} values, {bytes} bytes",
                component.name(),
                types.join(" + ")
            ),
        };
    }
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

fn describe_companion(file: &SafetensorsFile) -> Option<String> {
    let has = |name: &str| file.tensors().contains_key(name);
    let frames = (0..)
        .take_while(|frame| has(&format!("hookers.layers.0.to_q_lora.{frame}.down.weight")))
        .count();
    let kind = if frames > 0 {
        let control = if has("kwargs_encoder.blocks_0.0.weight") {
            ", with a condition"
        } else {
            ""
        };
        format!("attention-sharing adapter for {frames} frame(s){control}")
    } else if has("latent_conv_in.weight") {
        "transparency decoder".into()
    } else if has("blocks.16.weight") {
        "transparency encoder".into()
    } else if has("controlnet_mid_block.weight") {
        "ControlNet".into()
    } else if has("18.conv.0.weight") && has("19.weight") {
        "TAESD decoder".into()
    } else if has("13.conv.0.weight") && has("14.weight") {
        "TAESD encoder".into()
    } else {
        return None;
    };
    let bytes = file.tensor_bytes();
    Some(format!(
        "{kind} {}\n  {} tensors, {bytes} bytes\n",
        file.path().display(),
        file.tensors().len()
    ))
}
