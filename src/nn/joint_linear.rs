use burn::tensor::Tensor;

use super::Linear;

/// Several linear layers of one input, whose features come one behind the other: one product where
/// their weights are stored alike.
pub struct JointLinear {
    parts: Vec<Linear>,
}

impl JointLinear {
    /// The features of `parts` in order.
    pub fn new(parts: Vec<Linear>) -> Self {
        match Linear::concat(&parts) {
            Some(joint) => Self { parts: vec![joint] },
            None => Self { parts },
        }
    }

    /// Applies the layers to `[batch, tokens, in]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self.parts.as_slice() {
            [joint] => joint.forward(x),
            parts => {
                let features = parts.iter().map(|part| part.forward(x.clone()));
                Tensor::cat(features.collect(), 2)
            }
        }
    }
}
