//! Some rows of a feature map, and maps put below each other, in the order in memory that the
//! kernels of each device take.

use std::ops::Range;

use burn::tensor::Tensor;

#[cfg(feature = "gpu")]
use super::is_gpu;

/// Some rows of `[batch, channels, height, width]`; all of them are the map itself.
pub fn slice_rows(x: Tensor<4>, rows: Range<usize>) -> Tensor<4> {
    if rows.len() == x.dims()[2] {
        return x;
    }
    #[cfg(feature = "gpu")]
    if is_gpu(&x.device()) {
        let x = x.permute([0, 2, 3, 1]).slice_dim(1, rows);
        return x.permute([0, 3, 1, 2]);
    }
    x.slice_dim(2, rows)
}

/// One map below the other; a single one is itself, and not a copy.
pub fn concat_rows(mut maps: Vec<Tensor<4>>) -> Tensor<4> {
    if maps.len() == 1 {
        return maps.remove(0);
    }
    #[cfg(feature = "gpu")]
    if maps.first().is_some_and(|map| is_gpu(&map.device())) {
        let maps = maps.into_iter().map(|map| map.permute([0, 2, 3, 1]));
        return Tensor::cat(maps.collect(), 1).permute([0, 3, 1, 2]);
    }
    Tensor::cat(maps, 2)
}
