//! What is written into a picture of how it was made, as the npm package has it.

use glassine::Result;
use glassine::image::Recipe;
use glassine::pack::FolderSource;
use glassine::pipeline::{Control, Engine, Generation, Lora, LoraStrength, Request};
use serde_json::{Value, json};

use crate::arguments::Generate;
use crate::controls;

/// The options of a request by the names that they have in JavaScript, with the model's defaults filled in, except
/// for pictures and given noise.
pub fn recipe(
    arguments: &Generate,
    engine: &Engine<FolderSource>,
    request: &Request,
    generation: &Generation,
) -> Result<Recipe> {
    let defaults = &engine.manifest().defaults;
    let [.., height, width] = generation.latent.values.shape[..] else {
        return Ok(Recipe::new());
    };
    let mut recipe = Recipe::new();
    let mut add = |name: &str, value: Value| {
        let empty = value.is_null() || value == json!("") || value == json!(false);
        if !empty {
            recipe.insert(name.into(), value);
        }
    };
    let given = |value: Option<f32>| value.map_or(Value::Null, short);
    let sampler = request.sampler.map(|sampler| sampler.as_str());
    add("prompt", json!(request.prompt));
    add("negativePrompt", json!(request.negative_prompt));
    add("foregroundPrompt", json!(request.foreground_prompt));
    add("backgroundPrompt", json!(request.background_prompt));
    add("blendedPrompt", json!(request.blended_prompt));
    add("mode", json!(generation.latent.mode.as_str()));
    add("steps", json!(request.steps.unwrap_or(defaults.steps)));
    add(
        "guidance",
        short(request.guidance.unwrap_or(defaults.guidance)),
    );
    add(
        "guidanceRescale",
        given((request.guidance_rescale > 0.0).then_some(request.guidance_rescale)),
    );
    add("sampler", json!(sampler.unwrap_or(&defaults.sampler)));
    add(
        "convention",
        json!(request.convention.map(|one| one.as_str())),
    );
    add(
        "clipSkip",
        json!(request.clip_skip.unwrap_or(defaults.clip_skip)),
    );
    // A second pass has another size than was asked for.
    let (width, height) = match request.hires {
        Some(_) => (
            request.width.unwrap_or(defaults.width),
            request.height.unwrap_or(defaults.height),
        ),
        None => (8 * width, 8 * height),
    };
    add("width", json!(width));
    add("height", json!(height));
    if request.noise.is_none() {
        add("seed", json!(generation.latent.seed));
    }
    add("strength", json!(request.strength));
    add("maskCrop", json!(request.mask_crop));
    add("maskSoftness", json!(arguments.mask_softness));
    add("keepAlpha", json!(request.keep_alpha));
    match request.controls[..] {
        [] => {}
        // One by the model's own ControlNet has options of its own.
        [
            Control {
                controlnet: None, ..
            },
        ] => {
            add("controlScale", json!(arguments.control_scale.first()));
            add("controlStart", json!(arguments.control_start.first()));
            add("controlEnd", json!(arguments.control_end.first()));
        }
        _ => add("controls", controls::recorded(&request.controls)),
    }
    add("fit", json!(request.fit));
    if let Some(variation) = &request.variation {
        add(
            "variation",
            json!({"seed": variation.seed, "amount": variation.amount}),
        );
    }
    if let Some(hires) = &request.hires {
        add(
            "hires",
            json!({"scale": hires.scale, "strength": hires.strength}),
        );
    }
    add("decodePasses", json!(request.decode_passes));
    add("model", json!(format!("sha256:{}", engine.sha256())));
    if !generation.embeddings.is_empty() {
        let used = request.embeddings.iter();
        let used = used.filter(|one| generation.embeddings.iter().any(|name| name == one.name()));
        let used = used.map(|one| json!({"name": one.name(), "hash": one.hash()}));
        add("embeddings", used.collect());
    }
    let loras = generation
        .loras
        .iter()
        .map(lora)
        .collect::<Result<Vec<_>>>()?;
    if !loras.is_empty() {
        add("loras", loras.into());
    }
    Ok(recipe)
}

/// As it was written, and not as the nearest f64.
pub fn short(value: f32) -> Value {
    serde_json::from_str(&value.to_string()).unwrap_or_default()
}

fn lora(lora: &Lora) -> Result<Value> {
    let LoraStrength { unet, text_encoder } = lora.strength();
    let mut recipe = json!({"name": lora.name(), "strength": short(unet)});
    if text_encoder != unet {
        recipe["textEncoderStrength"] = short(text_encoder);
    }
    recipe["hash"] = lora.hash()?.into();
    Ok(recipe)
}
