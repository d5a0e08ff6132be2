//! A model of every network there is, as small as they can be, and files of it.

use std::collections::BTreeMap;
use std::path::Path;

use glassine::internals::weights::{Dtype, StoredType, write_safetensors};
use glassine::pack::MANIFEST_FILE;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Folder;

/// A tensor: its type, the group of a quantized one, and its axes in PyTorch's order.
#[derive(Debug, Clone)]
pub struct Tensor {
    pub stored: StoredType,
    pub group: Option<usize>,
    pub shape: Vec<usize>,
}

/// Configs by component, and tensors by name with the component in front.
#[derive(Debug, Clone)]
pub struct Tiny {
    pub configs: BTreeMap<String, Value>,
    pub tensors: BTreeMap<String, Tensor>,
}

/// A pack is given up beyond this, for speed.
const MAX_VALUES: usize = 1 << 19;

const MERGES: &[u8] = b"#version: 0.2\na n\nan d</w>\n";
/// Bytes at the end of words and within them, the merges, start and end.
const VOCABULARY: usize = 512 + 2 + 2;
const WIDTH: usize = 4;
/// Channels of transparency decoders are in groups of 4, and their heads have 8.
const DECODER_WIDTH: usize = 8;
const LATENT: usize = 4;

impl Default for Tiny {
    fn default() -> Self {
        let mut tiny = Self {
            configs: BTreeMap::new(),
            tensors: BTreeMap::new(),
        };
        let networks: [(&str, Value, fn(&mut Self)); 12] = [
            ("tokenizer", json!({ "kind": "clip" }), Self::tokenizer),
            ("scheduler", json!({}), |_| ()),
            (
                "text_encoder",
                json!({
                    "num_attention_heads": 2,
                    "hidden_act": "quick_gelu",
                    "layer_norm_eps": 1e-5,
                    "max_position_embeddings": 8
                }),
                Self::text_encoder,
            ),
            (
                "unet",
                json!({ "attention_head_dim": 2, "norm_num_groups": 2, "sample_size": 2 }),
                Self::unet,
            ),
            (
                "vae",
                json!({ "norm_num_groups": 2, "scaling_factor": 0.18215 }),
                Self::vae,
            ),
            (
                "controlnet",
                json!({ "attention_head_dim": 2, "norm_num_groups": 2 }),
                Self::control_net,
            ),
            ("layers.attn", json!({}), Self::folded),
            ("layers.joint", json!({}), |tiny| {
                tiny.shared("layers.joint", 3)
            }),
            ("layers.fg2bg", json!({}), Self::conditional),
            (
                "transparency_decoder",
                json!({}),
                Self::transparency_decoder,
            ),
            (
                "transparency_encoder",
                json!({}),
                Self::transparency_encoder,
            ),
            ("taesd_decoder", json!({}), Self::tiny_autoencoder),
        ];
        for (name, config, add) in networks {
            tiny.configs.insert(name.into(), config);
            add(&mut tiny);
        }
        tiny.configs.insert("taesd_encoder".into(), json!({}));
        tiny
    }
}

/// Every attention of the UNet: where it is, and the width of what it attends to.
fn attentions() -> impl Iterator<Item = (String, usize)> {
    let transformers = [
        "down_blocks.0.attentions.0",
        "mid_block.attentions.0",
        "up_blocks.1.attentions.0",
        "up_blocks.1.attentions.1",
    ];
    transformers.into_iter().flat_map(|transformer| {
        ["attn1", "attn2"].map(|attention| {
            (
                format!("{transformer}.transformer_blocks.0.{attention}"),
                WIDTH,
            )
        })
    })
}

impl Tiny {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        let tensor = Tensor {
            stored: StoredType::F16,
            group: None,
            shape: shape.to_vec(),
        };
        self.tensors.insert(name.into(), tensor);
    }

    fn layer(&mut self, name: &str, weight: &[usize]) {
        self.add(format!("{name}.weight"), weight);
        self.add(format!("{name}.bias"), &weight[..1]);
    }

    fn conv(&mut self, name: &str, outputs: usize, inputs: usize, kernel: usize) {
        self.layer(name, &[outputs, inputs, kernel, kernel]);
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.layer(name, &[outputs, inputs]);
    }

    fn norm(&mut self, name: &str, channels: usize) {
        self.layer(name, &[channels]);
    }

    fn resnet(&mut self, name: &str, inputs: usize, outputs: usize, time: Option<usize>) {
        self.norm(&format!("{name}.norm1"), inputs);
        self.conv(&format!("{name}.conv1"), outputs, inputs, 3);
        self.norm(&format!("{name}.norm2"), outputs);
        self.conv(&format!("{name}.conv2"), outputs, outputs, 3);
        if let Some(time) = time {
            self.linear(&format!("{name}.time_emb_proj"), outputs, time);
        }
        if inputs != outputs {
            self.conv(&format!("{name}.conv_shortcut"), outputs, inputs, 1);
        }
    }

    fn attention_block(&mut self, name: &str, channels: usize) {
        self.norm(&format!("{name}.group_norm"), channels);
        for projection in ["to_q", "to_k", "to_v", "to_out.0"] {
            self.linear(&format!("{name}.{projection}"), channels, channels);
        }
    }

    fn tokenizer(&mut self) {
        self.add("tokenizer.merges", &[MERGES.len()]);
        let merges = self.tensors.get_mut("tokenizer.merges");
        merges.expect("just added").stored = StoredType::U8;
    }

    fn text_encoder(&mut self) {
        let model = "text_encoder.text_model";
        let embeddings = format!("{model}.embeddings");
        self.add(
            format!("{embeddings}.token_embedding.weight"),
            &[VOCABULARY, WIDTH],
        );
        self.add(
            format!("{embeddings}.position_embedding.weight"),
            &[8, WIDTH],
        );
        for layer in 0..2 {
            let layer = format!("{model}.encoder.layers.{layer}");
            for projection in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                self.linear(&format!("{layer}.self_attn.{projection}"), WIDTH, WIDTH);
            }
            self.norm(&format!("{layer}.layer_norm1"), WIDTH);
            self.norm(&format!("{layer}.layer_norm2"), WIDTH);
            self.linear(&format!("{layer}.mlp.fc1"), 2 * WIDTH, WIDTH);
            self.linear(&format!("{layer}.mlp.fc2"), WIDTH, 2 * WIDTH);
        }
        self.norm(&format!("{model}.final_layer_norm"), WIDTH);
    }

    fn transformer(&mut self, name: &str) {
        self.norm(&format!("{name}.norm"), WIDTH);
        self.conv(&format!("{name}.proj_in"), WIDTH, WIDTH, 1);
        self.conv(&format!("{name}.proj_out"), WIDTH, WIDTH, 1);
        let block = format!("{name}.transformer_blocks.0");
        for norm in 1..=3 {
            self.norm(&format!("{block}.norm{norm}"), WIDTH);
        }
        for attention in ["attn1", "attn2"] {
            let attention = format!("{block}.{attention}");
            for projection in ["to_q", "to_k", "to_v"] {
                self.add(format!("{attention}.{projection}.weight"), &[WIDTH, WIDTH]);
            }
            self.linear(&format!("{attention}.to_out.0"), WIDTH, WIDTH);
        }
        self.linear(&format!("{block}.ff.net.0.proj"), 8 * WIDTH, WIDTH);
        self.linear(&format!("{block}.ff.net.2"), WIDTH, 4 * WIDTH);
    }

    /// Two levels of one layer, with attentions at the first and in the middle.
    fn way_down(&mut self, name: &str) {
        self.conv(&format!("{name}.conv_in"), WIDTH, LATENT, 3);
        self.linear(&format!("{name}.time_embedding.linear_1"), WIDTH, WIDTH);
        self.linear(&format!("{name}.time_embedding.linear_2"), WIDTH, WIDTH);
        for level in ["down_blocks.0", "down_blocks.1", "mid_block"] {
            self.resnet(
                &format!("{name}.{level}.resnets.0"),
                WIDTH,
                WIDTH,
                Some(WIDTH),
            );
        }
        self.resnet(
            &format!("{name}.mid_block.resnets.1"),
            WIDTH,
            WIDTH,
            Some(WIDTH),
        );
        self.conv(
            &format!("{name}.down_blocks.0.downsamplers.0.conv"),
            WIDTH,
            WIDTH,
            3,
        );
        self.transformer(&format!("{name}.down_blocks.0.attentions.0"));
        self.transformer(&format!("{name}.mid_block.attentions.0"));
    }

    fn unet(&mut self) {
        self.way_down("unet");
        for level in 0..2 {
            let level = format!("unet.up_blocks.{level}");
            for layer in 0..2 {
                let resnet = format!("{level}.resnets.{layer}");
                self.resnet(&resnet, 2 * WIDTH, WIDTH, Some(WIDTH));
            }
        }
        self.conv("unet.up_blocks.0.upsamplers.0.conv", WIDTH, WIDTH, 3);
        self.transformer("unet.up_blocks.1.attentions.0");
        self.transformer("unet.up_blocks.1.attentions.1");
        self.norm("unet.conv_norm_out", WIDTH);
        self.conv("unet.conv_out", LATENT, WIDTH, 3);
    }

    fn control_net(&mut self) {
        self.way_down("controlnet");
        let hint = "controlnet.controlnet_cond_embedding";
        self.conv(&format!("{hint}.conv_in"), 2, 3, 3);
        for block in 0..6 {
            self.conv(&format!("{hint}.blocks.{block}"), 2, 2, 3);
        }
        self.conv(&format!("{hint}.conv_out"), WIDTH, 2, 3);
        for skip in 0..4 {
            self.conv(
                &format!("controlnet.controlnet_down_blocks.{skip}"),
                WIDTH,
                WIDTH,
                1,
            );
        }
        self.conv("controlnet.controlnet_mid_block", WIDTH, WIDTH, 1);
    }

    fn vae(&mut self) {
        self.conv("vae.quant_conv", 2 * LATENT, 2 * LATENT, 1);
        self.conv("vae.post_quant_conv", LATENT, LATENT, 1);
        let sides = [
            ("encoder", 3, 2 * LATENT, "down_blocks", "downsamplers"),
            ("decoder", LATENT, 3, "up_blocks", "upsamplers"),
        ];
        for (side, inputs, outputs, blocks, resampler) in sides {
            let side = format!("vae.{side}");
            self.conv(&format!("{side}.conv_in"), 2, inputs, 3);
            self.norm(&format!("{side}.conv_norm_out"), 2);
            self.conv(&format!("{side}.conv_out"), outputs, 2, 3);
            self.resnet(&format!("{side}.mid_block.resnets.0"), 2, 2, None);
            self.resnet(&format!("{side}.mid_block.resnets.1"), 2, 2, None);
            self.attention_block(&format!("{side}.mid_block.attentions.0"), 2);
            for level in 0..4 {
                let level_name = format!("{side}.{blocks}.{level}");
                self.resnet(&format!("{level_name}.resnets.0"), 2, 2, None);
                if level < 3 {
                    self.conv(&format!("{level_name}.{resampler}.0.conv"), 2, 2, 3);
                }
            }
        }
    }

    fn folded(&mut self) {
        for (path, source) in attentions() {
            let unit = format!("layers.attn.{path}");
            for (projection, inputs) in [
                ("to_q", WIDTH),
                ("to_k", source),
                ("to_v", source),
                ("to_out.0", WIDTH),
            ] {
                self.add(format!("{unit}.{projection}.weight"), &[WIDTH, inputs]);
            }
            self.linear(&format!("{unit}.temporal"), WIDTH, WIDTH);
        }
    }

    fn shared(&mut self, adapter: &str, frames: usize) {
        for (path, source) in attentions() {
            let unit = format!("{adapter}.{path}");
            for (projection, inputs) in [
                ("to_q", WIDTH),
                ("to_k", source),
                ("to_v", source),
                ("to_out", WIDTH),
            ] {
                for frame in 0..frames {
                    let factor = format!("{unit}.{projection}_lora.{frame}");
                    self.add(format!("{factor}.down.weight"), &[1, inputs]);
                    self.add(format!("{factor}.up.weight"), &[WIDTH, 1]);
                }
            }
            self.norm(&format!("{unit}.temporal_n"), WIDTH);
            for layer in ["i", "q", "k", "v", "o"] {
                self.linear(&format!("{unit}.temporal_{layer}"), WIDTH, WIDTH);
            }
        }
    }

    fn conditional(&mut self) {
        let adapter = "layers.fg2bg";
        self.shared(adapter, 2);
        let mut inputs = 3;
        for (group, convolutions) in [8, 2].into_iter().enumerate() {
            for convolution in 0..convolutions {
                let name = format!(
                    "{adapter}.kwargs_encoder.blocks_{group}.{}",
                    2 * convolution
                );
                self.conv(&name, 2, inputs, 3);
                inputs = 2;
            }
        }
        for (path, _) in attentions() {
            for frame in 0..2 {
                let branch = format!("{adapter}.{path}.control_convs.{frame}");
                self.conv(&format!("{branch}.0"), 2, 2, 3);
                self.conv(&format!("{branch}.2"), WIDTH, 2, 1);
            }
        }
    }

    fn transparency_decoder(&mut self) {
        let (name, width) = ("transparency_decoder", DECODER_WIDTH);
        self.conv(&format!("{name}.conv_in"), width, 3, 3);
        self.conv(&format!("{name}.latent_conv_in"), width, LATENT, 1);
        for level in 0..4 {
            self.resnet(
                &format!("{name}.down_blocks.{level}.resnets.0"),
                width,
                width,
                None,
            );
            for layer in 0..2 {
                let resnet = format!("{name}.up_blocks.{level}.resnets.{layer}");
                self.resnet(&resnet, 2 * width, width, None);
            }
            if level < 3 {
                let (down, up) = ("downsamplers.0.conv", "upsamplers.0.conv");
                self.conv(
                    &format!("{name}.down_blocks.{level}.{down}"),
                    width,
                    width,
                    3,
                );
                self.conv(&format!("{name}.up_blocks.{level}.{up}"), width, width, 3);
            }
        }
        self.resnet(&format!("{name}.mid_block.resnets.0"), width, width, None);
        self.resnet(&format!("{name}.mid_block.resnets.1"), width, width, None);
        self.attention_block(&format!("{name}.mid_block.attentions.0"), width);
        self.attention_block(&format!("{name}.up_blocks.0.attentions.1"), width);
        self.norm(&format!("{name}.conv_norm_out"), width);
        self.conv(&format!("{name}.conv_out"), 4, width, 3);
    }

    fn transparency_encoder(&mut self) {
        let mut inputs = 4;
        for block in (0..=16).step_by(2) {
            let outputs = if block < 16 { 2 } else { LATENT };
            self.conv(
                &format!("transparency_encoder.blocks.{block}"),
                outputs,
                inputs,
                3,
            );
            inputs = outputs;
        }
    }

    /// Both halves of TAESD.
    fn tiny_autoencoder(&mut self) {
        self.conv("taesd_decoder.1", 2, LATENT, 3);
        self.conv("taesd_decoder.19", 3, 2, 3);
        self.conv("taesd_encoder.0", 2, 3, 3);
        self.conv("taesd_encoder.14", LATENT, 2, 3);
        let decoder = [3, 4, 5, 8, 9, 10, 13, 14, 15, 18].map(|block| ("taesd_decoder", block));
        let encoder = [1, 3, 4, 5, 7, 8, 9, 11, 12, 13].map(|block| ("taesd_encoder", block));
        for (half, block) in decoder.into_iter().chain(encoder) {
            for conv in [0, 2, 4] {
                self.conv(&format!("{half}.{block}.conv.{conv}"), 2, 2, 3);
            }
        }
        for resampler in ["taesd_decoder.7", "taesd_decoder.12", "taesd_decoder.17"]
            .into_iter()
            .chain(["taesd_encoder.2", "taesd_encoder.6", "taesd_encoder.10"])
        {
            self.add(format!("{resampler}.weight"), &[2, 2, 3, 3]);
        }
    }
}

impl Tiny {
    /// The model as a pack of one shard; `None` if it is too large to be tried.
    pub fn pack(&self, native_transparency: bool) -> Option<Folder> {
        let mut total = 0usize;
        for tensor in self.tensors.values() {
            let mut sizes = tensor.shape.iter();
            let values = sizes.try_fold(1usize, |product, size| product.checked_mul(*size))?;
            total = total
                .checked_add(values)
                .filter(|total| *total <= MAX_VALUES)?;
        }
        let mut entries = serde_json::Map::new();
        let mut stored = Vec::new();
        for (name, tensor) in &self.tensors {
            let shape = tensor.channels_last();
            let mut entry = json!({ "type": tensor.stored, "shape": shape, "shards": [0] });
            if let Some(group) = tensor.group {
                entry["group"] = group.into();
            }
            entries.insert(name.clone(), entry);
            tensor.store(name, &shape, &mut stored);
        }
        let shard = write_safetensors(&stored);
        let sha256: String = Sha256::digest(&shard)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let file = "shard-00001.safetensors";
        let manifest = json!({
            "glassine": 2,
            "name": "tiny",
            "precision": "f16",
            "native_transparency": native_transparency,
            "defaults": {
                "width": 8, "height": 8, "steps": 1, "guidance": 2.0, "sampler": "euler", "decode_passes": 1
            },
            "components": self.configs,
            "preview": [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.5, 0.5, 0.5]],
            "shards": [{ "file": file, "bytes": shard.len(), "sha256": sha256 }],
            "tensors": entries,
        });
        let manifest = manifest.to_string().into_bytes();
        Some(Folder(
            [(file.into(), shard), (MANIFEST_FILE.into(), manifest)].into(),
        ))
    }
}

impl Tiny {
    /// The folder of [`Tiny::checkpoint`].
    pub const CHECKPOINT: &str = "tiny";

    /// UNet, text encoder and VAE as a checkpoint in diffusers' layout, in folder
    /// [`Tiny::CHECKPOINT`].
    pub fn checkpoint(&self) -> Folder {
        let mut folder = Folder::default();
        let top = Path::new(Self::CHECKPOINT);
        for (component, file) in [
            ("text_encoder", "model.safetensors"),
            ("unet", "diffusion_pytorch_model.safetensors"),
            ("vae", "diffusion_pytorch_model.safetensors"),
        ] {
            let Some(config) = self.configs.get(component) else {
                continue;
            };
            let mut stored = Vec::new();
            for (name, tensor) in &self.tensors {
                if let Some((_, own)) = name
                    .split_once('.')
                    .filter(|(start, _)| *start == component)
                {
                    tensor.store(own, &tensor.shape, &mut stored);
                }
            }
            let path = top.join(component);
            folder
                .0
                .insert(path.join("config.json"), config.to_string().into_bytes());
            folder.0.insert(path.join(file), write_safetensors(&stored));
        }
        let tokenizer = top.join("tokenizer");
        let ids: BTreeMap<_, _> = vocabulary().into_iter().zip(0..).collect();
        folder.0.insert(
            tokenizer.join("vocab.json"),
            json!(ids).to_string().into_bytes(),
        );
        folder
            .0
            .insert(tokenizer.join("merges.txt"), MERGES.to_vec());
        folder
    }
}

/// CLIP's symbols for bytes, within words and at their ends, those of [`MERGES`], start and end.
fn vocabulary() -> Vec<String> {
    let printable = ('!'..='~').chain('¡'..='¬').chain('®'..='ÿ');
    let bytes: Vec<_> = printable.chain('Ā'..='Ń').map(String::from).collect();
    let ends = bytes.iter().map(|byte| format!("{byte}</w>"));
    let merged = ["an", "and</w>", "<|startoftext|>", "<|endoftext|>"].map(String::from);
    bytes.iter().cloned().chain(ends).chain(merged).collect()
}

impl Tensor {
    /// The axes as packs have them.
    fn channels_last(&self) -> Vec<usize> {
        match self.shape[..] {
            [outputs, inputs, height, width] => vec![outputs, height, width, inputs],
            _ => self.shape.clone(),
        }
    }

    fn store(
        &self,
        name: &str,
        shape: &[usize],
        all: &mut Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
    ) {
        let values: usize = shape.iter().product();
        let bits = match self.stored {
            StoredType::Q8 => 8,
            StoredType::Q4 => 4,
            StoredType::F32 => 32,
            StoredType::F16 => 16,
            StoredType::U8 => 8,
        };
        if let (StoredType::Q8 | StoredType::Q4, Some(group)) = (self.stored, self.group) {
            let rows = shape.first().copied().unwrap_or(1);
            let columns = values / rows.max(1);
            let scales = columns / group.max(1);
            let bytes = columns * bits / 8;
            let half = half_bytes(rows * scales, name);
            all.push((
                name.into(),
                Dtype::U8,
                vec![rows, bytes],
                noise(name).take(rows * bytes).collect(),
            ));
            all.push((
                format!("{name}.scales"),
                Dtype::F16,
                vec![rows, scales],
                half,
            ));
            return;
        }
        let (dtype, bytes) = match self.stored {
            StoredType::F32 => {
                let value = |byte: u8| ((f32::from(byte) - 127.5) / 128.0).to_le_bytes();
                (
                    Dtype::F32,
                    noise(name).take(values).flat_map(value).collect(),
                )
            }
            StoredType::F16 => (Dtype::F16, half_bytes(values, name)),
            _ if name == "tokenizer.merges" => (
                Dtype::U8,
                MERGES.iter().copied().cycle().take(values).collect(),
            ),
            _ => (Dtype::U8, noise(name).take(values).collect()),
        };
        all.push((name.into(), dtype, shape.to_vec(), bytes));
    }
}

/// Half floats between 1/8 and 1, of either sign.
fn half_bytes(count: usize, name: &str) -> Vec<u8> {
    let value = |byte: u8| [byte, 0x30 + (byte % 12) + (byte & 0x80)];
    noise(name).take(count).flat_map(value).collect()
}

/// Bytes that look random, the same for the same name.
fn noise(name: &str) -> impl Iterator<Item = u8> {
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    std::iter::from_fn(move || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        Some((state >> 56) as u8)
    })
}
