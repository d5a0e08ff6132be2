use super::networks::Stage;
use super::request::MAX_SIDE;
use crate::pack::{Manifest, Mode};
use crate::{Error, ErrorCode, Result};

/// What generating a picture takes of a device's memory at most, in bytes: weights, intermediate
/// results and what is held in reserve between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// With all networks loaded, so that the next picture needs no loading.
    pub all_loaded: u64,
    /// With one network loaded at a time.
    pub one_at_a_time: u64,
}

/// What a picture takes of the memory of a device that runs `manifest`'s pack; mode and size are
/// the model's defaults where left out. Weights count as they are stored; the rest is a bound on
/// what was measured (docs/measurements.md).
///
/// # Errors
/// `bad_option` if a side is longer than any picture's.
pub fn estimate_memory(
    manifest: &Manifest,
    mode: Option<Mode>,
    width: Option<usize>,
    height: Option<usize>,
) -> Result<MemoryEstimate> {
    let mode = mode.unwrap_or_else(|| Mode::default_for(manifest));
    let width = width.unwrap_or(manifest.defaults.width);
    let height = height.unwrap_or(manifest.defaults.height);
    estimate(manifest, mode, width, height, GUIDED)
}

/// Rows that the UNet sees for each frame with guidance: of the prompt and of the negative prompt.
pub(super) const GUIDED: usize = 2;

/// As [`estimate_memory`], where the UNet sees so many `rows` for each frame.
pub(super) fn estimate(
    manifest: &Manifest,
    mode: Mode,
    width: usize,
    height: usize,
    rows: usize,
) -> Result<MemoryEstimate> {
    if width.max(height) > MAX_SIDE {
        return Err(Error::new(
            ErrorCode::BadOption,
            format!("a picture of {width} x {height} is too large"),
            format!("use sides up to {MAX_SIDE}"),
        ));
    }
    let pixels = (width * height) as u64;
    let rows = (rows * mode.roles().len()) as u64;
    let weights = |stage: Stage| manifest.device_bytes(|name| stage.wants(name));
    let text = weights(Stage::TextEncoder);
    let unet = weights(Stage::Unet(mode.adapter(manifest)));
    let decoders = weights(Stage::Decoders);
    let loaded = [
        (text, TEXT_WORK),
        (
            unet,
            unet / JOINED_SHARE + unet_work(manifest, rows, pixels / 64),
        ),
        (decoders, decoder_work(manifest, pixels)),
    ];
    let all: u64 = loaded.iter().map(|(weights, _)| weights).sum();
    let most = loaded.iter().map(|(_, work)| *work).max();
    let alone = loaded.iter().map(|(weights, work)| weights + work).max();
    Ok(MemoryEstimate {
        all_loaded: all + most.unwrap_or(0),
        one_at_a_time: alone.unwrap_or(0),
    })
}

/// The text encoder: features of some tokens.
const TEXT_WORK: u64 = 16 << 20;

/// While a UNet is loaded, so much of it is there twice: layers of one input become one.
const JOINED_SHARE: u64 = 6;

/// What comes on top everywhere: small buffers, and those that a GPU's driver rounds up.
const MARGIN: u64 = 32 << 20;

/// Bytes of a feature map of so many channels and cells.
fn map_bytes(channels: u64, cells: u64) -> u64 {
    4 * channels * cells
}

/// A size of tensor `name`; 0 if the pack does not have it.
fn size(manifest: &Manifest, name: &str, axis: usize) -> u64 {
    let shape = manifest.tensors.get(name).map(|entry| &entry.shape);
    shape
        .and_then(|shape| shape.get(axis))
        .map_or(0, |size| *size as u64)
}

/// The UNet, on a batch of `rows` latents of `cells` cells each: maps like its finest.
fn unet_work(manifest: &Manifest, rows: u64, cells: u64) -> u64 {
    let finest = map_bytes(size(manifest, "unet.conv_in.weight", 0) * rows, cells);
    MARGIN + 25 * finest
}

/// The VAE's decoder and, after it, the transparency decoder, on one picture: the VAE's largest map
/// and a few tiles, and the transparency decoder's many maps in full size.
fn decoder_work(manifest: &Manifest, pixels: u64) -> u64 {
    let first = |level: usize| format!("vae.decoder.up_blocks.{level}.resnets.0.conv1.weight");
    let levels = (0..).take_while(|level| size(manifest, &first(*level), 0) > 0);
    let last = levels.count().saturating_sub(1);
    let largest = map_bytes(size(manifest, &first(last), 3), pixels);
    let vae = largest + (6 * largest).min(224 << 20);
    let finest = map_bytes(
        size(manifest, "transparency_decoder.conv_in.weight", 0),
        pixels,
    );
    MARGIN + vae.max(10 * finest)
}
