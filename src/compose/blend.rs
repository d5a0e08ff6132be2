//! The blend modes (Compositing and Blending Level 1, sections 9 and 10).

use crate::lanes::{Lanes, Rgb, Rgba};
use crate::named::{named, serde_as_text};

/// Work that is compiled once for every blend mode, so that loops over pixels call nothing.
pub(super) trait BlendVisitor {
    /// What the work gives.
    type Output;

    /// Does the work with `mix`, which takes backdrop and source and gives the blended source,
    /// premultiplied: `αs · ((1 - αb) · Cs + αb · B(Cb, Cs))`.
    fn visit(self, mix: impl Fn(Rgba, Rgba) -> Rgb) -> Self::Output;
}

/// Declares [`BlendMode`]: each mode with its CSS name and how it mixes.
macro_rules! blend_modes {
    ($($(#[$attribute:meta])* $mode:ident, $name:literal, $mix:expr;)*) => {
        /// How the colours of a layer and of what lies below it become one: the values of CSS's
        /// `mix-blend-mode`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, strum::IntoStaticStr, strum::VariantArray)]
        pub enum BlendMode {
            $($(#[$attribute])* #[strum(serialize = $name)] $mode,)*
        }

        impl BlendMode {
            /// Calls `visitor` with the function of this mode.
            pub(super) fn visit<V: BlendVisitor>(self, visitor: V) -> V::Output {
                match self {
                    $(Self::$mode => visitor.visit($mix),)*
                }
            }
        }
    };
}

blend_modes! {
    /// The source colour.
    #[default]
    Normal, "normal", |_, [red, green, blue, _]| [red, green, blue];
    /// The product: never lighter than either.
    Multiply, "multiply", separable(multiply);
    /// The product of the complements: never darker than either.
    Screen, "screen", separable(screen);
    /// Multiplies or screens, depending on the backdrop.
    Overlay, "overlay", separable(|backdrop, source| hard_light(source, backdrop));
    /// The darker of the two, for each channel.
    Darken, "darken", separable(Lanes::least);
    /// The lighter of the two, for each channel.
    Lighten, "lighten", separable(Lanes::greatest);
    /// Brightens the backdrop to reflect the source.
    ColorDodge, "color-dodge", separable(color_dodge);
    /// Darkens the backdrop to reflect the source.
    ColorBurn, "color-burn", separable(color_burn);
    /// Multiplies or screens, depending on the source.
    HardLight, "hard-light", separable(hard_light);
    /// Darkens or lightens, like a diffused spotlight.
    SoftLight, "soft-light", separable(soft_light);
    /// The distance between the two.
    Difference, "difference", separable(difference);
    /// Like the distance, with less contrast.
    Exclusion, "exclusion", separable(exclusion);
    /// The hue of the source, the saturation and luminosity of the backdrop.
    Hue, "hue", mixing(|backdrop, source| {
        set_luminosity(set_saturation(source, saturation(backdrop)), luminosity(backdrop))
    });
    /// The saturation of the source, the hue and luminosity of the backdrop.
    Saturation, "saturation", mixing(|backdrop, source| {
        set_luminosity(set_saturation(backdrop, saturation(source)), luminosity(backdrop))
    });
    /// The hue and saturation of the source, the luminosity of the backdrop.
    Color, "color", mixing(|backdrop, source| set_luminosity(source, luminosity(backdrop)));
    /// The luminosity of the source, the hue and saturation of the backdrop.
    Luminosity, "luminosity", mixing(|backdrop, source| {
        set_luminosity(backdrop, luminosity(source))
    });
}

named!(BlendMode, "blend mode");
serde_as_text!(BlendMode);

/// The mix of a mode that treats each channel alone.
#[inline(always)]
fn separable(blend: impl Fn(Lanes, Lanes) -> Lanes) -> impl Fn(Rgba, Rgba) -> Rgb {
    mixing(move |backdrop: Rgb, source: Rgb| {
        [
            blend(backdrop[0], source[0]),
            blend(backdrop[1], source[1]),
            blend(backdrop[2], source[2]),
        ]
    })
}

/// The mix of a mode whose blend function `B(Cb, Cs)` takes and gives straight colours.
#[inline(always)]
fn mixing(blend: impl Fn(Rgb, Rgb) -> Rgb) -> impl Fn(Rgba, Rgba) -> Rgb {
    move |backdrop, source| {
        let blended = blend(straight(backdrop), straight(source));
        let [red, green, blue, alpha] = source;
        let both = backdrop[3] * alpha;
        let outside = 1.0 - backdrop[3];
        [
            outside * red + both * blended[0],
            outside * green + both * blended[1],
            outside * blue + both * blended[2],
        ]
    }
}

/// The straight colours; black where alpha is 0.
#[inline(always)]
fn straight([red, green, blue, alpha]: Rgba) -> Rgb {
    let scale = alpha.at_most(0.0).choose(0.0, 1.0 / alpha);
    each([red, green, blue], |channel| (channel * scale).least(1.0))
}

/// How far rounding may carry a colour away from 0 or 1, where dodge and burn jump; a hundredth of
/// the smallest step of a 16-bit channel.
const ROUNDING: f32 = 1.5e-7;

#[inline(always)]
fn multiply(backdrop: Lanes, source: Lanes) -> Lanes {
    backdrop * source
}

#[inline(always)]
fn screen(backdrop: Lanes, source: Lanes) -> Lanes {
    backdrop + source - backdrop * source
}

#[inline(always)]
fn hard_light(backdrop: Lanes, source: Lanes) -> Lanes {
    let doubled = source * 2.0;
    let (dark, light) = (multiply(backdrop, doubled), screen(backdrop, doubled - 1.0));
    source.at_most(0.5).choose(dark, light)
}

#[inline(always)]
fn color_dodge(backdrop: Lanes, source: Lanes) -> Lanes {
    // White where the source is, as a quotient that is above 1.
    let quotient = backdrop / (1.0 - source).greatest(ROUNDING * ROUNDING);
    backdrop.at_most(ROUNDING).choose(0.0, quotient.least(1.0))
}

#[inline(always)]
fn color_burn(backdrop: Lanes, source: Lanes) -> Lanes {
    // Black where the source is, as for dodge.
    let complement = 1.0 - backdrop;
    let quotient = complement / source.greatest(ROUNDING * ROUNDING);
    complement
        .at_most(ROUNDING)
        .choose(1.0, 1.0 - quotient.least(1.0))
}

#[inline(always)]
fn soft_light(backdrop: Lanes, source: Lanes) -> Lanes {
    let polynomial = ((backdrop * 16.0 - 12.0) * backdrop + 4.0) * backdrop;
    let lightened = backdrop.at_most(0.25).choose(polynomial, backdrop.sqrt());
    let strength = source * 2.0 - 1.0;
    let dark = backdrop + strength * backdrop * (1.0 - backdrop);
    let light = backdrop + strength * (lightened - backdrop);
    source.at_most(0.5).choose(dark, light)
}

#[inline(always)]
fn difference(backdrop: Lanes, source: Lanes) -> Lanes {
    (backdrop - source).greatest(source - backdrop)
}

#[inline(always)]
fn exclusion(backdrop: Lanes, source: Lanes) -> Lanes {
    backdrop + source - backdrop * source * 2.0
}

/// `Lum` of the specification.
#[inline(always)]
fn luminosity([red, green, blue]: Rgb) -> Lanes {
    red * 0.3 + green * 0.59 + blue * 0.11
}

/// `Sat` of the specification.
#[inline(always)]
fn saturation(color: Rgb) -> Lanes {
    largest(color) - smallest(color)
}

/// `SetLum` of the specification.
#[inline(always)]
fn set_luminosity(color: Rgb, target: Lanes) -> Rgb {
    let shift = target - luminosity(color);
    clip_color(each(color, |channel| channel + shift))
}

/// `SetSat` of the specification: its three cases are one linear map from [smallest, largest] to
/// [0, target].
#[inline(always)]
fn set_saturation(color: Rgb, target: Lanes) -> Rgb {
    let low = smallest(color);
    let range = largest(color) - low;
    let scale = range.at_most(0.0).choose(0.0, target / range);
    each(color, |channel| (channel - low) * scale)
}

/// `ClipColor` of the specification: towards grey until every channel is in [0, 1].
#[inline(always)]
fn clip_color(color: Rgb) -> Rgb {
    // Rounding may carry grey out of [0, 1], too; inside it no divisor that counts is 0.
    let grey = luminosity(color).least(1.0).greatest(0.0);
    let (low, high) = (smallest(color), largest(color));
    let not_low = Lanes::splat(0.0).at_most(low);
    let not_high = high.at_most(1.0);
    // The factors for too low and too high ones, as one quotient.
    let numerator = not_low.choose(1.0, grey) * not_high.choose(1.0, 1.0 - grey);
    let denominator = not_low.choose(1.0, grey - low) * not_high.choose(1.0, high - grey);
    let factor = numerator / denominator;
    each(color, |channel| {
        let clipped = grey + (channel - grey) * factor;
        // What rounding leaves outside.
        clipped.least(1.0).greatest(0.0)
    })
}

#[inline(always)]
fn smallest([red, green, blue]: Rgb) -> Lanes {
    red.least(green).least(blue)
}

#[inline(always)]
fn largest([red, green, blue]: Rgb) -> Lanes {
    red.greatest(green).greatest(blue)
}

/// `change` for each channel. The array's own `map` is a call in a build for size.
#[inline(always)]
fn each([red, green, blue]: Rgb, change: impl Fn(Lanes) -> Lanes) -> Rgb {
    [change(red), change(green), change(blue)]
}
