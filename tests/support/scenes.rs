//! Scenes of small pictures.

use glassine::compose::{BlendMode, Layer, Scene};
use glassine::image::Picture;

/// A picture with soft edges, and colour where it is transparent.
pub fn picture(width: usize, height: usize) -> Picture {
    let pixel = |x: usize, y: usize| {
        let edge = x.min(y).min(width - 1 - x).min(height - 1 - y);
        let color = [x * 255 / width, y * 255 / height, (x * 7 + y * 3) % 256];
        let [red, green, blue] = color.map(|channel| channel as u8);
        [red, green, blue, (edge * 40).min(255) as u8]
    };
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| pixel(x, y)));
    Picture {
        width,
        height,
        rgba: pixels.flatten().collect(),
    }
}

/// The scenes' pictures are called by their sizes.
pub fn resolve(path: &str) -> glassine::Result<Picture> {
    let path = path.trim_end_matches(".png");
    let (width, height) = path.split_once('x').expect("a size");
    Ok(picture(width.parse().unwrap(), height.parse().unwrap()))
}

pub fn scene(layers: Vec<Layer>) -> Scene {
    Scene {
        layers,
        ..Scene::new(40, 30)
    }
}

/// A scene with a bit of everything that files of layers can express.
pub fn example() -> Scene {
    let group = Layer {
        name: Some("group".into()),
        rotate: 10.0,
        opacity: 0.6,
        blend: BlendMode::HardLight,
        ..Layer::group(vec![
            Layer::picture("16x16"),
            Layer {
                x: 5.0,
                y: 5.0,
                blend: BlendMode::Luminosity,
                ..Layer::picture("20x10")
            },
        ])
    };
    scene(vec![
        Layer {
            name: Some("Äpfel & \"Birnen\" 🍐".into()),
            x: -4.0,
            y: 3.0,
            ..Layer::picture("30x20")
        },
        Layer {
            role: Some("foreground".into()),
            x: 8.0,
            scale: 1.3,
            rotate: 30.0,
            flip: true,
            opacity: 0.8,
            blend: BlendMode::Multiply,
            ..Layer::picture("20x10")
        },
        Layer {
            visible: false,
            ..Layer::picture("16x16")
        },
        group,
    ])
}

/// Fails unless two pictures look the same on white and on black, up to `tolerance` of 255.
pub fn assert_alike(got: &Picture, expected: &Picture, tolerance: f32, what: &str) {
    assert_eq!((got.width, got.height), (expected.width, expected.height));
    let premultiplied = |picture: &Picture| -> Vec<f32> {
        let pixels = picture.rgba.chunks(4);
        pixels
            .flat_map(|pixel| {
                let alpha = f32::from(pixel[3]);
                [0, 1, 2]
                    .map(|channel| f32::from(pixel[channel]) * alpha / 255.0)
                    .into_iter()
                    .chain([alpha])
            })
            .collect()
    };
    let differences = premultiplied(got).into_iter().zip(premultiplied(expected));
    let worst = differences.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance, "{what}: off by {worst}");
}
