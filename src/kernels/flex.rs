//! The numbers of tensors on the CPU, for what is computed there without Burn's operations.

use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{Int, Tensor};
#[cfg(feature = "cli")]
use rayon::prelude::*;

/// Numbers that are worth a task of their own, where there are threads.
#[cfg(feature = "cli")]
const TASK: usize = 1 << 15;

/// A tensor's memory, in the order of its axes.
pub(super) fn contiguous<const D: usize>(tensor: Tensor<D>) -> FloatTensor<Flex> {
    let tensor = tensor.try_into_primitive::<Flex>();
    tensor
        .expect("the caller asked where the tensor is")
        .to_contiguous()
}

/// As [`contiguous`], of words.
pub(super) fn contiguous_words(tensor: Tensor<1, Int>) -> IntTensor<Flex> {
    let tensor = tensor.try_into_primitive::<Flex>();
    tensor
        .expect("the caller asked where the tensor is")
        .to_contiguous()
}

/// Calls `make` with each chunk of `length` numbers and its index, on all threads that there are.
pub(super) fn for_each_chunk(
    values: &mut [f32],
    length: usize,
    make: impl Fn(usize, &mut [f32]) + Sync,
) {
    for_each_chunk_with(
        values,
        length,
        1,
        || (),
        |(), index, chunk| make(index, chunk),
    );
}

/// As [`for_each_chunk`], for numbers that take `work` times as long, with what `init` makes once for a number of chunks.
pub(super) fn for_each_chunk_with<T>(
    values: &mut [f32],
    length: usize,
    work: usize,
    init: impl Fn() -> T + Sync,
    make: impl Fn(&mut T, usize, &mut [f32]) + Sync,
) {
    #[cfg(feature = "cli")]
    values
        .par_chunks_mut(length)
        .enumerate()
        .with_min_len(TASK.div_ceil(length * work))
        .for_each_init(&init, |with, (index, chunk)| make(with, index, chunk));
    #[cfg(not(feature = "cli"))]
    {
        let _ = work;
        let mut with = init();
        let chunks = values.chunks_mut(length).enumerate();
        chunks.for_each(|(index, chunk)| make(&mut with, index, chunk));
    }
}
