use super::place::{Checked, LATENT, Place};

/// TAESD's decoder, whose tensors are named by place in a sequence.
pub fn check_decoder(place: &Place) -> Checked<()> {
    let channels = place.conv("1", LATENT, 3)?;
    for first in [3, 8, 13] {
        check_blocks(place, first..first + 3, channels)?;
        let conv = (first + 4).to_string();
        place.same(&conv, place.conv_weight(&conv, channels, 3)?, channels)?;
    }
    check_blocks(place, 18..19, channels)?;
    place.same("19", place.conv("19", channels, 3)?, 3)
}

/// TAESD's encoder.
pub fn check_encoder(place: &Place) -> Checked<()> {
    let channels = place.conv("0", 3, 3)?;
    check_blocks(place, 1..2, channels)?;
    for first in [2, 6, 10] {
        let conv = first.to_string();
        place.same(&conv, place.conv_weight(&conv, channels, 3)?, channels)?;
        check_blocks(place, first + 1..first + 4, channels)?;
    }
    place.same("14", place.conv("14", channels, 3)?, LATENT)
}

fn check_blocks(place: &Place, blocks: std::ops::Range<usize>, channels: usize) -> Checked<()> {
    for block in blocks {
        for conv in [0, 2, 4] {
            let name = format!("{block}.conv.{conv}");
            place.same(&name, place.conv(&name, channels, 3)?, channels)?;
        }
    }
    Ok(())
}
