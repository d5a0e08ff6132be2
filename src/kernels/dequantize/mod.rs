//! Weights as they are stored to `f32`, on every device: packed in groups, or half floats.

mod cpu;
#[cfg(feature = "gpu")]
mod gpu;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Int, Tensor};

/// What a device must be able to do for stored weights.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"))]
trait Unpack: Backend {
    fn dequantize_words(
        words: IntTensor<Self>,
        scales: IntTensor<Self>,
        bits: usize,
        group: usize,
    ) -> FloatTensor<Self>;

    fn f16_words_to_f32(words: IntTensor<Self>) -> FloatTensor<Self>;
}

/// The weights behind `words`, as many as they hold.
///
/// Each word is 32 bits: from the lowest bits up, `32 / bits` levels stored as `level + 2^(bits-1)`.
/// Each word of `scales` is two half floats, the first in the lower bits. Every run of `group`
/// weights, a multiple of a word's, has the next scale; a weight is its level times its scale.
pub fn dequantize(
    words: Tensor<1, Int>,
    scales: Tensor<1, Int>,
    bits: usize,
    group: usize,
) -> Tensor<1> {
    let values =
        Dispatch::dequantize_words(words.into_dispatch(), scales.into_dispatch(), bits, group);
    Tensor::from_dispatch(values)
}

/// The half floats behind `words`, two in each, the first in the lower bits.
pub fn f16_to_f32(words: Tensor<1, Int>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::f16_words_to_f32(words.into_dispatch()))
}
