use js_sys::{Map, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::convert::{picture_from_js, picture_with_png_to_js};
use super::engine::{JsResult, plain};
use crate::compose::{Scene, flatten, to_ora, to_psd};
use crate::image::Picture;
use crate::{Error, ErrorCode, Result};

/// A scene and its pictures, to be made into one file or picture.
#[wasm_bindgen]
pub struct WasmScene {
    scene: Scene,
    pictures: Map,
}

#[wasm_bindgen]
impl WasmScene {
    /// Reads the text of a scene file. `pictures` is a `Map` from the paths by which it names them;
    /// each picture is read when it is asked for.
    #[wasm_bindgen(constructor)]
    pub fn new(json: &str, pictures: Map) -> std::result::Result<WasmScene, JsValue> {
        let scene = Scene::from_json(json).map_err(plain)?;
        Ok(Self { scene, pictures })
    }

    /// All visible layers as one picture: `{width, height, rgba, png}`.
    pub fn flatten(&self) -> JsResult {
        let flat = flatten(&self.scene, |path| self.picture(path));
        flat.and_then(|picture| picture_with_png_to_js(&picture))
            .map_err(plain)
    }

    /// The bytes of an OpenRaster file; the pictures of hidden layers have to be there, too.
    pub fn ora(&self) -> std::result::Result<Uint8Array, JsValue> {
        file(to_ora(&self.scene, |path| self.picture(path)))
    }

    /// The bytes of a PSD file; the pictures of hidden layers have to be there, too.
    pub fn psd(&self) -> std::result::Result<Uint8Array, JsValue> {
        file(to_psd(&self.scene, |path| self.picture(path)))
    }
}

impl WasmScene {
    fn picture(&self, path: &str) -> Result<Picture> {
        let value = self.pictures.get(&path.into());
        if value.is_undefined() {
            return Err(Error::new(
                ErrorCode::BadImage,
                format!("the scene has no picture {path:?}"),
                "give one under this path",
            ));
        }
        picture_from_js(&value).map_err(|error| {
            let message = format!("{path}: {}", error.message);
            Error::new(error.code, message, error.hint)
        })
    }
}

fn file(bytes: Result<Vec<u8>>) -> std::result::Result<Uint8Array, JsValue> {
    bytes
        .map(|bytes| Uint8Array::from(bytes.as_slice()))
        .map_err(plain)
}
