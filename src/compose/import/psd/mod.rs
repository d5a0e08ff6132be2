//! Photoshop's PSD and PSB as scenes, after the "Adobe Photoshop File Formats Specification": RGB and grey of 8
//! and 16 bits. Colours are brought to sRGB from the file's profile.

mod bytes;
mod channels;
mod colors;
mod document;
mod layers;
mod pixels;
mod record;

use document::Document;
use layers::Reader;

use super::super::scene::Layer;
use super::super::scene_image::SceneImage;
use super::{ONLY_MERGED, OpenedScene, bad_image, scene_of_size};
use crate::Result;

/// Reads a file that begins as these do.
pub(super) fn read(bytes: &[u8]) -> Result<OpenedScene> {
    let document = Document::read(bytes)?;
    let mut scene = scene_of_size(document.width, document.height, Vec::new())?;
    let mut reader = Reader::new(&document);
    if document.depth == 2 {
        reader
            .warnings
            .push("its 16 bits a channel are brought to 8".into());
    }
    match &document.records {
        Some(records) => scene.layers = reader.layers(records)?,
        None => reader.warnings.push("its list of layers is damaged".into()),
    }
    if reader.pictures.is_empty() {
        let is_flat = document.records.as_ref().is_some_and(Vec::is_empty);
        let picture = reader.pixels.merged(&document)?;
        if document.channels > reader.pixels.merged_channels(&document) {
            let left_out = "it has channels beside its colours, which are left out";
            reader.warnings.push(left_out.into());
        }
        let name = if is_flat { "Background" } else { "merged" };
        if !is_flat {
            reader.warnings.push(ONLY_MERGED.into());
        }
        let path = reader.pictures.add(name, SceneImage::Pixels(picture));
        scene.layers = vec![Layer {
            name: Some(name.into()),
            ..Layer::picture(path)
        }];
    }
    Ok(OpenedScene {
        scene,
        images: reader.pictures.into_images(),
        warnings: reader.warnings,
    })
}

fn damaged(what: &str) -> crate::Error {
    bad_image(format!("it is no sound PSD file: {what}"), HINT)
}

const HINT: &str = "save it anew with the program that made it";
