//! Everything that knows which GPU library is underneath.
//!
//! This is the only folder that names CubeCL, wgpu or WGSL.

#[cfg(feature = "gpu")]
mod device;

#[cfg(feature = "gpu")]
pub use device::gpu_device;
