use crate::weights::HostTensor;

/// Sinusoidal features of a guidance scale, `[1, features]`: those of `1000 · (scale - 1)`, sines first,
/// with frequencies `exp(-ln(10000) · i / (half - 1))` and a zero at the end of an odd number.
pub fn guidance_embedding(scale: f32, features: usize) -> HostTensor {
    let half = features / 2;
    let position = 1000.0 * (scale - 1.0);
    let step = 10000f32.ln() / half.saturating_sub(1).max(1) as f32;
    let angles = (0..half).map(|index| position * (-step * index as f32).exp());
    let mut data: Vec<f32> = angles
        .clone()
        .map(f32::sin)
        .chain(angles.map(f32::cos))
        .collect();
    data.resize(features, 0.0);
    HostTensor::new([1, features], data)
}

/// Sinusoidal features of timesteps, `[timesteps, features]`: cosines first, then sines, with
/// frequencies `exp(-ln(10000) · i / half)`.
pub fn timestep_embedding(timesteps: &[f32], features: usize) -> HostTensor {
    let half = features / 2;
    let mut data = Vec::with_capacity(timesteps.len() * features);
    for timestep in timesteps {
        let angles = (0..half).map(|index| {
            // f32 throughout, as the reference computes it.
            let exponent = -(10000f32.ln()) * index as f32 / half as f32;
            timestep * exponent.exp()
        });
        data.extend(angles.clone().map(f32::cos));
        data.extend(angles.map(f32::sin));
    }
    HostTensor::new([timesteps.len(), half * 2], data)
}
