use burn::tensor::Tensor;

use crate::kernels::wgsl::{Wgsl, empty, floats, launch, spread, tensor};

pub(super) fn concat_channels(first: Tensor<4>, second: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = first.dims();
    let more = second.dims()[1];
    let first = floats(first.permute([0, 2, 3, 1]));
    let second = floats(second.permute([0, 2, 3, 1]));
    let out = empty(&first, [batch, height, width, channels + more]);
    let count = batch * height * width * (channels + more);
    let workgroups = spread(count.div_ceil(Concat::INVOCATIONS as usize));
    launch(
        Concat,
        workgroups,
        &[&first, &second],
        &out,
        &[count, channels, more],
    );
    tensor::<4>(out).permute([0, 3, 1, 2])
}

/// One number an invocation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Concat;

impl Wgsl for Concat {
    const INVOCATIONS: u32 = 256;

    fn bindings(&self) -> Vec<(&'static str, &'static str)> {
        vec![("first", "f32"), ("second", "f32"), ("out", "f32")]
    }

    fn body(&self) -> String {
        "\
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) invocation: u32) {
    let at = (workgroup.x + workgroup.y * workgroups.x) * 256u + invocation;
    if (at >= info(0u)) { return; }
    let channels = info(1u);
    let more = info(2u);
    let pixel = at / (channels + more);
    let channel = at % (channels + more);
    if (channel < channels) {
        out[at] = first[pixel * channels + channel];
    } else {
        out[at] = second[pixel * more + channel - channels];
    }
}
"
        .into()
    }
}
