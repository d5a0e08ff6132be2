use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Cube, DType};
use burn_cubecl::ops::numeric::empty_device_dtype;
use cubecl::prelude::*;
use cubecl::{calculate_cube_count_elemwise, cube};

use super::Unpack;

impl Unpack for Cube {
    fn dequantize_words(
        words: IntTensor<Self>,
        scales: IntTensor<Self>,
        bits: usize,
        group: usize,
    ) -> FloatTensor<Self> {
        let count = words.meta.num_elements();
        let levels = 32 / bits;
        let (client, device) = (words.client.clone(), words.device.clone());
        let values =
            empty_device_dtype(client.clone(), device, [count * levels].into(), DType::F32);
        let cube_dim = CubeDim::new(&client, count);
        let cube_count = calculate_cube_count_elemwise(&client, count, cube_dim);
        dequantize_word::launch(
            &client,
            cube_count,
            cube_dim,
            words.into_buffer_arg(),
            scales.into_buffer_arg(),
            values.clone().into_buffer_arg(),
            bits as u32,
            (group / levels) as u32,
        );
        values
    }

    fn f16_words_to_f32(words: IntTensor<Self>) -> FloatTensor<Self> {
        let count = words.meta.num_elements();
        let (client, device) = (words.client.clone(), words.device.clone());
        let values = empty_device_dtype(client.clone(), device, [count * 2].into(), DType::F32);
        let cube_dim = CubeDim::new(&client, count);
        let cube_count = calculate_cube_count_elemwise(&client, count, cube_dim);
        f16_word_to_f32::launch(
            &client,
            cube_count,
            cube_dim,
            words.into_buffer_arg(),
            values.clone().into_buffer_arg(),
        );
        values
    }
}

/// One word an invocation. Half floats are widened by hand, so that nothing depends on the device's
/// knowing them.
#[cube(launch)]
fn dequantize_word(
    words: &[i32],
    scales: &[i32],
    values: &mut [f32],
    #[comptime] bits: u32,
    #[comptime] words_a_group: u32,
) {
    if ABSOLUTE_POS >= words.len() {
        terminate!();
    }
    let group = ABSOLUTE_POS / words_a_group as usize;
    let shift = (group % 2) as u32 * 16;
    let half = (u32::reinterpret(scales[group / 2]) >> shift) & 0xffff;
    let scale = f16_to_f32(half);
    let word = u32::reinterpret(words[ABSOLUTE_POS]);
    let levels = comptime!(32 / bits);
    #[unroll]
    for index in 0..levels {
        let level = (word >> (index * bits)) & comptime!((1u32 << bits) - 1);
        let centred = i32::cast_from(level) - comptime!(1i32 << (bits - 1));
        values[ABSOLUTE_POS * levels as usize + index as usize] = f32::cast_from(centred) * scale;
    }
}

/// One word an invocation.
#[cube(launch)]
fn f16_word_to_f32(words: &[i32], values: &mut [f32]) {
    if ABSOLUTE_POS >= words.len() {
        terminate!();
    }
    let word = u32::reinterpret(words[ABSOLUTE_POS]);
    values[ABSOLUTE_POS * 2] = f16_to_f32(word & 0xffff);
    values[ABSOLUTE_POS * 2 + 1] = f16_to_f32(word >> 16);
}

/// The value of a half float given by its bits.
#[cube]
fn f16_to_f32(half: u32) -> f32 {
    let exponent = (half >> 10) & 31;
    let mantissa = half & 1023;
    let magnitude = if exponent == 0 {
        // 2^-24 is the step of the subnormal ones.
        f32::cast_from(mantissa) * 5.960_464_5e-8
    } else {
        // Infinities keep the highest exponent there is.
        let offset = if exponent == 31 { 224u32 } else { 112u32 };
        f32::reinterpret(((exponent + offset) << 23) | (mantissa << 13))
    };
    if half >> 15 == 1 {
        -magnitude
    } else {
        magnitude
    }
}
