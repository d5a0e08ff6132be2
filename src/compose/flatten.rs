//! A scene to one picture.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::blend::BlendMode;
use super::color::Decoder;
use super::operator::Operator;
use super::placed::PlacedPicture;
use super::row::Row;
use super::scene::{Layer, Scene};
use super::transform::Transform;
use crate::image::Picture;
use crate::{Error, ErrorCode, Result};

/// Composites the layers of `scene` and clips them to its size: straight sRGB, transparent black
/// where nothing is.
///
/// `resolve` gives the picture at a path of the scene, owned, borrowed or shared (`Rc`, `Arc`); it
/// is called once for each of [`Scene::image_paths`].
///
/// Fails as [`Scene::validate`] does, with the errors of `resolve`, with `bad_image` for a picture
/// that is empty or whose bytes do not fit its size, and with `out_of_memory`.
pub fn flatten<P: Borrow<Picture>>(
    scene: &Scene,
    resolve: impl FnMut(&str) -> Result<P>,
) -> Result<Picture> {
    scene.validate()?;
    flatten_with(scene, &pictures(scene.image_paths(), resolve)?)
}

/// The pictures of a scene by their paths.
pub(super) type Pictures<'a, P> = BTreeMap<&'a str, P>;

/// What `resolve` gives for `paths`, checked.
pub(super) fn pictures<'a, P: Borrow<Picture>>(
    paths: Vec<&'a str>,
    mut resolve: impl FnMut(&str) -> Result<P>,
) -> Result<Pictures<'a, P>> {
    let mut pictures = BTreeMap::new();
    for path in paths {
        let picture = resolve(path)?;
        check_picture(path, picture.borrow())?;
        pictures.insert(path, picture);
    }
    Ok(pictures)
}

/// [`flatten`] for a valid scene whose visible pictures are all there.
pub(super) fn flatten_with<P: Borrow<Picture>>(
    scene: &Scene,
    pictures: &Pictures<P>,
) -> Result<Picture> {
    let decoder = Decoder::new(scene.space);
    let surroundings = FlattenContext {
        scene_size: [scene.width, scene.height].map(|side| side as f64),
        pictures,
        decoder: &decoder,
    };
    let stack = surroundings.stack(&scene.layers, &Transform::IDENTITY);
    let mut rgba = transparent_bytes(4 * scene.width * scene.height)?;
    paint(scene, &stack, &decoder, &mut rgba);
    Ok(Picture {
        width: scene.width,
        height: scene.height,
        rgba,
    })
}

fn check_picture(path: &str, picture: &Picture) -> Result<()> {
    let Picture {
        width,
        height,
        rgba,
    } = picture;
    if rgba.is_empty() || width.checked_mul(*height) != Some(rgba.len() / 4) || rgba.len() % 4 != 0
    {
        let bytes = rgba.len();
        return Err(Error::new(
            ErrorCode::BadImage,
            format!("the picture {path:?} is {width} x {height} and has {bytes} bytes"),
            "give at least one pixel and four bytes for each",
        ));
    }
    Ok(())
}

/// `length` bytes of 0, or `out_of_memory`.
pub(super) fn transparent_bytes(length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| {
        Error::new(
            ErrorCode::OutOfMemory,
            format!("no memory for a scene of {length} bytes"),
            "use a smaller scene",
        )
    })?;
    bytes.resize(length, 0);
    Ok(bytes)
}

/// A visible layer, ready to be drawn.
struct ResolvedLayer<'a> {
    content: Content<'a>,
    opacity: f32,
    blend: BlendMode,
    operator: Operator,
}

enum Content<'a> {
    Picture(PlacedPicture<'a>),
    Group(Vec<ResolvedLayer<'a>>),
}

/// What is needed to make sheets of layers.
struct FlattenContext<'a, P> {
    scene_size: [f64; 2],
    pictures: &'a Pictures<'a, P>,
    decoder: &'a Decoder,
}

impl<'a, P: Borrow<Picture>> FlattenContext<'a, P> {
    /// The visible ones of `layers`, in a space that `outer` carries into the scene.
    fn stack(&self, layers: &[Layer], outer: &Transform) -> Vec<ResolvedLayer<'a>> {
        let visible = layers.iter().filter(|layer| layer.visible);
        visible
            .filter_map(|layer| {
                Some(ResolvedLayer {
                    content: self.content(layer, outer)?,
                    opacity: layer.opacity as f32,
                    blend: layer.blend,
                    operator: layer.operator,
                })
            })
            .collect()
    }

    /// `None` for a layer without content, which validation does not let pass.
    fn content(&self, layer: &Layer, outer: &Transform) -> Option<Content<'a>> {
        if let Some(layers) = &layer.layers {
            let transform = outer.after(&placement(layer, self.scene_size));
            return Some(Content::Group(self.stack(layers, &transform)));
        }
        let picture: &Picture = self.pictures.get(layer.image.as_deref()?)?.borrow();
        let size = [picture.width, picture.height].map(|side| side as f64);
        let transform = outer.after(&placement(layer, size));
        let placed = PlacedPicture::new(picture, self.decoder, &transform);
        Some(Content::Picture(placed))
    }
}

/// The place of a layer whose content has this size.
pub(super) fn placement(layer: &Layer, size: [f64; 2]) -> Transform {
    let centre = size.map(|side| side / 2.0);
    Transform::about(
        centre,
        layer.flip,
        layer.scale,
        layer.rotate,
        [layer.x, layer.y],
    )
}

fn paint(scene: &Scene, stack: &[ResolvedLayer], decoder: &Decoder, rgba: &mut [u8]) {
    let background = decoder.pixel(scene.background.rgba).to_array();
    let mut backdrop = Row::new(scene.width);
    let mut scratch: Vec<Row> = (0..=depth(stack)).map(|_| Row::new(scene.width)).collect();
    for (y, bytes) in rgba.chunks_exact_mut(4 * scene.width).enumerate() {
        backdrop.fill(background);
        let line = Scanline {
            y,
            width: scene.width,
        };
        line.paint(stack, &mut backdrop, &mut scratch);
        backdrop.write(scene.space, bytes);
    }
}

/// How many groups lie within each other at most.
fn depth(stack: &[ResolvedLayer]) -> usize {
    let depths = stack.iter().map(|sheet| match &sheet.content {
        Content::Picture(_) => 0,
        Content::Group(stack) => 1 + depth(stack),
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
    fn paint(&self, stack: &[ResolvedLayer], backdrop: &mut Row, scratch: &mut [Row]) {
        let Some((source, deeper)) = scratch.split_first_mut() else {
            return;
        };
        for sheet in stack {
            match &sheet.content {
                Content::Picture(picture) => self.paint_picture(sheet, picture, backdrop, source),
                Content::Group(group) => {
                    source.fill([0.0; 4]);
                    self.paint(group, source, deeper);
                    source.fade(sheet.opacity);
                    backdrop.composite(source, 0..self.width, sheet.blend, sheet.operator);
                }
            }
        }
    }

    fn paint_picture(
        &self,
        sheet: &ResolvedLayer,
        picture: &PlacedPicture,
        backdrop: &mut Row,
        source: &mut Row,
    ) {
        if sheet.blend == BlendMode::Normal && sheet.operator == Operator::SourceOver {
            let draw = |x, pixels| backdrop.draw_four_over(x, pixels);
            picture.read_row(self.y, self.width, sheet.opacity, draw);
            return;
        }
        let set = |x, pixels| source.set_four(x, pixels);
        let span = picture.read_row(self.y, self.width, sheet.opacity, set);
        backdrop.composite(source, span.clone(), sheet.blend, sheet.operator);
        if sheet.operator.erases_outside() {
            backdrop.keep_only(span);
        }
    }
}
