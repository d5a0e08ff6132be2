mod addends;
mod direct;
mod padded;
mod winograd;

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use self::addends::HostAddends;
use self::direct::Direct;
use self::padded::Padded;
use self::winograd::Winograd;
use super::{Addends, ConvGeometry, ConvRows};
use crate::kernels::flex::{contiguous, for_each_chunk_with};
use crate::kernels::kept_panels::Packing;
use crate::kernels::panels::{self, ROWS};
use crate::kernels::{HostWeight, StoredWeight, activation, concat_rows};
use crate::lanes::{Lanes, map_lanes};

/// Pixels of a picture's output from which on a kernel of 3 x 3 is transformed ([`winograd`]). It pays from 64 on, but the
/// sums are four times as far off as the direct ones, some millionths: a UNet, whose maps are smaller up to pictures of
/// 256 pixels, may make more of that from step to step.
const WINOGRAD_PIXELS: usize = 1024;

pub(super) fn linear(
    x: Tensor<3>,
    weight: &StoredWeight,
    out: usize,
    addends: Addends<3>,
) -> Tensor<3> {
    product(x, weight, [1, out], addends, |sums, _, out| {
        panels::copy(&sums[..out.len()], out);
    })
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
    product(x, weight, [2, out], addends, |sums, width, out| {
        let (values, gates) = (&sums[..out.len()], &sums[width..][..out.len()]);
        let (fours, rest) = out.as_chunks_mut::<4>();
        let (value_fours, rest_values) = values.as_chunks::<4>();
        let (gate_fours, rest_gates) = gates.as_chunks::<4>();
        for ((out, value), gate) in fours.iter_mut().zip(value_fours).zip(gate_fours) {
            *out = (Lanes::new(*value) * activation::gelu(Lanes::new(*gate))).to_array();
        }
        for ((out, value), gate) in rest.iter_mut().zip(rest_values).zip(rest_gates) {
            [*out, ..] = (activation::gelu(Lanes::splat(*gate)) * *value).to_array();
        }
    })
}

/// `out` features of each token from as many of each of some `parts` of the weight's, of which `finish` sees the sums of a
/// token, the distance from part to part and where they go. A block of features is made for all tokens before the
/// next.
fn product(
    x: Tensor<3>,
    weight: &StoredWeight,
    [parts, out]: [usize; 2],
    addends: Addends<3>,
    finish: impl Fn(&[f32], usize, &mut [f32]) + Sync,
) -> Tensor<3> {
    let ([batch, tokens, inputs], device) = (x.dims(), x.device());
    let (lanes, rows) = (panels::columns(), batch * tokens);
    let x = contiguous(x);
    let x = x.storage::<f32>();
    let x = panels::pack(|row| &x[row * inputs..][..inputs], rows, inputs, ROWS);
    let stored = HostWeight::new(weight);
    let addends = HostAddends::new(addends, parts * out);
    let mut result = vec![0f32; rows * out];
    let block = (panels::BLOCK / (parts * inputs) / lanes).max(1) * lanes;
    for (index, start) in (0..out).step_by(block).enumerate() {
        let features = start..out.min(start + block);
        let of_part = |part: usize| part * out + features.start..part * out + features.end;
        let pack = |part: usize| panels::pack_weight(&stored, of_part(part), inputs, lanes);
        let pack = || {
            (1..parts).fold(pack(0), |mut first, part| {
                first.extend(pack(part));
                first
            })
        };
        let weights = weight.panels.block(Packing::Columns { parts }, index, pack);
        let width = features.len().next_multiple_of(lanes);
        let tokens_of = |product: &mut Vec<f32>, panel: usize, result: &mut [f32]| {
            product.resize(ROWS * parts * width, 0.0);
            let x = &x[panel * ROWS * inputs..][..ROWS * inputs];
            panels::multiply(x, &weights, lanes * inputs, inputs, product);
            let sums = product.chunks_exact_mut(parts * width);
            for (row, (result, sums)) in result.chunks_exact_mut(out).zip(sums).enumerate() {
                for (part, sums) in sums.chunks_exact_mut(width).enumerate() {
                    let sums = &mut sums[..features.len()];
                    addends.add_to_token(panel * ROWS + row, tokens, of_part(part), sums);
                }
                finish(sums, width, &mut result[features.clone()]);
            }
        };
        for_each_chunk_with(&mut result, ROWS * out, inputs, Vec::new, tokens_of);
    }
    Tensor::from_data(TensorData::new(result, [batch, tokens, out]), &device)
}

pub(super) fn conv2d_by_rows(
    [_, out, height, width]: [usize; 4],
    weight: &StoredWeight,
    rows: &mut dyn Iterator<Item = ConvRows>,
) -> Tensor<4> {
    let mut weights = None;
    let rows = rows.map(|rows| {
        let weights =
            weights.get_or_insert_with(|| ConvWeights::new(weight, &rows, [out, height * width]));
        conv2d(rows, weights, out)
    });
    concat_rows(rows.collect())
}

/// A convolution's weights as they are multiplied.
enum ConvWeights {
    /// In panels.
    Direct(Arc<Vec<f32>>),
    /// Transformed by [`winograd::transform_weights`].
    Winograd(Arc<Vec<f32>>),
}

impl ConvWeights {
    /// For an output of some features and pixels a picture, of which `rows` are the first.
    fn new(weight: &StoredWeight, rows: &ConvRows, [out, pixels]: [usize; 2]) -> Self {
        let ConvGeometry { kernel, stride, .. } = rows.geometry;
        let [_, inputs, ..] = rows.x.dims();
        let depth = kernel[0] * kernel[1] * inputs;
        let stored = HostWeight::new(weight);
        if kernel == [3, 3] && stride == 1 && pixels >= WINOGRAD_PIXELS {
            let transform = || winograd::transform_weights(&stored, out, inputs);
            return Self::Winograd(weight.panels.block(Packing::Winograd, 0, transform));
        }
        let pack = || panels::pack_weight(&stored, 0..out, depth, ROWS);
        Self::Direct(weight.panels.block(Packing::Rows, 0, pack))
    }
}

fn conv2d(rows: ConvRows, weights: &ConvWeights, out: usize) -> Tensor<4> {
    let ConvRows {
        x,
        geometry,
        addends,
    } = rows;
    let ConvGeometry { kernel, stride, .. } = geometry;
    let ([batch, inputs, height, width], device) = (x.dims(), x.device());
    let size = geometry.output([height, width]);
    let x = contiguous(x);
    let map = &Padded::new(x.storage(), [height, width], geometry);
    let addends = &HostAddends::new(addends, out);
    let mut result = vec![0f32; batch * out * size[0] * size[1]];
    match weights {
        ConvWeights::Direct(weights) => direct(
            &Direct {
                map,
                inputs,
                kernel,
                stride,
                size,
                weights,
            },
            addends,
            out,
            &mut result,
        ),
        ConvWeights::Winograd(weights) => winograd(
            &Winograd {
                map,
                inputs,
                size,
                weights,
            },
            addends,
            out,
            &mut result,
        ),
    }
    let shape = [batch, out, size[0], size[1]];
    Tensor::from_data(TensorData::new(result, shape), &device)
}

fn direct(conv: &Direct, addends: &HostAddends<4>, out: usize, result: &mut [f32]) {
    let (area, depth) = (conv.size[0] * conv.size[1], conv.weights.len() / out);
    let mut neighbourhoods = Vec::new();
    for (picture, planes) in result.chunks_exact_mut(out * area).enumerate() {
        for pixels in conv.blocks() {
            conv.lay_out(picture, &pixels, &mut neighbourhoods);
            let features = |product: &mut Vec<f32>, panel: usize, planes: &mut [f32]| {
                conv.multiply(panel, &neighbourhoods, product);
                let products = product.chunks_exact(product.len() / ROWS);
                for (row, (plane, product)) in planes.chunks_mut(area).zip(products).enumerate() {
                    let feature = [picture, panel * ROWS + row];
                    let plane = &mut plane[pixels.clone()];
                    let constant = addends.constant(feature);
                    map_lanes(&product[..plane.len()], plane, |four| four + constant);
                    addends.add_to_plane(feature, pixels.start, plane);
                }
            };
            for_each_chunk_with(planes, ROWS * area, depth, Vec::new, features);
        }
    }
}

fn winograd(conv: &Winograd, addends: &HostAddends<4>, out: usize, result: &mut [f32]) {
    let (area, depth) = (conv.size[0] * conv.size[1], conv.weights.len() / out);
    let mut input = Vec::new();
    for (picture, planes) in result.chunks_exact_mut(out * area).enumerate() {
        for rows in conv.blocks() {
            conv.transform_input(picture, &rows, &mut input);
            let pixels = conv.pixels(&rows);
            let features = |products: &mut Vec<f32>, panel: usize, planes: &mut [f32]| {
                conv.multiply(panel, &input, products);
                for (row, plane) in planes.chunks_mut(area).enumerate() {
                    let feature = [picture, panel * ROWS + row];
                    let plane = &mut plane[pixels.clone()];
                    conv.transform_output(products, row, addends.constant(feature), plane);
                    addends.add_to_plane(feature, pixels.start, plane);
                }
            };
            for_each_chunk_with(planes, ROWS * area, depth, Vec::new, features);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::module;
    use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};

    use super::super::Enlarged;
    use super::*;
    use crate::kernels::test::{assert_near, random};
    use crate::kernels::{Channels, KeptPanels, StoredValues};

    fn stored(values: &Tensor<4>) -> StoredWeight {
        let values = values.clone().permute([0, 2, 3, 1]);
        let count = values.shape().num_elements();
        StoredValues::F32(Box::new(values.reshape([count]))).into()
    }

    /// The same weight, whose panels are kept.
    fn keeping(weight: &StoredWeight) -> StoredWeight {
        StoredWeight {
            panels: KeptPanels::keeping(),
            ..weight.clone()
        }
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
            ([1, 16, 37, 39], 10, 3, 1, (1, 1), None),
            ([1, 4, 16, 16], 32, 3, 1, (1, 1), None),
            ([2, 5, 32, 36], 6, 3, 1, (1, 1), None),
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
            let shape = [batch, out, out_height, out_width];
            let rows = &mut [rows].into_iter();
            assert_near(
                expected,
                conv2d_by_rows(shape, &stored(&weight), rows),
                1e-5,
            );
        }
    }

    /// A small map's kernels lie in panels, those of a large one are transformed; the weight does not keep both.
    #[test]
    fn a_kept_weight_gives_the_same_at_any_size() {
        let stored = stored(&random([6, 5, 3, 3], 1));
        let kept = keeping(&stored);
        let convolved = |weight: &StoredWeight, side: usize| {
            let rows = ConvRows {
                x: random([1, 5, side, side], 2),
                geometry: ConvGeometry {
                    kernel: [3; 2],
                    padding: [(1, 1); 2],
                    ..ConvGeometry::POINTWISE
                },
                addends: Addends::default(),
            };
            conv2d_by_rows([1, 6, side, side], weight, &mut [rows].into_iter()).into_data()
        };
        for side in [7, 7, 40, 40, 7] {
            let expected = convolved(&stored, side);
            convolved(&kept, side).assert_eq(&expected, true);
        }
    }

    #[test]
    fn a_kept_weight_gives_the_same_with_and_without_a_gate() {
        let stored = stored(&random([10, 6, 1, 1], 1));
        let kept = keeping(&stored);
        let x = || random([1, 9, 6], 2);
        for _ in 0..2 {
            let gated = linear_geglu(x(), &kept, 5, None).into_data();
            gated.assert_eq(&linear_geglu(x(), &stored, 5, None).into_data(), true);
            let plain = linear(x(), &kept, 10, Addends::default()).into_data();
            let expected = linear(x(), &stored, 10, Addends::default()).into_data();
            plain.assert_eq(&expected, true);
        }
    }

    #[test]
    fn gated_linear_equals_burns() {
        for (rows, inputs, out) in [(70, 64, 48), (3, 1280, 560), (5, 6, 7)] {
            let (x, bias) = (random([2, rows, inputs], 1), random([2 * out], 2));
            let weight = random([2 * out, inputs, 1, 1], 3);
            let transposed = weight.clone().reshape([2 * out, inputs]).transpose();
            let product = module::linear(x.clone(), transposed, Some(bias.clone()));
            let gate = burn::tensor::activation::gelu(product.clone().narrow(2, out, out));
            let expected = product.narrow(2, 0, out) * gate;
            assert_near(
                expected,
                linear_geglu(x, &stored(&weight), out, Some(bias)),
                1e-5,
            );
        }
    }

    #[test]
    fn linear_equals_burns() {
        let cases = [
            (1, 1, 32, 5),
            (2, 77, 320, 64),
            (1, 300, 7, 130),
            (2, 9, 1280, 900),
        ];
        for (batch, rows, inputs, out) in cases {
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
