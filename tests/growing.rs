//! Pictures that grow: on their sides, or as a whole.

use std::path::Path;

use crate::support::model;
use burn::tensor::Device;
use glassine::image::Picture;
use glassine::pack::FolderSource;
use glassine::pipeline::{Engine, Init, Margins, Mode, NoProgress, Request};

fn generate(request: &Request) -> glassine::Result<Picture> {
    generate_by(model::pack(), request)
}

fn generate_by(source: FolderSource, request: &Request) -> glassine::Result<Picture> {
    pollster::block_on(async {
        let mut engine = Engine::load(source, Device::flex(), &mut NoProgress).await?;
        let generation = engine.generate(request, &mut NoProgress).await?;
        Ok(generation.layers[0].picture.clone())
    })
}

fn of(picture: &Picture) -> Request {
    let mut request = Request::new("a red apple");
    request.mode = Some(Mode::Single);
    request.init = Some(Init::Picture(picture.clone()));
    request.steps = Some(2);
    request.decode_passes = Some(1);
    request
}

/// Each pixel is another, some of alpha 0.
fn picture(width: usize, height: usize) -> Picture {
    let pixel = |index: usize| {
        let (x, y) = (index % width, index / width);
        [
            (x * 3) as u8,
            (y * 5) as u8,
            90,
            if x > y { 255 } else { 0 },
        ]
    };
    Picture {
        width,
        height,
        rgba: (0..width * height).flat_map(pixel).collect(),
    }
}

fn part(picture: &Picture, left: usize, top: usize, width: usize, height: usize) -> Vec<u8> {
    let rows = picture
        .rgba
        .chunks(4 * picture.width)
        .skip(top)
        .take(height);
    rows.flat_map(|row| &row[4 * left..4 * (left + width)])
        .copied()
        .collect()
}

/// Sizes that the networks do not take are made at the next and cut.
#[test]
fn a_picture_that_grows_on_its_sides_stays_as_it_was() {
    let first = picture(61, 40);
    let mut made = first.clone();
    for seed in 0..2 {
        let mut request = of(&made);
        request.seed = seed;
        request.extend = Some(Margins {
            left: 3,
            top: 2,
            right: 20,
            bottom: 0,
        });
        made = generate(&request).unwrap();
    }
    assert_eq!((made.width, made.height), (107, 44));
    assert_eq!(part(&made, 6, 4, 61, 40), first.rgba);
    let right = part(&made, 87, 0, 20, 44);
    assert!(right.chunks(4).any(|pixel| pixel != &right[..4]));
}

#[test]
fn a_crop_around_what_is_new_is_made_at_the_outputs_size() {
    let first = picture(301, 64);
    let mut request = of(&first);
    request.extend = Some(Margins {
        right: 40,
        ..Margins::default()
    });
    request.mask_crop = Some(8);
    (request.width, request.height) = (Some(64), Some(64));
    let made = generate(&request).unwrap();
    assert_eq!((made.width, made.height), (341, 64));
    assert_eq!(part(&made, 0, 0, 301, 64), first.rgba);
}

#[test]
fn a_picture_is_enlarged_to_exactly_its_scale() {
    let mut request = of(&picture(50, 33));
    request.enlarge = Some(2.0);
    let made = generate(&request).unwrap();
    assert_eq!((made.width, made.height), (100, 66));
}

/// What is enlarged is a picture whose hidden colour is black: none of it comes to the rim.
#[test]
fn what_is_enlarged_has_no_dark_rim() {
    let pixel = |index: usize| {
        let (x, y) = ((index % 32) as f32 - 15.5, (index / 32) as f32 - 15.5);
        if x.hypot(y) < 11.0 { [255; 4] } else { [0; 4] }
    };
    let disc = Picture {
        width: 32,
        height: 32,
        rgba: (0..32 * 32).flat_map(pixel).collect(),
    };
    let larger = disc.resized(64, 64).unwrap();
    let seen = larger.rgba.chunks(4).filter(|pixel| pixel[3] > 0);
    assert!(seen.clone().count() > 1500);
    assert!(seen.clone().all(|pixel| pixel[..3] == [255; 3]));
}

/// The built-in model's codec loses up to 20 of 255, which may not draw the outline of a mask.
#[test]
fn the_codecs_loss_of_tone_leaves_no_outline() {
    const SIDE: usize = 128;
    let mini = FolderSource::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("pkg/models/mini"));
    let generate = |request: &Request| generate_by(mini.clone(), request).unwrap();
    // Nearly all of what is made is the picture's own.
    let request = |picture: &Picture| {
        let mut request = of(picture);
        (request.steps, request.strength) = (Some(16), Some(0.07));
        request
    };
    let flat = Picture {
        width: SIDE,
        height: SIDE,
        rgba: [100, 140, 190, 255].repeat(SIDE * SIDE),
    };
    let mean = |picture: &Picture, is_in: &dyn Fn(usize, usize) -> bool| {
        let pixels = picture.rgba.chunks(4).enumerate();
        let pixels =
            pixels.filter(|(index, _)| is_in(index % picture.width, index / picture.width));
        let pixels: Vec<&[u8]> = pixels.map(|(_, pixel)| pixel).collect();
        [0, 1, 2, 3].map(|channel| {
            let sum: f32 = pixels.iter().map(|pixel| f32::from(pixel[channel])).sum();
            sum / pixels.len() as f32
        })
    };
    let is_near = |mean: [f32; 4]| {
        let apart = mean.iter().zip(&flat.rgba);
        let apart = apart.map(|(mean, flat)| (mean - f32::from(*flat)).abs());
        assert!(apart.fold(0.0, f32::max) < 3.0, "the mean is {mean:?}");
    };

    let inside = |x: usize, y: usize| (32..96).contains(&x) && (32..96).contains(&y);
    let mut mask = flat.clone();
    for (index, pixel) in mask.rgba.chunks_mut(4).enumerate() {
        let value = if inside(index % SIDE, index / SIDE) {
            255
        } else {
            0
        };
        pixel.copy_from_slice(&[value, value, value, 255]);
    }
    let mut repaint = request(&flat);
    repaint.mask = Some(mask);
    repaint.mask_softness = Some(8);
    let deep = |x: usize, y: usize| (40..88).contains(&x) && (40..88).contains(&y);
    let made = generate(&repaint);
    is_near(mean(&made, &|x, y| inside(x, y) && !deep(x, y)));

    let mut extend = request(&flat);
    extend.mode = Some(Mode::Opaque);
    extend.extend = Some(Margins {
        right: 32,
        ..Margins::default()
    });
    is_near(mean(&generate(&extend), &|x, _| x >= SIDE));
}

#[test]
fn what_cannot_grow_is_refused_in_words() {
    let small = picture(40, 40);
    let refused = |change: &dyn Fn(&mut Request), words: &str| {
        let mut request = of(&small);
        change(&mut request);
        let error = generate(&request).unwrap_err();
        assert!(error.code.is_bad_input(), "{error}");
        let error = error.to_string();
        assert!(error.contains(words), "{error} does not say {words}");
    };
    let right = Some(Margins {
        right: 8,
        ..Margins::default()
    });
    refused(
        &|request| request.extend = Some(Margins::default()),
        "left, top",
    );
    refused(&|request| request.enlarge = Some(1.0), "enlarging by 1");
    refused(&|request| request.enlarge = Some(f64::NAN), "NaN");
    for change in [
        &(|request: &mut Request| request.init = None) as &dyn Fn(&mut Request),
        &|request| request.mask = Some(small.clone()),
        &|request| request.width = Some(64),
        &|request| request.mode = Some(Mode::Joint),
    ] {
        let extended = |request: &mut Request| {
            change(request);
            request.extend = right;
        };
        refused(&extended, "");
        let enlarged = |request: &mut Request| {
            change(request);
            request.enlarge = Some(2.0);
        };
        refused(&enlarged, "");
    }
    let both = |request: &mut Request| {
        request.extend = right;
        request.enlarge = Some(2.0);
    };
    refused(&both, "one after the other");
}
