//! The text by which the web UIs know how a picture was made.

use std::fmt::Write;

use serde_json::Value;

use super::Recipe;
use super::infotext::{NAMED, Split, field_of};
use super::samplers::in_web_uis;

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
/// follows under glassine's own, as far as it is a word, a number or a switch. A prompt that this form would
/// not give back as it is, such as one with a line `Negative prompt:`, is repeated in quotes among the settings.
pub fn parameters(recipe: &Recipe) -> String {
    let prompt = prompt(recipe);
    let negative = words(recipe, "negativePrompt").unwrap_or_default();
    let text = written(recipe, &prompt, negative, false);
    // Other programs take line ends and NUL for what they like.
    let survives = !prompt.contains(['\0', '\r']) && !negative.contains(['\0', '\r']);
    let read = Split::of(&text);
    match survives && read.prompt == prompt && read.negative == negative {
        true => text,
        false => written(recipe, &prompt, negative, true),
    }
}

fn written(recipe: &Recipe, prompt: &str, negative: &str, repeated: bool) -> String {
    let mut text = prompt.to_string();
    if !negative.is_empty() {
        text += &format!("\nNegative prompt: {negative}");
    }
    let mut settings = Settings::of(recipe);
    if repeated {
        settings.push("Prompt", &Value::from(prompt).to_string());
        settings.push("Negative prompt", &Value::from(negative).to_string());
    }
    let version = concat!("glassine ", env!("CARGO_PKG_VERSION"));
    settings.push("Version", version);
    format!("{text}\n{}", settings.0).trim().to_string()
}

/// The prompt, and a tag for each LoRA that it does not name.
fn prompt(recipe: &Recipe) -> String {
    let mut prompt = words(recipe, "prompt").unwrap_or_default().to_string();
    for lora in listed(recipe, "loras") {
        let Some(name) = words(lora, "name") else {
            continue;
        };
        let tag = format!("<lora:{name}:");
        if prompt.to_lowercase().contains(&tag.to_lowercase()) {
            continue;
        }
        let number = |field: &str| lora.get(field).and_then(Value::as_f64);
        let strength = number("strength").unwrap_or(1.0);
        prompt += &match number("textEncoderStrength").filter(|own| *own != strength) {
            // With names, since programs do not agree which of two numbers is which.
            Some(own) => format!(" {tag}te={own}:unet={strength}>"),
            None => format!(" {tag}{strength}>"),
        };
    }
    prompt
}

/// A text of the recipe, unless it is empty.
fn words<'a>(recipe: &'a Recipe, field: &str) -> Option<&'a str> {
    recipe.get(field)?.as_str().filter(|text| !text.is_empty())
}

/// The objects of a list.
fn listed<'a>(recipe: &'a Recipe, field: &str) -> impl Iterator<Item = &'a Recipe> {
    let list = recipe.get(field).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_object)
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
        settings.add("Lora hashes", hashes(recipe, "loras").as_ref());
        settings.add("TI hashes", hashes(recipe, "embeddings").as_ref());
        for (field, value) in recipe {
            let name = spaced(field);
            // Nothing is written that would be read as something else.
            let is_own = !WRITTEN.contains(&field.as_str()) && !NAMED.contains(&name.as_str());
            if is_own && field_of(&name).as_deref() == Some(field) {
                settings.add_own(&name, value);
            }
        }
        settings
    }

    /// One more setting, if it is there and is a word, a number or a switch.
    fn add(&mut self, name: &str, value: Option<&Value>) {
        match value {
            Some(Value::String(text)) if !text.is_empty() => self.push(name, &quoted(text)),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => {
                self.push(name, &value.to_string());
            }
            _ => {}
        }
    }

    /// As [`Settings::add`], of a setting of glassine's own: a text that looks like a number is still one.
    fn add_own(&mut self, name: &str, value: &Value) {
        match value.as_str() {
            Some(text) if serde_json::from_str::<Value>(text).is_ok() => {
                self.push(name, &value.to_string());
            }
            _ => self.add(name, Some(value)),
        }
    }

    fn push(&mut self, name: &str, value: &str) {
        let comma = if self.0.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{comma}{name}: {value}");
    }
}

fn sampler(recipe: &Recipe) -> Option<Value> {
    let own = words(recipe, "sampler")?;
    Some(in_web_uis(own).unwrap_or(own).into())
}

/// The first ten digits of the model's hash, as the web UIs shorten it.
fn model_hash(recipe: &Recipe) -> Option<Value> {
    let hash = words(recipe, "model")?.strip_prefix("sha256:")?;
    Some(hash.get(..10)?.into())
}

/// `name: hash` of the files of a list, the hashes' first twelve digits as the web UIs shorten them.
fn hashes(recipe: &Recipe, list: &str) -> Option<Value> {
    let files = listed(recipe, list).filter_map(|file| {
        let (name, hash) = (words(file, "name")?, words(file, "hash")?);
        let name = name.replace([':', ','], "");
        Some(format!("{name}: {}", hash.get(..12).unwrap_or(hash)))
    });
    let files: Vec<_> = files.collect();
    (!files.is_empty()).then(|| files.join(", ").into())
}

/// A text as the value of a setting: in quotes if it could be taken for several, or for something else.
fn quoted(text: &str) -> String {
    let opens = text.starts_with(['"', '{', '[']);
    match opens || text.trim() != text || text.contains([',', ':', '\n', '\r', '\0']) {
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

    #[test]
    fn files_are_named_by_the_web_uis_hashes() {
        let hash = "0123456789abcdef".repeat(4);
        let recipe = serde_json::json!({
            "prompt": "a cat",
            "loras": [
                {"name": "ink: fine", "strength": 0.8, "textEncoderStrength": 0.5, "hash": hash},
                {"name": "plain", "strength": 1},
                {"name": "short", "strength": 1, "hash": "0a1b2c3d"},
            ],
            "embeddings": [{"name": "style", "hash": hash}],
        });
        let text = text(recipe);
        let expected = "a cat <lora:ink: fine:te=0.5:unet=0.8> <lora:plain:1> <lora:short:1>\n\
            Lora hashes: \"ink fine: 0123456789ab, short: 0a1b2c3d\", TI hashes: \"style: 0123456789ab\", Version: ";
        assert!(text.starts_with(expected), "{text}");
    }
}
