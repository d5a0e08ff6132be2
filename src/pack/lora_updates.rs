//! LoRAs on a loaded model: what they add is computed beside the weights, which stay as they are stored.

use burn::tensor::{Device, Tensor, TensorData};
use half::f16;

use super::lora::{FittedLora, Lora, Update};
use super::manifest::Manifest;
use super::reader::{BaseTensors, Pack, PackSource};
use crate::weights::{
    HostTensor, LayerUpdate, LowRank, SlotLayer, StoredType, UpdateSlot, Weight, Weights,
};
use crate::{Result, memory};

impl<S: PackSource> Pack<S> {
    /// Lets the layers that were built from `weights`, which [`Pack::load`] has filled, be changed by `loras`
    /// and by none that were applied before.
    ///
    /// # Errors
    /// `model_unsupported` if one is for another architecture or changes what is looked up and not
    /// computed with. `bad_option` if a strength makes a weight infinite, `out_of_memory`, and as
    /// reading the pack for kinds whose update depends on the weight: then only some layers may be
    /// changed.
    pub async fn apply(&self, loras: &[Lora], weights: &Weights) -> Result<()> {
        let loras = loras.iter().map(|lora| self.fit(lora));
        let loras: Vec<FittedLora> = loras.collect::<Result<_>>()?;
        let mut base = BaseTensors::new(self);
        for slot in weights.slots() {
            let mut sum = Sum::default();
            let mut first = 0;
            for SlotLayer { name, outputs } in slot.layers() {
                sum.add(&base_name(name), first, &loras, &mut base).await?;
                first += outputs;
            }
            slot.set(sum.into_update(&slot, self.manifest(), weights.device())?);
        }
        Ok(())
    }
}

/// The layer as which LoRAs change layer `name`: an adapter's folded attention weights stand for the
/// UNet's own.
fn base_name(name: &str) -> String {
    match name.strip_prefix("layers.attn.") {
        Some(path) => format!("unet.{path}"),
        None => name.to_string(),
    }
}

/// What is added to the outputs of a slot, which may be those of several layers.
#[derive(Default)]
struct Sum {
    products: Vec<Product>,
    matrices: Vec<(usize, HostTensor)>,
    vectors: Vec<(usize, HostTensor)>,
}

/// `up · down`, added to the outputs from `first` on.
struct Product {
    first: usize,
    up: HostTensor,
    down: HostTensor,
}

impl Sum {
    /// Adds what `loras` do to `layer`, whose outputs are those from `first` on.
    async fn add<S: PackSource>(
        &mut self,
        layer: &str,
        first: usize,
        loras: &[FittedLora],
        base: &mut BaseTensors<'_, S>,
    ) -> Result<()> {
        let (weight, bias) = (format!("{layer}.weight"), format!("{layer}.bias"));
        for lora in loras {
            match lora.update(&weight)? {
                Some((Update::LowRank { up, down }, factor)) => {
                    let up = scaled(up, factor, lora, &weight)?;
                    self.products.push(Product { first, up, down });
                }
                Some((Update::Dense(matrix), factor)) => {
                    let matrix = scaled(matrix, factor, lora, &weight)?;
                    self.matrices.push((first, matrix));
                }
                None if lora.depends_on(&weight) => {
                    let before = base.read(&weight).await?;
                    let mut after = before.clone();
                    lora.apply(&weight, &mut after)?;
                    for (after, before) in after.data.iter_mut().zip(before.data) {
                        *after -= before;
                    }
                    self.matrices.push((first, after));
                }
                None => {}
            }
            if let Some((update, factor)) = lora.update(&bias)? {
                let vector = scaled(update.dense(), factor, lora, &bias)?;
                self.vectors.push((first, vector));
            }
        }
        Ok(())
    }

    /// The sum on a device; `None` if nothing is added.
    fn into_update(
        self,
        slot: &UpdateSlot,
        manifest: &Manifest,
        device: &Device,
    ) -> Result<Option<LayerUpdate>> {
        if self.products.is_empty() && self.matrices.is_empty() && self.vectors.is_empty() {
            return Ok(None);
        }
        let layers = slot.layers();
        let outputs: usize = layers.iter().map(|layer| layer.outputs).sum();
        let first = format!("{}.weight", layers[0].name);
        let entry = &manifest.tensors[&first];
        let mut shape = entry.file_shape();
        shape[0] = outputs;
        let is_half = entry.stored != StoredType::F32 && shape.len() > 1;
        Ok(Some(LayerUpdate {
            low_rank: low_rank(self.products, &shape, device),
            dense: match self.matrices.is_empty() {
                true => None,
                false => Some(dense(&self.matrices, shape, is_half, device)?),
            },
            bias: (!self.vectors.is_empty()).then(|| {
                let values = sum(&self.vectors, outputs, 1);
                Tensor::from_data(TensorData::new(values, [outputs]), device)
            }),
        }))
    }
}

fn scaled(
    mut tensor: HostTensor,
    factor: f32,
    lora: &FittedLora,
    name: &str,
) -> Result<HostTensor> {
    for value in &mut tensor.data {
        *value *= factor;
    }
    match tensor.is_finite() {
        true => Ok(tensor),
        false => Err(lora.too_strong(name)),
    }
}

/// All products in one: their ranks one after the other, each for its own outputs.
fn low_rank(products: Vec<Product>, shape: &[usize], device: &Device) -> Option<LowRank> {
    let rank: usize = products.iter().map(|product| product.down.shape[0]).sum();
    if rank == 0 {
        return None;
    }
    let outputs = shape[0];
    let mut up = vec![0.0; outputs * rank];
    let mut down = Vec::new();
    let mut column = 0;
    for product in products {
        let own = product.down.shape[0];
        for (row, values) in product.up.data.chunks_exact(own).enumerate() {
            let start = (product.first + row) * rank + column;
            up[start..start + own].copy_from_slice(values);
        }
        down.extend(product.down.data);
        column += own;
    }
    let down_shape = [&[rank], &shape[1..]].concat();
    Some(LowRank {
        down: Weight::dense(HostTensor::new(down_shape, down).channels_last(), device),
        up: Weight::dense(HostTensor::new([outputs, rank], up), device),
    })
}

/// The matrices as one weight of `shape`: as half floats where the weight itself is no more exact.
fn dense(
    matrices: &[(usize, HostTensor)],
    shape: Vec<usize>,
    is_half: bool,
    device: &Device,
) -> Result<Weight> {
    let columns: usize = shape[1..].iter().product();
    let count = shape[0] * columns;
    memory::check_room(2 * size_of::<f32>() * count, "a LoRA's change of a layer")?;
    let tensor = HostTensor::new(shape, sum(matrices, count, columns)).channels_last();
    let largest = f16::MAX.to_f32();
    let fits = || tensor.data.iter().all(|value| value.abs() <= largest);
    Ok(match is_half && fits() {
        true => Weight::half(&tensor, device),
        false => Weight::dense(tensor, device),
    })
}

/// `count` values in rows of `columns`, to which each part is added from its own row on.
fn sum(parts: &[(usize, HostTensor)], count: usize, columns: usize) -> Vec<f32> {
    let mut sum = vec![0.0; count];
    for (first, part) in parts {
        for (sum, value) in sum[first * columns..].iter_mut().zip(&part.data) {
            *sum += value;
        }
    }
    sum
}
