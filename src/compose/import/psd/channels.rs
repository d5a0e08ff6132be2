//! The samples of channels, which are compressed in four ways.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::super::super::memory::reserve;
use super::super::super::pack_bits::unpack_bits;
use super::bytes::Bytes;
use crate::{Error, Result};

/// How wide and high a channel is, and how its file has it.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Bytes a sample: 1 or 2.
    pub(super) depth: usize,
    /// Whether the lengths of packed rows take 4 bytes instead of 2.
    pub(super) large: bool,
}

impl Shape {
    fn row(&self) -> usize {
        self.width * self.depth
    }

    pub(super) fn bytes(&self) -> usize {
        self.row() * self.height
    }
}

/// Why a channel has no samples.
pub(super) enum Unread {
    /// Its bytes are not what they should be, in words.
    Damaged(&'static str),
    /// What ends the reading of the whole file.
    Failed(Error),
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Samples = std::result::Result<Vec<u8>, Unread>;

/// The samples of the first `wanted` of `count` channels of one shape, one after the other, from bytes that say
/// first how they are compressed.
pub(super) fn samples(bytes: &[u8], shape: Shape, count: usize, wanted: usize) -> Samples {
    let mut bytes = Bytes(bytes);
    let cut = || Unread::Damaged("a channel is cut short");
    let compression = bytes.u16().ok_or_else(cut)?;
    let length = shape.bytes() * wanted;
    match compression {
        0 => {
            let taken = bytes.take(length).ok_or_else(cut)?;
            let mut samples = room(length)?;
            samples.extend(taken);
            Ok(samples)
        }
        1 => packed_rows(bytes, shape, count, wanted),
        2 => inflated(bytes.0, length),
        3 => {
            let mut samples = inflated(bytes.0, length)?;
            // Each sample is the difference to the one before in its row.
            samples
                .chunks_exact_mut(shape.row().max(1))
                .for_each(|row| match shape.depth {
                    1 => add_up_bytes(row),
                    _ => add_up_words(row),
                });
            Ok(samples)
        }
        _ => Err(Unread::Damaged(
            "a channel is compressed in a way that is not known",
        )),
    }
}

fn room(length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reserve(&mut bytes, length)?;
    Ok(bytes)
}

fn packed_rows(mut bytes: Bytes, shape: Shape, count: usize, wanted: usize) -> Samples {
    let damaged = || Unread::Damaged("a packed row is damaged");
    let width = if shape.large { 4 } else { 2 };
    let lengths = bytes
        .take(shape.height * count * width)
        .ok_or_else(damaged)?;
    // Two bytes stand for 128 at most: what a short file says to be long is not made room for.
    if shape.bytes() * wanted > bytes.0.len().saturating_mul(64) {
        return Err(damaged());
    }
    let mut samples = room(shape.bytes() * wanted)?;
    for length in lengths.chunks_exact(width).take(shape.height * wanted) {
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let row = bytes.take(length).ok_or_else(damaged)?;
        unpack_bits(row, shape.row(), &mut samples).ok_or_else(damaged)?;
    }
    Ok(samples)
}

fn inflated(bytes: &[u8], length: usize) -> Samples {
    let damaged = || Unread::Damaged("a compressed channel is damaged");
    // No zlib stream stands for more.
    if length > bytes.len().saturating_mul(1032) {
        return Err(damaged());
    }
    let mut samples = room(length)?;
    let mut from = ZlibDecoder::new(bytes).take(length as u64);
    from.read_to_end(&mut samples).map_err(|_| damaged())?;
    match samples.len() == length {
        true => Ok(samples),
        false => Err(damaged()),
    }
}

fn add_up_bytes(row: &mut [u8]) {
    row.iter_mut().fold(0u8, |sum, byte| {
        *byte = byte.wrapping_add(sum);
        *byte
    });
}

fn add_up_words(row: &mut [u8]) {
    row.as_chunks_mut::<2>()
        .0
        .iter_mut()
        .fold(0u16, |sum, word| {
            let value = u16::from_be_bytes(*word).wrapping_add(sum);
            *word = value.to_be_bytes();
            value
        });
}
