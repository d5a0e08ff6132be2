//! Compositing equals the W3C's specification, and scenes flatten to what they say.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use glassine::compose::{
    BlendMode, Color, ColorSpace, Layer, Operator, Scene, Transform, composite, composite_rgba8,
    composite_rgba8_premultiplied, composite_straight, flatten, premultiply,
};
use glassine::image::Picture;
use glassine::{Error, ErrorCode};
use serde_json::{Value, json};

/// "Compositing and Blending Level 1", written down once more, in f64 and as the text has it.
mod specification {
    /// Section 9.1: `Fa` and `Fb` by operator.
    fn fractions(operator: &str, source: f64, backdrop: f64) -> (f64, f64) {
        match operator {
            "clear" => (0.0, 0.0),
            "copy" => (1.0, 0.0),
            "destination" => (0.0, 1.0),
            "source-over" => (1.0, 1.0 - source),
            "destination-over" => (1.0 - backdrop, 1.0),
            "source-in" => (backdrop, 0.0),
            "destination-in" => (0.0, source),
            "source-out" => (1.0 - backdrop, 0.0),
            "destination-out" => (0.0, 1.0 - source),
            "source-atop" => (backdrop, 1.0 - source),
            "destination-atop" => (1.0 - backdrop, source),
            "xor" => (1.0 - backdrop, 1.0 - source),
            "lighter" => (1.0, 1.0),
            other => panic!("operator {other}"),
        }
    }

    /// Section 10.1: the separable modes.
    fn channel(mode: &str, backdrop: f64, source: f64) -> f64 {
        let multiply = |a: f64, b: f64| a * b;
        let screen = |a: f64, b: f64| 1.0 - (1.0 - a) * (1.0 - b);
        match mode {
            "normal" => source,
            "multiply" => multiply(backdrop, source),
            "screen" => screen(backdrop, source),
            "overlay" => channel("hard-light", source, backdrop),
            "darken" => backdrop.min(source),
            "lighten" => backdrop.max(source),
            "color-dodge" if backdrop == 0.0 => 0.0,
            "color-dodge" if source == 1.0 => 1.0,
            "color-dodge" => (backdrop / (1.0 - source)).min(1.0),
            "color-burn" if backdrop == 1.0 => 1.0,
            "color-burn" if source == 0.0 => 0.0,
            "color-burn" => 1.0 - ((1.0 - backdrop) / source).min(1.0),
            "hard-light" if source <= 0.5 => multiply(backdrop, 2.0 * source),
            "hard-light" => screen(backdrop, 2.0 * source - 1.0),
            "soft-light" if source <= 0.5 => {
                backdrop - (1.0 - 2.0 * source) * backdrop * (1.0 - backdrop)
            }
            "soft-light" => {
                let d = if backdrop <= 0.25 {
                    ((16.0 * backdrop - 12.0) * backdrop + 4.0) * backdrop
                } else {
                    backdrop.sqrt()
                };
                backdrop + (2.0 * source - 1.0) * (d - backdrop)
            }
            "difference" => (backdrop - source).abs(),
            "exclusion" => backdrop + source - 2.0 * backdrop * source,
            other => panic!("blend mode {other}"),
        }
    }

    fn lum([red, green, blue]: [f64; 3]) -> f64 {
        0.3 * red + 0.59 * green + 0.11 * blue
    }

    fn sat(color: [f64; 3]) -> f64 {
        let fold = |pick: fn(f64, f64) -> f64| color.into_iter().reduce(pick).unwrap();
        fold(f64::max) - fold(f64::min)
    }

    fn set_lum(color: [f64; 3], target: f64) -> [f64; 3] {
        let d = target - lum(color);
        let mut color = color.map(|channel| channel + d);
        let l = lum(color);
        let n = color.into_iter().reduce(f64::min).unwrap();
        let x = color.into_iter().reduce(f64::max).unwrap();
        if n < 0.0 {
            color = color.map(|channel| l + (channel - l) * l / (l - n));
        }
        if x > 1.0 {
            color = color.map(|channel| l + (channel - l) * (1.0 - l) / (x - l));
        }
        color
    }

    /// By rank, as the text has it: the largest becomes `s`, the smallest 0.
    fn set_sat(mut color: [f64; 3], s: f64) -> [f64; 3] {
        let mut order = [0, 1, 2];
        order.sort_by(|&a, &b| color[a].total_cmp(&color[b]));
        let [min, mid, max] = order;
        if color[max] > color[min] {
            color[mid] = (color[mid] - color[min]) * s / (color[max] - color[min]);
            color[max] = s;
        } else {
            color[mid] = 0.0;
            color[max] = 0.0;
        }
        color[min] = 0.0;
        color
    }

    fn blend(mode: &str, backdrop: [f64; 3], source: [f64; 3]) -> [f64; 3] {
        match mode {
            "hue" => set_lum(set_sat(source, sat(backdrop)), lum(backdrop)),
            "saturation" => set_lum(set_sat(backdrop, sat(source)), lum(backdrop)),
            "color" => set_lum(source, lum(backdrop)),
            "luminosity" => set_lum(backdrop, lum(source)),
            separable => [0, 1, 2].map(|i| channel(separable, backdrop[i], source[i])),
        }
    }

    /// Sections 5 and 9: straight colours in, the premultiplied result out.
    pub fn composite(backdrop: [f64; 4], source: [f64; 4], mode: &str, operator: &str) -> [f64; 4] {
        let [backdrop_red, backdrop_green, backdrop_blue, backdrop_alpha] = backdrop;
        let [source_red, source_green, source_blue, source_alpha] = source;
        let backdrop = [backdrop_red, backdrop_green, backdrop_blue];
        let source = [source_red, source_green, source_blue];
        let blended = blend(mode, backdrop, source);
        let (fa, fb) = fractions(operator, source_alpha, backdrop_alpha);
        let sum = |source: f64, backdrop: f64| {
            (source_alpha * fa * source + backdrop_alpha * fb * backdrop).min(1.0)
        };
        let color = |i: usize| {
            let mixed = (1.0 - backdrop_alpha) * source[i] + backdrop_alpha * blended[i];
            sum(mixed, backdrop[i])
        };
        [color(0), color(1), color(2), sum(1.0, 1.0)]
    }
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as u32
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 8) as u8
    }

    /// A straight colour; one channel in four is 0 or 1.
    fn color(&mut self) -> [f32; 4] {
        std::array::from_fn(|_| match self.next() % 8 {
            0 => 0.0,
            1 => 1.0,
            _ => self.next() as f32 / (1u32 << 31) as f32,
        })
    }

    fn picture(&mut self, width: usize, height: usize) -> Picture {
        let rgba = (0..4 * width * height).map(|_| self.byte()).collect();
        Picture {
            width,
            height,
            rgba,
        }
    }
}

fn each_pair() -> impl Iterator<Item = (BlendMode, Operator)> {
    let modes = BlendMode::ALL.iter().copied();
    modes.flat_map(|mode| {
        Operator::ALL
            .iter()
            .copied()
            .map(move |operator| (mode, operator))
    })
}

fn assert_near(got: [f32; 4], expected: [f64; 4], tolerance: f64, what: &str) {
    for (got, wanted) in got.into_iter().zip(expected) {
        let difference = (f64::from(got) - wanted).abs();
        assert!(
            difference <= tolerance,
            "{what}: {got} instead of {wanted} of {expected:?}"
        );
    }
}

/// A picture of one colour.
fn plain(width: usize, height: usize, color: [u8; 4]) -> Picture {
    Picture {
        width,
        height,
        rgba: color.repeat(width * height),
    }
}

fn pixel(picture: &Picture, x: usize, y: usize) -> [u8; 4] {
    picture.rgba.as_chunks().0[y * picture.width + x]
}

/// Flattens a scene in which every path is `picture`.
fn flatten_with(scene: &Scene, picture: &Picture) -> Picture {
    flatten(scene, |_| Ok(picture)).expect("a scene that flattens")
}

fn scene_of(width: usize, height: usize, layers: Vec<Layer>) -> Scene {
    Scene {
        layers,
        ..Scene::new(width, height)
    }
}

fn background(color: &str) -> Color {
    color.parse().expect("a colour")
}

// Single pixels.

/// The names of all blend modes in order.
fn names() -> Vec<&'static str> {
    BlendMode::ALL.iter().map(|mode| mode.as_str()).collect()
}

#[test]
fn every_mode_and_operator_follows_the_specification() {
    let mut numbers = Numbers(1);
    for (mode, operator) in each_pair() {
        for _ in 0..500 {
            let (backdrop, source) = (numbers.color(), numbers.color());
            let got = composite(premultiply(backdrop), premultiply(source), mode, operator);
            let (wide_backdrop, wide_source) = (backdrop.map(f64::from), source.map(f64::from));
            let expected = specification::composite(
                wide_backdrop,
                wide_source,
                mode.as_str(),
                operator.as_str(),
            );
            let what = format!("{mode} {operator} of {source:?} on {backdrop:?}");
            assert_near(got, expected, 2e-5, &what);
        }
    }
}

#[test]
fn every_mode_and_operator_follows_the_specification_at_the_corners() {
    let values = [0.0, 0.25, 0.5, 1.0];
    let colors = |alpha: f32| values.map(|value| [value, 1.0 - value, 0.5, alpha]);
    for (mode, operator) in each_pair() {
        for (backdrop, source) in values
            .into_iter()
            .flat_map(colors)
            .flat_map(|a| values.into_iter().flat_map(colors).map(move |b| (a, b)))
        {
            let got = composite(premultiply(backdrop), premultiply(source), mode, operator);
            let expected = specification::composite(
                backdrop.map(f64::from),
                source.map(f64::from),
                mode.as_str(),
                operator.as_str(),
            );
            let what = format!("{mode} {operator} of {source:?} on {backdrop:?}");
            assert_near(got, expected, 1e-6, &what);
        }
    }
}

#[test]
fn bytes_and_straight_colours_give_the_same() {
    let mut numbers = Numbers(2);
    for (mode, operator) in each_pair() {
        for _ in 0..50 {
            let [backdrop, source]: [[u8; 4]; 2] =
                std::array::from_fn(|_| std::array::from_fn(|_| numbers.byte()));
            let fraction = |color: [u8; 4]| color.map(|byte| f32::from(byte) / 255.0);
            let straight = composite_straight(fraction(backdrop), fraction(source), mode, operator);
            let expected = straight.map(|value| (value * 255.0).round() as u8);
            assert_eq!(composite_rgba8(backdrop, source, mode, operator), expected);

            let premultiplied = |color: [u8; 4]| {
                color.map(|byte| (u32::from(byte) * u32::from(color[3]) / 255) as u8)
            };
            let (mut backdrop, mut source) = (premultiplied(backdrop), premultiplied(source));
            (backdrop[3], source[3]) = (backdrop[3].max(1), source[3].max(1));
            let valid = |color: [u8; 4]| color.map(|byte| byte.min(color[3]));
            (backdrop, source) = (valid(backdrop), valid(source));
            let expected = composite(fraction(backdrop), fraction(source), mode, operator)
                .map(|value| (value * 255.0).round() as u8);
            let got = composite_rgba8_premultiplied(backdrop, source, mode, operator);
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn source_over_is_associative() {
    let over =
        |backdrop, source| composite(backdrop, source, BlendMode::Normal, Operator::SourceOver);
    let mut numbers = Numbers(3);
    for _ in 0..10_000 {
        let [a, b, c] = std::array::from_fn(|_| premultiply(numbers.color()));
        let (left, right) = (over(over(a, b), c), over(a, over(b, c)));
        assert_near(left, right.map(f64::from), 1e-6, "source-over");
    }
}

#[test]
fn results_are_premultiplied_colours() {
    let mut numbers = Numbers(4);
    for (mode, operator) in each_pair() {
        for _ in 0..500 {
            let [backdrop, source] = std::array::from_fn(|_| premultiply(numbers.color()));
            let got = composite(backdrop, source, mode, operator);
            let [.., alpha] = got;
            assert!(
                (0.0..=1.0).contains(&alpha),
                "{mode} {operator}: alpha {alpha}"
            );
            for channel in got {
                let valid = (-1e-6..=alpha + 1e-6).contains(&channel);
                assert!(valid, "{mode} {operator}: {channel} with alpha {alpha}");
            }
        }
    }
}

// Scenes.

#[test]
fn scenes_composite_every_pixel_as_the_specification_says() {
    let mut numbers = Numbers(5);
    let (lower, upper) = (numbers.picture(9, 4), numbers.picture(9, 4));
    for (blend, operator) in each_pair() {
        let layer = Layer {
            blend,
            operator,
            opacity: 0.75,
            ..Layer::picture("upper")
        };
        let scene = scene_of(9, 4, vec![Layer::picture("lower"), layer]);
        let flat = flatten(&scene, |path| {
            Ok(if path == "lower" { &lower } else { &upper })
        });
        let flat = flat.expect("a scene that flattens");
        for (x, y) in (0..9).flat_map(|x| (0..4).map(move |y| (x, y))) {
            let fraction = |color: [u8; 4]| color.map(|byte| f64::from(byte) / 255.0);
            let mut source = fraction(pixel(&upper, x, y));
            source[3] *= 0.75;
            let backdrop = fraction(pixel(&lower, x, y));
            let expected =
                specification::composite(backdrop, source, blend.as_str(), operator.as_str());
            let got = fraction(pixel(&flat, x, y));
            let what = format!("{blend} {operator} at {x}, {y}");
            assert!(
                (got[3] - expected[3]).abs() <= 0.5001 / 255.0,
                "{what}: alpha"
            );
            if expected[3] > 0.0 {
                for channel in 0..3 {
                    let straight = expected[channel] / expected[3];
                    let difference = (got[channel] - straight).abs();
                    assert!(difference <= 0.501 / 255.0, "{what}: off by {difference}");
                }
            }
        }
    }
}

#[test]
fn one_layer_alone_keeps_its_bytes() {
    let picture = Numbers(6).picture(33, 17);
    let flat = flatten_with(&scene_of(33, 17, vec![Layer::picture("")]), &picture);
    for (got, expected) in flat.rgba.chunks(4).zip(picture.rgba.chunks(4)) {
        if expected[3] == 0 {
            assert_eq!(got, [0; 4]);
        } else {
            assert_eq!(got, expected);
        }
    }
}

#[test]
fn layers_with_nothing_to_show_change_nothing() {
    let base = Numbers(7).picture(12, 12);
    let clear = plain(12, 12, [90, 80, 70, 0]);
    let without = scene_of(12, 12, vec![Layer::picture("base")]);
    let resolve = |path: &str| Ok(if path == "base" { &base } else { &clear });
    let expected = flatten(&without, resolve).expect("a scene that flattens");
    for blend in BlendMode::ALL.iter().copied() {
        for space in ColorSpace::ALL.iter().copied() {
            let empties = vec![
                Layer::picture("base"),
                Layer {
                    blend,
                    ..Layer::picture("clear")
                },
                Layer {
                    blend,
                    opacity: 0.0,
                    ..Layer::picture("base")
                },
                Layer {
                    blend,
                    visible: false,
                    ..Layer::picture("base")
                },
                Layer {
                    blend,
                    x: 40.0,
                    ..Layer::picture("base")
                },
                Layer {
                    blend,
                    rotate: 20.0,
                    y: -900.5,
                    ..Layer::picture("base")
                },
                Layer {
                    blend,
                    ..Layer::group(vec![])
                },
            ];
            let scene = Scene {
                space,
                ..scene_of(12, 12, empties)
            };
            let flat = flatten(&scene, resolve).expect("a scene that flattens");
            assert_eq!(flat, expected, "{blend} {space}");
        }
    }
}

#[test]
fn operators_act_on_the_whole_scene() {
    let red = plain(1, 1, [255, 0, 0, 255]);
    let alone = |operator| {
        let layer = Layer {
            operator,
            ..Layer::picture("")
        };
        let scene = Scene {
            background: background("#0000ffff"),
            ..scene_of(3, 1, vec![Layer { x: 1.0, ..layer }])
        };
        flatten_with(&scene, &red).rgba
    };
    let (red, blue, none) = ([255, 0, 0, 255], [0, 0, 255, 255], [0; 4]);
    assert_eq!(alone(Operator::SourceOver), [blue, red, blue].concat());
    assert_eq!(alone(Operator::Copy), [none, red, none].concat());
    assert_eq!(alone(Operator::DestinationIn), [none, blue, none].concat());
    assert_eq!(alone(Operator::Xor), [blue, none, blue].concat());
    assert_eq!(alone(Operator::Clear), [none, none, none].concat());
}

#[test]
fn background_lies_below() {
    let scene = Scene {
        background: background("#11223380"),
        ..Scene::new(2, 1)
    };
    let flat = flatten_with(&scene, &plain(1, 1, [0; 4]));
    assert_eq!(flat.rgba, [0x11, 0x22, 0x33, 0x80].repeat(2));
}

#[test]
fn linear_space_mixes_light() {
    let white = plain(1, 1, [255; 4]);
    let layer = Layer {
        opacity: 0.5,
        ..Layer::picture("")
    };
    let mut scene = scene_of(1, 1, vec![layer]);
    scene.background = background("#000000");
    assert_eq!(flatten_with(&scene, &white).rgba, [128, 128, 128, 255]);
    scene.space = ColorSpace::Linear;
    // Half of white's light is 0.7354 in sRGB.
    assert_eq!(flatten_with(&scene, &white).rgba, [188, 188, 188, 255]);
}

#[test]
fn linear_space_keeps_the_bytes_of_one_layer() {
    let mut picture = Numbers(8).picture(16, 16);
    picture
        .rgba
        .chunks_mut(4)
        .for_each(|pixel| pixel[3] = pixel[3].max(1));
    let scene = Scene {
        space: ColorSpace::Linear,
        ..scene_of(16, 16, vec![Layer::picture("")])
    };
    assert_eq!(flatten_with(&scene, &picture), picture);
}

// Placement.

#[test]
fn layers_are_clipped_to_the_scene() {
    let picture = Numbers(9).picture(6, 5);
    for (x, y) in [(-2, -3), (3, 1), (-1, 2), (5, 4), (-6, 0), (0, 9)] {
        let layer = Layer {
            x: x.into(),
            y: y.into(),
            ..Layer::picture("")
        };
        let flat = flatten_with(&scene_of(6, 5, vec![layer]), &picture);
        for (column, row) in (0..6).flat_map(|column| (0..5).map(move |row| (column, row))) {
            let (from_x, from_y) = (column - x, row - y);
            let inside = (0..6).contains(&from_x) && (0..5).contains(&from_y);
            let expected = match inside {
                true => pixel(&picture, from_x as usize, from_y as usize),
                false => [0; 4],
            };
            if !inside || expected[3] > 0 {
                assert_eq!(pixel(&flat, column as usize, row as usize), expected);
            }
        }
    }
}

#[test]
fn flips_and_quarter_turns_move_pixels_without_mixing_them() {
    let mut picture = Numbers(10).picture(7, 7);
    picture
        .rgba
        .chunks_mut(4)
        .for_each(|pixel| pixel[3] = pixel[3].max(1));
    let turned = |rotate, flip| {
        let layer = Layer {
            rotate,
            flip,
            ..Layer::picture("")
        };
        flatten_with(&scene_of(7, 7, vec![layer]), &picture)
    };
    let each = || (0..7).flat_map(|x| (0..7).map(move |y| (x, y)));
    for (x, y) in each() {
        let original = pixel(&picture, x, y);
        assert_eq!(pixel(&turned(0.0, true), 6 - x, y), original, "flip");
        // Clockwise: the top edge becomes the right one.
        assert_eq!(pixel(&turned(90.0, false), 6 - y, x), original, "90");
        assert_eq!(pixel(&turned(180.0, false), 6 - x, 6 - y), original, "180");
        assert_eq!(pixel(&turned(-90.0, false), y, 6 - x), original, "-90");
        // The flip comes first.
        assert_eq!(
            pixel(&turned(90.0, true), 6 - y, 6 - x),
            original,
            "flip and 90"
        );
    }
}

#[test]
fn x_and_y_are_the_corner_before_scale_about_the_centre() {
    let picture = plain(4, 2, [10, 20, 30, 255]);
    let layer = Layer {
        x: 4.0,
        y: 4.0,
        scale: 2.0,
        ..Layer::picture("")
    };
    let flat = flatten_with(&scene_of(12, 10, vec![layer]), &picture);
    // Its centre is at 6, 5: twice as large it covers 2 to 10 and 3 to 7.
    for (x, y) in (0..12).flat_map(|x| (0..10).map(move |y| (x, y))) {
        let inside = (2..10).contains(&x) && (3..7).contains(&y);
        let expected = if inside { [10, 20, 30, 255] } else { [0; 4] };
        assert_eq!(pixel(&flat, x, y), expected, "{x}, {y}");
    }
}

#[test]
fn half_a_pixel_of_shift_is_half_covered_at_the_edge() {
    let picture = plain(2, 1, [40, 50, 60, 255]);
    let layer = Layer {
        x: 0.5,
        ..Layer::picture("")
    };
    let flat = flatten_with(&scene_of(3, 1, vec![layer]), &picture);
    let (half, full) = ([40, 50, 60, 128], [40, 50, 60, 255]);
    assert_eq!(flat.rgba, [half, full, half].concat());
}

/// The premultiplied colour, 0 to 255, between the pixels around a point of `picture`.
fn interpolated(picture: &Picture, [x, y]: [f64; 2]) -> [f64; 4] {
    let (left, top) = ((x - 0.5).floor(), (y - 0.5).floor());
    let mut sum = [0.0; 4];
    for (column, row) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let (column, row) = (left + column, top + row);
        let weight = (1.0 - (x - 0.5 - column).abs()) * (1.0 - (y - 0.5 - row).abs());
        let [color @ .., alpha] = pixel(picture, column as usize, row as usize).map(f64::from);
        let premultiplied = color.map(|channel| channel * alpha / 255.0);
        for (sum, value) in sum.iter_mut().zip(premultiplied.into_iter().chain([alpha])) {
            *sum += weight * value;
        }
    }
    sum
}

#[test]
fn turned_and_enlarged_pictures_are_interpolated() {
    let picture = Numbers(8).picture(24, 20);
    for (rotate, scale, flip, x) in [
        (33.0, 1.0, false, 12.0),
        (-100.0, 1.4, true, 10.25),
        (0.0, 1.0, false, 9.5),
        (180.0, 2.0, false, 11.0),
    ] {
        let layer = Layer {
            rotate,
            scale,
            flip,
            x,
            y: 14.0,
            ..Layer::picture("")
        };
        let flat = flatten_with(&scene_of(48, 48, vec![layer]), &picture);
        let place = Transform::about([12.0, 10.0], flip, scale, rotate, [x, 14.0]);
        let mut seen = 0;
        for (column, row) in (0..48).flat_map(|x| (0..48).map(move |y| (x, y))) {
            // From the centre of the pixel back to the picture.
            let away = [
                column as f64 + 0.5 - place.origin[0],
                row as f64 + 0.5 - place.origin[1],
            ];
            let along = |[x, y]: [f64; 2]| (away[0] * x + away[1] * y) / (scale * scale);
            let point = [along(place.x_axis), along(place.y_axis)];
            let inside = |position: f64, length: f64| (1.0..length - 1.0).contains(&position);
            if !inside(point[0], 24.0) || !inside(point[1], 20.0) {
                continue;
            }
            seen += 1;
            let expected = interpolated(&picture, point);
            let [color @ .., alpha] = pixel(&flat, column, row).map(f64::from);
            let got = color.map(|channel| channel * alpha / 255.0);
            for (got, expected) in got.into_iter().chain([alpha]).zip(expected) {
                let difference = (got - expected).abs();
                assert!(
                    difference <= 1.0,
                    "rotate {rotate}, scale {scale}: {difference}"
                );
            }
        }
        assert!(seen > 300, "rotate {rotate}, scale {scale}: {seen}");
    }
}

#[test]
fn halving_is_the_premultiplied_mean_of_two_by_two() {
    let picture = Numbers(11).picture(8, 8);
    for (scale, factor) in [(0.5, 2), (0.25, 4)] {
        let side = 8 / factor;
        let corner = (side as f64 - 8.0) / 2.0;
        let layer = Layer {
            x: corner,
            y: corner,
            scale,
            ..Layer::picture("")
        };
        let flat = flatten_with(&scene_of(side, side, vec![layer]), &picture);
        for (x, y) in (0..side).flat_map(|x| (0..side).map(move |y| (x, y))) {
            let mut sum = [0.0; 4];
            for (dx, dy) in (0..factor).flat_map(|dx| (0..factor).map(move |dy| (dx, dy))) {
                let color = pixel(&picture, factor * x + dx, factor * y + dy);
                let alpha = f64::from(color[3]);
                for channel in 0..3 {
                    sum[channel] += f64::from(color[channel]) * alpha;
                }
                sum[3] += alpha;
            }
            let got = pixel(&flat, x, y).map(f64::from);
            for channel in 0..3 {
                assert!((got[channel] - sum[channel] / sum[3]).abs() <= 0.501);
            }
            assert!((got[3] - sum[3] / (factor * factor) as f64).abs() <= 0.501);
        }
    }
}

#[test]
fn shrinking_keeps_the_mean() {
    let picture = Numbers(12).picture(96, 96);
    let mean = |picture: &Picture| {
        let alphas = picture.rgba.chunks(4).map(|pixel| f64::from(pixel[3]));
        alphas.sum::<f64>()
    };
    for scale in [0.9, 0.7, 0.6, 0.45, 0.3, 0.2, 0.11] {
        for rotate in [0.0, 30.0] {
            let layer = Layer {
                x: 16.0,
                y: 16.0,
                scale,
                rotate,
                ..Layer::picture("")
            };
            let flat = flatten_with(&scene_of(128, 128, vec![layer]), &picture);
            let ratio = mean(&flat) / (mean(&picture) * scale * scale);
            assert!(
                (ratio - 1.0).abs() < 0.02,
                "scale {scale}, rotate {rotate}: {ratio}"
            );
        }
    }
}

#[test]
fn shrinking_leaves_no_pattern() {
    // A checkerboard of pixels is grey from afar.
    let rgba = (0..128 * 128).flat_map(|index| {
        let value = if (index % 128 + index / 128) % 2 == 0 {
            255
        } else {
            0
        };
        [value, value, value, 255]
    });
    let picture = Picture {
        width: 128,
        height: 128,
        rgba: rgba.collect(),
    };
    for (scale, allowed) in [(0.5, 1), (0.4, 8), (0.3, 8), (0.25, 1), (0.1, 2)] {
        let layer = Layer {
            scale,
            ..Layer::picture("")
        };
        let flat = flatten_with(&scene_of(128, 128, vec![layer]), &picture);
        for color in flat.rgba.chunks(4).filter(|color| color[3] == 255) {
            let difference = i32::from(color[0]) - 128;
            assert!(difference.abs() <= allowed, "scale {scale}: {}", color[0]);
        }
    }
}

#[test]
fn no_fringe_appears() {
    // A white disc with a soft edge; what is transparent is black.
    let rgba = (0..64 * 64).flat_map(|index| {
        let (x, y) = ((index % 64) as f32 - 31.5, (index / 64) as f32 - 31.5);
        let alpha = ((24.0 - x.hypot(y)) * 60.0).clamp(0.0, 255.0) as u8;
        let value = if alpha > 0 { 255 } else { 0 };
        [value, value, value, alpha]
    });
    let picture = Picture {
        width: 64,
        height: 64,
        rgba: rgba.collect(),
    };
    for space in ColorSpace::ALL.iter().copied() {
        for scale in [0.13, 0.3, 0.5, 0.8, 1.0, 1.7] {
            for rotate in [0.0, 17.0, 45.0, 90.0, 211.0] {
                let layer = Layer {
                    x: 0.3,
                    scale,
                    rotate,
                    ..Layer::picture("")
                };
                let scene = Scene {
                    space,
                    ..scene_of(64, 64, vec![layer])
                };
                let flat = flatten_with(&scene, &picture);
                let mut seen = 0;
                for color in flat.rgba.chunks(4).filter(|color| color[3] > 0) {
                    assert_eq!(
                        color[..3],
                        [255; 3],
                        "{space}, scale {scale}, rotate {rotate}"
                    );
                    seen += 1;
                }
                assert!(seen > 20, "{space}, scale {scale}, rotate {rotate}");
            }
        }
    }
}

#[test]
fn extreme_places_are_harmless() {
    let picture = Numbers(13).picture(3, 3);
    for x in [0.0, 1e300, -1e300, 4e9, -9e18] {
        for scale in [1.0, 1e-300, 1e-12, 1e12, 1e300] {
            for rotate in [0.0, 1e300, -77.7] {
                let layer = Layer {
                    x,
                    y: x,
                    scale,
                    rotate,
                    ..Layer::picture("")
                };
                flatten_with(&scene_of(8, 8, vec![layer]), &picture);
            }
        }
    }
}

// Groups.

#[test]
fn groups_blend_on_their_own() {
    let picture = plain(1, 1, [200, 100, 50, 255]);
    let multiplied = Layer {
        blend: BlendMode::Multiply,
        ..Layer::picture("")
    };
    let scene = |layers| Scene {
        background: background("#808080"),
        ..scene_of(1, 1, layers)
    };
    let open = flatten_with(&scene(vec![multiplied.clone()]), &picture);
    assert_eq!(open.rgba, [100, 50, 25, 255]);
    let isolated = flatten_with(&scene(vec![Layer::group(vec![multiplied])]), &picture);
    assert_eq!(isolated.rgba, picture.rgba);
}

#[test]
fn opacity_of_a_group_fades_it_as_a_whole() {
    let picture = plain(1, 1, [200, 100, 50, 255]);
    let twice = vec![Layer::picture(""), Layer::picture("")];
    let group = Layer {
        opacity: 0.5,
        ..Layer::group(twice)
    };
    let flat = flatten_with(&scene_of(1, 1, vec![group]), &picture);
    assert_eq!(flat.rgba, [200, 100, 50, 128]);
}

#[test]
fn groups_carry_their_layers_with_them() {
    let picture = Numbers(14).picture(5, 5);
    let inner = Layer {
        x: -20.0,
        y: 3.0,
        ..Layer::picture("")
    };
    let group = Layer {
        x: 22.0,
        y: 1.0,
        ..Layer::group(vec![inner])
    };
    let same = Layer {
        x: 2.0,
        y: 4.0,
        ..Layer::picture("")
    };
    let [nested, plain] =
        [group, same].map(|layer| flatten_with(&scene_of(12, 12, vec![layer]), &picture));
    assert_eq!(nested, plain);

    // Half a turn about the centre of the scene, and back in place.
    let inner = Layer {
        x: 1.0,
        y: 2.0,
        rotate: 180.0,
        ..Layer::picture("")
    };
    let nested = Layer {
        rotate: 180.0,
        ..Layer::group(vec![inner])
    };
    let same = Layer {
        x: 6.0,
        y: 5.0,
        ..Layer::picture("")
    };
    let [nested, plain] =
        [nested, same].map(|layer| flatten_with(&scene_of(12, 12, vec![layer]), &picture));
    assert_eq!(nested, plain);
}

// The scene file.

fn example() -> Value {
    json!({
        "glassine": 1, "width": 512, "height": 300, "background": "#00ff0080", "space": "linear",
        "author": { "name": "someone", "tags": ["a", 1, null] },
        "layers": [
            {
                "name": "apple", "role": "foreground", "image": "apple.png", "x": 40, "y": 10.5,
                "scale": 1, "rotate": 0, "flip": false, "opacity": 0.8, "blend": "multiply",
                "operator": "source-over", "visible": true,
                "recipe": { "prompt": "an apple", "seed": 18446744073709551615u64, "more": [1] },
                "locked": true
            },
            {
                "x": -3, "y": 0, "scale": 0.1, "rotate": -12.25, "flip": true, "opacity": 1,
                "blend": "color-dodge", "operator": "destination-atop", "visible": false,
                "layers": [{
                    "image": "leaf.png", "x": 0, "y": 0, "scale": 1, "rotate": 0, "flip": false,
                    "opacity": 0, "blend": "normal", "operator": "lighter", "visible": true,
                    "deep": { "unknown": 1.5 }
                }]
            }
        ]
    })
}

#[test]
fn a_scene_survives_a_round_trip_with_what_is_unknown() {
    let scene = Scene::from_json(&example().to_string()).expect("a scene");
    let written = scene.to_json().expect("a scene file");
    assert_eq!(
        serde_json::from_str::<Value>(&written).expect("JSON"),
        example()
    );
    assert_eq!(Scene::from_json(&written).expect("a scene"), scene);
}

#[test]
fn optional_fields_have_defaults() {
    let scene = Scene::from_json(r#"{"width": 4, "height": 3, "layers": [{"image": "a.png"}]}"#);
    let expected = scene_of(4, 3, vec![Layer::picture("a.png")]);
    assert_eq!(scene.expect("a scene"), expected);
    let layer = &expected.layers[0];
    assert_eq!(
        (layer.x, layer.y, layer.scale, layer.rotate),
        (0.0, 0.0, 1.0, 0.0)
    );
    assert_eq!(
        (layer.opacity, layer.visible, layer.flip),
        (1.0, true, false)
    );
    assert_eq!(
        (layer.blend, layer.operator),
        (BlendMode::Normal, Operator::SourceOver)
    );
    assert_eq!((expected.version, expected.space), (1, ColorSpace::Srgb));
    assert_eq!(expected.background.to_string(), "#00000000");
}

#[test]
fn names_are_those_of_css() {
    let modes = "normal multiply screen overlay darken lighten color-dodge color-burn hard-light \
                 soft-light difference exclusion hue saturation color luminosity";
    assert_eq!(names().join(" "), modes);
    for mode in BlendMode::ALL.iter().copied() {
        assert_eq!(mode.as_str().parse::<BlendMode>().expect("a mode"), mode);
    }
    for operator in Operator::ALL.iter().copied() {
        assert_eq!(
            operator.as_str().parse::<Operator>().expect("an operator"),
            operator
        );
    }
    for name in ["plus", "plus-lighter"] {
        assert_eq!(
            name.parse::<Operator>().expect("an operator"),
            Operator::Lighter
        );
    }
}

#[test]
fn colours_are_read_as_in_css() {
    assert_eq!(background("#01aBFf80").rgba, [1, 0xab, 0xff, 0x80]);
    assert_eq!(background("#01abff").rgba, [1, 0xab, 0xff, 0xff]);
    for wrong in [
        "",
        "#",
        "#fff",
        "01abff80",
        "#+1abff80",
        "#01abff8",
        "#01abff80a",
        "#éabff",
    ] {
        assert!(wrong.parse::<Color>().is_err(), "{wrong}");
    }
}

/// The error for the example after `change`.
fn rejected(change: impl FnOnce(&mut Value)) -> Error {
    let mut scene = example();
    change(&mut scene);
    let error = Scene::from_json(&scene.to_string()).expect_err("no scene");
    assert_eq!(error.code, ErrorCode::BadOption, "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

fn assert_rejected(pointer: &str, value: Value, expected: &[&str]) {
    let error = rejected(|scene| {
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        scene.pointer_mut(parent).expect("a place")[field] = value;
    });
    for part in expected {
        assert!(error.to_string().contains(part), "{pointer}: {error}");
    }
}

#[test]
fn wrong_scenes_are_rejected_with_a_reason() {
    let valid = names();
    assert_rejected("/layers/0/blend", json!("mutliply"), &valid);
    assert_rejected(
        "/layers/0/blend",
        json!("mutliply"),
        &["blend mode \"mutliply\"", "line 1"],
    );
    assert_rejected(
        "/layers/0/operator",
        json!("over"),
        &["operator \"over\"", "source-over"],
    );
    assert_rejected(
        "/space",
        json!("display-p3"),
        &["colour space", "srgb or linear"],
    );
    assert_rejected("/background", json!("red"), &["\"red\"", "#rrggbbaa"]);
    assert_rejected("/glassine", json!(2), &["version 2"]);
    assert_rejected("/width", json!(0), &["width", "0", "1 to 16384"]);
    assert_rejected("/height", json!(16385), &["height", "16385"]);
    assert_rejected("/height", json!(-1), &["-1"]);
    assert_rejected(
        "/layers/0/opacity",
        json!(1.5),
        &["layer 1 \"apple\"", "opacity is 1.5"],
    );
    assert_rejected("/layers/1/scale", json!(0), &["layer 2:", "scale is 0"]);
    assert_rejected(
        "/layers/1/layers/0/opacity",
        json!(-1),
        &["layer 2.1:", "opacity is -1"],
    );
    assert_rejected("/layers/1/image", json!("a.png"), &["layer 2:", "both"]);
    assert_rejected("/layers/0/image", json!(null), &["layer 1", "no picture"]);
    let missing = rejected(|scene| {
        scene.as_object_mut().expect("an object").remove("width");
    });
    assert!(missing.to_string().contains("width"), "{missing}");
}

#[test]
fn numbers_must_be_finite() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let [x, y, scale, rotate, opacity] = std::array::from_fn(|_| Layer::picture("a"));
        for layer in [
            Layer { x: number, ..x },
            Layer { y: number, ..y },
            Layer {
                scale: number,
                ..scale
            },
            Layer {
                rotate: number,
                ..rotate
            },
            Layer {
                opacity: number,
                ..opacity
            },
        ] {
            let scene = scene_of(1, 1, vec![layer]);
            let error = scene.to_json().expect_err("no scene");
            assert!(error.to_string().contains("finite"), "{error}");
            let flat = flatten(&scene, |_| Ok(plain(1, 1, [0; 4])));
            assert_eq!(flat.expect_err("no scene").code, ErrorCode::BadOption);
        }
    }
    let text = r#"{"width": 1, "height": 1, "layers": [{"image": "a", "x": 1e999}]}"#;
    assert_eq!(
        Scene::from_json(text).expect_err("no scene").code,
        ErrorCode::BadOption
    );
}

#[test]
fn groups_have_a_greatest_depth() {
    let nested = |depth| {
        let innermost = Layer::group(vec![]);
        (1..depth).fold(innermost, |layer, _| Layer::group(vec![layer]))
    };
    let flat = |depth| {
        flatten(&scene_of(1, 1, vec![nested(depth)]), |_| {
            Ok(plain(1, 1, [0; 4]))
        })
    };
    assert!(flat(32).is_ok());
    assert_eq!(flat(33).expect_err("too deep").code, ErrorCode::BadOption);
}

#[test]
fn pictures_are_asked_for_once_and_only_if_visible() {
    let layers = vec![
        Layer::picture("a"),
        Layer::group(vec![Layer::picture("b"), Layer::picture("a")]),
        Layer {
            visible: false,
            ..Layer::picture("hidden")
        },
        Layer {
            visible: false,
            ..Layer::group(vec![Layer::picture("hidden too")])
        },
    ];
    let scene = scene_of(1, 1, layers);
    assert_eq!(scene.image_paths(), ["a", "b"]);
    let asked = RefCell::new(HashMap::new());
    let flat = flatten(&scene, |path| {
        *asked.borrow_mut().entry(path.to_string()).or_insert(0) += 1;
        Ok(Rc::new(plain(1, 1, [1, 2, 3, 255])))
    });
    assert_eq!(flat.expect("a scene that flattens").rgba, [1, 2, 3, 255]);
    let expected = [("a", 1), ("b", 1)].map(|(path, count)| (path.to_string(), count));
    assert_eq!(asked.into_inner(), HashMap::from(expected));
}

#[test]
fn wrong_pictures_are_rejected() {
    let scene = scene_of(1, 1, vec![Layer::picture("a.png")]);
    for (width, height, bytes) in [(0, 0, 0), (1, 1, 3), (2, 1, 4), (usize::MAX, 4, 16)] {
        let picture = Picture {
            width,
            height,
            rgba: vec![0; bytes],
        };
        let error = flatten(&scene, |_| Ok(&picture)).expect_err("no picture");
        assert_eq!(error.code, ErrorCode::BadImage, "{error}");
        assert!(error.to_string().contains("a.png"), "{error}");
    }
    let missing = || Error::new(ErrorCode::Io, "there is no a.png", "");
    let error = flatten(&scene, |_| Err::<Picture, Error>(missing())).expect_err("no picture");
    assert_eq!(error.code, ErrorCode::Io);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let plain = r#"{"width": 1, "height": 1, "layers": []}"#;
    let marked = Scene::from_json(&format!("\u{feff}{plain}")).unwrap();
    assert_eq!(marked, Scene::from_json(plain).unwrap());
}

#[test]
fn half_a_character_in_a_scene_file_is_u_fffd() {
    let name = |json: &str| {
        let json = format!(
            r#"{{"width": 1, "height": 1, "layers": [{{"image": "a.png", "name": "{json}"}}]}}"#
        );
        let scene = Scene::from_json(&json).unwrap();
        // It is written as what it was read as.
        let again = Scene::from_json(&scene.to_json().unwrap()).unwrap();
        assert_eq!(again, scene);
        scene.layers[0].name.clone().unwrap()
    };
    assert_eq!(name(r"cat \ud83d"), "cat \u{fffd}");
    assert_eq!(name(r"\uDE00 cat"), "\u{fffd} cat");
    assert_eq!(name(r"\ud83d\ud83d\ude00"), "\u{fffd}😀");
    assert_eq!(name(r"\ud83d\u0041"), "\u{fffd}A");
    assert_eq!(name(r"\ud83d\n"), "\u{fffd}\n");
    assert_eq!(name(r"\ud83dö"), "\u{fffd}ö");
    assert_eq!(name(r"\ud83d\ude00"), "😀");
    // A backslash, and then letters.
    assert_eq!(name(r"\\ud83d"), r"\ud83d");
    assert_eq!(name(r"\\\ud83d"), "\\\u{fffd}");
    for broken in [
        r#"{"name": "\u12"}"#,
        r#"{"name": "\ud8"#,
        "\\",
        r#"{"\uööö"}"#,
    ] {
        assert!(Scene::from_json(broken).is_err(), "{broken}");
    }
}
