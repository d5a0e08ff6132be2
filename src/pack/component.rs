//! The parts of a checkpoint, and what is known of Stable Diffusion 1.5 without a config.

use serde_json::{Value, json};

use super::tensor_source::TensorSource;

/// The parts of a Stable Diffusion checkpoint that hold tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// CLIP's text encoder.
    TextEncoder,
    /// The denoising UNet.
    Unet,
    /// The variational autoencoder.
    Vae,
}

impl Component {
    /// All of them, in the order in which they are packed and used.
    pub const ALL: [Self; 3] = [Self::TextEncoder, Self::Unet, Self::Vae];

    /// The folder's name in diffusers' layout, which packs use too.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextEncoder => "text_encoder",
            Self::Unet => "unet",
            Self::Vae => "vae",
        }
    }

    /// What it is called in a sentence.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::TextEncoder => "text encoder",
            Self::Unet => "UNet",
            Self::Vae => "VAE",
        }
    }

    /// The option of `pack` that takes it when it stands alone.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::TextEncoder => "--text-encoder",
            Self::Unet => "--model",
            Self::Vae => "--vae",
        }
    }

    /// What the canonical names of its tensors begin with.
    pub(super) fn start(self) -> String {
        format!("{}.", self.name())
    }

    /// The name of its weights in diffusers' layout, less the ending.
    pub(super) fn weights_stem(self) -> &'static str {
        match self {
            Self::TextEncoder => "model",
            _ => "diffusion_pytorch_model",
        }
    }

    /// The component whose `config.json` this is, by the class that it names.
    pub(super) fn of_config(config: &Value) -> Option<Self> {
        let class = class_of(config)?;
        match class {
            "CLIPTextModel" | "CLIPTextModelWithProjection" | "CLIPModel" => {
                Some(Self::TextEncoder)
            }
            "UNet2DConditionModel" => Some(Self::Unet),
            "AutoencoderKL" => Some(Self::Vae),
            _ => None,
        }
    }

    /// The config of a part that comes without one, as diffusers' folders have it: from the shapes
    /// in `source` and from what is fixed for the family.
    pub(super) fn derived_config(self, source: &TensorSource) -> Value {
        match self {
            Self::TextEncoder => text_encoder_config(source),
            Self::Unet => unet_config(source),
            Self::Vae => json!({ "scaling_factor": 0.18215 }),
        }
    }
}

/// The class that a `config.json` of diffusers or transformers names.
pub(super) fn class_of(config: &Value) -> Option<&str> {
    let named = config["_class_name"].as_str();
    named.or_else(|| config["architectures"][0].as_str())
}

fn text_encoder_config(source: &TensorSource) -> Value {
    let table = "text_encoder.text_model.embeddings.token_embedding.weight";
    let hidden = source.shape(table).and_then(|shape| shape.get(1).copied());
    let hidden = hidden.unwrap_or(768);
    // CLIP-L's heads are 64 wide; narrower models than that only exist for tests.
    let heads = match hidden.is_multiple_of(64) {
        true => hidden / 64,
        false => (hidden / 8).max(1),
    };
    json!({ "num_attention_heads": heads, "hidden_act": "quick_gelu" })
}

/// The UNet's config by its tensors. Levels, layers and the middle block are independent of each other: distilled UNets
/// lack some of any of them.
fn unet_config(source: &TensorSource) -> Value {
    let at = |name: &str| format!("unet.{name}");
    let size = |name: &str, axis: usize| source.shape(&at(name))?.get(axis).copied();
    let levels = source.count(&at("down_blocks"));
    let types = |side: &str, class: &str| -> Vec<String> {
        let attends = |level| source.has_below(&at(&format!("{side}_blocks.{level}.attentions.")));
        let prefix = |level| if attends(level) { "CrossAttn" } else { "" };
        (0..levels)
            .map(|level| format!("{}{class}Block2D", prefix(level)))
            .collect()
    };
    let widths: Vec<usize> = (0..levels)
        .filter_map(|level| size(&format!("down_blocks.{level}.resnets.0.conv1.weight"), 0))
        .collect();
    let layers: Vec<usize> = (0..levels)
        .map(|level| source.count(&at(&format!("down_blocks.{level}.resnets"))))
        .collect();
    let mut config = json!({
        "attention_head_dim": 8, "sample_size": 64, "block_out_channels": widths,
        "down_block_types": types("down", "Down"), "up_block_types": types("up", "Up"),
    });
    config["layers_per_block"] = match layers.iter().all(|count| *count == layers[0]) {
        true => layers.first().copied().into(),
        false => layers.clone().into(),
    };
    let mut set = |field: &str, value: Option<usize>| {
        if let Some(value) = value {
            config[field] = value.into();
        }
    };
    set("in_channels", size("conv_in.weight", 1));
    set("out_channels", size("conv_out.weight", 0));
    set(
        "time_cond_proj_dim",
        size("time_embedding.cond_proj.weight", 1),
    );
    let keys = source.tensors().find_map(|(name, info)| {
        let is_key = name.starts_with("unet.") && name.ends_with(".attn2.to_k.weight");
        is_key.then(|| info.shape.get(1).copied())?
    });
    set("cross_attention_dim", keys);
    // A UNet that has all else of Stable Diffusion 1.5 is not distilled but incomplete.
    let is_distilled = layers != [2; 4];
    if is_distilled && !source.has_below(&at("mid_block.")) {
        config["mid_block_type"] = Value::Null;
    }
    config
}

/// The scheduler config that Stable Diffusion 1.5 was trained with.
pub(crate) fn sd15_scheduler() -> Value {
    json!({
        "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "set_alpha_to_one": false, "steps_offset": 1,
        "prediction_type": "epsilon"
    })
}
