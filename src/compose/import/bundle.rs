//! The scene as one file: a zip archive of `scene.json` and the pictures that it names.

use std::collections::BTreeMap;

use super::super::inside::inside;
use super::super::scene::Scene;
use super::super::scene_image::SceneImage;
use super::archive::Archive;
use super::{OpenedScene, bad_image};
use crate::{Error, Result};

/// What the scene file is called in the archive.
const SCENE: &str = "scene.json";

/// The path of an archive's scene file. It may lie in a folder that was packed with it.
pub(super) fn scene_path(archive: &Archive) -> Option<String> {
    if archive.has(SCENE) {
        return Some(SCENE.into());
    }
    let in_folder = |path: &&str| match path.split_once('/') {
        // What macOS packs along.
        Some(("__MACOSX", _)) => false,
        Some((_, rest)) => rest == SCENE,
        None => false,
    };
    archive.paths().find(in_folder).map(Into::into)
}

/// Reads the scene at `path` with its pictures, whose paths are relative to it.
pub(super) fn read(archive: &mut Archive, path: &str) -> Result<OpenedScene> {
    let scene = Scene::from_json(&archive.read_text(path)?)?;
    let folder = &path[..path.len() - SCENE.len()];
    let mut images = BTreeMap::new();
    for path in scene.all_image_paths() {
        let outside = || {
            bad_image(
                format!("the scene names {path:?}, which is outside of the archive"),
                "put the picture into it and name it by its path there",
            )
        };
        let inside = inside(&format!("{folder}{path}")).ok_or_else(outside)?;
        let file = archive.read(&inside)?.ok_or_else(|| {
            bad_image(
                format!("the scene's picture {path:?} is not in the archive"),
                "put it there, or take its layer out of scene.json",
            )
        })?;
        let image = SceneImage::File(file);
        if let Err(error) = image.picture() {
            let message = format!("{path}: {}", error.message);
            return Err(Error::new(error.code, message, error.hint));
        }
        images.insert(path.to_string(), image);
    }
    for path in scene.paths_beside() {
        let Some(inside) = inside(&format!("{folder}{path}")) else {
            continue;
        };
        let image = archive.read(&inside)?.map(SceneImage::File);
        let image = image.filter(|image| image.picture().is_ok());
        images.extend(image.map(|image| (path.to_string(), image)));
    }
    Ok(OpenedScene {
        scene,
        images,
        warnings: Vec::new(),
    })
}
