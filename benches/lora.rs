//! What a LoRA costs a layer: computed beside the weight, as it is, or merged when the weight is dequantized.
//!
//! `cargo bench --bench lora` prints, for linear layers of Stable Diffusion 1.5 at 512 x 512 in 8 bits, on the CPU, the
//! time of both beside that of the layer alone, the median of some runs, and whether both give the same.

use std::process::ExitCode;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor, module};
use glassine::internals::nn::Linear;
use glassine::internals::weights::{
    HostTensor, LayerUpdate, LowRank, Quantization, RowChunk, StoredType, TensorEntry, Weight,
    Weights, quantize,
};

const RUNS: usize = 7;
/// Tokens of two rows, inputs and outputs.
const LAYERS: [(&str, usize, usize, usize); 4] = [
    ("attention, finest level", 8192, 320, 320),
    ("feed-forward, finest level", 8192, 320, 2560),
    ("attention, second level", 2048, 640, 640),
    ("attention, third level", 512, 1280, 1280),
];
const RANKS: [usize; 2] = [8, 64];

fn main() -> ExitCode {
    let device = Device::flex();
    let mut all_right = true;
    for (name, tokens, inputs, outputs) in LAYERS {
        for rank in RANKS {
            let x = Tensor::random([1, tokens, inputs], Distribution::Default, &device);
            let weights = weights(&device, inputs, outputs);
            let layer = Linear::load(&weights).expect("a layer");
            let slot = weights.slots().pop().expect("its slot");
            let (alone, _) = time(|| layer.forward(x.clone()));
            let (down, up) = (random([rank, inputs]), random([outputs, rank]));
            let low_rank = LowRank {
                down: Weight::dense(down.clone(), &device),
                up: Weight::dense(up.clone(), &device),
            };
            let merged = Merged {
                weight: self::weights(&device, inputs, outputs)
                    .take_weight::<2>("weight")
                    .expect("a weight"),
                down: Weight::dense(down, &device),
                up: Weight::dense(up, &device),
            };
            slot.set(Some(LayerUpdate {
                low_rank: Some(low_rank),
                dense: None,
                bias: None,
            }));
            let (beside, one) = time(|| layer.forward(x.clone()));
            let (into, other) = time(|| merged.forward(x.clone()));
            let off: f32 = (one - other.clone()).abs().max().into_scalar();
            let peak: f32 = other.abs().max().into_scalar();
            let is_right = off < 1e-4 * peak;
            all_right &= is_right;
            println!(
                "{name:28} rank {rank:2}: alone {alone:6.2} ms, beside {:.2} times, merged {:.2} times, {}",
                beside / alone,
                into / alone,
                if is_right { "right" } else { "WRONG" }
            );
        }
    }
    match all_right {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// A linear layer whose weight is changed when it is dequantized.
struct Merged {
    weight: Weight,
    down: Weight,
    up: Weight,
}

impl Merged {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let change = self.up.dequantize::<2>().matmul(self.down.dequantize());
        let weight = self.weight.dequantize::<2>() + change;
        module::linear(x, weight.transpose(), None)
    }
}

fn weights(device: &Device, inputs: usize, outputs: usize) -> Weights {
    let quantization = Quantization { bits: 8, group: 32 };
    let tensor = random([outputs, inputs]);
    let quantized = quantize(&tensor, quantization).expect("values that can be quantized");
    let scales = quantized.scales.iter();
    let scales: Vec<u8> = scales.flat_map(|scale| scale.to_le_bytes()).collect();
    let entry = TensorEntry {
        stored: StoredType::Q8,
        group: Some(quantization.group),
        shape: tensor.shape,
        shards: Vec::new(),
    };
    let part = RowChunk {
        bytes: &quantized.levels,
        scales: Some(&scales),
    };
    let weights = Weights::new(device);
    weights
        .insert_part("weight", &entry, part)
        .expect("a whole tensor");
    weights
}

/// Numbers from -1 to 1 that look random, the same each time.
fn random<const D: usize>(shape: [usize; D]) -> HostTensor {
    let mut state = 1u32;
    let count = shape.iter().product();
    let values = (0..count).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    });
    HostTensor::new(shape, values.collect())
}

/// The median of some runs in milliseconds, and what the last one gave.
fn time(run: impl Fn() -> Tensor<3>) -> (f64, Tensor<3>) {
    let mut result = run();
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            result = run();
            let _ = result.clone().into_data();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[RUNS / 2], result)
}
