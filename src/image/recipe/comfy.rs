//! A recipe from ComfyUI's graph, as far as it is one of the common kinds. What is not known is said, and
//! nothing is guessed.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::graph::{Graph, Node, origin};
use super::reading::{ReadRecipe, number, shown};
use super::samplers::from_comfy;

/// As many nodes as lie behind each other in no graph that is drawn.
const MAX_DEPTH: usize = 200;

/// What a picture goes through between the sampler and its file, without becoming another.
const PLAIN: [&str; 5] = [
    "VAEDecode",
    "VAEDecodeTiled",
    "SaveImage",
    "PreviewImage",
    "PrimitiveNode",
];

/// What a second pass enlarges, or where it begins.
const BETWEEN: [&str; 8] = [
    "LatentUpscale",
    "LatentUpscaleBy",
    "ImageScale",
    "ImageScaleBy",
    "VAEDecode",
    "VAEDecodeTiled",
    "VAEEncode",
    "VAEEncodeTiled",
];

/// Whether an object is a graph, as it is run or as it is drawn.
pub(super) fn is_graph(object: &Map<String, Value>) -> bool {
    let is_node = |value: &Value| value.get("class_type").is_some_and(Value::is_string);
    object.values().any(is_node) || object.get("nodes").is_some_and(Value::is_array)
}

/// What the graph says, as it was run or else as it was drawn.
pub(super) fn recipe(prompt: Option<&str>, workflow: Option<&str>) -> Option<ReadRecipe> {
    let run = prompt.and_then(Graph::of_prompt);
    let graph = run.or_else(|| workflow.and_then(Graph::of_workflow))?;
    let mut reader = Reader {
        graph: &graph,
        read: ReadRecipe::default(),
    };
    reader.read();
    let mut warnings = BTreeSet::new();
    let mut read = reader.read;
    read.warnings
        .retain(|warning| warnings.insert(warning.clone()));
    Some(read)
}

struct Reader<'a> {
    graph: &'a Graph,
    read: ReadRecipe,
}

impl<'a> Reader<'a> {
    fn warn(&mut self, warning: String) {
        self.read.warn(warning);
    }

    /// Of a node whose part in the picture is not known.
    fn warn_of(&mut self, node: &Node, what: &str) {
        self.warn(format!(
            "{what} a node {} that is not known",
            shown(&node.class)
        ));
    }

    fn read(&mut self) {
        // Files that are kept have the graph in them, and previews for the eye need not be of the same picture.
        let is_save = |number: &&str| {
            self.graph
                .node(number)
                .is_some_and(|node| node.class.contains("Save"))
        };
        let ends = self.graph.ends();
        let saves: Vec<&str> = ends.iter().copied().filter(is_save).collect();
        let mut samplers = BTreeSet::new();
        for end in if saves.is_empty() { ends } else { saves } {
            samplers.extend(self.samplers_before(end, &PLAIN));
        }
        let samplers: Vec<&str> = samplers.into_iter().collect();
        match samplers[..] {
            [] => self.warn("ComfyUI's graph has no sampler that is known".into()),
            [last] => self.read_passes(last),
            _ => self.warn(format!(
                "ComfyUI's graph has {} samplers for different pictures, and does not say which made this one",
                samplers.len()
            )),
        }
    }

    /// The samplers next before the node `from`. What else is on the way and is not `expected` is said.
    fn samplers_before(&mut self, from: &'a str, expected: &[&str]) -> BTreeSet<&'a str> {
        let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut open = vec![from];
        let mut others: Vec<&Node> = Vec::new();
        while let Some(number) = open.pop() {
            let Some(node) = self.graph.node(number).filter(|_| seen.insert(number)) else {
                continue;
            };
            if is_sampler(node) {
                found.insert(number);
                continue;
            }
            if !expected.contains(&node.class.as_str()) {
                others.push(node);
            }
            let inputs = node.inputs.iter().filter(|(name, _)| carries_picture(name));
            open.extend(inputs.filter_map(|(_, input)| origin(input)));
        }
        if !found.is_empty() {
            for node in others {
                self.warn_of(node, "behind the sampler the picture went through");
            }
        }
        found
    }

    /// The sampler `last`, and if it enlarges what another has made, both as the two passes that they are.
    fn read_passes(&mut self, last: &'a str) {
        let Some(second) = self.graph.node(last) else {
            return;
        };
        let before = second.origin("latent_image");
        let earlier = before.map(|before| self.samplers_before(before, &BETWEEN));
        let earlier: Vec<&str> = earlier.unwrap_or_default().into_iter().collect();
        let first = match earlier[..] {
            [first] => self.graph.node(first),
            _ => None,
        };
        let Some(first) = first else {
            return self.read_sampler(second);
        };
        let deeper = first.origin("latent_image");
        let deeper = deeper.map(|deeper| self.samplers_before(deeper, &BETWEEN));
        self.read_sampler(first);
        let scale = before.and_then(|before| self.scale(before));
        let strength = second
            .inputs
            .get("denoise")
            .filter(|strength| strength.is_number());
        let is_plain = [first, second]
            .iter()
            .all(|sampler| sampler.class == "KSampler");
        match (scale, strength) {
            (Some(scale), Some(strength)) if is_plain && deeper.is_none_or(|deeper| deeper.is_empty()) => {
                self.read.set("hires", json!({"scale": scale, "strength": strength}));
            }
            _ => self.warn(
                "ComfyUI's graph has several samplers behind each other; the first is read, and what the others do is not"
                    .into(),
            ),
        }
    }

    /// By how much the picture grows between node `number` and the sampler before it.
    fn scale(&mut self, number: &'a str) -> Option<Value> {
        let mut number = number;
        for _ in 0..MAX_DEPTH {
            let node = self.graph.node(number)?;
            match node.class.as_str() {
                "LatentUpscaleBy" | "ImageScaleBy" => {
                    return node
                        .inputs
                        .get("scale_by")
                        .filter(|scale| scale.is_number())
                        .cloned();
                }
                "LatentUpscale" | "ImageScale" => {
                    let side = |name: &str| {
                        Some((
                            node.inputs.get(name)?.as_u64()?,
                            self.read.recipe.get(name)?.as_u64()?,
                        ))
                    };
                    let ((width, from_width), (height, from_height)) =
                        (side("width")?, side("height")?);
                    let same = width.checked_mul(from_height)? == height.checked_mul(from_width)?;
                    let scale = number_of(width as f64 / from_width as f64)?;
                    return same.then_some(scale);
                }
                _ => {}
            }
            let mut inputs = node.inputs.iter().filter(|(name, _)| carries_picture(name));
            number = inputs.find_map(|(_, input)| origin(input))?;
        }
        None
    }

    fn read_sampler(&mut self, sampler: &'a Node) {
        let seed = if sampler.inputs.contains_key("seed") {
            "seed"
        } else {
            "noise_seed"
        };
        for (input, field) in [(seed, "seed"), ("steps", "steps"), ("cfg", "guidance")] {
            match self.value(sampler, input, Value::is_number) {
                Some(value) => self.read.set(field, value),
                None => self.warn(format!(
                    "ComfyUI's {input} comes from a node that is not known"
                )),
            }
        }
        self.read_name(sampler);
        for (input, field) in [("positive", "prompt"), ("negative", "negativePrompt")] {
            if let Some(text) = self.prompt(sampler, input).filter(|text| !text.is_empty()) {
                self.read.set(field, text);
            }
        }
        self.read_latent(sampler);
        self.read_model(sampler);
        let parts = ["start_at_step", "end_at_step"];
        let [start, end] = parts.map(|part| sampler.inputs.get(part).and_then(Value::as_u64));
        let steps = self.read.recipe.get("steps").and_then(Value::as_u64);
        if start.is_some_and(|start| start > 0)
            || end.zip(steps).is_some_and(|(end, steps)| end < steps)
        {
            self.warn("the sampler did only a part of its steps".into());
        }
    }

    fn read_name(&mut self, sampler: &'a Node) {
        let name = self.value(sampler, "sampler_name", Value::is_string);
        let schedule = self.value(sampler, "scheduler", Value::is_string);
        let (Some(Value::String(name)), Some(Value::String(schedule))) = (name, schedule) else {
            return self.warn("the sampler's name comes from a node that is not known".into());
        };
        match from_comfy(&name, &schedule) {
            Some(own) => self.read.set("sampler", own),
            None => {
                self.read.keep("sampler_name", &name);
                self.read.keep("scheduler", &schedule);
                self.warn(format!(
                    "there is no sampler {} with the schedule {} here",
                    shown(&name),
                    shown(&schedule)
                ));
            }
        }
    }

    /// The value of an input, which may stand in a node of its own.
    fn value(&self, node: &'a Node, input: &str, fits: fn(&Value) -> bool) -> Option<Value> {
        let mut value = node.inputs.get(input)?;
        for _ in 0..MAX_DEPTH {
            if fits(value) {
                return Some(value.clone());
            }
            let node = self.graph.node(origin(value)?)?;
            // A node that only holds a value has no other of that kind.
            let mut inputs = node
                .inputs
                .values()
                .filter(|value| fits(value) || origin(value).is_some());
            value = inputs.next()?;
            if inputs.next().is_some() {
                return None;
            }
        }
        None
    }

    /// The text behind a sampler's conditioning, and at which layer its encoder ends.
    fn prompt(&mut self, sampler: &'a Node, input: &str) -> Option<String> {
        let mut number = sampler.origin(input)?;
        for _ in 0..MAX_DEPTH {
            let node = self.graph.node(number)?;
            match node.class.as_str() {
                "CLIPTextEncode" => {
                    if input == "positive" {
                        self.read_clip(node);
                    }
                    let text = self.value(node, "text", Value::is_string);
                    if text.is_none() {
                        self.warn(format!(
                            "the {input} prompt comes from a node that is not known"
                        ));
                    }
                    return text?.as_str().map(Into::into);
                }
                "ControlNetApply" => {
                    self.warn("a ControlNet steered it".into());
                    number = node.origin("conditioning")?;
                }
                "ControlNetApplyAdvanced" => {
                    self.warn("a ControlNet steered it".into());
                    number = node.origin(input)?;
                }
                "ConditioningZeroOut" => return None,
                _ => {
                    self.warn_of(node, &format!("the {input} prompt goes through"));
                    return None;
                }
            }
        }
        None
    }

    fn read_clip(&mut self, encode: &'a Node) {
        let mut layer = None;
        let mut number = encode.origin("clip");
        for _ in 0..MAX_DEPTH {
            let Some(node) = number.and_then(|number| self.graph.node(number)) else {
                return;
            };
            match node.class.as_str() {
                // -1 is the last one. The node that is nearest counts.
                "CLIPSetLastLayer" => {
                    let own = node
                        .inputs
                        .get("stop_at_clip_layer")
                        .and_then(Value::as_i64);
                    layer = layer.or(own.and_then(i64::checked_neg));
                }
                "CheckpointLoaderSimple" | "CheckpointLoader" => {
                    let layer = layer.unwrap_or(1);
                    if layer > 0 {
                        self.read.set("clipSkip", layer);
                    }
                    return;
                }
                _ => {}
            }
            number = node.origin("clip");
        }
    }

    /// What the sampler began with.
    fn read_latent(&mut self, sampler: &'a Node) {
        let latent = sampler
            .origin("latent_image")
            .and_then(|number| self.graph.node(number));
        let Some(latent) = latent else {
            return self.warn("what the sampler began with is not known".into());
        };
        match latent.class.as_str() {
            "EmptyLatentImage" => {
                for side in ["width", "height"] {
                    if let Some(value) = self.value(latent, side, Value::is_u64) {
                        self.read.set(side, value);
                    }
                }
                let batch = latent.inputs.get("batch_size").and_then(Value::as_u64);
                if batch.is_some_and(|batch| batch > 1) {
                    self.warn(
                        "it is one of a batch, of which only the first is made by the seed alone"
                            .into(),
                    );
                }
                return;
            }
            "VAEEncode" | "VAEEncodeTiled" => {
                self.warn("it began with a picture, which is not in the recipe".into())
            }
            "VAEEncodeForInpaint" | "SetLatentNoiseMask" | "InpaintModelConditioning" => {
                self.warn("it repainted a picture, which is not in the recipe".into());
            }
            _ => self.warn_of(latent, "it began with"),
        }
        let strength = sampler
            .inputs
            .get("denoise")
            .filter(|strength| strength.is_number());
        if let Some(strength) = strength.filter(|strength| strength.as_f64() != Some(1.0)) {
            self.read.set("strength", strength.clone());
        }
    }

    /// The LoRAs, in their order, and the checkpoint.
    fn read_model(&mut self, sampler: &'a Node) {
        let mut loras = Vec::new();
        let mut number = sampler.origin("model");
        for _ in 0..MAX_DEPTH {
            let Some(node) = number.and_then(|number| self.graph.node(number)) else {
                break;
            };
            let text = |name: &str| node.inputs.get(name).and_then(Value::as_str);
            match node.class.as_str() {
                "LoraLoader" | "LoraLoaderModelOnly" => loras.extend(lora(node)),
                class if class.starts_with("CheckpointLoader") => {
                    if let Some(name) = text("ckpt_name") {
                        self.read.keep("Model", stem(name));
                    }
                }
                "VAELoader" => {}
                _ => self.warn_of(node, "the model goes through"),
            }
            number = node.origin("model");
        }
        loras.reverse();
        if !loras.is_empty() {
            self.read.set("loras", loras);
        }
    }
}

fn is_sampler(node: &Node) -> bool {
    node.class.starts_with("KSampler") && node.inputs.contains_key("latent_image")
}

/// Whether pictures or latents come through an input of that name.
fn carries_picture(name: &str) -> bool {
    [
        "image",
        "images",
        "samples",
        "pixels",
        "latent",
        "latent_image",
    ]
    .contains(&name)
}

/// A LoRA of a node, whose text encoder's strength is 0 where the node leaves it as it is.
fn lora(node: &Node) -> Option<Value> {
    let name = stem(node.inputs.get("lora_name")?.as_str()?);
    let strength = node
        .inputs
        .get("strength_model")
        .filter(|strength| strength.is_number())?;
    let zero = Value::from(0);
    let text = node
        .inputs
        .get("strength_clip")
        .filter(|strength| strength.is_number());
    let text = text.unwrap_or(&zero);
    let mut lora = json!({"name": name, "strength": strength});
    if text.as_f64() != strength.as_f64() {
        lora["textEncoderStrength"] = text.clone();
    }
    Some(lora)
}

/// A file's name without its folder and its ending.
fn stem(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn number_of(value: f64) -> Option<Value> {
    number(&value.to_string()).map(Value::from)
}
