mod addends;
mod direct;
mod padded;
mod winograd;

use std::ops::Range;

use burn::tensor::{Tensor, TensorData, activation};
#[cfg(feature = "cli")]
use rayon::prelude::*;

use self::addends::HostAddends;
use self::direct::Direct;
use self::padded::Padded;
use self::winograd::Winograd;
use super::{Addends, ConvGeometry, ConvRows};
use crate::kernels::flex::{contiguous, for_each_chunk, for_each_chunk_with};
use crate::kernels::panels::{self, ROWS};
use crate::kernels::{StoredWeight, concat_rows, dequantize};

/// Pixels of an output from which on it pays to transform a kernel of 3 x 3 ([`winograd`]).
const WINOGRAD_PIXELS: usize = 64;

pub(super) fn linear(
    x: Tensor<3>,
    weight: &StoredWeight,
    out: usize,
    addends: Addends<3>,
) -> Tensor<3> {
    let ([batch, rows, inputs], device) = (x.dims(), x.device());
    let x = contiguous(x);
    let x = x.storage::<f32>();
    let weights = contiguous(dequantize(weight, out * inputs));
    let weights = weights.storage::<f32>();
    let feature = |index: usize| &weights[index * inputs..][..inputs];
    let weights = panels::pack(feature, out, inputs, panels::columns());
    let width = weights.len() / inputs;
    let addends = HostAddends::new(addends, out);
    let mut result = vec![0f32; batch * rows * out];
    let room = || (vec![0f32; ROWS * inputs], vec![0f32; ROWS * width]);
    for_each_chunk_with(
        &mut result,
        ROWS * out,
        room,
        |(packed, product), panel, result| {
            let x = x[panel * ROWS * inputs..].chunks_exact(inputs).take(ROWS);
            panels::pack_panel(x, ROWS, packed);
            panels::multiply(packed, &weights, inputs, product);
            let product = product.chunks_exact(width);
            for (row, (result, product)) in result.chunks_exact_mut(out).zip(product).enumerate() {
                addends.add_to_token(panel * ROWS + row, rows, &product[..out], result);
            }
        },
    );
    Tensor::from_data(TensorData::new(result, [batch, rows, out]), &device)
}

pub(super) fn linear_geglu(
    x: Tensor<3>,
    weight: &StoredWeight,
    out: usize,
    bias: Option<Tensor<1>>,
) -> Tensor<3> {
    let addends = Addends {
        bias,
        ..Addends::default()
    };
    let product = linear(x, weight, out * 2, addends);
    let gate = activation::gelu(product.clone().narrow(2, out, out));
    product.narrow(2, 0, out) * gate
}

pub(super) fn conv2d_by_rows(
    out: usize,
    weight: &StoredWeight,
    rows: &mut dyn Iterator<Item = ConvRows>,
) -> Tensor<4> {
    concat_rows(rows.map(|rows| conv2d(rows, weight, out)).collect())
}

fn conv2d(rows: ConvRows, weight: &StoredWeight, out: usize) -> Tensor<4> {
    let ConvRows {
        x,
        geometry,
        addends,
    } = rows;
    let ConvGeometry { kernel, stride, .. } = geometry;
    let ([batch, inputs, height, width], device) = (x.dims(), x.device());
    let size = geometry.output([height, width]);
    let area = size[0] * size[1];
    let x = contiguous(x);
    let map = &Padded::new(x.storage(), [height, width], geometry);
    let depth = kernel[0] * kernel[1] * inputs;
    let weights = contiguous(dequantize(weight, out * depth));
    let weights: &[f32] = weights.storage();
    let parts = if kernel == [3, 3] && stride == 1 && batch * area >= WINOGRAD_PIXELS {
        let weights = winograd::transform_weights(weights, inputs);
        let conv = Winograd {
            map,
            inputs,
            size,
            weights,
        };
        map_all(conv.blocks(batch), |(rows, pixels)| Part {
            width: pixels.len(),
            features: conv.block(&rows, pixels.len()),
            pixels,
        })
    } else {
        let feature = |index: usize| &weights[index * depth..][..depth];
        let weights = panels::pack(feature, out, depth, ROWS);
        let conv = Direct {
            map,
            inputs,
            kernel,
            stride,
            size,
            weights,
        };
        map_all(conv.blocks(batch), |pixels| Part {
            width: pixels.len().next_multiple_of(panels::columns()),
            features: conv.block(&pixels),
            pixels,
        })
    };
    let addends = HostAddends::new(addends, out);
    let mut result = vec![0f32; batch * out * area];
    for_each_chunk(&mut result, area, |plane, result| {
        for part in &parts {
            let (picture, feature) = (plane / out, plane % out);
            let start = part.pixels.start.max(picture * area);
            let end = part.pixels.end.min((picture + 1) * area);
            if start < end {
                let at = feature * part.width + start - part.pixels.start;
                let values = &part.features[at..][..end - start];
                let first = start - picture * area;
                let result = &mut result[first..][..end - start];
                addends.add_to_plane([picture, feature], first, values, result);
            }
        }
    });
    let shape = [batch, out, size[0], size[1]];
    Tensor::from_data(TensorData::new(result, shape), &device)
}

/// All features of some of an output's pixels, counted over all pictures; a feature's are `width` behind the one's
/// before.
struct Part {
    pixels: Range<usize>,
    width: usize,
    features: Vec<f32>,
}

/// What `make` makes of each item, on all threads that there are.
fn map_all<T: Send, R: Send>(items: Vec<T>, make: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    #[cfg(feature = "cli")]
    return items.into_par_iter().map(make).collect();
    #[cfg(not(feature = "cli"))]
    items.into_iter().map(make).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::module;
    use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};

    use super::super::Enlarged;
    use super::*;
    use crate::kernels::Channels;
    use crate::kernels::test::{assert_near, random};

    fn stored(values: &Tensor<4>) -> StoredWeight {
        let values = values.clone().permute([0, 2, 3, 1]);
        let count = values.shape().num_elements();
        StoredWeight::F32(Box::new(values.reshape([count])))
    }

    /// The second of three parts.
    fn middle(shifts: Tensor<3>) -> Channels {
        let [_, shift, _] = Channels::parts(shifts);
        shift
    }

    /// Against Burn's: sizes that fill no vector, panel or tile, one pixel, several blocks, stride 2, padding on
    /// some sides, enlarging, 1 x 1.
    #[test]
    fn conv2d_equals_burns() {
        let enlarged = |size, skip| Some(Enlarged { size, skip });
        let cases = [
            ([2, 64, 9, 11], 70, 3, 1, (1, 1), None),
            ([1, 4, 16, 16], 32, 3, 1, (1, 1), None),
            ([2, 5, 8, 8], 6, 3, 1, (1, 1), None),
            ([1, 3, 13, 10], 1, 3, 2, (1, 1), None),
            ([1, 32, 8, 8], 64, 3, 2, (0, 1), None),
            ([2, 32, 5, 4], 32, 3, 1, (1, 1), enlarged([9, 8], 0)),
            ([1, 32, 5, 4], 32, 3, 1, (0, 1), enlarged([9, 8], 1)),
            ([2, 7, 33, 31], 13, 3, 1, (1, 1), enlarged([66, 62], 0)),
            ([1, 96, 7, 7], 33, 1, 1, (0, 0), None),
            ([1, 1, 1, 1], 1, 3, 1, (1, 1), None),
            ([2, 160, 2, 2], 160, 3, 1, (1, 1), None),
            ([2, 320, 40, 40], 20, 3, 1, (1, 1), None),
            ([2, 96, 60, 50], 8, 3, 2, (1, 1), None),
        ];
        for (shape, out, kernel, stride, padding, enlarged) in cases {
            let [batch, inputs, height, width] = shape;
            let geometry = ConvGeometry {
                kernel: [kernel; 2],
                stride,
                padding: [padding; 2],
                enlarged,
            };
            let [out_height, out_width] = geometry.output([height, width]);
            let x = random(shape, 1);
            let weight = random([out, inputs, kernel, kernel], 2);
            let residual = random([batch, out, out_height + 3, out_width], 3);
            let (bias, shifts) = (random([out], 4), random([batch, 1, 3 * out], 5));
            let seen = match enlarged {
                Some(Enlarged { size, skip }) => {
                    let options = InterpolateOptions::new(InterpolateMode::Nearest);
                    let options = options.with_output_size([skip + size[0], size[1]]);
                    module::interpolate(x.clone(), options).narrow(2, skip, size[0])
                }
                None => x.clone(),
            };
            let options = ConvOptions::new_with_padding([stride; 2], [padding; 2], [1; 2], 1);
            let expected = module::conv2d(seen, weight.clone(), Some(bias.clone()), options)
                + middle(shifts.clone()).narrow().reshape([batch, out, 1, 1])
                + residual.clone().narrow(2, 2, out_height);
            let addends = Addends {
                bias: Some(bias),
                shift: Some(middle(shifts)),
                residual: Some(residual),
                residual_top: 2,
            };
            let rows = ConvRows {
                x,
                geometry,
                addends,
            };
            assert_near(expected, conv2d(rows, &stored(&weight), out), 1e-5);
        }
    }

    #[test]
    fn linear_equals_burns() {
        for (batch, rows, inputs, out) in [(1, 1, 32, 5), (2, 77, 320, 64), (1, 300, 7, 130)] {
            let x = random([batch, rows, inputs], 1);
            let weight = random([out, inputs, 1, 1], 2);
            let residual = random([batch, rows, out], 3);
            let (bias, shifts) = (random([out], 4), random([batch, 1, 3 * out], 5));
            let transposed = weight.clone().reshape([out, inputs]).transpose();
            let expected = module::linear(x.clone(), transposed, Some(bias.clone()))
                + middle(shifts.clone()).narrow()
                + residual.clone();
            let addends = Addends {
                bias: Some(bias),
                shift: Some(middle(shifts)),
                residual: Some(residual),
                residual_top: 0,
            };
            assert_near(expected, linear(x, &stored(&weight), out, addends), 1e-5);
        }
    }
}
