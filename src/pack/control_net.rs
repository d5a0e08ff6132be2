//! ControlNets in diffusers' layout.

use std::path::Path;

use serde_json::Value;

use super::checkpoint::{Checkpoint, find_weights, read_json};
use super::component::Component;
use crate::weights::Files;
use crate::weights::SafetensorsFile;
use crate::{Error, ErrorCode, Result};

/// Opens the ControlNet in `folder` among `files` for the UNet of `base`: its config and its tensors.
///
/// # Errors
/// `model_not_found` if a file is missing, `model_unsupported` if the folder holds something else
/// or a ControlNet for another UNet.
pub fn open(
    files: &dyn Files,
    folder: &Path,
    base: &Checkpoint,
) -> Result<(Value, SafetensorsFile)> {
    let config = read_json(files, &folder.join("config.json"))?;
    let path = find_weights(
        files,
        folder,
        Component::Unet.weight_files(),
        "glassine reads ControlNets from diffusers' layout, as .safetensors",
    )?;
    let file = SafetensorsFile::open_in(files, &path)?;
    match unusable(&config, &file, base) {
        None => Ok((config, file)),
        Some(reason) => Err(Error::new(
            ErrorCode::ModelUnsupported,
            format!("{} cannot be used: {reason}", folder.display()),
            "pass a ControlNet for Stable Diffusion 1.5 that takes one RGB picture",
        )),
    }
}

/// Why a ControlNet cannot steer the UNet of `base`; `None` if it can.
fn unusable(config: &Value, file: &SafetensorsFile, base: &Checkpoint) -> Option<String> {
    let shape = |name: &str| file.tensors().get(name).map(|info| info.shape.as_slice());
    if !file.tensors().contains_key("controlnet_mid_block.weight") {
        return Some("it is not a ControlNet".into());
    }
    if config["global_pool_conditions"] == true {
        return Some("its conditions are pooled over the whole picture".into());
    }
    let order = config["controlnet_conditioning_channel_order"].as_str();
    let inputs = shape("controlnet_cond_embedding.conv_in.weight").and_then(|shape| shape.get(1));
    if inputs != Some(&3) || order.is_some_and(|order| order != "rgb") {
        return Some("its control picture is not RGB".into());
    }
    // An inpainting model's first convolution has more inputs.
    let copied = [
        "conv_in.bias",
        "time_embedding.",
        "down_blocks.",
        "mid_block.",
    ];
    let is_copied = |name: &str| copied.iter().any(|start| name.starts_with(start));
    let mut skips = 1;
    for (name, info) in base.tensors(Component::Unet) {
        if is_copied(name) && shape(name) != Some(&info.shape) {
            return Some(format!("its {name} does not fit the checkpoint's UNet"));
        }
        let leaves_skip = name.ends_with(".conv2.weight") || name.ends_with(".conv.weight");
        skips += usize::from(name.starts_with("down_blocks.") && leaves_skip);
    }
    let convolutions = (0..)
        .take_while(|index| shape(&format!("controlnet_down_blocks.{index}.weight")).is_some());
    (convolutions.count() != skips).then(|| format!("it does not have {skips} outputs"))
}
