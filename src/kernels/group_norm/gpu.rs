use std::ops::Range;

use burn::tensor::Tensor;

use super::GroupNormParameters;
use crate::kernels::wgsl::{
    Wgsl, channels_last, elementwise, empty, floats, launch, launch_elementwise, map_of, tensor,
};

/// Pixels whose statistics one workgroup takes, at least.
const RUN: usize = 64;

/// Runs in a map, at most.
const MAX_RUNS: usize = 64;

/// Numbers of a group in a map that one workgroup goes through alone.
const SMALL_GROUP: usize = 1 << 15;

pub(super) fn scale_shift(tiles: &[Tensor<4>], parameters: &GroupNormParameters) -> Tensor<3> {
    if let [map] = tiles {
        let [_, channels, height, width] = map.dims();
        if channels / parameters.groups * height * width <= SMALL_GROUP {
            return small(map.clone(), parameters);
        }
    }
    let mut partial = tiles.iter().cloned().map(channel_statistics);
    let partial = match tiles {
        // Even of one tensor, `cat` makes a copy.
        [_] => partial.next().expect("there is a tile"),
        _ => Tensor::cat(partial.collect(), 1),
    };
    merge(partial, parameters)
}

/// The scale and shift of a small map in one pass.
fn small(x: Tensor<4>, parameters: &GroupNormParameters) -> Tensor<3> {
    let [batch, channels, height, width] = x.dims();
    let x = channels_last(x);
    let weight = floats(parameters.weight.clone());
    let bias = floats(parameters.bias.clone());
    let scale_shift = empty(&x, [batch, 2, channels]);
    let epsilon = parameters.epsilon.to_bits() as usize;
    launch(
        Small,
        [parameters.groups, batch, 1],
        &[&x, &weight, &bias],
        &scale_shift,
        &[
            channels,
            height * width,
            channels / parameters.groups,
            epsilon,
        ],
    );
    tensor(scale_shift)
}

/// Number, mean and sum of squared deviations of each channel in runs of pixels, `[batch, runs,
/// channels, 4]`; the last one is not used.
fn channel_statistics(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let pixels = height * width;
    let run = pixels.div_ceil(MAX_RUNS).max(RUN);
    let runs = pixels.div_ceil(run);
    let x = channels_last(x);
    let partial = empty(&x, [batch, runs, channels, 4]);
    launch(
        ChannelStatistics,
        [channels.div_ceil(64), runs, batch],
        &[&x],
        &partial,
        &[channels, pixels, run],
    );
    tensor(partial)
}

fn merge(partial: Tensor<4>, parameters: &GroupNormParameters) -> Tensor<3> {
    let [batch, runs, channels, _] = partial.dims();
    let partial = floats(partial);
    let weight = floats(parameters.weight.clone());
    let bias = floats(parameters.bias.clone());
    let scale_shift = empty(&partial, [batch, 2, channels]);
    let epsilon = parameters.epsilon.to_bits() as usize;
    launch(
        Merge,
        [parameters.groups, batch, 1],
        &[&partial, &weight, &bias],
        &scale_shift,
        &[channels, runs, channels / parameters.groups, epsilon],
    );
    tensor(scale_shift)
}

pub(super) fn apply_to_rows(
    maps: Vec<(Tensor<4>, Range<usize>)>,
    scale_shift: Tensor<3>,
    silu: bool,
) -> Tensor<4> {
    let [batch, channels, _, width] = maps[0].0.dims();
    let lanes = if channels.is_multiple_of(4) { 4 } else { 1 };
    let height: usize = maps.iter().map(|(_, rows)| rows.len()).sum();
    let row = width * channels / lanes;
    let scale_shift = floats(scale_shift);
    let out = empty(&scale_shift, [batch, height, width, channels]);
    let mut top = 0;
    for (map, rows) in maps {
        let [_, _, map_height, _] = map.dims();
        let info = [
            channels / lanes,
            rows.len() * row,
            map_height * row,
            rows.start * row,
            height * row,
            top * row,
            silu.into(),
        ];
        let x = channels_last(map);
        let count = batch * rows.len() * row;
        launch_elementwise(Apply { lanes }, count, &[&x, &scale_shift], &out, &info);
        top += rows.len();
    }
    map_of(out)
}

/// 64 channels of a run of pixels a workgroup: each invocation takes one channel of every fourth
/// pixel, so that neighbours read neighbouring numbers. The squares are of the distances from the
/// first value, which keeps them small where the mean is large.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::kernels) struct ChannelStatistics;

impl Wgsl for ChannelStatistics {
    const INVOCATIONS: u32 = 256;

    fn bindings(&self) -> Vec<(&'static str, &'static str)> {
        vec![("x", "f32"), ("partial", "vec4<f32>")]
    }

    fn body(&self) -> String {
        "\
var<workgroup> sums: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) invocation: u32) {
    let channels = info(0u);
    let pixels = info(1u);
    let run = info(2u);
    let channel = workgroup.x * 64u + invocation % 64u;
    let first = workgroup.y * run;
    let end = min(first + run, pixels);
    let base = workgroup.z * pixels * channels + min(channel, channels - 1u);
    let shift = x[base + first * channels];
    var count = 0.0;
    var sum = 0.0;
    var squares = 0.0;
    for (var pixel = first + invocation / 64u; pixel < end; pixel += 4u) {
        let distance = x[base + pixel * channels] - shift;
        count += 1.0;
        sum += distance;
        squares += distance * distance;
    }
    sums[invocation] = vec4<f32>(count, sum, squares, 0.0);
    workgroupBarrier();
    if (invocation < 64u && channel < channels) {
        let total = sums[invocation] + sums[invocation + 64u] + sums[invocation + 128u]
            + sums[invocation + 192u];
        let mean = total.y / total.x;
        let deviations = max(total.z - mean * total.y, 0.0);
        let at = (workgroup.z * workgroups.y + workgroup.y) * channels + channel;
        partial[at] = vec4<f32>(total.x, mean + shift, deviations, 0.0);
    }
}
"
        .into()
    }
}

/// One group of channels of one picture a workgroup. Statistics of two parts are merged as Chan,
/// Golub and LeVeque do ("Algorithms for computing the sample variance", 1983).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::kernels) struct Merge;

impl Wgsl for Merge {
    const INVOCATIONS: u32 = 64;

    fn bindings(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("partial", "vec4<f32>"),
            ("weight", "f32"),
            ("bias", "f32"),
            ("scale_shift", "f32"),
        ]
    }

    fn body(&self) -> String {
        format!(
            "\
{}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>,
        @builtin(local_invocation_index) invocation: u32) {{
    let channels = info(0u);
    let runs = info(1u);
    let width = info(2u);
    let first = workgroup.x * width;
    var part = vec4<f32>(0.0);
    for (var index = invocation; index < runs * width; index += 64u) {{
        let at = (workgroup.y * runs + index / width) * channels + first + index % width;
        part = merged(part, partial[at]);
    }}
    finish(part, workgroup.y, first, invocation);
}}
",
            finish(Self::INVOCATIONS)
        )
    }
}

/// One group of channels of one picture a workgroup, all pixels. The squares are of the distances
/// from the group's first value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::kernels) struct Small;

impl Wgsl for Small {
    const INVOCATIONS: u32 = 256;

    fn bindings(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("x", "f32"),
            ("weight", "f32"),
            ("bias", "f32"),
            ("scale_shift", "f32"),
        ]
    }

    fn body(&self) -> String {
        format!(
            "\
{}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>,
        @builtin(local_invocation_index) invocation: u32) {{
    let channels = info(0u);
    let pixels = info(1u);
    let width = info(2u);
    let first = workgroup.x * width;
    let base = workgroup.y * pixels * channels + first;
    let shift = x[base];
    var count = 0.0;
    var sum = 0.0;
    var squares = 0.0;
    for (var index = invocation; index < pixels * width; index += 256u) {{
        let distance = x[base + index / width * channels + index % width] - shift;
        count += 1.0;
        sum += distance;
        squares += distance * distance;
    }}
    let mean = sum / max(count, 1.0);
    let part = vec4<f32>(count, mean + shift, max(squares - mean * sum, 0.0), 0.0);
    finish(part, workgroup.y, first, invocation);
}}
",
            finish(Self::INVOCATIONS)
        )
    }
}

/// Code that merges what each of `invocations` knows of a group, and writes its channels' scales
/// and shifts.
fn finish(invocations: u32) -> String {
    format!(
        "\
var<workgroup> parts: array<vec4<f32>, {invocations}>;

fn merged(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {{
    let count = a.x + b.x;
    let share = b.x / max(count, 1.0);
    let distance = b.y - a.y;
    let deviations = a.z + b.z + distance * distance * a.x * share;
    return vec4<f32>(count, a.y + distance * share, deviations, 0.0);
}}

fn finish(part: vec4<f32>, picture: u32, first: u32, invocation: u32) {{
    parts[invocation] = part;
    for (var half = {}u; half > 0u; half /= 2u) {{
        workgroupBarrier();
        if (invocation < half) {{
            parts[invocation] = merged(parts[invocation], parts[invocation + half]);
        }}
    }}
    workgroupBarrier();
    let total = parts[0];
    let channels = info(0u);
    let width = info(2u);
    let inverse = 1.0 / sqrt(total.z / total.x + bitcast<f32>(info(3u)));
    for (var channel = first + invocation; channel < first + width; channel += {invocations}u) {{
        let scale = weight[channel] * inverse;
        let at = picture * 2u * channels + channel;
        scale_shift[at] = scale;
        scale_shift[at + channels] = bias[channel] - total.y * scale;
    }}
}}
",
        invocations / 2
    )
}

/// One number, or four of one pixel, an invocation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::kernels) struct Apply {
    pub(in crate::kernels) lanes: usize,
}

impl Wgsl for Apply {
    const INVOCATIONS: u32 = 256;

    fn bindings(&self) -> Vec<(&'static str, &'static str)> {
        let number = match self.lanes {
            4 => "vec4<f32>",
            _ => "f32",
        };
        vec![("x", number), ("scale_shift", number), ("out", number)]
    }

    fn body(&self) -> String {
        elementwise::<Self>(
            "\
    let channels = info(1u);
    let numbers = info(2u);
    let picture = at / numbers;
    let rest = at - picture * numbers;
    let channel = picture * 2u * channels + rest % channels;
    let number = x[picture * info(3u) + info(4u) + rest];
    let value = number * scale_shift[channel] + scale_shift[channel + channels];
    let place = picture * info(5u) + info(6u) + rest;
    if (info(7u) == 0u) {
        out[place] = value;
    } else {
        out[place] = value / (1.0 + exp(-value));
    }
",
        )
    }
}
