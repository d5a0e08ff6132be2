use std::collections::BTreeMap;

use js_sys::Map;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::convert::{picture_from_js, picture_with_png_to_js};
use super::engine::{JsResult, plain};
use crate::compose::{Scene, flatten};
use crate::image::Picture;
use crate::{Error, ErrorCode, Result};

/// A scene and its pictures, to be made into one file or picture.
#[wasm_bindgen]
pub struct WasmScene {
    scene: Scene,
    pictures: BTreeMap<String, Picture>,
}

#[wasm_bindgen]
impl WasmScene {
    /// Reads the text of a scene file, and of `pictures`, a `Map` from paths to pictures, those that
    /// its visible layers name.
    #[wasm_bindgen(constructor)]
    pub fn new(json: &str, pictures: &Map) -> std::result::Result<WasmScene, JsValue> {
        read(json, pictures).map_err(plain)
    }

    /// All visible layers as one picture: `{width, height, rgba, png}`.
    pub fn flatten(&self) -> JsResult {
        // The constructor has read every picture that can be asked for.
        let flat = flatten(&self.scene, |path| Ok(&self.pictures[path]));
        flat.and_then(|picture| picture_with_png_to_js(&picture))
            .map_err(plain)
    }
}

fn read(json: &str, pictures: &Map) -> Result<WasmScene> {
    let scene = Scene::from_json(json)?;
    let mut read = BTreeMap::new();
    for path in scene.image_paths() {
        let value = pictures.get(&path.into());
        if value.is_undefined() {
            return Err(Error::new(
                ErrorCode::BadImage,
                format!("the scene has no picture {path:?}"),
                "give one under this path",
            ));
        }
        let picture = picture_from_js(&value).map_err(|error| {
            let message = format!("{path}: {}", error.message);
            Error::new(error.code, message, error.hint)
        })?;
        read.insert(path.to_string(), picture);
    }
    Ok(WasmScene {
        scene,
        pictures: read,
    })
}
