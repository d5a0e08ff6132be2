use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, module};

use super::MAX_INTERMEDIATE_BYTES;

/// `[batch, tokens, channels]` to `[batch, heads, tokens, channels / heads]`.
pub fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, tokens, channels] = x.dims();
    let width = channels / heads;
    let split = x.reshape([batch, tokens, heads, width]).swap_dims(1, 2);
    // Put in this order in memory, once: every chunk of an attention would do it anew.
    let ordered: Tensor<3> = split.reshape([batch * heads, tokens, width]);
    ordered.reshape([batch, heads, tokens, width])
}

/// The inverse of [`split_heads`].
pub fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, tokens, channels] = x.dims();
    x.swap_dims(1, 2).reshape([batch, tokens, heads * channels])
}

/// `softmax(q kᵀ / √d) v` over `[batch, heads, tokens, d]`.
///
/// The queries are taken in chunks, so that the scores of one chunk stay small.
pub fn scaled_dot_product_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
) -> Tensor<4> {
    let [batch, heads, queries, _] = query.dims();
    let keys = key.dims()[2];
    let chunk = (MAX_INTERMEDIATE_BYTES / (4 * batch * heads * keys)).clamp(1, queries);
    if chunk == queries {
        return scaled_dot_product(query, key, value, false);
    }
    let chunks = query.split(chunk, 2).into_iter();
    let attended = chunks.map(|part| scaled_dot_product(part, key.clone(), value.clone(), false));
    Tensor::cat(attended.collect(), 2)
}

/// As [`scaled_dot_product_attention`], with each token seeing only itself and those before it.
pub fn causal_scaled_dot_product_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
) -> Tensor<4> {
    scaled_dot_product(query, key, value, true)
}

fn scaled_dot_product(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    is_causal: bool,
) -> Tensor<4> {
    let options = AttentionModuleOptions {
        scale: None,
        softcap: None,
        is_causal,
    };
    module::attention(query, key, value, None, None, options)
}
