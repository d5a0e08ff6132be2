use burn::tensor::Tensor;

use crate::Result;
use crate::kernels::{self, Addends};
use crate::weights::{Weight, Weights};

/// `x · Wᵀ + b` over the last axis; `weight` is `[out, in]` as PyTorch stores it, or a 1x1
/// convolution's `[out, 1, 1, in]`, which is the same over tokens.
pub struct Linear {
    weight: Weight,
    bias: Option<Tensor<1>>,
}

impl Linear {
    /// Takes `weight` and, if there is one, `bias`.
    pub fn load(weights: &Weights) -> Result<Self> {
        Self::load_split(weights, weights)
    }

    /// Takes `weight` and `bias` from different places.
    pub fn load_split(weights: &Weights, biases: &Weights) -> Result<Self> {
        let bias = biases.has("bias").then(|| biases.take("bias"));
        let weight = match weights.shape("weight")?.as_slice() {
            [out, 1, 1, inputs] => weights
                .take_weight::<4>("weight")?
                .reshaped(&[*out, *inputs]),
            _ => weights.take_weight::<2>("weight")?,
        };
        Ok(Self {
            weight,
            bias: bias.transpose()?,
        })
    }

    /// A layer with the features of all `layers`, in order. `None` if their weights are stored in
    /// different ways, or only some have a bias.
    pub fn concat(layers: &[Self]) -> Option<Self> {
        let weights: Vec<&Weight> = layers.iter().map(|layer| &layer.weight).collect();
        let biases: Vec<Tensor<1>> = layers
            .iter()
            .filter_map(|layer| layer.bias.clone())
            .collect();
        if !biases.is_empty() && biases.len() < layers.len() {
            return None;
        }
        Some(Self {
            weight: Weight::concat(&weights)?,
            bias: (!biases.is_empty()).then(|| Tensor::cat(biases, 0)),
        })
    }

    /// Whether weights are stored in the same way, and both have a bias or none.
    pub fn is_stored_like(&self, other: &Self) -> bool {
        let alike = self.weight.stored().is_stored_like(other.weight.stored());
        alike && self.bias.is_some() == other.bias.is_some()
    }

    /// Features that come out.
    pub fn outputs(&self) -> usize {
        self.weight.shape()[0]
    }

    /// Applies the layer to `[..., in]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let mut shape = x.dims();
        let inputs = shape[D - 1];
        let rows = shape.iter().product::<usize>() / inputs;
        let out = self.product(x.reshape([1, rows, inputs]), None);
        shape[D - 1] = self.outputs();
        out.reshape(shape)
    }

    /// As [`Linear::forward`], plus `residual`.
    pub fn forward_add(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        self.product(x, Some(residual))
    }

    /// The first half of the features times the GELU of the second.
    pub fn forward_geglu(&self, x: Tensor<3>) -> Tensor<3> {
        self.check_inputs(&x);
        let out = self.outputs() / 2;
        kernels::linear_geglu(x, self.weight.stored(), out, self.bias.clone())
    }

    /// A kernel does not see the weight's shape.
    fn check_inputs(&self, x: &Tensor<3>) {
        let shape = self.weight.shape();
        assert_eq!(
            x.dims()[2],
            shape[1],
            "input features of a linear layer of shape {shape:?}"
        );
    }

    fn product(&self, x: Tensor<3>, residual: Option<Tensor<3>>) -> Tensor<3> {
        self.check_inputs(&x);
        let addends = Addends {
            bias: self.bias.clone(),
            shift: None,
            residual,
            residual_top: 0,
        };
        kernels::linear(x, self.weight.stored(), self.outputs(), addends)
    }
}
