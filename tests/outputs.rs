//! What the command line writes, and what it refuses before it works.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::command_line::{assert_fails, glassine, packed, pixels, text};
use crate::support::model;
use glassine::internals::weights::{Dtype, write_safetensors};

/// A new folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = model::scratch().join("outputs").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn assert_succeeds(output: &Output) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
}

/// `glassine generate` of a small picture, with what is given instead of what is usual.
fn generate(more: &[&str]) -> Output {
    let pack = packed();
    let usual = [
        ["--model", text(&pack)],
        ["--prompt", "a cat"],
        ["--steps", "1"],
        ["--seed", "1"],
        ["--width", "64"],
        ["--height", "64"],
        ["--decode-passes", "1"],
    ];
    let usual = usual.into_iter().filter(|[flag, _]| !more.contains(flag));
    let mut arguments = vec!["generate"];
    arguments.extend(usual.flatten());
    arguments.extend(more);
    glassine(&arguments)
}

/// A picture of one colour.
fn plain(path: &Path, width: u32, height: u32) -> String {
    let picture = image::RgbaImage::from_pixel(width, height, image::Rgba([200, 40, 40, 255]));
    picture.save(path).unwrap();
    text(path).into()
}

/// A scene of that one layer.
fn scene(path: &Path, image: &str) -> String {
    let image = serde_json::to_string(image).unwrap();
    let json = format!(r#"{{"width": 4, "height": 4, "layers": [{{"image": {image}}}]}}"#);
    std::fs::write(path, json).unwrap();
    text(path).into()
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_any_work() {
    let folder = folder("places");
    let path = |name: &str| text(&folder.join(name)).to_owned();
    std::fs::create_dir(folder.join("folder.png")).unwrap();
    std::fs::create_dir(folder.join("o.blended.png")).unwrap();
    std::fs::write(folder.join("file"), "mine").unwrap();
    // The model is not even looked for.
    let refused = |arguments: &[&str], words: &[&str]| {
        let common = ["generate", "--model", "nowhere", "--prompt", "x"];
        assert_fails(&glassine(&[&common[..], arguments].concat()), 2, words);
    };
    let out = path("o.png");
    refused(
        &["--out", &path("none/o.png")],
        &["none", "folder", "create it"],
    );
    refused(&["--out", &path("file/o.png")], &["file", "folder"]);
    refused(
        &["--out", &path("folder.png")],
        &["folder.png", "it is a folder"],
    );
    refused(&["--out", &path("o.png/")], &["o.png/", "a folder's name"]);
    refused(
        &["--out", &path("o.jpg")],
        &["o.jpg", "name a .png or .webp file"],
    );
    refused(
        &["--out", &path("o.gif")],
        &["o.gif", "name a .png or .webp file"],
    );
    refused(&["--out", &path("o")], &["name a .png or .webp file"]);
    refused(&["--out", "/dev/null"], &["/dev/null", ".png"]);
    refused(
        &["--out", &out, "--mode", "joint"],
        &["o.blended.png", "it is a folder"],
    );
    refused(
        &["--out", &out, "--dump", &path("none/d.safetensors")],
        &["none", "create it"],
    );
    refused(
        &["--out", &out, "--dump", &path("d.png")],
        &["d.png", ".safetensors"],
    );
    refused(&["--out", &out, "--dump", &out], &["o.png"]);
    let encode = |out: &str| glassine(&["encode", "--model", "nowhere", "none.png", "--out", out]);
    assert_fails(
        &encode(&path("o.png")),
        2,
        &["o.png", "name a .safetensors file"],
    );
    assert_fails(
        &encode(&path("none/o.safetensors")),
        2,
        &["none", "create it"],
    );
    let decode = glassine(&[
        "decode",
        "--model",
        "nowhere",
        "none.safetensors",
        "--out",
        &path("o.jpg"),
    ]);
    assert_fails(&decode, 2, &["o.jpg", "name a .png or .webp file"]);
    let compose = glassine(&["compose", "none.json", "--out", &path("none/o.png")]);
    assert_fails(&compose, 2, &["none", "create it"]);
    assert_eq!(names(&folder), ["file", "folder.png", "o.blended.png"]);
    assert_eq!(std::fs::read(folder.join("file")).unwrap(), b"mine");
}

#[cfg(unix)]
#[test]
fn devices_and_pipes_are_not_replaced() {
    let folder = folder("devices");
    let link = folder.join("null.png");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    assert_fails(
        &generate(&["--out", text(&link)]),
        2,
        &["null.png", "no ordinary file"],
    );
    assert!(link.is_symlink());
}

#[test]
fn nothing_of_other_peoples_is_touched() {
    let folder = folder("others");
    let out = folder.join("o.png");
    for name in ["o.png.partial", "o.partial", ".o.png.partial"] {
        std::fs::write(folder.join(name), "mine").unwrap();
    }
    assert_succeeds(&generate(&["--out", text(&out)]));
    assert_eq!(
        names(&folder),
        [".o.png.partial", "o.partial", "o.png", "o.png.partial"]
    );
    for name in ["o.png.partial", "o.partial", ".o.png.partial"] {
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), b"mine");
    }
}

#[cfg(unix)]
#[test]
fn links_are_written_through() {
    let folder = folder("links");
    let real = folder.join("real");
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("old.png"), "old").unwrap();
    for (link, to) in [("old.png", "real/old.png"), ("new.png", "real/new.png")] {
        let link = folder.join(link);
        std::os::unix::fs::symlink(to, &link).unwrap();
        assert_succeeds(&generate(&["--out", text(&link)]));
        assert!(link.is_symlink(), "{to}");
        assert!(image::open(folder.join(to)).is_ok(), "{to}");
    }
    let broken = folder.join("broken.png");
    std::os::unix::fs::symlink("none/new.png", &broken).unwrap();
    assert_fails(
        &generate(&["--out", text(&broken)]),
        2,
        &["broken.png", "create it"],
    );
    let circle = folder.join("circle.png");
    std::os::unix::fs::symlink("circle.png", &circle).unwrap();
    assert_fails(&generate(&["--out", text(&circle)]), 2, &["circle.png"]);
    // Two names of one file.
    let dump = folder.join("dump.safetensors");
    std::os::unix::fs::symlink("real/old.png", &dump).unwrap();
    let twice = generate(&[
        "--out",
        text(&folder.join("old.png")),
        "--dump",
        text(&dump),
    ]);
    assert_fails(&twice, 2, &["dump.safetensors", "twice"]);
}

#[test]
fn an_input_is_not_overwritten() {
    let folder = folder("inputs");
    let picture = plain(&folder.join("a.png"), 64, 64);
    let before = std::fs::read(&picture).unwrap();
    let same = format!("{}/../inputs/a.png", text(&folder));
    for out in [&picture, &same] {
        let output = generate(&["--mode", "opaque", "--init", &picture, "--out", out]);
        assert_fails(&output, 2, &["a.png", "read and would be overwritten"]);
    }
    #[cfg(unix)]
    {
        let link = folder.join("link.png");
        std::os::unix::fs::symlink("a.png", &link).unwrap();
        let output = generate(&["--mode", "opaque", "--init", &picture, "--out", text(&link)]);
        assert_fails(&output, 2, &["link.png", "overwritten"]);
        let hard = folder.join("hard.png");
        std::fs::hard_link(&picture, &hard).unwrap();
        let output = generate(&["--mode", "opaque", "--init", text(&hard), "--out", &picture]);
        assert_fails(&output, 2, &["a.png", "overwritten"]);
    }
    let scene = scene(&folder.join("scene.json"), "a.png");
    assert_fails(
        &glassine(&["compose", &scene, "--out", &picture]),
        2,
        &["a.png", "overwritten"],
    );
    let shard = format!("{}/shard-00001.safetensors", text(&packed()));
    assert!(Path::new(&shard).exists());
    let out = folder.join("o.png");
    assert_fails(
        &generate(&["--out", text(&out), "--dump", &shard]),
        2,
        &["shard-00001", "overwritten"],
    );
    assert_eq!(std::fs::read(&picture).unwrap(), before);
    assert!(!out.exists());
}

/// Runs glassine where files may have so many blocks of 512 bytes and the process so many KiB.
#[cfg(unix)]
fn limited(limits: &str, arguments: &[&str]) -> Output {
    // What is too long then fails as on a full disk, and does not kill.
    let script = format!("trap '' XFSZ; ulimit {limits}; exec \"$@\"");
    Command::new("sh")
        .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_glassine")])
        .args(arguments)
        .output()
        .expect("running a shell")
}

#[cfg(unix)]
#[test]
fn all_files_are_written_or_none() {
    let (pack, folder) = (packed(), folder("full"));
    let (out, dump) = (folder.join("o.png"), folder.join("d.safetensors"));
    std::fs::write(&out, "old").unwrap();
    // There is room for the picture, which comes first, and not for the dump.
    let output = limited(
        "-f 64",
        &[
            "generate",
            "--model",
            text(&pack),
            "--prompt",
            "a cat",
            "--steps",
            "1",
            "--width",
            "64",
            "--height",
            "64",
            "--decode-passes",
            "1",
            "--mode",
            "opaque",
            "--out",
            text(&out),
            "--dump",
            text(&dump),
        ],
    );
    assert_fails(&output, 1, &["d.safetensors", "nothing was written"]);
    assert_eq!(names(&folder), ["o.png"]);
    assert_eq!(std::fs::read(&out).unwrap(), b"old");
}

#[cfg(target_os = "linux")]
#[test]
fn a_scene_that_is_too_large_for_the_memory_is_said() {
    let folder = folder("memory");
    plain(&folder.join("large.png"), 4096, 4096);
    let json = r#"{"width": 4, "height": 4, "layers": [{"image": "large.png", "scale": 0.4}]}"#;
    let scene = folder.join("scene.json");
    std::fs::write(&scene, json).unwrap();
    let out = folder.join("o.png");
    let arguments = ["compose", text(&scene), "--out", text(&out)];
    // The picture takes 64 MiB, and so does its half as numbers.
    assert_fails(&limited("-v 120000", &arguments), 1, &["no memory"]);
    assert!(!out.exists());
    assert_succeeds(&limited("-v 1000000", &arguments));
    std::fs::remove_file(&out).unwrap();

    // The flattened scene takes 64 MiB, and what its thumbnail is made of four times as much.
    std::fs::write(&scene, r#"{"width": 4096, "height": 4096, "layers": []}"#).unwrap();
    let out = folder.join("o.ora");
    let arguments = ["compose", text(&scene), "--out", text(&out)];
    let words = ["no memory", "268435456 bytes of the picture"];
    assert_fails(&limited("-v 250000", &arguments), 1, &words);
    assert!(!out.exists());
    assert_succeeds(&limited("-v 1000000", &arguments));
}

#[test]
fn a_pack_is_written_beside_what_is_there() {
    let folder = folder("packs");
    let checkpoint = model::checkpoint();
    let pack = |model: &Path, out: &Path| {
        let arguments = [
            "pack",
            "--quantize",
            "f32",
            "--model",
            text(model),
            "--out",
            text(out),
        ];
        glassine(&arguments)
    };
    let out = folder.join("x");
    std::fs::create_dir(folder.join("x.partial")).unwrap();
    std::fs::write(folder.join("x.partial/notes.txt"), "mine").unwrap();
    assert_succeeds(&pack(&checkpoint, &out));
    assert_eq!(names(&folder), ["x", "x.partial"]);
    assert_eq!(names(&folder.join("x.partial")), ["notes.txt"]);

    // A pack is replaced, and what lies in it stays.
    let first = names(&out);
    std::fs::write(out.join("README.md"), "mine").unwrap();
    std::fs::write(out.join("shard-99999.safetensors"), "of a larger pack").unwrap();
    assert_succeeds(&pack(&checkpoint, &out));
    let mut expected = first.clone();
    expected.push("README.md".into());
    expected.sort();
    assert_eq!(names(&out), expected);

    // One that fails leaves the old one, and no folder that it has made.
    assert_fails(&pack(&folder.join("none"), &out), 2, &["none"]);
    assert_eq!(names(&out), expected);
    assert_fails(
        &pack(&folder.join("none"), &folder.join("a/b/c")),
        2,
        &["none"],
    );
    assert_eq!(names(&folder), ["x", "x.partial"]);

    let file = folder.join("file");
    std::fs::write(&file, "mine").unwrap();
    assert_fails(
        &pack(&checkpoint, &file),
        2,
        &["exists and is not a folder"],
    );
    assert_fails(
        &pack(&checkpoint, &file.join("y")),
        2,
        &["cannot be written", "name a folder"],
    );
    assert_fails(
        &pack(&checkpoint, &folder.join("x.partial")),
        2,
        &["is not a pack"],
    );
    // Nobody may write there, not even root; where there is no such place, there is no case.
    let nowhere = Path::new("/proc/glassine/pack");
    if nowhere.ancestors().nth(2).is_some_and(Path::is_dir) {
        assert_fails(
            &pack(&checkpoint, nowhere),
            2,
            &["cannot be written", "name a folder"],
        );
    }
}

#[cfg(unix)]
#[test]
fn a_pack_goes_where_a_link_points() {
    let folder = folder("linked-pack");
    std::fs::create_dir(folder.join("real")).unwrap();
    std::os::unix::fs::symlink("real", folder.join("link")).unwrap();
    for _ in 0..2 {
        let (model, out) = (model::checkpoint(), folder.join("link"));
        let arguments = [
            "pack",
            "--quantize",
            "f32",
            "--model",
            text(&model),
            "--out",
            text(&out),
        ];
        assert_succeeds(&glassine(&arguments));
        assert!(out.is_symlink() && folder.join("real/manifest.json").is_file());
        assert_eq!(names(&folder), ["link", "real"]);
    }
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let folder = folder("useless");
    let out = folder.join("o.png");
    let refused = |more: &[&str], words: &[&str]| {
        let output = generate(&[&["--out", text(&out)], more].concat());
        assert_fails(&output, 2, words);
    };
    refused(&["--strength", "0.7"], &["--strength", "--init"]);
    refused(&["--offset-gain", "300"], &["--offset-gain", "--init"]);
    refused(
        &["--control-scale", "1"],
        &["--control-scale", "give --control"],
    );
    refused(
        &["--control-start", "0"],
        &["--control-start", "give --control"],
    );
    refused(
        &["--control-end", "1"],
        &["--control-end", "give --control"],
    );
    for flag in ["--fg-prompt", "--bg-prompt", "--blended-prompt"] {
        refused(&["--mode", "opaque", flag, "x"], &["mode opaque", flag]);
    }
    refused(&["--bg-prompt", "x"], &["mode single", "--bg-prompt"]);
    assert_eq!(names(&folder), [""; 0]);
    // Empty ones leave the prompt alone, and the frame of mode single has its prompt.
    assert_succeeds(&generate(&[
        "--out",
        text(&out),
        "--bg-prompt",
        "",
        "--fg-prompt",
        "x",
    ]));
}

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    let folder = folder("ranges");
    let out = folder.join("o.png");
    let picture = plain(&folder.join("a.png"), 64, 64);
    let refused = |more: &[&str], words: &[&str]| {
        let output = generate(&[&["--out", text(&out)], more].concat());
        assert_fails(&output, 2, words);
    };
    refused(&["--guidance", "-1"], &["guidance -1", "0 to 100"]);
    refused(&["--guidance", "-1e3"], &["guidance -1000", "0 to 100"]);
    for flag in [
        "--steps",
        "--width",
        "--height",
        "--seed",
        "--decode-passes",
    ] {
        refused(&[flag, "-1"], &[flag, "not negative"]);
    }
    let init = ["--mode", "opaque", "--init", &picture, "--strength"];
    for strength in ["-0.5", "0", "1.5", "nan"] {
        refused(&[&init[..], &[strength]].concat(), &["strength", "1"]);
    }
    let pack = |more: &[&str]| {
        let (checkpoint, out) = (model::checkpoint(), folder.join("pack"));
        let common = ["pack", "--model", text(&checkpoint), "--out", text(&out)];
        glassine(&[&common[..], more].concat())
    };
    for guidance in ["nan", "-1", "inf"] {
        assert_fails(&pack(&["--default-guidance", guidance]), 2, &["guidance"]);
    }
    for steps in ["0", "-1", "1001"] {
        assert_fails(&pack(&["--default-steps", steps]), 2, &["steps"]);
    }
    assert_eq!(names(&folder), ["a.png"]);
}

#[test]
fn the_strength_of_a_lora_is_told_from_its_name() {
    let folder = folder("loras");
    let lora = crate::support::golden("lora/kohya.safetensors");
    let (out, lora) = (folder.join("o.png"), text(&lora).to_owned());
    let with = |lora: &str| generate(&["--out", text(&out), "--mode", "opaque", "--lora", lora]);
    for strength in ["abc", "0,8", "", "nan", "1e9", "-1e9"] {
        let words = ["strength", &format!("{strength:?}"), "-100 to 100"];
        assert_fails(&with(&format!("{lora}:{strength}")), 2, &words);
    }
    assert_fails(&with("nowhere:abc"), 2, &["nowhere:abc"]);
    assert_fails(&with("nowhere:0.5"), 2, &["nowhere"]);
    let checkpoint = model::checkpoint();
    let pack = folder.join("pack");
    let output = glassine(&[
        "pack",
        "--model",
        text(&checkpoint),
        "--lora",
        &format!("{lora}:0,8"),
        "--out",
        text(&pack),
    ]);
    assert_fails(&output, 2, &["strength", "0,8"]);
    assert_eq!(names(&folder), [""; 0]);

    // A file that is called like that is meant, and not a file of half its name.
    let colon = folder.join("a:2");
    std::fs::copy(&lora, &colon).unwrap();
    let picture = |lora: &str| {
        assert_succeeds(&with(lora));
        pixels(&out)
    };
    let as_it_is = picture(&lora);
    assert_eq!(picture(text(&colon)), as_it_is);
    assert_eq!(picture(&format!("{}:1", text(&colon))), as_it_is);
    assert_ne!(picture(&format!("{}:2", text(&colon))), as_it_is);
    std::fs::copy(&lora, folder.join("a")).unwrap();
    assert_eq!(picture(text(&colon)), as_it_is);
}

#[test]
fn a_latent_of_another_size_is_refused_also_with_fit() {
    let folder = folder("latents");
    let pack = packed();
    let latent = folder.join("l.safetensors");
    let picture = plain(&folder.join("a.png"), 64, 64);
    assert_succeeds(&glassine(&[
        "encode",
        "--model",
        text(&pack),
        &picture,
        "--out",
        text(&latent),
    ]));
    let out = folder.join("o.png");
    // Of as many values as the right one, too.
    for (width, height) in [("128", "64"), ("128", "32"), ("32", "128")] {
        let output = generate(&[
            "--mode",
            "opaque",
            "--init",
            text(&latent),
            "--fit",
            "--width",
            width,
            "--height",
            height,
            "--out",
            text(&out),
        ]);
        let sizes = [width, height].map(|side| side.parse::<usize>().unwrap() / 8);
        let needed = format!("[1, 4, {}, {}]", sizes[1], sizes[0]);
        assert_fails(&output, 2, &["[1, 4, 8, 8]", &needed]);
    }
    assert!(!out.exists());
}

#[test]
fn tensors_that_are_not_finite_are_refused_before_any_work() {
    let folder = folder("not-finite");
    let pack = packed();
    let file = |name: &str, values: Vec<f32>| {
        let path = folder.join(format!("{name}.safetensors"));
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let tensor = (name.to_string(), Dtype::F32, vec![1, 4, 8, 8], bytes);
        std::fs::write(&path, write_safetensors(&[tensor])).unwrap();
        path
    };
    let mut values = vec![0.0; 256];
    values[17] = f32::NAN;
    let latent = file("latent", values.clone());
    values[17] = f32::NEG_INFINITY;
    let noise = file("noise", values);
    let out = folder.join("o.png");
    let size = ["--mode", "opaque", "--width", "64", "--height", "64"];
    for (option, path) in [("--init", &latent), ("--noise", &noise)] {
        let output = generate(&[&size[..], &[option, text(path), "--out", text(&out)]].concat());
        assert_fails(&output, 2, &[text(path), "NaN or infinity"]);
    }
    let output = glassine(&[
        "decode",
        "--model",
        text(&pack),
        text(&latent),
        "--out",
        text(&out),
    ]);
    assert_fails(&output, 2, &[text(&latent), "NaN or infinity"]);
    assert!(!out.exists());
}

#[test]
fn a_scene_names_pictures_in_its_folder_only() {
    let folder = folder("scenes");
    let inside = folder.join("scene");
    std::fs::create_dir_all(inside.join("parts")).unwrap();
    plain(&folder.join("outside.png"), 4, 4);
    plain(&inside.join("a.png"), 4, 4);
    plain(&inside.join("parts/b.png"), 4, 4);
    let out = folder.join("o.png");
    let compose = |image: &str| {
        let scene = scene(&inside.join("scene.json"), image);
        glassine(&["compose", &scene, "--out", text(&out)])
    };
    for image in ["a.png", "./a.png", "parts/b.png", "parts/../a.png"] {
        assert_succeeds(&compose(image));
    }
    std::fs::remove_file(&out).unwrap();
    let absolute = inside.join("a.png");
    for image in [
        "../outside.png",
        "parts/../../outside.png",
        "../scene/a.png",
        "/etc/passwd",
        "/dev/zero",
        text(&absolute),
    ] {
        assert_fails(&compose(image), 2, &["outside of its folder", image]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/dev/zero", inside.join("zero.png")).unwrap();
        std::os::unix::fs::symlink("../outside.png", inside.join("link.png")).unwrap();
        std::os::unix::fs::symlink("a.png", inside.join("good.png")).unwrap();
        assert_fails(&compose("zero.png"), 2, &["outside of its folder"]);
        assert_fails(&compose("link.png"), 2, &["outside of its folder"]);
        assert_succeeds(&compose("good.png"));
    }
    assert_fails(&compose("parts"), 2, &["parts", "no ordinary file"]);
    assert_fails(&compose(""), 2, &["no ordinary file"]);
}

#[cfg(unix)]
#[test]
fn files_without_an_end_are_refused() {
    let out = folder("endless").join("o.png");
    let refused = |output: Output| assert_fails(&output, 2, &["/dev/zero", "device"]);
    refused(generate(&[
        "--mode",
        "opaque",
        "--init",
        "/dev/zero",
        "--out",
        text(&out),
    ]));
    refused(glassine(&["compose", "/dev/zero", "--out", text(&out)]));
    let latent = out.with_extension("safetensors");
    refused(glassine(&[
        "encode",
        "--model",
        text(&packed()),
        "/dev/zero",
        "--out",
        text(&latent),
    ]));
    assert_eq!(names(out.parent().unwrap()), [""; 0]);
}

#[test]
fn deep_and_broken_scenes_are_refused() {
    let folder = folder("deep");
    let out = folder.join("o.png");
    let compose = |json: &str| {
        let scene = folder.join("scene.json");
        std::fs::write(&scene, json).unwrap();
        glassine(&["compose", text(&scene), "--out", text(&out)])
    };
    let nested = |depth: usize| {
        let (open, close) = (r#"[{"layers":"#.repeat(depth), "}]".repeat(depth));
        format!(r#"{{"width": 4, "height": 4, "layers": {open}[]{close}}}"#)
    };
    assert_succeeds(&compose(&nested(32)));
    // As editors on Windows write it.
    assert_succeeds(&compose(&format!("\u{feff}{}", nested(1))));
    std::fs::remove_file(&out).unwrap();
    assert_fails(&compose(&nested(33)), 2, &["scene.json", "too deep", "32"]);
    let words = ["scene.json", "no valid scene"];
    assert_fails(&compose(&nested(100_000)), 2, &words);
    assert!(!out.exists());
}
