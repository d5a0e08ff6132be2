use crate::weights::HostTensor;

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
