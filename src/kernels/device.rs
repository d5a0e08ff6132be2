use burn::tensor::Device;
use burn::tensor::wgpu::WgpuBackend;

use crate::{Error, ErrorCode, Result};

/// The GPU, through WebGPU in a browser and through the platform's graphics API elsewhere.
///
/// # Errors
/// `device_unavailable` if there is no adapter.
pub async fn gpu_device() -> Result<Device> {
    let api = if cfg!(target_arch = "wasm32") {
        WgpuBackend::WebGpu
    } else {
        WgpuBackend::Auto
    };
    let device = Device::wgpu_options()
        .graphics_api(api)
        .tasks_max(128)
        .init_async()
        .await;
    device.map_err(|error| {
        Error::new(
            ErrorCode::DeviceUnavailable,
            "there is no usable GPU",
            format!("{error}; use the CPU device"),
        )
    })
}
