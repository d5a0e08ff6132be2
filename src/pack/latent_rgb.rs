//! The linear map behind previews, fitted to a model's own VAE when it is packed.

use burn::tensor::{Device, Tensor, TensorData};

use super::manifest::Manifest;
use super::reader::{Pack, PackSource};
use crate::Result;
use crate::vae::VaeDecoder;
use crate::weights::Weights;
use crate::weights::host::host_values;

/// Side of the flat patches that [`fit_latent_rgb`] decodes, in latent cells, and patches a side.
const PATCH: usize = 2;
const PATCHES: usize = 4;
/// Pictures that are decoded: two of 64 x 64 pixels take seconds in a browser too.
const PICTURES: usize = 2;

/// The linear map from latents to colours that comes nearest to the VAE.
///
/// Pictures of flat patches with random latents are decoded, and the colours at the patches'
/// centres are fitted by least squares.
pub(super) async fn fit_latent_rgb(
    manifest: &Manifest,
    source: &impl PackSource,
) -> Result<Vec<[f32; 3]>> {
    let pack = Pack::unfinished(manifest, source);
    let weights = Weights::new(&Device::flex());
    pack.load(&weights, |name| name.starts_with("vae."), async |_| true)
        .await?;
    let config = pack.manifest().vae()?;
    let decoder = VaeDecoder::load(&config, &weights.at("vae"))?;
    let mut noise = crate::sampling::NoiseGenerator::new(0);
    let mut equations = NormalEquations::default();
    for _ in 0..PICTURES {
        let patches = noise.normal(4 * PATCHES * PATCHES);
        let side = PATCH * PATCHES;
        let cell = |index: usize| {
            let (channel, y, x) = (index / (side * side), index / side % side, index % side);
            patches[(channel * PATCHES + y / PATCH) * PATCHES + x / PATCH] / config.scaling_factor
        };
        let latent: Vec<f32> = (0..4 * side * side).map(cell).collect();
        let latent = Tensor::from_data(
            TensorData::new(latent, [1, 4, side, side]),
            weights.device(),
        );
        let picture = decoder.forward(latent).into_data_async().await;
        let picture = host_values(picture)?;
        for patch in 0..PATCHES * PATCHES {
            let (y, x) = (patch / PATCHES, patch % PATCHES);
            let centre = |index: usize| (index * PATCH + PATCH / 2) * 8;
            let pixel = |channel: usize| {
                let value = picture[(channel * side * 8 + centre(y)) * side * 8 + centre(x)];
                f64::from(value.clamp(-1.0, 1.0) * 0.5 + 0.5)
            };
            let latent = |channel: usize| f64::from(patches[channel * PATCHES * PATCHES + patch]);
            equations.add(
                [latent(0), latent(1), latent(2), latent(3), 1.0],
                [pixel(0), pixel(1), pixel(2)],
            );
        }
    }
    Ok(equations.solve())
}

/// Least squares for five inputs and three outputs.
#[derive(Default)]
struct NormalEquations {
    /// The symmetric matrix, and the right-hand sides beside it.
    rows: [[f64; 8]; 5],
}

impl NormalEquations {
    fn add(&mut self, inputs: [f64; 5], outputs: [f64; 3]) {
        for (row, input) in self.rows.iter_mut().zip(inputs) {
            for (sum, other) in row.iter_mut().zip(inputs.iter().chain(&outputs)) {
                *sum += input * other;
            }
        }
    }

    /// Gauss-Jordan elimination; the matrix is positive definite for random inputs.
    fn solve(mut self) -> Vec<[f32; 3]> {
        for pivot in 0..5 {
            let scale = 1.0 / self.rows[pivot][pivot].max(1e-12);
            self.rows[pivot]
                .iter_mut()
                .for_each(|value| *value *= scale);
            let pivot_row = self.rows[pivot];
            for (index, row) in self.rows.iter_mut().enumerate() {
                if index != pivot {
                    let factor = row[pivot];
                    row.iter_mut()
                        .zip(pivot_row)
                        .for_each(|(value, other)| *value -= factor * other);
                }
            }
        }
        self.rows
            .iter()
            .map(|row| [5, 6, 7].map(|column| rounded(row[column])))
            .collect()
    }
}

/// To four digits: more than a preview shows, and the same wherever a model is packed, though
/// machines differ in the last bits of the pictures behind the fit.
fn rounded(value: f64) -> f32 {
    ((value * 1e4).round() * 1e-4) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_map_is_found_to_four_digits() {
        let map: [[f64; 3]; 5] = [
            [0.12341, 0.5, -0.25],
            [-1.00009, 0.0, 2.0],
            [0.75, -0.31416, 0.00004],
            [0.0, 1.0, 0.00006],
            [0.5, 0.49996, 0.25],
        ];
        let mut noise = crate::sampling::NoiseGenerator::new(0);
        let mut equations = NormalEquations::default();
        for _ in 0..32 {
            let latent = noise.normal(4);
            let inputs =
                [0, 1, 2, 3, 4].map(|index| latent.get(index).map_or(1.0, |v| (*v).into()));
            let outputs = [0, 1, 2].map(|color| {
                let terms = inputs.iter().zip(&map);
                terms.map(|(input, row)| input * row[color]).sum()
            });
            equations.add(inputs, outputs);
        }
        let rounded = [
            [0.1234, 0.5, -0.25],
            [-1.0001, 0.0, 2.0],
            [0.75, -0.3142, 0.0],
            [0.0, 1.0, 0.0001],
            [0.5, 0.5, 0.25],
        ];
        assert_eq!(equations.solve(), rounded);
    }
}
