//! A ControlNet and TAESD for the tiny model.
//!
//! Where the golden data is the whole of it, these are its ControlNet and the published TAESD
//! beside it. The copy in `tests/golden` has neither, so that networks of the same layout with
//! random weights stand in for them: they show what reaches what, and no picture worth a look.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use glassine::sampling::NoiseGenerator;
use glassine::weights::{Dtype, HostTensor, SafetensorsFile, write_safetensors};

use super::{golden, model, whole_golden};

/// The folder of a ControlNet.
pub fn control_net() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        if whole_golden() {
            return golden("controlnet/model");
        }
        let folder = model::scratch().join("controlnet");
        std::fs::create_dir_all(&folder).expect("a folder");
        let unet = model::checkpoint().join("unet");
        std::fs::copy(unet.join("config.json"), folder.join("config.json")).expect("the config");
        let weights = "diffusion_pytorch_model.safetensors";
        let unet = SafetensorsFile::open(unet.join(weights)).expect("the UNet");
        write(&folder.join(weights), &with_control(unet));
        folder
    };
    FOLDER.get_or_init(build).clone()
}

/// The UNet's own way down, and random convolutions around it.
fn with_control(mut unet: SafetensorsFile) -> Vec<(String, HostTensor)> {
    let copied = ["conv_in.", "time_embedding.", "down_blocks.", "mid_block."];
    let names: Vec<String> = unet.tensors().keys().cloned().collect();
    let names = names
        .iter()
        .filter(|name| copied.iter().any(|start| name.starts_with(start)));
    let mut tensors: Vec<_> = names
        .map(|name| (name.clone(), unet.read(name).expect("a tensor")))
        .collect();
    let hint = [
        ("conv_in", [16, 3]),
        ("blocks.0", [16, 16]),
        ("blocks.1", [16, 16]),
        ("blocks.2", [16, 16]),
        ("blocks.3", [32, 16]),
        ("blocks.4", [32, 32]),
        ("blocks.5", [32, 32]),
        ("conv_out", [64, 32]),
    ];
    for (name, [out, inputs]) in hint {
        let name = format!("controlnet_cond_embedding.{name}");
        tensors.extend(convolution(&name, [out, inputs, 3, 3], true));
    }
    let widths = [64, 64, 64, 64, 32, 32, 32, 64, 64, 64, 64, 64];
    for (index, width) in widths.into_iter().enumerate() {
        let name = format!("controlnet_down_blocks.{index}");
        tensors.extend(convolution(&name, [width, width, 1, 1], true));
    }
    tensors.extend(convolution("controlnet_mid_block", [64, 64, 1, 1], true));
    tensors
}

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
