//! How pictures were made, read from what glassine, the web UIs and ComfyUI write, and from what nobody should.

use crate::support::texts::{exif, jpeg, png, webp, zlib};
use glassine::ErrorCode;
use glassine::image::{Picture, ReadRecipe, Recipe, parameters, read_recipe};
use serde_json::{Value, json};

/// A text as A1111's web UI writes it.
const TEXT: &str = "a castle, (stone:1.2)\nat \"dusk\": wide <lora:ink:0.8> <lora:Glow:0.5:0.25>\n\
    Negative prompt: blurry,\nlow quality\n\
    Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 3748372615, Size: 512x768, \
    Model hash: 6ce0161689, Model: v1-5-pruned, VAE hash: 735e4c3a44, VAE: vae-ft-mse.pt, \
    Variation seed: 77, Variation seed strength: 0.25, Denoising strength: 0.45, Clip skip: 2, \
    Hires upscale: 1.5, Hires steps: 12, Hires upscaler: Latent, Mask blur: 4, \
    ControlNet 0: \"Module: canny, Weight: 1, Guidance Start: 0\", \
    Lora hashes: \"ink: 0a1b2c3d4e5f, Glow: aabbccddeeff\", TI hashes: \"easynegative: 66a7279a88dd\", Version: v1.9.4";

fn read(file: &[u8]) -> ReadRecipe {
    let read = read_recipe(file).unwrap_or_else(|error| panic!("{error}"));
    read.expect("a recipe")
}

fn of_text(text: &str) -> ReadRecipe {
    read(&png(&[(b"tEXt", "parameters", text.as_bytes())]))
}

fn object(value: Value) -> Recipe {
    value.as_object().unwrap().clone()
}

fn other<'a>(read: &'a ReadRecipe, name: &str) -> Option<&'a str> {
    let found = read.others.iter().find(|(own, _)| own == name);
    found.map(|(_, value)| value.as_str())
}

/// What [`TEXT`] says.
fn expected() -> Recipe {
    object(json!({
        "prompt": "a castle, (stone:1.2)\nat \"dusk\": wide <lora:ink:0.8> <lora:Glow:0.5:0.25>",
        "negativePrompt": "blurry,\nlow quality",
        "steps": 28, "sampler": "dpmpp-2m-karras", "guidance": 6.5, "seed": 3748372615u64,
        "width": 512, "height": 768, "clipSkip": 2, "maskSoftness": 4,
        "variation": {"seed": 77, "amount": 0.25},
        "hires": {"scale": 1.5, "strength": 0.45},
        "loras": [
            {"name": "ink", "strength": 0.8, "hash": "0a1b2c3d4e5f"},
            // Their first number is the text encoder's.
            {"name": "Glow", "strength": 0.25, "textEncoderStrength": 0.5, "hash": "aabbccddeeff"},
        ],
        "embeddings": [{"name": "easynegative", "hash": "66a7279a88dd"}],
    }))
}

#[test]
fn fields_of_the_web_uis_land_where_they_belong() {
    let read = of_text(TEXT);
    assert_eq!(read.recipe, expected());
    for (name, value) in [
        ("Model hash", "6ce0161689"),
        ("Model", "v1-5-pruned"),
        ("VAE", "vae-ft-mse.pt"),
        ("Hires steps", "12"),
        ("Hires upscaler", "Latent"),
        (
            "ControlNet 0",
            "Module: canny, Weight: 1, Guidance Start: 0",
        ),
        ("Version", "v1.9.4"),
    ] {
        assert_eq!(other(&read, name), Some(value), "{name}");
    }
    let said = read.warnings.join("\n");
    for words in ["12", "<lora:Glow:0.5:0.25>"] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn texts_are_found_wherever_programs_put_them() {
    let bytes = TEXT.as_bytes();
    let utf16 = |unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let units = TEXT.encode_utf16().flat_map(unit);
        b"UNICODE\0".iter().copied().chain(units).collect()
    };
    let [big, little] = [utf16(u16::to_be_bytes), utf16(u16::to_le_bytes)];
    let ascii = [b"ASCII\0\0\0", bytes].concat();
    let none = [&[0; 8], bytes].concat();
    let utf8 = [b"UNICODE\0", bytes].concat();
    let mut files = vec![
        png(&[(b"tEXt", "parameters", bytes)]),
        png(&[(b"zTXt", "parameters", &[&[0], &*zlib(bytes)].concat())]),
        png(&[(b"iTXt", "parameters", &[b"\0\0en\0\0", bytes].concat())]),
        png(&[(
            b"iTXt",
            "parameters",
            &[b"\x01\0\0\0", &*zlib(bytes)].concat(),
        )]),
        jpeg(&[(0xfe, bytes)]),
        jpeg(&[(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", &*xmp()].concat())]),
        webp(&[(b"XMP ", &xmp())]),
    ];
    for comment in [&big, &little, &ascii, &none, &utf8, &bytes.to_vec()] {
        for little_endian in [false, true] {
            let exif = exif(comment, little_endian);
            files.push(jpeg(&[
                (0xe0, b"JFIF\0"),
                (0xe1, &[b"Exif\0\0", &*exif].concat()),
            ]));
            files.push(webp(&[(b"EXIF", &exif)]));
            files.push(webp(&[(b"EXIF", &[b"Exif\0\0", &*exif].concat())]));
            files.push(png(&[(b"eXIf", "", &exif)]));
        }
    }
    files.push(TEXT.into());
    for (index, file) in files.iter().enumerate() {
        assert_eq!(read(file).recipe, expected(), "file {index}");
    }
}

fn xmp() -> Vec<u8> {
    let text = TEXT.replace('<', "&lt;").replace('"', "&quot;");
    format!(
        "<?xpacket begin=\"\"?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"r\" xmlns:exif=\"e\">\
         <rdf:Description><exif:UserComment><rdf:Alt><rdf:li xml:lang=\"x-default\">{text}</rdf:li></rdf:Alt>\
         </exif:UserComment></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    .into()
}

#[test]
fn texts_come_in_many_shapes() {
    // Without a negative prompt.
    let plain = of_text("a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64");
    let expected = json!({
        "prompt": "a cat", "steps": 20, "sampler": "euler-a", "guidance": 7, "seed": 1, "width": 64, "height": 64,
        "clipSkip": 1,
    });
    assert_eq!(plain.recipe, object(expected));
    assert_eq!(plain.warnings, [""; 0]);
    // In one line, with what looks like settings in the prompts.
    let line = of_text(
        "a robot, Steps: 3, walking Negative prompt: bad, worse Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64",
    );
    assert_eq!(line.recipe["prompt"], "a robot, Steps: 3, walking");
    assert_eq!(line.recipe["negativePrompt"], "bad, worse");
    assert_eq!(line.recipe["steps"], 20);
    let sign = of_text("a sign: Negative prompt: none\nSteps: 20, Sampler: Euler, Seed: 1");
    assert_eq!(sign.recipe["prompt"], "a sign: Negative prompt: none");
    assert!(!sign.recipe.contains_key("negativePrompt"));
    // Settings alone, line breaks of Windows, what has no value, JSON as it is, and notes behind it all.
    let odd = of_text(
        "a cat\r\nNegative prompt: dog\r\nSteps: 4, Tiled, Sampler: Heun, Seed: x, Size: big, Clip skip: 2, \
         Civitai resources: [{\"type\": \"lora\", \"weight\": 1}], Extra: \"a, b\": c\r\nTemplate: a {cat|dog}",
    );
    assert_eq!(
        odd.recipe,
        object(json!({"prompt": "a cat", "negativePrompt": "dog", "steps": 4, "clipSkip": 2}))
    );
    for (name, value) in [
        ("Tiled", ""),
        ("Sampler", "Heun"),
        ("Seed", "x"),
        ("Size", "big"),
        ("Civitai resources", "[{\"type\": \"lora\", \"weight\": 1}]"),
        ("Template", "a {cat|dog}"),
    ] {
        assert_eq!(other(&odd, name), Some(value), "{name}");
    }
    assert!(odd.warnings.join(" ").contains("Heun"));
    let alone = of_text("Steps: 20, Sampler: Euler, Seed: 5");
    assert!(!alone.recipe.contains_key("prompt"));
    // Latin-1, and UTF-8 where Latin-1 should be.
    let latin = png(&[(b"tEXt", "parameters", b"stra\xdfe\nSteps: 4, Seed: 1")]);
    assert_eq!(read(&latin).recipe["prompt"], "straße");
    assert_eq!(
        of_text("日本 straße\nSteps: 4, Seed: 1").recipe["prompt"],
        "日本 straße"
    );
    // A start from a picture, and a second pass to a size.
    let image = of_text("a cat\nSteps: 20, Size: 512x512, Seed: 1, Denoising strength: 0.3");
    assert_eq!(image.recipe["strength"], 0.3);
    let resized = of_text(
        "a cat\nSteps: 20, Size: 512x768, Seed: 1, Denoising strength: 0.3, Hires resize: 768x1152",
    );
    assert_eq!(
        resized.recipe["hires"],
        json!({"scale": 1.5, "strength": 0.3})
    );
    let stretched = of_text("a cat\nSteps: 20, Size: 512x512, Seed: 1, Hires resize: 768x1152");
    assert_eq!(other(&stretched, "Hires resize"), Some("768x1152"));
}

#[test]
fn two_loras_of_one_name_keep_their_hashes() {
    let read = of_text(
        "x <lora:ink:0.8> <lora:INK:0.5>\nSteps: 4, Seed: 1, Lora hashes: \"ink: aaaaaaaaaaaa, ink: bbbbbbbbbbbb, lost: cccccccccccc\"",
    );
    let expected = json!([
        {"name": "ink", "strength": 0.8, "hash": "aaaaaaaaaaaa"},
        {"name": "INK", "strength": 0.5, "hash": "bbbbbbbbbbbb"},
        {"name": "lost", "hash": "cccccccccccc"},
    ]);
    assert_eq!(read.recipe["loras"], expected);
}

/// Prompts that look like something else.
const AWKWARD: [&str; 24] = [
    "a red apple",
    "",
    "two\nlines, \"quoted\": yes",
    "Steps: 3",
    "Steps: 3, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 1x1",
    "Steps: 3, Sampler: Euler, Seed: 1,",
    "a\nSteps: 3, Sampler: Euler, Seed: 1,\n",
    "Negative prompt: no",
    "a\nNegative prompt: b\nNegative prompt: c",
    "  space around \n ",
    "\n\n",
    "line ends\r\nof Windows\r",
    "back\\slash \\\" \\n \\",
    "日本 🍐 straße",
    "Ã¼ is not ü",
    "nul\0nul",
    "tab\tand\u{85}next\u{2028}line",
    "Version: glassine 0.1.0",
    "x, Version: glassine 0.1.0",
    "Prompt: \"other\", Negative prompt: \"x\"",
    "<lora:ink:0.8> <lora:>",
    "{\"prompt\": 1}",
    "say Negative prompt: x, Steps: 4, Seed: 1, Size: 2x2",
    "\"",
];

fn full(prompt: &str, negative: &str) -> Recipe {
    let mut recipe = object(json!({
        "steps": 20, "sampler": "unipc-karras", "guidance": 7.5, "seed": 9007199254740991u64, "width": 512,
        "height": 768, "clipSkip": 2, "model": "sha256:0123456789", "mode": "single", "maskSoftness": 8,
        "variation": {"seed": 9, "amount": 0.2}, "hires": {"scale": 1.5, "strength": 0.5}, "keepAlpha": true,
        "controlScale": 0.75, "foregroundPrompt": negative, "own": prompt, "ownNumber": "7", "ownFlag": "true",
        "ownURL": "https://site.example/a,b",
    }));
    for (field, text) in [("prompt", prompt), ("negativePrompt", negative)] {
        recipe.insert(field.into(), text.into());
    }
    // What is empty is not written.
    recipe.retain(|_, value| *value != json!(""));
    recipe
}

#[test]
fn what_is_written_is_read_back_the_same() {
    for prompt in AWKWARD {
        for negative in AWKWARD {
            let mut recipe = full(prompt, negative);
            let text = parameters(&recipe);
            if prompt.contains("<lora:ink") {
                let loras = json!([{"name": "ink", "strength": 0.8}]);
                recipe.insert("loras".into(), loras);
            }
            let read = of_text_alone(&text);
            assert_eq!(read.recipe, recipe, "{text}");
            assert_eq!((read.others, read.warnings), (vec![], vec![]), "{text}");
            // And again from what was read.
            assert_eq!(parameters(&recipe), text);
        }
    }
}

/// Of a JPEG, whose comment is the text as it is.
fn of_text_alone(text: &str) -> ReadRecipe {
    read(&png(&[(
        b"iTXt",
        "parameters",
        &[b"\0\0\0\0", text.as_bytes()].concat(),
    )]))
}

#[test]
fn random_prompts_are_read_back_the_same() {
    const PIECES: [&str; 20] = [
        "Steps: 3",
        "Negative prompt:",
        "\n",
        ", ",
        ": ",
        "\"",
        "\\",
        " ",
        "a cat",
        "Seed: 1",
        "Size: 2x2",
        "Version: ",
        "glassine 1",
        "{",
        "[",
        "Prompt: \"x\"",
        "\r",
        "ß",
        "Sampler: Euler",
        "Mode: single",
    ];
    let mut state = 7u64;
    let mut random = |most: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    for _ in 0..4000 {
        let [prompt, negative] = [(); 2].map(|()| {
            let pieces = (0..random(9)).map(|_| PIECES[random(20) as usize]);
            pieces.collect::<String>()
        });
        let recipe = full(&prompt, &negative);
        let text = parameters(&recipe);
        let read = of_text_alone(&text);
        assert_eq!(read.recipe, recipe, "{text}");
    }
}

#[test]
fn pictures_of_glassine_lose_nothing() {
    let picture = Picture {
        width: 2,
        height: 1,
        rgba: vec![1, 2, 3, 0, 4, 5, 6, 7],
    };
    for prompt in AWKWARD {
        let mut recipe = full(prompt, "x");
        recipe.insert(
            "own".into(),
            json!({"deep": [1, {"a": null}], "text": prompt}),
        );
        recipe.insert(
            "loras".into(),
            json!([{"name": "ink", "strength": 1, "hash": "0".repeat(64)}]),
        );
        for file in [
            picture.to_png_with(Some(&recipe)),
            picture.to_webp(Some(&recipe)),
        ] {
            let read = read(&file.unwrap());
            assert_eq!(read.recipe, recipe);
            assert_eq!((read.others, read.warnings), (vec![], vec![]));
        }
    }
    // Where another program has thrown the JSON away, the text is left.
    let text = parameters(&expected());
    let mut read = of_text(&text);
    assert_eq!(
        read.recipe.remove("loras").unwrap()[0]["hash"],
        "0a1b2c3d4e5f"
    );
    let mut expected = expected();
    expected.remove("loras");
    assert_eq!(read.recipe, expected);
}

/// A graph of ComfyUI's as it runs: text to image with a LoRA.
fn graph() -> Value {
    json!({
        "3": {"class_type": "KSampler", "inputs": {
            "seed": 156680208700286u64, "steps": 20, "cfg": 8, "sampler_name": "euler", "scheduler": "normal",
            "denoise": 1, "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd/v1-5.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a \"glass\" bottle\nSteps: 3", "clip": ["11", 0]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, watermark", "clip": ["11", 0]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
        "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "styles\\ink.safetensors", "strength_model": 0.8,
            "strength_clip": 0.5, "model": ["4", 0], "clip": ["4", 1]}},
        "11": {"class_type": "CLIPSetLastLayer", "inputs": {"stop_at_clip_layer": -2, "clip": ["10", 1]}},
    })
}

fn of_graph(graph: &Value) -> ReadRecipe {
    read(&png(&[(b"tEXt", "prompt", graph.to_string().as_bytes())]))
}

/// What [`graph`] says.
fn graphs() -> Value {
    json!({
        "prompt": "a \"glass\" bottle\nSteps: 3", "negativePrompt": "text, watermark", "steps": 20, "sampler": "euler",
        "guidance": 8, "seed": 156680208700286u64, "width": 512, "height": 768, "clipSkip": 2,
        "loras": [{"name": "ink", "strength": 0.8, "textEncoderStrength": 0.5}],
    })
}

#[test]
fn common_graphs_of_comfy_are_read() {
    let read_graph = of_graph(&graph());
    assert_eq!(read_graph.recipe, object(graphs()));
    assert_eq!(read_graph.warnings, [""; 0]);
    assert_eq!(other(&read_graph, "Model"), Some("v1-5"));
    // In a WebP or a JPEG, and as a file of its own.
    let text = graph().to_string();
    let named = [b"prompt:", text.as_bytes()].concat();
    for file in [
        webp(&[(
            b"EXIF",
            &crate::support::texts::exif_field(0x0110, 2, &named),
        )]),
        text.clone().into_bytes(),
    ] {
        assert_eq!(read(&file).recipe, object(graphs()));
    }
    // With numbers that are none in it, as Python writes them.
    let broken = text.replace("\"batch_size\":1", "\"batch_size\":1,\"is_changed\":[NaN]");
    let file = png(&[(b"tEXt", "prompt", broken.as_bytes())]);
    assert_eq!(read(&file).recipe, object(graphs()));
    // A text and a number in nodes of their own.
    let mut linked = graph();
    linked["6"]["inputs"]["text"] = json!(["20", 0]);
    linked["20"] = json!({"class_type": "PrimitiveStringMultiline", "inputs": {"value": "a cat"}});
    linked["3"]["inputs"]["seed"] = json!(["21", 0]);
    linked["21"] = json!({"class_type": "PrimitiveInt", "inputs": {"value": 5}});
    let read = of_graph(&linked);
    assert_eq!(
        (&read.recipe["prompt"], &read.recipe["seed"]),
        (&json!("a cat"), &json!(5))
    );
}

#[test]
fn a_graph_as_it_is_drawn_is_read() {
    let workflow = json!({
        "nodes": [
            {"id": 3, "type": "KSampler", "mode": 0, "widgets_values": [5, "randomize", 20, 8, "dpmpp_2m", "karras", 1],
             "inputs": [{"name": "model", "type": "MODEL", "link": 1}, {"name": "positive", "type": "CONDITIONING", "link": 4},
                        {"name": "negative", "type": "CONDITIONING", "link": 6}, {"name": "latent_image", "type": "LATENT", "link": 2}]},
            {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["v1-5.ckpt"], "outputs": []},
            {"id": 5, "type": "EmptyLatentImage", "widgets_values": [512, 768, 1]},
            {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a pear"], "inputs": [{"name": "clip", "type": "CLIP", "link": 3}]},
            {"id": 7, "type": "CLIPTextEncode", "widgets_values": [""], "inputs": [{"name": "clip", "type": "CLIP", "link": 3}]},
            {"id": 8, "type": "VAEDecode", "inputs": [{"name": "samples", "type": "LATENT", "link": 7}]},
            {"id": 9, "type": "SaveImage", "widgets_values": ["x"], "inputs": [{"name": "images", "type": "IMAGE", "link": 9}]},
            {"id": 12, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": 8}]},
            {"id": 13, "type": "LoraLoader", "mode": 4, "widgets_values": ["off.safetensors", 1, 1],
             "inputs": [{"name": "model", "type": "MODEL", "link": 10}], "outputs": [{"name": "MODEL", "type": "MODEL"}]},
            {"id": 14, "type": "Note", "widgets_values": ["hello"]},
        ],
        "links": [
            [1, 13, 0, 3, 0, "MODEL"], [2, 5, 0, 3, 3, "LATENT"], [3, 4, 1, 6, 0, "CLIP"], [4, 6, 0, 3, 1, "CONDITIONING"],
            [6, 7, 0, 3, 2, "CONDITIONING"], [7, 3, 0, 8, 0, "LATENT"], [8, 8, 0, 12, 0, "IMAGE"], [9, 12, 0, 9, 0, "IMAGE"],
            {"id": 10, "origin_id": 4, "origin_slot": 0, "target_id": 13, "target_slot": 0, "type": "MODEL"},
        ],
    });
    let file = png(&[(b"tEXt", "workflow", workflow.to_string().as_bytes())]);
    let expected = json!({
        "prompt": "a pear", "steps": 20, "sampler": "dpmpp-2m-karras", "guidance": 8, "seed": 5, "width": 512, "height": 768,
        "clipSkip": 1,
    });
    let read = read(&file);
    assert_eq!(read.recipe, object(expected));
    assert_eq!(read.warnings, [""; 0]);
}

#[test]
fn what_is_not_known_of_a_graph_is_said() {
    // Two passes.
    let mut twice = graph();
    twice["12"] =
        json!({"class_type": "LatentUpscaleBy", "inputs": {"samples": ["3", 0], "scale_by": 1.5}});
    twice["13"] = twice["3"].clone();
    twice["13"]["inputs"]["latent_image"] = json!(["12", 0]);
    twice["13"]["inputs"]["denoise"] = json!(0.6);
    twice["8"]["inputs"]["samples"] = json!(["13", 0]);
    let read = of_graph(&twice);
    assert_eq!(read.recipe["hires"], json!({"scale": 1.5, "strength": 0.6}));
    assert_eq!(read.recipe["prompt"], graphs()["prompt"]);
    assert_eq!(read.warnings, [""; 0]);
    // One more behind them: the first is read, and the others are said.
    let mut thrice = twice.clone();
    thrice["14"] = thrice["13"].clone();
    thrice["14"]["inputs"]["latent_image"] = json!(["13", 0]);
    thrice["8"]["inputs"]["samples"] = json!(["14", 0]);
    assert!(
        of_graph(&thrice)
            .warnings
            .join(" ")
            .contains("several samplers")
    );
    // Two pictures of one graph.
    let mut two = graph();
    two["13"] = two["3"].clone();
    two["14"] = json!({"class_type": "VAEDecode", "inputs": {"samples": ["13", 0]}});
    two["15"] = json!({"class_type": "SaveImage", "inputs": {"images": ["14", 0]}});
    let read = of_graph(&two);
    assert!(
        read.recipe.is_empty() && read.warnings[0].contains("2 samplers"),
        "{read:?}"
    );
    // What nobody knows, each in its place.
    for (node, class, words) in [
        ("3", "SamplerCustomAdvanced", "no sampler"),
        ("6", "TextEncodeFancy", "TextEncodeFancy"),
        ("8", "FaceRestore", "FaceRestore"),
        ("5", "LoadLatent", "LoadLatent"),
        ("5", "VAEEncode", "began with a picture"),
        ("5", "VAEEncodeForInpaint", "repainted"),
        ("10", "ModelMergeSimple", "ModelMergeSimple"),
    ] {
        let mut other = graph();
        other[node]["class_type"] = json!(class);
        let read = of_graph(&other);
        assert!(
            read.warnings.join(" ").contains(words),
            "{class}: {:?}",
            read.warnings
        );
    }
    let mut heun = graph();
    heun["3"]["inputs"]["sampler_name"] = json!("heun");
    let read = of_graph(&heun);
    assert!(!read.recipe.contains_key("sampler"));
    assert_eq!(other(&read, "sampler_name"), Some("heun"));
    assert!(read.warnings[0].contains("heun"));
    let mut steered = graph();
    steered["3"]["inputs"]["positive"] = json!(["30", 0]);
    steered["30"] = json!({"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["6", 0], "negative": ["7", 0]}});
    let read = of_graph(&steered);
    assert_eq!(read.recipe["prompt"], graphs()["prompt"]);
    assert!(read.warnings.join(" ").contains("ControlNet"));
    // A circle ends.
    let mut circle = graph();
    circle["10"]["inputs"]["model"] = json!(["10", 0]);
    circle["8"]["inputs"]["samples"] = json!(["8", 0]);
    let _ = of_graph(&circle);
}

#[test]
fn pictures_without_a_recipe_say_so() {
    let picture = Picture {
        width: 1,
        height: 1,
        rgba: vec![0; 4],
    };
    for file in [
        picture.to_png().unwrap(),
        picture.to_webp(None).unwrap(),
        png(&[
            (b"tEXt", "Comment", b"Created with GIMP"),
            (b"tEXt", "Software", b"Steps: 4, Seed: 1"),
        ]),
        jpeg(&[(0xfe, b"my cat: Steps: none, at home")]),
        jpeg(&[(
            0xe1,
            &[b"Exif\0\0", &*exif(b"ASCII\0\0\0a holiday", false)].concat(),
        )]),
        png(&[(b"tEXt", "parameters", b"")]),
        png(&[(b"tEXt", "prompt", b"a cat"), (b"tEXt", "workflow", b"{}")]),
    ] {
        assert_eq!(read_recipe(&file).unwrap(), None);
    }
    for file in [
        &b""[..],
        b"GIF89a",
        b"a letter",
        b"{\"glassine\": 1, \"layers\": []}",
        b"{",
        b"\xff\xfe",
    ] {
        assert_eq!(read_recipe(file).unwrap_err().code, ErrorCode::BadImage);
    }
    // Another program's own form under the web UIs' name is kept and not taken for a prompt.
    let read = of_text("{\"sui_image_params\": {\"prompt\": \"a cat\"}}");
    assert!(read.recipe.is_empty() && read.warnings.len() == 1 && read.others.len() == 1);
}

#[test]
fn a_recipe_that_is_none_is_not_believed() {
    let json = json!({"prompt": 5, "steps": "many", "loras": [{"strength": 1}], "seed": 7, "own": {"kept": true}});
    let read = read(&png(&[(b"tEXt", "glassine", json.to_string().as_bytes())]));
    assert_eq!(
        read.recipe,
        object(json!({"seed": 7, "own": {"kept": true}}))
    );
    assert_eq!(read.others.len(), 3);
    assert_eq!(read.warnings.len(), 3);
    // What is no JSON leaves the text.
    let both = png(&[
        (b"tEXt", "glassine", b"[1"),
        (b"tEXt", "parameters", TEXT.as_bytes()),
    ]);
    assert_eq!(read_recipe(&both).unwrap().unwrap().recipe, expected());
}

#[test]
fn what_strangers_send_stays_within_bounds() {
    // A bomb of 64 MiB, which is said and costs nothing.
    let bomb = zlib(&vec![b'a'; 64 << 20]);
    for file in [
        png(&[(b"zTXt", "parameters", &[&[0], &*bomb].concat())]),
        png(&[(b"iTXt", "prompt", &[b"\x01\0\0\0", &*bomb].concat())]),
    ] {
        let read = read(&file);
        assert!(
            read.recipe.is_empty() && read.warnings[0].contains("longer texts"),
            "{read:?}"
        );
    }
    // Beside one, a text that is short enough is still read.
    let both = png(&[
        (b"zTXt", "other", &[&[0], &*bomb].concat()),
        (b"tEXt", "parameters", TEXT.as_bytes()),
    ]);
    assert_eq!(read(&both).recipe, expected());
    let long = format!("{}\nSteps: 4, Seed: 1", "a".repeat(1 << 20));
    assert!(of_text(&long).warnings[0].contains("256 KiB"));
    for deep in [
        "[".repeat(1 << 20),
        "{\"a\":".repeat(1 << 18),
        "{\"1\":{\"class_type\":\"KSampler\",\"inputs\":".repeat(1 << 14),
    ] {
        for keyword in ["glassine", "prompt", "workflow", "parameters"] {
            let _ = read_recipe(&png(&[(b"tEXt", keyword, deep.as_bytes())]));
        }
    }
    // Lengths and places that are not there, and files that end anywhere.
    let whole = [
        png(&[(b"tEXt", "parameters", TEXT.as_bytes())]),
        jpeg(&[
            (0xe1, &[b"Exif\0\0", &*exif(b"ASCII\0\0\0x", true)].concat()),
            (0xfe, TEXT.as_bytes()),
        ]),
        webp(&[(b"EXIF", &exif(TEXT.as_bytes(), false))]),
    ];
    for file in whole {
        for end in 0..file.len() {
            let _ = read_recipe(&file[..end]);
        }
        for place in 0..file.len().min(200) {
            for value in [0, 0x7f, 0xff] {
                let mut other = file.clone();
                other[place] = value;
                let _ = read_recipe(&other);
            }
        }
    }
    // A directory whose fields all stand for one long text.
    let many = crate::support::texts::exif_fields(&vec![(0x010e, 2); 500], &vec![b'x'; 1 << 20]);
    let _ = read_recipe(&webp(&[(b"EXIF", &many)]));
    // Nothing but tags, names or lines.
    for piece in [
        "<",
        "<lora:a:1>",
        "Steps: 4, ",
        "\n",
        "a: 1,",
        "\"",
        "Negative prompt:",
        "Lora hashes: \"a: 1234\", ",
    ] {
        let text = piece.repeat(200_000 / piece.len()) + "\nSteps: 4, Seed: 1";
        let _ = read_recipe(&png(&[(b"tEXt", "parameters", text.as_bytes())]));
    }
}
