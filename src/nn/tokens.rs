use burn::tensor::Tensor;

/// The pixels of `[batch, channels, height, width]`, row by row, as `[batch, tokens, channels]`.
pub fn to_tokens(map: Tensor<4>) -> Tensor<3> {
    let [batch, channels, height, width] = map.dims();
    let channels_last = map.permute([0, 2, 3, 1]);
    channels_last.reshape([batch, height * width, channels])
}

/// The inverse of [`to_tokens`], for a map of `[height, width]`.
pub fn from_tokens(tokens: Tensor<3>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [batch, _, channels] = tokens.dims();
    let channels_last = tokens.reshape([batch, height, width, channels]);
    channels_last.permute([0, 3, 1, 2])
}
