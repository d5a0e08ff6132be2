use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use burn::tensor::{Device, Tensor};

use super::HostTensor;
use super::entry::{RowChunk, TensorEntry, stays_in_memory};
use super::update::{SlotLayer, UpdateSlot, UpdateSlots};
use super::weight::{EmbeddingTable, Weight};
use crate::{Error, ErrorCode, Result};

enum Stored {
    OnDevice(Weight),
    /// Looked up by rows, or still without the rows that the next shards bring.
    InMemory(EmbeddingTable),
}

/// Shapes and values by full name.
type Tensors = BTreeMap<String, (Vec<usize>, Stored)>;

/// Tensors on a device, handed out by name while modules are built from them.
///
/// A value of this type stands for a place in the tree of names: [`Weights::at`] steps down, as in
/// `weights.at("down_blocks.0").take("conv.weight")`. Each tensor can be taken once.
#[derive(Clone)]
pub struct Weights {
    device: Device,
    tensors: Rc<RefCell<Tensors>>,
    slots: UpdateSlots,
    keeps_panels: bool,
    prefix: String,
}

impl Weights {
    /// An empty collection for `device`.
    pub fn new(device: &Device) -> Self {
        Self {
            device: device.clone(),
            tensors: Rc::default(),
            slots: UpdateSlots::default(),
            keeps_panels: false,
            prefix: String::new(),
        }
    }

    /// The device that holds the tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The same place, from which on a CPU keeps the weights that come in as it multiplies them, if `keeps` says so: of a small
    /// model that saves as much time as it costs memory, of a large one there is no room.
    pub fn keeping_panels(&self, keeps: bool) -> Self {
        Self {
            keeps_panels: keeps,
            ..self.clone()
        }
    }

    /// Moves `tensor` to the device under `name` (relative to this place). A convolution's weight,
    /// `[out, in, height, width]`, becomes `[out, height, width, in]`.
    pub fn insert(&self, name: &str, tensor: HostTensor) {
        let tensor = tensor.channels_last();
        let shape = tensor.shape.clone();
        let stored = Stored::OnDevice(Weight::dense(tensor, &self.device));
        self.tensors
            .borrow_mut()
            .insert(self.full(name), (shape, stored));
    }

    /// Takes in the next run of rows of the tensor that `entry` describes. With the last one it
    /// moves to the device, unless it is a [`EmbeddingTable`].
    ///
    /// # Errors
    /// `model_damaged` if the bytes are not as `entry` says.
    pub fn insert_part(&self, name: &str, entry: &TensorEntry, part: RowChunk<'_>) -> Result<()> {
        let mut tensors = self.tensors.borrow_mut();
        let held = tensors.remove(&self.full(name));
        let mut table = match held {
            None => EmbeddingTable::new(entry),
            Some((_, Stored::InMemory(table))) => table,
            Some((_, Stored::OnDevice(_))) => return Err(self.missing(name)),
        };
        table.push(part);
        let stored = match table.is_whole() && !stays_in_memory(name) {
            true => {
                let weight = Weight::from_table(table, &self.device);
                let weight = weight.ok_or_else(|| self.missing(name))?;
                Stored::OnDevice(match self.keeps_panels {
                    true => weight.keeping_panels(),
                    false => weight,
                })
            }
            false => Stored::InMemory(table),
        };
        tensors.insert(self.full(name), (entry.shape.clone(), stored));
        Ok(())
    }

    /// The place `name` below this one.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self {
            prefix: self.full(&name.to_string()),
            ..self.clone()
        }
    }

    /// The same place, for a network whose slots are kept apart from those of others.
    pub fn with_own_slots(&self) -> Self {
        Self {
            slots: UpdateSlots::default(),
            ..self.clone()
        }
    }

    /// The slots of all layers that were built from this collection.
    pub fn slots(&self) -> Vec<UpdateSlot> {
        self.slots.all()
    }

    /// A slot for the layer at this place, which has so many outputs.
    pub fn slot(&self, outputs: usize) -> UpdateSlot {
        self.slots.add(vec![SlotLayer {
            name: self.prefix.clone(),
            outputs,
        }])
    }

    /// Whether a tensor of exactly this name is (still) there.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.borrow().contains_key(&self.full(name))
    }

    /// Whether any tensor is below `name`.
    pub fn has_below(&self, name: impl std::fmt::Display) -> bool {
        let start = format!("{}.", self.full(&name.to_string()));
        let tensors = self.tensors.borrow();
        let mut from = tensors.range(start.clone()..);
        from.next().is_some_and(|(key, _)| key.starts_with(&start))
    }

    /// How many of `name.0`, `name.1`, ... there are.
    pub fn count(&self, name: &str) -> usize {
        (0..)
            .take_while(|index| self.has_below(format!("{name}.{index}")))
            .count()
    }

    /// The shape of tensor `name`.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>> {
        let tensors = self.tensors.borrow();
        let stored = tensors.get(&self.full(name));
        stored
            .map(|(shape, _)| shape.clone())
            .ok_or_else(|| self.missing(name))
    }

    /// Takes tensor `name` as a dense one, which must have `D` axes.
    ///
    /// # Errors
    /// `model_damaged` if there is no such tensor or it has another number of axes.
    pub fn take<const D: usize>(&self, name: &str) -> Result<Tensor<D>> {
        Ok(self.take_weight::<D>(name)?.dequantize())
    }

    /// Takes tensor `name`, which must have `D` axes, as it is stored on the device.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub fn take_weight<const D: usize>(&self, name: &str) -> Result<Weight> {
        let stored = self.tensors.borrow_mut().remove(&self.full(name));
        let Some((shape, Stored::OnDevice(weight))) = stored else {
            return Err(self.missing(name));
        };
        if shape.len() != D {
            return Err(Error::new(
                ErrorCode::ModelDamaged,
                format!("tensor {} has shape {shape:?}", self.full(name)),
                format!("expected {D} axes; pack the checkpoint again"),
            ));
        }
        Ok(weight)
    }

    /// Takes table `name`.
    ///
    /// # Errors
    /// `model_damaged` if there is no such tensor.
    pub fn take_table(&self, name: &str) -> Result<EmbeddingTable> {
        let stored = self.tensors.borrow_mut().remove(&self.full(name));
        match stored {
            Some((shape, Stored::InMemory(table))) if shape.len() == 2 && table.is_whole() => {
                Ok(table)
            }
            _ => Err(self.missing(name)),
        }
    }

    fn full(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }

    fn missing(&self, name: &str) -> Error {
        Error::new(
            ErrorCode::ModelDamaged,
            format!("the model has no tensor {}", self.full(name)),
            "the checkpoint is incomplete or of another architecture; pack it again",
        )
    }
}
