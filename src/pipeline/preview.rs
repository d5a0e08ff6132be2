use crate::image::Picture;

/// A rough picture of the first frame of a latent `[frames, 4, height, width]` in the sampler's scale, one pixel a cell, by
/// the pack's linear map from latents to colours.
pub fn preview(latent: &[f32], width: usize, height: usize, map: &[[f32; 3]]) -> Picture {
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
