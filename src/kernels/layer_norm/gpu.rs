use burn::tensor::Tensor;

use crate::kernels::wgsl::{Wgsl, empty, floats, launch, spread, tensor};

pub(super) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
) -> Tensor<D> {
    let shape = x.dims();
    let channels = shape[D - 1];
    let rows = shape.iter().product::<usize>() / channels;
    let (x, weight, bias) = (floats(x), floats(weight), floats(bias));
    let out = empty(&x, shape);
    let info = [rows, channels, epsilon.to_bits() as usize];
    launch(LayerNorm, spread(rows), &[&x, &weight, &bias], &out, &info);
    tensor(out)
}

/// A row a workgroup.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::kernels) struct LayerNorm;

impl Wgsl for LayerNorm {
    const INVOCATIONS: u32 = 64;

    fn bindings(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("x", "f32"),
            ("weight", "f32"),
            ("bias", "f32"),
            ("out", "f32"),
        ]
    }

    fn body(&self) -> String {
        "\
var<workgroup> sums: array<f32, 64>;

fn total(invocation: u32, value: f32) -> f32 {
    workgroupBarrier();
    sums[invocation] = value;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (invocation < half) { sums[invocation] += sums[invocation + half]; }
    }
    workgroupBarrier();
    return sums[0];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) invocation: u32) {
    let row = workgroup.x + workgroup.y * workgroups.x;
    if (row >= info(0u)) { return; }
    let channels = info(1u);
    let base = row * channels;
    var sum = 0.0;
    for (var i = invocation; i < channels; i += 64u) { sum += x[base + i]; }
    let mean = total(invocation, sum) / f32(channels);
    var squares = 0.0;
    for (var i = invocation; i < channels; i += 64u) {
        let distance = x[base + i] - mean;
        squares += distance * distance;
    }
    let variance = total(invocation, squares) / f32(channels);
    let inverse = 1.0 / sqrt(variance + bitcast<f32>(info(2u)));
    for (var i = invocation; i < channels; i += 64u) {
        out[base + i] = (x[base + i] - mean) * inverse * weight[i] + bias[i];
    }
}
"
        .into()
    }
}
