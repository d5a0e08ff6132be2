//! Files of layers as scenes: those that glassine writes, those of other programs, and those that nobody should.

use std::collections::BTreeMap;

use crate::support::psd::{Psd, PsdLayer, packed, raw, resource, sized, zipped};
use crate::support::scenes::{assert_alike, example, picture, resolve, scene};
use crate::support::zips::{Entry, zip};
use glassine::ErrorCode;
use glassine::compose::{
    BlendMode, Layer, OpenedScene, Operator, Scene, SceneImage, flatten, open_scene, to_ora,
    to_psd, to_zip,
};
use glassine::image::Picture;

fn open(bytes: &[u8]) -> OpenedScene {
    open_scene(bytes, "file").unwrap_or_else(|error| panic!("{error}"))
}

/// Fails unless `bytes` are refused as no picture, in these words.
fn assert_refused(bytes: &[u8], words: &[&str]) {
    let error = open_scene(bytes, "some.file").unwrap_err();
    assert_eq!(error.code, ErrorCode::BadImage, "{error}");
    let line = error.to_string();
    for word in ["some.file"].iter().chain(words) {
        assert!(line.contains(word), "{line:?} does not say {word:?}");
    }
}

fn pixels(opened: &OpenedScene, path: &str) -> Picture {
    opened.images[path].picture().unwrap().into_owned()
}

fn flat(opened: &OpenedScene) -> Picture {
    flatten(&opened.scene, |path| Ok(pixels(opened, path))).unwrap()
}

/// The names of layers, groups as `name(layers)`, lowest first.
fn outline(layers: &[Layer]) -> String {
    let names = layers.iter().map(|layer| {
        let name = layer.name.as_deref().unwrap_or("-");
        match &layer.layers {
            Some(layers) => format!("{name}({})", outline(layers)),
            None => name.into(),
        }
    });
    names.collect::<Vec<_>>().join(" ")
}

/// Fails unless there is one warning for each of `expected`, with that in it.
fn assert_warned(opened: &OpenedScene, expected: &[&str]) {
    let warnings = &opened.warnings;
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(
            warning.contains(expected),
            "{warning:?} does not say {expected:?}"
        );
    }
}

// What glassine writes.

/// The example as files of layers hold it: at whole pixels, with names.
fn assert_is_example(opened: &OpenedScene) {
    assert!(opened.warnings.is_empty(), "{:?}", opened.warnings);
    assert_eq!(
        outline(&opened.scene.layers),
        "Äpfel & \"Birnen\" 🍐 foreground 16x16 group(16x16 20x10)"
    );
    let [apples, foreground, hidden, group] = &opened.scene.layers[..] else {
        panic!("four layers");
    };
    assert_eq!((apples.x, apples.y), (-4.0, 3.0));
    assert_eq!((foreground.x, foreground.y), (3.0, -8.0));
    assert_eq!(
        (foreground.opacity, foreground.blend),
        (0.8, BlendMode::Multiply)
    );
    assert!(!hidden.visible && apples.visible && group.visible);
    assert_eq!((group.opacity, group.blend), (0.6, BlendMode::HardLight));
    let path = apples.image.as_deref().unwrap();
    assert_eq!(path, "äpfel-birnen.png");
    assert!(
        pixels(opened, path) == picture(30, 20),
        "colour under alpha 0 is kept"
    );
    let expected = flatten(&example(), resolve).unwrap();
    assert_alike(&flat(opened), &expected, 2.0, "the whole");
}

#[test]
fn what_was_written_as_open_raster_is_the_scene_again() {
    let ora = to_ora(&example(), resolve).unwrap();
    let opened = open(&ora);
    assert_is_example(&opened);
    let again = open(&to_ora(&opened.scene, |path| Ok(pixels(&opened, path))).unwrap());
    assert_eq!(again.scene, opened.scene);
    assert!(again.images == opened.images);
}

#[test]
fn what_was_written_as_psd_is_the_scene_again() {
    let psd = to_psd(&example(), resolve).unwrap();
    let opened = open(&psd);
    assert_is_example(&opened);
    let again = open(&to_psd(&opened.scene, |path| Ok(pixels(&opened, path))).unwrap());
    assert_eq!(again.scene, opened.scene);
    assert!(again.images == opened.images);
}

#[test]
fn every_mode_that_a_format_has_comes_back() {
    for blend in BlendMode::ALL.iter().copied() {
        let layer = Layer {
            blend,
            ..Layer::picture("4x4")
        };
        let original = scene(vec![Layer::picture("8x8"), layer]);
        let psd = open(&to_psd(&original, resolve).unwrap());
        assert_eq!(psd.scene.layers[1].blend, blend);
        if blend != BlendMode::Exclusion {
            let ora = open(&to_ora(&original, resolve).unwrap());
            assert_eq!(ora.scene.layers[1].blend, blend);
        }
    }
    for operator in Operator::ALL.iter().copied() {
        let layer = Layer {
            operator,
            ..Layer::picture("4x4")
        };
        let original = scene(vec![Layer::picture("8x8"), layer]);
        for written in [to_ora(&original, resolve), to_psd(&original, resolve)] {
            let Ok(file) = written else { continue };
            assert_eq!(open(&file).scene.layers[1].operator, operator);
        }
    }
    let empty = scene(Vec::new());
    for file in [
        to_ora(&empty, resolve).unwrap(),
        to_zip(&empty, |_| unreachable!()).unwrap(),
    ] {
        assert_eq!(open(&file).scene, empty);
    }
}

fn recipe(prompt: &str) -> glassine::image::Recipe {
    let json = serde_json::json!({"prompt": prompt, "seed": 7});
    json.as_object().unwrap().clone()
}

#[test]
fn open_raster_and_png_keep_how_a_layer_was_made() {
    let layer = Layer {
        name: Some("Apfel".into()),
        recipe: Some(recipe("ein Apfel, 日本")),
        ..Layer::picture("8x8")
    };
    let opened = open(&to_ora(&scene(vec![layer]), resolve).unwrap());
    assert_eq!(
        opened.scene.layers[0].recipe,
        Some(recipe("ein Apfel, 日本"))
    );
    let png = picture(8, 6).to_png_with(Some(&recipe("x"))).unwrap();
    let opened = open_scene(&png, "folder/my apple.v2.png").unwrap();
    assert_eq!((opened.scene.width, opened.scene.height), (8, 6));
    let layer = &opened.scene.layers[0];
    assert_eq!(
        (layer.name.as_deref(), &layer.recipe),
        (Some("my apple.v2"), &Some(recipe("x")))
    );
    assert_eq!(layer.image.as_deref(), Some("my-apple-v2.png"));
    assert_eq!(opened.images["my-apple-v2.png"], SceneImage::File(png));
    let webp = open_scene(&picture(5, 4).to_webp(None).unwrap(), "a.webp").unwrap();
    assert!(pixels(&webp, "a.webp") == picture(5, 4));
}

#[test]
fn a_scene_and_its_pictures_are_one_file() {
    let mut original = example();
    original
        .other
        .insert("author".into(), serde_json::json!({"name": "somebody"}));
    original.layers[0]
        .other
        .insert("locked".into(), true.into());
    original.layers[0].recipe = Some(recipe("apples"));
    original.layers[1].image = Some("more/20x10.jpg".into());
    let jpeg = b"\xff\xd8\xff not looked at";
    let png = resolve("16x16").unwrap().to_png().unwrap();
    let file = to_zip(&original, |path| {
        Ok(Some(match path {
            "30x20" => SceneImage::Pixels(resolve(path)?),
            _ => SceneImage::File(png.clone()),
        }))
    });
    let file = file.unwrap();
    assert_eq!(&file[..4], b"PK\x03\x04");
    assert_eq!(&file[30..40], b"scene.json");
    let opened = open(&file);
    assert_eq!(opened.scene, original);
    assert!(opened.warnings.is_empty());
    let paths: Vec<_> = opened.images.keys().map(String::as_str).collect();
    assert_eq!(paths, ["16x16", "20x10", "30x20", "more/20x10.jpg"]);
    assert_eq!(
        opened.images["20x10"],
        SceneImage::File(png.clone()),
        "a file is not touched"
    );
    assert!(pixels(&opened, "30x20") == picture(30, 20));
    let again = to_zip(&opened.scene, |path| Ok(opened.images.get(path).cloned())).unwrap();
    assert!(again == file);

    let missing = to_zip(&original, |_| Ok(None)).unwrap_err();
    assert_eq!(missing.code, ErrorCode::BadImage);
    assert!(missing.message.contains("16x16"), "{missing}");
    let broken = to_zip(&original, |_| Ok(Some(SceneImage::File(jpeg.to_vec()))));
    let error = broken.unwrap_err();
    assert_eq!(error.code, ErrorCode::BadImage);
    assert!(error.message.starts_with("16x16: "), "{error}");
    for path in ["../a.png", "/a.png", "a/../b.png", "scene.json", ""] {
        let scene = scene(vec![Layer::picture(path)]);
        let error = to_zip(&scene, |_| Ok(Some(SceneImage::File(png.clone())))).unwrap_err();
        assert_eq!(error.code, ErrorCode::BadOption);
        assert!(error.message.contains(&format!("{path:?}")), "{error}");
    }
}

// Archives.

const SCENE: &str = r#"{"glassine": 1, "width": 4, "height": 4, "layers": [{"image": "a.png"}]}"#;

fn png() -> Vec<u8> {
    picture(4, 4).to_png().unwrap()
}

#[test]
fn scenes_that_others_have_packed_are_read() {
    let compressed = zip(&[
        Entry::deflated("scene.json", SCENE.as_bytes()),
        Entry::deflated("a.png", &png()),
        Entry::stored("notes.txt", b"not looked at"),
    ]);
    assert_eq!(open(&compressed).images["a.png"], SceneImage::File(png()));
    let in_a_folder = zip(&[
        Entry::stored("__MACOSX/scene.json", b"\0"),
        Entry::stored("apple/", b""),
        Entry::deflated(
            "apple/scene.json",
            SCENE.replace("a.png", "./x/../a.png").as_bytes(),
        ),
        Entry::deflated("apple\\a.png", &png()),
    ]);
    assert_eq!(
        open(&in_a_folder).images["./x/../a.png"],
        SceneImage::File(png())
    );
}

#[test]
fn hostile_archives_are_refused_with_the_reason() {
    let with = |entry: Entry| zip(&[Entry::stored("scene.json", SCENE.as_bytes()), entry]);
    for name in [
        "../a.png",
        "/a.png",
        "x/../../a.png",
        "..\\a.png",
        "c:/a.png",
    ] {
        assert_refused(&with(Entry::stored(name, &png())), &["outside of it"]);
    }
    let twice = zip(&[
        Entry::stored("scene.json", SCENE.as_bytes()),
        Entry::stored("a.png", &png()),
        Entry::stored("a.png", &png()),
    ]);
    assert_refused(&twice, &["two files"]);
    let twice = zip(&[
        Entry::stored("scene.json", SCENE.as_bytes()),
        Entry::stored("a.png", &png()),
        Entry::stored("./a.png", &png()),
    ]);
    assert_refused(&twice, &["two files", "a.png"]);
    assert_refused(
        &with(Entry::stored("b.png", &png())),
        &["\"a.png\" is not in the archive"],
    );
    assert_refused(
        &with(Entry::stored("a.png", b"no picture")),
        &["a.png: ", "cannot be read"],
    );
    assert_refused(&with(Entry::deflated("a.png", b"no picture")), &["a.png: "]);
    let outside = SCENE.replace("a.png", "../a.png");
    let outside = zip(&[Entry::stored("scene.json", outside.as_bytes())]);
    assert_refused(&outside, &["../a.png", "outside of the archive"]);
    let locked = Entry {
        flags: 1,
        ..Entry::stored("a.png", &png())
    };
    assert_refused(&with(locked), &["a.png", "password"]);
    let unknown = Entry {
        method: 14,
        ..Entry::stored("a.png", &png())
    };
    assert_refused(&with(unknown), &["a.png", "compressed in a way"]);
    let wrong = Entry {
        crc: 1,
        ..Entry::stored("a.png", &png())
    };
    assert_refused(&with(wrong), &["a.png", "damaged"]);
    let cut = Entry {
        data: b"\x01".to_vec(),
        ..Entry::deflated("a.png", &png())
    };
    assert_refused(&with(cut), &["a.png", "damaged"]);
    assert_refused(&zip(&[]), &["neither scene.json nor stack.xml"]);
    assert_refused(&zip(&[Entry::stored("maindoc.xml", b"")]), &["Krita's own"]);
    assert_refused(b"PK\x03\x04 and no more", &["no sound zip archive"]);
    let latin = zip(&[Entry::stored("scene.json", b"{\"name\": \"\xe4\"}")]);
    assert_refused(&latin, &["scene.json", "UTF-8"]);
    let no_scene = open_scene(&zip(&[Entry::stored("scene.json", b"[]")]), "x.zip").unwrap_err();
    assert_eq!(no_scene.code, ErrorCode::BadOption);
    assert!(
        no_scene
            .message
            .starts_with("x.zip: this is no valid scene"),
        "{no_scene}"
    );
}

#[test]
fn bombs_are_not_unpacked() {
    // A file of zeros that says truly how long it is, or lies.
    let bomb = Entry::deflated("a.png", &vec![0; 3 << 20]);
    let scene = || Entry::stored("scene.json", SCENE.as_bytes());
    let long = Entry {
        length: u32::MAX - 1,
        data: bomb.data.clone(),
        ..Entry::stored("a.png", b"")
    };
    assert_refused(&zip(&[scene(), long]), &["a.png", "1024 MiB"]);
    let lying = Entry { length: 10, ..bomb };
    assert_refused(&zip(&[scene(), lying]), &["a.png", "damaged"]);
}

// OpenRaster.

fn ora(xml: &str, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut entries = vec![
        Entry::stored("mimetype", b"image/openraster"),
        Entry::deflated("stack.xml", xml.as_bytes()),
    ];
    entries.extend(
        files
            .iter()
            .map(|(path, bytes)| Entry::deflated(path, bytes)),
    );
    zip(&entries)
}

#[test]
fn open_raster_of_others_is_read() {
    let xml = r#"<?xml version='1.0' encoding='UTF-8'?>
        <!-- by hand --><image w="20" h="10" version="0.0.3" xres="72" yres="72">
          <stack opacity="1" name="root">
            <stack name="Shifted &amp; turned" x="3" y="-2" opacity="0.5" composite-op="svg:multiply">
              <layer name="in &#x1F350;" src="data/a.png" x="1" y="2"/>
            </stack>
            <layer name="strange" src="./data/a.png" x="4" y="5.5" opacity="1.7" composite-op="krita:dissolve"/>
            <text name="words">hello</text>
            <layer name="gone" src="data/b.png"/>
            <layer name="broken" src="data/broken.png" x="six"/>
            <stack name="open"><layer name="shade" src="data/a.png" composite-op="svg:screen"/></stack>
            <stack name="closed" isolation="isolate">
              <layer src="data/a.png" visibility="hidden" composite-op="svg:dst-out"/>
            </stack>
            <layer name="odd" src="data/a.png" x="six"/>
          </stack></image>"#;
    let files = [("data/a.png", png()), ("data/broken.png", b"no".to_vec())];
    let opened = open(&ora(xml, &files));
    assert_eq!((opened.scene.width, opened.scene.height), (20, 10));
    assert_eq!(
        outline(&opened.scene.layers),
        "odd closed(-) open(shade) strange Shifted & turned(in 🍐)"
    );
    let [odd, closed, _, strange, shifted] = &opened.scene.layers[..] else {
        panic!("five layers");
    };
    assert_eq!((shifted.x, shifted.y, shifted.opacity), (3.0, -2.0, 0.5));
    assert_eq!(shifted.blend, BlendMode::Multiply);
    assert_eq!((strange.x, strange.y, strange.opacity), (4.0, 5.5, 1.0));
    assert_eq!(strange.blend, BlendMode::Normal);
    assert_eq!(odd.x, 0.0);
    let inner = &closed.layers.as_ref().unwrap()[0];
    assert_eq!(
        (inner.visible, inner.operator),
        (false, Operator::DestinationOut)
    );
    assert_eq!(opened.images.len(), 1, "one picture for one file");
    assert_warned(
        &opened,
        &[
            "\"odd\" has x \"six\"",
            "\"open\" is a group whose layers mix",
            "\"broken\" is left out",
            "\"gone\" is left out: its picture \"data/b.png\" is not in the file",
            "\"words\" is of a kind that is not read (text)",
            "\"strange\" mixes in a way that is not known (krita:dissolve)",
        ],
    );
}

#[test]
fn the_picture_of_the_whole_stands_in_for_layers_that_cannot_be_read() {
    let xml =
        r#"<image w="4" h="4"><stack><layer name="drawing" src="data/a.svg"/></stack></image>"#;
    let files = [
        ("data/a.svg", b"<svg/>".to_vec()),
        ("mergedimage.png", png()),
    ];
    let opened = open(&ora(xml, &files));
    assert_eq!(outline(&opened.scene.layers), "merged");
    assert!(pixels(&opened, "merged.png") == picture(4, 4));
    assert_warned(
        &opened,
        &["\"drawing\" is left out", "picture of the whole"],
    );
    assert_refused(&ora(xml, &[]), &["none of its layers can be read"]);
}

#[test]
fn damaged_open_raster_is_refused() {
    for (xml, words) in [
        ("", &["no XML"][..]),
        ("<image w='4' h='4'>", &["no XML"]),
        ("<image w='4' h='4'/>", &["no stack"]),
        ("<image><stack/></image>", &["0 x 0"]),
        ("<image w='4' h='99999999999'><stack/></image>", &["pixels"]),
        ("<image w='4' h='20000'><stack/></image>", &["4 x 20000"]),
        (
            "<!DOCTYPE image [<!ENTITY a 'a'>]><image w='4' h='4'><stack>&a;</stack></image>",
            &["no XML"],
        ),
    ] {
        assert_refused(&ora(xml, &[]), words);
    }
    let deep = format!(
        "<image w='4' h='4'>{}{}</image>",
        "<stack>".repeat(5000),
        "</stack>".repeat(5000)
    );
    assert_refused(&ora(&deep, &[]), &["32 deep"]);
}

// PSD.

#[test]
fn every_way_of_storing_samples_is_read() {
    let expected = picture(7, 5);
    let plane = |channel: usize| -> Vec<u8> {
        expected
            .rgba
            .chunks(4)
            .map(|pixel| pixel[channel])
            .collect()
    };
    let deltas = |plane: &[u8]| -> Vec<u8> {
        let rows = plane.chunks(7);
        rows.flat_map(|row| (0..7).map(|x| row[x].wrapping_sub(if x > 0 { row[x - 1] } else { 0 })))
            .collect()
    };
    // 16 bits hold each byte as 257 times it, give or take what rounds away.
    let wide = |plane: &[u8]| -> Vec<u8> {
        let words = plane
            .iter()
            .map(|byte| (u16::from(*byte) * 257).saturating_add(100));
        words.flat_map(u16::to_be_bytes).collect()
    };
    let wide_deltas = |plane: &[u8]| -> Vec<u8> {
        let words: Vec<u16> = wide(plane)
            .chunks(2)
            .map(|two| u16::from_be_bytes([two[0], two[1]]))
            .collect();
        let rows = words.chunks(7);
        let words = rows.flat_map(|row| {
            (0..7).map(|x| row[x].wrapping_sub(if x > 0 { row[x - 1] } else { 0 }))
        });
        words.flat_map(u16::to_be_bytes).collect()
    };
    type Store<'a> = Box<dyn Fn(&[u8]) -> Vec<u8> + 'a>;
    let stores: [(u16, u16, Store); 9] = [
        (1, 8, Box::new(raw)),
        (1, 8, Box::new(|plane| packed(plane, 7, false))),
        (1, 8, Box::new(|plane| zipped(2, plane))),
        (1, 8, Box::new(|plane| zipped(3, &deltas(plane)))),
        (2, 8, Box::new(|plane| packed(plane, 7, true))),
        (1, 16, Box::new(|plane| raw(&wide(plane)))),
        (1, 16, Box::new(|plane| packed(&wide(plane), 14, false))),
        (1, 16, Box::new(|plane| zipped(3, &wide_deltas(plane)))),
        (2, 16, Box::new(|plane| zipped(2, &wide(plane)))),
    ];
    for (index, (version, bits, store)) in stores.into_iter().enumerate() {
        let channels = [(-1, 3), (0, 0), (1, 1), (2, 2)];
        let layer = PsdLayer {
            area: [-2, 3, 3, 10],
            channels: channels
                .map(|(id, channel)| (id, store(&plane(channel))))
                .to_vec(),
            ..PsdLayer::default()
        };
        let psd = Psd {
            version,
            bits,
            in_block: bits == 16,
            ..Psd::new(20, 10, vec![layer])
        };
        let opened = open(&psd.bytes());
        let layer = &opened.scene.layers[0];
        assert_eq!((layer.x, layer.y), (3.0, -2.0), "way {index}");
        assert!(pixels(&opened, "layer.png") == expected, "way {index}");
        assert_eq!(
            opened.warnings.len(),
            usize::from(bits == 16),
            "way {index}"
        );
    }
}

#[test]
fn grey_and_profiles_are_brought_to_srgb() {
    let grey = PsdLayer {
        channels: vec![(-1, raw(&[255, 9])), (0, raw(&[128, 77]))],
        area: [0, 0, 1, 2],
        ..PsdLayer::default()
    };
    let psd = Psd {
        mode: 1,
        channels: 2,
        ..Psd::new(2, 1, vec![grey])
    };
    let opened = open(&psd.bytes());
    assert_eq!(
        pixels(&opened, "layer.png").rgba,
        [128, 128, 128, 255, 77, 77, 77, 9]
    );

    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let layer = PsdLayer::plain("p3", [0, 0, 1, 1], [51, 204, 77, 9]);
    let psd = Psd {
        resources: [resource(1005, &[1, 2, 3]), resource(1039, &profile)].concat(),
        ..Psd::new(1, 1, vec![layer])
    };
    assert_eq!(pixels(&open(&psd.bytes()), "p3.png").rgba, [0, 208, 51, 9]);
}

#[test]
fn groups_and_what_is_clipped_keep_their_look() {
    let area = [0, 0, 4, 4];
    let layer = |name, color| PsdLayer::plain(name, area, color);
    let clipped = |name, color| PsdLayer {
        clipped: true,
        ..layer(name, color)
    };
    let psd = Psd::new(
        4,
        4,
        vec![
            layer("below", [255, 0, 0, 255]),
            clipped("on it", [0, 255, 0, 128]),
            PsdLayer::end(),
            PsdLayer::end(),
            layer("inner", [0, 0, 255, 255]),
            PsdLayer::head("lower", b"pass"),
            PsdLayer {
                opacity: 128,
                blend: *b"mul ",
                ..layer("base", [9, 9, 9, 255])
            },
            PsdLayer {
                flags: 2,
                ..clipped("over base", [1, 2, 3, 4])
            },
            PsdLayer {
                opacity: 51,
                // What is in the block counts.
                blend: *b"norm",
                ..PsdLayer::head("upper", b"scrn")
            },
        ],
    );
    let opened = open(&psd.bytes());
    assert!(opened.warnings.is_empty(), "{:?}", opened.warnings);
    assert_eq!(
        outline(&opened.scene.layers),
        "below on it upper(lower(inner) base(base over base))"
    );
    let [_, on_it, upper] = &opened.scene.layers[..] else {
        panic!("three layers");
    };
    assert_eq!(on_it.operator, Operator::SourceAtop);
    assert_eq!((upper.opacity, upper.blend), (0.2, BlendMode::Screen));
    let base = &upper.layers.as_ref().unwrap()[1];
    assert_eq!(
        (base.opacity, base.blend),
        (128.0 / 255.0, BlendMode::Multiply)
    );
    let [bottom, over] = &base.layers.as_ref().unwrap()[..] else {
        panic!("two layers");
    };
    assert_eq!((bottom.opacity, bottom.blend), (1.0, BlendMode::Normal));
    assert_eq!((over.operator, over.visible), (Operator::SourceAtop, false));
}

#[test]
fn masks_become_part_of_alpha() {
    // A mask of 2 x 1 pixels from column 1 on, 0 around it.
    let mask = |default: u8, flags: u8| {
        let edges = [0i32, 1, 1, 3].map(i32::to_be_bytes).concat();
        [&edges[..], &[default, flags, 0, 0]].concat()
    };
    let masked = |default, flags| {
        let mut layer = PsdLayer::plain("masked", [0, 0, 1, 4], [1, 2, 3, 200]);
        layer.mask = mask(default, flags);
        layer.channels.push((-2, raw(&[255, 51])));
        let opened = open(&Psd::new(4, 1, vec![layer]).bytes());
        let alphas = pixels(&opened, "masked.png")
            .rgba
            .chunks(4)
            .map(|pixel| pixel[3])
            .collect::<Vec<_>>();
        (alphas, opened.warnings)
    };
    let (alphas, warnings) = masked(0, 0);
    assert_eq!(alphas, [0, 200, 40, 0]);
    assert!(
        warnings[0].contains("\"masked\" has a mask, which is made part"),
        "{warnings:?}"
    );
    assert_eq!(masked(255, 0).0, [200, 200, 40, 200]);
    assert_eq!(masked(0, 4).0, [200, 0, 160, 200]);
    // Some programs describe a mask where there is none.
    let mut layer = PsdLayer::plain("plain", [0, 0, 1, 1], [1, 2, 3, 200]);
    layer.mask = mask(0, 0);
    let opened = open(&Psd::new(4, 1, vec![layer]).bytes());
    assert_eq!(pixels(&opened, "plain.png").rgba[3], 200);
    assert!(opened.warnings.is_empty());
    let (alphas, warnings) = masked(0, 2);
    assert_eq!(alphas, [200; 4]);
    assert!(warnings[0].contains("switched off"), "{warnings:?}");
}

#[test]
fn what_is_not_read_is_said() {
    let area = [0, 0, 1, 1];
    let with = |name, block: &[u8; 4]| PsdLayer {
        blocks: vec![(*block, vec![0; 4])],
        ..PsdLayer::plain(name, area, [5, 6, 7, 255])
    };
    let psd = Psd::new(
        1,
        1,
        vec![
            with("title", b"TySh"),
            with("smart", b"SoLd"),
            PsdLayer {
                area: [0; 4],
                channels: Vec::new(),
                ..with("tones", b"curv")
            },
            PsdLayer {
                clipped: true,
                ..PsdLayer::plain("on tones", area, [1, 1, 1, 255])
            },
            with("shadowed", b"lfx2"),
            with("cut out", b"vmsk"),
            PsdLayer {
                blend: *b"diss",
                ranges: [[0, 0, 255, 255], [0, 20, 255, 255]].concat(),
                ..PsdLayer::plain("dust", area, [5, 6, 7, 255])
            },
            PsdLayer {
                blocks: vec![(*b"iOpa", vec![51, 0, 0, 0]), (*b"lyid", vec![0; 4])],
                ..PsdLayer::plain("thin", area, [5, 6, 7, 255])
            },
            PsdLayer {
                channels: vec![
                    (-1, raw(&[])),
                    (0, raw(&[1])),
                    (1, raw(&[1])),
                    (2, raw(&[1])),
                ],
                area,
                name: "cut",
                ..PsdLayer::default()
            },
            PsdLayer {
                name: "empty",
                ..PsdLayer::default()
            },
            PsdLayer::end(),
            PsdLayer {
                blend: *b"mul ",
                ..PsdLayer::plain("shade", area, [5, 6, 7, 255])
            },
            PsdLayer::head("passing", b"pass"),
            PsdLayer::head("no end", b"norm"),
            PsdLayer::end(),
            PsdLayer::plain("no head", area, [5, 6, 7, 255]),
        ],
    );
    let opened = open(&psd.bytes());
    assert_eq!(
        outline(&opened.scene.layers),
        "title smart on tones shadowed cut out dust thin empty passing(shade) no end() no head"
    );
    assert_warned(
        &opened,
        &[
            "\"title\" is text",
            "\"smart\" is a smart object",
            "\"tones\" changes what lies below it (curves)",
            "\"shadowed\" has effects",
            "\"cut out\" has a vector mask",
            "\"dust\" has limits on the tones",
            "\"dust\" mixes in a way that is not known (dissolve)",
            "\"cut\" is left out: a channel is cut short",
            "\"passing\" is a group whose layers mix",
            "\"no end\" is a group without a lower end",
            "a group has no head",
            "\"on tones\" is clipped to a layer that is left out",
        ],
    );
    let thin = &opened.scene.layers[6];
    assert_eq!(thin.opacity, 0.2);
    assert_eq!(pixels(&opened, "empty.png").rgba, [0; 4]);
}

#[test]
fn names_are_read_in_every_encoding() {
    let mut unicode = PsdLayer::plain("old", [0, 0, 1, 1], [0; 4]);
    // Ended as in C, and with half a character.
    let units = [0x5f, 0xd83c, 0xdf50, 0xd83c, 0]
        .map(u16::to_be_bytes)
        .concat();
    unicode
        .blocks
        .push((*b"luni", [&5u32.to_be_bytes()[..], &units].concat()));
    let utf8 = PsdLayer::plain("Größe", [0, 0, 1, 1], [0; 4]);
    let mut file = Psd::new(
        1,
        1,
        vec![
            unicode,
            utf8,
            PsdLayer::plain("GrXXe", [0, 0, 1, 1], [0; 4]),
        ],
    )
    .bytes();
    let at = file.windows(5).position(|bytes| bytes == b"GrXXe").unwrap();
    file[at + 2..][..2].copy_from_slice(b"\x9a\xa7");
    assert_eq!(
        outline(&open(&file).scene.layers),
        "_🍐\u{fffd} Größe Größe"
    );
}

#[test]
fn a_flat_file_is_one_layer() {
    // Colours on white by alpha 51: (0 on white) is 204.
    let merged = raw(&[204, 10, 255, 20, 255, 30, 51, 255]);
    let flat = |resources: Vec<u8>| Psd {
        resources,
        merged: merged.clone(),
        ..Psd::new(2, 1, Vec::new())
    };
    let opened = open(&flat(Vec::new()).bytes());
    assert_eq!(outline(&opened.scene.layers), "Background");
    assert!(opened.warnings.is_empty());
    assert_eq!(
        pixels(&opened, "background.png").rgba,
        [0, 255, 255, 51, 10, 20, 30, 255]
    );
    // The fourth channel is a selection that somebody saved.
    let opened = open(&flat(resource(1053, &[0, 0, 0, 7])).bytes());
    assert_eq!(
        pixels(&opened, "background.png").rgba,
        [204, 255, 255, 255, 10, 20, 30, 255]
    );
    assert_warned(&opened, &["channels beside its colours"]);
    // Packed, with the lengths of all channels in front.
    let rows = [204, 10, 255, 20, 255, 30, 51, 255];
    let psd = Psd {
        merged: packed(&rows, 2, false),
        ..Psd::new(2, 1, Vec::new())
    };
    assert_eq!(
        pixels(&open(&psd.bytes()), "background.png").rgba[..4],
        [0, 255, 255, 51]
    );
    // No layer can be read.
    let broken = PsdLayer {
        channels: vec![(0, raw(&[]))],
        area: [0, 0, 1, 1],
        ..PsdLayer::default()
    };
    let psd = Psd {
        merged,
        ..Psd::new(2, 1, vec![broken])
    };
    let opened = open(&psd.bytes());
    assert_eq!(outline(&opened.scene.layers), "merged");
    assert_warned(&opened, &["is left out", "picture of the whole"]);
}

#[test]
fn other_kinds_of_files_are_refused_by_name() {
    let psd = |mode, bits| {
        let psd = Psd {
            mode,
            bits,
            ..Psd::new(1, 1, Vec::new())
        };
        psd.bytes()
    };
    for (mode, bits, word) in [
        (0, 1, "bitmap"),
        (2, 8, "indexed"),
        (4, 8, "CMYK"),
        (7, 8, "multichannel"),
        (8, 8, "duotone"),
        (9, 16, "Lab"),
        (3, 32, "32 bits"),
        (3, 1, "1 bits"),
        (77, 8, "colour mode"),
    ] {
        assert_refused(&psd(mode, bits), &[word]);
    }
    assert_refused(&Psd::new(20_000, 1, Vec::new()).bytes(), &["20000 x 1"]);
    assert_refused(b"gimp xcf v011", &["GIMP's own", "OpenRaster"]);
    assert_refused(b"GIF89a", &["GIF"]);
    assert_refused(b"%PDF-1.7", &["PDF"]);
    assert_refused(SCENE.as_bytes(), &["pictures are not in it"]);
    assert_refused(b"", &["cannot be read"]);
    assert_refused(b"hello", &["cannot be read"]);
}

#[test]
fn lengths_that_a_file_states_are_not_trusted() {
    // A layer of 16384 x 16384 pixels in a few bytes, in every way of storing it.
    let side = 16_384;
    for channel in [
        raw(&[]),
        vec![0, 1],
        packed(&[0; 4], 1, false),
        zipped(2, &[0; 9]),
        zipped(3, &[]),
    ] {
        let layer = PsdLayer {
            area: [0, 0, side, side],
            channels: [-1, 0, 1, 2].map(|id| (id, channel.clone())).to_vec(),
            ..PsdLayer::default()
        };
        let opened = open(&Psd::new(1, 1, vec![layer]).bytes());
        assert_warned(&opened, &["is left out", "picture of the whole"]);
    }
    for area in [
        [0, 0, i32::MAX, 1],
        [i32::MIN, i32::MIN, i32::MAX, i32::MAX],
    ] {
        let layer = PsdLayer {
            area,
            channels: vec![(0, raw(&[]))],
            ..PsdLayer::default()
        };
        let opened = open(&Psd::new(1, 1, vec![layer]).bytes());
        assert_warned(&opened, &["16384 pixels long", "picture of the whole"]);
    }
    // Zeros packed so well that all layers together would take gigabytes.
    let plane = zipped(2, &vec![0; 8192 * 8192]);
    let layer = PsdLayer {
        area: [0, 0, 8192, 8192],
        channels: [0, 1, 2].map(|id| (id, plane.clone())).to_vec(),
        ..PsdLayer::default()
    };
    assert_refused(&Psd::new(1, 1, vec![layer; 5]).bytes(), &["1024 MiB"]);
    // Groups within groups.
    let mut deep = vec![PsdLayer::end(); 50];
    deep.push(PsdLayer::plain("x", [0, 0, 1, 1], [0; 4]));
    deep.extend(vec![PsdLayer::head("g", b"norm"); 50]);
    let error = open_scene(&Psd::new(1, 1, deep).bytes(), "deep.psd").unwrap_err();
    assert!(error.message.contains("too deep"), "{error}");
    // A section that is longer than the file.
    let mut file = Psd::new(1, 1, Vec::new()).bytes();
    file.truncate(26);
    file.extend(sized(&[], false));
    file.extend(u32::MAX.to_be_bytes());
    assert_refused(&file, &["cut short"]);
}

/// What happens to files on their way: they are cut, and bytes of them change.
#[test]
fn damaged_files_are_scenes_or_refused() {
    let psd = to_psd(&example(), resolve).unwrap();
    let ora = to_ora(&example(), resolve).unwrap();
    let file = to_zip(&example(), |path| {
        resolve(path).map(SceneImage::Pixels).map(Some)
    })
    .unwrap();
    let masked = {
        let mut layer = PsdLayer::plain("masked", [0, 0, 3, 4], [1, 2, 3, 200]);
        layer.mask = [[0i32, 1, 1, 3].map(i32::to_be_bytes).concat(), vec![0; 4]].concat();
        layer.channels.push((-2, zipped(3, &[255, 51])));
        Psd {
            bits: 16,
            in_block: true,
            ..Psd::new(
                4,
                3,
                vec![PsdLayer::end(), layer, PsdLayer::head("g", b"pass")],
            )
        }
        .bytes()
    };
    let mut outcomes = BTreeMap::new();
    let mut state = 7u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for file in [psd, ora, file, masked] {
        for cut in (0..file.len()).step_by(1 + file.len() / 150) {
            let _ = open_scene(&file[..cut], "cut");
        }
        for _ in 0..400 {
            let mut damaged = file.clone();
            for _ in 0..1 + random(3) {
                let at = random(damaged.len().min(3000));
                damaged[at] = random(256) as u8;
            }
            match open_scene(&damaged, "damaged") {
                Ok(opened) => {
                    opened.scene.validate().unwrap();
                    for path in opened.scene.all_image_paths() {
                        opened.images[path].picture().unwrap();
                    }
                    *outcomes.entry("opened").or_insert(0) += 1;
                }
                Err(error) => {
                    assert_ne!(error.code, ErrorCode::Internal, "{error}");
                    *outcomes.entry("refused").or_insert(0) += 1;
                }
            }
        }
    }
    assert!(
        outcomes["opened"] > 100 && outcomes["refused"] > 100,
        "{outcomes:?}"
    );
}

/// A mask, and what a recipe says that a layer was made from; what is no path of a picture stays a word.
#[test]
fn pictures_beside_the_layers_are_in_the_file_too() {
    let mut group = Layer::group(vec![Layer::picture("apple.png")]);
    let apple = &mut group.layers.as_mut().unwrap()[0];
    apple.other.insert("mask".into(), "apple-mask.png".into());
    apple.visible = false;
    let mut made = recipe("an apple");
    made.insert("init".into(), "before/apple.jpg".into());
    made.insert("mask".into(), "apple-mask.png".into());
    made.insert("control".into(), "edges".into());
    made.insert("background".into(), "../elsewhere.png".into());
    made.insert("foreground".into(), "apple.png".into());
    apple.recipe = Some(made);
    let original = scene(vec![group]);
    let beside = [
        "../elsewhere.png",
        "apple-mask.png",
        "before/apple.jpg",
        "edges",
    ];
    assert_eq!(original.paths_beside(), beside);

    let png = picture(4, 4).to_png().unwrap();
    let given = |path: &str| match path {
        "edges" | "../elsewhere.png" => Ok(None),
        _ => Ok(Some(SceneImage::File(png.clone()))),
    };
    let opened = open(&to_zip(&original, given).unwrap());
    assert_eq!(opened.scene, original);
    let paths: Vec<_> = opened.images.keys().map(String::as_str).collect();
    assert_eq!(paths, ["apple-mask.png", "apple.png", "before/apple.jpg"]);
    let outside = to_zip(&original, |_| Ok(Some(SceneImage::File(png.clone()))));
    assert_eq!(outside.unwrap_err().code, ErrorCode::BadOption);
}

#[test]
fn an_opened_scene_is_a_scene_like_any_other() {
    let opened = open(&to_psd(&example(), resolve).unwrap());
    let json = opened.scene.to_json().unwrap();
    assert_eq!(Scene::from_json(&json).unwrap(), opened.scene);
    let images = |path: &str| Ok(opened.images.get(path).cloned());
    let again = open(&to_zip(&opened.scene, images).unwrap());
    assert_eq!(again.scene, opened.scene);
    assert!(flat(&again) == flat(&opened));
}
