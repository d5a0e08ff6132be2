//! What the tests of kernels share.

use burn::tensor::{Device, Tensor, TensorData};

/// The GPU, which a process can make only once.
#[cfg(feature = "gpu")]
static GPU: std::sync::LazyLock<Device> = std::sync::LazyLock::new(|| {
    let gpu = pollster::block_on(super::gpu_device());
    gpu.expect("these tests need a GPU, if only an emulated one")
});

/// What `compute` gives on the CPU and on the GPU.
#[cfg(feature = "gpu")]
pub fn both<const D: usize>(compute: impl Fn(&Device) -> Tensor<D>) -> [Tensor<D>; 2] {
    let cpu = Device::flex();
    [compute(&cpu), compute(&GPU).to_device(&cpu)]
}

/// Whether the GPU computes in half precision.
#[cfg(feature = "gpu")]
pub fn gpu_has_half_precision() -> bool {
    use super::wgsl::{floats, has_half_precision};
    has_half_precision(&floats(Tensor::<1>::zeros([1], &*GPU)))
}

/// Numbers of mean 0 and deviation 1, always the same for a seed, on the CPU.
pub fn random<const D: usize>(shape: [usize; D], seed: u32) -> Tensor<D> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        // Marsaglia, "Xorshift RNGs", 2003.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state as f32 / u32::MAX as f32 - 0.5) * 12f32.sqrt()
    };
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| next()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// No number is off by more than `tolerance` of the largest.
pub fn assert_near<const D: usize>(expected: Tensor<D>, got: Tensor<D>, tolerance: f32) {
    assert_eq!(expected.dims(), got.dims());
    let largest = expected.clone().abs().max().into_scalar::<f32>();
    let off = (expected - got).abs().max().into_scalar::<f32>();
    assert!(off <= tolerance * largest, "off by {off} of {largest}");
}
