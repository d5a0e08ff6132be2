//! Original single-file checkpoints: recognising them, and their names in diffusers' spelling.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::component::{Component, sd15_scheduler, unsupported_family};
use crate::weights::TensorInfo;
use crate::{Error, ErrorCode, Result};

const UNET: &str = "model.diffusion_model.";
const VAE: &str = "first_stage_model.";
const TEXT: &str = "cond_stage_model.transformer.";

type Tensors = BTreeMap<String, TensorInfo>;

/// How the numbered blocks of a single file map to levels and layers.
pub struct Layout {
    /// Layers of one UNet level on the way down.
    layers: usize,
    vae_levels: usize,
}

impl Layout {
    /// Recognises a Stable Diffusion 1.x file by its tensors' names and shapes.
    pub fn recognise(path: &Path, tensors: &Tensors) -> Result<Self> {
        let has = |start: &str| tensors.keys().any(|name| name.starts_with(start));
        if has("conditioner.embedders.") {
            return Err(unsupported_family(path, "SDXL"));
        }
        if has("cond_stage_model.model.") {
            return Err(unsupported_family(path, "Stable Diffusion 2"));
        }
        for (prefix, part) in [(UNET, "UNet"), (VAE, "VAE"), (TEXT, "text encoder")] {
            if !has(prefix) {
                return Err(Error::new(
                    ErrorCode::ModelUnsupported,
                    format!("{} holds no {part} ({prefix}*)", path.display()),
                    "pass a whole Stable Diffusion 1.5 checkpoint",
                ));
            }
        }
        let input = tensors.get(&format!("{UNET}input_blocks.0.0.weight"));
        if input.is_some_and(|info| info.shape.get(1) == Some(&9)) {
            return Err(unsupported_family(path, "an inpainting model"));
        }
        Ok(Self::measure(tensors))
    }

    fn measure(tensors: &Tensors) -> Self {
        let indices = |prefix: &str, suffix: &str| -> BTreeSet<usize> {
            let inner = |name: &String| {
                let rest = name.strip_prefix(prefix)?;
                let (index, rest) = rest.split_once('.')?;
                rest.starts_with(suffix).then(|| index.parse().ok())?
            };
            tensors.keys().filter_map(inner).collect()
        };
        let blocks = indices(&format!("{UNET}input_blocks."), "").len();
        let downsamplers = indices(&format!("{UNET}input_blocks."), "0.op").len();
        let levels = downsamplers + 1;
        Self {
            // The first block is the input convolution; each level but the last ends in a
            // downsampler.
            layers: (blocks.saturating_sub(1 + downsamplers)) / levels,
            vae_levels: indices(&format!("{VAE}encoder.down."), "").len(),
        }
    }

    /// The layout of a UNet that has this many layers in a level on the way down.
    pub(super) fn of_unet(layers: usize) -> Self {
        Self {
            layers,
            vae_levels: 0,
        }
    }

    /// The component and diffusers' name of a tensor; `None` for what inference does not use, such
    /// as schedule buffers and averaged weights.
    pub fn canonical_name(&self, name: &str) -> Option<(Component, String)> {
        if let Some(rest) = name.strip_prefix(UNET) {
            return Some((Component::Unet, self.unet_name(rest)?));
        }
        if let Some(rest) = name.strip_prefix(VAE) {
            return Some((Component::Vae, self.vae_name(rest)?));
        }
        let rest = name.strip_prefix(TEXT)?;
        let used = !rest.ends_with("position_ids");
        used.then(|| (Component::TextEncoder, rest.to_string()))
    }

    /// Diffusers' name of a tensor of the UNet, whose name begins with its block.
    pub(super) fn unet_name(&self, name: &str) -> Option<String> {
        let parts: Vec<&str> = name.split('.').collect();
        let tail = |from: usize| parts[from..].join(".");
        let name = match parts.as_slice() {
            ["time_embed", "0", leaf] => format!("time_embedding.linear_1.{leaf}"),
            ["time_embed", "2", leaf] => format!("time_embedding.linear_2.{leaf}"),
            ["out", "0", leaf] => format!("conv_norm_out.{leaf}"),
            ["out", "2", leaf] => format!("conv_out.{leaf}"),
            ["input_blocks", "0", "0", leaf] => format!("conv_in.{leaf}"),
            ["input_blocks", block, "0", "op", leaf] => {
                let level = (block.parse::<usize>().ok()?.checked_sub(1)?) / (self.layers + 1);
                format!("down_blocks.{level}.downsamplers.0.conv.{leaf}")
            }
            ["input_blocks", block, part, ..] => {
                let index = block.parse::<usize>().ok()?.checked_sub(1)?;
                let (level, layer) = (index / (self.layers + 1), index % (self.layers + 1));
                layer_name(&format!("down_blocks.{level}"), layer, part, &tail(3))?
            }
            ["middle_block", "0", ..] => format!("mid_block.resnets.0.{}", resnet_leaf(&tail(2))?),
            ["middle_block", "1", ..] => format!("mid_block.attentions.0.{}", tail(2)),
            ["middle_block", "2", ..] => format!("mid_block.resnets.1.{}", resnet_leaf(&tail(2))?),
            ["output_blocks", block, part, ..] => {
                let index = block.parse::<usize>().ok()?;
                let (level, layer) = (index / (self.layers + 1), index % (self.layers + 1));
                let block = format!("up_blocks.{level}");
                if parts.get(3) == Some(&"conv") {
                    format!("{block}.upsamplers.0.conv.{}", tail(4))
                } else {
                    layer_name(&block, layer, part, &tail(3))?
                }
            }
            _ => return None,
        };
        Some(name)
    }

    fn vae_name(&self, name: &str) -> Option<String> {
        let parts: Vec<&str> = name.split('.').collect();
        let tail = |from: usize| parts[from..].join(".");
        let name = match parts.as_slice() {
            ["quant_conv" | "post_quant_conv", _] => name.to_string(),
            [side, "norm_out", leaf] => format!("{side}.conv_norm_out.{leaf}"),
            [side, "conv_in" | "conv_out", ..] => format!("{side}.{}", tail(1)),
            [side, "mid", "attn_1", ..] => {
                format!(
                    "{side}.mid_block.attentions.0.{}",
                    vae_attention_leaf(&tail(3))?
                )
            }
            [side, "mid", block, ..] => {
                let index = block
                    .strip_prefix("block_")?
                    .parse::<usize>()
                    .ok()?
                    .checked_sub(1)?;
                let leaf = vae_resnet_leaf(&tail(3));
                format!("{side}.mid_block.resnets.{index}.{leaf}")
            }
            ["encoder", "down", level, "block", layer, ..] => {
                let leaf = vae_resnet_leaf(&tail(5));
                format!("encoder.down_blocks.{level}.resnets.{layer}.{leaf}")
            }
            ["encoder", "down", level, "downsample", ..] => {
                format!("encoder.down_blocks.{level}.downsamplers.0.{}", tail(4))
            }
            ["decoder", "up", level, rest @ ..] => {
                // The file counts the decoder's levels from the finest, diffusers from the coarsest.
                let coarser = self.vae_levels.checked_sub(level.parse().ok()?)?;
                let level = coarser.checked_sub(1)?;
                let block = format!("decoder.up_blocks.{level}");
                match rest {
                    ["block", layer, ..] => {
                        format!("{block}.resnets.{layer}.{}", vae_resnet_leaf(&tail(5)))
                    }
                    ["upsample", ..] => format!("{block}.upsamplers.0.{}", tail(4)),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(name)
    }

    /// Configs as diffusers' folders have them, from shapes and from what is fixed for the family.
    pub fn configs(&self, tensors: &Tensors) -> Result<BTreeMap<&'static str, Value>> {
        let name = format!("{TEXT}text_model.embeddings.token_embedding.weight");
        let hidden = tensors
            .get(&name)
            .and_then(|info| info.shape.get(1))
            .copied();
        let hidden = hidden.ok_or_else(|| {
            Error::new(
                ErrorCode::ModelDamaged,
                format!("the checkpoint has no {name}"),
                "it is incomplete",
            )
        })?;
        // CLIP-L's heads are 64 wide; narrower models than that only exist for tests.
        let heads = if hidden.is_multiple_of(64) {
            hidden / 64
        } else {
            (hidden / 8).max(1)
        };
        Ok(BTreeMap::from([
            (
                "text_encoder",
                json!({ "num_attention_heads": heads, "hidden_act": "quick_gelu" }),
            ),
            (
                "unet",
                json!({ "attention_head_dim": 8, "sample_size": 64 }),
            ),
            ("vae", json!({ "scaling_factor": 0.18215 })),
            ("scheduler", sd15_scheduler()),
        ]))
    }
}

/// `block.resnets.layer.*` for part 0 and `block.attentions.layer.*` for part 1.
fn layer_name(block: &str, layer: usize, part: &str, tail: &str) -> Option<String> {
    match part {
        "0" => Some(format!("{block}.resnets.{layer}.{}", resnet_leaf(tail)?)),
        "1" => Some(format!("{block}.attentions.{layer}.{tail}")),
        _ => None,
    }
}

fn resnet_leaf(tail: &str) -> Option<String> {
    let (module, leaf) = tail.rsplit_once('.')?;
    let module = match module {
        "in_layers.0" => "norm1",
        "in_layers.2" => "conv1",
        "emb_layers.1" => "time_emb_proj",
        "out_layers.0" => "norm2",
        "out_layers.3" => "conv2",
        "skip_connection" => "conv_shortcut",
        _ => return None,
    };
    Some(format!("{module}.{leaf}"))
}

fn vae_resnet_leaf(tail: &str) -> String {
    tail.replace("nin_shortcut", "conv_shortcut")
}

fn vae_attention_leaf(tail: &str) -> Option<String> {
    let (module, leaf) = tail.split_once('.')?;
    let module = match module {
        "norm" => "group_norm",
        "q" => "to_q",
        "k" => "to_k",
        "v" => "to_v",
        "proj_out" => "to_out.0",
        _ => return None,
    };
    Some(format!("{module}.{leaf}"))
}
