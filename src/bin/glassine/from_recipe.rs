//! What a picture says of how it was made: shown, and as options of a request.

use std::fmt::{Display, Write};
use std::path::Path;
use std::str::FromStr;

use glassine::image::{ReadRecipe, Recipe, read_recipe};
use glassine::pack::{Lora, LoraStrength};
use glassine::{Error, ErrorCode, Result};
use serde_json::Value;

use crate::arguments::Generate;
use crate::controls;
use crate::files::read_whole;

/// How the picture at `path` was made, in lines; `None` if there is no picture.
pub fn describe(path: &Path) -> Option<String> {
    if !is_picture(path) {
        return None;
    }
    let read = read_recipe(&read_whole(path).ok()?).ok()?;
    let mut text = format!("picture {}\n", path.display());
    // Writing to a string cannot fail.
    let Some(read) = read else {
        let _ = writeln!(text, "  does not say how it was made");
        return Some(text);
    };
    for (name, value) in &read.recipe {
        let _ = writeln!(
            text,
            "  {}: {}",
            printable(name),
            printable(&value.to_string())
        );
    }
    for (name, value) in &read.others {
        let value = Value::from(value.as_str()).to_string();
        let _ = writeln!(
            text,
            "  not understood: {}: {}",
            printable(name),
            printable(&value)
        );
    }
    for warning in &read.warnings {
        let _ = writeln!(text, "  note: {}", printable(warning));
    }
    Some(text)
}

/// Whether the file begins as a picture does, and is not to be read whole to find that out.
fn is_picture(path: &Path) -> bool {
    let mut beginning = [0; 12];
    let opened = std::fs::File::open(path).ok().filter(|_| path.is_file());
    let read =
        opened.and_then(|mut file| std::io::Read::read_exact(&mut file, &mut beginning).ok());
    let is_webp = beginning.starts_with(b"RIFF") && beginning.ends_with(b"WEBP");
    read.is_some()
        && (is_webp || beginning.starts_with(b"\x89PNG") || beginning.starts_with(b"\xff\xd8\xff"))
}

/// A stranger's text without what moves the cursor or colours what follows.
fn printable(text: &str) -> String {
    let mut printable = String::new();
    for character in text.chars() {
        match character.is_control() {
            true => printable.extend(character.escape_unicode()),
            false => printable.push(character),
        }
    }
    printable
}

/// The recipe in the file at `path`.
///
/// # Errors
/// `bad_option` if there is none.
pub fn read(path: &Path) -> Result<ReadRecipe> {
    let wrong = |reason: String| {
        Error::new(
            ErrorCode::BadOption,
            format!("--recipe {}: {reason}", path.display()),
            "name a PNG, JPEG or WebP file that says how it was made, or a recipe as JSON",
        )
    };
    let bytes = read_whole(path).map_err(|reason| wrong(format!("cannot be read: {reason}")))?;
    let read = read_recipe(&bytes).map_err(|error| wrong(error.message))?;
    read.ok_or_else(|| wrong("it does not say how it was made".into()))
}

/// Fills in what the command line leaves out, and says what it could not.
///
/// # Errors
/// `bad_option` for a value that there is not.
pub fn fill(arguments: &mut Generate, recipe: &Recipe) -> Result<Vec<String>> {
    let own = &mut *arguments;
    text(&mut own.prompt, recipe, "prompt")?;
    text(&mut own.negative, recipe, "negativePrompt")?;
    text(&mut own.fg_prompt, recipe, "foregroundPrompt")?;
    text(&mut own.bg_prompt, recipe, "backgroundPrompt")?;
    text(&mut own.blended_prompt, recipe, "blendedPrompt")?;
    text(&mut own.mode, recipe, "mode")?;
    text(&mut own.sampler, recipe, "sampler")?;
    text(&mut own.convention, recipe, "convention")?;
    text(&mut own.vae, recipe, "vae")?;
    number(&mut own.clip_skip, recipe, "clipSkip")?;
    number(&mut own.steps, recipe, "steps")?;
    number(&mut own.guidance, recipe, "guidance")?;
    number(&mut own.guidance_rescale, recipe, "guidanceRescale")?;
    number(&mut own.width, recipe, "width")?;
    number(&mut own.height, recipe, "height")?;
    number(&mut own.decode_passes, recipe, "decodePasses")?;
    // Noise that is given has no seed.
    if own.noise.is_none() {
        number(&mut own.seed, recipe, "seed")?;
        if let Some([seed, amount]) = pair(recipe, "variation", ["seed", "amount"]) {
            own.variation.get_or_insert(format!("{seed}:{amount}"));
        }
    }
    if own.hires.is_none()
        && own.mask.is_none()
        && let Some(hires) = recipe.get("hires").and_then(Value::as_object)
    {
        number(&mut own.hires, hires, "scale")?;
        number(&mut own.hires_strength, hires, "strength")?;
    }
    own.fit |= recipe.get("fit") == Some(&true.into());
    let mut left_out = Vec::new();
    let mut with = |fields: &[&str], owner: &str, is_there: bool| {
        let named = fields.iter().any(|field| recipe.contains_key(*field));
        if named && !is_there {
            left_out.push(format!("it was made with --{owner}, which is not given"));
        }
        is_there
    };
    if with(
        &["strength", "enlarge", "extend"],
        "init",
        own.init.is_some(),
    ) {
        number(&mut own.strength, recipe, "strength")?;
        number(&mut own.enlarge, recipe, "enlarge")?;
    }
    if with(
        &["maskCrop", "maskSoftness", "keepAlpha"],
        "mask",
        own.mask.is_some(),
    ) {
        number(&mut own.mask_crop, recipe, "maskCrop")?;
        number(&mut own.mask_softness, recipe, "maskSoftness")?;
        own.keep_alpha |= recipe.get("keepAlpha") == Some(&true.into());
    }
    left_out.extend(controls::fill(own, recipe));
    Ok(left_out)
}

fn text<T: FromStr>(option: &mut Option<T>, recipe: &Recipe, field: &str) -> Result<()>
where
    T::Err: Display,
{
    let said = recipe.get(field).and_then(Value::as_str);
    set(option, field, said.map(Into::into))
}

fn number<T: FromStr>(option: &mut Option<T>, recipe: &Recipe, field: &str) -> Result<()>
where
    T::Err: Display,
{
    let said = recipe.get(field).filter(|value| value.is_number());
    set(option, field, said.map(Value::to_string))
}

fn set<T: FromStr>(option: &mut Option<T>, field: &str, said: Option<String>) -> Result<()>
where
    T::Err: Display,
{
    if let Some(said) = said.filter(|_| option.is_none()) {
        let value = said.parse().map_err(|error| {
            Error::new(
                ErrorCode::BadOption,
                format!("the recipe's {field} {said:?} is not possible: {error}"),
                "give another as an option",
            )
        })?;
        *option = Some(value);
    }
    Ok(())
}

fn pair<'a>(recipe: &'a Recipe, field: &str, names: [&str; 2]) -> Option<[&'a Value; 2]> {
    let object = recipe.get(field)?;
    let [first, second] = names.map(|name| object.get(name).filter(|value| value.is_number()));
    Some([first?, second?])
}

/// The LoRAs that are given, those that the recipe names with its strengths and hashes where the command line has none
/// (`None`), and the recipe's that are not given, in words.
pub fn loras(given: Vec<(Lora, Option<f32>)>, recipe: &Recipe) -> (Vec<Lora>, Vec<String>) {
    let named: Vec<&Value> = files(recipe, "loras").collect();
    let called = |lora: &Lora, name: &str| lora.name().to_lowercase() == name.to_lowercase();
    let missing = named.iter().filter(|entry| {
        let name = entry["name"].as_str().unwrap_or_default();
        !given.iter().any(|(lora, _)| called(lora, name))
    });
    let missing = missing.map(|entry| {
        format!(
            "the recipe has the LoRA {}, which is not given",
            shown(entry)
        )
    });
    let missing = missing.collect();
    let loras = given.into_iter().map(|(lora, strength)| {
        let mut entries = named.iter();
        let entry = entries.find(|entry| {
            entry["name"]
                .as_str()
                .is_some_and(|name| called(&lora, name))
        });
        let Some(entry) = entry else {
            return lora;
        };
        let number = |field: &str| {
            entry
                .get(field)
                .and_then(Value::as_f64)
                .map(|value| value as f32)
        };
        let lora = match entry.get("hash").and_then(Value::as_str) {
            Some(hash) => lora.wanting(hash),
            None => lora,
        };
        let unet = strength.or(number("strength")).unwrap_or(1.0);
        let text_encoder = number("textEncoderStrength").filter(|_| strength.is_none());
        let said = LoraStrength {
            unet,
            text_encoder: text_encoder.unwrap_or(unet),
        };
        match said.is_possible() {
            true => lora.with_strength(said),
            false => lora,
        }
    });
    (loras.collect(), missing)
}

/// The recipe's embeddings that are not among those called `given`, in words.
pub fn missing_embeddings(given: &[&str], recipe: &Recipe) -> Vec<String> {
    let missing = files(recipe, "embeddings").filter(|entry| {
        let name = entry["name"].as_str().unwrap_or_default().to_lowercase();
        !given.iter().any(|given| given.to_lowercase() == name)
    });
    let missing = missing.map(|entry| {
        format!(
            "the recipe has the embedding {}, which is not given",
            shown(entry)
        )
    });
    missing.collect()
}

/// Says so where the recipe is of another model.
pub fn other_model(sha256: &str, recipe: &Recipe) -> Option<String> {
    let model = recipe.get("model")?.as_str()?.strip_prefix("sha256:")?;
    let note = format!(
        "it was made with another model, sha256:{}",
        printable(model)
    );
    (!sha256.starts_with(model)).then_some(note)
}

fn files<'a>(recipe: &'a Recipe, list: &str) -> impl Iterator<Item = &'a Value> {
    let list = recipe.get(list).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter(|entry| entry["name"].is_string())
}

fn shown(entry: &Value) -> String {
    let name = printable(entry["name"].as_str().unwrap_or_default());
    match entry["hash"].as_str() {
        Some(hash) => format!("{name} (hash {})", printable(hash)),
        None => name,
    }
}
