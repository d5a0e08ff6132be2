//! Scaled dot-product attention that never holds the scores of all keys.

mod cpu;
#[cfg(feature = "gpu")]
pub(super) mod gpu;

use burn::tensor::Tensor;

use super::Channels;

#[cfg(feature = "gpu")]
use super::is_gpu;

/// What the tokens of an attention see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionMask {
    /// Every token.
    None,
    /// Themselves and the tokens before.
    Causal,
}

/// `softmax(q kᵀ / √d) v` in each of `heads` parts of the channels.
///
/// `query` is `[batch, queries, channels]`, `key` and `value` are `[batch, keys, channels]`; the
/// result is as `query`.
pub fn attention(
    query: impl Into<Channels>,
    key: impl Into<Channels>,
    value: impl Into<Channels>,
    heads: usize,
    mask: AttentionMask,
) -> Tensor<3> {
    let (query, key, value) = (query.into(), key.into(), value.into());
    let shape = |operand: &Channels| {
        let [batch, tokens, _] = operand.tokens.dims();
        [batch, tokens, operand.count]
    };
    let ([batch, _, channels], keys) = (shape(&query), shape(&key));
    assert!(
        shape(&value) == keys && keys[0] == batch && keys[2] == channels,
        "attention of {channels} channels in {batch} rows to {keys:?}"
    );
    #[cfg(feature = "gpu")]
    if is_gpu(&query.tokens.device()) && (query.count / heads).is_multiple_of(4) {
        return gpu::attention(query, key, value, heads, mask);
    }
    cpu::attention(query, key, value, heads, mask)
}

#[cfg(all(test, feature = "gpu"))]
mod tests {
    use super::*;
    use crate::kernels::test::{assert_near, both, random};

    /// Against the CPU: the widths of Stable Diffusion 1.5's and its codec's heads, one query, keys
    /// that do not fill a tile, a mask.
    #[test]
    fn equals_the_cpus() {
        let cases = [
            (2, 8, 40, 100, 100, AttentionMask::None),
            (1, 2, 80, 70, 77, AttentionMask::None),
            (2, 1, 160, 33, 9, AttentionMask::None),
            (1, 1, 512, 17, 17, AttentionMask::None),
            (1, 5, 8, 65, 65, AttentionMask::None),
            (1, 3, 44, 1, 5, AttentionMask::None),
            (1, 12, 64, 77, 77, AttentionMask::Causal),
        ];
        for (batch, heads, width, queries, keys, mask) in cases {
            let query = random([batch, queries, heads * width], 1);
            let key = random([batch, keys, heads * width], 2);
            let value = random([batch, keys, heads * width], 3);
            let [cpu, gpu] = both(|device| {
                let on = |x: &Tensor<3>| x.clone().to_device(device);
                attention(on(&query), on(&key), on(&value), heads, mask)
            });
            assert_near(cpu, gpu, 1e-5);
        }
    }

    #[test]
    fn parts_of_one_tensor_equal_the_cpus() {
        let joint = random([2, 50, 3 * 40], 1);
        let [cpu, gpu] = both(|device| {
            let [query, key, value] = Channels::parts(joint.clone().to_device(device));
            attention(query, key, value, 5, AttentionMask::None)
        });
        assert_near(cpu, gpu, 1e-5);
    }
}
