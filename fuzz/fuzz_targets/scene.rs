//! Scene files: what is read is written back with everything in it, and flattens.

#![no_main]

use glassine::compose::{Scene, flatten};
use glassine_fuzz::scene_picture;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// A scene is cut to this size before it is flattened, for speed.
const MAX_SIDE: usize = 64;

fuzz_target!(|text: &str| {
    let Ok(mut scene) = Scene::from_json(text) else {
        return;
    };
    let written = scene.to_json().expect("a valid scene can be written");
    let again = Scene::from_json(&written).expect("a written scene can be read");
    assert_eq!(again.image_paths(), scene.image_paths());
    let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    assert_kept(&parse(text), &parse(&written));
    assert_kept(
        &parse(&written),
        &parse(&again.to_json().expect("a valid scene")),
    );

    scene.width = scene.width.min(MAX_SIDE);
    scene.height = scene.height.min(MAX_SIDE);
    if let Ok(flat) = flatten(&scene, |path| Ok(scene_picture(path))) {
        assert_eq!((flat.width, flat.height), (scene.width, scene.height));
        assert_eq!(flat.rgba.len(), flat.width * flat.height * 4);
    }
});

/// Fails unless every field of `before` is in `after`. Floats may differ in the last bits.
fn assert_kept(before: &Value, after: &Value) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            // An optional field that is null may be left out.
            for (key, value) in before.iter().filter(|(_, value)| !value.is_null()) {
                let kept = after.get(key).unwrap_or_else(|| panic!("{key:?} is lost"));
                assert_kept(value, kept);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            assert_eq!(before.len(), after.len());
            before
                .iter()
                .zip(after)
                .for_each(|(before, after)| assert_kept(before, after));
        }
        (Value::Number(before), Value::Number(after)) => {
            let [before, after] = [before, after].map(|number| number.as_f64().expect("a number"));
            assert!(
                (before - after).abs() <= 1e-14 * before.abs(),
                "{before} became {after}"
            );
        }
        // Colours are written in one of their spellings.
        (Value::String(before), Value::String(after)) if before.starts_with('#') => {
            assert!(after.starts_with(&before.to_lowercase()) || before == after);
        }
        _ => assert_eq!(before, after),
    }
}
