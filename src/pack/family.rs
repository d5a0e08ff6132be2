//! Model families that glassine does not run, told by names and shapes.

use std::path::Path;

use serde_json::Value;

use super::component::Component;
use super::single_file::Tensors;
use super::tensor_source::TensorSource;
use crate::{Error, ErrorCode};

/// The refusal of a model that is not of the Stable Diffusion 1.x family.
pub(crate) fn unsupported_family(path: &Path, family: &str) -> Error {
    Error::new(
        ErrorCode::ModelUnsupported,
        format!("{} is {family}", path.display()),
        "glassine runs Stable Diffusion 1.5 and its fine-tunes",
    )
}

/// What the names of a network that is no UNet begin with in its file.
const NETWORK_STARTS: [&str; 4] = [
    "model.diffusion_model.",
    "diffusion_model.",
    "transformer.",
    "model.",
];

/// Beginnings of tensors' names, after those of [`NETWORK_STARTS`], and the family that has them.
/// What several share comes after what only one of them has.
const BY_NAME: [(&str, &str); 50] = [
    (
        "conditioner.embedders.0.open_clip.",
        "Stable Video Diffusion",
    ),
    ("edm_mean", "SDXL (Playground 2.5)"),
    ("edm_vpred.", "SDXL (EDM)"),
    ("conditioner.embedders.", "SDXL"),
    ("cond_stage_model.model.", "Stable Diffusion 2"),
    ("txt_in.individual_token_refiner.", "Hunyuan Video"),
    ("mlp_t5.", "Hunyuan DiT"),
    ("text_embedding_padding", "Hunyuan DiT"),
    ("time_extra_emb.", "Hunyuan DiT"),
    ("context_embedder_2.", "Hunyuan Video"),
    ("double_layers.", "AuraFlow"),
    ("joint_transformer_blocks.", "AuraFlow"),
    ("distilled_guidance_layer.", "Chroma"),
    ("double_stream_modulation_img.", "Flux 2"),
    ("double_blocks.", "Flux"),
    ("single_blocks.", "Flux"),
    ("single_transformer_blocks.", "Flux"),
    ("joint_blocks.0.x_block.attn.ln_q.", "Stable Diffusion 3.5"),
    ("joint_blocks.", "Stable Diffusion 3"),
    ("cap_embedder.", "Lumina 2"),
    ("time_caption_embed.", "Lumina 2"),
    ("noise_refiner.", "Lumina 2"),
    ("context_refiner.", "Lumina 2"),
    ("text_encoders.gemma2_2b.", "Lumina 2"),
    ("patchify_proj.", "LTX-Video"),
    ("t_block.", "PixArt"),
    ("caption_projection.", "PixArt"),
    ("clf.1.", "Stable Cascade"),
    ("clip_txt_mapper.", "Stable Cascade"),
    ("clip_txt_pooled_mapper.", "Stable Cascade"),
    ("effnet_mapper.", "Stable Cascade"),
    ("encoder_hid_proj.", "Kandinsky"),
    ("add_embedding.image_norm.", "Kandinsky"),
    ("visual_transformer_blocks.", "Kandinsky 5"),
    ("patch_embedding.", "Wan"),
    ("condition_embedder.", "Wan"),
    ("head.modulation", "Wan"),
    ("img_in.proj.", "Hunyuan Video"),
    ("img_in.", "Qwen-Image"),
    ("txt_norm.", "Qwen-Image"),
    ("t5_yproj.", "Mochi"),
    ("t5_y_embedder.", "Mochi"),
    ("adaln_single.", "PixArt"),
    ("patch_embed.text_proj.", "CogVideoX"),
    ("blocks.block0.", "Cosmos"),
    ("caption_norm.", "Sana"),
    ("context_embedder.", "Stable Diffusion 3"),
    ("x_embedder.", "a diffusion transformer"),
    (
        "text_encoders.t5xxl.",
        "of a family with T5 (Stable Diffusion 3, Flux)",
    ),
    ("text_encoders.clip_g.", "SDXL or Stable Diffusion 3"),
];

/// Parts of tensors' names that only models for video or for further conditions have.
const BY_INFIX: [(&str, &str); 6] = [
    (".time_stack.", "a video model (Stable Video Diffusion)"),
    (".time_mixer.", "a video model (Stable Video Diffusion)"),
    (
        ".temporal_transformer_blocks.",
        "a video model (Stable Video Diffusion)",
    ),
    (".temp_attentions.", "a video model"),
    // So it is spelled there.
    (".temopral_conv.", "a video model"),
    (".fuser.", "GLIGEN"),
];

/// Beginnings of the pipelines' classes in `model_index.json`, and what their families are called.
const BY_CLASS: [(&str, &str); 18] = [
    ("StableDiffusionXL", "SDXL"),
    ("StableDiffusion3", "Stable Diffusion 3"),
    ("StableVideoDiffusion", "Stable Video Diffusion"),
    ("StableCascade", "Stable Cascade"),
    ("Wuerstchen", "Stable Cascade (Würstchen)"),
    ("PixArt", "PixArt"),
    ("Flux2", "Flux 2"),
    ("Flux", "Flux"),
    ("Lumina", "Lumina"),
    ("HunyuanVideo", "Hunyuan Video"),
    ("Hunyuan", "Hunyuan DiT"),
    ("Kandinsky", "Kandinsky"),
    ("AuraFlow", "AuraFlow"),
    ("Wan", "Wan"),
    ("LTX", "LTX-Video"),
    ("CogVideo", "CogVideoX"),
    ("QwenImage", "Qwen-Image"),
    ("IF", "DeepFloyd IF"),
];

/// The family of a file's tensors, if it is one that is known by names alone.
pub(super) fn of_names(tensors: &Tensors) -> Option<&'static str> {
    let named = |name: &str, start: &str| {
        let stripped = NETWORK_STARTS.iter().find_map(|at| name.strip_prefix(at));
        name.starts_with(start) || stripped.is_some_and(|name| name.starts_with(start))
    };
    let has = |start: &str| tensors.keys().any(|name| named(name, start));
    let by_name = BY_NAME.iter().find(|(start, _)| has(start));
    let has_within = |part: &str| tensors.keys().any(|name| name.contains(part));
    let by_infix = || BY_INFIX.iter().find(|(part, _)| has_within(part));
    by_name.or_else(by_infix).map(|(_, family)| *family)
}

/// The family of a diffusers folder whose `model_index.json` is `index`, if it is not Stable
/// Diffusion's.
pub(super) fn of_pipeline(index: &Value) -> Option<String> {
    let class = index["_class_name"].as_str()?;
    let known = BY_CLASS.iter().find(|(start, _)| class.starts_with(start));
    let family = known.map(|(_, family)| family.to_string());
    let runs = class.starts_with("StableDiffusion") || class.starts_with("LatentConsistency");
    family.or_else(|| (!runs && index.get("transformer").is_some()).then(|| format!("a {class}")))
}

/// What a model is of which `source` holds one part or several; `None` for Stable Diffusion 1.x.
pub(super) fn of_parts(source: &TensorSource) -> Option<String> {
    of_unet(source)
        .or_else(|| of_text_encoder(source))
        .or_else(|| of_vae(source))
}

fn of_unet(source: &TensorSource) -> Option<String> {
    if source.has_below("unet.add_embedding.") {
        return Some("SDXL".into());
    }
    let mut own = source
        .tensors()
        .filter(|(name, _)| name.starts_with("unet."));
    let context = own.find_map(|(name, info)| {
        let is_key = name.ends_with(".attn2.to_k.weight");
        is_key.then(|| info.shape.get(1).copied())?
    });
    let inputs = source.shape("unet.conv_in.weight");
    of_unet_sizes(inputs.and_then(|shape| shape.get(1)).copied(), context)
}

/// What a UNet is of which the config is `config`; `None` for Stable Diffusion 1.x.
pub(super) fn of_unet_config(config: &Value) -> Option<String> {
    if config["addition_embed_type"].is_string() {
        return Some("SDXL".into());
    }
    let size = |field: &str| usize::try_from(config[field].as_u64()?).ok();
    let by_field = |field: &str, family: Option<String>| Some(format!("{} ({field})", family?));
    let (inputs, context) = ("in_channels", "cross_attention_dim");
    by_field(inputs, of_unet_sizes(size(inputs), None))
        .or_else(|| by_field(context, of_unet_sizes(None, size(context))))
}

/// The family by the channels that a UNet takes and the width of the texts that it attends to.
fn of_unet_sizes(inputs: Option<usize>, context: Option<usize>) -> Option<String> {
    let by_inputs = |what: &str, count: usize| format!("{what}: its UNet takes {count} channels");
    match (inputs, context) {
        (_, Some(2048)) => Some("SDXL".into()),
        (_, Some(1280)) => Some("the refiner of SDXL".into()),
        (Some(8), _) => Some(by_inputs("an InstructPix2Pix model", 8)),
        (Some(7), _) => Some(by_inputs("an upscaler", 7)),
        (Some(5), _) => Some(by_inputs("a depth-to-image model", 5)),
        (_, Some(1024)) => Some("Stable Diffusion 2".into()),
        // Nine are a latent's, a mask's and another latent's: an inpainting model.
        (Some(4 | 9) | None, _) => None,
        (Some(count), _) => Some(by_inputs("another model", count)),
    }
}

fn of_text_encoder(source: &TensorSource) -> Option<String> {
    let table = "text_encoder.text_model.embeddings.token_embedding.weight";
    match source.shape(table)? {
        [_, 1024] => Some("Stable Diffusion 2, by its text encoder (OpenCLIP H)".into()),
        [_, 1280] => Some("SDXL, by its text encoder (OpenCLIP bigG)".into()),
        _ => None,
    }
}

fn of_vae(source: &TensorSource) -> Option<String> {
    match source.shape("vae.decoder.conv_in.weight")? {
        [_, channels, _, _] if *channels != 4 => Some(format!(
            "of Stable Diffusion 3, Flux or another family: its VAE has {channels} latent channels"
        )),
        [_, _, _, _, _] => Some("a video model: its VAE is three-dimensional".into()),
        _ => None,
    }
}

/// Why a part cannot be used with the model that it is to be part of, if its family shows in the
/// config alone.
pub(super) fn of_part_config(component: Component, config: &Value) -> Option<&'static str> {
    let is_sdxl = component == Component::Vae
        && config["scaling_factor"]
            .as_f64()
            .is_some_and(|factor| (factor - 0.13025).abs() < 1e-6);
    is_sdxl.then_some("the VAE of SDXL")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{Dtype, SafetensorsFile, write_safetensors};

    fn tensors(names: &[&str]) -> Tensors {
        let tensors: Vec<_> = names
            .iter()
            .map(|name| (name.to_string(), Dtype::F32, vec![1], vec![0; 4]))
            .collect();
        let files = crate::weights::InMemory(write_safetensors(&tensors));
        let file = SafetensorsFile::open_in(&files, Path::new("family")).unwrap();
        file.tensors().clone()
    }

    #[test]
    fn families_are_told_by_their_tensors() {
        for (name, family) in [
            ("conditioner.embedders.1.model.ln_final.bias", "SDXL"),
            ("cond_stage_model.model.ln_final.bias", "Stable Diffusion 2"),
            (
                "model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight",
                "Stable Diffusion 3",
            ),
            (
                "model.diffusion_model.joint_blocks.0.x_block.attn.ln_q.weight",
                "Stable Diffusion 3.5",
            ),
            ("double_blocks.0.img_attn.qkv.weight", "Flux"),
            ("model.diffusion_model.cap_embedder.1.weight", "Lumina 2"),
            ("t_block.1.weight", "PixArt"),
            ("clip_txt_mapper.weight", "Stable Cascade"),
            ("blocks.0.x_block.mlp_t5.weight", ""),
            ("mlp_t5.0.weight", "Hunyuan DiT"),
            ("model.double_layers.0.attn.w1q.weight", "AuraFlow"),
            ("model.diffusion_model.patch_embedding.weight", "Wan"),
            (
                "model.diffusion_model.input_blocks.1.0.time_stack.in_layers.0.bias",
                "Stable Video",
            ),
            ("model.diffusion_model.input_blocks.0.0.weight", ""),
        ] {
            let found = of_names(&tensors(&[name])).unwrap_or_default();
            match family {
                "" => assert_eq!(found, "", "{name}"),
                _ => assert!(found.contains(family), "{name}: {found}"),
            }
        }
    }

    #[test]
    fn pipelines_of_other_families_are_told_by_their_class() {
        let of = |class: &str| of_pipeline(&serde_json::json!({ "_class_name": class }));
        assert_eq!(of("StableDiffusionPipeline"), None);
        assert_eq!(of("LatentConsistencyModelPipeline"), None);
        assert_eq!(of("StableDiffusionXLPipeline").unwrap(), "SDXL");
        assert_eq!(of("FluxPipeline").unwrap(), "Flux");
        assert_eq!(
            of("StableVideoDiffusionPipeline").unwrap(),
            "Stable Video Diffusion"
        );
    }
}
