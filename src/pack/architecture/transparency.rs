use super::place::{Checked, LATENT, Place, ensure};
use super::skips::{Skips, check_resampler, count_resnets};
use crate::transparency::{TransparencyDecoder, TransparencyEncoder};

/// Red, green, blue and alpha.
const RGBA: usize = 4;

/// The network that hides alpha in a latent.
pub fn check_encoder(place: &Place) -> Checked<()> {
    let mut channels = RGBA;
    for (index, _) in TransparencyEncoder::CONVOLUTIONS {
        channels = place.conv(&format!("blocks.{index}"), channels, 3)?;
    }
    ensure(channels == LATENT, || {
        format!(
            "{} gives {channels} channels where {LATENT} are needed",
            place.name()
        )
    })
}

/// The network that reads colour and alpha from a picture and its latent.
pub fn check_decoder(place: &Place) -> Checked<()> {
    let levels = place.count("down_blocks");
    let needed = TransparencyDecoder::LATENT_LEVEL + 1..=TransparencyDecoder::MAX_LEVELS;
    ensure(needed.contains(&levels), || {
        format!(
            "{} has {levels} levels where {needed:?} are needed",
            place.name()
        )
    })?;
    let mut channels = place.conv("conv_in", 3, 3)?;
    let mut skips = Skips::new(channels);
    for index in 0..levels {
        if index == TransparencyDecoder::LATENT_LEVEL {
            let joined = place.conv("latent_conv_in", LATENT, 1)?;
            place.same("latent_conv_in", joined, channels)?;
        }
        let (level, is_last) = (
            place.at(format!("down_blocks.{index}")),
            index + 1 == levels,
        );
        for layer in 0..count_resnets(&level)? {
            channels = check_layer(&level, layer, channels)?;
            skips.push(channels, index);
        }
        check_resampler(&level, "downsamplers.0.conv", is_last, channels)?;
        if !is_last {
            skips.push(channels, index + 1);
        }
    }
    check_mid(&place.at("mid_block"), channels)?;
    for index in 0..levels {
        let level = place.at(format!("up_blocks.{index}"));
        for layer in 0..count_resnets(&level)? {
            let skip = skips.pop(&level, levels - 1 - index)?;
            channels = check_layer(&level, layer, channels + skip)?;
        }
        check_resampler(&level, "upsamplers.0.conv", index + 1 == levels, channels)?;
    }
    skips.finish(place)?;
    place.group_norm("conv_norm_out", channels, TransparencyDecoder::GROUPS)?;
    place.same("conv_out", place.conv("conv_out", channels, 3)?, RGBA)
}

fn check_layer(level: &Place, layer: usize, inputs: usize) -> Checked<usize> {
    let resnet = level.at(format!("resnets.{layer}"));
    let channels = resnet.resnet(inputs, TransparencyDecoder::GROUPS, None)?;
    let attention = level.at(format!("attentions.{layer}"));
    if attention.has_below("group_norm") {
        check_attention(&attention, channels)?;
    }
    Ok(channels)
}

fn check_mid(mid: &Place, channels: usize) -> Checked<()> {
    for name in ["resnets.0", "resnets.1"] {
        let outputs = mid
            .at(name)
            .resnet(channels, TransparencyDecoder::GROUPS, None)?;
        mid.same(name, outputs, channels)?;
    }
    check_attention(&mid.at("attentions.0"), channels)
}

fn check_attention(attention: &Place, channels: usize) -> Checked<()> {
    let heads = attention.outputs("to_q.weight")? / TransparencyDecoder::HEAD_CHANNELS;
    attention.attention_block(channels, heads, TransparencyDecoder::GROUPS)
}
