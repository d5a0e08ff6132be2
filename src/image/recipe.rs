//! How a picture was made, as a text that other programs read.

use std::fmt::Write;

use serde_json::{Map, Value};

/// How a picture was made: the options of its request by the names that they have in JavaScript, such as
/// `negativePrompt`, its `seed`, and its `model`.
pub type Recipe = Map<String, Value>;

/// What a sampler is called in the web UIs. The noise schedule is part of the name, as all their versions
/// read it.
const SAMPLERS: [(&str, &str); 8] = [
    ("dpmpp-2m-karras", "DPM++ 2M Karras"),
    ("euler", "Euler"),
    ("euler-a", "Euler a"),
    ("ddim", "DDIM"),
    ("unipc", "UniPC"),
    ("unipc-karras", "UniPC Karras"),
    ("lcm", "LCM"),
    ("tcd", "TCD"),
];

/// The fields of a recipe that have a place of their own in the text.
const WRITTEN: [&str; 14] = [
    "prompt",
    "negativePrompt",
    "steps",
    "sampler",
    "guidance",
    "seed",
    "width",
    "height",
    "model",
    "clipSkip",
    "strength",
    "variation",
    "hires",
    "maskSoftness",
];

/// The text by which AUTOMATIC1111's web UI, and what reads its pictures, knows how a picture was made: the
/// prompt, the negative prompt, and one line of settings. Their PNG files have it as `parameters`.
///
/// LoRAs that were given beside the prompt are tags at its end. What those programs have no name for
/// follows under glassine's own.
pub fn parameters(recipe: &Recipe) -> String {
    let mut text = prompt(recipe);
    if let Some(negative) = words(recipe, "negativePrompt") {
        text += &format!("\nNegative prompt: {negative}");
    }
    let settings = Settings::of(recipe).0;
    format!("{text}\n{settings}").trim().to_string()
}

/// The prompt, and a tag for each LoRA that it does not name.
fn prompt(recipe: &Recipe) -> String {
    let mut prompt = words(recipe, "prompt").unwrap_or_default().to_string();
    let loras = recipe.get("loras").and_then(Value::as_array);
    for lora in loras.into_iter().flatten() {
        let Some(name) = lora.get("name").and_then(Value::as_str) else {
            continue;
        };
        let tag = format!("<lora:{name}:");
        if !prompt.to_lowercase().contains(&tag.to_lowercase()) {
            let strength = lora.get("strength").and_then(Value::as_f64);
            prompt += &format!(" {tag}{}>", strength.unwrap_or(1.0));
        }
    }
    prompt
}

/// A text of the recipe, unless it is empty.
fn words<'a>(recipe: &'a Recipe, field: &str) -> Option<&'a str> {
    recipe.get(field)?.as_str().filter(|text| !text.is_empty())
}

/// The line of settings: `name: value` with commas between.
struct Settings(String);

impl Settings {
    fn of(recipe: &Recipe) -> Self {
        let mut settings = Self(String::new());
        // A second pass's strength where the request does not say it.
        let half = Value::from(0.5);
        settings.add("Steps", recipe.get("steps"));
        settings.add("Sampler", sampler(recipe).as_ref());
        settings.add("CFG scale", recipe.get("guidance"));
        settings.add("Seed", recipe.get("seed"));
        if let (Some(width), Some(height)) = (recipe.get("width"), recipe.get("height")) {
            settings.add("Size", Some(&format!("{width}x{height}").into()));
        }
        settings.add("Model hash", model_hash(recipe).as_ref());
        let inside = |field: &str, name: &str| recipe.get(field).and_then(|one| one.get(name));
        settings.add("Variation seed", inside("variation", "seed"));
        settings.add("Variation seed strength", inside("variation", "amount"));
        let strength = match recipe.get("hires") {
            Some(hires) => Some(hires.get("strength").unwrap_or(&half)),
            None => recipe.get("strength"),
        };
        settings.add("Denoising strength", strength);
        let clip_skip = recipe.get("clipSkip");
        settings.add("Clip skip", clip_skip.filter(|layer| **layer != 1));
        settings.add("Hires upscale", inside("hires", "scale"));
        settings.add("Mask blur", recipe.get("maskSoftness"));
        for (field, value) in recipe {
            if !WRITTEN.contains(&field.as_str()) {
                settings.add(&spaced(field), Some(value));
            }
        }
        let version = concat!("glassine ", env!("CARGO_PKG_VERSION"));
        settings.add("Version", Some(&version.into()));
        settings
    }

    /// One more setting, if it is there and is a word, a number or a switch.
    fn add(&mut self, name: &str, value: Option<&Value>) {
        let value = match value {
            Some(Value::String(text)) if !text.is_empty() => quoted(text),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            _ => return,
        };
        let comma = if self.0.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{comma}{name}: {value}");
    }
}

fn sampler(recipe: &Recipe) -> Option<Value> {
    let own = words(recipe, "sampler")?;
    let known = SAMPLERS.iter().find(|(name, _)| *name == own);
    Some(known.map_or(own, |(_, name)| name).into())
}

/// The first ten digits of the model's hash, as the web UIs shorten it.
fn model_hash(recipe: &Recipe) -> Option<Value> {
    let hash = words(recipe, "model")?.strip_prefix("sha256:")?;
    Some(hash.get(..10)?.into())
}

/// A text as the value of a setting: in quotes if it could be taken for several.
fn quoted(text: &str) -> String {
    match text.contains([',', ':', '\n']) {
        true => Value::from(text).to_string(),
        false => text.into(),
    }
}

/// `controlScale` as `Control scale`.
fn spaced(field: &str) -> String {
    let mut name = String::new();
    for character in field.chars() {
        match character {
            'A'..='Z' => name.extend([' ', character.to_ascii_lowercase()]),
            _ if name.is_empty() => name.extend(character.to_uppercase()),
            _ => name.push(character),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(recipe: Value) -> String {
        parameters(recipe.as_object().unwrap())
    }

    #[test]
    fn settings_have_the_web_uis_names() {
        let recipe = serde_json::json!({
            "prompt": "a red apple,\nstill life",
            "negativePrompt": "blurry",
            "steps": 20,
            "sampler": "dpmpp-2m-karras",
            "guidance": 7.5,
            "seed": 12345678901u64,
            "width": 512,
            "height": 768,
            "clipSkip": 2,
            "model": format!("sha256:{}", "0123456789abcdef".repeat(4)),
            "mode": "single",
            "variation": {"seed": 9, "amount": 0.2},
            "hires": {"scale": 1.5},
            "loras": [{"name": "ink", "strength": 0.8}, {"name": "Glow", "strength": 1}],
            "foregroundPrompt": "one: two",
        });
        let expected = "a red apple,\nstill life <lora:ink:0.8> <lora:Glow:1>\n\
            Negative prompt: blurry\n\
            Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 12345678901, Size: 512x768, \
            Model hash: 0123456789, Variation seed: 9, Variation seed strength: 0.2, \
            Denoising strength: 0.5, Clip skip: 2, Hires upscale: 1.5, Foreground prompt: \"one: two\", \
            Mode: single, Version: glassine ";
        let text = text(recipe);
        assert_eq!(
            text.strip_prefix(expected),
            Some(env!("CARGO_PKG_VERSION")),
            "{text}"
        );
    }

    #[test]
    fn little_is_written_of_little() {
        let version = concat!("Version: glassine ", env!("CARGO_PKG_VERSION"));
        assert_eq!(text(serde_json::json!({})), version);
        // A tag of the prompt counts, whatever its strength, and one layer of CLIP is the usual.
        let recipe = serde_json::json!({
            "prompt": "x <lora:INK:2>", "negativePrompt": "", "clipSkip": 1,
            "loras": [{"name": "ink", "strength": 0.8}],
        });
        assert_eq!(text(recipe), format!("x <lora:INK:2>\n{version}"));
    }
}
