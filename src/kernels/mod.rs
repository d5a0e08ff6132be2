//! The arithmetic that glassine brings itself, one operation a folder, and what knows which GPU
//! library is underneath.
//!
//! This is the only folder that names CubeCL, wgpu or WGSL.

#[cfg(feature = "gpu")]
mod device;
mod unpack;

#[cfg(feature = "gpu")]
pub use device::gpu_device;
pub use unpack::{unpack, widen};
