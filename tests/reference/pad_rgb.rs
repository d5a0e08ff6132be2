//! The padded RGB equals the released LayerDiffuse code.

use crate::support::{Case, Tolerance, assert_close};
use glassine::image::{Picture, padded_rgb};

/// Planes as interleaved pixels.
fn interleaved(planes: &[f32]) -> Vec<f32> {
    let pixels = planes.len() / 3;
    let channels = |pixel| (0..3).map(move |channel| planes[channel * pixels + pixel]);
    (0..pixels).flat_map(channels).collect()
}

#[test]
fn follows_the_released_code() {
    let case = Case::load("layerdiffuse/pad_rgb");
    let tolerance = Tolerance::max_abs(case.number("/tolerance/max_abs"));
    for name in [
        "soft_alpha",
        "fully_transparent",
        "fully_opaque",
        "single_opaque_pixel",
        "nonsquare",
        "one_by_one",
        "noise_sparse",
    ] {
        let input = case.tensor(&format!("{name}.rgba"));
        let picture = Picture {
            width: input.shape[1],
            height: input.shape[0],
            rgba: input.u8(),
        };
        let padded = interleaved(&padded_rgb(&picture));
        case.check_within(&format!("{name}.padded"), &padded, tolerance);
    }
}

#[test]
fn known_answer() {
    let (width, height) = (6, 4);
    let mut rgba = vec![];
    for y in 0..height as i32 {
        for x in 0..width as i32 {
            let opaque_rows = (1..=2).contains(&y);
            let alpha = [0, 0, 64, 255, 128, 0][x as usize];
            rgba.extend([
                (40 * x + 10 * y).rem_euclid(256) as u8,
                (25 * y + 7 * x + 60).rem_euclid(256) as u8,
                (200 - 20 * x - 11 * y).rem_euclid(256) as u8,
                if opaque_rows { alpha } else { 0 },
            ]);
        }
    }
    let picture = Picture {
        width,
        height,
        rgba,
    };
    let padded = interleaved(&padded_rgb(&picture));
    for ((x, y), expected) in [
        ((0, 0), [0.546412, 0.467554, 0.475846]),
        ((2, 1), [0.482602, 0.443106, 0.511179]),
        ((3, 1), [0.509804, 0.415686, 0.505882]),
        ((4, 1), [0.623129, 0.456585, 0.443783]),
        ((5, 1), [0.573491, 0.471503, 0.462511]),
        ((1, 2), [0.534551, 0.466336, 0.481555]),
        ((3, 2), [0.549020, 0.513726, 0.462745]),
        ((4, 2), [0.644223, 0.509319, 0.420580]),
        ((5, 3), [0.570248, 0.474297, 0.463265]),
        ((0, 3), [0.546521, 0.467827, 0.475726]),
    ] {
        let got = &padded[3 * (y * width + x)..][..3];
        let name = format!("pixel {x}, {y}");
        assert_close(&name, got, &expected, Tolerance::max_abs(1e-6));
    }
}

#[test]
fn opaque_pixels_keep_their_colour_exactly() {
    let rgba: Vec<u8> = (0..5 * 7)
        .flat_map(|pixel| [pixel * 7, 255 - pixel, pixel * 3, 255 * (pixel % 2)])
        .collect();
    let picture = Picture {
        width: 5,
        height: 7,
        rgba,
    };
    let padded = interleaved(&padded_rgb(&picture));
    for (pixel, padded) in picture.rgba.chunks(4).zip(padded.chunks(3)) {
        if pixel[3] == 255 {
            let expected = [0, 1, 2].map(|channel| f32::from(pixel[channel]) / 255.0);
            assert_eq!(padded, expected);
        }
    }
}

#[test]
fn an_empty_picture_has_no_pixels() {
    let picture = Picture {
        width: 0,
        height: 0,
        rgba: vec![],
    };
    assert!(padded_rgb(&picture).is_empty());
}
