use serde_json::{Value, json};

use super::place::{Checked, Flaw, LATENT, Place, ensure, only};
use super::skips::{check_resampler, count_resnets};
use crate::vae::VaeConfig;

/// How often the width of a picture is halved on the way to its latent.
const HALVINGS: usize = 3;

/// The VAE. An encoder may be missing as a whole; then the model only decodes.
pub fn check(config: &Value, settings: &VaeConfig, place: &Place) -> Checked<()> {
    check_config(config)?;
    let factor = settings.scaling_factor;
    ensure(factor.is_finite() && factor > 0.0, || {
        format!("its config has scaling_factor {factor}")
    })?;
    let groups = settings.norm_num_groups;
    place.same(
        "post_quant_conv",
        place.conv("post_quant_conv", LATENT, 1)?,
        LATENT,
    )?;
    check_decoder(&place.at("decoder"), groups)?;
    if place.has_below("encoder") || place.has_below("quant_conv") {
        check_encoder(&place.at("encoder"), groups)?;
        let moments = 2 * LATENT;
        place.same("quant_conv", place.conv("quant_conv", moments, 1)?, moments)?;
    }
    Ok(())
}

fn check_config(config: &Value) -> Checked<()> {
    only(config, "_class_name", &[json!("AutoencoderKL")])?;
    only(config, "act_fn", &[json!("silu"), json!("swish")])?;
    only(config, "latent_channels", &[json!(LATENT)])?;
    only(config, "in_channels", &[json!(3)])?;
    only(config, "out_channels", &[json!(3)])?;
    only(config, "shift_factor", &[json!(0)])?;
    only(config, "latents_mean", &[json!(0)])?;
    only(config, "latents_std", &[json!(1)])?;
    for field in [
        "use_quant_conv",
        "use_post_quant_conv",
        "mid_block_add_attention",
    ] {
        only(config, field, &[json!(true)])?;
    }
    only(config, "down_block_types", &[json!("DownEncoderBlock2D")])?;
    only(config, "up_block_types", &[json!("UpDecoderBlock2D")])
}

fn check_decoder(decoder: &Place, groups: usize) -> Checked<()> {
    let channels = decoder.conv("conv_in", LATENT, 3)?;
    check_mid(&decoder.at("mid_block"), channels, groups)?;
    let channels = check_levels(decoder, "up_blocks", "upsamplers", channels, groups)?;
    decoder.group_norm("conv_norm_out", channels, groups)?;
    decoder.same("conv_out", decoder.conv("conv_out", channels, 3)?, 3)
}

fn check_encoder(encoder: &Place, groups: usize) -> Checked<()> {
    let channels = encoder.conv("conv_in", 3, 3)?;
    let channels = check_levels(encoder, "down_blocks", "downsamplers", channels, groups)?;
    check_mid(&encoder.at("mid_block"), channels, groups)?;
    encoder.group_norm("conv_norm_out", channels, groups)?;
    encoder.same(
        "conv_out",
        encoder.conv("conv_out", channels, 3)?,
        2 * LATENT,
    )
}

/// The levels below `blocks`; all but the last change the size by a convolution below `resampler`.
fn check_levels(
    place: &Place,
    blocks: &str,
    resampler: &str,
    mut channels: usize,
    groups: usize,
) -> Checked<usize> {
    let levels = place.count(blocks);
    if levels == 0 {
        return Err(Flaw::Missing(format!("{}.{blocks}.0", place.name())));
    }
    ensure(levels == HALVINGS + 1, || {
        let name = place.name();
        format!(
            "{name} has {levels} levels where {} are needed",
            HALVINGS + 1
        )
    })?;
    for index in 0..levels {
        let level = place.at(format!("{blocks}.{index}"));
        for resnet in 0..count_resnets(&level)? {
            let resnet = level.at(format!("resnets.{resnet}"));
            channels = resnet.resnet(channels, groups, None)?;
        }
        let conv = format!("{resampler}.0.conv");
        check_resampler(&level, &conv, index + 1 == levels, channels)?;
    }
    Ok(channels)
}

fn check_mid(mid: &Place, channels: usize, groups: usize) -> Checked<()> {
    for name in ["resnets.0", "resnets.1"] {
        let outputs = mid.at(name).resnet(channels, groups, None)?;
        mid.same(name, outputs, channels)?;
    }
    mid.at("attentions.0").attention_block(channels, 1, groups)
}
