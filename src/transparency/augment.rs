use burn::tensor::Tensor;

/// The turns of the eight-pass decode, in order: (flipped horizontally, quarter turns).
pub const AUGMENTATIONS: [(bool, usize); 8] = [
    (false, 0),
    (false, 1),
    (false, 2),
    (false, 3),
    (true, 0),
    (true, 1),
    (true, 2),
    (true, 3),
];

/// Flips the width axis if asked, then turns counter-clockwise by `quarters` of 90 degrees.
pub fn augment(x: Tensor<4>, (flipped, quarters): (bool, usize)) -> Tensor<4> {
    let x = if flipped { x.flip([3]) } else { x };
    quarter_turns(x, quarters)
}

/// The inverse of [`augment`].
pub fn undo_augment(x: Tensor<4>, (flipped, quarters): (bool, usize)) -> Tensor<4> {
    let x = quarter_turns(x, (4 - quarters) % 4);
    if flipped { x.flip([3]) } else { x }
}

fn quarter_turns(x: Tensor<4>, quarters: usize) -> Tensor<4> {
    match quarters {
        0 => x,
        1 => x.flip([3]).swap_dims(2, 3),
        2 => x.flip([2, 3]),
        _ => x.swap_dims(2, 3).flip([3]),
    }
}

/// The element-wise lower median of an even or odd number of pictures: of eight, the fourth
/// smallest, not the mean of the middle two.
pub fn lower_median(passes: &[Vec<f32>]) -> Vec<f32> {
    let middle = (passes.len() - 1) / 2;
    let mut values = vec![0.0; passes.len()];
    (0..passes[0].len())
        .map(|index| {
            for (value, pass) in values.iter_mut().zip(passes) {
                *value = pass[index];
            }
            *values.select_nth_unstable_by(middle, f32::total_cmp).1
        })
        .collect()
}
