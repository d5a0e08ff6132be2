//! ComfyUI's graphs: as it runs them (`prompt`), or as they are drawn (`workflow`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The most nodes of a graph that is read.
const MAX_NODES: usize = 5000;

/// A graph of nodes by their numbers.
#[derive(Debug, Default)]
pub(super) struct Graph(BTreeMap<String, Node>);

/// A node: its class, and what each of its inputs is, a value or `[node, output]`.
#[derive(Debug)]
pub(super) struct Node {
    pub class: String,
    pub inputs: Map<String, Value>,
}

impl Node {
    /// The number of the node that input `name` comes from.
    pub fn origin(&self, name: &str) -> Option<&str> {
        origin(self.inputs.get(name)?)
    }
}

/// The number of the node in `[node, output]`.
pub(super) fn origin(input: &Value) -> Option<&str> {
    match input.as_array()?.as_slice() {
        [node, output] if output.is_u64() => node.as_str(),
        _ => None,
    }
}

impl Graph {
    /// A graph as it is run: `{"3": {"class_type": "KSampler", "inputs": {...}}}`.
    pub fn of_prompt(json: &str) -> Option<Self> {
        let Value::Object(nodes) = parse(json)? else {
            return None;
        };
        let nodes = nodes.into_iter().filter_map(|(number, mut node)| {
            let class = node.get("class_type")?.as_str()?.to_string();
            let inputs = match node.get_mut("inputs").map(Value::take) {
                Some(Value::Object(inputs)) => inputs,
                _ => Map::new(),
            };
            Some((number, Node { class, inputs }))
        });
        Self::of(nodes.take(MAX_NODES).collect())
    }

    /// A graph as it is drawn: lists of nodes and of links.
    pub fn of_workflow(json: &str) -> Option<Self> {
        let workflow = parse(json)?;
        let drawn = Drawing::of(&workflow)?;
        let nodes = drawn.nodes.iter().map(|(number, node)| {
            let class = node.get("type").and_then(Value::as_str).unwrap_or_default();
            let mut inputs = widgets(class, node.get("widgets_values"));
            for input in list(node, "inputs") {
                let name = input.get("name").and_then(Value::as_str);
                if let (Some(name), Some(link)) = (name, input.get("link").and_then(Value::as_u64))
                    && let Some((origin, output)) = drawn.origin(link)
                {
                    inputs.insert(name.into(), json!([origin.to_string(), output]));
                }
            }
            let class = class.to_string();
            (number.to_string(), Node { class, inputs })
        });
        Self::of(nodes.collect())
    }

    fn of(nodes: BTreeMap<String, Node>) -> Option<Self> {
        (!nodes.is_empty()).then_some(Self(nodes))
    }

    pub fn node(&self, number: &str) -> Option<&Node> {
        self.0.get(number)
    }

    /// The numbers of the nodes of which no other makes anything.
    pub fn ends(&self) -> Vec<&str> {
        let inputs = self.0.values().flat_map(|node| node.inputs.values());
        let used: std::collections::BTreeSet<&str> = inputs.filter_map(origin).collect();
        let numbers = self.0.keys().map(String::as_str);
        numbers.filter(|number| !used.contains(number)).collect()
    }
}

/// A graph as it is drawn.
struct Drawing<'a> {
    nodes: BTreeMap<u64, &'a Value>,
    /// From which node's output each link comes.
    links: BTreeMap<u64, (u64, u64)>,
}

impl<'a> Drawing<'a> {
    fn of(workflow: &'a Value) -> Option<Self> {
        let nodes = list(workflow, "nodes").take(MAX_NODES);
        let nodes = nodes.filter_map(|node| Some((node.get("id")?.as_u64()?, node)));
        let links = list(workflow, "links").filter_map(|link| {
            // `[number, from, output, to, input, type]`, or an object in newer versions.
            let field = |place: usize, name: &str| {
                let value = link.get(place).or_else(|| link.get(name));
                value.and_then(Value::as_u64)
            };
            let from = (field(1, "origin_id")?, field(2, "origin_slot")?);
            Some((field(0, "id")?, from))
        });
        let drawing = Self {
            nodes: nodes.collect(),
            links: links.collect(),
        };
        (!drawing.nodes.is_empty()).then_some(drawing)
    }

    /// The node and the output that a link comes from, behind bends and nodes that are passed by.
    fn origin(&self, mut link: u64) -> Option<(u64, u64)> {
        /// As many as nobody draws in a row.
        const MAX_BENDS: usize = 100;
        /// The mode of a node that hands on what it is given.
        const BYPASSED: u64 = 4;
        for _ in 0..MAX_BENDS {
            let (number, output) = *self.links.get(&link)?;
            let node = self.nodes.get(&number)?;
            let is_bend = node.get("type").is_some_and(|class| class == "Reroute");
            let bypassed = node.get("mode").and_then(Value::as_u64) == Some(BYPASSED);
            if !is_bend && !bypassed {
                return Some((number, output));
            }
            let outputs = node.get("outputs").and_then(Value::as_array);
            let kind = outputs.and_then(|outputs| outputs.get(output as usize)?.get("type"));
            let mut inputs = list(node, "inputs");
            let input = inputs.find(|input| is_bend || input.get("type") == kind)?;
            link = input.get("link")?.as_u64()?;
        }
        None
    }
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.get(name).and_then(Value::as_array);
    list.into_iter().flatten()
}

/// What the values of a node's widgets are called, in order; `_` for those that are of the page's.
fn widget_names(class: &str) -> &'static [&'static str] {
    match class {
        "KSampler" => &[
            "seed",
            "_",
            "steps",
            "cfg",
            "sampler_name",
            "scheduler",
            "denoise",
        ],
        "KSamplerAdvanced" => &[
            "add_noise",
            "noise_seed",
            "_",
            "steps",
            "cfg",
            "sampler_name",
            "scheduler",
            "start_at_step",
            "end_at_step",
            "return_with_leftover_noise",
        ],
        "CLIPTextEncode" => &["text"],
        "EmptyLatentImage" => &["width", "height", "batch_size"],
        "CheckpointLoaderSimple" => &["ckpt_name"],
        "CheckpointLoader" => &["config_name", "ckpt_name"],
        "VAELoader" => &["vae_name"],
        "LoraLoader" => &["lora_name", "strength_model", "strength_clip"],
        "LoraLoaderModelOnly" => &["lora_name", "strength_model"],
        "CLIPSetLastLayer" => &["stop_at_clip_layer"],
        "LatentUpscale" => &["upscale_method", "width", "height", "crop"],
        "LatentUpscaleBy" => &["upscale_method", "scale_by"],
        "ImageScale" => &["upscale_method", "width", "height", "crop"],
        "ImageScaleBy" => &["upscale_method", "scale_by"],
        // Others have one value, if any that matters.
        _ => &["value"],
    }
}

fn widgets(class: &str, values: Option<&Value>) -> Map<String, Value> {
    match values {
        Some(Value::Object(values)) => values.clone(),
        Some(Value::Array(values)) => {
            let names = widget_names(class).iter().zip(values);
            let names = names.filter(|(name, _)| **name != "_");
            let named = names.map(|(name, value)| (name.to_string(), value.clone()));
            named.collect()
        }
        _ => Map::new(),
    }
}

/// JSON as Python writes it, which has numbers that are none.
fn parse(json: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(json) {
        return Some(value);
    }
    let mut plain = String::with_capacity(json.len());
    let mut rest = json;
    // Between the quotes texts stay.
    while let Some(quote) = rest.find('"') {
        let text = quoted_length(&rest[quote..])?;
        plain += &with_null(&rest[..quote]);
        plain += &rest[quote..quote + text];
        rest = &rest[quote + text..];
    }
    plain += &with_null(rest);
    serde_json::from_str(&plain).ok()
}

/// JSON without texts in it, with `null` in the place of what is no number.
fn with_null(json: &str) -> String {
    const NONE: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    let json = json.to_string();
    NONE.iter()
        .fold(json, |json, none| json.replace(none, "null"))
}

/// The length of the text in quotes that `json` begins with.
fn quoted_length(json: &str) -> Option<usize> {
    let mut escaped = false;
    let end = json.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    Some(end? + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_pythons_is_read() {
        let read = parse(r#"{"a": [NaN, -Infinity], "NaN \" NaN": Infinity}"#);
        assert_eq!(read, Some(json!({"a": [null, null], "NaN \" NaN": null})));
        assert_eq!(parse("{\"a"), None);
        assert_eq!(parse(&"[".repeat(100_000)), None);
    }
}
