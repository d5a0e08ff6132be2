//! A scene's layers with their pictures, each with its transform into the scene: what flattening and
//! export both work from.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;

use super::blend::BlendMode;
use super::operator::Operator;
use super::scene::{Layer, Scene};
use super::transform::Transform;
use crate::image::{Picture, Recipe};
use crate::{Error, ErrorCode, Result};

/// A layer and where it comes to lie.
pub(super) struct ResolvedLayer<'a> {
    pub name: &'a str,
    pub visible: bool,
    /// 0 to 1.
    pub opacity: f64,
    pub blend: BlendMode,
    pub operator: Operator,
    /// What made its picture.
    pub recipe: Option<&'a Recipe>,
    pub content: Content<'a>,
}

/// What a layer shows.
pub(super) enum Content<'a> {
    /// A picture, and the transform that carries it into the scene.
    Picture(Cow<'a, Picture>, Transform),
    /// Bottom first.
    Group(Vec<ResolvedLayer<'a>>),
}

/// The pictures of a scene by their paths.
pub(super) type Pictures<'a, P> = BTreeMap<&'a str, P>;

/// What `read` gives for `paths`, checked.
pub(super) fn pictures<'a, P: Borrow<Picture>>(
    paths: Vec<&'a str>,
    mut read: impl FnMut(&str) -> Result<P>,
) -> Result<Pictures<'a, P>> {
    let mut pictures = BTreeMap::new();
    for path in paths {
        let picture = read(path)?;
        check_picture(path, picture.borrow())?;
        pictures.insert(path, picture);
    }
    Ok(pictures)
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

/// The layers of a valid scene, bottom first, hidden ones included; without those whose picture is
/// not among `pictures`.
pub(super) fn resolve<'a, P: Borrow<Picture>>(
    scene: &'a Scene,
    pictures: &'a Pictures<P>,
) -> Vec<ResolvedLayer<'a>> {
    let size = [scene.width, scene.height].map(|side| side as f64);
    resolve_layers(&scene.layers, size, pictures, &Transform::IDENTITY)
}

/// `layers` in a space that `outer` carries into the scene of this size.
fn resolve_layers<'a, P: Borrow<Picture>>(
    layers: &'a [Layer],
    scene_size: [f64; 2],
    pictures: &'a Pictures<P>,
    outer: &Transform,
) -> Vec<ResolvedLayer<'a>> {
    let content = |layer: &'a Layer| {
        if let Some(layers) = &layer.layers {
            let transform = outer.after(&placement(layer, scene_size));
            let group = resolve_layers(layers, scene_size, pictures, &transform);
            return Some(Content::Group(group));
        }
        let picture: &Picture = pictures.get(layer.image.as_deref()?)?.borrow();
        let size = [picture.width, picture.height].map(|side| side as f64);
        let transform = outer.after(&placement(layer, size));
        Some(Content::Picture(Cow::Borrowed(picture), transform))
    };
    let resolved = layers.iter().filter_map(|layer| {
        let name = [&layer.name, &layer.role, &layer.image];
        let name = name.into_iter().flatten().next();
        Some(ResolvedLayer {
            name: name.map_or("group", String::as_str),
            visible: layer.visible,
            opacity: layer.opacity,
            blend: layer.blend,
            operator: layer.operator,
            recipe: layer.recipe.as_ref(),
            content: content(layer)?,
        })
    });
    resolved.collect()
}

/// The place of a layer whose content has this size.
fn placement(layer: &Layer, size: [f64; 2]) -> Transform {
    let centre = size.map(|side| side / 2.0);
    Transform::about(
        centre,
        layer.flip,
        layer.scale,
        layer.rotate,
        [layer.x, layer.y],
    )
}
