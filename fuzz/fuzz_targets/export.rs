//! Scenes as files of layers: whatever a scene says, what is written is an OpenRaster or a PSD file that
//! others can read, with the flattened scene in it.

#![no_main]

use std::io::{Cursor, Read};

use glassine::compose::{Scene, flatten, to_ora, to_psd};
use glassine::image::Picture;
use glassine::{Error, ErrorCode, Result};
use glassine_fuzz::scene_picture;
use libfuzzer_sys::fuzz_target;
use zip::ZipArchive;

/// A scene is cut to this size, for speed.
const MAX_SIDE: usize = 64;

fuzz_target!(|text: &str| {
    let Ok(mut scene) = Scene::from_json(text) else {
        return;
    };
    scene.width = scene.width.min(MAX_SIDE);
    scene.height = scene.height.min(MAX_SIDE);
    let read = |path: &str| Ok(scene_picture(path));
    let flat = flatten(&scene, read);
    if let Some(ora) = written(to_ora(&scene, read)) {
        check_ora(&ora, flat.as_ref().expect("it was written"));
    }
    if let Some(psd) = written(to_psd(&scene, read)) {
        check_psd(&psd, &scene);
    }
});

fn written(file: Result<Vec<u8>>) -> Option<Vec<u8>> {
    file.map_err(|Error { code, message, .. }| {
        let allowed = [ErrorCode::BadOption, ErrorCode::BadImage];
        assert!(allowed.contains(&code), "{code:?}: {message}");
    })
    .ok()
}

fn check_ora(ora: &[u8], flat: &Picture) {
    let mut archive = ZipArchive::new(Cursor::new(ora)).expect("a zip archive");
    let mut stack = String::new();
    let mut pictures = 0;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        let name = entry.name().expect("a name").into_owned();
        let mut bytes = Vec::new();
        entry
            .read_to_end(&mut bytes)
            .expect("bytes of the right checksum");
        match &*name {
            "mimetype" => assert_eq!((index, &bytes[..]), (0, &b"image/openraster"[..])),
            "stack.xml" => stack = String::from_utf8(bytes).expect("text"),
            name => {
                let picture = Picture::from_file(&bytes).expect("a picture");
                pictures += usize::from(name.starts_with("data/"));
                assert!(name != "mergedimage.png" || picture == *flat);
            }
        }
    }
    let illegal = |c: char| matches!(c, '\0'..'\t' | '\u{b}'..' ' | '\u{fffe}' | '\u{ffff}');
    assert!(!stack.contains(illegal));
    assert_eq!(stack.matches("<layer src=").count(), pictures);
    assert_eq!(
        stack.matches("<stack").count(),
        stack.matches("</stack>").count()
    );
}

fn check_psd(psd: &[u8], scene: &Scene) {
    let about = rawpsd::parse_psd_metadata(psd).expect("a PSD file");
    let (width, height) = (about.width as usize, about.height as usize);
    assert_eq!((width, height), (scene.width, scene.height));
    for layer in rawpsd::parse_layer_records(psd).expect("layers") {
        let size = 4 * layer.w as usize * layer.h as usize;
        assert!(layer.image_data_rgba.len() == size && layer.name.encode_utf16().count() <= 255);
    }
    // Palette, resources and layers, each with its length in front.
    let start = (0..3).fold(26, |at, _| {
        let length = psd[at..].first_chunk().expect("a length");
        at + 4 + u32::from_be_bytes(*length) as usize
    });
    let rest = &psd[start..];
    let mut planes = vec![0; 4 * width * height];
    // Also fails if anything follows.
    let merged = rawpsd::copy_img_data(rest, &mut planes, 1, rest.len() as u64, 4 * height as u64);
    merged.expect("a merged picture");
}
