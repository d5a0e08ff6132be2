//! One check of what a model is made of, before anything of it is computed: configs and tensors are
//! compared with what the networks will do. A model that passes it cannot fail on a shape when it runs.
//!
//! One file a network. Each walks through the tensors as the network's own `load` and `forward` do.

mod adapter;
mod control_net;
mod place;
mod scheduler;
mod skips;
mod taesd;
mod text_encoder;
mod transparency;
mod unet;
mod vae;

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use place::{Flaw, Shapes};

use super::adapter::AdapterKind;
use super::manifest::Manifest;
use crate::sampling::NoiseSchedule;
use crate::text::Tokenizer;
use crate::{Error, ErrorCode};
use place::{Checked, Place, ensure};
use unet::UnetSummary;

/// What a model is made of: its components' configs, and the shapes of all tensors by full name, such
/// as `unet.conv_in.weight`, with the axes in PyTorch's order.
#[derive(Default)]
pub struct Architecture {
    /// Configs by component.
    pub configs: BTreeMap<String, Value>,
    /// Shapes by name.
    pub shapes: Shapes,
}

impl Flaw {
    /// The error that it is, of a `component` that `path` holds.
    pub fn into_error(self, path: &Path, component: &str) -> Error {
        let path = path.display();
        match self {
            Self::Missing(name) => Error::new(
                ErrorCode::ModelDamaged,
                format!("{path} is incomplete: it has no {name}"),
                "fetch it again, or pass the whole model",
            ),
            Self::Unsupported(reason) => Error::new(
                ErrorCode::ModelUnsupported,
                format!("{path} cannot be run: {component}: {reason}"),
                "glassine runs the architecture of Stable Diffusion 1.x",
            ),
        }
    }
}

impl Architecture {
    /// What the pack behind `manifest` is made of.
    pub fn of_pack(manifest: &Manifest) -> Self {
        let shapes = manifest.tensors.iter().map(|(name, entry)| {
            // A pack holds convolutions channels last.
            let shape = match entry.shape[..] {
                [outputs, height, width, inputs] => vec![outputs, inputs, height, width],
                _ => entry.shape.clone(),
            };
            (name.clone(), shape)
        });
        Self {
            configs: manifest.components.clone(),
            shapes: shapes.collect(),
        }
    }

    /// The text encoder must have a row for each of the `tokenizer`'s tokens.
    pub fn check_vocabulary(&self, tokenizer: &Tokenizer) -> Checked<()> {
        let model = self.place("text_encoder.text_model");
        let rows = model.outputs("embeddings.token_embedding.weight")?;
        let tokens = tokenizer.vocabulary_size();
        ensure(rows >= tokens, || {
            format!("its token table has {rows} rows, and the tokenizer {tokens} tokens")
        })
    }

    /// Checks every component that is there.
    ///
    /// # Errors
    /// The component at fault and what is wrong with it.
    pub fn check(&self) -> Result<(), (String, Flaw)> {
        let of = |component: &str| {
            let component = component.to_string();
            move |flaw| (component, flaw)
        };
        let text = match self.has("text_encoder") {
            true => Some(self.text_encoder().map_err(of("text_encoder"))?),
            false => None,
        };
        let unet = match self.has("unet") {
            true => Some(self.unet(text).map_err(of("unet"))?),
            false => None,
        };
        for component in self.configs.keys() {
            self.component(component, unet.as_ref())
                .map_err(of(component))?;
        }
        Ok(())
    }

    fn has(&self, component: &str) -> bool {
        self.configs.contains_key(component)
    }

    fn place(&self, component: &str) -> Place<'_> {
        Place::new(&self.shapes, component)
    }

    fn config<T: DeserializeOwned>(&self, component: &str) -> Checked<(&Value, T)> {
        let config = &self.configs[component];
        let settings = T::deserialize(config).map_err(|error| {
            let reason = error.to_string();
            let field = wrong_field::<T>(config, &reason);
            let field = field.map_or(String::new(), |(name, value)| {
                format!(": {name} is {value}")
            });
            Flaw::Unsupported(format!("its config is wrong{field} ({reason})"))
        })?;
        Ok((config, settings))
    }

    /// Gives the width of the text's features.
    fn text_encoder(&self) -> Checked<usize> {
        let (config, settings) = self.config("text_encoder")?;
        text_encoder::check(config, &settings, &self.place("text_encoder"))
    }

    fn unet(&self, text: Option<usize>) -> Checked<UnetSummary> {
        let (config, settings) = self.config("unet")?;
        let summary = unet::check(config, &settings, &self.place("unet"))?;
        let context = summary.context;
        ensure(text.is_none_or(|text| text == context), || {
            let text = text.unwrap_or(0);
            format!("it is for texts of {context} features, and the text encoder gives {text}")
        })?;
        Ok(summary)
    }

    fn component(&self, component: &str, unet: Option<&UnetSummary>) -> Checked<()> {
        let place = self.place(component);
        match (component, unet) {
            ("scheduler", _) => {
                let (config, settings) = self.config(component)?;
                scheduler::check(config)?;
                let schedule = NoiseSchedule::new(&settings);
                schedule
                    .map_err(|error| Flaw::Unsupported(error.message))
                    .map(|_| ())
            }
            ("vae", _) => {
                let (config, settings) = self.config(component)?;
                vae::check(config, &settings, &place)
            }
            ("transparency_decoder", _) => transparency::check_decoder(&place),
            ("transparency_encoder", _) => transparency::check_encoder(&place),
            ("taesd_decoder", _) => taesd::check_decoder(&place),
            ("taesd_encoder", _) => taesd::check_encoder(&place),
            ("controlnet", Some(unet)) => {
                let (config, settings) = self.config(component)?;
                control_net::check(config, &settings, &place, unet)
            }
            (_, Some(unet)) => {
                let kind = component.strip_prefix("layers.");
                match kind.and_then(|kind| kind.parse::<AdapterKind>().ok()) {
                    Some(kind) => adapter::check(kind, &place, unet),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// The field of `config` because of which it is no `T`: without it, `reason` is none any more.
fn wrong_field<'a, T: DeserializeOwned>(
    config: &'a Value,
    reason: &str,
) -> Option<(&'a String, &'a Value)> {
    let mut fields = config.as_object()?.iter();
    fields.find(|(name, _)| {
        let mut without = config.clone();
        if let Some(fields) = without.as_object_mut() {
            fields.remove(*name);
        }
        T::deserialize(&without)
            .err()
            .is_none_or(|error| error.to_string() != reason)
    })
}
