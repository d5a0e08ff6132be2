//! The arithmetic that glassine brings itself, one operation a folder, and what knows which GPU
//! library is underneath.
//!
//! This is the only folder that names CubeCL, wgpu or WGSL. Each operation takes and gives Burn's
//! tensors on any device: on the CPU loops over vectors ([`panels`], `crate::lanes`), on a GPU a
//! kernel or a few.
//!
//! Feature maps are `[batch, channels, height, width]`. What the kernels of a GPU give lies in
//! memory with the channels last: they read and write such maps as they are and reorder others
//! first. On the CPU the columns of a map lie last, as its axes say.

mod activation;
mod attention;
mod channels;
mod concat;
mod dequantize;
#[cfg(feature = "gpu")]
mod device;
mod flex;
mod gemm;
mod group_norm;
mod kept_panels;
mod layer_norm;
mod panels;
mod rows;
#[cfg(all(feature = "gpu", not(target_arch = "wasm32")))]
mod shaders;
#[cfg(test)]
mod test;
#[cfg(all(feature = "gpu", target_arch = "wasm32"))]
mod warm_up;
#[cfg(feature = "gpu")]
mod wgsl;

pub use activation::{Activation, activate};
pub use attention::{AttentionMask, attention};
pub use channels::Channels;
pub use concat::concat_channels;
use dequantize::HostWeight;
pub use dequantize::{QuantizedWeight, StoredValues, StoredWeight, dequantize};
#[cfg(feature = "gpu")]
pub use device::gpu_device;
pub use gemm::{
    Addends, ConvGeometry, ConvRows, Enlarged, conv2d, conv2d_by_rows, linear, linear_geglu,
};
pub use group_norm::{
    GroupNormParameters, apply_scale_shift, apply_scale_shift_to_rows, group_norm_scale_shift,
};
pub use kept_panels::KeptPanels;
pub use layer_norm::layer_norm;
pub use rows::{concat_rows, slice_rows};
#[cfg(all(feature = "gpu", not(target_arch = "wasm32")))]
pub use shaders::shaders;
#[cfg(all(feature = "gpu", target_arch = "wasm32"))]
pub use warm_up::warm_up;

/// Whether a GPU computes for the device.
#[cfg(feature = "gpu")]
pub fn is_gpu(device: &burn::tensor::Device) -> bool {
    use burn::backend::DispatchDevice;
    matches!(device.as_dispatch(), DispatchDevice::Cube(_))
}
