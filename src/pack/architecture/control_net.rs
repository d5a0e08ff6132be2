use serde_json::{Value, json};

use super::place::{Checked, LATENT, Place, ensure, only};
use super::unet::{UnetSummary, check_contracting};
use crate::unet::UnetConfig;

/// Convolutions of the hint's embedding between its first and its last, every second of stride 2.
const HINT_BLOCKS: usize = 6;

/// A ControlNet for the UNet that `unet` summarises.
pub fn check(
    config: &Value,
    settings: &UnetConfig,
    place: &Place,
    unet: &UnetSummary,
) -> Checked<()> {
    only(config, "in_channels", &[json!(LATENT)])?;
    let own = check_contracting(config, settings, place)?;
    let fits = (&own.skips, own.middle, own.context) == (&unet.skips, unet.middle, unet.context);
    ensure(fits, || format!("{} is for another UNet", place.name()))?;
    let hint = place.at("controlnet_cond_embedding");
    let mut channels = hint.conv("conv_in", 3, 3)?;
    let blocks = hint.count("blocks");
    ensure(blocks == HINT_BLOCKS, || {
        format!(
            "{} has {blocks} blocks where {HINT_BLOCKS} are needed",
            hint.name()
        )
    })?;
    for index in 0..blocks {
        channels = hint.conv(&format!("blocks.{index}"), channels, 3)?;
    }
    hint.same(
        "conv_out",
        hint.conv("conv_out", channels, 3)?,
        unet.skips[0],
    )?;
    for (index, channels) in unet.skips.iter().enumerate() {
        let name = format!("controlnet_down_blocks.{index}");
        place.same(&name, place.conv(&name, *channels, 1)?, *channels)?;
    }
    let count = place.count("controlnet_down_blocks");
    ensure(count == unet.skips.len(), || {
        format!(
            "{} has {count} outputs where {} are needed",
            place.name(),
            unet.skips.len()
        )
    })?;
    let name = "controlnet_mid_block";
    place.same(name, place.conv(name, unet.middle, 1)?, unet.middle)
}
