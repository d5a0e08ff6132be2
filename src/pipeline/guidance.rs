//! Classifier-free guidance: what the prompt changes about a prediction, made stronger.

use crate::Result;
use crate::weights::HostTensor;

/// How much stronger, and in what proportions.
pub(super) struct Guidance<'a> {
    /// The guidance scale.
    pub scale: f32,
    /// The weight of each part of the prompt.
    pub weights: &'a [f32],
    /// From 0 to 1: brings the deviation of each frame that much of the way back to that of the
    /// prompt's own output (Lin et al. 2024, section 3.4), which strong guidance raises.
    pub rescale: f32,
}

impl Guidance<'_> {
    /// The model's output for latents of `shape`: the negative prompt's, and from there to each part of
    /// the prompt by the scale times its weight, where `predicted` has them all, one after the other.
    ///
    /// # Errors
    /// `non_finite`
    pub fn apply(&self, predicted: Vec<f32>, shape: &[usize]) -> Result<Vec<f32>> {
        let values = shape.iter().product();
        let output = match predicted.split_at(values) {
            (only, []) => only.to_vec(),
            (negative, positive) => {
                let mut output = negative.to_vec();
                for (positive, weight) in positive.chunks_exact(values).zip(self.weights) {
                    let scale = weight * self.scale;
                    let pairs = negative.iter().zip(positive);
                    for (sum, (negative, positive)) in output.iter_mut().zip(pairs) {
                        *sum += scale * (positive - negative);
                    }
                }
                if self.rescale > 0.0 {
                    let frame = shape[1..].iter().product();
                    let frames = output.chunks_mut(frame).zip(positive.chunks(frame));
                    frames.for_each(|(output, positive)| {
                        rescale_frame(output, positive, self.rescale);
                    });
                }
                output
            }
        };
        let output = HostTensor::new(shape, output);
        output.check_finite("the UNet's output")?;
        Ok(output.data)
    }
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
