use burn::tensor::Tensor;

use super::MAX_INTERMEDIATE_BYTES;

/// Applies `layer`, which treats every token of `[batch, tokens, channels]` alone, to chunks of
/// tokens of its `inputs`, so that its intermediate results of `features` a token stay small.
pub fn by_chunks<const N: usize>(
    inputs: [Tensor<3>; N],
    features: usize,
    layer: impl Fn([Tensor<3>; N]) -> Tensor<3>,
) -> Tensor<3> {
    let [batch, tokens, _] = inputs[0].dims();
    let chunk = (MAX_INTERMEDIATE_BYTES / (4 * batch * features).max(1)).clamp(1, tokens);
    if chunk == tokens {
        return layer(inputs);
    }
    let starts = (0..tokens).step_by(chunk);
    let chunks = starts.map(|start| {
        let tokens = start..(start + chunk).min(tokens);
        layer(
            inputs
                .each_ref()
                .map(|input| input.clone().slice_dim(1, tokens.clone())),
        )
    });
    Tensor::cat(chunks.collect(), 1)
}
