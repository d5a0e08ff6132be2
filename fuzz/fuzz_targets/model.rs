//! Models from strangers: the tiny model with anything changed. What passes the check at the door runs
//! in every mode and direction, whatever else comes of it.

#![no_main]

use std::collections::BTreeMap;

use burn::tensor::Device;
use glassine::image::Picture;
use glassine::internals::weights::StoredType;
use glassine::pipeline::{
    Control, Convention, Engine, HostTensor, Init, LoadOptions, Mode, NoProgress, Request,
    SamplerName, VaeKind,
};
use glassine::{Error, ErrorCode};
use glassine_fuzz::Folder;
use glassine_fuzz::tiny::Tiny;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

#[derive(Debug, Arbitrary)]
struct Input {
    native_transparency: bool,
    memory_limit: bool,
    run: Run,
    edits: Vec<Edit>,
}

/// What the model is asked for.
#[derive(Debug, Arbitrary)]
struct Run {
    mode: u8,
    width: u8,
    height: u8,
    steps: u8,
    sampler: u8,
    convention: u8,
    guidance: u8,
    strength: u8,
    clip_skip: u8,
    start: Start,
    control: bool,
    tiny_vae: bool,
    previews: bool,
}

#[derive(Debug, Arbitrary)]
enum Start {
    Noise,
    Picture,
    Latent,
    Mask,
}

/// Tensors are named by a number that is taken modulo how many there are.
#[derive(Debug, Arbitrary)]
enum Edit {
    /// One axis gets another size.
    Axis {
        tensor: u16,
        axis: u8,
        size: u8,
    },
    /// All axes of that size, in the whole component, get another.
    Width {
        tensor: u16,
        axis: u8,
        size: u8,
    },
    AddAxis {
        tensor: u16,
        size: u8,
    },
    RemoveAxis {
        tensor: u16,
    },
    /// A matrix becomes a convolution of one pixel, or the reverse.
    Pointwise {
        tensor: u16,
    },
    Remove {
        tensor: u16,
    },
    /// Everything below a part of a tensor's name goes.
    RemoveBelow {
        tensor: u16,
        depth: u8,
    },
    /// Everything below a number in a tensor's name is there once more, under another number.
    Repeat {
        tensor: u16,
        depth: u8,
        number: u8,
    },
    Store {
        tensor: u16,
        stored: u8,
        group: u8,
    },
    Config {
        component: u8,
        field: u8,
        value: Setting,
    },
    RemoveComponent {
        component: u8,
    },
}

#[derive(Debug, Arbitrary)]
enum Setting {
    Null,
    Flag(bool),
    Number(u8),
    Fraction(f32),
    Numbers(Vec<u8>),
    Word(u8),
}

/// What configs say and the check asks.
const FIELDS: [&str; 29] = [
    "attention_head_dim",
    "num_attention_heads",
    "norm_num_groups",
    "norm_eps",
    "sample_size",
    "time_cond_proj_dim",
    "in_channels",
    "out_channels",
    "cross_attention_dim",
    "mid_block_type",
    "down_block_types",
    "up_block_types",
    "block_out_channels",
    "layers_per_block",
    "transformer_layers_per_block",
    "hidden_act",
    "layer_norm_eps",
    "max_position_embeddings",
    "scaling_factor",
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "steps_offset",
    "timestep_spacing",
    "prediction_type",
    "rescale_betas_zero_snr",
    "clip_sample_range",
];

const WORDS: [&str; 14] = [
    "quick_gelu",
    "gelu",
    "UNetMidBlock2D",
    "UNetMidBlock2DCrossAttn",
    "DownBlock2D",
    "CrossAttnDownBlock2D",
    "linear",
    "scaled_linear",
    "squaredcos_cap_v2",
    "leading",
    "trailing",
    "v_prediction",
    "sample",
    "rgb",
];

/// Of parts of numbers.
const STORED: [StoredType; 5] = [
    StoredType::F32,
    StoredType::F16,
    StoredType::U8,
    StoredType::Q8,
    StoredType::Q4,
];

fuzz_target!(|input: Input| {
    let mut tiny = Tiny::default();
    for edit in &input.edits {
        apply(&mut tiny, edit);
    }
    if let Some(folder) = tiny.pack(input.native_transparency) {
        pollster::block_on(run(&folder, &input));
    }
});

fn apply(tiny: &mut Tiny, edit: &Edit) {
    let name = |tensor: &u16| {
        tiny.tensors
            .keys()
            .nth(usize::from(*tensor) % tiny.tensors.len().max(1))
            .cloned()
    };
    match edit {
        Edit::Config {
            component,
            field,
            value,
        } => {
            let index = usize::from(*component) % tiny.configs.len().max(1);
            if let Some(config) = tiny.configs.values_mut().nth(index) {
                config[FIELDS[usize::from(*field) % FIELDS.len()]] = value.to_json();
            }
        }
        Edit::RemoveComponent { component } => {
            let index = usize::from(*component) % tiny.configs.len().max(1);
            let name = tiny.configs.keys().nth(index).cloned();
            let _ = name.map(|name| tiny.configs.remove(&name));
        }
        Edit::Axis { tensor, axis, size } => {
            let Some(name) = name(tensor) else { return };
            let shape = &mut tiny.tensors.get_mut(&name).expect("a name").shape;
            let index = usize::from(*axis) % shape.len().max(1);
            if let Some(axis) = shape.get_mut(index) {
                *axis = usize::from(*size);
            }
        }
        Edit::Width { tensor, axis, size } => {
            let Some(name) = name(tensor) else { return };
            let shape = &tiny.tensors[&name].shape;
            let Some(old) = shape.get(usize::from(*axis) % shape.len().max(1)).copied() else {
                return;
            };
            let component = name.split('.').next().unwrap_or_default().to_string();
            let tensors = tiny
                .tensors
                .iter_mut()
                .filter(|(name, _)| name.starts_with(&component));
            let axes = tensors
                .flat_map(|(_, tensor)| &mut tensor.shape)
                .filter(|axis| **axis == old);
            axes.for_each(|axis| *axis = usize::from(*size));
        }
        Edit::AddAxis { tensor, size } => {
            let Some(name) = name(tensor) else { return };
            tiny.tensors
                .get_mut(&name)
                .expect("a name")
                .shape
                .push(usize::from(*size));
        }
        Edit::RemoveAxis { tensor } => {
            let Some(name) = name(tensor) else { return };
            tiny.tensors.get_mut(&name).expect("a name").shape.pop();
        }
        Edit::Pointwise { tensor } => {
            let Some(name) = name(tensor) else { return };
            let shape = &mut tiny.tensors.get_mut(&name).expect("a name").shape;
            match shape[..] {
                [outputs, inputs] => *shape = vec![outputs, inputs, 1, 1],
                [outputs, inputs, 1, 1] => *shape = vec![outputs, inputs],
                _ => {}
            }
        }
        Edit::Remove { tensor } => {
            let Some(name) = name(tensor) else { return };
            tiny.tensors.remove(&name);
        }
        Edit::RemoveBelow { tensor, depth } => {
            let Some(name) = name(tensor) else { return };
            let start = beginning(&name, usize::from(*depth));
            tiny.tensors.retain(|name, _| !name.starts_with(&start));
        }
        Edit::Repeat {
            tensor,
            depth,
            number,
        } => {
            let Some(name) = name(tensor) else { return };
            let start = beginning(&name, usize::from(*depth));
            let Some((place, _)) = start.trim_end_matches('.').rsplit_once('.') else {
                return;
            };
            let copies: BTreeMap<_, _> = tiny
                .tensors
                .range(start.clone()..)
                .take_while(|(name, _)| name.starts_with(&start))
                .map(|(name, tensor)| {
                    (
                        format!("{place}.{number}.{}", &name[start.len()..]),
                        tensor.clone(),
                    )
                })
                .collect();
            tiny.tensors.extend(copies);
        }
        Edit::Store {
            tensor,
            stored,
            group,
        } => {
            let Some(name) = name(tensor) else { return };
            let tensor = tiny.tensors.get_mut(&name).expect("a name");
            tensor.stored = STORED[usize::from(*stored) % STORED.len()];
            tensor.group = (*group > 0).then(|| usize::from(*group));
        }
    }
}

/// The first parts of a name, of which there are at least two, with the dot behind them.
fn beginning(name: &str, depth: usize) -> String {
    let parts: Vec<_> = name.split('.').collect();
    let count = 2 + depth % (parts.len().max(4) - 3);
    parts[..count.min(parts.len())].join(".") + "."
}

impl Setting {
    fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Flag(flag) => json!(flag),
            Self::Number(number) => json!(number),
            Self::Fraction(number) => json!(number),
            Self::Numbers(numbers) => json!(numbers),
            Self::Word(index) => json!(WORDS[usize::from(*index) % WORDS.len()]),
        }
    }
}

async fn run(folder: &Folder, input: &Input) {
    let mut options = LoadOptions::default();
    options.memory_limit = input.memory_limit.then_some(1);
    let Ok(mut engine) = Engine::open(folder, Device::flex(), options).await else {
        return;
    };
    let request = input.run.request(&engine);
    if let Err(error) = engine.generate(&request, &mut NoProgress).await {
        assert_allowed(&error);
    }
    let picture = picture(8, 16);
    match engine.encode(&picture, 1.0, &mut NoProgress).await {
        Ok(encoded) => assert_eq!(encoded.latent.shape, [1, 4, 2, 1]),
        Err(error) => assert_allowed(&error),
    }
}

/// A model that was opened may overflow, and lack parts; it may not turn out to be wrong.
fn assert_allowed(error: &Error) {
    let allowed = [
        ErrorCode::NonFinite,
        ErrorCode::BadOption,
        ErrorCode::BadImage,
        ErrorCode::UnsupportedMode,
    ];
    assert!(allowed.contains(&error.code), "{:?}: {error}", error.code);
}

impl Run {
    fn request<S: glassine::pack::PackSource>(&self, engine: &Engine<S>) -> Request {
        let pick = |index: u8, count: usize| usize::from(index) % count;
        let mode = Mode::ALL[pick(self.mode, Mode::ALL.len())];
        let multiple = match mode {
            Mode::Opaque => 8,
            _ => engine.size_multiple().min(64),
        };
        let [width, height] = [self.width, self.height].map(|side| multiple * (1 + pick(side, 3)));
        let mut request = Request::new("a (b:1.2) BREAK c");
        request.mode = Some(mode);
        (request.width, request.height) = (Some(width), Some(height));
        request.steps = Some(1 + pick(self.steps, 4));
        request.guidance = Some(f32::from(self.guidance) / 16.0);
        request.sampler = Some(SamplerName::ALL[pick(self.sampler, SamplerName::ALL.len())]);
        request.convention = (self.convention > 0)
            .then(|| Convention::ALL[pick(self.convention, Convention::ALL.len())]);
        request.clip_skip = (self.clip_skip > 0).then(|| usize::from(self.clip_skip % 4));
        request.controls =
            Vec::from_iter(self.control.then(|| Control::new(picture(width, height))));
        request.preview_every = self.previews.then_some(1);
        if self.tiny_vae {
            request.vae = VaeKind::Tiny;
        }
        match mode {
            Mode::ForegroundToBackground => request.foreground = Some(picture(width, height)),
            Mode::BackgroundToForeground => request.background = Some(picture(width, height)),
            _ => {}
        }
        let shape = [1, 4, height / 8, width / 8];
        let values = (0..shape.iter().product()).map(|index: usize| index as f32 / 16.0 - 1.0);
        request.init = match self.start {
            Start::Noise => None,
            Start::Picture | Start::Mask => Some(Init::Picture(picture(width, height))),
            Start::Latent => Some(Init::Latent(HostTensor::new(shape, values.collect()))),
        };
        if matches!(self.start, Start::Mask) {
            request.mask = Some(picture(width, height));
        }
        request.strength = request
            .init
            .as_ref()
            .map(|_| f64::from(self.strength) / 255.0);
        request
    }
}

fn picture(width: usize, height: usize) -> Picture {
    let rgba = (0..4 * width * height).map(|index| (index * 37 % 251) as u8);
    Picture {
        width,
        height,
        rgba: rgba.collect(),
    }
}
