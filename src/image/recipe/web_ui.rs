//! A recipe from the web UIs' text.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::infotext::{NAMED, OWN_VERSION, Setting, Split, field_of, settings};
use super::reading::{ReadRecipe, number, shown};
use super::samplers::from_web_ui;
use crate::tags::{Tag, take_tags};

/// Settings that are a number of a recipe.
const NUMBERS: [(&str, &str); 5] = [
    ("Steps", "steps"),
    ("CFG scale", "guidance"),
    ("Seed", "seed"),
    ("Clip skip", "clipSkip"),
    ("Mask blur", "maskSoftness"),
];

/// What a taken-apart text says.
pub(super) fn recipe(split: &Split) -> ReadRecipe {
    let own = split.is_own();
    let mut read = ReadRecipe::default();
    for (field, text) in [
        ("prompt", &split.prompt),
        ("negativePrompt", &split.negative),
    ] {
        // Other programs do not mean the space around it.
        let text = if own { text } else { text.trim() };
        if !text.is_empty() {
            read.set(field, text);
        }
    }
    let mut rest = Rest(&split.settings, vec![false; split.settings.len()]);
    for (name, field) in NUMBERS {
        if let Some(number) = rest.take_if(name, number) {
            read.set(field, number);
        }
    }
    read_size(&mut rest, &mut read);
    read_sampler(&mut rest, &mut read);
    read_passes(&mut rest, &mut read);
    read_files(&mut rest, &mut read, own);
    let hash = own.then(|| rest.take("Model hash")).flatten();
    if let Some(hash) = hash {
        read.set("model", format!("sha256:{}", hash.value));
    }
    for said in ["Prompt", "Negative prompt"] {
        rest.take(said);
    }
    keep_rest(&rest, &mut read, own);
    // What is not said is the last layer, in every program that writes this form.
    if read.recipe.contains_key("steps") && !read.recipe.contains_key("clipSkip") {
        read.set("clipSkip", 1);
    }
    for note in &split.notes {
        let (name, value) = note.split_once(": ").unwrap_or(("Note", note));
        read.keep(name, value);
    }
    read
}

/// Settings, and which of them are understood.
struct Rest<'a>(&'a [Setting], Vec<bool>);

impl<'a> Rest<'a> {
    /// The value of a setting, the last where it is there several times.
    fn find(&self, name: &str) -> Option<&'a Setting> {
        self.0.iter().rfind(|setting| setting.name == name)
    }

    /// As [`Rest::find`], of one that is understood.
    fn take(&mut self, name: &str) -> Option<&'a Setting> {
        let found = self.find(name)?;
        for (setting, taken) in self.0.iter().zip(&mut self.1) {
            *taken |= setting.name == name;
        }
        Some(found)
    }

    /// As [`Rest::take`], if `read` can make something of it.
    fn take_if<T>(&mut self, name: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = read(&self.find(name)?.value)?;
        self.take(name);
        Some(value)
    }
}

fn read_size(rest: &mut Rest, read: &mut ReadRecipe) {
    if let Some((width, height)) = rest.take_if("Size", sides) {
        read.set("width", width);
        read.set("height", height);
    }
}

fn sides(size: &str) -> Option<(u64, u64)> {
    let (width, height) = size.split_once('x')?;
    Some((width.trim().parse().ok()?, height.trim().parse().ok()?))
}

fn read_sampler(rest: &mut Rest, read: &mut ReadRecipe) {
    let Some(name) = rest.find("Sampler").map(|sampler| &sampler.value) else {
        return;
    };
    let schedule = rest.find("Schedule type").map(|schedule| &schedule.value);
    match from_web_ui(name, schedule.map(String::as_str)) {
        Some(own) => {
            read.set("sampler", own);
            rest.take("Sampler");
            rest.take("Schedule type");
        }
        None => {
            let schedule =
                schedule.map(|schedule| format!(" with the schedule {}", shown(schedule)));
            let schedule = schedule.unwrap_or_default();
            read.warn(format!(
                "there is no sampler {}{schedule} here",
                shown(name)
            ));
        }
    }
}

/// A start from another picture, a second pass, a variation.
fn read_passes(rest: &mut Rest, read: &mut ReadRecipe) {
    let seed = rest
        .find("Variation seed")
        .and_then(|seed| number(&seed.value));
    let amount = rest.find("Variation seed strength");
    let amount = amount.and_then(|amount| number(&amount.value));
    if let (Some(seed), Some(amount)) = (seed, amount) {
        read.set("variation", json!({"seed": seed, "amount": amount}));
        rest.take("Variation seed");
        rest.take("Variation seed strength");
    }
    let scale = rest.take_if("Hires upscale", number);
    let scale = scale.or_else(|| {
        let width = read.recipe.get("width")?.as_u64()?;
        let height = read.recipe.get("height")?.as_u64()?;
        rest.take_if("Hires resize", |size| {
            let (large_width, large_height) = sides(size)?;
            let scale = large_width as f64 / width as f64;
            // As wide as it is high, or it is no enlargement.
            let same = large_width.checked_mul(height)? == large_height.checked_mul(width)?;
            number(&scale.to_string()).filter(|_| same)
        })
    });
    let strength = rest.take_if("Denoising strength", number);
    match (scale, strength) {
        (Some(scale), Some(strength)) => {
            read.set("hires", json!({"scale": scale, "strength": strength}));
        }
        (Some(scale), None) => read.set("hires", json!({"scale": scale})),
        (None, Some(strength)) => read.set("strength", strength),
        (None, None) => {}
    }
    let steps = rest.find("Hires steps").map(|steps| steps.value.as_str());
    let first = rest.find("Steps").map(|steps| steps.value.as_str());
    if let Some(steps) = steps.filter(|steps| *steps != "0" && Some(*steps) != first) {
        read.warn(format!(
            "the second pass had {} steps of its own, and has as many as the first here",
            shown(steps)
        ));
    }
}

/// LoRAs by the prompt's tags, embeddings, and the hashes of both.
fn read_files(rest: &mut Rest, read: &mut ReadRecipe, own: bool) {
    let mut hashes = Hashes::of(rest.take("Lora hashes"));
    let prompt = read.recipe.get("prompt").and_then(Value::as_str);
    let tags = take_tags(prompt.unwrap_or_default()).1;
    let mut loras = Vec::new();
    for tag in tags.iter().filter(|tag| tag.is_lora()) {
        let mut lora = json!({"name": tag.name()});
        match strengths(tag, own) {
            Some((unet, text_encoder)) => {
                lora["strength"] = unet;
                if let Some(text_encoder) = text_encoder {
                    lora["textEncoderStrength"] = text_encoder;
                }
            }
            None => read.warn(format!(
                "the strength of {} is not understood",
                shown(&tag.to_string())
            )),
        }
        if !own && swaps_numbers(tag) {
            read.warn(format!(
                "of the two numbers of {} the first is the text encoder's there, and the second one's here; \
                 write te= and unet= in front of them",
                shown(&tag.to_string())
            ));
        }
        if let Some(hash) = hashes.take(tag.name()) {
            lora["hash"] = hash.into();
        }
        loras.push(lora);
    }
    // Those that no tag names.
    for (name, hash) in hashes.left() {
        loras.push(json!({"name": name, "hash": hash}));
    }
    let embeddings = Hashes::of(rest.take("TI hashes")).left();
    let embeddings = embeddings.map(|(name, hash)| json!({"name": name, "hash": hash}));
    let embeddings: Vec<_> = embeddings.collect();
    for (field, list) in [("loras", loras), ("embeddings", embeddings)] {
        if !list.is_empty() {
            read.set(field, list);
        }
    }
}

/// Whether a tag has two numbers without names, of which AUTOMATIC1111's first is the text encoder's.
fn swaps_numbers(tag: &Tag) -> bool {
    let numbers: Vec<_> = tag.argument.split(':').skip(1).take(3).collect();
    matches!(numbers[..], [first, second, ..] if first.trim() != second.trim() && !tag.argument.contains('='))
}

/// The strengths of the UNet, and of the text encoder if that is another.
fn strengths(tag: &Tag, own: bool) -> Option<(Value, Option<Value>)> {
    let (unet, text_encoder) = tag.strengths().ok()?;
    let text_encoder = text_encoder.filter(|text_encoder| *text_encoder != unet);
    let [unet, other] = match text_encoder {
        Some(second) if !own && swaps_numbers(tag) => [second, unet],
        Some(text_encoder) => [unet, text_encoder],
        None => [unet, unet],
    };
    let value = |strength: f32| number(&strength.to_string()).map(Value::from);
    Some((value(unet)?, text_encoder.and_then(|_| value(other))))
}

/// `name: hash` pairs, in order: several files may have one name.
#[derive(Default)]
struct Hashes(
    Vec<(String, Option<String>)>,
    BTreeMap<String, VecDeque<usize>>,
);

impl Hashes {
    fn of(setting: Option<&Setting>) -> Self {
        let mut hashes = Self::default();
        for Setting { name, value, .. } in setting.map_or(Vec::new(), |one| settings(&one.value)) {
            if (4..=64).contains(&value.len())
                && value.bytes().all(|digit| digit.is_ascii_hexdigit())
            {
                let place = hashes.1.entry(plain(&name)).or_default();
                place.push_back(hashes.0.len());
                hashes.0.push((name, Some(value.to_ascii_lowercase())));
            }
        }
        hashes
    }

    /// The next one of that name.
    fn take(&mut self, name: &str) -> Option<String> {
        let place = self.1.get_mut(&plain(name))?.pop_front()?;
        self.0.get_mut(place)?.1.take()
    }

    fn left(self) -> impl Iterator<Item = (String, String)> {
        let all = self.0.into_iter();
        all.filter_map(|(name, hash)| Some((name, hash?)))
    }
}

/// A name as it is written beside its hash, in any case.
fn plain(name: &str) -> String {
    name.replace([':', ','], "").trim().to_lowercase()
}

/// Settings of glassine's own are fields of the recipe, all others are kept as they are.
fn keep_rest(rest: &Rest, read: &mut ReadRecipe, own: bool) {
    let left = rest.0.iter().zip(&rest.1).filter(|(_, taken)| !**taken);
    for (setting, _) in left {
        let Setting {
            name,
            value,
            quoted,
        } = setting;
        if own && name == "Version" && value.starts_with(OWN_VERSION) {
            continue;
        }
        let is_named = NAMED.contains(&name.as_str());
        match field_of(name).filter(|_| own && !is_named) {
            Some(field) => {
                let plain = match value.as_str() {
                    "true" => Some(true.into()),
                    "false" => Some(false.into()),
                    value => number(value).map(Value::from),
                };
                let plain = plain.filter(|_| !quoted);
                read.set(&field, plain.unwrap_or_else(|| value.as_str().into()));
            }
            None => read.keep(name, value),
        }
    }
}
