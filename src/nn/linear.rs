use burn::tensor::Tensor;

use super::gelu;
use crate::Result;
use crate::kernels::{self, Addends};
use crate::weights::{UpdateSlot, Weight, Weights};

/// `x · Wᵀ + b` over the last axis; `weight` is `[out, in]` as PyTorch stores it, or a 1x1
/// convolution's `[out, 1, 1, in]`, which is the same over tokens.
pub struct Linear {
    weight: Weight,
    bias: Option<Tensor<1>>,
    slot: UpdateSlot,
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
            slot: weights.slot(weight.shape()[0]),
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
        let slots: Vec<&UpdateSlot> = layers.iter().map(|layer| &layer.slot).collect();
        Some(Self {
            slot: UpdateSlot::concat(&slots),
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
        let out = self.outputs() / 2;
        if self.slot.update().is_some() {
            let product = self.product(x, None);
            let gate = gelu(product.clone().narrow(2, out, out));
            return product.narrow(2, 0, out) * gate;
        }
        self.check_inputs(&x);
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
            bias: self.slot.bias(self.bias.as_ref()),
            residual: self.updated(&x, residual),
            ..Addends::default()
        };
        kernels::linear(x, self.weight.stored(), self.outputs(), addends)
    }

    /// `residual` plus what an update adds to the features of `x`.
    fn updated(&self, x: &Tensor<3>, mut residual: Option<Tensor<3>>) -> Option<Tensor<3>> {
        let Some(update) = self.slot.update() else {
            return residual;
        };
        if let Some(low_rank) = &update.low_rank {
            residual = Some(low_rank.forward_add(x.clone(), residual));
        }
        if let Some(dense) = &update.dense {
            let addends = Addends {
                residual,
                ..Addends::default()
            };
            let sum = kernels::linear(x.clone(), dense.stored(), self.outputs(), addends);
            residual = Some(sum);
        }
        residual
    }
}
