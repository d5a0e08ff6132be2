//! `glassine compose`: scenes to files, files to scenes.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::command_line::{assert_fails, glassine, text};
use crate::support::model;
use crate::support::psd::{Psd, PsdLayer};
use crate::support::scenes::{assert_alike, example, resolve};
use crate::support::zips::{Entry, zip};
use glassine::compose::{Scene, flatten};
use glassine::image::Picture;

/// A new folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = model::scratch().join("composing").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn compose(from: &Path, more: &[&str]) -> Output {
    glassine(&[&["compose", text(from)], more].concat())
}

/// Runs `compose`, which succeeds; gives what it warns of.
fn composed(from: &Path, to: &Path) -> Vec<String> {
    let output = compose(from, &["--out", text(to)]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    told.lines().map(Into::into).collect()
}

/// The example as a scene file with its pictures.
fn example_in(folder: &Path) -> PathBuf {
    let mut scene = example();
    for name in ["16x16", "20x10", "30x20"] {
        std::fs::write(
            folder.join(format!("{name}.png")),
            resolve(name).unwrap().to_png().unwrap(),
        )
        .unwrap();
    }
    for layer in &mut scene.layers {
        layer.image = layer.image.take().map(|image| format!("{image}.png"));
        for layer in layer.layers.iter_mut().flatten() {
            layer.image = layer.image.take().map(|image| format!("{image}.png"));
        }
    }
    // A mask is a picture of the scene's, too.
    std::fs::copy(folder.join("16x16.png"), folder.join("mask.png")).unwrap();
    scene.layers[0]
        .other
        .insert("mask".into(), "mask.png".into());
    scene.other.insert("author".into(), "somebody".into());
    let path = folder.join("scene.json");
    std::fs::write(&path, scene.to_json().unwrap()).unwrap();
    path
}

fn picture(path: &Path) -> Picture {
    Picture::from_file(&std::fs::read(path).unwrap()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn scenes_go_through_every_kind_of_file() {
    let folder = folder("round");
    let scene = example_in(&folder);
    let expected = flatten(&example(), resolve).unwrap();
    for kind in ["ora", "psd", "zip"] {
        let file = folder.join(format!("scene.{kind}"));
        assert!(composed(&scene, &file).is_empty());
        // WebP keeps every pixel, as PNG does.
        let [png, webp] = ["png", "webp"].map(|kind| folder.join(format!("flat.{kind}")));
        composed(&file, &png);
        composed(&file, &webp);
        assert!(picture(&png) == picture(&webp));
        let tolerance = if kind == "zip" { 0.0 } else { 2.0 };
        assert_alike(&picture(&png), &expected, tolerance, kind);
        let unpacked = folder.join(format!("from-{kind}/deeper/scene.json"));
        composed(&file, &unpacked);
        let again = folder.join(format!("again.{kind}"));
        composed(&unpacked, &again);
        composed(&again, &folder.join(format!("again-{kind}/scene.json")));
        let scenes = [&unpacked, &folder.join(format!("again-{kind}/scene.json"))];
        let [once, twice] = scenes.map(|path| std::fs::read_to_string(path).unwrap());
        assert_eq!(twice, once, "{kind}");
    }
    let unpacked = folder.join("from-zip/deeper");
    assert_eq!(
        names(&unpacked),
        [
            "16x16.png",
            "20x10.png",
            "30x20.png",
            "mask.png",
            "scene.json"
        ]
    );
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(
        read(&unpacked.join("scene.json")),
        read(&scene),
        "unknown fields survive"
    );
    let from_psd = names(&folder.join("from-psd/deeper"));
    assert_eq!(
        from_psd,
        [
            "16x16-2.png",
            "16x16.png",
            "20x10.png",
            "foreground.png",
            "scene.json",
            "äpfel-birnen.png"
        ]
    );
}

#[test]
fn pictures_are_scenes_of_one_layer() {
    let folder = folder("pictures");
    example_in(&folder);
    composed(&folder.join("30x20.png"), &folder.join("one.json"));
    let one = Scene::from_json(&std::fs::read_to_string(folder.join("one.json")).unwrap()).unwrap();
    assert_eq!((one.width, one.height, one.layers.len()), (30, 20, 1));
    composed(&folder.join("30x20.png"), &folder.join("one.psd"));
    composed(&folder.join("one.psd"), &folder.join("one.png"));
    let one = picture(&folder.join("one.png"));
    assert_alike(&one, &resolve("30x20").unwrap(), 0.0, "one layer");
}

#[test]
fn what_a_file_has_beyond_scenes_is_told() {
    let folder = folder("warnings");
    let title = PsdLayer {
        blocks: vec![(*b"TySh", vec![0; 4])],
        ..PsdLayer::plain("title", [0, 0, 1, 1], [5, 6, 7, 255])
    };
    let file = folder.join("a.psd");
    std::fs::write(&file, Psd::new(1, 1, vec![title]).bytes()).unwrap();
    let warnings = composed(&file, &folder.join("a.png"));
    assert_eq!(
        warnings,
        ["warning: layer \"title\" is text; it is taken as the pixels that show it"]
    );
}

#[test]
fn unpacking_overwrites_no_picture_and_leaves_nothing_behind() {
    let folder = folder("unpacking");
    let scene = example_in(&folder);
    let file = folder.join("scene.zip");
    composed(&scene, &file);
    let other = folder.join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("20x10.png"), b"somebody's").unwrap();
    let out = other.join("scene.json");
    assert_fails(
        &compose(&file, &["--out", text(&out)]),
        2,
        &["20x10.png", "is there already"],
    );
    assert_eq!(names(&other), ["20x10.png"]);
    // The same again is no other picture.
    let twice = folder.join("twice/scene.json");
    composed(&file, &twice);
    composed(&file, &twice);
    // A name that is no picture's, and a folder that cannot be made.
    let json =
        r#"{"width": 4, "height": 4, "layers": [{"image": "b/a.png"}, {"image": "run.sh"}]}"#;
    let png = resolve("4x4").unwrap().to_png().unwrap();
    let entries = [
        Entry::deflated("scene.json", json.as_bytes()),
        Entry::stored("b/a.png", &png),
        Entry::stored("run.sh", &png),
    ];
    let bad = folder.join("bad.zip");
    std::fs::write(&bad, zip(&entries)).unwrap();
    let out = folder.join("new/scene.json");
    assert_fails(
        &compose(&bad, &["--out", text(&out)]),
        2,
        &["run.sh", ".png"],
    );
    assert!(!folder.join("new").exists());
    let inside_a_file = file.join("x/scene.json");
    assert_fails(
        &compose(&file, &["--out", text(&inside_a_file)]),
        2,
        &["cannot be made"],
    );
    assert_fails(
        &compose(&file, &["--out", text(&file)]),
        2,
        &["would be overwritten"],
    );
}

#[test]
fn layers_become_a_sprite_sheet() {
    let folder = folder("sprites");
    let scene = example_in(&folder);
    let out = folder.join("sheet.png");
    let output = compose(
        &scene,
        &["--sprites", "--padding", "3", "--out", text(&out)],
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let json = std::fs::read_to_string(folder.join("sheet.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["meta"]["image"], "sheet.png");
    assert_eq!(json["meta"]["size"]["w"], picture(&out).width);
    assert_eq!(json["frames"]["foreground"]["sourceSize"]["w"], 40);
    assert_eq!(
        json["frames"].as_object().unwrap().len(),
        3,
        "hidden layers are no sprites"
    );
    let whole = folder.join("whole.webp");
    let output = compose(&scene, &["--sprites", "--untrimmed", "--out", text(&whole)]);
    assert!(output.status.success());
    let json = std::fs::read_to_string(folder.join("whole.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["frames"]["foreground"]["frame"]["w"], 40);
    assert!(std::fs::read(&whole).unwrap().starts_with(b"RIFF"));

    let png = text(&out);
    assert_fails(
        &compose(&scene, &["--padding", "1", "--out", png]),
        2,
        &["--padding is for --sprites"],
    );
    assert_fails(
        &compose(&scene, &["--untrimmed", "--out", png]),
        2,
        &["--untrimmed is for --sprites"],
    );
    assert_fails(
        &compose(&scene, &["--sprites", "--out", "a.psd"]),
        2,
        &["a.psd", ".png"],
    );
    assert_fails(
        &compose(&scene, &["--sprites", "--padding", "999", "--out", png]),
        2,
        &["999", "256"],
    );
    assert_fails(
        &compose(
            &scene,
            &["--sprites", "--out", text(&folder.join("scene.png"))],
        ),
        2,
        &["scene.json", "overwritten"],
    );
}

#[test]
fn files_that_are_no_scenes_are_refused_by_name() {
    let folder = folder("refused");
    let out = folder.join("out.png");
    let refused = |name: &str, bytes: &[u8], words: &[&str]| {
        let file = folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        assert_fails(
            &compose(&file, &["--out", text(&out)]),
            2,
            &[words, &[name]].concat(),
        );
    };
    refused("a.xcf", b"gimp xcf v011\0", &["GIMP's own", "OpenRaster"]);
    refused("a.psd", b"8BPS", &["no sound PSD"]);
    refused("a.zip", b"PK\x03\x04", &["no sound zip"]);
    refused(
        "b.zip",
        &zip(&[Entry::stored("../scene.json", b"{}")]),
        &["outside of it"],
    );
    refused("a.png", b"", &["cannot be read"]);
    refused("a.txt", b"hello", &["cannot be read"]);
    assert!(!out.exists());
    let missing = folder.join("none.psd");
    assert_fails(&compose(&missing, &["--out", text(&out)]), 2, &["none.psd"]);
}
