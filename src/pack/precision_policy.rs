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

#[cfg(test)]
mod tests {
    use super::*;

    /// The types of such a tensor in packs of 8 and of 4 bits.
    fn types(name: &str, shape: &[usize]) -> [StoredType; 2] {
        [Precision::Q8, Precision::Q4].map(|precision| stored_type(precision, name, shape).0)
    }

    #[test]
    fn layers_are_as_fine_as_they_have_to_be() {
        use StoredType::{F16, Q4, Q8};
        let wide = [1280, 3, 3, 2560];
        for (name, expected) in [
            ("unet.down_blocks.3.resnets.1.conv2.weight", [Q4, Q4]),
            ("unet.mid_block.resnets.0.conv1.weight", [Q4, Q4]),
            ("unet.up_blocks.0.resnets.2.conv1.weight", [Q4, Q4]),
            ("unet.up_blocks.1.resnets.2.conv1.weight", [Q8, Q4]),
            ("unet.down_blocks.2.resnets.0.conv1.weight", [Q8, Q4]),
            ("unet.down_blocks.1.resnets.0.conv1.weight", [Q8, Q8]),
            ("unet.down_blocks.0.resnets.0.conv1.weight", [Q8, Q8]),
            ("unet.up_blocks.2.resnets.0.conv1.weight", [Q8, Q8]),
            ("unet.up_blocks.3.resnets.0.conv1.weight", [Q8, Q8]),
            ("controlnet.mid_block.resnets.0.conv1.weight", [Q8, Q4]),
            ("vae.decoder.mid_block.resnets.0.conv1.weight", [Q8, Q8]),
            ("unet.conv_out.weight", [F16, F16]),
            ("taesd_decoder.1.weight", [F16, F16]),
        ] {
            assert_eq!(types(name, &wide), expected, "{name}");
        }
        let square = [1280, 1280];
        for (name, expected) in [
            ("unet.mid_block.attentions.0.proj_in.weight", [Q8, Q4]),
            ("layers.joint.mid_block.to_q.weight", [Q8, Q4]),
            ("layers.joint.up_blocks.3.to_q.weight", [Q8, Q8]),
            ("unet.time_embedding.linear_1.weight", [Q8, Q8]),
            ("text_encoder.layers.0.mlp.fc1.weight", [Q8, Q8]),
            ("text_encoder.position_embedding.weight", [F16, F16]),
        ] {
            assert_eq!(types(name, &square), expected, "{name}");
        }
    }

    #[test]
    fn narrow_layers_are_finer_and_have_smaller_groups() {
        let name = "unet.mid_block.resnets.0.conv1.weight";
        assert_eq!(types(name, &[160, 3, 3, 255]), [StoredType::F16; 2]);
        assert_eq!(
            types(name, &[160, 3, 3, 160]),
            [StoredType::Q8, StoredType::Q4]
        );
        let (stored, quantization) = stored_type(Precision::Q8, name, &[160, 3, 3, 160]);
        assert_eq!((stored, quantization.unwrap().group), (StoredType::Q8, 32));
        assert_eq!(types(name, &[160]), [StoredType::F16; 2]);
    }
}
