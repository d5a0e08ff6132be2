//! What stands beside the factors: alpha and rank as PEFT's config and diffusers' metadata say them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::component::Component;

/// Ways to begin a training that change the model's own weights, which are not in the file.
const CHANGED_BASES: [&str; 5] = ["pissa", "olora", "corda", "loftq", "lora_ga"];

/// Fields that change what the factors stand for in ways that are not applied.
const UNKNOWN_USES: [&str; 4] = [
    "alora_invocation_tokens",
    "layer_replication",
    "use_qalora",
    "use_bdlora",
];

/// The configs of a LoRA's components. A LoRA without any has alpha in its tensors, or alpha equal
/// to the rank.
#[derive(Debug, Default)]
pub struct Configs {
    /// Of both components, where it does not say for which it is.
    common: Option<Config>,
    own: BTreeMap<Component, Config>,
}

impl Configs {
    /// From `adapter_config.json`.
    ///
    /// # Errors
    /// What of it cannot be honoured.
    pub fn from_adapter_config(json: &[u8]) -> Result<Self, String> {
        let fields = serde_json::from_slice::<Map<String, Value>>(json);
        let fields = fields.map_err(|error| format!("its config is not JSON ({error})"))?;
        Ok(Self {
            common: Some(Config::new(&fields)?),
            own: BTreeMap::new(),
        })
    }

    /// From a file's own metadata: diffusers' `lora_adapter_metadata`, or the same fields one by
    /// one. kohya's `ss_network_alpha` is a record of the training that no loader reads: where a
    /// file has no alphas, they equal the rank.
    ///
    /// # Errors
    /// What of it cannot be honoured.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Self, String> {
        let fields: Map<String, Value> = match metadata.get("lora_adapter_metadata") {
            Some(json) => serde_json::from_str(json)
                .map_err(|error| format!("its lora_adapter_metadata is not JSON ({error})"))?,
            None => metadata
                .iter()
                .map(|(name, text)| (name.clone(), read_text(text)))
                .collect(),
        };
        let mut configs = Self::default();
        let mut rest = fields;
        for component in [Component::Unet, Component::TextEncoder] {
            let start = format!("{}.", component.name());
            let own: Map<String, Value> = rest
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.strip_prefix(&start)?.into(), value.clone()))
                })
                .collect();
            rest.retain(|name, _| !name.starts_with(&start));
            if !own.is_empty() {
                configs.own.insert(component, Config::new(&own)?);
            }
        }
        if ["r", "lora_alpha"]
            .iter()
            .any(|field| rest.contains_key(*field))
        {
            configs.common = Some(Config::new(&rest)?);
        }
        Ok(configs)
    }

    /// The config of the layers of `component`.
    pub fn of(&self, component: Component) -> Option<&Config> {
        self.own.get(&component).or(self.common.as_ref())
    }
}

/// PEFT's config, as far as it changes what factors stand for.
#[derive(Debug)]
pub struct Config {
    rank: Option<f64>,
    alpha: Option<f64>,
    ranks: Vec<(String, f64)>,
    alphas: Vec<(String, f64)>,
    rank_stabilized: bool,
    /// Whether layers have DoRA's magnitudes.
    pub dora: bool,
}

impl Config {
    fn new(fields: &Map<String, Value>) -> Result<Self, String> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = text("peft_type");
        if !["", "LORA", "LOHA", "LOKR"].contains(&kind) {
            return Err(format!("its config says that it is {kind}"));
        }
        let initial = text("init_lora_weights").to_lowercase();
        if CHANGED_BASES.iter().any(|start| initial.starts_with(start)) {
            return Err(format!(
                "it belongs to weights that {initial} changed before training"
            ));
        }
        let is_set = |name: &&&str| {
            let value = fields.get(**name);
            value.is_some_and(|value| !value.is_null() && value != false)
        };
        if let Some(name) = UNKNOWN_USES.iter().find(is_set) {
            return Err(format!("its config sets {name}"));
        }
        // PEFT's LoHa and LoKr call it so.
        let alpha = number(fields, "lora_alpha")?;
        Ok(Self {
            rank: number(fields, "r")?,
            alpha: alpha.map_or_else(|| number(fields, "alpha"), |alpha| Ok(Some(alpha)))?,
            ranks: pattern(fields, "rank_pattern")?,
            alphas: pattern(fields, "alpha_pattern")?,
            rank_stabilized: fields.get("use_rslora") == Some(&Value::Bool(true)),
            dora: fields.get("use_dora") == Some(&Value::Bool(true)),
        })
    }

    /// What the update of the layer at `path` (with underscores) is multiplied by.
    ///
    /// # Errors
    /// If the factors do not have the rank that the config says.
    pub fn scale(&self, path: &str, factors: Option<usize>) -> Result<Option<f64>, String> {
        let said = find(&self.ranks, path).or(self.rank);
        let found = factors.map(|rank| rank as f64);
        if let (Some(said), Some(found)) = (said, found)
            && said != found
        {
            return Err(format!(
                "its config says rank {said}, its factors have {found}"
            ));
        }
        let alpha = find(&self.alphas, path).or(self.alpha);
        let rank = found.or(said);
        Ok(alpha
            .zip(rank)
            .map(|(alpha, rank)| alpha / self.divisor(rank)))
    }

    /// What alpha is divided by.
    pub fn divisor(&self, rank: f64) -> f64 {
        match self.rank_stabilized {
            true => rank.sqrt(),
            false => rank,
        }
    }
}

/// A value of the flat metadata, where everything is text.
fn read_text(text: &str) -> Value {
    let spelled = match text {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        _ => text,
    };
    serde_json::from_str(spelled).unwrap_or_else(|_| text.into())
}

fn as_number(value: &Value) -> Option<f64> {
    let text = || value.as_str()?.parse().ok();
    let number = value.as_f64().or_else(text);
    number.filter(|number: &f64| number.is_finite())
}

fn number(fields: &Map<String, Value>, name: &str) -> Result<Option<f64>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match as_number(value) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("its config says {name} = {value}")),
        },
    }
}

/// `rank_pattern` and `alpha_pattern`: numbers by what a layer's path ends with, as text or as a
/// simple regular expression.
fn pattern(fields: &Map<String, Value>, name: &str) -> Result<Vec<(String, f64)>, String> {
    let Some(Value::Object(entries)) = fields.get(name) else {
        return Ok(Vec::new());
    };
    let entry = |(key, value): (&String, &Value)| {
        let end = key.replace("\\.", ".");
        let plain = end.chars().all(|c| c.is_alphanumeric() || "._".contains(c));
        let number = as_number(value).filter(|_| plain);
        number.map(|number| (end.replace('.', "_"), number))
    };
    let read = |one| entry(one).ok_or_else(|| format!("its {name} has {:?}", one.0));
    entries.iter().map(read).collect()
}

/// The number for the layer at `path`.
fn find(pattern: &[(String, f64)], path: &str) -> Option<f64> {
    let ends = |end: &str| {
        let start = path.strip_suffix(end);
        start.is_some_and(|start| start.is_empty() || start.ends_with('_'))
    };
    let mut entries = pattern.iter();
    entries
        .find(|(end, _)| ends(end))
        .map(|(_, number)| *number)
}
