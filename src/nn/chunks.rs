use burn::tensor::Tensor;

use super::MAX_INTERMEDIATE_BYTES;

/// Applies `layer`, which treats every token of `[batch, tokens, channels]` alone, to chunks of
/// tokens, so that its intermediate results of `features` a token stay small.
pub fn by_chunks(
    x: Tensor<3>,
    features: usize,
    layer: impl Fn(Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    let [batch, tokens, _] = x.dims();
    let chunk = (MAX_INTERMEDIATE_BYTES / (4 * batch * features).max(1)).clamp(1, tokens);
    if chunk == tokens {
        return layer(x);
    }
    let chunks = x.split(chunk, 1).into_iter().map(layer);
    Tensor::cat(chunks.collect(), 1)
}
