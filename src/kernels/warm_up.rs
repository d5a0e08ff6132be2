use std::collections::BTreeSet;

use burn::tensor::{DType, Device, Int, Tensor};
use cubecl::dry_run::DryRun;

use super::{
    Activation, Addends, GroupNormParameters, QuantizedWeight, StoredValues, StoredWeight,
    activate, apply_scale_shift, group_norm_scale_shift, is_gpu, layer_norm, linear,
};

/// Rows of a product so large, and so small, that it takes the one tile and the other.
const ROWS: [usize; 2] = [64 * 128, 1];

/// Inputs of a product that every way of storing weights allows.
const INPUTS: usize = 64;

/// Features so few, and so many, that it takes the narrow tile and the other.
const FEATURES: [usize; 2] = [32, 64];

/// Weights of a product.
const WEIGHTS: usize = INPUTS * 64;

/// Has a GPU compile the kernels that a model runs whose weights are stored in so many `bits`, of 32,
/// 16, 8 and 4, without running them: that goes on while weights are read. For browsers alone: while it
/// works, no other thread may launch anything.
pub fn warm_up(device: &Device, bits: &BTreeSet<usize>) {
    if !is_gpu(device) {
        return;
    }
    let zeros = |count| Tensor::<1>::zeros([count], device);
    let words = |count| Tensor::<1, Int>::zeros([count], (device, DType::I32));
    let quantized = |bits: usize, group: usize| {
        StoredValues::Quantized(Box::new(QuantizedWeight {
            words: words(WEIGHTS * bits / 32),
            scales: words(WEIGHTS / group / 2),
            bits,
            group,
        }))
    };
    let weights = bits.iter().map(|bits| match bits {
        32 => StoredValues::F32(Box::new(zeros(WEIGHTS))),
        16 => StoredValues::F16(Box::new(words(WEIGHTS / 2))),
        bits => quantized(*bits, 32),
    });
    let weights: Vec<StoredWeight> = weights.map(StoredWeight::from).collect();
    let parameters = GroupNormParameters {
        weight: zeros(4),
        bias: zeros(4),
        groups: 1,
        epsilon: 1.0,
    };
    let map = zeros(4).reshape([1, 4, 1, 1]);
    let tokens = ROWS.map(|rows| zeros(rows * INPUTS).reshape([1, rows, INPUTS]));
    // From here on nothing runs.
    let _dry_run = DryRun::new();
    for weight in &weights {
        for x in &tokens {
            for features in FEATURES {
                linear(x.clone(), weight, features, Addends::default());
            }
        }
    }
    for tiles in 1..=2 {
        let scale_shift = group_norm_scale_shift(&vec![map.clone(); tiles], &parameters);
        apply_scale_shift(map.clone(), scale_shift, true);
    }
    layer_norm(zeros(4), zeros(4), zeros(4), 1.0);
    activate(zeros(4), Activation::Silu);
}
