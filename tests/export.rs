//! Scenes written as OpenRaster and PSD files, read back by other means, and as sprite sheets.

use std::io::{Cursor, Read};

use crate::support::scenes::{assert_alike, example, picture, resolve, scene};
use glassine::ErrorCode;
use glassine::compose::{
    BlendMode, Color, ColorSpace, Layer, Operator, Scene, Sprite, SpriteSheet, SpriteSheetOptions,
    flatten, scene_sprites, to_ora, to_psd, to_sprite_sheet,
};
use glassine::image::Picture;
use rawpsd::LayerInfo;
use zip::{CompressionMethod, ZipArchive};

/// The file `path` in an OpenRaster file.
fn entry(ora: &[u8], path: &str) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(ora)).unwrap();
    let mut file = archive.by_name(path).unwrap();
    assert_eq!(file.compression(), CompressionMethod::Stored);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn png(ora: &[u8], path: &str) -> Picture {
    Picture::from_file(&entry(ora, path)).unwrap()
}

fn layers(psd: &[u8]) -> Vec<LayerInfo> {
    rawpsd::parse_layer_records(psd)
        .map_err(|(_, error)| error)
        .unwrap()
}

fn pixels(layer: &LayerInfo) -> Picture {
    Picture {
        width: layer.w as usize,
        height: layer.h as usize,
        rgba: layer.image_data_rgba.clone(),
    }
}

/// The merged image of a PSD file, whose colours lie on white.
fn merged_on_white(psd: &[u8]) -> Picture {
    let about = rawpsd::parse_psd_metadata(psd).unwrap();
    let (width, height) = (about.width as usize, about.height as usize);
    // Palette, resources and layers, each with its length in front.
    let start = (0..3).fold(26, |at, _| {
        let length: [u8; 4] = psd[at..][..4].try_into().unwrap();
        at + 4 + u32::from_be_bytes(length) as usize
    });
    let (pixels, rest) = (width * height, &psd[start..]);
    let mut planes = vec![0; 4 * pixels];
    // Also fails if anything follows.
    rawpsd::copy_img_data(rest, &mut planes, 1, rest.len() as u64, 4 * height as u64).unwrap();
    let rgba = (0..4 * pixels).map(|index| planes[index % 4 * pixels + index / 4]);
    Picture {
        width,
        height,
        rgba: rgba.collect(),
    }
}

#[test]
fn open_raster_begins_with_its_type() {
    let ora = to_ora(&example(), resolve).unwrap();
    assert_eq!(&ora[30..54], b"mimetypeimage/openraster");
}

#[test]
fn open_raster_stacks_layers_top_first() {
    let ora = to_ora(&example(), resolve).unwrap();
    let xml = String::from_utf8(entry(&ora, "stack.xml")).unwrap();
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<image version="0.0.5" w="40" h="30">
<stack>
<stack isolation="isolate" name="group" opacity="0.6" visibility="visible" composite-op="svg:hard-light">
<layer src="data/layer001.png" x="5" y="2" name="20x10" opacity="1" visibility="visible" composite-op="svg:luminosity"/>
<layer src="data/layer002.png" x="0" y="-4" name="16x16" opacity="1" visibility="visible" composite-op="svg:src-over"/>
</stack>
<layer src="data/layer003.png" x="0" y="0" name="16x16" opacity="1" visibility="hidden" composite-op="svg:src-over"/>
<layer src="data/layer004.png" x="3" y="-8" name="foreground" opacity="0.8" visibility="visible" composite-op="svg:multiply"/>
<layer src="data/layer005.png" x="-4" y="3" name="Äpfel &amp; &quot;Birnen&quot; 🍐" opacity="1" visibility="visible" composite-op="svg:src-over"/>
</stack>
</image>
"#;
    assert_eq!(xml, expected);
}

#[test]
fn open_raster_has_every_picture() {
    let scene = example();
    let ora = to_ora(&scene, resolve).unwrap();
    let unchanged = png(&ora, "data/layer005.png");
    assert!(unchanged == picture(30, 20), "colour under alpha 0 is kept");
    let merged = flatten(&scene, resolve).unwrap();
    assert!(png(&ora, "mergedimage.png") == merged);
    assert!(png(&ora, "Thumbnails/thumbnail.png") == merged);
}

#[test]
fn thumbnails_are_small() {
    let wide = Scene::new(1000, 10);
    let ora = to_ora(&wide, resolve).unwrap();
    let thumbnail = png(&ora, "Thumbnails/thumbnail.png");
    assert_eq!((thumbnail.width, thumbnail.height), (256, 3));
}

#[test]
fn psd_lists_layers_bottom_first() {
    let psd = to_psd(&example(), resolve).unwrap();
    let about = rawpsd::parse_psd_metadata(&psd).unwrap();
    assert_eq!((about.width, about.height), (40, 30));
    assert_eq!((about.depth, about.channel_count), (8, 4));
    let layers = layers(&psd);
    let names: Vec<_> = layers.iter().map(|layer| layer.name.as_str()).collect();
    let apples = "Äpfel & \"Birnen\" 🍐";
    let (start, end) = ("</Layer group>", "group");
    assert_eq!(
        names,
        [apples, "foreground", "16x16", start, "16x16", "20x10", end]
    );
    assert!(layers[3].group_closer && layers[6].group_opener);
    let visible: Vec<_> = layers.iter().map(|layer| layer.is_visible).collect();
    assert_eq!(visible, [true, true, false, true, true, true, true]);
    let blends = [1, 5, 6].map(|index| layers[index].blend_mode.as_str());
    assert_eq!(blends, ["mul ", "lum ", "hLit"]);
    assert_eq!(layers[1].opacity, 204.0 / 255.0);
    assert_eq!((layers[0].x, layers[0].y), (-4, 3));
    assert!(
        pixels(&layers[0]) == picture(30, 20),
        "colour under alpha 0 is kept"
    );
    assert_eq!((layers[1].x, layers[1].y), (3, -8));
}

#[test]
fn psd_has_the_merged_image_on_white() {
    let scene = example();
    let mut merged = merged_on_white(&to_psd(&scene, resolve).unwrap());
    let flat = flatten(&scene, resolve).unwrap();
    let alpha =
        |picture: &Picture| -> Vec<u8> { picture.rgba.chunks(4).map(|pixel| pixel[3]).collect() };
    assert_eq!(alpha(&merged), alpha(&flat));
    merged.rgba.chunks_mut(4).for_each(|pixel| pixel[3] = 255);
    let on_white = Scene {
        background: "#ffffff".parse().unwrap(),
        ..Scene::new(40, 30)
    };
    let on_white = Scene {
        layers: vec![Layer::picture("flat")],
        ..on_white
    };
    let expected = flatten(&on_white, |_| Ok(&flat)).unwrap();
    assert_alike(&merged, &expected, 0.0, "the merged image");
}

/// The layers of a PSD file without groups as a scene, and their pictures.
fn scene_of_psd(psd: &[u8]) -> (Scene, Vec<Picture>) {
    let layers = layers(psd);
    let sheets = layers.iter().enumerate().map(|(index, layer)| Layer {
        x: layer.x.into(),
        y: layer.y.into(),
        opacity: layer.opacity.into(),
        visible: layer.is_visible,
        operator: if layer.is_clipped {
            Operator::SourceAtop
        } else {
            Operator::SourceOver
        },
        ..Layer::picture(index.to_string())
    });
    let pictures = layers.iter().map(pixels).collect();
    (scene(sheets.collect()), pictures)
}

#[test]
fn drawn_layers_look_as_in_the_scene() {
    let turned = |rotate: f64, scale: f64, flip: bool, x: f64| Layer {
        rotate,
        scale,
        flip,
        x,
        y: 4.0,
        ..Layer::picture("20x10")
    };
    for layer in [
        turned(0.0, 1.0, true, 3.0),
        turned(0.0, 1.0, false, 3.5),
        turned(90.0, 1.0, false, 3.0),
        turned(33.0, 1.7, true, 25.25),
        turned(-120.0, 0.3, false, 6.0),
        turned(5.0, 3000.0, false, 0.0),
        turned(0.0, 1.0, false, 1e15),
    ] {
        let what = format!("{layer:?}");
        let original = scene(vec![layer]);
        let psd = to_psd(&original, resolve).unwrap();
        let (again, pictures) = scene_of_psd(&psd);
        let again = flatten(&again, |path| Ok(&pictures[path.parse::<usize>().unwrap()]));
        let expected = flatten(&original, resolve).unwrap();
        assert_alike(&again.unwrap(), &expected, 0.0, &what);
    }
}

#[test]
fn a_background_is_the_lowest_layer() {
    let scene = Scene {
        background: Color {
            rgba: [10, 20, 30, 128],
        },
        ..scene(vec![Layer::picture("16x16")])
    };
    let psd = to_psd(&scene, resolve).unwrap();
    let layers = layers(&psd);
    assert_eq!(layers[0].name, "background");
    assert_eq!(layers[0].image_data_rgba, [10, 20, 30, 128].repeat(40 * 30));
    let xml = entry(&to_ora(&scene, resolve).unwrap(), "stack.xml");
    let xml = String::from_utf8(xml).unwrap();
    assert!(xml.find("16x16") < xml.find("background"), "{xml}");
}

#[test]
fn psd_has_every_blend_mode() {
    let blend = |blend| Layer {
        blend,
        ..Layer::picture("16x16")
    };
    let psd = to_psd(
        &scene(BlendMode::ALL.iter().copied().map(blend).collect()),
        resolve,
    )
    .unwrap();
    let keys: Vec<_> = layers(&psd)
        .into_iter()
        .map(|layer| layer.blend_mode)
        .collect();
    let expected =
        "norm mul  scrn over dark lite div  idiv hLit sLit diff smud hue  sat  colr lum ";
    assert_eq!(keys.join(" "), expected);
}

#[test]
fn psd_clips_what_is_atop_of_the_lowest_layer() {
    let atop = |x| Layer {
        x,
        opacity: 0.5,
        operator: Operator::SourceAtop,
        ..Layer::picture("16x16")
    };
    let original = scene(vec![Layer::picture("20x10"), atop(4.0), atop(9.0)]);
    let psd = to_psd(&original, resolve).unwrap();
    let clipped: Vec<_> = layers(&psd).iter().map(|layer| layer.is_clipped).collect();
    assert_eq!(clipped, [false, true, true]);
    let (again, pictures) = scene_of_psd(&psd);
    let again = flatten(&again, |path| Ok(&pictures[path.parse::<usize>().unwrap()]));
    assert_alike(
        &again.unwrap(),
        &flatten(&original, resolve).unwrap(),
        1.0,
        "clipped",
    );

    for layers in [
        vec![atop(0.0)],
        vec![Layer::picture("20x10"), Layer::picture("16x16"), atop(0.0)],
    ] {
        let error = to_psd(&scene(layers), resolve).unwrap_err();
        assert!(error.message.contains("source-atop"), "{error}");
    }
}

#[test]
fn open_raster_has_some_operators() {
    let operation = |blend, operator| {
        let layer = Layer {
            blend,
            operator,
            ..Layer::picture("16x16")
        };
        let ora = to_ora(&scene(vec![layer]), resolve).ok()?;
        let xml = String::from_utf8(entry(&ora, "stack.xml")).unwrap();
        let (_, rest) = xml.split_once("composite-op=\"svg:")?;
        Some(rest.split('"').next()?.to_string())
    };
    for (operator, expected) in [
        (Operator::SourceOver, "src-over"),
        (Operator::Lighter, "plus"),
        (Operator::DestinationIn, "dst-in"),
        (Operator::DestinationOut, "dst-out"),
        (Operator::SourceAtop, "src-atop"),
        (Operator::DestinationAtop, "dst-atop"),
    ] {
        assert_eq!(
            operation(BlendMode::Normal, operator).as_deref(),
            Some(expected)
        );
    }
    assert_eq!(operation(BlendMode::Normal, Operator::Xor), None);
    assert_eq!(operation(BlendMode::Multiply, Operator::SourceAtop), None);
    assert_eq!(operation(BlendMode::Exclusion, Operator::SourceOver), None);
}

#[test]
fn what_a_format_cannot_express_is_refused_by_name() {
    let refused = |scene: &Scene, words: &[&str]| {
        let errors = [
            to_ora(scene, resolve).unwrap_err(),
            to_psd(scene, resolve).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code, ErrorCode::BadOption);
            for word in words {
                assert!(error.message.contains(word), "{error}");
            }
        }
    };
    let xor = Layer {
        name: Some("moon".into()),
        operator: Operator::Xor,
        ..Layer::picture("16x16")
    };
    refused(&scene(vec![Layer::group(vec![xor])]), &["moon", "xor"]);
    let linear = Scene {
        space: ColorSpace::Linear,
        ..example()
    };
    refused(&linear, &["linear"]);
    refused(&scene(vec![Layer::default()]), &["picture"]);

    let crowd = scene(vec![Layer::picture("1x1"); 40_000]);
    let error = to_psd(&crowd, resolve).unwrap_err();
    assert!(error.message.contains("layers"), "{error}");
}

#[test]
fn names_in_a_psd_are_cut_between_characters() {
    // The 255th and the 256th unit of UTF-16 are one character.
    let long = "x".repeat(254) + "🍐" + &"y".repeat(200);
    for (name, kept) in [
        ("n".repeat(400), "n".repeat(255)),
        (long, "x".repeat(254)),
        ("ö".repeat(255), "ö".repeat(255)),
        ("🍐".repeat(200), "🍐".repeat(127)),
    ] {
        let layer = Layer {
            name: Some(name.clone()),
            ..Layer::picture("4x4")
        };
        let scene = scene(vec![layer]);
        let psd = to_psd(&scene, resolve).unwrap();
        let units: Vec<u16> = kept.encode_utf16().collect();
        let mut block = b"8BIMluni".to_vec();
        block.extend(((4 + 2 * units.len()).next_multiple_of(4) as u32).to_be_bytes());
        block.extend((units.len() as u32).to_be_bytes());
        block.extend(units.iter().flat_map(|unit| unit.to_be_bytes()));
        assert!(
            psd.windows(block.len()).any(|bytes| bytes == block),
            "{name}"
        );
        let layers = rawpsd::parse_layer_records(&psd).unwrap();
        assert_eq!(layers.len(), 1);
        // OpenRaster takes all of it.
        let mut archive = ZipArchive::new(Cursor::new(to_ora(&scene, resolve).unwrap())).unwrap();
        let mut xml = String::new();
        let mut stack = archive.by_name("stack.xml").unwrap();
        stack.read_to_string(&mut xml).unwrap();
        assert!(xml.contains(&name));
    }
}

fn sprite(name: &str, picture: Picture) -> Sprite {
    Sprite {
        name: name.into(),
        picture,
    }
}

/// What a frame of a sheet stands for: its pixels put back into a picture of its own size.
fn put_back(sheet: &SpriteSheet, name: &str) -> Picture {
    let frame = &sheet.json["frames"][name];
    let number = |group: &str, field: &str| frame[group][field].as_u64().unwrap() as usize;
    let (width, height) = (number("sourceSize", "w"), number("sourceSize", "h"));
    let mut rgba = vec![0; 4 * width * height];
    for y in 0..number("frame", "h") {
        let from = (number("frame", "y") + y) * sheet.picture.width + number("frame", "x");
        let to = (number("spriteSourceSize", "y") + y) * width + number("spriteSourceSize", "x");
        let length = 4 * number("frame", "w");
        rgba[4 * to..][..length].copy_from_slice(&sheet.picture.rgba[4 * from..][..length]);
    }
    Picture {
        width,
        height,
        rgba,
    }
}

/// A transparent picture with a box of one colour.
fn boxed(size: [usize; 2], [left, top, width, height]: [usize; 4]) -> Picture {
    let inside =
        |x: usize, y: usize| (left..left + width).contains(&x) && (top..top + height).contains(&y);
    let pixels = (0..size[1]).flat_map(|y| (0..size[0]).map(move |x| (x, y)));
    let pixels = pixels.flat_map(|(x, y)| if inside(x, y) { [9, 8, 7, 255] } else { [0; 4] });
    Picture {
        width: size[0],
        height: size[1],
        rgba: pixels.collect(),
    }
}

#[test]
fn sprites_are_packed_as_game_engines_read_them() {
    let sprites = [
        sprite("apple", boxed([20, 30], [3, 4, 5, 6])),
        sprite("tree", boxed([8, 8], [0, 0, 8, 8])),
        sprite("nothing", boxed([9, 9], [0, 0, 0, 0])),
    ];
    let sheet = to_sprite_sheet(&sprites, "sheet.png", SpriteSheetOptions::default()).unwrap();
    let apple = &sheet.json["frames"]["apple"];
    assert_eq!(apple["rotated"], false);
    assert_eq!(apple["trimmed"], true);
    assert_eq!(
        apple["spriteSourceSize"],
        serde_json::json!({"x": 3, "y": 4, "w": 5, "h": 6})
    );
    assert_eq!(apple["sourceSize"], serde_json::json!({"w": 20, "h": 30}));
    assert_eq!([&apple["frame"]["w"], &apple["frame"]["h"]], [5, 6]);
    assert_eq!(sheet.json["frames"]["tree"]["trimmed"], false);
    assert_eq!(sheet.json["frames"]["nothing"]["frame"]["w"], 1);
    let meta = &sheet.json["meta"];
    assert_eq!(
        [&meta["image"], &meta["format"], &meta["scale"]],
        ["sheet.png", "RGBA8888", "1"]
    );
    let size = serde_json::json!({"w": sheet.picture.width, "h": sheet.picture.height});
    assert_eq!(meta["size"], size);
    for Sprite { name, picture } in &sprites {
        assert!(put_back(&sheet, name) == *picture, "{name}");
    }
    let untrimmed = SpriteSheetOptions {
        trim: false,
        ..SpriteSheetOptions::default()
    };
    let whole = to_sprite_sheet(&sprites, "sheet.png", untrimmed).unwrap();
    assert_eq!(whole.json["frames"]["apple"]["frame"]["w"], 20);
    assert_eq!(whole.json["frames"]["apple"]["trimmed"], false);
}

#[test]
fn sprites_do_not_touch_each_other_nor_the_edge() {
    let sizes = (1..60usize).map(|n| [1 + n * 7 % 23, 1 + n * 5 % 31]);
    let sprites = sizes.enumerate();
    let sprites: Vec<_> = sprites
        .map(|(n, size)| sprite(&n.to_string(), boxed(size, [0, 0, size[0], size[1]])))
        .collect();
    for padding in [0, 1, 5] {
        let options = SpriteSheetOptions {
            padding,
            ..SpriteSheetOptions::default()
        };
        let sheet = to_sprite_sheet(&sprites, "s.png", options).unwrap();
        let frames = sheet.json["frames"].as_object().unwrap().values();
        let boxes: Vec<[usize; 4]> = frames
            .map(|frame| {
                ["x", "y", "w", "h"].map(|side| frame["frame"][side].as_u64().unwrap() as usize)
            })
            .collect();
        assert_eq!(boxes.len(), sprites.len());
        for (index, [x, y, w, h]) in boxes.iter().enumerate() {
            assert!(*x >= padding && *y >= padding);
            assert!(
                x + w + padding <= sheet.picture.width && y + h + padding <= sheet.picture.height
            );
            for [other_x, other_y, other_w, other_h] in &boxes[..index] {
                let apart = x + w + padding <= *other_x
                    || other_x + other_w + padding <= *x
                    || y + h + padding <= *other_y
                    || other_y + other_h + padding <= *y;
                assert!(apart, "padding {padding}");
            }
        }
        // A good part of the sheet is used.
        let used: usize = boxes
            .iter()
            .map(|[_, _, w, h]| (w + padding) * (h + padding))
            .sum();
        assert!(used * 4 > sheet.picture.width * sheet.picture.height * 3);
    }
}

#[test]
fn the_layers_of_a_scene_are_sprites() {
    let mut layers = example().layers;
    layers.push(Layer {
        name: Some("group".into()),
        blend: BlendMode::Multiply,
        opacity: 0.5,
        ..Layer::picture("16x16")
    });
    let original = Scene {
        background: "#ff0000".parse().unwrap(),
        ..scene(layers)
    };
    let sprites = scene_sprites(&original, resolve).unwrap();
    let names: Vec<_> = sprites.iter().map(|sprite| sprite.name.as_str()).collect();
    assert_eq!(
        names,
        ["Äpfel & \"Birnen\" 🍐", "foreground", "group", "group-2"]
    );
    let alone = Layer {
        opacity: 0.5,
        ..Layer::picture("16x16")
    };
    assert!(sprites[3].picture == flatten(&scene(vec![alone]), resolve).unwrap());
}

#[test]
fn sheets_that_cannot_be_are_refused() {
    let one = [sprite("a", boxed([10, 10], [0, 0, 10, 10]))];
    let refused = |sprites: &[Sprite], change: fn(&mut SpriteSheetOptions), word: &str| {
        let mut options = SpriteSheetOptions::default();
        change(&mut options);
        let error = to_sprite_sheet(sprites, "s.png", options).unwrap_err();
        assert_eq!(error.code, ErrorCode::BadOption, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    };
    refused(&[], |_| (), "no sprites");
    refused(
        &[one[0].clone(), one[0].clone()],
        |_| (),
        "two sprites are called \"a\"",
    );
    refused(&one, |options| options.padding = 257, "padding of 257");
    refused(&one, |options| options.max_side = 0, "side of 0");
    refused(&one, |options| options.max_side = 13, "13 x 13");
    let many: Vec<_> = (0..5)
        .map(|n| sprite(&n.to_string(), one[0].picture.clone()))
        .collect();
    refused(&many, |options| options.max_side = 26, "26 x 26");
    let fits = SpriteSheetOptions {
        max_side: 26,
        ..SpriteSheetOptions::default()
    };
    assert_eq!(
        to_sprite_sheet(&many[..4], "s.png", fits)
            .unwrap()
            .picture
            .width,
        26
    );
    let empty = Picture {
        width: 0,
        height: 0,
        rgba: Vec::new(),
    };
    let error = to_sprite_sheet(&[sprite("e", empty)], "s.png", fits).unwrap_err();
    assert_eq!(error.code, ErrorCode::BadImage);
}
