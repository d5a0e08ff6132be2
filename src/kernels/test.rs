//! What the tests of kernels share.

use std::sync::LazyLock;

use burn::tensor::{Device, Tensor, TensorData};

use super::gpu_device;

/// What `compute` gives on the CPU and on the GPU.
pub fn both<const D: usize>(compute: impl Fn(&Device) -> Tensor<D>) -> [Tensor<D>; 2] {
    // A process can make it only once.
    static GPU: LazyLock<Device> = LazyLock::new(|| {
        let gpu = pollster::block_on(gpu_device());
        gpu.expect("these tests need a GPU, if only an emulated one")
    });
    let cpu = Device::flex();
    [compute(&cpu), compute(&GPU).to_device(&cpu)]
}

/// Normally distributed numbers, always the same for a seed, on the CPU.
pub fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let count = shape.iter().product();
    let values = crate::sampling::NoiseGenerator::new(seed).normal(count);
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// No number is off by more than `tolerance` of the largest.
pub fn assert_near<const D: usize>(expected: Tensor<D>, got: Tensor<D>, tolerance: f32) {
    assert_eq!(expected.dims(), got.dims());
    let largest = expected.clone().abs().max().into_scalar::<f32>();
    let off = (expected - got).abs().max().into_scalar::<f32>();
    assert!(off <= tolerance * largest, "off by {off} of {largest}");
}
