//! What LoRAs add to layers, kept apart from the layers' own weights.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use burn::tensor::Tensor;

use super::Weight;
use crate::kernels::{self, Addends};

/// What is added to a layer: `x · (W + ΔW)ᵀ + b + Δb` is computed as `x · Wᵀ + x · ΔWᵀ + (b + Δb)`, so that
/// `W` stays as it is stored.
pub struct LayerUpdate {
    /// The part of `ΔW` that is a product of two factors.
    pub low_rank: Option<LowRank>,
    /// The rest of `ΔW`, of the weight's shape.
    pub dense: Option<Weight>,
    /// `Δb`.
    pub bias: Option<Tensor<1>>,
}

/// `up · down`.
pub struct LowRank {
    /// Of the weight's shape, but with the rank in place of its outputs.
    pub down: Weight,
    /// `[out, rank]`.
    pub up: Weight,
}

impl LowRank {
    /// What it adds to the features of `[batch, rows, in]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward_add(x, None)
    }

    /// As [`LowRank::forward`], plus `residual`.
    pub fn forward_add(&self, x: Tensor<3>, residual: Option<Tensor<3>>) -> Tensor<3> {
        let [outputs, rank] = [self.up.shape()[0], self.down.shape()[0]];
        let low = kernels::linear(x, self.down.stored(), rank, Addends::default());
        let addends = Addends {
            residual,
            ..Addends::default()
        };
        kernels::linear(low, self.up.stored(), outputs, addends)
    }
}

/// Where a layer finds its [`LayerUpdate`], if there is one.
#[derive(Clone)]
pub struct UpdateSlot(Rc<Slot>);

struct Slot {
    layers: Vec<SlotLayer>,
    update: RefCell<Option<Rc<LayerUpdate>>>,
    all: UpdateSlots,
}

/// A layer whose outputs are among those of a slot's, in order.
#[derive(Clone)]
pub struct SlotLayer {
    /// The place of its tensors in the tree of names.
    pub name: String,
    /// How many outputs it has.
    pub outputs: usize,
}

impl UpdateSlot {
    /// One for the outputs of all `slots` in order.
    pub fn concat(slots: &[&Self]) -> Self {
        let all = slots[0].0.all.clone();
        let layers = slots.iter().flat_map(|slot| slot.0.layers.clone());
        all.add(layers.collect())
    }

    /// The layers whose outputs it is for.
    pub fn layers(&self) -> &[SlotLayer] {
        &self.0.layers
    }

    /// What is added now.
    pub fn update(&self) -> Option<Rc<LayerUpdate>> {
        self.0.update.borrow().clone()
    }

    /// What is added from now on.
    pub fn set(&self, update: Option<LayerUpdate>) {
        *self.0.update.borrow_mut() = update.map(Rc::new);
    }

    /// `vectors`, the scale and shift of a norm, with what is added to them.
    pub fn norm(&self, [weight, bias]: [&Tensor<1>; 2]) -> [Tensor<1>; 2] {
        let update = self.update();
        let dense = update.as_ref().and_then(|update| update.dense.as_ref());
        let weight = match dense {
            Some(dense) => weight.clone() + dense.dequantize(),
            None => weight.clone(),
        };
        let shift = update.as_ref().and_then(|update| update.bias.clone());
        let bias = match shift {
            Some(shift) => bias.clone() + shift,
            None => bias.clone(),
        };
        [weight, bias]
    }

    /// `bias` with what is added to it.
    pub fn bias(&self, bias: Option<&Tensor<1>>) -> Option<Tensor<1>> {
        let shift = self.update().and_then(|update| update.bias.clone());
        match (bias, shift) {
            (Some(bias), Some(shift)) => Some(bias.clone() + shift),
            (bias, shift) => shift.or(bias.cloned()),
        }
    }
}

/// The slots of a network's layers.
#[derive(Clone, Default)]
pub struct UpdateSlots(Rc<RefCell<Vec<Weak<Slot>>>>);

impl UpdateSlots {
    /// One for the layers of those names, with as many outputs each.
    pub(super) fn add(&self, layers: Vec<SlotLayer>) -> UpdateSlot {
        let slot = Rc::new(Slot {
            layers,
            update: RefCell::default(),
            all: self.clone(),
        });
        self.0.borrow_mut().push(Rc::downgrade(&slot));
        UpdateSlot(slot)
    }

    /// Those of layers that there still are.
    pub fn all(&self) -> Vec<UpdateSlot> {
        let slots = self.0.borrow();
        let living = slots.iter().filter_map(Weak::upgrade);
        living.map(UpdateSlot).collect()
    }
}
