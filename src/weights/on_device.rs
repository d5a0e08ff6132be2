use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use burn::tensor::{Device, Tensor, TensorData};

use super::HostTensor;
use crate::{Error, ErrorCode, Result};

struct Stored {
    shape: Vec<usize>,
    /// Runs of the values in order: a tensor larger than a shard arrives in several.
    parts: Vec<Tensor<1>>,
}

/// Tensors on a device, handed out by name while modules are built from them.
///
/// A value of this type stands for a place in the tree of names: [`Weights::at`] steps down, as in
/// `weights.at("down_blocks.0").take("conv.weight")`. Each tensor can be taken once.
#[derive(Clone)]
pub struct Weights {
    device: Device,
    tensors: Rc<RefCell<BTreeMap<String, Stored>>>,
    prefix: String,
}

impl Weights {
    /// An empty collection for `device`.
    pub fn new(device: &Device) -> Self {
        Self {
            device: device.clone(),
            tensors: Rc::default(),
            prefix: String::new(),
        }
    }

    /// The device that holds the tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Moves `tensor` to the device under `name` (relative to this place).
    pub fn insert(&self, name: &str, tensor: HostTensor) {
        self.insert_part(name, &tensor.shape, tensor.data);
    }

    /// Moves the next run of values of a tensor of `shape` to the device.
    pub fn insert_part(&self, name: &str, shape: &[usize], values: Vec<f32>) {
        let length = values.len();
        let part = Tensor::from_data(TensorData::new(values, [length]), &self.device);
        let mut tensors = self.tensors.borrow_mut();
        let stored = tensors.entry(self.full(name)).or_insert_with(|| Stored {
            shape: shape.to_vec(),
            parts: Vec::new(),
        });
        stored.parts.push(part);
    }

    /// The place `name` below this one.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self {
            prefix: self.full(&name.to_string()),
            ..self.clone()
        }
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
            .map(|stored| stored.shape.clone())
            .ok_or_else(|| self.missing(name))
    }

    /// Takes tensor `name`, which must have `D` axes.
    ///
    /// # Errors
    /// `model_damaged` if there is no such tensor or it has another number of axes.
    pub fn take<const D: usize>(&self, name: &str) -> Result<Tensor<D>> {
        let stored = self.tensors.borrow_mut().remove(&self.full(name));
        let stored = stored.ok_or_else(|| self.missing(name))?;
        let shape: [usize; D] = stored.shape.as_slice().try_into().map_err(|_| {
            Error::new(
                ErrorCode::ModelDamaged,
                format!("tensor {} has shape {:?}", self.full(name), stored.shape),
                format!("expected {D} axes; pack the checkpoint again"),
            )
        })?;
        let values = Tensor::cat(stored.parts, 0);
        if values.dims()[0] != shape.iter().product::<usize>() {
            return Err(self.missing(name));
        }
        Ok(values.reshape(shape))
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
