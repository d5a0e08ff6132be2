use burn::tensor::Tensor;

use super::LARGEST;

/// Applies `layer`, which treats every token of `[batch, tokens, channels]` alone, to runs of
/// tokens, so that its intermediate results of `features` a token stay small.
pub fn by_runs(x: Tensor<3>, features: usize, layer: impl Fn(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
    let [batch, tokens, _] = x.dims();
    let run = (LARGEST / (4 * batch * features).max(1)).clamp(1, tokens);
    if run == tokens {
        return layer(x);
    }
    let runs = x.split(run, 1).into_iter().map(layer);
    Tensor::cat(runs.collect(), 1)
}
