use serde_json::{Value, json};

use super::place::{Checked, Place, agrees, ensure, only};
use crate::text::TextEncoderConfig;

/// Fewer positions would have no room between the tokens of start and end.
const LEAST_POSITIONS: usize = 3;
/// Far above CLIP's 77.
const MOST_POSITIONS: usize = 4096;

/// CLIP's text transformer; gives the width of its features.
pub fn check(config: &Value, settings: &TextEncoderConfig, place: &Place) -> Checked<usize> {
    only(config, "hidden_act", &[json!("quick_gelu"), json!("gelu")])?;
    only(
        config,
        "model_type",
        &[json!("clip_text_model"), json!("clip")],
    )?;
    let epsilon = settings.layer_norm_eps;
    ensure(epsilon > 0.0 && epsilon.is_finite(), || {
        format!("its config has layer_norm_eps {epsilon}")
    })?;
    let model = place.at("text_model");
    let [rows, width] = *model.shape("embeddings.token_embedding.weight")? else {
        let shape = model.shape("embeddings.token_embedding.weight")?;
        return ensure(false, || format!("its token table is {shape:?}")).map(|()| 0);
    };
    agrees(config, "hidden_size", &[width])?;
    agrees(config, "vocab_size", &[rows])?;
    let positions = settings.max_position_embeddings;
    ensure(
        (LEAST_POSITIONS..=MOST_POSITIONS).contains(&positions),
        || format!("its config has max_position_embeddings {positions}"),
    )?;
    model.expect("embeddings.position_embedding.weight", &[positions, width])?;
    let layers = model.count("encoder.layers");
    ensure(layers > 0, || format!("{} has no layers", model.name()))?;
    agrees(config, "num_hidden_layers", &[layers])?;
    for index in 0..layers {
        let layer = model.at(format!("encoder.layers.{index}"));
        check_layer(&layer, width, settings.num_attention_heads)?;
    }
    model.norm("final_layer_norm", width)?;
    Ok(width)
}

fn check_layer(layer: &Place, width: usize, heads: usize) -> Checked<()> {
    layer.norm("layer_norm1", width)?;
    for name in [
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.out_proj",
    ] {
        layer.same(name, layer.linear(name, width)?, width)?;
    }
    layer.heads(width, heads)?;
    layer.norm("layer_norm2", width)?;
    let expanded = layer.linear("mlp.fc1", width)?;
    layer.same("mlp.fc2", layer.linear("mlp.fc2", expanded)?, width)
}
