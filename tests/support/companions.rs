//! TAESD for the tiny model.
//!
//! Where the golden data is the whole of it, this is the published one beside it. The copy in
//! `tests/golden` has none, so that networks of the same layout with random weights stand in for it:
//! they show what reaches what, and no picture worth a look.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use glassine::internals::sampling::NoiseGenerator;
use glassine::internals::weights::{Dtype, HostTensor, write_safetensors};

use super::{golden, model, whole_golden};

/// TAESD's decoder file.
pub fn taesd_decoder() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let ends = [("1", [64, 4, 3, 3]), ("19", [3, 64, 3, 3])];
    let blocks = [3, 4, 5, 8, 9, 10, 13, 14, 15, 18];
    FILE.get_or_init(|| taesd("taesd_decoder.safetensors", ends, blocks, [7, 12, 17]))
        .clone()
}

/// TAESD's encoder file.
pub fn taesd_encoder() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let ends = [("0", [64, 3, 3, 3]), ("14", [4, 64, 3, 3])];
    let blocks = [1, 3, 4, 5, 7, 8, 9, 11, 12, 13];
    FILE.get_or_init(|| taesd("taesd_encoder.safetensors", ends, blocks, [2, 6, 10]))
        .clone()
}

/// The published file, or one with random convolutions at these places.
fn taesd(
    file: &str,
    ends: [(&str, [usize; 4]); 2],
    blocks: [usize; 10],
    resampling: [usize; 3],
) -> PathBuf {
    if whole_golden() {
        return golden("../weights").join(file);
    }
    let wide = [64, 64, 3, 3];
    let mut tensors = Vec::new();
    for (name, shape) in ends {
        tensors.extend(convolution(name, shape, true));
    }
    for block in blocks {
        for index in [0, 2, 4] {
            tensors.extend(convolution(&format!("{block}.conv.{index}"), wide, true));
        }
    }
    for index in resampling {
        tensors.extend(convolution(&index.to_string(), wide, false));
    }
    let path = model::scratch().join(file);
    write(&path, &tensors);
    path
}

/// Weights and bias of a convolution, random with the name as seed, which keep about the size of
/// what passes through.
fn convolution(name: &str, shape: [usize; 4], bias: bool) -> Vec<(String, HostTensor)> {
    let seed = name
        .bytes()
        .fold(0u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
    let mut noise = NoiseGenerator::new(seed);
    let inputs: usize = shape[1..].iter().product();
    let scale = (inputs as f32).sqrt().recip();
    let mut random = |shape: &[usize]| {
        let values = noise.normal(shape.iter().product());
        let scaled = values.iter().map(|value| value * scale).collect();
        HostTensor::new(shape, scaled)
    };
    let weight = (format!("{name}.weight"), random(&shape));
    let bias = bias.then(|| (format!("{name}.bias"), random(&shape[..1])));
    std::iter::once(weight).chain(bias).collect()
}

fn write(path: &Path, tensors: &[(String, HostTensor)]) {
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| {
            let bytes = tensor.data.iter().flat_map(|value| value.to_le_bytes());
            let (name, shape) = (name.clone(), tensor.shape.clone());
            (name, Dtype::F32, shape, bytes.collect())
        })
        .collect();
    std::fs::write(path, write_safetensors(&tensors)).expect("writing weights");
}
