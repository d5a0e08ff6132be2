//! ControlNets: folders in diffusers' layout, and single files in diffusers' or the original names.

use std::path::Path;

use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::component::{Component, unet_config};
use super::diffusers_folder::{open_weights, read_json};
use super::kind;
use super::manifest::Manifest;
use super::single_file::original_control_net_names;
use super::tensor_source::TensorSource;
use crate::weights::{Files, TensorFile};
use crate::{Error, ErrorCode, Result};

/// Opens the ControlNet at `path` among `files`, a folder or a file, for the UNet of `base`: its
/// config and its tensors under diffusers' names.
///
/// # Errors
/// `model_not_found` if a file is missing, `model_unsupported` if there is something else or a
/// ControlNet for another UNet.
pub fn open(files: &dyn Files, path: &Path, base: &Checkpoint) -> Result<(Value, TensorSource)> {
    let (config, source) = match files.is_folder(path) {
        true => open_folder(files, path)?,
        false => open_file(files, path)?,
    };
    let own = base.tensors(Component::Unet);
    let own = own.map(|(name, info)| (name, info.shape.as_slice()));
    let reason = unusable(&config, &source).or_else(|| misfit(&source, own));
    match reason {
        None => Ok((config, source)),
        Some(reason) => Err(refusal(path, &reason)),
    }
}

/// Refuses the file at `path` if it holds no ControlNet, or one that steers no UNet here.
///
/// # Errors
/// As [`open`].
pub fn check_alone(files: &dyn Files, path: &Path) -> Result<()> {
    let (config, source) = open_file(files, path)?;
    match unusable(&config, &source) {
        None => Ok(()),
        Some(reason) => Err(refusal(path, &reason)),
    }
}

/// Refuses the ControlNet in the file at `path` if it is for another UNet than that of the pack of `manifest`.
///
/// # Errors
/// As [`open`].
pub fn check_fits(files: &dyn Files, path: &Path, manifest: &Manifest) -> Result<()> {
    let (_, source) = open_file(files, path)?;
    let start = Component::Unet.start();
    let shapes: Vec<_> = manifest
        .tensors
        .iter()
        .filter_map(|(name, entry)| Some((name.strip_prefix(&start)?, entry.file_shape())))
        .collect();
    match misfit(
        &source,
        shapes.iter().map(|(name, shape)| (*name, &shape[..])),
    ) {
        None => Ok(()),
        Some(reason) => Err(refusal(path, &reason)),
    }
}

fn open_folder(files: &dyn Files, folder: &Path) -> Result<(Value, TensorSource)> {
    if files.is_folder(&folder.join("unet")) {
        return Err(refusal(folder, "it is a whole model and not a ControlNet"));
    }
    let config = read_json(files, &folder.join("config.json"))?;
    let stem = Component::Unet.weights_stem();
    let hint = "pass a ControlNet's folder in diffusers' layout, or its file, as .safetensors";
    let mut source = TensorSource::default();
    for file in open_weights(files, folder, stem, hint)? {
        source.add(file, |name| Some(name.to_string()))?;
    }
    Ok((config, source))
}

fn open_file(files: &dyn Files, path: &Path) -> Result<(Value, TensorSource)> {
    let file = TensorFile::open_in(files, path)?;
    let has = |start: &str| file.tensors().keys().any(|name| name.starts_with(start));
    // Such files hold what is to be added to a UNet's weights to give a ControlNet's.
    if file.tensors().contains_key("difference") || has("lora_controlnet") || has("control_lora") {
        let reason = "it is the difference of a ControlNet from its base model, or a Control-LoRA";
        return Err(refusal(path, reason));
    }
    let start = match has("control_model.") {
        true => "control_model.",
        false => "",
    };
    let mut source = TensorSource::default();
    if has(&format!("{start}zero_convs.")) {
        let canonical = original_control_net_names(start, file.tensors());
        source.add(file, canonical)?;
    } else if has("controlnet_") {
        source.add(file, |name| Some(name.to_string()))?;
    } else {
        let kind = kind::of(file.tensors()).map(|kind| format!("it is a {}", kind.name));
        let reason = kind.unwrap_or_else(|| "it is not a ControlNet".into());
        return Err(refusal(path, &reason));
    }
    let mut config = unet_config(&source, "");
    // Only its name tells of a file that its conditions are pooled.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.to_lowercase().contains("shuffle") {
        config["global_pool_conditions"] = true.into();
    }
    Ok((config, source))
}

fn refusal(path: &Path, reason: &str) -> Error {
    Error::new(
        ErrorCode::ModelUnsupported,
        format!("{} cannot be used: {reason}", path.display()),
        "pass a ControlNet for Stable Diffusion 1.5 that takes one RGB picture",
    )
}

/// Why a ControlNet cannot be used with any UNet; `None` if it can.
fn unusable(config: &Value, source: &TensorSource) -> Option<String> {
    if source.info("controlnet_mid_block.weight").is_none() {
        return Some("it is not a ControlNet".into());
    }
    if config["global_pool_conditions"] == true {
        return Some("its conditions are pooled over the whole picture".into());
    }
    let union = [
        "task_embedding",
        "control_type_embedding.",
        "control_add_embedding.",
    ];
    if union.iter().any(|name| source.has_below(name)) {
        return Some("it takes several kinds of pictures (union)".into());
    }
    let order = config["controlnet_conditioning_channel_order"].as_str();
    let inputs = source
        .shape("controlnet_cond_embedding.conv_in.weight")
        .and_then(|shape| shape.get(1));
    if inputs != Some(&3) || order.is_some_and(|order| order != "rgb") {
        return Some("its control picture is not RGB".into());
    }
    None
}

/// Why a ControlNet cannot steer a UNet of these tensors; `None` if it can.
fn misfit<'a>(
    source: &TensorSource,
    unet: impl Iterator<Item = (&'a str, &'a [usize])>,
) -> Option<String> {
    // An inpainting model's first convolution has more inputs.
    let copied = [
        "conv_in.bias",
        "time_embedding.",
        "down_blocks.",
        "mid_block.",
    ];
    let is_copied = |name: &str| copied.iter().any(|start| name.starts_with(start));
    let mut skips = 1;
    for (name, shape) in unet {
        if is_copied(name) && source.shape(name) != Some(shape) {
            return Some(format!("its {name} does not fit the model's UNet"));
        }
        let leaves_skip = name.ends_with(".conv2.weight") || name.ends_with(".conv.weight");
        skips += usize::from(name.starts_with("down_blocks.") && leaves_skip);
    }
    let convolutions = (0..).take_while(|index| {
        source
            .info(&format!("controlnet_down_blocks.{index}.weight"))
            .is_some()
    });
    (convolutions.count() != skips).then(|| format!("it does not have {skips} outputs"))
}
