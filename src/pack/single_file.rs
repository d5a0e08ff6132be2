//! Which parts of a model a file holds, and how their tensors are called in diffusers' spelling.
//!
//! A part's names have a beginning, by which the file that holds it tells it from the others, and
//! follow either the original code (CompVis' latent diffusion) or diffusers.

use std::collections::{BTreeMap, BTreeSet};

use super::component::Component;
use crate::weights::TensorInfo;

/// Names and headers of a file's tensors.
pub type Tensors = BTreeMap<String, TensorInfo>;

/// Beginnings of a part's names in files that hold several, the usual one first.
const UNET: [&str; 3] = ["model.diffusion_model.", "diffusion_model.", "unet."];
const VAE: [&str; 2] = ["first_stage_model.", "vae."];
const TEXT_ENCODER: [&str; 7] = [
    "cond_stage_model.transformer.",
    "text_encoders.clip_l.transformer.",
    "text_encoders.clip_l.",
    "clip_l.transformer.",
    "clip_l.",
    "text_encoder.",
    "te.",
];
/// The table that every CLIP text encoder has, whatever its names begin with.
const TOKEN_TABLE: &str = "embeddings.token_embedding.weight";
/// What tells a part that its file holds alone, without a beginning.
const BARE_UNET: [&str; 2] = [
    "input_blocks.0.0.weight",
    "down_blocks.0.resnets.0.time_emb_proj.weight",
];
const BARE_VAE: [&str; 3] = ["decoder.up.", "decoder.up_blocks.", "decoder.mid"];

/// How the names of one part are spelled.
enum Spelling {
    /// As in diffusers.
    Diffusers,
    /// A UNet's or a ControlNet's numbered blocks.
    OriginalUnet(Blocks),
    /// A VAE with this many levels in its decoder.
    OriginalVae(usize),
}

/// One part: what its names begin with, and how they go on.
struct Part {
    start: String,
    spelling: Spelling,
}

/// How the names in a file map to parts and diffusers' names.
#[derive(Default)]
pub struct Layout {
    parts: BTreeMap<Component, Part>,
}

impl Layout {
    /// The parts among `tensors`.
    pub fn recognise(tensors: &Tensors) -> Self {
        let mut parts = BTreeMap::new();
        for component in Component::ALL {
            if let Some(start) = start_of(component, tensors) {
                let spelling = Spelling::of(component, &start, tensors);
                parts.insert(component, Part { start, spelling });
            }
        }
        Self { parts }
    }

    /// The layout of `tensors` that are known to be those of `component`.
    pub fn of_part(component: Component, tensors: &Tensors) -> Self {
        let start = start_of(component, tensors).unwrap_or_default();
        let spelling = Spelling::of(component, &start, tensors);
        Self {
            parts: BTreeMap::from([(component, Part { start, spelling })]),
        }
    }

    /// The layout of an original UNet that has this many layers in a level on the way down.
    pub(super) fn of_unet(layers: usize) -> Self {
        let part = Part {
            start: String::new(),
            spelling: Spelling::OriginalUnet(Blocks::regular(layers)),
        };
        Self {
            parts: BTreeMap::from([(Component::Unet, part)]),
        }
    }

    /// The parts that there are.
    pub fn components(&self) -> impl Iterator<Item = Component> {
        self.parts.keys().copied()
    }

    /// The part and diffusers' name of a tensor; `None` for what inference does not use, such as
    /// schedule buffers and averaged weights.
    pub fn canonical_name(&self, name: &str) -> Option<(Component, String)> {
        // Of a part without a beginning is what is of no other.
        let own = self
            .parts
            .iter()
            .filter(|(_, part)| name.starts_with(&part.start));
        let (component, part) = own.max_by_key(|(_, part)| part.start.len())?;
        let rest = &name[part.start.len()..];
        let name = match component {
            Component::TextEncoder => text_encoder_name(rest),
            Component::Unet => part.spelling.unet_name(rest),
            Component::Vae => part.spelling.vae_name(rest),
        };
        Some((*component, name?))
    }

    /// Diffusers' name of a tensor of the UNet, whose name begins with its block.
    pub(super) fn unet_name(&self, name: &str) -> Option<String> {
        self.parts.get(&Component::Unet)?.spelling.unet_name(name)
    }
}

/// What the names of `component` begin with, if it is there.
fn start_of(component: Component, tensors: &Tensors) -> Option<String> {
    let has = |start: &str| tensors.keys().any(|name| name.starts_with(start));
    let starts: &[&str] = match component {
        Component::TextEncoder => &TEXT_ENCODER,
        Component::Unet => &UNET,
        Component::Vae => &VAE,
    };
    if let Some(start) = starts.iter().find(|start| has(start)) {
        return Some(start.to_string());
    }
    let is_bare = match component {
        Component::TextEncoder => {
            let table = tensors
                .keys()
                .find_map(|name| name.strip_suffix(TOKEN_TABLE));
            let start = table?.strip_suffix("text_model.");
            return Some(start.or(table)?.to_string());
        }
        Component::Unet => BARE_UNET.iter().any(|name| tensors.contains_key(*name)),
        Component::Vae => BARE_VAE.iter().any(|start| has(start)),
    };
    is_bare.then(String::new)
}

impl Spelling {
    fn of(component: Component, start: &str, tensors: &Tensors) -> Self {
        let has = |part: &str| {
            let start = format!("{start}{part}");
            tensors.keys().any(|name| name.starts_with(&start))
        };
        match component {
            Component::Unet if has("input_blocks.") || has("middle_block.") => {
                Self::OriginalUnet(Blocks::measure(start, tensors))
            }
            Component::Vae
                if ["up.", "mid."]
                    .iter()
                    .any(|at| has(&format!("decoder.{at}"))) =>
            {
                Self::OriginalVae(indices(tensors, &format!("{start}decoder.up.")).len())
            }
            _ => Self::Diffusers,
        }
    }

    fn unet_name(&self, name: &str) -> Option<String> {
        match self {
            Self::OriginalUnet(blocks) => original_unet_name(blocks, name),
            _ => Some(name.to_string()),
        }
    }

    fn vae_name(&self, name: &str) -> Option<String> {
        match self {
            Self::OriginalVae(levels) => original_vae_name(*levels, name),
            _ => vae_name(name),
        }
    }
}

/// The numbers that follow `start` in names.
fn indices(tensors: &Tensors, start: &str) -> BTreeSet<usize> {
    let index = |name: &String| name.strip_prefix(start)?.split_once('.')?.0.parse().ok();
    tensors.keys().filter_map(index).collect()
}

/// Level and layer of each of the numbered blocks of an original UNet. A block that ends a level
/// with a convolution has the layer that would come next.
#[derive(Default)]
struct Blocks {
    down: BTreeMap<usize, (usize, usize)>,
    up: BTreeMap<usize, (usize, usize)>,
}

impl Blocks {
    /// Reads levels and layers off the blocks that there are. Numbers may be left out: a model from
    /// which layers were removed often keeps the numbers of the others.
    fn measure(start: &str, tensors: &Tensors) -> Self {
        let has = |part: String| {
            let start = format!("{start}{part}");
            tensors.keys().any(|name| name.starts_with(&start))
        };
        let ends_down = |block: usize| has(format!("input_blocks.{block}.0.op."));
        let is_layer = |block: usize| has(format!("output_blocks.{block}.0.in_layers."));
        let ends_up = |block: usize| {
            let mut parts = 0..3;
            parts.any(|part| has(format!("output_blocks.{block}.{part}.conv.")))
        };
        let numbers = |path: &str| indices(tensors, &format!("{start}{path}."));
        let mut blocks = Self::default();
        let (mut level, mut layer) = (0, 0);
        for block in numbers("input_blocks")
            .into_iter()
            .filter(|block| *block > 0)
        {
            blocks.down.insert(block, (level, layer));
            (level, layer) = match ends_down(block) {
                true => (level + 1, 0),
                false => (level, layer + 1),
            };
        }
        (level, layer) = (0, 0);
        for block in numbers("output_blocks") {
            blocks.up.insert(block, (level, layer));
            layer += usize::from(is_layer(block));
            if ends_up(block) {
                (level, layer) = (level + 1, 0);
            }
        }
        blocks
    }

    /// The blocks of a UNet whose levels all have this many layers on the way down.
    fn regular(layers: usize) -> Self {
        // More levels than any UNet of this kind has.
        const LEVELS: usize = 8;
        let place = |index: usize| (index / (layers + 1), index % (layers + 1));
        let count = LEVELS * (layers + 1);
        Self {
            down: (0..count).map(|index| (index + 1, place(index))).collect(),
            up: (0..count).map(|index| (index, place(index))).collect(),
        }
    }
}

/// CLIP's text transformer; `None` for its projection and for other parts of CLIP.
fn text_encoder_name(name: &str) -> Option<String> {
    let name = name.strip_prefix("text_model.").unwrap_or(name);
    let parts = ["embeddings.", "encoder.", "final_layer_norm."];
    let is_used =
        parts.iter().any(|part| name.starts_with(part)) && !name.ends_with("position_ids");
    is_used.then(|| format!("text_model.{name}"))
}

/// A VAE's tensor in diffusers' spelling of today; `None` for what only training uses.
fn vae_name(name: &str) -> Option<String> {
    let parts = ["encoder.", "decoder.", "quant_conv.", "post_quant_conv."];
    if !parts.iter().any(|part| name.starts_with(part)) {
        return None;
    }
    match name.split_once(".attentions.0.") {
        Some((block, leaf)) => Some(format!(
            "{block}.attentions.0.{}",
            vae_attention_leaf(leaf)?
        )),
        None => Some(name.to_string()),
    }
}

fn original_unet_name(blocks: &Blocks, name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    let tail = |from: usize| parts[from..].join(".");
    let place = |places: &BTreeMap<usize, (usize, usize)>, block: &str| {
        places.get(&block.parse().ok()?).copied()
    };
    let name = match parts.as_slice() {
        ["time_embed", "0", leaf] => format!("time_embedding.linear_1.{leaf}"),
        ["time_embed", "2", leaf] => format!("time_embedding.linear_2.{leaf}"),
        ["time_embed", "cond_proj", leaf] => format!("time_embedding.cond_proj.{leaf}"),
        ["out", "0", leaf] => format!("conv_norm_out.{leaf}"),
        ["out", "2", leaf] => format!("conv_out.{leaf}"),
        ["input_blocks", "0", "0", leaf] => format!("conv_in.{leaf}"),
        ["input_blocks", block, "0", "op", leaf] => {
            let (level, _) = place(&blocks.down, block)?;
            format!("down_blocks.{level}.downsamplers.0.conv.{leaf}")
        }
        ["input_blocks", block, part, ..] => {
            let (level, layer) = place(&blocks.down, block)?;
            layer_name(&format!("down_blocks.{level}"), layer, part, &tail(3))?
        }
        ["middle_block", "0", ..] => format!("mid_block.resnets.0.{}", resnet_leaf(&tail(2))?),
        ["middle_block", "1", ..] => format!("mid_block.attentions.0.{}", tail(2)),
        ["middle_block", "2", ..] => format!("mid_block.resnets.1.{}", resnet_leaf(&tail(2))?),
        ["output_blocks", block, part, ..] => {
            let (level, layer) = place(&blocks.up, block)?;
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

/// As for a UNet, with the convolutions that a ControlNet has besides.
pub(super) fn original_control_net_names(
    start: &str,
    tensors: &Tensors,
) -> impl Fn(&str) -> Option<String> + use<> {
    let blocks = Blocks::measure(start, tensors);
    let start = start.to_string();
    let last_hint = indices(tensors, &format!("{start}input_hint_block."))
        .last()
        .copied();
    move |name: &str| {
        let name = name.strip_prefix(&start)?;
        let parts: Vec<&str> = name.split('.').collect();
        match parts.as_slice() {
            ["zero_convs", index, "0", leaf] => {
                Some(format!("controlnet_down_blocks.{index}.{leaf}"))
            }
            ["middle_block_out", "0", leaf] => Some(format!("controlnet_mid_block.{leaf}")),
            ["input_hint_block", index, leaf] => {
                // Between the convolutions, which have even numbers, lie activations.
                let index = index
                    .parse::<usize>()
                    .ok()
                    .filter(|index| index.is_multiple_of(2))?;
                let place = match index {
                    0 => "conv_in".to_string(),
                    _ if Some(index) == last_hint => "conv_out".to_string(),
                    _ => format!("blocks.{}", index / 2 - 1),
                };
                Some(format!("controlnet_cond_embedding.{place}.{leaf}"))
            }
            _ => original_unet_name(&blocks, name),
        }
    }
}

fn original_vae_name(levels: usize, name: &str) -> Option<String> {
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
            let coarser = levels.checked_sub(level.parse().ok()?)?;
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

/// A tensor of the middle's attention, which has had three namings: that of the original code, that
/// of diffusers' first year and today's.
fn vae_attention_leaf(tail: &str) -> Option<String> {
    let (module, leaf) = tail.rsplit_once('.')?;
    let module = match module {
        "norm" | "group_norm" => "group_norm",
        "q" | "query" | "to_q" => "to_q",
        "k" | "key" | "to_k" => "to_k",
        "v" | "value" | "to_v" => "to_v",
        "proj_out" | "proj_attn" | "to_out.0" => "to_out.0",
        _ => return None,
    };
    Some(format!("{module}.{leaf}"))
}
