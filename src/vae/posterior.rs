use burn::tensor::Tensor;

/// A normal distribution over unscaled latents, one for each number of a latent.
pub struct Posterior {
    /// The means, `[batch, 4, height/8, width/8]`.
    pub mean: Tensor<4>,
    /// The standard deviations, of the same shape.
    pub std: Tensor<4>,
}

impl Posterior {
    /// From means and logarithms of variances, concatenated along the channels. The latter are
    /// clamped to [-30, 20].
    pub fn from_moments(moments: Tensor<4>) -> Self {
        let channels = moments.dims()[1] / 2;
        let mean = moments.clone().narrow(1, 0, channels);
        let log_variance = moments.narrow(1, channels, channels).clamp(-30.0, 20.0);
        Self {
            mean,
            std: log_variance.mul_scalar(0.5).exp(),
        }
    }
}
