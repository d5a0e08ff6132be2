//! Time to flatten eight layers of 2048 x 2048 pixels, and whether the result is right.
//!
//! `cargo bench --bench compose` prints milliseconds, the best and the median of five runs.

use std::process::ExitCode;
use std::time::Instant;

use glassine::compose::{
    BlendMode, ColorSpace, Layer, Operator, Scene, composite, flatten, from_rgba8, premultiply,
    to_rgba8, unpremultiply,
};
use glassine::image::Picture;

const SIDE: usize = 2048;
const LAYERS: usize = 8;
const RUNS: usize = 5;

fn main() -> ExitCode {
    let pictures: Vec<Picture> = (0..LAYERS).map(picture).collect();
    let mut all_right = true;
    let mut row = |name: &str, scene: Scene, check: Option<BlendMode>| {
        let (times, flat) = measure(&scene, &pictures);
        let checked = match check {
            Some(blend) if is_right(&flat, &pictures, blend) => "right",
            Some(_) => {
                all_right = false;
                "WRONG"
            }
            None => "not checked",
        };
        let (best, median) = (times[0], times[RUNS / 2]);
        println!("{name:28} best {best:7.1} ms, median {median:7.1} ms, {checked}");
    };
    row("normal", scene(|layer| layer), Some(BlendMode::Normal));
    for blend in [
        BlendMode::Multiply,
        BlendMode::SoftLight,
        BlendMode::Luminosity,
    ] {
        let scene = scene(|layer| Layer { blend, ..layer });
        row(blend.as_str(), scene, Some(blend));
    }
    let linear = Scene {
        space: ColorSpace::Linear,
        ..scene(|layer| layer)
    };
    row("normal, linear", linear, None);
    let turned = scene(|layer| Layer {
        rotate: 10.0,
        ..layer
    });
    row("normal, turned", turned, None);
    let shrunk = scene(|layer| Layer {
        scale: 0.4,
        ..layer
    });
    row("normal, shrunk", shrunk, None);
    if all_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn scene(change: impl Fn(Layer) -> Layer) -> Scene {
    let layers = (0..LAYERS).map(|index| change(Layer::picture(index.to_string())));
    Scene {
        layers: layers.collect(),
        ..Scene::new(SIDE, SIDE)
    }
}

/// Colours and alpha that change from pixel to pixel, so that no branch is predictable.
fn picture(index: usize) -> Picture {
    let mut state = index as u32 + 1;
    let rgba = (0..SIDE * SIDE).flat_map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()
    });
    Picture {
        width: SIDE,
        height: SIDE,
        rgba: rgba.collect(),
    }
}

/// The times in milliseconds, shortest first, and the last result.
fn measure(scene: &Scene, pictures: &[Picture]) -> (Vec<f64>, Picture) {
    let mut times = vec![];
    let mut last = None;
    for _ in 0..RUNS {
        let start = Instant::now();
        let flat = flatten(scene, |path| {
            Ok(&pictures[path.parse::<usize>().expect("a number")])
        });
        times.push(start.elapsed().as_secs_f64() * 1e3);
        last = Some(flat.expect("a scene that flattens"));
    }
    times.sort_by(f64::total_cmp);
    (times, last.expect("at least one run"))
}

/// Whether every 97th pixel is what compositing pixel by pixel gives.
fn is_right(flat: &Picture, pictures: &[Picture], blend: BlendMode) -> bool {
    (0..SIDE * SIDE).step_by(97).all(|index| {
        let at = |picture: &Picture| picture.rgba.as_chunks::<4>().0[index];
        let expected = pictures.iter().fold([0.0; 4], |backdrop, picture| {
            let source = premultiply(from_rgba8(at(picture)));
            composite(backdrop, source, blend, Operator::SourceOver)
        });
        let expected = to_rgba8(unpremultiply(expected));
        let channels = at(flat).into_iter().zip(expected);
        channels
            .into_iter()
            .all(|(got, expected)| got.abs_diff(expected) <= 1)
    })
}
