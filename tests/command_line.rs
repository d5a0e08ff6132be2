//! The command line as users run it: files in, files out, one line and an exit code on failure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::command_line::{assert_fails, glassine, packed, pixels, text};
use crate::support::lora::LoraFile;
use crate::support::{Tensors, companions, golden, model};
use glassine::image::Picture;
use glassine::pack::{AdapterKind, Lora};
use serde_json::Value;
use sha2::{Digest, Sha256};

#[test]
fn a_checkpoint_is_packed_and_generates() {
    let folder = model::scratch();
    let options = model::options();
    let pack = folder.join("command-line-pack");
    let decoder = options.transparency_decoder.unwrap();
    let adapter = format!("attn={}", text(&options.adapters[&AdapterKind::Single]));
    let checkpoint = model::checkpoint();
    let output = glassine(&[
        "pack",
        "--model",
        text(&checkpoint),
        "--transparency-decoder",
        text(&decoder),
        "--layers",
        &adapter,
        "--quantize",
        "f16",
        "--out",
        text(&pack),
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stderr.is_empty(), "no progress bar in a pipe");

    let bare = [
        "generate",
        "--model",
        text(&pack),
        "--prompt",
        "an apple",
        "--out",
        "never.png",
    ];
    let with = |more: &[&str]| glassine(&[&bare[..], more].concat());
    let control = plain("control.png", 64, 64, [255, 0, 0, 255]);
    assert_fails(
        &with(&["--control", text(&control)]),
        2,
        &["pack with --controlnet"],
    );
    assert_fails(&with(&["--vae", "tiny"]), 2, &["pack with --taesd-decoder"]);

    let inspected = glassine(&["inspect", text(&pack)]);
    let description = String::from_utf8(inspected.stdout).unwrap();
    assert!(description.contains("mode single: yes"), "{description}");
    assert!(description.contains("mode joint: needs"), "{description}");

    let (picture, dump) = (folder.join("apple.png"), folder.join("dump.safetensors"));
    let common = [
        "--model",
        text(&pack),
        "--steps",
        "2",
        "--width",
        "64",
        "--height",
        "128",
    ];
    let mut generate = vec!["generate", "--prompt", "an apple", "--seed", "7"];
    generate.extend(common);
    generate.extend(["--out", text(&picture), "--dump", text(&dump)]);
    let output = glassine(&generate);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let png = image::open(&picture).unwrap();
    assert_eq!((png.width(), png.height()), (64, 128));
    assert_eq!(png.color(), image::ColorType::Rgba8);

    let tensors = Tensors::load(&dump);
    for name in [
        "text.cond",
        "text.uncond",
        "latent.initial",
        "latent.step.0",
        "latent.step.1",
        "latent.final",
        "pixel",
        "rgba",
    ] {
        assert!(tensors.contains(name), "--dump lacks {name}");
    }
    assert_eq!(tensors.get("latent.final").shape, [1, 4, 16, 8]);
    assert_eq!(tensors.get("rgba").shape, [1, 4, 128, 64]);

    let decoded = folder.join("decoded.png");
    let output = glassine(&[
        "decode",
        "--model",
        text(&pack),
        text(&dump),
        "--out",
        text(&decoded),
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(pixels(&picture), pixels(&decoded));
}

#[test]
fn bad_input_is_one_line_exit_2_and_no_file() {
    let pack = packed();
    let pack = text(&pack);
    let out = model::scratch().join("never.png");
    let run = |arguments: &[&str]| {
        let mut all = vec!["generate", "--out", text(&out)];
        all.extend(arguments);
        glassine(&all)
    };
    let good = ["--model", pack, "--prompt", "an apple"];
    let with = |more: &[&str]| run(&[&good[..], more].concat());
    assert_fails(
        &run(&["--model", "nowhere", "--prompt", "x"]),
        2,
        &["nowhere", "glassine pack"],
    );
    assert_fails(
        &with(&["--width", "100"]),
        2,
        &["width 100", "multiple of 64"],
    );
    assert_fails(&with(&["--steps", "0"]), 2, &["step"]);
    assert_fails(&with(&["--mode", "fg2bg"]), 2, &["fg2bg"]);
    assert_fails(&with(&["--mode", "seven"]), 2, &["seven"]);
    assert_fails(
        &with(&["--sampler", "seven"]),
        2,
        &["seven", "dpmpp-2m-karras"],
    );
    assert_fails(
        &with(&["--sampler", "lcm", "--convention", "layerdiffuse"]),
        2,
        &["lcm"],
    );
    assert_fails(&with(&["--guidance", "nan"]), 2, &["guidance"]);
    assert_fails(&with(&["--decode-passes", "3"]), 2, &["1 or 8"]);
    assert_fails(&with(&["--unknown"]), 2, &["--unknown"]);
    assert_fails(
        &with(&["--noise", "nowhere.safetensors"]),
        2,
        &["nowhere.safetensors"],
    );
    assert!(!out.exists());
}

#[test]
fn a_checkpoint_in_parts_is_packed() {
    let folder = model::scratch();
    let (checkpoint, out) = (model::checkpoint(), folder.join("in-parts"));
    let unet = checkpoint.join("unet/diffusion_pytorch_model.safetensors");
    let (vae, text_encoder) = (checkpoint.join("vae"), checkpoint.join("text_encoder"));
    let pack = |more: &[&str]| {
        let common = ["pack", "--model", text(&unet), "--out", text(&out)];
        glassine(&[&common[..], more].concat())
    };
    let missing = [
        "unet",
        "no text encoder and no VAE",
        "--text-encoder FILE and --vae FILE",
    ];
    assert_fails(&pack(&[]), 2, &missing);
    let page = folder.join("page.safetensors");
    std::fs::write(&page, "<!DOCTYPE html><html></html>").unwrap();
    let wrong = pack(&["--vae", text(&page), "--text-encoder", text(&text_encoder)]);
    assert_fails(&wrong, 2, &["page.safetensors", "web page", "download"]);
    assert_fails(
        &glassine(&["inspect", text(&page)]),
        2,
        &["page.safetensors", "web page"],
    );
    assert!(!out.exists());
    let packed = pack(&["--vae", text(&vae), "--text-encoder", text(&text_encoder)]);
    assert!(
        packed.status.success(),
        "{}",
        String::from_utf8_lossy(&packed.stderr)
    );
    assert!(out.join("manifest.json").is_file());
}

#[test]
fn prompts_take_embeddings_and_say_what_has_no_effect() {
    let scratch = model::scratch();
    let (pack, out) = (packed(), scratch.join("style.png"));
    let named = scratch.join("renamed.pt");
    std::fs::copy(golden("community/tiny-style.pt"), &named).unwrap();
    let run = |more: &[&str]| {
        let all = [
            "generate",
            "--model",
            text(&pack),
            "--mode",
            "opaque",
            "--steps",
            "1",
        ];
        let size = ["--width", "64", "--height", "64", "--out", text(&out)];
        glassine(&[&all[..], &size, more].concat())
    };
    let plain = run(&["--prompt", "a tiny-style house"]);
    assert!(plain.status.success() && plain.stderr.is_empty());
    let before = pixels(&out);
    let file = format!("{}:Tiny-Style", text(&named));
    let prompt = ["--prompt", "a tiny-style house <lora:x:1>", "--embedding"];
    let used = run(&[&prompt[..], &[&file, "--clip-skip", "2"]].concat());
    let message = String::from_utf8_lossy(&used.stderr);
    assert!(used.status.success(), "{message}");
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(lines.len(), 2, "{message}");
    assert!(lines[0].starts_with("warning: <lora:x:1>"), "{message}");
    assert_eq!(lines[1], "embeddings: Tiny-Style");
    assert_ne!(pixels(&out), before);

    let with = |more: &[&str]| run(&[&["--prompt", "a"], more].concat());
    assert_fails(&with(&["--clip-skip", "9"]), 2, &["clip skip 9", "layers"]);
    assert_fails(&with(&["--embedding", "nowhere.pt"]), 2, &["nowhere.pt"]);
    let empty = format!("{}:", text(&named));
    assert_fails(&with(&["--embedding", &empty]), 2, &["renamed.pt", "name"]);
    let and = run(&["--prompt", "a AND b", "--guidance", "1"]);
    assert_fails(&and, 2, &["AND", "guidance"]);
}

#[test]
fn a_pack_has_decode_passes_of_its_own() {
    let scratch = model::scratch();
    let (pack, never) = (scratch.join("one-pass-pack"), scratch.join("never-passes"));
    let checkpoint = model::checkpoint();
    let run = |passes: &str, out: &Path| {
        let model = ["pack", "--model", text(&checkpoint), "--quantize", "f32"];
        glassine(
            &[
                &model[..],
                &["--default-decode-passes", passes, "--out", text(out)],
            ]
            .concat(),
        )
    };
    assert!(run("1", &pack).status.success());
    let manifest = std::fs::read_to_string(pack.join("manifest.json")).unwrap();
    assert!(manifest.contains("\"decode_passes\":1"), "{manifest:.300}");
    assert_fails(&run("3", &never), 2, &["3 decode passes", "1 or 8"]);
    assert!(!never.exists());
}

#[test]
fn a_pack_has_a_clip_skip_of_its_own() {
    let scratch = model::scratch();
    let (pack, never) = (scratch.join("clip-skip-pack"), scratch.join("never-pack"));
    let checkpoint = model::checkpoint();
    let run = |skip: &str, out: &Path| {
        let model = ["pack", "--model", text(&checkpoint), "--quantize", "f32"];
        glassine(
            &[
                &model[..],
                &["--default-clip-skip", skip, "--out", text(out)],
            ]
            .concat(),
        )
    };
    assert_fails(&run("0", &never), 2, &["clip skip 0"]);
    assert_fails(&run("40", &never), 2, &["clip skip 40", "layers"]);
    assert!(!never.exists());
    assert!(run("2", &pack).status.success());
    let picture = |pack: &Path, more: &[&str]| {
        let out = scratch.join("skipped.png");
        let all = [
            "generate",
            "--model",
            text(pack),
            "--mode",
            "opaque",
            "--steps",
            "1",
        ];
        let size = [
            "--width",
            "64",
            "--height",
            "64",
            "--prompt",
            "a",
            "--out",
            text(&out),
        ];
        assert!(glassine(&[&all[..], &size, more].concat()).status.success());
        pixels(&out)
    };
    let by_default = picture(&pack, &[]);
    assert_eq!(by_default, picture(&packed(), &["--clip-skip", "2"]));
    assert_ne!(by_default, picture(&pack, &["--clip-skip", "1"]));
}

#[test]
fn a_picture_says_how_it_was_made() {
    let folder = model::scratch().join("recipes");
    std::fs::create_dir_all(&folder).unwrap();
    let pack = packed();
    let run = |out: &Path, more: &[&str]| {
        let all = [
            "generate",
            "--model",
            text(&pack),
            "--prompt",
            "an apple: red, ripe",
            "--mode",
            "opaque",
        ];
        let size = [
            "--steps",
            "2",
            "--width",
            "64",
            "--height",
            "64",
            "--seed",
            "7",
            "--out",
            text(out),
        ];
        let output = glassine(&[&all[..], &size, more].concat());
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{message}");
    };
    let png = folder.join("o.png");
    let negative = [
        "--negative",
        "blurry 日本",
        "--guidance",
        "7.5",
        "--clip-skip",
        "2",
    ];
    run(&png, &negative);
    let made = std::fs::read(&png).unwrap();
    let manifest = std::fs::read(pack.join("manifest.json")).unwrap();
    let hash: String = Sha256::digest(manifest)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let reader = png::Decoder::new(std::io::Cursor::new(&made))
        .read_info()
        .unwrap();
    let texts: std::collections::BTreeMap<_, _> = reader
        .info()
        .utf8_text
        .iter()
        .map(|chunk| (chunk.keyword.clone(), chunk.get_text().unwrap()))
        .collect();
    let expected = format!(
        "an apple: red, ripe\nNegative prompt: blurry 日本\nSteps: 2, Sampler: DPM++ 2M Karras, \
         CFG scale: 7.5, Seed: 7, Size: 64x64, Model hash: {}, Clip skip: 2, Mode: opaque, \
         Version: glassine {}",
        &hash[..10],
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(texts["parameters"], expected);
    let recipe: Value = serde_json::from_str(&texts["glassine"]).unwrap();
    let all = serde_json::json!({
        "prompt": "an apple: red, ripe", "negativePrompt": "blurry 日本", "mode": "opaque", "steps": 2,
        "guidance": 7.5, "sampler": "dpmpp-2m-karras", "clipSkip": 2, "width": 64, "height": 64, "seed": 7,
        "model": format!("sha256:{hash}"),
    });
    assert_eq!(recipe, all);
    // WebP has the same pixels, and the numbers as one writes them.
    let webp = folder.join("o.WebP");
    run(&webp, &negative);
    let made = std::fs::read(&webp).unwrap();
    assert_eq!(&made[8..16], b"WEBPVP8X");
    assert_eq!(pixels(&webp), pixels(&png));
    run(&folder.join("several.webp"), &["--count", "2"]);
    assert!(folder.join("several.0.webp").exists() && folder.join("several.1.webp").exists());
}

#[test]
fn a_picture_is_made_again_from_what_it_says() {
    let folder = model::scratch().join("made-again");
    std::fs::create_dir_all(&folder).unwrap();
    let pack = packed();
    let names = ["first.png", "second.webp", "other.png", "direct.png"];
    let [first, second, other, direct] = names.map(|name| folder.join(name));
    let run = |out: &Path, more: &[&str]| {
        let output = glassine(
            &[
                &["generate", "--model", text(&pack), "--out", text(out)],
                more,
            ]
            .concat(),
        );
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{message}");
        message
    };
    let size = [
        "--mode", "opaque", "--steps", "2", "--width", "64", "--height", "64",
    ];
    let prompt = [
        "--prompt",
        "an apple,\nNegative prompt: red",
        "--negative",
        "blurry",
    ];
    let noise = [
        "--guidance",
        "4.5",
        "--seed",
        "7",
        "--variation",
        "9:0.25",
        "--sampler",
        "euler-a",
    ];
    run(&first, &[&size[..], &prompt, &noise].concat());
    let inspected = glassine(&["inspect", text(&first)]);
    let said = String::from_utf8(inspected.stdout).unwrap();
    for line in [
        "  prompt: \"an apple,\\nNegative prompt: red\"\n",
        "  seed: 7\n",
        "  variation: {\"amount\":0.25,\"seed\":9}\n",
    ] {
        assert!(inspected.status.success() && said.contains(line), "{said}");
    }
    assert_eq!(run(&second, &["--recipe", text(&first)]), "");
    assert_eq!(pixels(&second), pixels(&first));
    // The WebP's recipe is the same, and what is said beside it counts more.
    run(
        &other,
        &[
            "--recipe",
            text(&second),
            "--seed",
            "8",
            "--prompt",
            "a pear",
        ],
    );
    let others = [
        "--prompt",
        "a pear",
        "--negative",
        "blurry",
        "--guidance",
        "4.5",
        "--seed",
        "8",
    ];
    let more = ["--variation", "9:0.25", "--sampler", "euler-a"];
    run(&direct, &[&size[..], &others, &more].concat());
    assert_eq!(pixels(&other), pixels(&direct));
    // A web UI's text, with a file and a model that are not here, and a start that is not given.
    let foreign = folder.join("foreign.txt");
    let settings = "a cat <lora:ink:0.8>\nSteps: 2, Sampler: Euler, CFG scale: 4, Seed: 3, Size: 64x64, \
        Denoising strength: 0.5, Lora hashes: \"ink: 0a1b2c3d4e5f\", TI hashes: \"style: 0a1b2c3d4e5f\"";
    std::fs::write(&foreign, settings).unwrap();
    let said = run(&second, &["--mode", "opaque", "--recipe", text(&foreign)]);
    for words in [
        "the LoRA ink (hash 0a1b2c3d4e5f)",
        "the embedding style",
        "--init",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let plain = [
        "--prompt",
        "a cat",
        "--steps",
        "2",
        "--sampler",
        "euler",
        "--guidance",
        "4",
        "--seed",
        "3",
    ];
    run(
        &direct,
        &[
            &[
                "--mode",
                "opaque",
                "--clip-skip",
                "1",
                "--width",
                "64",
                "--height",
                "64",
            ][..],
            &plain,
        ]
        .concat(),
    );
    assert_eq!(pixels(&second), pixels(&direct));
}

#[test]
fn what_says_nothing_is_no_recipe() {
    let folder = model::scratch().join("no-recipe");
    std::fs::create_dir_all(&folder).unwrap();
    let plain = folder.join("plain.png");
    image::RgbaImage::new(2, 2).save(&plain).unwrap();
    let inspected = glassine(&["inspect", text(&plain)]);
    let said = String::from_utf8(inspected.stdout).unwrap();
    assert!(
        inspected.status.success() && said.contains("does not say how it was made"),
        "{said}"
    );
    let pack = packed();
    let out = folder.join("out.png");
    let with = |recipe: &Path| {
        glassine(&[
            "generate",
            "--model",
            text(&pack),
            "--recipe",
            text(recipe),
            "--out",
            text(&out),
        ])
    };
    assert_fails(&with(&plain), 2, &["--recipe", "plain.png", "does not say"]);
    assert_fails(&with(&folder.join("none.png")), 2, &["none.png"]);
    let letter = folder.join("letter.txt");
    std::fs::write(&letter, "Dear Steps: 3").unwrap();
    assert_fails(&with(&letter), 2, &["letter.txt"]);
    let wrong = folder.join("wrong.json");
    std::fs::write(&wrong, "{\"prompt\": \"a cat\", \"sampler\": \"magic\"}").unwrap();
    assert_fails(&with(&wrong), 2, &["sampler", "magic"]);
    assert_fails(
        &glassine(&["generate", "--model", text(&pack), "--out", text(&out)]),
        2,
        &["--prompt"],
    );
    assert!(!out.exists());
    // What would move a terminal's cursor is shown and not done.
    std::fs::write(folder.join("rude.png"), rude()).unwrap();
    let inspected = glassine(&["inspect", text(&folder.join("rude.png"))]);
    let said = String::from_utf8(inspected.stdout).unwrap();
    assert!(
        said.contains("a cat") && !said.contains(['\u{1b}', '\u{9b}']),
        "{said:?}"
    );
}

/// A PNG whose prompt has a terminal's commands in it.
fn rude() -> Vec<u8> {
    let text = "a cat \u{1b}[2J \u{9b}2J\nSteps: 4, Seed: 1, No\u{1b}te: \u{9b}x";
    crate::support::texts::png(&[(
        b"iTXt",
        "parameters",
        &[b"\0\0\0\0", text.as_bytes()].concat(),
    )])
}

#[test]
fn of_two_loras_of_one_name_the_recipes_hash_decides() {
    let file = |seed: &str| {
        let layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
        // Of the tiny model's width.
        let up = [if seed == "one" { 0.5 } else { -0.5 }; 2 * 64];
        LoraFile::default()
            .with_noise(&format!("{layer}.lora_down.weight"), &[2, 64])
            .with(&format!("{layer}.lora_up.weight"), &[64, 2], &up)
    };
    let folders = ["one", "two"]
        .map(|name| file(name).in_folder(&format!("same-name-{name}"), "ink.safetensors", None));
    let [one, two] = folders
        .each_ref()
        .map(|folder| folder.join("ink.safetensors"));
    let pack = packed();
    let run = |out: &Path, more: &[&str]| {
        let size = [
            "--mode", "opaque", "--steps", "2", "--width", "64", "--height", "64",
        ];
        let all = [
            &["generate", "--model", text(&pack), "--out", text(out)],
            &size[..],
            more,
        ]
        .concat();
        let output = glassine(&all);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{message}");
        message
    };
    let made = folders.each_ref().map(|folder| folder.join("made.png"));
    for (made, lora) in made.iter().zip([&one, &two]) {
        run(
            made,
            &["--prompt", "a cat <lora:ink:0.7>", "--lora", text(lora)],
        );
    }
    assert_ne!(pixels(&made[0]), pixels(&made[1]));
    for (made, lora) in made.iter().zip([&one, &two]) {
        let read = glassine::image::read_recipe(&std::fs::read(made).unwrap())
            .unwrap()
            .unwrap();
        let hash = Lora::open(lora, 1.0).unwrap().hash().unwrap().to_string();
        assert_eq!(
            read.recipe["loras"],
            serde_json::json!([{"name": "ink", "strength": 0.7, "hash": hash}])
        );
        for order in [[&one, &two], [&two, &one]] {
            let again = folders[0].join("again.png");
            let given = [
                "--recipe",
                text(made),
                "--lora",
                text(order[0]),
                "--lora",
                text(order[1]),
            ];
            let said = run(&again, &given);
            assert!(said.contains("is left out"), "{said}");
            assert_eq!(pixels(&again), pixels(made));
        }
    }
    // Another file than the recipe's is used, and said.
    let again = folders[0].join("again.png");
    let said = run(&again, &["--recipe", text(&made[0]), "--lora", text(&two)]);
    assert!(said.contains("no file of the LoRA ink"), "{said}");
    assert_eq!(pixels(&again), pixels(&made[1]));
}

#[test]
fn files_appear_whole_or_not_at_all() {
    let pack = packed();
    let out = model::scratch().join("no-such-folder/apple.png");
    let output = glassine(&[
        "generate",
        "--model",
        text(&pack),
        "--prompt",
        "an apple",
        "--steps",
        "1",
        "--width",
        "64",
        "--height",
        "64",
        "--decode-passes",
        "1",
        "--out",
        text(&out),
    ]);
    assert_fails(&output, 2, &["no-such-folder"]);
}

/// A picture of one colour.
fn plain(name: &str, width: u32, height: u32, color: [u8; 4]) -> PathBuf {
    let path = model::scratch().join(name);
    let picture = image::RgbaImage::from_pixel(width, height, image::Rgba(color));
    picture.save(&path).unwrap();
    path
}

#[test]
fn a_picture_is_encoded_and_is_a_start() {
    let (pack, folder) = (packed(), model::scratch());
    let picture = plain("start.png", 64, 64, [200, 40, 40, 255]);
    let latent = folder.join("start.safetensors");
    let output = glassine(&[
        "encode",
        "--model",
        text(&pack),
        text(&picture),
        "--out",
        text(&latent),
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(Tensors::load(&latent).get("latent").shape, [1, 4, 8, 8]);

    let generate = |init: &Path, more: &[&str], out: &str| {
        let out = folder.join(out);
        let mut arguments = vec![
            "generate",
            "--model",
            text(&pack),
            "--prompt",
            "an apple",
            "--mode",
            "opaque",
            "--width",
            "64",
            "--height",
            "64",
            "--steps",
            "2",
            "--init",
            text(init),
            "--out",
            text(&out),
        ];
        arguments.extend(more);
        (glassine(&arguments), out.clone())
    };
    for (init, name) in [(&picture, "from-picture.png"), (&latent, "from-latent.png")] {
        let (output, out) = generate(init, &[], name);
        assert!(output.status.success() && out.exists(), "{name}");
    }
    let wide = plain("wide.png", 100, 50, [0, 0, 0, 255]);
    assert_fails(
        &generate(&wide, &[], "never-wide.png").0,
        2,
        &["100 x 50", "64 x 64"],
    );
    assert!(generate(&wide, &["--fit"], "fitted.png").0.status.success());
    assert_fails(
        &generate(&pack.join("manifest.json"), &[], "never.png").0,
        2,
        &["PNG"],
    );
}

#[test]
fn companions_are_told_apart() {
    let control_net = golden("controlnet/model").join("diffusion_pytorch_model.safetensors");
    let (decoder, encoder) = (companions::taesd_decoder(), companions::taesd_encoder());
    for (path, name) in [
        (control_net, "ControlNet"),
        (decoder, "TAESD decoder"),
        (encoder, "TAESD encoder"),
    ] {
        let description = glassine(&["inspect", text(&path)]).stdout;
        let description = String::from_utf8(description).unwrap();
        assert!(description.starts_with(name), "{description}");
    }
}

/// Makes a picture of 64 x 64 in two steps as `out` in the scratch folder.
fn generate_small(mode: &str, out: &str, more: &[&str]) -> (Output, PathBuf) {
    let (pack, out) = (packed(), model::scratch().join(out));
    let common = [
        "generate",
        "--model",
        text(&pack),
        "--prompt",
        "an apple",
        "--width",
        "64",
        "--height",
        "64",
        "--steps",
        "2",
        "--mode",
        mode,
        "--out",
        text(&out),
    ];
    (glassine(&[&common[..], more].concat()), out)
}

#[test]
fn a_control_picture_and_the_tiny_vae_are_options() {
    let folder = model::scratch();
    let control = plain("hint.png", 100, 50, [255, 255, 255, 255]);
    let run = |out: &str, more: &[&str]| generate_small("opaque", out, more);
    let control = ["--control", text(&control), "--fit"];
    let steered = |out: &str, more: &[&str]| run(out, &[&control[..], more].concat());
    let good = [
        run("free.png", &[]),
        steered("steered.png", &["--control-scale", "1.5"]),
        steered(
            "at-the-end.png",
            &["--control-start", "0.5", "--control-end", "1"],
        ),
        run("tiny.png", &["--vae", "tiny"]),
    ];
    let mut pictures = BTreeSet::new();
    for (output, path) in &good {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        pictures.insert(pixels(path));
    }
    assert_eq!(
        pictures.len(),
        good.len(),
        "each option makes a picture of its own"
    );

    let fails = |output: Output, words: &[&str]| assert_fails(&output, 2, words);
    fails(
        steered("no.png", &["--control-scale", "nan"]).0,
        &["control scale", "0 to 10"],
    );
    fails(
        steered("no.png", &["--control-start", "1"]).0,
        &["control from 1 to 1"],
    );
    fails(
        steered("no.png", &["--control-end", "1.5"]).0,
        &["control from 0 to 1.5"],
    );
    fails(run("no.png", &control[..2]).0, &["100 x 50", "64 x 64"]);
    fails(
        generate_small("single", "no.png", &["--vae", "tiny"]).0,
        &["mode single", "alpha"],
    );
    fails(
        run("no.png", &["--vae", "small"]).0,
        &["small", "full or tiny"],
    );
    assert!(!folder.join("no.png").exists());
}

#[test]
fn several_control_pictures_have_control_nets_of_their_own() {
    let picture = plain("bright.png", 64, 64, [255, 255, 255, 255]);
    let other = plain("dark.png", 64, 64, [40, 0, 90, 255]);
    let file = golden("controlnet/model");
    let run = |out: &str, more: &[&str]| generate_small("opaque", out, more);
    let two = ["--control", text(&picture), "--control", text(&other)];
    let good = |out: &str, more: &[&str]| {
        let (output, out) = run(out, more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        (out, said)
    };
    let settings = [
        "--controlnet",
        "pack",
        "--controlnet",
        text(&file),
        "--control-scale",
        "0.5",
        "--control-scale",
        "1.25",
        "--control-end",
        "0.5",
    ];
    let (made, _) = good("two-controls.png", &[&two[..], &settings].concat());
    let (plainly, _) = good("two-plain-controls.png", &two);
    assert_ne!(pixels(&made), pixels(&plainly));
    // A picture says how it was made, but for the pictures and files, which are given again.
    let recipe = ["--recipe", text(&made)];
    let nets = ["--controlnet", "pack", "--controlnet", text(&file)];
    let (again, said) = good(
        "two-controls-again.png",
        &[&two[..], &nets, &recipe].concat(),
    );
    assert_eq!(pixels(&made), pixels(&again));
    assert_eq!(said, "");
    let (_, said) = good("one-control.png", &[&two[..2], &recipe].concat());
    assert!(
        said.contains("made with 2 --control, and 1 are given"),
        "{said}"
    );

    let fails = |more: &[&str], words: &[&str]| {
        let (output, out) = run("no-control.png", more);
        assert_fails(&output, 2, words);
        assert!(!out.exists());
    };
    fails(&nets, &["--controlnet is for --control"]);
    fails(
        &[&two[..2], &nets].concat(),
        &["2 --controlnet for 1 --control", "at most"],
    );
    let lora = golden("lora/kohya.safetensors");
    fails(
        &[&two[..2], &["--controlnet", text(&lora)]].concat(),
        &["kohya", "LoRA"],
    );
    fails(
        &[&two[..2], &["--controlnet", "nowhere.safetensors"]].concat(),
        &["nowhere.safetensors"],
    );
}

#[test]
fn edges_of_a_picture_are_white_lines_on_black() {
    let folder = model::scratch();
    let path = folder.join("disc.png");
    let disc = image::RgbaImage::from_fn(64, 64, |x, y| {
        let far = (x as i32 - 32).pow(2) + (y as i32 - 32).pow(2) > 20 * 20;
        let bright = if x < 32 { 40 } else { 220 };
        image::Rgba([bright, bright, bright, if far { 0 } else { 255 }])
    });
    disc.save(&path).unwrap();
    let edges = |more: &[&str]| {
        let out = folder.join("disc-edges.png");
        let output = glassine(&[&["edges", text(&path), "--out", text(&out)], more].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        image::open(&out).unwrap().into_rgba8()
    };
    let is_line = |picture: &image::RgbaImage, x: u32, y: u32| {
        let near = (x - 2..=x + 2).flat_map(|x| (y - 2..=y + 2).map(move |y| (x, y)));
        near.map(|(x, y)| picture.get_pixel(x, y).0)
            .any(|pixel| pixel == [255; 4])
    };
    let (color, alpha) = (edges(&[]), edges(&["--of", "alpha"]));
    for (x, y) in [(12, 32), (52, 32), (32, 12), (32, 52)] {
        assert!(is_line(&alpha, x, y), "no outline near {x}, {y}");
    }
    assert!(is_line(&color, 32, 32) && !is_line(&alpha, 32, 32));
    assert!(!is_line(&edges(&["--high", "2000"]), 32, 32));

    let out = folder.join("no-edges.png");
    let common = ["edges", text(&path), "--out", text(&out)];
    for (more, words) in [
        (&["--low", "0"][..], &["edges from 0 to 100", "above 0"][..]),
        (&["--of", "depth"], &["depth", "color or alpha"]),
    ] {
        assert_fails(&glassine(&[&common[..], more].concat()), 2, words);
    }
    let onto_itself = ["edges", text(&path), "--out", text(&path)];
    assert_fails(&glassine(&onto_itself), 2, &["disc.png"]);
}

#[test]
fn a_scene_is_flattened() {
    let folder = model::scratch();
    plain("below.png", 4, 4, [255, 0, 0, 255]);
    plain("above.png", 2, 2, [0, 0, 255, 255]);
    let scene = folder.join("scene.json");
    let json = r#"{ "glassine": 1, "width": 4, "height": 4, "layers": [
        { "image": "below.png" }, { "image": "above.png", "x": 1, "y": 1, "opacity": 0.5 } ] }"#;
    std::fs::write(&scene, json).unwrap();
    let out = folder.join("scene.png");
    let output = glassine(&["compose", text(&scene), "--out", text(&out)]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let flat = image::open(&out).unwrap().into_rgba8();
    assert_eq!(flat.get_pixel(0, 0).0, [255, 0, 0, 255]);
    assert_eq!(flat.get_pixel(2, 2).0, [128, 0, 128, 255]);
    for (name, start) in [("scene.ora", "PK"), ("scene.PSD", "8BPS")] {
        let out = folder.join(name);
        let output = glassine(&["compose", text(&scene), "--out", text(&out)]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(std::fs::read(&out).unwrap().starts_with(start.as_bytes()));
    }

    std::fs::write(&scene, json.replace("above.png", "nowhere.png")).unwrap();
    for name in ["failed.png", "failed.ora", "failed.psd"] {
        let failed = folder.join(name);
        let output = glassine(&["compose", text(&scene), "--out", text(&failed)]);
        assert_fails(&output, 2, &["nowhere.png"]);
        assert!(!failed.exists());
    }
    let output = glassine(&["compose", text(&scene), "--out", "scene.jpg"]);
    assert_fails(&output, 2, &["scene.jpg", ".ora"]);
}

#[test]
fn several_pictures_have_numbers_and_the_next_seeds() {
    let (pack, folder) = (packed(), model::scratch().join("several"));
    std::fs::create_dir_all(&folder).unwrap();
    let (out, dump) = (folder.join("o.png"), folder.join("o.safetensors"));
    let run = |more: &[&str]| {
        let common = [
            "generate",
            "--model",
            text(&pack),
            "--prompt",
            "a cat",
            "--mode",
            "opaque",
        ];
        let size = [
            "--width",
            "64",
            "--height",
            "64",
            "--steps",
            "1",
            "--out",
            text(&out),
        ];
        glassine(&[&common[..], &size, more].concat())
    };
    let several = run(&["--seed", "4", "--count", "2", "--dump", text(&dump)]);
    assert!(
        several.status.success(),
        "{}",
        String::from_utf8_lossy(&several.stderr)
    );
    assert!(!out.exists());
    let picture = |name: &str| pixels(&folder.join(name));
    let (first, second) = (picture("o.0.png"), picture("o.1.png"));
    assert!(folder.join("o.0.safetensors").is_file() && folder.join("o.1.safetensors").is_file());
    assert!(run(&["--seed", "5"]).status.success());
    assert_eq!(picture("o.png"), second);
    assert_ne!(first, second);
    assert_fails(&run(&["--count", "0"]), 2, &["count of 0", "1 to"]);

    // All of a variation is the other seed's picture, and none of it changes nothing.
    assert!(run(&["--seed", "5", "--variation", "4:0"]).status.success());
    assert_eq!(picture("o.png"), second);
    assert!(run(&["--seed", "5", "--variation", "4:1"]).status.success());
    assert_eq!(picture("o.png"), first);
    assert!(
        run(&["--seed", "5", "--variation", "4:0.5"])
            .status
            .success()
    );
    assert!(picture("o.png") != first && picture("o.png") != second);
    assert_fails(&run(&["--variation", "4"]), 2, &["SEED:AMOUNT"]);
    assert_fails(&run(&["--variation", "4:1.5"]), 2, &["1.5", "0 to 1"]);
}

#[test]
fn a_model_of_few_words_says_what_it_was_not_taught() {
    let folder = model::scratch().join("few-words");
    std::fs::create_dir_all(&folder).unwrap();
    let (list, pack, out) = (
        folder.join("words.json"),
        folder.join("pack"),
        folder.join("o.png"),
    );
    let checkpoint = model::checkpoint();
    let packs = |list: &Path| {
        let _ = std::fs::remove_dir_all(&pack);
        let model = ["pack", "--model", text(&checkpoint), "--out", text(&pack)];
        glassine(&[&model[..], &["--words", text(list)]].concat())
    };
    assert_fails(
        &packs(&folder.join("none.json")),
        2,
        &["none.json", "list of phrases"],
    );
    std::fs::write(&list, r#"{"apple": 1}"#).unwrap();
    assert_fails(&packs(&list), 2, &["words.json", "list of phrases"]);
    std::fs::write(&list, r#"["a red apple", "on a table"]"#).unwrap();
    assert!(packs(&list).status.success());

    let says = |prompt: &str| {
        let request = ["generate", "--model", text(&pack), "--prompt", prompt];
        let rest = ["--steps", "1", "--mode", "opaque", "--out", text(&out)];
        let made = glassine(&[&request[..], &rest].concat());
        assert!(made.status.success());
        String::from_utf8_lossy(&made.stderr).into_owned()
    };
    assert!(says("(a Red dragonfly:1.2) on a table").contains("not taught: dragonfly;"));
    assert!(!says("a red apple").contains("warning"));
}

#[test]
fn a_picture_is_enlarged_or_extended() {
    let (pack, folder) = (packed(), model::scratch().join("growing"));
    std::fs::create_dir_all(&folder).unwrap();
    let (given, out) = (folder.join("given.png"), folder.join("o.png"));
    let picture = Picture {
        width: 40,
        height: 32,
        rgba: [200, 40, 40, 255].repeat(40 * 32),
    };
    std::fs::write(&given, picture.to_png().unwrap()).unwrap();
    let run = |more: &[&str]| {
        let common = ["generate", "--model", text(&pack), "--prompt", "a cat"];
        let rest = ["--init", text(&given), "--steps", "2", "--out", text(&out)];
        glassine(&[&common[..], &rest, more].concat())
    };
    for (options, size) in [
        (["--extend", "0,8,24,0"], (64, 40)),
        (["--enlarge", "1.5"], (60, 48)),
    ] {
        let made = run(&options);
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let picture = Picture::from_file(&std::fs::read(&out).unwrap()).unwrap();
        assert_eq!((picture.width, picture.height), size);
    }
    for wrong in ["8", "0,8,24", "0,-8,24,0", "a,b,c,d"] {
        assert_fails(&run(&["--extend", wrong]), 2, &["LEFT,TOP,RIGHT,BOTTOM"]);
    }
    assert_fails(&run(&["--extend", "0,0,0,0"]), 2, &["left, top"]);
}

#[test]
fn a_second_pass_enlarges_the_first() {
    let (pack, folder) = (packed(), model::scratch().join("hires"));
    std::fs::create_dir_all(&folder).unwrap();
    let (out, dump) = (folder.join("o.png"), folder.join("o.safetensors"));
    let run = |more: &[&str]| {
        let common = ["generate", "--model", text(&pack), "--prompt", "a cat"];
        let size = [
            "--width",
            "64",
            "--height",
            "64",
            "--steps",
            "2",
            "--out",
            text(&out),
        ];
        glassine(&[&common[..], &size, more].concat())
    };
    let made = run(&["--mode", "opaque", "--hires", "1.9", "--dump", text(&dump)]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let picture = Picture::from_file(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!((picture.width, picture.height), (120, 120));
    let tensors = crate::support::Tensors::load(&dump);
    assert_eq!(tensors.get("latent.final").shape, [1, 4, 8, 8]);
    assert_eq!(tensors.get("hires.latent.final").shape, [1, 4, 15, 15]);
    // Half of two steps.
    assert!(!tensors.contains("hires.latent.step.1"));
    assert_fails(&run(&["--mode", "joint", "--hires", "2"]), 2, &["joint"]);
    assert_fails(&run(&["--hires", "0.5"]), 2, &["0.5", "above 1"]);
    assert_fails(
        &run(&["--hires-strength", "0.5"]),
        2,
        &["--hires-strength", "--hires"],
    );
}
