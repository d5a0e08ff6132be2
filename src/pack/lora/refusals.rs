//! What is no LoRA for Stable Diffusion 1.5, told by the names of its tensors.

/// Parts of names and the kind of adapter that has them.
const KINDS: [(&str, &str); 18] = [
    ("boft_", "BOFT"),
    ("oft_blocks", "OFT or BOFT"),
    ("oft_diag", "OFT"),
    (".oft_r", "OFT"),
    (".oft_R", "OFT"),
    (".ia3_l", "IA3"),
    (".on_input", "IA3"),
    (".a1.weight", "GLoRA"),
    (".b1.weight", "GLoRA"),
    (".lora_E", "AdaLoRA"),
    (".ranknum", "AdaLoRA"),
    ("vera_lambda", "VeRA"),
    (".lora_embedding_", "a LoRA of token embeddings"),
    (
        "bundle_emb.",
        "a LoRA with textual inversions in the same file",
    ),
    (".bias_values", "a LoRA with a sparse difference"),
    (".set_weight", "a set of whole weights"),
    (".reshape_weight", "a LoRA that makes layers larger"),
    ("lora_controlnet", "a ControlNet stored as LoRA"),
];

/// Parts of names and the family of models whose layers are called so; the first that is found
/// counts.
const FAMILIES: [(&str, &str); 22] = [
    ("single_transformer_blocks", "Flux"),
    ("double_blocks", "Flux"),
    ("single_blocks", "Flux"),
    ("lora_te3_", "Stable Diffusion 3"),
    ("text_encoder_3.", "Stable Diffusion 3"),
    ("joint_blocks", "Stable Diffusion 3"),
    ("img_mlp", "Qwen-Image"),
    ("add_q_proj", "Stable Diffusion 3"),
    ("transformer.transformer_blocks", "a diffusion transformer"),
    ("lora_transformer_", "a diffusion transformer"),
    ("lora_prior_", "Stable Cascade"),
    ("motion_modules", "AnimateDiff"),
    ("temporal_transformer", "AnimateDiff"),
    ("lora_te2_", "SDXL"),
    ("text_encoder_2.", "SDXL"),
    ("text_encoders.clip_g.", "SDXL"),
    ("label_emb", "SDXL"),
    ("add_embedding", "SDXL"),
    // The transformers of Stable Diffusion 1 and 2 have one block each.
    ("transformer_blocks_1_", "SDXL"),
    ("transformer_blocks.1.", "SDXL"),
    // Its text encoder has 23 layers, the first family's 12.
    ("encoder_layers_12_", "Stable Diffusion 2"),
    ("encoder.layers.12.", "Stable Diffusion 2"),
];

/// Whether files with tensors of these names are of a kind that is applied, for Stable Diffusion 1.5.
pub fn is_applied<'a>(names: impl Iterator<Item = &'a String> + Clone) -> bool {
    kind(names.clone()).is_none() && family(names).is_none()
}

/// The kind of adapter, other than those that are applied, that a file with these tensors holds.
pub fn kind<'a>(names: impl Iterator<Item = &'a String> + Clone) -> Option<&'static str> {
    first(&KINDS, names)
}

/// The family of models, other than Stable Diffusion 1, that a file with these tensors is for.
pub fn family<'a>(names: impl Iterator<Item = &'a String> + Clone) -> Option<&'static str> {
    first(&FAMILIES, names)
}

fn first<'a>(
    table: &'static [(&str, &str)],
    names: impl Iterator<Item = &'a String> + Clone,
) -> Option<&'static str> {
    let mut table = table.iter();
    let (_, what) = table.find(|(part, _)| names.clone().any(|name| name.contains(part)))?;
    Some(what)
}

/// The family of models by the width of what the UNet's cross-attention reads.
pub fn family_by_context(width: usize) -> Option<&'static str> {
    match width {
        768 => Some("Stable Diffusion 1.5"),
        1024 => Some("Stable Diffusion 2"),
        2048 => Some("SDXL"),
        _ => None,
    }
}
