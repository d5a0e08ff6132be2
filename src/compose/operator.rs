//! The Porter-Duff operators (Compositing and Blending Level 1, section 9) and the composition of
//! single pixels.

use super::blend::{BlendMode, BlendVisitor};
use super::color::{from_rgba8, premultiply, to_rgba8, unpremultiply};
use crate::lanes::{Lanes, Rgb, Rgba};
use crate::named::{named, serde_as_text};

/// Which parts of source and backdrop remain.
///
/// An operator acts on the whole scene, with the source transparent outside its picture: `copy`,
/// `clear`, `source-in`, `source-out`, `destination-in` and `destination-atop` therefore erase what
/// lies around a layer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Operator {
    /// `source-over`: the source on the backdrop.
    #[default]
    SourceOver,
    /// `clear`: nothing.
    Clear,
    /// `copy`: the source alone.
    Copy,
    /// `destination`: the backdrop alone.
    Destination,
    /// `destination-over`: the backdrop on the source.
    DestinationOver,
    /// `source-in`: the source where there is a backdrop.
    SourceIn,
    /// `destination-in`: the backdrop where there is a source.
    DestinationIn,
    /// `source-out`: the source where there is no backdrop.
    SourceOut,
    /// `destination-out`: the backdrop where there is no source.
    DestinationOut,
    /// `source-atop`: the source where there is a backdrop, on the backdrop.
    SourceAtop,
    /// `destination-atop`: the backdrop where there is a source, on the source.
    DestinationAtop,
    /// `xor`: each where the other is not.
    Xor,
    /// `lighter`, also read as `plus` and `plus-lighter`: the sum, at most 1.
    Lighter,
}

named!(Operator, "operator", "plus" => Lighter, "plus-lighter" => Lighter);

impl Operator {
    /// The fractions of this operator.
    fn fractions(self) -> Fractions {
        let [none, all, inside, outside] = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, -1.0)];
        let (source, backdrop) = match self {
            Self::Clear => (none, none),
            Self::Copy => (all, none),
            Self::Destination => (none, all),
            Self::SourceOver => (all, outside),
            Self::DestinationOver => (outside, all),
            Self::SourceIn => (inside, none),
            Self::DestinationIn => (none, inside),
            Self::SourceOut => (outside, none),
            Self::DestinationOut => (none, outside),
            Self::SourceAtop => (inside, outside),
            Self::DestinationAtop => (outside, inside),
            Self::Xor => (outside, outside),
            Self::Lighter => (all, all),
        };
        Fractions { source, backdrop }
    }

    /// Whether a backdrop vanishes under a transparent source.
    pub(super) fn erases_outside(self) -> bool {
        self.fractions().backdrop.0 == 0.0
    }
}

serde_as_text!(Operator);

/// `Fa` and `Fb` of the specification: how much of source and backdrop remains. Each is a constant
/// plus a multiple of the other's alpha.
#[derive(Clone, Copy)]
struct Fractions {
    source: (f32, f32),
    backdrop: (f32, f32),
}

/// The specification's composition of four pixels, premultiplied.
#[inline(always)]
fn composite_lanes(
    backdrop: Rgba,
    source: Rgba,
    fractions: Fractions,
    mix: impl Fn(Rgba, Rgba) -> Rgb,
) -> Rgba {
    let blended = mix(backdrop, source);
    let of_source = backdrop[3] * fractions.source.1 + fractions.source.0;
    let of_backdrop = source[3] * fractions.backdrop.1 + fractions.backdrop.0;
    let sum =
        |source: Lanes, backdrop: Lanes| (of_source * source + of_backdrop * backdrop).least(1.0);
    [
        sum(blended[0], backdrop[0]),
        sum(blended[1], backdrop[1]),
        sum(blended[2], backdrop[2]),
        sum(source[3], backdrop[3]),
    ]
}

/// Composites `source` onto `backdrop`: blends by `blend`, then applies `operator`.
///
/// All colours are premultiplied, in [0, 1] and of one colour space, which the result shares.
pub fn composite(
    backdrop: [f32; 4],
    source: [f32; 4],
    blend: BlendMode,
    operator: Operator,
) -> [f32; 4] {
    let mut result = backdrop.map(|channel| [channel]);
    let source = source.map(|channel| [channel]);
    composite_planes(
        result.each_mut().map(|plane| &mut plane[..]),
        source.each_ref().map(|plane| &plane[..]),
        blend,
        operator,
    );
    result.map(|[channel]| channel)
}

/// [`composite`] of straight colours, in [0, 1], to a straight one; black where nothing remains.
pub fn composite_straight(
    backdrop: [f32; 4],
    source: [f32; 4],
    blend: BlendMode,
    operator: Operator,
) -> [f32; 4] {
    let (backdrop, source) = (premultiply(backdrop), premultiply(source));
    unpremultiply(composite(backdrop, source, blend, operator))
}

/// [`composite_straight`] of bytes, rounded to the nearest.
pub fn composite_rgba8(
    backdrop: [u8; 4],
    source: [u8; 4],
    blend: BlendMode,
    operator: Operator,
) -> [u8; 4] {
    let (backdrop, source) = (from_rgba8(backdrop), from_rgba8(source));
    to_rgba8(composite_straight(backdrop, source, blend, operator))
}

/// [`composite`] of premultiplied bytes, rounded to the nearest. A channel above alpha counts as
/// alpha.
pub fn composite_rgba8_premultiplied(
    backdrop: [u8; 4],
    source: [u8; 4],
    blend: BlendMode,
    operator: Operator,
) -> [u8; 4] {
    let valid = |rgba: [u8; 4]| from_rgba8(rgba.map(|channel| channel.min(rgba[3])));
    to_rgba8(composite(valid(backdrop), valid(source), blend, operator))
}

/// [`composite`] of whole rows, channel by channel: `backdrop` becomes the result. All planes have
/// the same length.
pub(super) fn composite_planes(
    backdrop: [&mut [f32]; 4],
    source: [&[f32]; 4],
    blend: BlendMode,
    operator: Operator,
) {
    blend.visit(Planes {
        backdrop,
        source,
        fractions: operator.fractions(),
    });
}

struct Planes<'a> {
    backdrop: [&'a mut [f32]; 4],
    source: [&'a [f32]; 4],
    fractions: Fractions,
}

impl BlendVisitor for Planes<'_> {
    type Output = ();

    #[inline(always)]
    fn visit(self, mix: impl Fn(Rgba, Rgba) -> Rgb) {
        let (source, source_rest) = split(self.source);
        let (backdrop, backdrop_rest) = split_mut(self.backdrop);
        let [red, green, blue, alpha] = backdrop;
        let length = red.len();
        let (green, blue, alpha) = (
            &mut green[..length],
            &mut blue[..length],
            &mut alpha[..length],
        );
        let source = source.map(|plane| &plane[..length]);
        for x in 0..length {
            let composed = composite_lanes(
                lanes(&red[x], &green[x], &blue[x], &alpha[x]),
                lanes(&source[0][x], &source[1][x], &source[2][x], &source[3][x]),
                self.fractions,
                &mix,
            );
            red[x] = composed[0].to_array();
            green[x] = composed[1].to_array();
            blue[x] = composed[2].to_array();
            alpha[x] = composed[3].to_array();
        }
        let [red, green, blue, alpha] = backdrop_rest.each_ref().map(|plane| padded(plane));
        let below = lanes(&red, &green, &blue, &alpha);
        let [red, green, blue, alpha] = source_rest.map(padded);
        let above = lanes(&red, &green, &blue, &alpha);
        let composed = composite_lanes(below, above, self.fractions, &mix);
        for (plane, values) in backdrop_rest.into_iter().zip(composed) {
            plane.copy_from_slice(&values.to_array()[..plane.len()]);
        }
    }
}

#[inline(always)]
fn lanes(red: &[f32; 4], green: &[f32; 4], blue: &[f32; 4], alpha: &[f32; 4]) -> Rgba {
    [
        Lanes::new(*red),
        Lanes::new(*green),
        Lanes::new(*blue),
        Lanes::new(*alpha),
    ]
}

/// The planes in fours, and what is left.
fn split(planes: [&[f32]; 4]) -> ([&[[f32; 4]]; 4], [&[f32]; 4]) {
    let parts = planes.map(|plane| plane.as_chunks());
    (parts.map(|(fours, _)| fours), parts.map(|(_, rest)| rest))
}

fn split_mut(planes: [&mut [f32]; 4]) -> ([&mut [[f32; 4]]; 4], [&mut [f32]; 4]) {
    let [(a, e), (b, f), (c, g), (d, h)] = planes.map(|plane| plane.as_chunks_mut());
    ([a, b, c, d], [e, f, g, h])
}

/// Up to four values, and 0 for the missing ones.
fn padded(values: &[f32]) -> [f32; 4] {
    let mut padded = [0.0; 4];
    padded[..values.len()].copy_from_slice(values);
    padded
}
