//! Classifier-free guidance: what the prompt changes about a prediction, made stronger.

use crate::Result;
use crate::weights::HostTensor;

/// The model's output for latents of `shape`, extrapolated by `scale` from the negative prompt's to the
/// prompt's, where `predicted` has both, one after the other.
///
/// `rescale`, from 0 to 1, brings the deviation of each frame that much of the way back to that of the
/// prompt's own output (Lin et al. 2024, section 3.4), which strong guidance raises.
///
/// # Errors
/// `non_finite`
pub(super) fn guided(
    predicted: Vec<f32>,
    shape: &[usize],
    scale: f32,
    rescale: f32,
) -> Result<Vec<f32>> {
    let output = match predicted.split_at(shape.iter().product()) {
        (only, []) => only.to_vec(),
        (negative, positive) => {
            let pairs = negative.iter().zip(positive);
            let mut output: Vec<f32> = pairs
                .map(|(negative, positive)| negative + scale * (positive - negative))
                .collect();
            if rescale > 0.0 {
                let frame = shape[1..].iter().product();
                let frames = output.chunks_mut(frame).zip(positive.chunks(frame));
                frames.for_each(|(output, positive)| rescale_frame(output, positive, rescale));
            }
            output
        }
    };
    let output = HostTensor::new(shape, output);
    output.check_finite("the UNet's output")?;
    Ok(output.data)
}

fn rescale_frame(output: &mut [f32], positive: &[f32], rescale: f32) {
    let deviation_now = deviation(output);
    if deviation_now == 0.0 {
        return;
    }
    let ratio = (deviation(positive) / deviation_now) as f32;
    let factor = rescale * ratio + (1.0 - rescale);
    output.iter_mut().for_each(|value| *value *= factor);
}

fn deviation(values: &[f32]) -> f64 {
    let mean =
        |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
    let middle = mean(
        &mut values.iter().map(|value| f64::from(*value)),
        values.len(),
    );
    let squares = &mut values
        .iter()
        .map(|value| (f64::from(*value) - middle).powi(2));
    mean(squares, values.len()).sqrt()
}
