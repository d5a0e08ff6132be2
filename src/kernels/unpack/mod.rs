//! Group-wise packed weights to `f32`, on every device.

mod cpu;
#[cfg(feature = "gpu")]
mod gpu;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Int, Tensor};

/// What a device must be able to do for packed weights.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"))]
trait Unpack: Backend {
    fn unpack_words(
        words: IntTensor<Self>,
        scales: IntTensor<Self>,
        bits: usize,
        group: usize,
    ) -> FloatTensor<Self>;
}

/// The weights behind `words`, as many as they hold.
///
/// Each word is 32 bits: from the lowest bits up, `32 / bits` levels stored as `level + 2^(bits-1)`.
/// Each word of `scales` is two half floats, the first in the lower bits. Every run of `group`
/// weights, a multiple of a word's, has the next scale; a weight is its level times its scale.
pub fn unpack(
    words: Tensor<1, Int>,
    scales: Tensor<1, Int>,
    bits: usize,
    group: usize,
) -> Tensor<1> {
    let unpacked =
        Dispatch::unpack_words(words.into_dispatch(), scales.into_dispatch(), bits, group);
    Tensor::from_dispatch(unpacked)
}
