//! Scenes as files of layers for other programs.
//!
//! Such a file holds every layer with its name, place, opacity, blend mode and visibility, groups as
//! groups, and the flattened scene. Layers that only lie elsewhere keep their bytes, colour under
//! alpha 0 included; those that are scaled, turned, mirrored or moved by parts of a pixel are drawn
//! as they appear. The scene's background, if it has one, is the lowest layer. What a format cannot
//! express is refused, by the layer's name.

mod bundle;
mod ora;
mod place;
mod psd;
mod sprites;
mod zip;

use std::borrow::{Borrow, Cow};

pub use bundle::to_zip;
pub use ora::to_ora;
use place::place;
pub use psd::to_psd;
pub use sprites::{Sprite, SpriteSheet, SpriteSheetOptions, scene_sprites, to_sprite_sheet};

use super::blend::BlendMode;
use super::color::ColorSpace;
use super::flatten::flatten_with;
use super::memory::transparent_bytes;
use super::operator::Operator;
use super::resolve::{Content, ResolvedLayer, pictures, resolve};
use super::scene::Scene;
use super::transform::Transform;
use crate::image::Picture;
use crate::{Error, ErrorCode, Result};

/// Checks the scene, gets its pictures and hands `write` the layers, bottom first, and the flattened
/// scene.
fn export<P: Borrow<Picture>>(
    scene: &Scene,
    format: &str,
    read: impl FnMut(&str) -> Result<P>,
    write: impl FnOnce(&[ResolvedLayer], &Picture) -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    scene.validate()?;
    if scene.space == ColorSpace::Linear {
        return Err(Error::new(
            ErrorCode::BadOption,
            format!("{format} has no layers that mix in linear light"),
            "set the scene's space to srgb, or write a PNG",
        ));
    }
    let pictures = pictures(scene.all_image_paths(), read)?;
    let mut layers = Vec::new();
    layers.extend(background(scene)?);
    layers.extend(resolve(scene, &pictures));
    write(&layers, &flatten_with(scene, &pictures)?)
}

/// The scene's background as a layer, unless it is transparent.
fn background(scene: &Scene) -> Result<Option<ResolvedLayer<'static>>> {
    let color = scene.background.rgba;
    if color[3] == 0 {
        return Ok(None);
    }
    let mut rgba = transparent_bytes(4 * scene.width * scene.height)?;
    rgba.as_chunks_mut().0.fill(color);
    let picture = Picture {
        width: scene.width,
        height: scene.height,
        rgba,
    };
    Ok(Some(ResolvedLayer {
        name: "background",
        visible: true,
        opacity: 1.0,
        blend: BlendMode::Normal,
        operator: Operator::SourceOver,
        recipe: None,
        content: Content::Picture(Cow::Owned(picture), Transform::IDENTITY),
    }))
}

impl ResolvedLayer<'_> {
    /// The error for a layer whose blend mode and operator `format` cannot express.
    fn inexpressible(&self, format: &str) -> Error {
        let Self {
            name,
            blend,
            operator,
            ..
        } = self;
        Error::new(
            ErrorCode::BadOption,
            format!(
                "layer {name:?}: {format} cannot express blend mode {blend} with operator {operator} here"
            ),
            "change them, or write a PNG",
        )
    }
}
