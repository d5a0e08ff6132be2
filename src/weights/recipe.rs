//! Which weights are quantized, and how finely.

use super::manifest::{Precision, StoredType};
use super::quantize::Quantization;

/// How tensor `name` of a pack is stored.
pub(super) fn stored_type(
    precision: Precision,
    name: &str,
    shape: &[usize],
) -> (StoredType, Option<Quantization>) {
    if precision == Precision::F32 {
        return (StoredType::F32, None);
    }
    let quantizable = !KEPT.iter().any(|part| name.contains(part));
    let groups_of = |quantization: Quantization| quantization.suits(shape) && quantizable;
    if precision == Precision::Q4 && groups_of(Quantization::Q4) && !is_sensitive(name) {
        return (StoredType::Q4, Some(Quantization::Q4));
    }
    // Narrow layers have fewer inputs than a usual group.
    let narrow = Quantization {
        group: 32,
        ..Quantization::Q8
    };
    let fitting = [Quantization::Q8, narrow]
        .into_iter()
        .find(|q| groups_of(*q));
    match (precision, fitting) {
        (Precision::Q4 | Precision::Q8, Some(quantization)) => (StoredType::Q8, Some(quantization)),
        _ => (StoredType::F16, None),
    }
}

/// Tensors that stay in half precision: small, and everything passes through them.
const KEPT: [&str; 3] = ["position_embedding", "unet.conv_out", "taesd_"];

/// Layers that stay at 8 bits in a pack of 4: those whose rounding moves epsilon most for their
/// size, and the parts that pictures pass through once, where an error is seen as it is.
/// docs/measurements.md has the table behind this.
fn is_sensitive(name: &str) -> bool {
    !name.starts_with("unet.") && !name.starts_with("layers.")
        || SENSITIVE.iter().any(|part| name.contains(part))
}

/// Parts of the UNet, by the names of their tensors.
const SENSITIVE: [&str; 1] = ["time_emb"];
