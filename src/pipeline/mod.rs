//! From a request to transparent layers: text, diffusion, VAE and transparency decoder in turn.

mod control;
mod decode;
mod encode;
mod engine;
mod memory;
mod networks;
mod observer;
mod preview;
mod request;
mod sample;
mod vae_size;

use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

pub use control::Control;
pub use decode::{Decoded, Layer};
pub use encode::Encoded;
pub use engine::{Engine, Generation, LoadOptions};
pub use memory::{MemoryEstimate, estimate_memory};
pub use observer::{Event, Observer, Quiet};
pub use request::{Init, Mode, Request, Role};
pub use sample::{Dump, Latent, Sampled};
pub use vae_size::VaeSize;

use crate::weights::HostTensor;
use crate::{Error, ErrorCode, Result};

/// The values read back from a device.
pub(crate) fn host_values(
    data: std::result::Result<TensorData, ExecutionError>,
) -> Result<Vec<f32>> {
    let data = data.map_err(|error| {
        Error::new(
            ErrorCode::DeviceLost,
            format!("the device stopped answering: {error}"),
            "try again, a smaller size, or the CPU device",
        )
    })?;
    data.convert::<f32>()
        .try_into_vec::<f32>()
        .map_err(|error| {
            Error::new(
                ErrorCode::Internal,
                format!("unexpected data from the device: {error:?}"),
                "",
            )
        })
}

/// A tensor of `D` axes on `device`.
pub(crate) fn to_device<const D: usize>(tensor: &HostTensor, device: &Device) -> Tensor<D> {
    let data = TensorData::new(tensor.data.clone(), tensor.shape.clone());
    Tensor::from_data(data, device)
}
