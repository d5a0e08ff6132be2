use super::networks::Networks;
use crate::Result;
use crate::image::Picture;
use crate::weights::HostTensor;
use crate::weights::host::{host_values, to_device};

/// A rough picture of the first frame of a latent `[frames, 4, height, width]` in the UNet's
/// scale: by TAESD in full size where there is one, else one pixel a cell by the pack's linear
/// `map` from latents to colours.
pub async fn preview(
    latent: &HostTensor,
    map: &[[f32; 3]],
    networks: &Networks,
) -> Result<Picture> {
    let [height, width] = [latent.shape[2], latent.shape[3]];
    let Some(decoder) = networks.tiny_decoder() else {
        return Ok(mapped(&latent.data, width, height, map));
    };
    let first = to_device(latent, &networks.device).narrow(0, 0, 1);
    let planes = host_values(decoder.forward(first).into_data_async().await)?;
    Ok(Picture::from_planes(&planes, 8 * width, 8 * height))
}

fn mapped(latent: &[f32], width: usize, height: usize, map: &[[f32; 3]]) -> Picture {
    let cells = width * height;
    let mut planes = vec![0.0; 3 * cells];
    for (color, plane) in planes.chunks_mut(cells).enumerate() {
        for (cell, value) in plane.iter_mut().enumerate() {
            let terms = map.iter().take(4).enumerate();
            let sum: f32 = terms
                .map(|(channel, row)| row[color] * latent[channel * cells + cell])
                .sum();
            *value = sum + map.get(4).map_or(0.0, |constant| constant[color]);
        }
    }
    Picture::from_planes(&planes, width, height)
}
