use burn::tensor::Tensor;

/// Some channels of `[batch, tokens, channels]`.
#[derive(Clone)]
pub struct Channels {
    /// All channels.
    pub tokens: Tensor<3>,
    /// The first of those meant.
    pub start: usize,
    /// How many.
    pub count: usize,
}

impl From<Tensor<3>> for Channels {
    fn from(tokens: Tensor<3>) -> Self {
        let count = tokens.dims()[2];
        Self {
            tokens,
            start: 0,
            count,
        }
    }
}

impl Channels {
    /// On its own.
    pub fn narrow(self) -> Tensor<3> {
        self.tokens.narrow(2, self.start, self.count)
    }

    /// As many equal parts, in order.
    pub fn parts<const N: usize>(tokens: Tensor<3>) -> [Self; N] {
        let count = tokens.dims()[2] / N;
        std::array::from_fn(|index| Self {
            tokens: tokens.clone(),
            start: index * count,
            count,
        })
    }
}
