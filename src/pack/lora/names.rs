//! What the tensors of a LoRA file are called: which layer each belongs to, and as what.
//!
//! Every program that trains LoRAs names layers its own way: kohya's scripts with underscores, PEFT
//! and diffusers with dots, either after diffusers' blocks or after the original ones. Here all of
//! them become a component and a path with underscores; [`LayerIndex`] finds that path in a model.

use std::collections::{BTreeMap, BTreeSet};

use super::super::component::Component;
use super::super::single_file::Layout;

/// What a tensor is to its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// LoRA's factor that meets the layer's input, `[rank, in, ...]`.
    Down,
    /// LoRA's factor that makes the layer's output, `[out, rank, ...]`.
    Up,
    /// What lies between the two in a Tucker decomposition, `[rank, rank, height, width]`.
    Mid,
    /// What is added to the layer's bias, to be scaled as the factors are.
    UpBias,
    /// LoHa's factors: the first pair, the second, and the core of each.
    HadaW1A,
    HadaW1B,
    HadaW2A,
    HadaW2B,
    HadaT1,
    HadaT2,
    /// LoKr's factors, whole or as products, and the core of the second.
    KronW1,
    KronW1A,
    KronW1B,
    KronW2,
    KronW2A,
    KronW2B,
    KronT2,
    /// What is added to the weight as it is.
    Weight,
    /// What is added to the bias as it is.
    Bias,
    /// DoRA's magnitudes as LyCORIS stores them, by output or by input.
    DoraScale,
    /// DoRA's magnitudes as PEFT stores them, by output.
    Magnitude,
    Alpha,
    /// What the update is multiplied by, in place of alpha and rank.
    Scale,
}

/// How tensors' names end. An ending comes before those that it ends with.
const ENDINGS: [(&str, Part); 42] = [
    (".lora_down.weight", Part::Down),
    (".lora_up.weight", Part::Up),
    (".lora_mid.weight", Part::Mid),
    (".lora_up.bias", Part::UpBias),
    (".lora_A.weight", Part::Down),
    (".lora_B.weight", Part::Up),
    (".lora_B.bias", Part::UpBias),
    (".lora_A", Part::Down),
    (".lora_B", Part::Up),
    (".lora.down.weight", Part::Down),
    (".lora.up.weight", Part::Up),
    ("_lora.down.weight", Part::Down),
    ("_lora.up.weight", Part::Up),
    (".lora_linear_layer.down.weight", Part::Down),
    (".lora_linear_layer.up.weight", Part::Up),
    (".hada_w1_a", Part::HadaW1A),
    (".hada_w1_b", Part::HadaW1B),
    (".hada_w2_a", Part::HadaW2A),
    (".hada_w2_b", Part::HadaW2B),
    (".hada_t1", Part::HadaT1),
    (".hada_t2", Part::HadaT2),
    (".lokr_w1", Part::KronW1),
    (".lokr_w1_a", Part::KronW1A),
    (".lokr_w1_b", Part::KronW1B),
    (".lokr_w2", Part::KronW2),
    (".lokr_w2_a", Part::KronW2A),
    (".lokr_w2_b", Part::KronW2B),
    (".lokr_t2", Part::KronT2),
    (".diff", Part::Weight),
    (".diff_b", Part::Bias),
    (".w_norm", Part::Weight),
    (".b_norm", Part::Bias),
    (".dora_scale", Part::DoraScale),
    (".lora_magnitude_vector.weight", Part::Magnitude),
    (".lora_magnitude_vector", Part::Magnitude),
    (".lora.alpha", Part::Alpha),
    ("_lora.alpha", Part::Alpha),
    (".lora_linear_layer.alpha", Part::Alpha),
    (".lora_down.alpha", Part::Alpha),
    (".lora_A.alpha", Part::Alpha),
    (".alpha", Part::Alpha),
    (".scale", Part::Scale),
];

impl Part {
    /// How kohya's and LyCORIS' files end its name.
    pub fn as_str(self) -> &'static str {
        let mut endings = ENDINGS.iter();
        let ending = endings.find(|(_, part)| *part == self);
        ending.map_or("", |(end, _)| &end[1..])
    }
}

/// Beginnings of names and the component that each stands for.
const COMPONENTS: [(&str, Component); 17] = [
    ("lora_unet_", Component::Unet),
    ("lora_unet.", Component::Unet),
    ("unet.", Component::Unet),
    ("model.diffusion_model.", Component::Unet),
    ("diffusion_model.", Component::Unet),
    ("lora_te_", Component::TextEncoder),
    ("lora_te.", Component::TextEncoder),
    ("lora_te1_", Component::TextEncoder),
    ("lora_te1.", Component::TextEncoder),
    ("text_encoder.", Component::TextEncoder),
    ("text_encoders.clip_l.transformer.", Component::TextEncoder),
    ("text_encoders.clip_l.", Component::TextEncoder),
    ("clip_l.transformer.", Component::TextEncoder),
    ("clip_l.", Component::TextEncoder),
    ("cond_stage_model.transformer.", Component::TextEncoder),
    ("te.", Component::TextEncoder),
    ("te1.", Component::TextEncoder),
];

/// What PEFT and LyCORIS put in front of everything.
const WRAPPERS: [&str; 2] = ["base_model.model.", "lycoris_"];

/// How diffusers' attention processors call the layers, and what they are.
const PROCESSOR_NAMES: [(Component, &str, &str); 5] = [
    (Component::Unet, "_to_out", "_to_out_0"),
    (Component::TextEncoder, "_attn_to_q", "_attn_q_proj"),
    (Component::TextEncoder, "_attn_to_k", "_attn_k_proj"),
    (Component::TextEncoder, "_attn_to_v", "_attn_v_proj"),
    (Component::TextEncoder, "_attn_to_out", "_attn_out_proj"),
];

/// How paths begin in the components, with underscores; they tell one where a name does not.
const FIRST_MODULES: [(&str, Component); 15] = [
    ("down_blocks_", Component::Unet),
    ("mid_block_", Component::Unet),
    ("up_blocks_", Component::Unet),
    ("input_blocks_", Component::Unet),
    ("middle_block_", Component::Unet),
    ("output_blocks_", Component::Unet),
    ("time_embed", Component::Unet),
    ("conv_in", Component::Unet),
    ("conv_norm_out", Component::Unet),
    ("conv_out", Component::Unet),
    ("out_0", Component::Unet),
    ("out_2", Component::Unet),
    ("text_model_", Component::TextEncoder),
    ("encoder_layers_", Component::TextEncoder),
    ("embeddings_", Component::TextEncoder),
];

/// Modules of the original UNet whose names have underscores of their own.
const ORIGINAL_MODULES: [&str; 15] = [
    "input_blocks",
    "middle_block",
    "output_blocks",
    "time_embed",
    "in_layers",
    "emb_layers",
    "out_layers",
    "skip_connection",
    "transformer_blocks",
    "to_q",
    "to_k",
    "to_v",
    "to_out",
    "proj_in",
    "proj_out",
];

/// The layer that a tensor belongs to, as the file calls it, and what it is to that layer; `None`
/// for what belongs to no kind of LoRA that is known.
pub fn split(name: &str) -> Option<(String, Part)> {
    let name = without_adapter_name(name);
    ENDINGS.iter().find_map(|(end, part)| {
        let layer = name.strip_suffix(end)?;
        (!layer.is_empty()).then(|| (layer.to_string(), *part))
    })
}

/// PEFT names the adapter between the factor and its weight while it trains:
/// `lora_A.default.weight`.
fn without_adapter_name(name: &str) -> String {
    const FACTORS: [&str; 5] = ["lora_A", "lora_B", "lora_magnitude", "hada_", "lokr_"];
    const LEAVES: [&str; 3] = ["weight", "bias", "alpha"];
    let mut segments: Vec<&str> = name.split('.').collect();
    let factor = segments
        .iter()
        .position(|segment| FACTORS.iter().any(|start| segment.starts_with(start)));
    if let Some(next) = factor.map(|index| index + 1)
        && segments
            .get(next)
            .is_some_and(|leaf| !LEAVES.contains(leaf))
    {
        segments.remove(next);
    }
    segments.join(".")
}

/// The component of a layer and its path there with underscores; `None` if neither the beginning
/// nor the first module of its name is known.
pub fn component_and_path(layer: &str) -> Option<(Component, String)> {
    let mut rest = layer;
    let mut component = None;
    loop {
        let wrapped = WRAPPERS.iter().find_map(|start| rest.strip_prefix(start));
        let mut known = COMPONENTS.iter().filter(|_| component.is_none());
        let known = known.find_map(|(start, own)| Some((rest.strip_prefix(start)?, *own)));
        match (wrapped, known) {
            (Some(bare), _) => rest = bare,
            (None, Some((bare, own))) => (rest, component) = (bare, Some(own)),
            (None, None) => break,
        }
    }
    let path = rest.replace('.', "_").replace("_processor_", "_");
    let component = component.or_else(|| {
        let mut first = FIRST_MODULES.iter();
        Some(first.find(|(start, _)| path.starts_with(start))?.1)
    })?;
    let mut old_names = PROCESSOR_NAMES.iter();
    let renamed = old_names.find_map(|(own, old, new)| {
        let module = path.strip_suffix(old).filter(|_| *own == component)?;
        Some(format!("{module}{new}"))
    });
    Some((component, renamed.unwrap_or(path)))
}

/// The layers of a model, by the paths that LoRA files have for them.
pub struct LayerIndex {
    /// Diffusers' names without `.weight` and `.bias`, by the same with underscores.
    layers: BTreeMap<String, String>,
    layout: Layout,
}

impl LayerIndex {
    /// Of the model with tensors of these names, which begin with the component.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let layer = |name: &'a str| {
            let layer = name.strip_suffix(".weight");
            layer.or_else(|| name.strip_suffix(".bias"))
        };
        let layers: BTreeMap<_, _> = names
            .filter_map(layer)
            .map(|layer| (layer.replace('.', "_"), layer.to_string()))
            .collect();
        let first_level = layers.values().filter_map(|layer| {
            let (index, _) = layer
                .strip_prefix("unet.down_blocks.0.resnets.")?
                .split_once('.')?;
            Some(index)
        });
        let count = first_level.collect::<BTreeSet<_>>().len();
        let layout = Layout::of_unet(count);
        Self { layers, layout }
    }

    /// Diffusers' name of the layer at `path` with its component in front.
    pub fn find(&self, component: Component, path: &str) -> Option<&str> {
        let at = |path: &str| self.layers.get(&format!("{}_{path}", component.name()));
        let found = at(path).or_else(|| match component {
            Component::TextEncoder => at(&format!("text_model_{path}")),
            _ => at(&self.of_original_blocks(path)?),
        });
        found.map(String::as_str)
    }

    fn of_original_blocks(&self, path: &str) -> Option<String> {
        let mut dotted = path.replace('_', ".");
        for module in ORIGINAL_MODULES {
            dotted = dotted.replace(&module.replace('_', "."), module);
        }
        let name = self.layout.unet_name(&format!("{dotted}.weight"))?;
        Some(name.strip_suffix(".weight")?.replace('.', "_"))
    }
}
