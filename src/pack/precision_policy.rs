//! Which weights are quantized, and how finely.

use super::manifest::Precision;
use crate::weights::Quantization;
use crate::weights::StoredType;

/// How tensor `name` of a pack is stored.
pub(super) fn stored_type(
    precision: Precision,
    name: &str,
    shape: &[usize],
) -> (StoredType, Option<Quantization>) {
    let bits = match precision {
        Precision::F32 => return (StoredType::F32, None),
        Precision::F16 => 16,
        Precision::Q8 if is_tolerant(name, shape) => 4,
        Precision::Q4 if !is_sensitive(name) => 4,
        Precision::Q8 | Precision::Q4 => 8,
    };
    // Narrow layers have fewer inputs than a usual group of 8 bits.
    let narrow = Quantization {
        group: 32,
        ..Quantization::Q8
    };
    let kept = KEPT.iter().any(|part| name.contains(part));
    let fitting = [Quantization::Q4, Quantization::Q8, narrow]
        .into_iter()
        .find(|quantization| bits <= quantization.bits && !kept && quantization.applies_to(shape));
    match fitting {
        None => (StoredType::F16, None),
        Some(quantization) if quantization.bits == 4 => (StoredType::Q4, fitting),
        Some(_) => (StoredType::Q8, fitting),
    }
}

/// Tensors that stay in half precision: small, and everything passes through them.
const KEPT: [&str; 3] = ["position_embedding", "unet.conv_out", "taesd_"];

// docs/measurements.md has the table behind the two choices that follow.

/// Layers that stay at 8 bits in a pack of 4: the UNet's finest two levels, whose rounding moves
/// epsilon most for their size, and the parts that pictures and prompts pass through once.
fn is_sensitive(name: &str) -> bool {
    const FINE: [&str; 5] = [
        "time_embedding.",
        "down_blocks.0.",
        "down_blocks.1.",
        "up_blocks.2.",
        "up_blocks.3.",
    ];
    !in_unet(name) || FINE.iter().any(|part| name.contains(part))
}

/// Layers that are at 4 bits even in a pack of 8: the convolutions of the UNet's coarsest level, a
/// third of its weights and next to nothing of its error. Only sums over many inputs are so patient:
/// in a narrow model the same layers stay at 8 bits.
fn is_tolerant(name: &str, shape: &[usize]) -> bool {
    const WIDE: usize = 256 * 9;
    const COARSE: [&str; 3] = [
        "down_blocks.3.resnets.",
        "mid_block.resnets.",
        "up_blocks.0.resnets.",
    ];
    let inputs: usize = shape.iter().skip(1).product();
    name.starts_with("unet.") && inputs >= WIDE && COARSE.iter().any(|part| name.contains(part))
}

/// Whether a tensor is the UNet's, an adapter's or a ControlNet's, which has the UNet's names.
fn in_unet(name: &str) -> bool {
    ["unet.", "layers.", "controlnet."]
        .iter()
        .any(|start| name.starts_with(start))
}
