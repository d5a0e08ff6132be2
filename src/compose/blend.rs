//! The blend modes (Compositing and Blending Level 1, sections 9 and 10).

use std::fmt;
use std::str::FromStr;

use super::color::{greatest, least, unpremultiply};
use super::named::{by_name, serde_as_text};
use crate::{Error, Result};

/// Straight red, green and blue.
type Rgb = [f32; 3];

/// Work that is compiled once for every blend mode, so that loops over pixels call nothing.
pub(super) trait BlendVisitor {
    /// What the work gives.
    type Output;

    /// Does the work with `mix`, which takes backdrop and source, premultiplied, and gives the
    /// blended source, premultiplied: `αs · ((1 - αb) · Cs + αb · B(Cb, Cs))`.
    fn visit(self, mix: impl Fn([f32; 4], [f32; 4]) -> Rgb) -> Self::Output;
}

/// Declares [`BlendMode`]: each mode with its CSS name and how it mixes.
macro_rules! blend_modes {
    ($($(#[$attribute:meta])* $mode:ident, $name:literal, $mix:expr;)*) => {
        /// How the colours of a layer and of what lies below it become one: the values of CSS's
        /// `mix-blend-mode`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum BlendMode {
            $($(#[$attribute])* $mode,)*
        }

        impl BlendMode {
            /// Every blend mode, the default first.
            pub const ALL: [Self; 16] = [$(Self::$mode,)*];

            /// The name in CSS.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$mode => $name,)*
                }
            }

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
    Darken, "darken", separable(least);
    /// The lighter of the two, for each channel.
    Lighten, "lighten", separable(greatest);
    /// Brightens the backdrop to reflect the source.
    ColorDodge, "color-dodge", separable(color_dodge);
    /// Darkens the backdrop to reflect the source.
    ColorBurn, "color-burn", separable(color_burn);
    /// Multiplies or screens, depending on the source.
    HardLight, "hard-light", separable(hard_light);
    /// Darkens or lightens, like a diffused spotlight.
    SoftLight, "soft-light", separable(soft_light);
    /// The distance between the two.
    Difference, "difference", separable(|backdrop, source| (backdrop - source).abs());
    /// Like the distance, with less contrast.
    Exclusion, "exclusion",
        separable(|backdrop, source| backdrop + source - 2.0 * backdrop * source);
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

impl fmt::Display for BlendMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BlendMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        by_name("blend mode", text, &Self::ALL)
    }
}

serde_as_text!(BlendMode);

/// The mix of a mode that treats each channel alone.
#[inline(always)]
fn separable(blend: impl Fn(f32, f32) -> f32) -> impl Fn([f32; 4], [f32; 4]) -> Rgb {
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
fn mixing(blend: impl Fn(Rgb, Rgb) -> Rgb) -> impl Fn([f32; 4], [f32; 4]) -> Rgb {
    move |backdrop, source| {
        let [red, green, blue, backdrop_alpha] = unpremultiply(backdrop);
        let [source_red, source_green, source_blue, source_alpha] = unpremultiply(source);
        let blended = blend([red, green, blue], [source_red, source_green, source_blue]);
        let both = backdrop_alpha * source_alpha;
        let outside = 1.0 - backdrop_alpha;
        [
            outside * source[0] + both * blended[0],
            outside * source[1] + both * blended[1],
            outside * source[2] + both * blended[2],
        ]
    }
}

/// How far rounding may carry a colour away from 0 or 1, where dodge and burn jump; a hundredth of
/// the smallest step of a 16-bit channel.
const ROUNDING: f32 = 1.5e-7;

#[inline(always)]
fn multiply(backdrop: f32, source: f32) -> f32 {
    backdrop * source
}

#[inline(always)]
fn screen(backdrop: f32, source: f32) -> f32 {
    backdrop + source - backdrop * source
}

#[inline(always)]
fn hard_light(backdrop: f32, source: f32) -> f32 {
    if source <= 0.5 {
        multiply(backdrop, 2.0 * source)
    } else {
        screen(backdrop, 2.0 * source - 1.0)
    }
}

#[inline(always)]
fn color_dodge(backdrop: f32, source: f32) -> f32 {
    if backdrop <= ROUNDING {
        0.0
    } else if source >= 1.0 - ROUNDING {
        1.0
    } else {
        least(1.0, backdrop / (1.0 - source))
    }
}

#[inline(always)]
fn color_burn(backdrop: f32, source: f32) -> f32 {
    if backdrop >= 1.0 - ROUNDING {
        1.0
    } else if source <= ROUNDING {
        0.0
    } else {
        1.0 - least(1.0, (1.0 - backdrop) / source)
    }
}

#[inline(always)]
fn soft_light(backdrop: f32, source: f32) -> f32 {
    let lightened = if backdrop <= 0.25 {
        ((16.0 * backdrop - 12.0) * backdrop + 4.0) * backdrop
    } else {
        backdrop.sqrt()
    };
    if source <= 0.5 {
        backdrop - (1.0 - 2.0 * source) * backdrop * (1.0 - backdrop)
    } else {
        backdrop + (2.0 * source - 1.0) * (lightened - backdrop)
    }
}

/// `Lum` of the specification.
#[inline(always)]
fn luminosity([red, green, blue]: Rgb) -> f32 {
    0.3 * red + 0.59 * green + 0.11 * blue
}

/// `Sat` of the specification.
#[inline(always)]
fn saturation(color: Rgb) -> f32 {
    largest(color) - smallest(color)
}

/// `SetLum` of the specification.
#[inline(always)]
fn set_luminosity(color: Rgb, target: f32) -> Rgb {
    let difference = target - luminosity(color);
    clip_color(color.map(|channel| channel + difference))
}

/// `SetSat` of the specification: its three cases are one linear map from [smallest, largest] to
/// [0, target].
#[inline(always)]
fn set_saturation(color: Rgb, target: f32) -> Rgb {
    let (low, high) = (smallest(color), largest(color));
    let scale = if high > low {
        target / (high - low)
    } else {
        0.0
    };
    color.map(|channel| (channel - low) * scale)
}

/// `ClipColor` of the specification: towards grey until every channel is in [0, 1].
#[inline(always)]
fn clip_color(color: Rgb) -> Rgb {
    let grey = luminosity(color);
    let (low, high) = (smallest(color), largest(color));
    let mut clipped = color;
    if low < 0.0 {
        clipped = clipped.map(|channel| grey + (channel - grey) * grey / (grey - low));
    }
    if high > 1.0 {
        clipped = clipped.map(|channel| grey + (channel - grey) * (1.0 - grey) / (high - grey));
    }
    // What rounding leaves outside.
    clipped.map(|channel| greatest(0.0, least(1.0, channel)))
}

#[inline(always)]
fn smallest([red, green, blue]: Rgb) -> f32 {
    least(red, least(green, blue))
}

#[inline(always)]
fn largest([red, green, blue]: Rgb) -> f32 {
    greatest(red, greatest(green, blue))
}
