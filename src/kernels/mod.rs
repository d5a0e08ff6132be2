//! The arithmetic that glassine brings itself, one operation a folder, and what knows which GPU
//! library is underneath.
//!
//! This is the only folder that names CubeCL, wgpu or WGSL.

mod dequantize;
#[cfg(feature = "gpu")]
mod device;

pub use dequantize::{dequantize, f16_to_f32};
#[cfg(feature = "gpu")]
pub use device::gpu_device;
