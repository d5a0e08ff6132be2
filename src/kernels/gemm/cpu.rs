use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, activation, module};

use super::{Addends, ConvGeometry, ConvRows, Enlarged};
use crate::kernels::{StoredWeight, concat_rows, dequantize};

pub(super) fn linear(
    x: Tensor<3>,
    weight: &StoredWeight,
    out: usize,
    addends: Addends<3>,
) -> Tensor<3> {
    let [_, _, inputs] = x.dims();
    let weight: Tensor<2> = dequantize(weight, out * inputs).reshape([out, inputs]);
    let mut product = module::linear(x, weight.transpose(), addends.bias);
    if let Some(shift) = addends.shift {
        product = product + shift.narrow();
    }
    match addends.residual {
        Some(residual) => product + residual,
        None => product,
    }
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
    let ConvGeometry {
        kernel: [kernel_height, kernel_width],
        stride,
        padding,
        enlarged,
    } = geometry;
    let [batch, inputs, ..] = x.dims();
    let x = match enlarged {
        Some(Enlarged { size, skip }) => {
            let [height, width] = size;
            let options = InterpolateOptions::new(InterpolateMode::Nearest);
            let options = options.with_output_size([skip + height, width]);
            module::interpolate(x, options).narrow(2, skip, height)
        }
        None => x,
    };
    let values = dequantize(weight, out * kernel_height * kernel_width * inputs);
    let weight: Tensor<4> = values.reshape([out, kernel_height, kernel_width, inputs]);
    let options = ConvOptions::new_with_padding([stride; 2], padding, [1; 2], 1);
    let weight = weight.permute([0, 3, 1, 2]);
    let mut convolved = module::conv2d(x, weight, addends.bias, options);
    if let Some(shift) = addends.shift {
        convolved = convolved + shift.narrow().reshape([batch, out, 1, 1]);
    }
    match addends.residual {
        Some(residual) => {
            let [_, _, height, _] = convolved.dims();
            convolved + residual.narrow(2, addends.residual_top, height)
        }
        None => convolved,
    }
}
