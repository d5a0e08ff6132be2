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

/// Walks through a PSD file to its end, all lengths and compressed rows checked.
fn check_psd(psd: &[u8], scene: &Scene) {
    let mut file = Reader(psd);
    assert_eq!(file.take(14), b"8BPS\0\x01\0\0\0\0\0\0\0\x04");
    let [height, width] = [file.number::<4>(), file.number::<4>()];
    assert_eq!((width, height), (scene.width, scene.height));
    assert_eq!(file.take(4), [0, 8, 0, 3]);
    assert!(file.sized().is_empty() && file.sized().is_empty());
    let mut section = Reader(file.sized());
    let mut layers = Reader(section.sized());
    assert!(section.sized().is_empty() && section.0.is_empty());
    let count = i16::from_be_bytes([layers.0[0], layers.0[1]]).unsigned_abs();
    layers.take(2);
    let records: Vec<_> = (0..count).map(|_| record(&mut layers)).collect();
    for ([width, height], lengths) in records {
        for length in lengths {
            let mut channel = Reader(layers.take(length));
            match channel.number::<2>() {
                0 => assert_eq!((width * height, channel.0.len()), (0, 0)),
                1 => check_rows(&mut channel, width, height),
                other => panic!("compression {other}"),
            }
            assert!(channel.0.is_empty());
        }
    }
    assert!(layers.0.len() < 2);
    assert_eq!(file.number::<2>(), 1);
    check_rows(&mut file, width, 4 * height);
    assert!(file.0.is_empty());
}

/// The record of a layer: its width and height, and the lengths of its channels.
fn record(layers: &mut Reader) -> ([usize; 2], Vec<usize>) {
    let edges: [i64; 4] = std::array::from_fn(|_| layers.number::<4>() as u32 as i32 as i64);
    let side = |from: usize, to: usize| usize::try_from(edges[to] - edges[from]).expect("a size");
    let channels = layers.number::<2>();
    let length = |_| {
        layers.take(2);
        layers.number::<4>()
    };
    let lengths = (0..channels).map(length).collect();
    assert_eq!(layers.take(4), b"8BIM");
    layers.take(8);
    let mut extra = Reader(layers.sized());
    assert!(extra.sized().is_empty() && extra.sized().is_empty());
    let name = extra.number::<1>();
    extra.take((name + 1).next_multiple_of(4) - 1);
    while !extra.0.is_empty() {
        assert_eq!(extra.take(4), b"8BIM");
        let key = extra.take(4);
        let block = extra.sized();
        assert!(block.len().is_multiple_of(4));
        assert!(key != b"luni" || Reader(block).number::<4>() <= 255);
    }
    ([side(1, 3), side(0, 2)], lengths)
}

/// Rows in PackBits, their lengths in front.
fn check_rows(bytes: &mut Reader, width: usize, count: usize) {
    let lengths: Vec<_> = (0..count).map(|_| bytes.number::<2>()).collect();
    for length in lengths {
        let mut row = Reader(bytes.take(length));
        let mut pixels = 0;
        while !row.0.is_empty() {
            match row.number::<1>() {
                literal @ 0..128 => pixels += row.take(literal + 1).len(),
                128 => {}
                run => {
                    row.take(1);
                    pixels += 257 - run;
                }
            }
        }
        assert_eq!(pixels, width);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    /// A number of so many bytes, the highest first.
    fn number<const N: usize>(&mut self) -> usize {
        let bytes = self.take(N).iter();
        bytes.fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    /// What has its length in front.
    fn sized(&mut self) -> &'a [u8] {
        let length = self.number::<4>();
        self.take(length)
    }
}
