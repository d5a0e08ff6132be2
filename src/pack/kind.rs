//! What a file is that holds no part of a checkpoint, in words, and which option takes it.

use super::lora::refusals;
use super::single_file::Tensors;

/// A kind of file.
pub(super) struct Kind {
    /// Such as `LoRA (LoHa)`.
    pub name: String,
    /// The option that takes it, if one does.
    pub option: Option<&'static str>,
}

/// The kind of a file with these tensors; `None` for parts of a checkpoint and for what is unknown.
pub(super) fn of(tensors: &Tensors) -> Option<Kind> {
    layer_diffuse(tensors)
        .or_else(|| adapter(tensors))
        .or_else(|| control(tensors))
        .or_else(|| tiny_autoencoder(tensors))
        .or_else(|| other(tensors))
}

fn kind(name: impl Into<String>, option: Option<&'static str>) -> Option<Kind> {
    let name = name.into();
    Some(Kind { name, option })
}

fn starts(tensors: &Tensors, start: &str) -> bool {
    tensors.keys().any(|name| name.starts_with(start))
}

fn contains(tensors: &Tensors, part: &str) -> bool {
    tensors.keys().any(|name| name.contains(part))
}

fn layer_diffuse(tensors: &Tensors) -> Option<Kind> {
    let has = |name: &str| tensors.contains_key(name);
    let unit = |frame: usize| format!("hookers.layers.0.to_q_lora.{frame}.down.weight");
    let frames = (0..).take_while(|frame| has(&unit(*frame))).count();
    if frames > 0 {
        let control = match has("kwargs_encoder.blocks_0.0.weight") {
            true => ", with a condition",
            false => "",
        };
        // Both modes of two frames have tensors of the same names and sizes.
        let option = match frames {
            1 => "--layers attn",
            2 => "--layers fg2bg or --layers bg2fg",
            _ => "--layers joint",
        };
        return kind(
            format!("attention-sharing adapter for {frames} frame(s){control}"),
            Some(option),
        );
    }
    if has("latent_conv_in.weight") {
        return kind("transparency decoder", Some("--transparency-decoder"));
    }
    if has("blocks.16.weight") {
        return kind("transparency encoder", Some("--transparency-encoder"));
    }
    let is_xl = contains(tensors, "::lora::") || contains(tensors, "::diff::");
    is_xl.then(|| kind("LayerDiffuse adapter for SDXL", None))?
}

/// What a low-rank or other small change of weights has in its names, and what it is called.
const CHANGES: [(&[&str], &str); 10] = [
    (&[".dora_scale", ".lora_magnitude_vector"], "DoRA"),
    (&[".hada_w1_a", ".hada_w1_b", ".hada_t1"], "LoHa"),
    (&[".lokr_w1", ".lokr_w2"], "LoKr"),
    (&[".oft_blocks", ".oft_diag", ".oft_R."], "OFT"),
    (&[".on_input", ".ia3_l"], "IA3"),
    (&[".boft_"], "BOFT"),
    (&[".a1.weight", ".b2.weight"], "GLoRA"),
    (&[".lora_mid.weight"], "LoCon with a Tucker core"),
    (
        &[
            ".lora_down.",
            ".lora_up.",
            ".lora_A.",
            ".lora_B.",
            ".lora.down.",
            ".lora.up.",
            "_lora.down.",
            "_lora.up.",
            ".lora_linear_layer.",
        ],
        "plain",
    ),
    (
        &[".diff", ".diff_b", ".w_norm", ".set_weight"],
        "full differences",
    ),
];

fn adapter(tensors: &Tensors) -> Option<Kind> {
    let is_control = tensors.contains_key("lora_controlnet") || starts(tensors, "control_lora");
    if is_control {
        return kind("ControlNet as a difference (Control-LoRA)", None);
    }
    if starts(tensors, "ip_adapter.") || starts(tensors, "image_proj.") {
        return kind("IP-Adapter", None);
    }
    let has = |names: &[&str]| {
        let ends = |name: &String| {
            names.iter().any(|part| match part.ends_with('.') {
                true => name.contains(part),
                false => name.ends_with(part) || name.contains(&format!("{part}.")),
            })
        };
        tensors.keys().any(ends)
    };
    let found = CHANGES.iter().find(|(names, _)| has(names));
    if let Some((_, name)) = found {
        let kind_of = match contains(tensors, "motion_modules.") {
            true => "LoRA for a motion module",
            false => "LoRA",
        };
        let base = base_of_lora(tensors);
        let fits = base.is_empty() && refusals::is_applied(tensors.keys());
        return kind(
            format!("{kind_of} ({name}{base})"),
            fits.then_some("--lora"),
        );
    }
    let is_motion =
        contains(tensors, "motion_modules.") || contains(tensors, "temporal_attentions.");
    is_motion.then(|| kind("motion module (AnimateDiff)", None))?
}

/// For which other family a LoRA is, as far as its names and the width of the texts tell.
fn base_of_lora(tensors: &Tensors) -> &'static str {
    let is_key = |name: &str| {
        let is_down = name.ends_with("down.weight") || name.ends_with("lora_A.weight");
        is_down && (name.contains("attn2_to_k") || name.contains("attn2.to_k"))
    };
    let mut keys = tensors.iter().filter(|(name, _)| is_key(name));
    let width = keys.find_map(|(_, info)| info.shape.get(1).copied());
    let has_two = starts(tensors, "lora_te2_") || starts(tensors, "text_encoder_2.");
    let is_flux =
        contains(tensors, "single_transformer_blocks") || contains(tensors, "double_blocks");
    match width {
        Some(2048) => ", for SDXL",
        Some(1024) => ", for Stable Diffusion 2",
        _ if has_two => ", for SDXL",
        _ if is_flux => ", for Flux",
        _ => "",
    }
}

fn control(tensors: &Tensors) -> Option<Kind> {
    let has = |name: &str| tensors.contains_key(name);
    let is_original = starts(tensors, "control_model.") || starts(tensors, "zero_convs.");
    let is_whole = starts(tensors, "model.diffusion_model.");
    if has("controlnet_mid_block.weight")
        || starts(tensors, "controlnet_cond_embedding.")
        || is_original && !is_whole
    {
        let name = match has("difference") {
            true => "ControlNet as a difference from its base model",
            false => "ControlNet",
        };
        return kind(name, Some("--controlnet"));
    }
    let is_t2i = has("body.0.block1.weight")
        || starts(tensors, "adapter.body.")
        || has("adapter.conv_in.weight")
        || has("style_embedding");
    is_t2i.then(|| kind("T2I-Adapter", None))?
}

fn tiny_autoencoder(tensors: &Tensors) -> Option<Kind> {
    let has = |name: &str| tensors.contains_key(name);
    let (side, convolution, option) = if has("18.conv.0.weight") && has("19.weight") {
        ("decoder", "1.weight", "--taesd-decoder")
    } else if has("13.conv.0.weight") && has("14.weight") {
        ("encoder", "14.weight", "--taesd-encoder")
    } else if starts(tensors, "decoder.layers.") || starts(tensors, "encoder.layers.0.weight") {
        return kind("TAESD in diffusers' layout, which is not read", None);
    } else {
        return None;
    };
    // The decoder's first convolution takes a latent, the encoder's last gives one.
    let axis = usize::from(side == "decoder");
    let channels = tensors
        .get(convolution)
        .and_then(|info| info.shape.get(axis));
    match channels {
        Some(4) | None => kind(format!("TAESD {side}"), Some(option)),
        Some(count) => kind(
            format!("TAESD {side} of another family ({count} latent channels)"),
            None,
        ),
    }
}

fn other(tensors: &Tensors) -> Option<Kind> {
    let has = |name: &str| tensors.contains_key(name);
    if starts(tensors, "tokenizer.merges") || contains(tensors, ".weight.scales") {
        return kind("shard of a pack", None);
    }
    if has("latent") || has("latent.final") || has("latent_tensor") {
        return kind("latent", None);
    }
    if tensors.len() == 1 && has("noise") {
        return kind("noise", Some("generate --noise"));
    }
    if let Some(embedding) = embedding(tensors) {
        return Some(embedding);
    }
    let upscaler = [
        "conv_first.",
        "RRDB_trunk.",
        "body.0.rdb1.",
        "model.1.sub.",
        "params_ema.",
        "params.conv_first.",
        "layers.0.residual_group.",
    ];
    let is_compact = has("body.0.weight") && has("body.1.weight");
    if is_compact || upscaler.iter().any(|start| starts(tensors, start)) {
        return kind("upscaler (ESRGAN or its like)", None);
    }
    let is_t5 = contains(tensors, "encoder.block.0.layer.0.SelfAttention.");
    if is_t5 {
        return kind(
            "T5 text encoder, which Stable Diffusion 1.5 does not have",
            None,
        );
    }
    let is_vision = starts(tensors, "vision_model.") && !contains(tensors, "token_embedding.");
    is_vision.then(|| kind("CLIP image encoder", None))?
}

/// A textual inversion: rows for the text encoder's table of tokens.
fn embedding(tensors: &Tensors) -> Option<Kind> {
    if tensors.contains_key("clip_l") || tensors.contains_key("clip_g") {
        return kind("textual inversion (embedding) for SDXL", None);
    }
    // In files of the original implementation the vectors are among others.
    let original = tensors
        .iter()
        .find(|(name, _)| name.starts_with("string_to_param."));
    let (name, info) = original.or_else(|| tensors.first_key_value())?;
    let rows = match (name.as_str(), info.shape.as_slice()) {
        ("emb_params", [rows, _]) => *rows,
        (_, [rows, _]) if original.is_some() => *rows,
        (_, [_]) if tensors.len() == 1 && !name.contains('.') => 1,
        (_, [rows, _]) if tensors.len() == 1 && !name.contains('.') => *rows,
        _ => return None,
    };
    let width = info.shape.last()?;
    kind(
        format!("textual inversion (embedding) of {rows} token(s), {width} wide"),
        Some("generate --embedding"),
    )
}
