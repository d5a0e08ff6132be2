use burn::tensor::Tensor;

use crate::Result;
use crate::nn::{Conv2d, silu};
use crate::weights::Weights;

/// The gain on the offset in the authors' later reference code, and the default here.
pub const OFFSET_GAIN: f32 = 300.0;

/// Predicts the offset that hides a picture's alpha in its latent (equation 2 of the paper).
pub struct TransparencyEncoder {
    convolutions: Vec<Conv2d>,
}

impl TransparencyEncoder {
    /// Index of each convolution among the file's `blocks`, and its stride.
    pub(crate) const CONVOLUTIONS: [(usize, usize); 9] = [
        (0, 1),
        (2, 1),
        (4, 2),
        (6, 1),
        (8, 2),
        (10, 1),
        (12, 2),
        (14, 1),
        (16, 1),
    ];

    /// Takes the tensors of a `vae_transparent_encoder` file.
    pub fn load(weights: &Weights) -> Result<Self> {
        let convolutions = Self::CONVOLUTIONS.iter().map(|(index, stride)| {
            Conv2d::with_options(&weights.at(format!("blocks.{index}")), *stride, (1, 1))
        });
        Ok(Self {
            convolutions: convolutions.collect::<Result<_>>()?,
        })
    }

    /// The offset `[batch, 4, height/8, width/8]`, in units of the VAE's posterior deviation and
    /// before the gain, from alpha and padded red, green and blue `[batch, 4, height, width]`, all
    /// in [0, 1].
    pub fn forward(&self, alpha_and_padded_color: Tensor<4>) -> Tensor<4> {
        let last = self.convolutions.len() - 1;
        let mut x = alpha_and_padded_color;
        for (index, convolution) in self.convolutions.iter().enumerate() {
            x = convolution.forward(x);
            if index < last {
                x = silu(x);
            }
        }
        x
    }
}
