//! The scene as one file: a zip archive of `scene.json` and its pictures, as files under the paths by which the
//! scene names them.

use super::super::inside::inside;
use super::super::scene::Scene;
use super::super::scene_image::SceneImage;
use super::zip::ZipFile;
use crate::{Error, ErrorCode, Result};

/// `scene` and all its pictures in one zip archive, which [`open_scene`](super::super::open_scene) reads again.
///
/// `read` gives the picture at a path of the scene, if there is one: hidden layers' included, and those that
/// [layers name beside them](Scene::paths_beside). Files go in as they are, pixels as PNG with their layer's recipe.
///
/// # Errors
/// As [`Scene::validate`], those of `read`, `bad_option` for a path that leads out of the archive, `bad_image` for
/// a layer without its picture and for a file that is no picture, `out_of_memory`.
pub fn to_zip(
    scene: &Scene,
    mut read: impl FnMut(&str) -> Result<Option<SceneImage>>,
) -> Result<Vec<u8>> {
    let json = scene.to_json()?;
    let mut archive = ZipFile::new("scene");
    archive.add("scene.json", json.as_bytes())?;
    let own = scene.all_image_paths().into_iter().map(|path| (path, true));
    let beside = scene.paths_beside().into_iter().map(|path| (path, false));
    for (path, is_own) in own.chain(beside) {
        let image = match read(path)? {
            Some(image) => image,
            None if is_own => {
                return Err(Error::new(
                    ErrorCode::BadImage,
                    format!("the scene has no picture {path:?}"),
                    "give one under this path",
                ));
            }
            None => continue,
        };
        if inside(path).as_deref() != Some(path) || ["", "scene.json"].contains(&path) {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!(
                    "the picture {path:?} cannot be under this path in one file with its scene"
                ),
                "name pictures by short paths, such as apple.png or more/apple.png",
            ));
        }
        // What could not be opened again is not written either.
        image.picture().map_err(|error| {
            Error::new(error.code, format!("{path}: {}", error.message), error.hint)
        })?;
        let recipe = scene.recipe_of(path);
        archive.add(path, &image.to_file(recipe)?)?;
    }
    archive.finish()
}
