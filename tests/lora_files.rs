//! LoRA files as people have them: their namings, their kinds, and what is wrong with some.

use std::collections::BTreeMap;

use crate::support::lora::{
    LoraFile, assert_same, base, merged, merged_from, noise, original_layers,
};
use crate::support::{golden, model, single_file, torch};
use glassine::ErrorCode;
use glassine::internals::weights::{Dtype, HostTensor};
use glassine::pack::Lora;
use serde_json::json;
use sha2::{Digest, Sha256};

/// The layers of the tiny model: diffusers' names by the same with underscores.
fn dotted_layers() -> BTreeMap<String, String> {
    let layers = original_layers().into_keys();
    let text = |layer: &String| layer.starts_with("unet.") || layer.starts_with("text_encoder.");
    layers
        .filter(text)
        .map(|layer| (layer.replace('.', "_"), layer))
        .collect()
}

/// kohya's golden file with each layer's name and the end of each tensor's changed. `layer` is
/// given diffusers' name with the component in front.
fn kohya_as(layer: impl Fn(&str) -> String, ends: [&str; 3]) -> LoraFile {
    let layers = dotted_layers();
    LoraFile::golden("kohya").renamed(|name| {
        let (own, end) = name.split_once('.').unwrap();
        let own = own.replace("lora_unet_", "unet_");
        let own = own.replace("lora_te_", "text_encoder_");
        let index = ["lora_down.weight", "lora_up.weight", "alpha"]
            .iter()
            .position(|known| *known == end)
            .unwrap();
        format!("{}{}", layer(&layers[&own]), ends[index])
    })
}

const KOHYA: [&str; 3] = [".lora_down.weight", ".lora_up.weight", ".alpha"];
const PEFT: [&str; 3] = [".lora_A.weight", ".lora_B.weight", ".alpha"];

#[test]
fn a_layer_is_found_under_each_of_its_names() {
    let expected = LoraFile::golden("kohya").merged(0.6).unwrap();
    let original = original_layers();
    let underscored = |layer: &str, text: &str| {
        let name = layer.replace("text_encoder.", text);
        name.replace("unet.", "lora_unet_").replace('.', "_")
    };
    let original_unet = |layer: &str| match layer.starts_with("unet.") {
        true => original[layer].clone(),
        false => layer.replace("text_encoder.", "text_encoders.clip_l.transformer."),
    };
    let without_component = |layer: &str| layer.split_once('.').unwrap().1.to_string();
    type Rename<'a> = Box<dyn Fn(&str) -> String + 'a>;
    let namings: Vec<(&str, Rename, [&str; 3])> = vec![
        (
            "lora_te1_",
            Box::new(|layer| underscored(layer, "lora_te1_")),
            KOHYA,
        ),
        (
            "original blocks",
            Box::new(|layer| {
                let own = original_unet(layer).replace("model.diffusion_model.", "lora_unet_");
                own.replace("text_encoders.clip_l.transformer.", "lora_te_")
                    .replace('.', "_")
            }),
            KOHYA,
        ),
        (
            "kohya's layers, PEFT's factors",
            Box::new(|layer| underscored(layer, "lora_te_")),
            PEFT,
        ),
        (
            "ComfyUI's own",
            Box::new(|layer| {
                let own = original_unet(layer);
                own.strip_prefix("model.")
                    .map(str::to_string)
                    .unwrap_or(own)
            }),
            KOHYA,
        ),
        ("with model. in front", Box::new(original_unet), PEFT),
        (
            "dots after the prefix",
            Box::new(|layer| format!("lora_{layer}").replace("text_encoder", "te")),
            KOHYA,
        ),
        ("unet. and text_encoder.", Box::new(str::to_string), PEFT),
        (
            "base_model.model.unet.",
            Box::new(|layer| format!("base_model.model.{layer}")),
            PEFT,
        ),
        (
            "base_model.model.down_blocks",
            Box::new(|layer| format!("base_model.model.{}", without_component(layer))),
            [".lora_A.default.weight", ".lora_B.default.weight", ".alpha"],
        ),
        ("no prefix", Box::new(without_component), PEFT),
        (
            "lycoris_",
            Box::new(|layer| format!("lycoris_{}", without_component(layer).replace('.', "_"))),
            KOHYA,
        ),
        (
            "no text_model",
            Box::new(|layer| layer.replace("text_model.", "")),
            [".lora_A", ".lora_B", ".alpha"],
        ),
        (
            "lora.down",
            Box::new(str::to_string),
            [".lora.down.weight", ".lora.up.weight", ".lora.alpha"],
        ),
        (
            "lora_linear_layer",
            Box::new(str::to_string),
            [
                ".lora_linear_layer.down.weight",
                ".lora_linear_layer.up.weight",
                ".lora_linear_layer.alpha",
            ],
        ),
        (
            "attention processors",
            Box::new(|layer| {
                let own = layer.replace(".to_out.0", ".to_out");
                let own = own.replace("self_attn.out_proj", "self_attn.to_out");
                let own = own.replace("attn1.to", "attn1.processor.to");
                let own = own.replace("attn2.to", "attn2.processor.to");
                ["q", "k", "v"].iter().fold(own, |own, name| {
                    own.replace(
                        &format!("self_attn.{name}_proj"),
                        &format!("self_attn.to_{name}"),
                    )
                })
            }),
            ["_lora.down.weight", "_lora.up.weight", "_lora.alpha"],
        ),
    ];
    for (what, layer, ends) in namings {
        let renamed = kohya_as(layer, ends);
        assert_same(what, &renamed.merged(0.6).unwrap(), &expected);
    }
}

#[test]
fn layers_outside_of_the_blocks_are_found_under_both_names() {
    let names = [
        (
            "lora_unet_time_embedding_linear_1",
            "lora_unet_time_embed_0",
            "time_embedding.linear_1",
        ),
        (
            "lora_unet_time_embedding_linear_2",
            "lora_unet_time_embed_2",
            "time_embedding.linear_2",
        ),
        ("lora_unet_conv_in", "lora_unet_input_blocks_0_0", "conv_in"),
        ("lora_unet_conv_out", "lora_unet_out_2", "conv_out"),
        (
            "lora_unet_conv_norm_out",
            "lora_unet_out_0",
            "conv_norm_out",
        ),
    ];
    for (diffusers, original, name) in names {
        let name = format!("unet.{name}.weight");
        let shape = base(&name).shape;
        let of = |layer: &str| {
            LoraFile::default().with(
                &format!("{layer}.diff"),
                &shape,
                &noise(&name, shape.iter().product()),
            )
        };
        let expected = of(diffusers).merged(1.0).unwrap();
        assert!(expected.contains_key(&name));
        assert_same(original, &of(original).merged(1.0).unwrap(), &expected);
    }
}

/// PEFT's golden file, which has no alphas, with this alpha in each layer of `component`.
fn peft_with_alpha(component: &str, alpha: f32) -> LoraFile {
    let plain = LoraFile::golden("peft");
    let names: Vec<String> = plain.tensors.keys().cloned().collect();
    let layers = names
        .iter()
        .filter_map(|name| name.strip_suffix(".lora_A.weight"));
    let own = layers.filter(|layer| layer.starts_with(component));
    own.fold(plain.clone(), |file, layer| {
        file.with(&format!("{layer}.alpha"), &[], &[alpha])
    })
}

#[test]
fn alpha_comes_from_metadata_too() {
    let plain = LoraFile::golden("peft");
    let four = peft_with_alpha("", 16.0).merged(1.0).unwrap();
    let unet = peft_with_alpha("unet.", 16.0).merged(1.0).unwrap();
    let with = |metadata: serde_json::Value| {
        let file = plain
            .clone()
            .with_metadata("lora_adapter_metadata", &metadata.to_string());
        file.merged(1.0).unwrap()
    };
    let both = json!({
        "unet.r": 4, "unet.lora_alpha": 16, "text_encoder.r": 4, "text_encoder.lora_alpha": 16,
        "unet.use_dora": false, "unet.rank_pattern": {}, "unet.peft_type": "LORA",
    });
    assert_same("both components", &with(both), &four);
    assert_same("flat", &with(json!({ "r": 4, "lora_alpha": 16 })), &four);
    let flat = plain
        .clone()
        .with_metadata("r", "4")
        .with_metadata("lora_alpha", "16.0");
    assert_same("flat texts", &flat.merged(1.0).unwrap(), &four);
    assert_same(
        "one component",
        &with(json!({ "unet.r": 4, "unet.lora_alpha": 16 })),
        &unet,
    );
    let stabilized = json!({ "r": 4, "lora_alpha": 8, "use_rslora": true });
    assert_same("alpha / sqrt(rank)", &with(stabilized), &four);

    let pattern =
        json!({ "unet.r": 4, "unet.lora_alpha": 4, "unet.alpha_pattern": { "attn1.to_q": 16 } });
    let q = LoraFile::golden("peft");
    let q = q
        .tensors
        .keys()
        .filter_map(|name| name.strip_suffix(".lora_A.weight"));
    let q = q.filter(|layer| layer.ends_with("attn1.to_q"));
    let q = q.fold(plain.clone(), |file, layer| {
        file.with(&format!("{layer}.alpha"), &[], &[16.0])
    });
    assert_same("alpha_pattern", &with(pattern), &q.merged(1.0).unwrap());

    let trained = plain
        .clone()
        .with_metadata("ss_network_alpha", "1")
        .with_metadata("ss_network_dim", "4");
    let expected = plain.merged(1.0).unwrap();
    assert_same(
        "kohya's records are no alphas",
        &trained.merged(1.0).unwrap(),
        &expected,
    );
}

#[test]
fn a_folder_is_a_lora_too() {
    let plain = LoraFile::golden("peft");
    let unet = |file: &LoraFile| {
        let mut file = file.clone();
        file.tensors.retain(|name, _| name.starts_with("unet."));
        file
    };
    let own = unet(&plain).renamed(|name| name.replace("unet.", "base_model.model."));
    let config = json!({
        "peft_type": "LORA", "r": 4, "lora_alpha": 16, "fan_in_fan_out": false, "bias": "none",
        "init_lora_weights": true, "rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": null,
    });
    let folder = own.in_folder("peft-folder", "adapter_model.safetensors", Some(config));
    let expected = unet(&peft_with_alpha("unet.", 16.0)).merged(1.0).unwrap();
    assert_same("PEFT's folder", &merged_from(&folder).unwrap(), &expected);

    let folder = plain.in_folder("diffusers-folder", "pytorch_lora_weights.safetensors", None);
    assert_same(
        "diffusers' folder",
        &merged_from(&folder).unwrap(),
        &plain.merged(1.0).unwrap(),
    );

    let empty = model::scratch().join("empty-lora");
    std::fs::create_dir_all(&empty).unwrap();
    let error = merged_from(&empty).unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelNotFound, "{error}");
    std::fs::write(empty.join("adapter_model.bin"), [0]).unwrap();
    let error = merged_from(&empty).unwrap_err();
    assert!(error.message.contains("PyTorch"), "{error}");
}

#[test]
fn a_lora_may_be_a_file_of_pytorchs() {
    let original = golden("lora/kohya.safetensors");
    let path = model::scratch().join("kohya.pt");
    std::fs::write(&path, torch::plain(&single_file::read(&original))).unwrap();
    assert_same(
        "as .pt",
        &merged_from(&path).unwrap(),
        &merged_from(&original).unwrap(),
    );
}

#[test]
fn configs_that_cannot_be_honoured_are_refused_by_name() {
    let refusals = [
        (
            json!({ "r": 4, "lora_alpha": 4, "use_dora": true }),
            "magnitudes",
        ),
        (
            json!({ "r": 4, "lora_alpha": 4, "peft_type": "ADALORA" }),
            "ADALORA",
        ),
        (
            json!({ "r": 4, "lora_alpha": 4, "init_lora_weights": "pissa_niter_4" }),
            "pissa",
        ),
        (
            json!({ "r": 4, "lora_alpha": 4, "layer_replication": [[0, 4]] }),
            "layer_replication",
        ),
        (json!({ "r": 8, "lora_alpha": 8 }), "rank 8"),
        (json!({ "r": 4, "lora_alpha": "many" }), "lora_alpha"),
        (
            json!({ "r": 4, "lora_alpha": 4, "alpha_pattern": { "attn[12]": 8 } }),
            "alpha_pattern",
        ),
    ];
    for (config, expected) in refusals {
        let file =
            LoraFile::golden("peft").with_metadata("lora_adapter_metadata", &config.to_string());
        let error = file.open(1.0).expect_err(expected);
        assert!(error.code.is_bad_input(), "{error}");
        let named = error.message.contains("test.safetensors") && error.message.contains(expected);
        assert!(named, "{error}");
    }
}

const LINEAR: &str = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight";
const CONV: &str = "unet.down_blocks.1.resnets.0.conv1.weight";
const SHORTCUT: &str = "unet.down_blocks.1.resnets.0.conv_shortcut.weight";

fn layer_of(name: &str) -> &str {
    name.strip_suffix(".weight").unwrap()
}

/// A weight's sizes: outputs, inputs, and height and width of a kernel.
fn sizes(weight: &HostTensor) -> [usize; 4] {
    let axis = |axis: usize| weight.shape.get(axis).copied().unwrap_or(1);
    [axis(0), axis(1), axis(2), axis(3)]
}

/// The weight `name` with a formula's number for each output, input and place of the kernel added.
fn plus(name: &str, strength: f64, delta: impl Fn(usize, usize, usize, usize) -> f64) -> Vec<f64> {
    let weight = base(name);
    let [outputs, inputs, height, width] = sizes(&weight);
    let mut values = weight.data.iter().map(|value| f64::from(*value));
    let mut sums = Vec::new();
    for output in 0..outputs {
        for input in 0..inputs {
            for y in 0..height {
                for x in 0..width {
                    sums.push(values.next().unwrap() + strength * delta(output, input, y, x));
                }
            }
        }
    }
    sums
}

/// An element of a tensor.
fn at(tensor: &HostTensor, index: &[usize]) -> f64 {
    let flat = index
        .iter()
        .zip(&tensor.shape)
        .fold(0, |flat, (index, size)| flat * size + index);
    f64::from(tensor.data[flat])
}

/// Fails unless `file` makes `expected` of the weight `name`, and changes nothing else.
fn check(what: &str, file: &LoraFile, strength: f32, name: &str, expected: &[f64]) {
    let merged = file.merged(strength).unwrap();
    assert_eq!(merged.keys().collect::<Vec<_>>(), [name], "{what}");
    let tolerance = crate::support::Tolerance::max_abs(1e-5);
    crate::support::assert_close(what, &merged[name].data, expected, tolerance);
}

#[test]
fn locon_with_a_core() {
    let [outputs, inputs, height, width] = sizes(&base(CONV));
    let layer = layer_of(CONV);
    let file = LoraFile::default()
        .with_noise(&format!("{layer}.lora_up.weight"), &[outputs, 3, 1, 1])
        .with_noise(&format!("{layer}.lora_mid.weight"), &[3, 5, height, width])
        .with_noise(&format!("{layer}.lora_down.weight"), &[5, inputs, 1, 1])
        .with(&format!("{layer}.alpha"), &[], &[10.0]);
    let [up, mid, down] =
        ["up", "mid", "down"].map(|part| file.values(&format!("{layer}.lora_{part}.weight")));
    let expected = plus(CONV, 0.5, |output, input, y, x| {
        let pairs = (0..3).flat_map(|m| (0..5).map(move |n| (m, n)));
        let term = |(m, n)| {
            at(&up, &[output, m, 0, 0]) * at(&mid, &[m, n, y, x]) * at(&down, &[n, input, 0, 0])
        };
        10.0 / 5.0 * pairs.map(term).sum::<f64>()
    });
    check("LoCon with a core", &file, 0.5, CONV, &expected);
}

#[test]
fn loha_with_and_without_cores() {
    for name in [LINEAR, CONV, SHORTCUT] {
        let [outputs, inputs, height, width] = sizes(&base(name));
        let places = height * width;
        let layer = layer_of(name);
        let mut file = LoraFile::default().with(&format!("{layer}.alpha"), &[1], &[1.0]);
        for pair in ["w1", "w2"] {
            file = file
                .with_noise(&format!("{layer}.hada_{pair}_a"), &[outputs, 4])
                .with_noise(&format!("{layer}.hada_{pair}_b"), &[4, inputs * places]);
        }
        let tensor = |file: &LoraFile, end: &str| file.values(&format!("{layer}.hada_{end}"));
        let product = |pair: &str, output: usize, column: usize| {
            let [a, b] = ["a", "b"].map(|end| tensor(&file, &format!("{pair}_{end}")));
            (0..4)
                .map(|rank| at(&a, &[output, rank]) * at(&b, &[rank, column]))
                .sum::<f64>()
        };
        let matrices = ["w1", "w2"].map(|pair| {
            let columns = inputs * places;
            let all =
                (0..outputs * columns).map(|index| product(pair, index / columns, index % columns));
            all.collect::<Vec<f64>>()
        });
        let expected = plus(name, 1.0, |output, input, y, x| {
            let index = (output * inputs + input) * places + y * width + x;
            matrices[0][index] * matrices[1][index] / 4.0
        });
        check(name, &file, 1.0, name, &expected);
    }

    let [outputs, inputs, height, width] = sizes(&base(CONV));
    let layer = layer_of(CONV);
    let mut file = LoraFile::default();
    for pair in 1..=2 {
        file = file
            .with_noise(&format!("{layer}.hada_t{pair}"), &[3, 3, height, width])
            .with_noise(&format!("{layer}.hada_w{pair}_a"), &[3, outputs])
            .with_noise(&format!("{layer}.hada_w{pair}_b"), &[3, inputs]);
    }
    let parts = [1, 2].map(|pair| {
        [
            format!("t{pair}"),
            format!("w{pair}_a"),
            format!("w{pair}_b"),
        ]
        .map(|end| file.values(&format!("{layer}.hada_{end}")))
    });
    let expected = plus(CONV, 1.0, |output, input, y, x| {
        let rebuilt = parts.each_ref().map(|[core, a, b]| {
            let pairs = (0..3).flat_map(|i| (0..3).map(move |j| (i, j)));
            let term = |(i, j)| at(core, &[i, j, y, x]) * at(a, &[i, output]) * at(b, &[j, input]);
            pairs.map(term).sum::<f64>()
        });
        rebuilt[0] * rebuilt[1]
    });
    check("LoHa with cores", &file, 1.0, CONV, &expected);
}

/// A LoKr of `w1` by `w2` in one of their forms, and the two whole.
fn lokr(name: &str, forms: [&str; 2]) -> (LoraFile, [HostTensor; 2]) {
    let [outputs, inputs, height, width] = sizes(&base(name));
    let layer = layer_of(name);
    let places = height * width;
    let [out2, in2] = [outputs / 4, inputs / 2];
    let mut file = LoraFile::default().with(&format!("{layer}.alpha"), &[], &[6.0]);
    file = match forms[0] {
        "whole" => file.with_noise(&format!("{layer}.lokr_w1"), &[4, 2]),
        _ => file
            .with_noise(&format!("{layer}.lokr_w1_a"), &[4, 3])
            .with_noise(&format!("{layer}.lokr_w1_b"), &[3, 2]),
    };
    file = match forms[1] {
        "whole" if places > 1 => {
            file.with_noise(&format!("{layer}.lokr_w2"), &[out2, in2, height, width])
        }
        "whole" => file.with_noise(&format!("{layer}.lokr_w2"), &[out2, in2]),
        "core" => file
            .with_noise(&format!("{layer}.lokr_t2"), &[3, 3, height, width])
            .with_noise(&format!("{layer}.lokr_w2_a"), &[3, out2])
            .with_noise(&format!("{layer}.lokr_w2_b"), &[3, in2]),
        _ => file
            .with_noise(&format!("{layer}.lokr_w2_a"), &[out2, 3])
            .with_noise(&format!("{layer}.lokr_w2_b"), &[3, in2 * places]),
    };
    let get = |end: &str| file.values(&format!("{layer}.lokr_{end}"));
    let product = |pair: &str, shape: Vec<usize>| {
        let (a, b) = (get(&format!("{pair}_a")), get(&format!("{pair}_b")));
        let columns = b.shape[1];
        let element = |index: usize| {
            let terms = (0..3)
                .map(|rank| at(&a, &[index / columns, rank]) * at(&b, &[rank, index % columns]));
            terms.sum::<f64>() as f32
        };
        let count = shape.iter().product();
        HostTensor::new(shape, (0..count).map(element).collect())
    };
    let w1 = match forms[0] {
        "whole" => get("w1"),
        _ => product("w1", vec![4, 2]),
    };
    let w2_shape = vec![out2, in2, height, width];
    let w2 = match forms[1] {
        "whole" => HostTensor::new(w2_shape, get("w2").data),
        "core" => {
            let (core, a, b) = (get("t2"), get("w2_a"), get("w2_b"));
            let mut values = Vec::new();
            for output in 0..out2 {
                for input in 0..in2 {
                    for place in 0..places {
                        let pairs = (0..3).flat_map(|i| (0..3).map(move |j| (i, j)));
                        let term = |(i, j)| {
                            at(&core, &[i, j, place / width, place % width])
                                * at(&a, &[i, output])
                                * at(&b, &[j, input])
                        };
                        values.push(pairs.map(term).sum::<f64>() as f32);
                    }
                }
            }
            HostTensor::new(w2_shape, values)
        }
        _ => product("w2", w2_shape),
    };
    (file, [w1, w2])
}

#[test]
fn lokr_whole_and_in_parts() {
    let cases = [
        (LINEAR, ["whole", "whole"]),
        (LINEAR, ["whole", "parts"]),
        (LINEAR, ["parts", "whole"]),
        (LINEAR, ["parts", "parts"]),
        (CONV, ["whole", "whole"]),
        (CONV, ["whole", "parts"]),
        (CONV, ["parts", "core"]),
    ];
    for (name, forms) in cases {
        let (file, [w1, w2]) = lokr(name, forms);
        // Two whole matrices have no rank that alpha could be divided by.
        let scale = if forms == ["whole", "whole"] {
            1.0
        } else {
            6.0 / 3.0
        };
        let [out2, in2] = [w2.shape[0], w2.shape[1]];
        let expected = plus(name, 0.7, |output, input, y, x| {
            let first = at(&w1, &[output / out2, input / in2]);
            scale * first * at(&w2, &[output % out2, input % in2, y, x])
        });
        check(&format!("{name} {forms:?}"), &file, 0.7, name, &expected);
    }
}

#[test]
fn differences_of_weights_biases_and_norms() {
    let norm = "unet.down_blocks.0.resnets.0.norm1";
    let names = [
        (format!("{norm}.w_norm"), format!("{norm}.weight")),
        (format!("{norm}.b_norm"), format!("{norm}.bias")),
        (format!("{}.diff", layer_of(CONV)), CONV.to_string()),
        (
            format!("{}.diff_b", layer_of(CONV)),
            format!("{}.bias", layer_of(CONV)),
        ),
    ];
    let mut file = LoraFile::default();
    for (difference, name) in &names {
        file = file.with_noise(difference, &base(name).shape);
    }
    let merged = file.merged(0.5).unwrap();
    assert_eq!(merged.len(), names.len());
    for (difference, name) in &names {
        let sum = base(name)
            .data
            .into_iter()
            .zip(file.values(difference).data);
        let expected: Vec<f32> = sum.map(|(base, own)| base + 0.5 * own).collect();
        assert_eq!(merged[name].data, expected, "{name}");
    }
}

#[test]
fn a_bias_beside_the_factors_is_scaled_as_they_are() {
    let [outputs, inputs, ..] = sizes(&base(SHORTCUT));
    let layer = layer_of(SHORTCUT);
    let bias = format!("{layer}.bias");
    for end in ["lora_B.bias", "lora_up.bias"] {
        let own = format!("{layer}.{end}");
        let file = LoraFile::default()
            .with_noise(&format!("{layer}.lora_A.weight"), &[2, inputs])
            .with_noise(&format!("{layer}.lora_B.weight"), &[outputs, 2])
            .with_noise(&own, &[outputs])
            .with(&format!("{layer}.alpha"), &[], &[6.0]);
        let sum = base(&bias).data.into_iter().zip(file.values(&own).data);
        let expected: Vec<f32> = sum.map(|(base, own)| base + 1.5 * own).collect();
        assert_eq!(file.merged(0.5).unwrap()[&bias].data, expected);
    }
}

/// A LoRA of rank 2 and alpha 6 for the weight `name`.
fn plain_lora(name: &str) -> LoraFile {
    let [outputs, inputs, height, width] = sizes(&base(name));
    let layer = layer_of(name);
    LoraFile::default()
        .with_noise(
            &format!("{layer}.lora_down.weight"),
            &[2, inputs, height, width],
        )
        .with_noise(&format!("{layer}.lora_up.weight"), &[outputs, 2, 1, 1])
        .with(&format!("{layer}.alpha"), &[], &[6.0])
}

#[test]
fn dora_by_output_and_by_input() {
    for name in [LINEAR, CONV] {
        let weight = base(name);
        let [outputs, inputs, height, width] = sizes(&weight);
        let layer = layer_of(name);
        let file = plain_lora(name);
        let [up, down] =
            ["up", "down"].map(|part| file.values(&format!("{layer}.lora_{part}.weight")));
        let sum = plus(name, 3.0, |output, input, y, x| {
            let terms =
                (0..2).map(|rank| at(&up, &[output, rank, 0, 0]) * at(&down, &[rank, input, y, x]));
            terms.sum::<f64>()
        });
        let places = height * width;
        let with_kernel = |[first, second]: [usize; 2]| match places {
            1 => vec![first, second],
            _ => vec![first, second, 1, 1],
        };
        let cases = [
            ("dora_scale", with_kernel([outputs, 1]), true),
            ("dora_scale", with_kernel([1, inputs]), false),
            (
                "lora_magnitude_vector",
                if places == 1 {
                    vec![outputs]
                } else {
                    vec![1, outputs, 1, 1]
                },
                true,
            ),
            ("lora_magnitude_vector.weight", vec![outputs], true),
            ("lora_magnitude_vector.default.weight", vec![outputs], true),
        ];
        for (end, shape, by_output) in cases {
            let magnitudes: Vec<f32> = noise(end, shape.iter().product())
                .iter()
                .map(|m| m + 1.0)
                .collect();
            let file = file
                .clone()
                .with(&format!("{layer}.{end}"), &shape, &magnitudes);
            let place = |index: usize| match by_output {
                true => index / (inputs * places),
                false => index / places % inputs,
            };
            let mut squares = vec![0.0; magnitudes.len()];
            for (index, value) in sum.iter().enumerate() {
                squares[place(index)] += value * value;
            }
            let expected = weight
                .data
                .iter()
                .zip(&sum)
                .enumerate()
                .map(|(index, (base, sum))| {
                    let target = f64::from(magnitudes[place(index)]) * sum
                        / f64::sqrt(squares[place(index)]);
                    let base = f64::from(*base);
                    base + 0.6 * (target - base)
                });
            let expected: Vec<f64> = expected.collect();
            check(
                &format!("{name} {end} {shape:?}"),
                &file,
                0.6,
                name,
                &expected,
            );
        }
    }
}

#[test]
fn alphas_may_be_whole_numbers_and_scales_stand_for_them() {
    let layer = layer_of(LINEAR);
    let file = plain_lora(LINEAR);
    let expected = file.merged(1.0).unwrap();
    let mut whole = file.clone();
    let alpha = (Dtype::I64, vec![1], 6i64.to_le_bytes().to_vec());
    whole.tensors.insert(format!("{layer}.alpha"), alpha);
    assert_same("a whole number", &whole.merged(1.0).unwrap(), &expected);
    let scale = file.with(&format!("{layer}.scale"), &[], &[3.0]);
    let scale = scale.without(&format!("{layer}.alpha"));
    assert_same("a scale", &scale.merged(1.0).unwrap(), &expected);
}

#[test]
fn damaged_files_are_refused_with_the_tensor_that_is_wrong() {
    let layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
    let [down, up] = ["lora_down", "lora_up"].map(|part| format!("{layer}.{part}.weight"));
    let plain = LoraFile::default()
        .with_noise(&down, &[4, 64])
        .with_noise(&up, &[64, 4]);
    let mut noisy = noise("NaN", 256);
    noisy[7] = f32::NAN;
    let mut infinite = noise("infinity", 256);
    infinite[7] = f32::INFINITY;
    let hada = |end: &str| format!("{layer}.hada_{end}");
    let loha = ["w1_a", "w1_b", "w2_a", "w2_b"]
        .iter()
        .fold(LoraFile::default(), |file, end| {
            let shape = if end.ends_with('a') { [64, 4] } else { [4, 64] };
            file.with_noise(&hada(end), &shape)
        });
    let cases = [
        ("NaN", plain.clone().with(&up, &[64, 4], &noisy), vec![&*up]),
        (
            "infinity",
            plain.clone().with(&down, &[4, 64], &infinite),
            vec![&*down],
        ),
        (
            "an alpha that is NaN",
            plain
                .clone()
                .with(&format!("{layer}.alpha"), &[], &[f32::NAN]),
            vec!["to_q.alpha"],
        ),
        (
            "two alphas",
            plain
                .clone()
                .with(&format!("{layer}.alpha"), &[2], &[1.0; 2]),
            vec!["to_q.alpha"],
        ),
        (
            "rank 0",
            plain
                .clone()
                .with(&down, &[0, 64], &[])
                .with(&up, &[64, 0], &[]),
            vec![&*down, "rank is 0"],
        ),
        (
            "ranks 4 and 8",
            plain.clone().with_noise(&up, &[64, 8]),
            vec![&*down, "[4, 64]", &*up, "[64, 8]"],
        ),
        (
            "up alone",
            plain.clone().without(&down),
            vec![&*up, "lora_down"],
        ),
        (
            "down alone",
            plain.clone().without(&up),
            vec![&*down, "lora_up"],
        ),
        (
            "alpha alone",
            LoraFile::default().with(&format!("{layer}.alpha"), &[], &[1.0]),
            vec!["to_q.alpha"],
        ),
        (
            "magnitudes alone",
            LoraFile::default().with_noise(&format!("{layer}.dora_scale"), &[64, 1]),
            vec!["to_q.dora_scale"],
        ),
        (
            "half of a LoHa",
            loha.clone().without(&hada("w2_b")),
            vec!["hada_w2_b"],
        ),
        (
            "one core of two",
            loha.with_noise(&hada("t1"), &[4, 4, 3, 3]),
            vec!["hada_t2"],
        ),
        (
            "LoRA and difference",
            plain
                .clone()
                .with_noise(&format!("{layer}.diff"), &[64, 64]),
            vec!["two ways"],
        ),
        (
            "half of a LoKr",
            LoraFile::default().with_noise(&format!("{layer}.lokr_w1"), &[4, 4]),
            vec!["lokr_w1", "lokr_w2"],
        ),
        (
            "the same factor twice",
            plain.with_noise(&format!("{layer}.lora_A.weight"), &[4, 64]),
            vec!["lora_A", "lora_down"],
        ),
    ];
    for (what, file, expected) in cases {
        let error = file.open(1.0).expect_err(what);
        assert_eq!(error.code, ErrorCode::ModelDamaged, "{what}: {error}");
        for part in expected.iter().chain(&["test.safetensors"]) {
            assert!(
                error.message.contains(part),
                "{what}: {error} does not name {part}"
            );
        }
    }
}

#[test]
fn what_does_not_fit_the_model_is_refused_with_both_shapes() {
    let layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k";
    let of = |rows: usize, columns: usize| {
        LoraFile::default()
            .with_noise(&format!("{layer}.lora_A.weight"), &[4, columns])
            .with_noise(&format!("{layer}.lora_B.weight"), &[rows, 4])
    };
    let families = [
        (768, "Stable Diffusion 1.5"),
        (1024, "Stable Diffusion 2"),
        (2048, "SDXL"),
        (48, "another base model"),
    ];
    for (width, family) in families {
        let error = of(64, width).merged(1.0).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
        let line = error.to_string();
        for part in [
            "test.safetensors",
            "lora_A",
            &format!("[4, {width}]"),
            layer,
            "[64, 32]",
            family,
        ] {
            assert!(line.contains(part), "{line} does not name {part}");
        }
    }
    let error = of(96, 32).merged(1.0).unwrap_err();
    assert!(error.message.contains("96 outputs"), "{error}");
    let bias = LoraFile::default().with_noise(&format!("{layer}.diff_b"), &[64]);
    let error = bias.merged(1.0).unwrap_err();
    assert!(error.message.contains("bias"), "{error}");
    let dora = of(64, 32).with_noise(&format!("{layer}.dora_scale"), &[7, 1]);
    let error = dora.merged(1.0).unwrap_err();
    assert!(
        error.message.contains("dora_scale") && error.message.contains("[7, 1]"),
        "{error}"
    );
    let twice = of(64, 32);
    let kohya =
        twice.renamed(|name| format!("lora_{}", name.replace(layer, &layer.replace('.', "_"))));
    let mut both = twice.clone();
    both.tensors.extend(kohya.tensors);
    let error = both.merged(1.0).unwrap_err();
    assert!(error.message.contains("twice"), "{error}");
}

#[test]
fn other_kinds_and_families_are_refused_by_name() {
    let attention = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
    let cases: [(&[&str], &str); 21] = [
        (&["{}.on_input", "{}.weight"], "IA3"),
        (&["base_model.model.down_blocks.0.attn1.to_k.ia3_l"], "IA3"),
        (&["{}.oft_blocks", "{}.alpha"], "OFT or BOFT"),
        (&["base_model.model.down_blocks.0.attn1.to_k.oft_R"], "OFT"),
        (
            &[
                "base_model.model.down_blocks.0.attn1.to_k.boft_R",
                "base_model.model.down_blocks.0.attn1.to_k.boft_s",
            ],
            "BOFT",
        ),
        (
            &[
                "{}.a1.weight",
                "{}.a2.weight",
                "{}.b1.weight",
                "{}.b2.weight",
            ],
            "GLoRA",
        ),
        (
            &[
                "unet.x.lora_A.weight",
                "unet.x.lora_B.weight",
                "unet.x.lora_E",
            ],
            "AdaLoRA",
        ),
        (&["unet.x.vera_lambda_b", "unet.x.vera_lambda_d"], "VeRA"),
        (
            &[
                "{}.lora_down.weight",
                "{}.lora_up.weight",
                "bundle_emb.sks.clip_l",
            ],
            "textual inversions",
        ),
        (
            &["{}.lora_down.weight", "{}.lora_up.weight", "{}.bias_values"],
            "sparse",
        ),
        (
            &["lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha"],
            "SDXL",
        ),
        (
            &["text_encoder_2.text_model.encoder.layers.0.mlp.fc1.lora_A.weight"],
            "SDXL",
        ),
        (
            &["lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_q.lora_down.weight"],
            "SDXL",
        ),
        (&["lora_unet_label_emb_0_0.lora_down.weight"], "SDXL"),
        (
            &[
                "lora_te_text_model_encoder_layers_22_mlp_fc1.alpha",
                "lora_te_text_model_encoder_layers_12_mlp_fc1.alpha",
            ],
            "Stable Diffusion 2",
        ),
        (
            &["lora_unet_double_blocks_0_img_attn_proj.lora_down.weight"],
            "Flux",
        ),
        (
            &["transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight"],
            "Flux",
        ),
        (
            &["lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight"],
            "Stable Diffusion 3",
        ),
        (
            &["down_blocks.0.motion_modules.0.temporal_transformer.proj_in.lora_A.weight"],
            "AnimateDiff",
        ),
        (
            &["{}.lora_down.weight", "{}.lora_up.weight", "{}.surprise"],
            "surprise",
        ),
        (&["emb_params"], "no LoRA"),
    ];
    for (names, expected) in cases {
        let file = names.iter().fold(LoraFile::default(), |file, name| {
            file.with_noise(&name.replace("{}", attention), &[4, 4])
        });
        let error = file.open(1.0).expect_err(expected);
        assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
        let named = error.message.contains("test.safetensors") && error.message.contains(expected);
        assert!(named, "{names:?}: {error}");
    }
}

#[test]
fn several_loras_are_applied_one_after_another() {
    let first = plain_lora(CONV);
    let layer = layer_of(CONV);
    let outputs = base(CONV).shape[0];
    let magnitudes = vec![1.0; outputs];
    let second = plain_lora(CONV).with(
        &format!("{layer}.dora_scale"),
        &[outputs, 1, 1, 1],
        &magnitudes,
    );
    let open = |file: &LoraFile| file.open(1.0).unwrap();
    let both = merged(vec![open(&first), open(&second)]).unwrap();
    // Each output's weights have the length that the last one says.
    for row in both[CONV].data.chunks(both[CONV].data.len() / outputs) {
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
}

#[test]
fn strengths_that_lead_beyond_numbers_are_refused() {
    let error = plain_lora(LINEAR).open(f32::NAN).expect_err("a refusal");
    assert_eq!(error.code, ErrorCode::BadOption, "{error}");
    let file = plain_lora(LINEAR).with(&format!("{}.alpha", layer_of(LINEAR)), &[], &[1e30]);
    let error = file.merged(1e30).unwrap_err();
    assert_eq!(error.code, ErrorCode::BadOption, "{error}");
    assert!(error.message.contains("test.safetensors"), "{error}");
}

#[test]
fn lora_files_that_are_cut_or_missing_are_named() {
    let bytes = plain_lora(LINEAR).bytes();
    let error = Lora::from_bytes("cut.safetensors", bytes[..bytes.len() - 1].to_vec(), 1.0);
    assert_eq!(error.err().unwrap().code, ErrorCode::ModelDamaged);
    let error = Lora::from_bytes("old.pt", bytes, 1.0).err().unwrap();
    assert!(error.message.contains("PyTorch"), "{error}");
    let missing = model::scratch().join("nowhere.safetensors");
    let error = Lora::open(&missing, 1.0).err().unwrap();
    assert_eq!(error.code, ErrorCode::ModelNotFound);
}

/// A file with a layer of every kind, whose tensors are small.
fn every_kind() -> LoraFile {
    let [outputs, inputs, ..] = sizes(&base(CONV));
    let (loha, lokr) = (layer_of(SHORTCUT), layer_of(LINEAR));
    let mut file = lokr_file(lokr)
        .with_noise(&format!("{loha}.hada_w1_a"), &[outputs, 2])
        .with_noise(&format!("{loha}.hada_w1_b"), &[2, inputs])
        .with_noise(&format!("{loha}.hada_w2_a"), &[outputs, 2])
        .with_noise(&format!("{loha}.hada_w2_b"), &[2, inputs])
        .with_noise(&format!("{loha}.dora_scale"), &[outputs, 1, 1, 1])
        .with_noise("unet.conv_in.diff_b", &base("unet.conv_in.bias").shape);
    let locon = layer_of(CONV);
    for (end, shape) in [
        ("lora_up.weight", [outputs, 2, 1, 1]),
        ("lora_mid.weight", [2, 2, 3, 3]),
        ("lora_down.weight", [2, inputs, 1, 1]),
    ] {
        file = file.with_noise(&format!("{locon}.{end}"), &shape);
    }
    file
}

fn lokr_file(layer: &str) -> LoraFile {
    LoraFile::default()
        .with_noise(&format!("{layer}.lokr_w1"), &[4, 2])
        .with_noise(&format!("{layer}.lokr_w2_a"), &[16, 3])
        .with_noise(&format!("{layer}.lokr_w2_b"), &[3, 16])
        .with(&format!("{layer}.alpha"), &[], &[1.0])
}

#[test]
fn files_with_shapes_and_names_in_disorder_are_answered() {
    let whole = every_kind();
    assert_eq!(whole.merged(1.0).unwrap().len(), 4);
    let mut state = 1u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let (mut refused, mut applied) = (0, 0);
    for _ in 0..200 {
        let mut file = whole.clone();
        for _ in 0..1 + random(2) {
            let names: Vec<String> = file.tensors.keys().cloned().collect();
            let name = &names[random(names.len())];
            let (dtype, mut shape, bytes) = file.tensors.remove(name).unwrap();
            let values = bytes.len() / 4;
            let mut name = name.clone();
            match random(6) {
                0 => shape = vec![values],
                1 => shape = vec![1, values],
                2 => shape.reverse(),
                3 => shape.push(1),
                4 => {
                    let end = names[random(names.len())].split_once('.').unwrap().1;
                    name = format!("{}.{end}", layer_of(CONV));
                }
                _ => continue,
            }
            file.tensors.insert(name, (dtype, shape, bytes));
        }
        match file.merged(1.0) {
            Ok(_) => applied += 1,
            Err(error) => {
                assert!(error.code.is_bad_input(), "{error}");
                assert!(error.message.contains("test.safetensors"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(
        refused > 50 && applied > 10,
        "{refused} refused, {applied} applied"
    );
}

#[test]
fn a_file_is_known_by_the_hash_of_its_tensors() {
    let plain = LoraFile::golden("kohya");
    let noted = plain.clone().with_metadata("title", "mine");
    let digits = |bytes: &[u8]| -> String {
        Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    let bytes = noted.bytes();
    let data = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let lora = noted.open(1.0).unwrap();
    assert_eq!(lora.hash().unwrap(), digits(&bytes[data..]));
    assert_eq!(
        lora.hash().unwrap(),
        plain.open(0.5).unwrap().hash().unwrap(),
        "whatever it says of itself"
    );
    for (start, has) in [
        (&digits(&bytes[data..])[..12], true),
        (&digits(&bytes)[..10], true),
        ("0123456789", false),
    ] {
        assert_eq!(lora.has_hash(start).unwrap(), has, "{start}");
    }
}
