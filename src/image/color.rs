//! The colours of a file as sRGB: what ICC profiles and PNG's own chunks say of them, as browsers
//! understand it.
//!
//! moxcms reads the profiles. The arithmetic is written out here, since moxcms has a kernel for every
//! layout and depth of samples: all of them would add 80 KB to what a page downloads, this adds 5.

use moxcms::{
    Chromaticity, ColorPrimaries, ColorProfile, DataColorSpace, LutStore, LutType, LutWarehouse,
    ProfileClass, ToneReprCurve, XyY,
};

/// What the samples of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channels {
    Grey,
    Rgb,
    /// Inks: 0 is none.
    Cmyk,
}

/// From the samples of a file to sRGB.
pub(crate) struct ToSrgb {
    source: Source,
    /// The largest sample.
    max: u16,
    /// The light at which each byte of sRGB gives way to the next.
    thresholds: [f32; 255],
}

type Matrix = [[f32; 3]; 3];

/// From samples to linear light with the primaries of sRGB, not yet clipped to 0 to 1.
enum Source {
    /// The light of every sample for each channel, mixed by a matrix.
    Curves(Box<[Vec<f32>; 3]>, Matrix),
    Table(Box<Table>),
}

impl ToSrgb {
    /// By an ICC profile. `None` where browsers ignore one: if it cannot be read or is not of these
    /// channels; RGB describes grey samples, too.
    pub(crate) fn from_icc(profile: &[u8], channels: Channels, max: u16) -> Option<Self> {
        let profile = ColorProfile::new_from_slice(profile).ok()?;
        let class = profile.profile_class;
        if [
            ProfileClass::DeviceLink,
            ProfileClass::Abstract,
            ProfileClass::Named,
        ]
        .contains(&class)
        {
            return None;
        }
        let source = match (profile.color_space, channels) {
            (DataColorSpace::Rgb, Channels::Grey | Channels::Rgb) => {
                match Table::new(&profile, 3) {
                    Some(table) => Source::Table(Box::new(table)),
                    None => curves(&profile, max)?,
                }
            }
            (DataColorSpace::Gray, Channels::Grey) if profile.pcs == DataColorSpace::Xyz => {
                let light = lights(profile.gray_trc.as_ref()?, max)?;
                Source::Curves(Box::new([light.clone(), light.clone(), light]), IDENTITY)
            }
            (DataColorSpace::Cmyk, Channels::Cmyk) => {
                Source::Table(Box::new(Table::new(&profile, 4)?))
            }
            _ => return None,
        };
        Some(Self::new(source, max))
    }

    /// By the numbers of ITU-T H.273 in a PNG's cICP chunk; `None` if they say nothing that is known.
    pub(super) fn from_cicp(primaries: u8, transfer: u8, max: u16) -> Option<Self> {
        let power = |exponent: f32| sampled(max, |value| value.powf(exponent));
        let light = match transfer {
            1 | 6 | 11 | 14 | 15 => sampled(max, linear_from_bt709),
            4 => power(2.2),
            5 => power(2.8),
            8 => power(1.0),
            13 => sampled(max, linear_from_srgb),
            _ => return None,
        };
        let mut known = PRIMARIES.iter();
        let (_, points) = known.find(|(numbers, _)| numbers.contains(&primaries))?;
        Self::from_light(light, Some(*points), max)
    }

    /// By a PNG's gAMA chunk, and its cHRM chunk if it has one: white, red, green and blue.
    ///
    /// A gamma within 5 % of 1/2.2 means sRGB's own curve, as it does to libpng, and not the power, which
    /// differs in the shadows.
    pub(super) fn from_gamma(gamma: f32, points: Option<[[f32; 2]; 4]>, max: u16) -> Option<Self> {
        let light = if (gamma * 2.2 - 1.0).abs() < 0.05 {
            sampled(max, linear_from_srgb)
        } else if gamma > 0.0 {
            sampled(max, |value| value.powf(1.0 / gamma))
        } else {
            return None;
        };
        Self::from_light(light, points, max)
    }

    /// By the light of the samples of all channels, and the chromaticities of white, red, green and blue.
    fn from_light(light: Vec<f32>, points: Option<[[f32; 2]; 4]>, max: u16) -> Option<Self> {
        let matrix = match points {
            Some([[x, y], red, green, blue]) => {
                let chromaticity = |[x, y]: [f32; 2]| Chromaticity::new(x, y);
                let white = XyY::new(f64::from(x), f64::from(y), 1.0);
                let primaries = ColorPrimaries {
                    red: chromaticity(red),
                    green: chromaticity(green),
                    blue: chromaticity(blue),
                };
                to_srgb_primaries(&ColorProfile::colorants_matrix(white, primaries).v)?
            }
            None => IDENTITY,
        };
        let source = Source::Curves(Box::new([light.clone(), light.clone(), light]), matrix);
        Some(Self::new(source, max))
    }

    fn new(source: Source, max: u16) -> Self {
        let threshold = |byte: usize| linear_from_srgb((byte as f32 + 0.5) / 255.0);
        Self {
            source,
            max,
            thresholds: std::array::from_fn(threshold),
        }
    }

    /// Whether the samples are sRGB already, as far as bytes can tell: no colour moves by more than 1.
    pub(crate) fn is_none(&self) -> bool {
        let steps = || (0u8..=255).step_by(17);
        let colors = steps().flat_map(|red| {
            steps().flat_map(move |green| steps().map(move |blue| [red, green, blue]))
        });
        let scale = self.max / 255;
        colors.into_iter().all(|color| {
            let [red, green, blue] = color.map(|byte| u16::from(byte) * scale);
            let seen = self.bytes([red, green, blue, 0]);
            let mut pairs = seen.iter().zip(color);
            pairs.all(|(seen, byte)| seen.abs_diff(byte) <= 1)
        })
    }

    /// The sRGB of a pixel; the fourth sample counts if these are inks. Grey is three equal samples.
    pub(crate) fn bytes(&self, samples: [u16; 4]) -> [u8; 3] {
        let linear = match &self.source {
            Source::Curves(lights, matrix) => {
                let light = |channel: usize| lights[channel][usize::from(samples[channel])];
                product(matrix, [light(0), light(1), light(2)])
            }
            Source::Table(table) => {
                table.linear(samples.map(|sample| f32::from(sample) / f32::from(self.max)))
            }
        };
        linear.map(|light| self.thresholds.partition_point(|limit| *limit <= light) as u8)
    }
}

/// The curves and the matrix of an RGB profile.
fn curves(profile: &ColorProfile, max: u16) -> Option<Source> {
    let curves = [&profile.red_trc, &profile.green_trc, &profile.blue_trc];
    let [red, green, blue] = curves.map(|curve| lights(curve.as_ref()?, max));
    let matrix = to_srgb_primaries(&profile.colorant_matrix().v)?;
    Some(Source::Curves(Box::new([red?, green?, blue?]), matrix))
}

/// The light of every sample up to `max`.
fn lights(curve: &ToneReprCurve, max: u16) -> Option<Vec<f32>> {
    Some(match curve {
        ToneReprCurve::Lut(values) => match values[..] {
            [] => sampled(max, |value| value),
            [gamma] => sampled(max, |value| value.powf(f32::from(gamma) / 256.0)),
            _ => {
                let values: Vec<f32> = values.iter().map(|value| unit(*value)).collect();
                sampled(max, |value| interpolated(&values, value))
            }
        },
        ToneReprCurve::Parametric(parameters) => {
            // A power of a line above `d`, a line below it.
            let [g, a, b, c, d, e, f] = match parameters[..] {
                [g] => [g, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                [g, a, b] => [g, a, b, 0.0, -b / a, 0.0, 0.0],
                [g, a, b, c] => [g, a, b, 0.0, -b / a, c, c],
                [g, a, b, c, d] => [g, a, b, c, d, 0.0, 0.0],
                [g, a, b, c, d, e, f] => [g, a, b, c, d, e, f],
                _ => return None,
            };
            sampled(max, |value| match value >= d {
                true => (a * value + b).powf(g) + e,
                false => c * value + f,
            })
        }
    })
}

fn sampled(max: u16, curve: impl Fn(f32) -> f32) -> Vec<f32> {
    let values = (0..=max).map(|sample| curve(f32::from(sample) / f32::from(max)));
    values.collect()
}

fn linear_from_srgb(value: f32) -> f32 {
    if value <= 0.04045 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

fn linear_from_bt709(value: f32) -> f32 {
    if value < 0.081_243 {
        value / 4.5
    } else {
        ((value + 0.099_297) / 1.099_297).powf(1.0 / 0.45)
    }
}

const D65: [f32; 2] = [0.3127, 0.329];
const ILLUMINANT_C: [f32; 2] = [0.31, 0.316];

/// The primaries of H.273 by their numbers: the chromaticities of white, red, green and blue.
const PRIMARIES: [(&[u8], [[f32; 2]; 4]); 9] = [
    (&[1], [D65, [0.64, 0.33], [0.3, 0.6], [0.15, 0.06]]),
    (
        &[4],
        [ILLUMINANT_C, [0.67, 0.33], [0.21, 0.71], [0.14, 0.08]],
    ),
    (&[5], [D65, [0.64, 0.33], [0.29, 0.6], [0.15, 0.06]]),
    (&[6, 7], [D65, [0.63, 0.34], [0.31, 0.595], [0.155, 0.07]]),
    (
        &[8],
        [ILLUMINANT_C, [0.681, 0.319], [0.243, 0.692], [0.145, 0.049]],
    ),
    (&[9], [D65, [0.708, 0.292], [0.17, 0.797], [0.131, 0.046]]),
    (
        &[11],
        [[0.314, 0.351], [0.68, 0.32], [0.265, 0.69], [0.15, 0.06]],
    ),
    (&[12], [D65, [0.68, 0.32], [0.265, 0.69], [0.15, 0.06]]),
    (&[22], [D65, [0.63, 0.34], [0.295, 0.605], [0.155, 0.077]]),
];

const IDENTITY: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// From primaries, columns of XYZ under D50, to those of sRGB; `None` if they span no colours.
fn to_srgb_primaries(colorants: &[[f64; 3]; 3]) -> Option<Matrix> {
    let srgb = srgb_from_xyz();
    let mut matrix = IDENTITY;
    for (row, values) in matrix.iter_mut().enumerate() {
        for (column, value) in values.iter_mut().enumerate() {
            let sum: f64 = (0..3).map(|at| srgb[row][at] * colorants[at][column]).sum();
            *value = sum as f32;
        }
    }
    let usable = matrix.iter().flatten().all(|value| value.is_finite())
        && matrix.iter().flatten().any(|value| *value != 0.0);
    usable.then_some(matrix)
}

/// From XYZ under D50 to linear sRGB.
fn srgb_from_xyz() -> [[f64; 3]; 3] {
    ColorProfile::new_srgb().colorant_matrix().inverse().v
}

fn product(matrix: &Matrix, vector: [f32; 3]) -> [f32; 3] {
    matrix.map(|row| row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2])
}

fn unit(value: u16) -> f32 {
    f32::from(value) / 65535.0
}

/// The value of a table over 0 to 1.
fn interpolated(table: &[f32], place: f32) -> f32 {
    let last = table.len() - 1;
    let place = place.clamp(0.0, 1.0) * last as f32;
    let low = (place as usize).min(last);
    let part = place - low as f32;
    table[low] + (table[(low + 1).min(last)] - table[low]) * part
}

/// The tables of a profile that curves and a matrix do not describe: those of printers, with inks.
///
/// Samples pass through the first curves, the grid, the middle curves, the matrix and the last curves,
/// of which each may be missing.
struct Table {
    first: Vec<Vec<f32>>,
    grid: Option<Grid>,
    middle: Vec<Vec<f32>>,
    matrix: Matrix,
    offset: [f32; 3],
    last: Vec<Vec<f32>>,
    space: Space,
    srgb_from_xyz: Matrix,
}

/// What comes out of the last curves, and by which factor.
enum Space {
    Xyz(f32),
    Lab(f32),
}

/// Colours on a grid with an axis for each channel, of which the last varies fastest.
struct Grid {
    sizes: Vec<usize>,
    colors: Vec<[f32; 3]>,
}

impl Table {
    /// The table for perceptual rendering, else that for colorimetric, of a profile of `channels`.
    fn new(profile: &ColorProfile, channels: usize) -> Option<Self> {
        let perceptual = profile.lut_a_to_b_perceptual.as_ref();
        let stored = perceptual.or(profile.lut_a_to_b_colorimetric.as_ref())?;
        // Tables of 16 bits have 100 % of L at 65280.
        let mut factor = 1.0;
        let mut table = match stored {
            LutWarehouse::Lut(stored) => {
                if usize::from(stored.num_input_channels) != channels
                    || stored.num_output_channels != 3
                {
                    return None;
                }
                if stored.lut_type == LutType::Lut16 {
                    factor = 65535.0 / 65280.0;
                }
                let sizes = vec![usize::from(stored.num_clut_grid_points); channels];
                let inputs = usize::from(stored.num_input_table_entries);
                let outputs = usize::from(stored.num_output_table_entries);
                Self {
                    first: tables(&stored.input_table, inputs, channels)?,
                    grid: Some(Grid::new(sizes, &stored.clut_table)?),
                    last: tables(&stored.output_table, outputs, 3)?,
                    ..Self::empty()
                }
            }
            LutWarehouse::Multidimensional(stored) => {
                if usize::from(stored.num_input_channels) != channels
                    || stored.num_output_channels != 3
                    || (stored.clut.is_none() && channels != 3)
                {
                    return None;
                }
                let sizes = stored.grid_points.get(..channels)?;
                let sizes = || sizes.iter().map(|size| usize::from(*size)).collect();
                let grid = stored.clut.as_ref();
                let grid = grid.map(|colors| Grid::new(sizes(), colors));
                Self {
                    first: sampled_curves(&stored.a_curves, channels)?,
                    grid: match grid {
                        Some(grid) => Some(grid?),
                        None => None,
                    },
                    middle: sampled_curves(&stored.m_curves, 3)?,
                    matrix: stored.matrix.v.map(|row| row.map(|value| value as f32)),
                    offset: stored.bias.v.map(|value| value as f32),
                    last: sampled_curves(&stored.b_curves, 3)?,
                    ..Self::empty()
                }
            }
        };
        table.space = match profile.pcs {
            DataColorSpace::Lab => Space::Lab(factor),
            DataColorSpace::Xyz => Space::Xyz(1.0 + 32767.0 / 32768.0),
            _ => return None,
        };
        Some(table)
    }

    fn empty() -> Self {
        Self {
            first: Vec::new(),
            grid: None,
            middle: Vec::new(),
            matrix: IDENTITY,
            offset: [0.0; 3],
            last: Vec::new(),
            space: Space::Xyz(1.0),
            srgb_from_xyz: srgb_from_xyz().map(|row| row.map(|value| value as f32)),
        }
    }

    /// Linear sRGB of samples from 0 to 1, of which those count that the profile has.
    fn linear(&self, mut samples: [f32; 4]) -> [f32; 3] {
        apply(&self.first, &mut samples);
        let mut color = match &self.grid {
            Some(grid) => grid.at(samples),
            None => [samples[0], samples[1], samples[2]],
        };
        apply(&self.middle, &mut color);
        color = product(&self.matrix, color);
        for (value, offset) in color.iter_mut().zip(self.offset) {
            *value += offset;
        }
        apply(&self.last, &mut color);
        let xyz = match self.space {
            Space::Xyz(factor) => color.map(|value| value * factor),
            Space::Lab(factor) => xyz_from_lab(color.map(|value| value * factor)),
        };
        product(&self.srgb_from_xyz, xyz)
    }
}

/// Each value by its curve, if there are any.
fn apply(curves: &[Vec<f32>], values: &mut [f32]) {
    for (curve, value) in curves.iter().zip(values) {
        *value = interpolated(curve, *value);
    }
}

/// XYZ under D50 of L, a and b as profiles store them, each from 0 to 1.
fn xyz_from_lab([lightness, a, b]: [f32; 3]) -> [f32; 3] {
    const WHITE: [f32; 3] = [0.9642, 1.0, 0.8249];
    let y = (lightness * 100.0 + 16.0) / 116.0;
    let x = y + (a * 255.0 - 128.0) / 500.0;
    let z = y - (b * 255.0 - 128.0) / 200.0;
    let cubed = |value: f32| {
        if value > 6.0 / 29.0 {
            value * value * value
        } else {
            (value - 4.0 / 29.0) * (108.0 / 841.0)
        }
    };
    [
        WHITE[0] * cubed(x),
        WHITE[1] * cubed(y),
        WHITE[2] * cubed(z),
    ]
}

fn stored_values(stored: &LutStore) -> Vec<f32> {
    match stored {
        LutStore::Store8(bytes) => bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect(),
        LutStore::Store16(values) => values.iter().map(|value| unit(*value)).collect(),
    }
}

/// `count` tables of `length` values.
fn tables(stored: &LutStore, length: usize, count: usize) -> Option<Vec<Vec<f32>>> {
    let values = stored_values(stored);
    if length < 2 || values.len() != length * count {
        return None;
    }
    Some(values.chunks_exact(length).map(<[f32]>::to_vec).collect())
}

/// `count` curves as tables, or none if there are none.
fn sampled_curves(curves: &[ToneReprCurve], count: usize) -> Option<Vec<Vec<f32>>> {
    /// Fine enough for every byte of a steep curve.
    const LAST: u16 = 4095;
    if ![0, count].contains(&curves.len()) {
        return None;
    }
    curves.iter().map(|curve| lights(curve, LAST)).collect()
}

impl Grid {
    fn new(sizes: Vec<usize>, stored: &LutStore) -> Option<Self> {
        let values = stored_values(stored);
        let (colors, rest) = values.as_chunks::<3>();
        let count: usize = sizes.iter().product();
        (count > 0 && colors.len() == count && rest.is_empty()).then(|| Self {
            sizes,
            colors: colors.to_vec(),
        })
    }

    /// The colour between the points around a place, each axis from 0 to 1.
    fn at(&self, place: [f32; 4]) -> [f32; 3] {
        let axes = self.sizes.len();
        let mut cell = [(0, 0.0); 4];
        for ((cell, place), size) in cell.iter_mut().zip(place).zip(&self.sizes) {
            let place = place.clamp(0.0, 1.0) * (size - 1) as f32;
            let low = (place as usize).min(size - 1);
            *cell = (low, place - low as f32);
        }
        let mut color = [0.0; 3];
        for corner in 0..1usize << axes {
            let (mut index, mut weight) = (0, 1.0);
            for (axis, (&(low, part), size)) in cell.iter().zip(&self.sizes).enumerate() {
                let upper = corner >> axis & 1;
                weight *= if upper == 1 { part } else { 1.0 - part };
                index = index * size + (low + upper).min(size - 1);
            }
            if weight > 0.0 {
                for (sum, value) in color.iter_mut().zip(self.colors[index]) {
                    *sum += weight * value;
                }
            }
        }
        color
    }
}
