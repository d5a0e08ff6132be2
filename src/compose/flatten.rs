//! A scene to one picture.

use std::borrow::Borrow;

use super::blend::BlendMode;
use super::color::Decoder;
use super::memory::transparent_bytes;
use super::operator::Operator;
use super::placed::PlacedPicture;
use super::resolve::{Content, Pictures, ResolvedLayer, pictures, resolve};
use super::row::Row;
use super::scene::Scene;
use crate::Result;
use crate::image::Picture;

/// Composites the layers of `scene` and clips them to its size: straight sRGB, transparent black
/// where nothing is.
///
/// `read` gives the picture at a path of the scene, owned, borrowed or shared (`Rc`, `Arc`); it
/// is called once for each of [`Scene::image_paths`].
///
/// Fails as [`Scene::validate`] does, with the errors of `read`, with `bad_image` for a picture
/// that is empty or whose bytes do not fit its size, and with `out_of_memory`.
pub fn flatten<P: Borrow<Picture>>(
    scene: &Scene,
    read: impl FnMut(&str) -> Result<P>,
) -> Result<Picture> {
    scene.validate()?;
    flatten_with(scene, &pictures(scene.image_paths(), read)?)
}

/// [`flatten`] for a valid scene whose visible pictures are all there.
pub(super) fn flatten_with<P: Borrow<Picture>>(
    scene: &Scene,
    pictures: &Pictures<P>,
) -> Result<Picture> {
    let decoder = Decoder::new(scene.space);
    let layers = resolve(scene, pictures);
    let stack = drawn(&layers, &decoder)?;
    let mut rgba = transparent_bytes(4 * scene.width * scene.height)?;
    paint(scene, &stack, &decoder, &mut rgba)?;
    Ok(Picture {
        width: scene.width,
        height: scene.height,
        rgba,
    })
}

/// A visible layer, ready to be drawn.
struct DrawnLayer<'a> {
    content: Drawn<'a>,
    opacity: f32,
    blend: BlendMode,
    operator: Operator,
}

enum Drawn<'a> {
    Picture(PlacedPicture<'a>),
    Group(Vec<DrawnLayer<'a>>),
}

/// The visible ones of `layers`.
fn drawn<'a>(layers: &'a [ResolvedLayer], decoder: &'a Decoder) -> Result<Vec<DrawnLayer<'a>>> {
    let draw = |layer: &'a ResolvedLayer| {
        Ok(DrawnLayer {
            content: match &layer.content {
                Content::Picture(picture, transform) => {
                    Drawn::Picture(PlacedPicture::new(picture, decoder, transform)?)
                }
                Content::Group(layers) => Drawn::Group(drawn(layers, decoder)?),
            },
            opacity: layer.opacity as f32,
            blend: layer.blend,
            operator: layer.operator,
        })
    };
    let visible = layers.iter().filter(|layer| layer.visible);
    visible.map(draw).collect()
}

fn paint(scene: &Scene, stack: &[DrawnLayer], decoder: &Decoder, rgba: &mut [u8]) -> Result<()> {
    let background = decoder.pixel(scene.background.rgba).to_array();
    let mut backdrop = Row::new(scene.width)?;
    let rows = (0..=depth(stack)).map(|_| Row::new(scene.width));
    let mut scratch = rows.collect::<Result<Vec<_>>>()?;
    for (y, bytes) in rgba.chunks_exact_mut(4 * scene.width).enumerate() {
        backdrop.fill(background);
        let line = Scanline {
            y,
            width: scene.width,
        };
        line.paint(stack, &mut backdrop, &mut scratch);
        backdrop.write(scene.space, bytes);
    }
    Ok(())
}

/// How many groups lie within each other at most.
fn depth(stack: &[DrawnLayer]) -> usize {
    let depths = stack.iter().map(|layer| match &layer.content {
        Drawn::Picture(_) => 0,
        Drawn::Group(stack) => 1 + depth(stack),
    });
    depths.max().unwrap_or(0)
}

/// One row of the scene.
struct Scanline {
    y: usize,
    width: usize,
}

impl Scanline {
    /// Composites `stack` onto `backdrop`. `scratch` has a row for this stack and one for each
    /// level of groups in it.
    fn paint(&self, stack: &[DrawnLayer], backdrop: &mut Row, scratch: &mut [Row]) {
        let Some((source, deeper)) = scratch.split_first_mut() else {
            return;
        };
        for layer in stack {
            match &layer.content {
                Drawn::Picture(picture) => self.paint_picture(layer, picture, backdrop, source),
                Drawn::Group(group) => {
                    source.fill([0.0; 4]);
                    self.paint(group, source, deeper);
                    source.fade(layer.opacity);
                    backdrop.composite(source, 0..self.width, layer.blend, layer.operator);
                }
            }
        }
    }

    fn paint_picture(
        &self,
        layer: &DrawnLayer,
        picture: &PlacedPicture,
        backdrop: &mut Row,
        source: &mut Row,
    ) {
        if layer.blend == BlendMode::Normal && layer.operator == Operator::SourceOver {
            let draw = |x, pixels| backdrop.draw_four_over(x, pixels);
            picture.read_row(self.y, self.width, layer.opacity, draw);
            return;
        }
        let set = |x, pixels| source.set_four(x, pixels);
        let span = picture.read_row(self.y, self.width, layer.opacity, set);
        backdrop.composite(source, span.clone(), layer.blend, layer.operator);
        if layer.operator.erases_outside() {
            backdrop.keep_only(span);
        }
    }
}
