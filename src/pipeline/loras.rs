//! Which LoRAs a request is made with, and how strongly.

use std::collections::BTreeMap;

use super::request::Request;
use crate::pack::{Lora, LoraStrength, Role};
use crate::text::{Tag, take_tags};

/// The LoRAs of a request.
pub(super) struct RequestLoras {
    /// The engine's own and the request's, as strong as the prompts say.
    pub loras: Vec<Lora>,
    /// What has no effect, in words for the request's author.
    pub warnings: Vec<String>,
}

impl RequestLoras {
    /// `own` and those of `request`, with the strengths that the tags of its prompts give them: of the
    /// main prompt and those of the frames in `roles`. The same tag twice adds up.
    pub fn new(own: &[Lora], request: &Request, roles: &[Role]) -> Self {
        let mut found = Self {
            loras: own.iter().chain(&request.loras).cloned().collect(),
            warnings: Vec::new(),
        };
        let mut strengths: BTreeMap<usize, LoraStrength> = BTreeMap::new();
        for (what, prompt) in prompts(request, roles) {
            for tag in take_tags(prompt).1 {
                match found.read(&tag) {
                    Ok((place, strength)) => {
                        let sum = strengths.entry(place).or_insert(LoraStrength::both(0.0));
                        sum.unet += strength.unet;
                        sum.text_encoder += strength.text_encoder;
                    }
                    Err(reason) => found.warn(&tag, what, &reason),
                }
            }
        }
        for tag in take_tags(&request.negative_prompt).1 {
            let reason = match tag.is_lora() {
                true => "a LoRA is for the whole picture; name it in the prompt".into(),
                false => no_such(&tag),
            };
            found.warn(&tag, "negative prompt", &reason);
        }
        for (place, strength) in strengths {
            found.set(place, strength);
        }
        let alone = found.loras.iter().filter(|lora| lora.is_for_text_alone());
        let alone = alone.map(|lora| format!("{} changes the text encoder alone", lora.name()));
        found.warnings.extend(alone);
        found
    }

    /// Which LoRA a tag names, and how strong it is to be.
    fn read(&self, tag: &Tag) -> Result<(usize, LoraStrength), String> {
        if !tag.is_lora() {
            return Err(no_such(tag));
        }
        let mut loras = self.loras.iter();
        let place = loras.position(|lora| has_name(lora, tag.name()));
        let place = place.ok_or_else(|| match self.loras.is_empty() {
            true => "no LoRA was given".to_string(),
            false => {
                let names: Vec<_> = self.loras.iter().map(Lora::name).collect();
                format!("what was given is called {}", names.join(", "))
            }
        })?;
        let (unet, text_encoder) = tag.strengths()?;
        let strength = LoraStrength {
            unet,
            text_encoder: text_encoder.unwrap_or(unet),
        };
        match strength.is_possible() {
            true => Ok((place, strength)),
            false => Err(format!("strengths are from -{0} to {0}", LoraStrength::MAX)),
        }
    }

    /// Gives the LoRA at `place` that strength, and none to others of its name.
    fn set(&mut self, place: usize, strength: LoraStrength) {
        let name = self.loras[place].name().to_string();
        for (index, lora) in self.loras.iter_mut().enumerate() {
            if index == place {
                *lora = lora.with_strength(strength);
            } else if has_name(lora, &name) {
                *lora = lora.with_strength(LoraStrength::both(0.0));
            }
        }
    }

    fn warn(&mut self, tag: &Tag, what: &str, reason: &str) {
        self.warnings
            .push(format!("{tag} in the {what} has no effect: {reason}"));
    }
}

/// The prompts whose tags count, and what they are called.
fn prompts<'a>(
    request: &'a Request,
    roles: &'a [Role],
) -> impl Iterator<Item = (&'static str, &'a str)> {
    let own = roles.iter().filter_map(|role| match role {
        Role::Foreground => Some(("foreground's prompt", request.foreground_prompt.as_str())),
        Role::Background => Some(("background's prompt", request.background_prompt.as_str())),
        Role::Blended => Some(("blended picture's prompt", request.blended_prompt.as_str())),
        Role::Image => None,
    });
    [("prompt", request.prompt.as_str())].into_iter().chain(own)
}

fn has_name(lora: &Lora, name: &str) -> bool {
    lora.name().to_lowercase() == name.to_lowercase()
}

fn no_such(tag: &Tag) -> String {
    format!("there is no {}", tag.kind)
}
