use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, module};

use super::AttentionMask;

/// What the scores of a run of queries may take, in bytes.
const MAX_SCORE_BYTES: usize = 64 << 20;

/// The queries are taken in runs, so that the scores of one stay small.
pub(super) fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    mask: AttentionMask,
) -> Tensor<3> {
    let [batch, queries, _] = query.dims();
    let keys = key.dims()[1];
    let (query, key, value) = (split(query, heads), split(key, heads), split(value, heads));
    let options = AttentionModuleOptions {
        scale: None,
        softcap: None,
        is_causal: mask == AttentionMask::Causal,
    };
    let attend = |query: Tensor<4>| {
        module::attention(query, key.clone(), value.clone(), None, None, options)
    };
    let run = (MAX_SCORE_BYTES / (4 * batch * heads * keys)).clamp(1, queries);
    let attended = match mask {
        AttentionMask::None if run < queries => {
            let runs = query.split(run, 2).into_iter().map(attend);
            Tensor::cat(runs.collect(), 2)
        }
        _ => attend(query),
    };
    let [_, _, _, width] = attended.dims();
    attended
        .swap_dims(1, 2)
        .reshape([batch, queries, heads * width])
}

/// `[batch, tokens, channels]` to `[batch, heads, tokens, channels / heads]`.
fn split(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, tokens, channels] = x.dims();
    let width = channels / heads;
    let split = x.reshape([batch, tokens, heads, width]).swap_dims(1, 2);
    // Put in this order in memory, once: every run of queries would do it anew.
    let ordered: Tensor<3> = split.reshape([batch * heads, tokens, width]);
    ordered.reshape([batch, heads, tokens, width])
}
