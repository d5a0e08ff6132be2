//! Files of layers as scenes.
//!
//! What glassine has no word for, such as an adjustment layer or a mode of mixing, is left out or replaced by what
//! is nearest, and said in [`OpenedScene::warnings`]. Files come from strangers: no length that one states is
//! trusted further than the bytes that are there.

mod archive;
mod bundle;
mod ora;
mod pictures;
mod psd;

use std::collections::BTreeMap;

use archive::Archive;
use pictures::Pictures;

use super::scene::{Layer, MAX_SIDE, Scene};
use super::scene_image::SceneImage;
use crate::image::{Recipe, read_recipe};
use crate::{Error, ErrorCode, Result};

/// A scene that was read from a file.
#[derive(Debug, Clone)]
pub struct OpenedScene {
    /// Its layers.
    pub scene: Scene,
    /// The pictures of all layers, under the paths by which the scene names them.
    pub images: BTreeMap<String, SceneImage>,
    /// What of the file is not in the scene, or differently, in words for whoever opened it.
    pub warnings: Vec<String>,
}

/// Reads a file of layers: a scene file with its pictures in one zip archive (see [`to_zip`](super::to_zip)),
/// OpenRaster, PSD or PSB, or a PNG, JPEG or WebP file, which becomes a scene of one layer.
///
/// `name` is the file's: it is in messages, and a single picture's layer is called after it.
///
/// # Errors
/// `bad_image` for a file of another kind, or one that is damaged, `bad_option` for a scene file that is no valid
/// scene, `out_of_memory`.
pub fn open_scene(bytes: &[u8], name: &str) -> Result<OpenedScene> {
    let opened = match bytes {
        [b'8', b'B', b'P', b'S', ..] => psd::read(bytes),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => read_archive(bytes),
        _ => read_picture(bytes, name),
    };
    opened
        .and_then(|opened| {
            opened.scene.validate()?;
            Ok(opened)
        })
        .map_err(|error| Error::new(error.code, format!("{name}: {}", error.message), error.hint))
}

fn bad_image(message: impl Into<String>, hint: &str) -> Error {
    Error::new(ErrorCode::BadImage, message, hint)
}

/// What kind of archive it is, is known by what is in it.
fn read_archive(bytes: &[u8]) -> Result<OpenedScene> {
    let mut archive = Archive::open(bytes)?;
    if let Some(scene) = bundle::scene_path(&archive) {
        return bundle::read(&mut archive, &scene);
    }
    if archive.has("stack.xml") {
        return ora::read(&mut archive);
    }
    let what = match archive.has("maindoc.xml") {
        true => "it is Krita's own kind of file",
        false => "it is a zip archive with neither scene.json nor stack.xml",
    };
    Err(bad_image(
        what,
        "give a scene file of glassine, or save it as OpenRaster (.ora) or PSD",
    ))
}

fn read_picture(bytes: &[u8], name: &str) -> Result<OpenedScene> {
    if bytes.trim_ascii_start().starts_with(b"{") {
        return Err(bad_image(
            "it is a text, and its pictures are not in it",
            "give a scene's zip file, or read a scene.json together with its pictures",
        ));
    }
    let other = match bytes {
        [b'g', b'i', b'm', b'p', b' ', b'x', b'c', b'f', ..] => Some("GIMP's own kind of file"),
        [b'G', b'I', b'F', b'8', ..] => Some("a GIF"),
        [b'%', b'P', b'D', b'F', ..] => Some("a PDF"),
        _ => None,
    };
    if let Some(other) = other {
        return Err(bad_image(
            format!("it is {other}"),
            "save it as OpenRaster (.ora), PSD or PNG",
        ));
    }
    let image = SceneImage::File(bytes.into());
    let size = {
        let picture = image.picture()?;
        [picture.width, picture.height]
    };
    let stem = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    let mut pictures = Pictures::default();
    let path = pictures.add(stem, image);
    let layer = Layer {
        name: Some(stem.into()),
        recipe: recipe_in(bytes),
        ..Layer::picture(path)
    };
    let [width, height] = size;
    Ok(OpenedScene {
        scene: Scene {
            layers: vec![layer],
            ..Scene::new(width, height)
        },
        images: pictures.into_images(),
        warnings: Vec::new(),
    })
}

/// What the file of a picture says of how it was made, as far as it is understood.
fn recipe_in(file: &[u8]) -> Option<Recipe> {
    let read = read_recipe(file).ok().flatten()?;
    Some(read.recipe).filter(|recipe| !recipe.is_empty())
}

/// A scene of the size that a file states.
fn scene_of_size(width: usize, height: usize, layers: Vec<Layer>) -> Result<Scene> {
    if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
        return Err(bad_image(
            format!("its size is {width} x {height} pixels"),
            "give a file of 1 to 16384 pixels a side",
        ));
    }
    Ok(Scene {
        layers,
        ..Scene::new(width, height)
    })
}

/// What is said of a group that lets its layers mix with what lies below it.
const PASSES_THROUGH: &str =
    "is a group whose layers mix with what lies below it; here they mix with each other only";

/// Whether any of these layers, or of those in their groups, `mixes` in a way that shows what lies below.
fn any_mixes(layers: &[Layer], mixes: &impl Fn(&Layer) -> bool) -> bool {
    layers
        .iter()
        .any(|layer| mixes(layer) || any_mixes(layer.layers.as_deref().unwrap_or_default(), mixes))
}

/// What is said where no layer could be read.
const ONLY_MERGED: &str = "no layer can be read; the picture of the whole is the only one";
