//! Matrix products and convolutions with stored weights, which a GPU reads as they are stored.
//!
//! Both are one kernel: a convolution is the product of its input's neighbourhoods and its
//! weights, whose neighbourhoods are never laid out (an implicit GEMM).

mod cpu;
#[cfg(feature = "gpu")]
pub(super) mod gpu;

#[cfg(feature = "gpu")]
pub(super) use gpu::GELU;

use burn::tensor::Tensor;

#[cfg(feature = "gpu")]
use super::is_gpu;
use super::{Channels, StoredWeight};

/// A convolution's geometry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Step on both axes.
    pub stride: usize,
    /// Rows of zeros above and below, columns left and right.
    pub padding: [(usize, usize); 2],
    /// To what the input is enlarged before.
    pub enlarged: Option<Enlarged>,
}

/// A map that is enlarged by repeating each pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enlarged {
    /// Height and width of what is used of it: of an axis that is all, twice the input's, or less.
    pub size: [usize; 2],
    /// Rows at the top that are not used, one at most.
    pub skip: usize,
}

impl ConvGeometry {
    /// One pixel at a time.
    pub const POINTWISE: Self = Self {
        kernel: [1, 1],
        stride: 1,
        padding: [(0, 0); 2],
        enlarged: None,
    };

    /// Height and width of what comes out of a map of height and width `input`.
    pub fn output(&self, input: [usize; 2]) -> [usize; 2] {
        let map = self.enlarged.map_or(input, |enlarged| enlarged.size);
        [0, 1].map(|axis| {
            let (before, after) = self.padding[axis];
            (before + map[axis] + after - self.kernel[axis]) / self.stride + 1
        })
    }
}

/// What is added to a product.
#[derive(Default)]
pub struct Addends<const D: usize> {
    /// For each output feature.
    pub bias: Option<Tensor<1>>,
    /// For each output feature of each picture, as the channels of one token.
    pub shift: Option<Channels>,
    /// For each output, of the output's shape; of a map also a higher one.
    pub residual: Option<Tensor<D>>,
    /// Where in a higher map the rows begin that are added.
    pub residual_top: usize,
}

impl<const D: usize> Addends<D> {
    /// Panics where one is not of its shape, which a GPU would not notice.
    fn check(&self, batch: usize, out: usize, output: [usize; D]) {
        let bias = self.bias.as_ref().map(Tensor::dims);
        let shift = self.shift.as_ref();
        let shift = shift.map(|shift| {
            let [batch, tokens, channels] = shift.tokens.dims();
            assert!(shift.start + shift.count <= channels, "channels of a shift");
            [batch, tokens, shift.count]
        });
        let residual = self.residual.as_ref().map(|residual| {
            let mut shape = residual.dims();
            if D == 4 {
                let end = self.residual_top + output[2];
                assert!(end <= shape[2], "rows of a residual of shape {shape:?}");
                shape[2] = output[2];
            }
            shape
        });
        assert!(
            bias.is_none_or(|shape| shape == [out]),
            "bias of shape {bias:?}"
        );
        assert!(
            shift.is_none_or(|shape| shape == [batch, 1, out]),
            "shift of shape {shift:?}"
        );
        assert!(
            residual.is_none_or(|shape| shape == output),
            "residual of shape {residual:?}"
        );
    }
}

/// `x · Wᵀ` over the last axis of `[batch, rows, in]`, plus `addends`; `weight` is `[out, in]`.
pub fn linear(x: Tensor<3>, weight: &StoredWeight, out: usize, addends: Addends<3>) -> Tensor<3> {
    let [batch, rows, _] = x.dims();
    addends.check(batch, out, [batch, rows, out]);
    #[cfg(feature = "gpu")]
    if is_gpu(&x.device()) {
        return gpu::linear(x, weight, out, addends);
    }
    cpu::linear(x, weight, out, addends)
}

/// As [`linear`] without addends, for twice `out` features: the first half times the GELU of the
/// second (Shazeer, "GLU variants improve transformer", 2020).
pub fn linear_geglu(
    x: Tensor<3>,
    weight: &StoredWeight,
    out: usize,
    bias: Option<Tensor<1>>,
) -> Tensor<3> {
    #[cfg(feature = "gpu")]
    if is_gpu(&x.device()) {
        return gpu::linear_geglu(x, weight, out, bias);
    }
    cpu::linear_geglu(x, weight, out, bias)
}

/// What a convolution's output, or some rows of it, is made of.
pub struct ConvRows {
    /// What they see of the input, `[batch, in, height, width]`.
    pub x: Tensor<4>,
    /// The convolution's geometry for that.
    pub geometry: ConvGeometry,
    /// What is added.
    pub addends: Addends<4>,
}

/// Convolves a map; `weight` is `[out, height, width, in]`.
pub fn conv2d(map: ConvRows, weight: &StoredWeight, out: usize) -> Tensor<4> {
    let [batch, _, height, width] = map.x.dims();
    let [out_height, out_width] = map.geometry.output([height, width]);
    let shape = [batch, out, out_height, out_width];
    conv2d_by_rows(shape, weight, [map].into_iter())
}

/// As [`conv2d`], for an output of `shape` whose `rows` are made one lot after the other, from the
/// top: what one needs is free when the next is made.
pub fn conv2d_by_rows(
    shape: [usize; 4],
    weight: &StoredWeight,
    rows: impl Iterator<Item = ConvRows>,
) -> Tensor<4> {
    let [batch, out, _, width] = shape;
    let rows = rows.inspect(
        |ConvRows {
             x,
             geometry,
             addends,
         }| {
            let [x_batch, _, x_height, x_width] = x.dims();
            let [out_height, out_width] = geometry.output([x_height, x_width]);
            assert_eq!([x_batch, out_width], [batch, width], "rows of an output");
            addends.check(batch, out, [batch, out, out_height, width]);
        },
    );
    let mut rows = rows.peekable();
    #[cfg(feature = "gpu")]
    if rows.peek().is_some_and(|rows| is_gpu(&rows.x.device())) {
        return gpu::conv2d_by_rows(shape, weight, rows);
    }
    cpu::conv2d_by_rows(shape, weight, &mut rows)
}

#[cfg(all(test, feature = "gpu"))]
mod tests {
    use burn::tensor::{DType, Device, Int, TensorData};

    use super::*;
    use crate::kernels::test::{assert_near, both, gpu_has_half_precision, random};
    use crate::kernels::{QuantizedWeight, StoredValues};

    fn words(values: Vec<u32>, device: &Device) -> Tensor<1, Int> {
        let count = values.len();
        let values: Vec<i32> = values.into_iter().map(|word| word as i32).collect();
        Tensor::from_data(TensorData::new(values, [count]), (device, DType::I32))
    }

    fn half(value: f32) -> u32 {
        half::f16::from_f32(value).to_bits().into()
    }

    /// `count` weights, stored in each way: as numbers, half floats, and in 8 and 4 bits.
    fn weights(count: usize, seed: u32, bits: usize, device: &Device) -> StoredWeight {
        let values = random([count], seed);
        if bits == 32 {
            return StoredValues::F32(Box::new(values.to_device(device))).into();
        }
        let values: Vec<f32> = values.into_data().try_into_vec().unwrap();
        if bits == 16 {
            let pairs = values.chunks(2);
            let pairs = pairs.map(|pair| half(pair[0]) | half(*pair.get(1).unwrap_or(&0.0)) << 16);
            return StoredValues::F16(Box::new(words(pairs.collect(), device))).into();
        }
        let group = 32;
        let middle = 1 << (bits - 1);
        let level = |value: &f32| ((value * middle as f32 / 4.0) as i32 + middle) as u32;
        let levels = values.chunks(32 / bits);
        let levels = levels.map(|values| {
            let levels = values.iter().enumerate();
            levels.fold(0, |word, (index, value)| {
                word | level(value) << (index * bits)
            })
        });
        let scales = (0..count / group).map(|index| half(0.5 + index as f32 / 1000.0));
        let scales: Vec<u32> = scales.collect();
        let scales = scales.chunks(2);
        let scales = scales.map(|pair| pair[0] | pair.get(1).copied().unwrap_or(0) << 16);
        let quantized = QuantizedWeight {
            words: words(levels.collect(), device),
            scales: words(scales.collect(), device),
            bits,
            group,
        };
        StoredValues::Quantized(Box::new(quantized)).into()
    }

    /// How far a product of weights of so many bits may be off, of the largest.
    fn tolerance(bits: usize) -> f32 {
        match bits < 32 && gpu_has_half_precision() {
            true => 2e-3,
            false => 1e-5,
        }
    }

    /// The second of three parts.
    fn middle(shifts: Tensor<3>) -> Channels {
        let [_, shift, _] = Channels::parts(shifts);
        shift
    }

    /// Against the CPU: every way of storing, numbers of inputs that fill no vector or no tile, few
    /// and many rows, with and without what is added.
    #[test]
    fn linear_equals_the_cpus() {
        let sizes: [(usize, usize, usize, usize); 5] = [
            (1, 1, 32, 5),
            (2, 77, 320, 64),
            (1, 300, 7, 130),
            (1, 3, 2560, 70),
            (2, 4100, 36, 33),
        ];
        for (batch, rows, inputs, out) in sizes {
            for bits in [32, 16, 8, 4] {
                if bits < 16 && !inputs.is_multiple_of(32) {
                    continue;
                }
                let x = random([batch, rows, inputs], 1);
                let residual = random([batch, rows, out], 2);
                let (bias, shifts) = (random([out], 3), random([batch, 1, 3 * out], 4));
                let [cpu, gpu] = both(|device| {
                    let weight = weights(out * inputs, 5, bits, device);
                    let addends = Addends {
                        bias: Some(bias.clone().to_device(device)),
                        shift: Some(middle(shifts.clone().to_device(device))),
                        residual: Some(residual.clone().to_device(device)),
                        residual_top: 0,
                    };
                    let x = x.clone().to_device(device);
                    let plain = linear(x.clone(), &weight, out, Addends::default());
                    plain + linear(x, &weight, out, addends)
                });
                assert_near(cpu, gpu, tolerance(bits));
            }
        }
    }

    #[test]
    fn gated_linear_equals_the_cpus() {
        for (rows, inputs, out) in [(70, 64, 48), (3, 1280, 160), (5, 6, 7)] {
            let (x, bias) = (random([2, rows, inputs], 1), random([2 * out], 2));
            let [cpu, gpu] = both(|device| {
                let weight = weights(2 * out * inputs, 3, 32, device);
                let bias = bias.clone().to_device(device);
                linear_geglu(x.clone().to_device(device), &weight, out, Some(bias))
            });
            assert_near(cpu, gpu, 1e-5);
        }
    }

    /// Against the CPU: odd sizes, one channel, stride 2, padding on some sides, enlarging, 1x1.
    #[test]
    fn conv2d_equals_the_cpus() {
        let geometry = |kernel, stride, padding, enlarged| ConvGeometry {
            kernel: [kernel; 2],
            stride,
            padding: [padding, padding],
            enlarged,
        };
        let enlarged = |size, skip| Some(Enlarged { size, skip });
        let cases = [
            ([2, 64, 9, 11], 70, geometry(3, 1, (1, 1), None)),
            ([1, 4, 16, 16], 32, geometry(3, 1, (1, 1), None)),
            ([1, 3, 13, 10], 1, geometry(3, 2, (1, 1), None)),
            ([1, 32, 8, 8], 64, geometry(3, 2, (0, 1), None)),
            (
                [2, 32, 5, 4],
                32,
                geometry(3, 1, (1, 1), enlarged([9, 8], 0)),
            ),
            (
                [1, 32, 5, 4],
                32,
                geometry(3, 1, (0, 1), enlarged([9, 8], 1)),
            ),
            ([1, 96, 7, 7], 33, geometry(1, 1, (0, 0), None)),
            ([1, 1, 1, 1], 1, geometry(3, 1, (1, 1), None)),
            ([1, 640, 4, 4], 64, geometry(3, 1, (1, 1), None)),
        ];
        for (shape, out, geometry) in cases {
            let [batch, inputs, height, width] = shape;
            let [out_height, out_width] = geometry.output([height, width]);
            for bits in [32, 16, 8, 4] {
                if bits < 16 && !inputs.is_multiple_of(32) {
                    continue;
                }
                let x = random(shape, 1);
                let residual = random([batch, out, out_height + 3, out_width], 2);
                let (bias, shifts) = (random([out], 3), random([batch, 1, 3 * out], 4));
                let [cpu, gpu] = both(|device| {
                    let taps = geometry.kernel[0] * geometry.kernel[1];
                    let weight = weights(out * taps * inputs, 5, bits, device);
                    let addends = Addends {
                        bias: Some(bias.clone().to_device(device)),
                        shift: Some(middle(shifts.clone().to_device(device))),
                        residual: Some(residual.clone().to_device(device)),
                        residual_top: 2,
                    };
                    conv2d(
                        ConvRows {
                            x: x.clone().to_device(device),
                            geometry,
                            addends,
                        },
                        &weight,
                        out,
                    )
                });
                assert_near(cpu, gpu, tolerance(bits));
            }
        }
    }

    /// Against the CPU: two pictures, rows that see each other's input, and few enough inputs and many
    /// enough to be split.
    #[test]
    fn an_output_made_by_rows_equals_the_cpus() {
        for (inputs, out) in [(4, 6), (640, 33)] {
            let x = random([2, inputs, 10, 5], 1);
            let rows = |range: std::ops::Range<usize>, padding| (range, padding);
            let [cpu, gpu] = both(|device| {
                let weight = weights(out * 9 * inputs, 3, 32, device);
                let x = x.clone().to_device(device);
                let parts = [rows(0..4, (1, 0)), rows(2..10, (0, 1))];
                let parts = parts.into_iter().map(|(range, padding)| ConvRows {
                    x: x.clone().slice_dim(2, range),
                    geometry: ConvGeometry {
                        kernel: [3, 3],
                        stride: 1,
                        padding: [padding, (1, 1)],
                        enlarged: None,
                    },
                    addends: Addends::default(),
                });
                conv2d_by_rows([2, out, 10, 5], &weight, parts)
            });
            assert_near(cpu, gpu, 1e-5);
        }
    }
}
