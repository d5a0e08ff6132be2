use burn::tensor::Tensor;

use crate::kernels::wgsl::{Wgsl, channels_last, elementwise, empty, launch_elementwise, map_of};

pub(super) fn concat_channels(first: Tensor<4>, second: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = first.dims();
    let more = second.dims()[1];
    let first = channels_last(first);
    let second = channels_last(second);
    let out = empty(&first, [batch, height, width, channels + more]);
    let count = batch * height * width * (channels + more);
    launch_elementwise(Concat, count, &[&first, &second], &out, &[channels, more]);
    map_of(out)
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
        elementwise::<Self>(
            "\
    let channels = info(1u);
    let more = info(2u);
    let pixel = at / (channels + more);
    let channel = at % (channels + more);
    if (channel < channels) {
        out[at] = first[pixel * channels + channel];
    } else {
        out[at] = second[pixel * more + channel - channels];
    }
",
        )
    }
}
