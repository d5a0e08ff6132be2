use super::place::{Checked, Flaw, Place, ensure};
use super::unet::{Attention, UnetSummary};
use crate::pack::AdapterKind;
use crate::transparency::ConditionEncoder;

/// An attention-sharing adapter, as it lies in a pack, for the UNet that `unet` summarises.
pub fn check(kind: AdapterKind, place: &Place, unet: &UnetSummary) -> Checked<()> {
    let hints = match kind.is_conditional() {
        true => check_hint_encoder(&place.at("kwargs_encoder"))?,
        false => Vec::new(),
    };
    for attention in &unet.attentions {
        let unit = place.at(&attention.path);
        // Before it is packed, one frame's unit has factors too.
        match kind.frames() {
            1 if !unit.has_below("to_q_lora") => check_folded(&unit, attention)?,
            frames => check_shared(&unit, attention, frames)?,
        }
        if kind.is_conditional() {
            check_control(&unit, attention, kind.frames(), &hints)?;
        }
    }
    Ok(())
}

/// Merged weights and one affine map.
fn check_folded(unit: &Place, attention: &Attention) -> Checked<()> {
    let Attention {
        channels,
        inner,
        source,
        ..
    } = *attention;
    unit.expect("to_q.weight", &[inner, channels])?;
    unit.expect("to_k.weight", &[inner, source])?;
    unit.expect("to_v.weight", &[inner, source])?;
    unit.expect("to_out.0.weight", &[channels, inner])?;
    unit.same("temporal", unit.linear("temporal", channels)?, channels)
}

/// Factors for each frame, and attention over the frames.
fn check_shared(unit: &Place, attention: &Attention, frames: usize) -> Checked<()> {
    let Attention {
        channels,
        inner,
        source,
        ..
    } = *attention;
    for (name, outputs, inputs) in [
        ("to_q_lora", inner, channels),
        ("to_k_lora", inner, source),
        ("to_v_lora", inner, source),
        ("to_out_lora", channels, inner),
    ] {
        let count = unit.count(name);
        ensure(count <= frames, || {
            format!(
                "{}.{name} is for {count} frames and not for {frames}",
                unit.name()
            )
        })?;
        for frame in 0..frames {
            let rank = unit.outputs(&format!("{name}.{frame}.down.weight"))?;
            unit.expect(&format!("{name}.{frame}.down.weight"), &[rank, inputs])?;
            unit.expect(&format!("{name}.{frame}.up.weight"), &[outputs, rank])?;
        }
    }
    unit.norm("temporal_n", channels)?;
    for name in [
        "temporal_i",
        "temporal_q",
        "temporal_k",
        "temporal_v",
        "temporal_o",
    ] {
        unit.same(name, unit.linear(name, channels)?, channels)?;
    }
    unit.heads(channels, attention.heads)
}

/// What the condition adds to the tokens of each frame.
fn check_control(
    unit: &Place,
    attention: &Attention,
    frames: usize,
    hints: &[usize],
) -> Checked<()> {
    let hint = hints.get(attention.level).ok_or_else(|| {
        let name = unit.name();
        Flaw::Unsupported(format!(
            "{name} is at a level without a map of the condition"
        ))
    })?;
    for frame in 0..frames {
        let branch = unit.at(format!("control_convs.{frame}"));
        let hidden = branch.conv("0", *hint, 3)?;
        branch.same("2", branch.conv("2", hidden, 1)?, attention.channels)?;
    }
    Ok(())
}

/// The condition's encoder; gives the channels of its map for each level.
fn check_hint_encoder(place: &Place) -> Checked<Vec<usize>> {
    let mut channels = 3;
    let groups = (0..).take_while(|group| place.has_below(format!("blocks_{group}")));
    groups
        .map(|group| {
            for index in 0..ConditionEncoder::strides(group).len() {
                let name = format!("blocks_{group}.{}", 2 * index);
                channels = place.conv(&name, channels, 3)?;
            }
            Ok(channels)
        })
        .collect()
}
