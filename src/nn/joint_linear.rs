use burn::tensor::Tensor;

use super::Linear;

/// Several linear layers of one input, whose features come one behind the other: one product for
/// each run of layers whose weights are stored alike.
pub struct JointLinear {
    parts: Vec<Linear>,
}

impl JointLinear {
    /// The features of `parts` in order.
    pub fn new(mut layers: Vec<Linear>) -> Self {
        let mut parts = Vec::new();
        while let Some(first) = layers.first() {
            let alike = layers
                .iter()
                .take_while(|layer| layer.is_stored_like(first));
            let run: Vec<Linear> = layers.drain(..alike.count()).collect();
            match Linear::concat(&run) {
                Some(joint) => parts.push(joint),
                None => parts.extend(run),
            }
        }
        Self { parts }
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
