use js_sys::{Map, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;

use super::values::{JsResult, copied, error_to_js, picture_from_js, picture_to_js};
use crate::compose::{Scene, flatten, to_ora, to_psd};
use crate::image::Picture;
use crate::{Error, ErrorCode, Result};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
import type { RawPicture, RawRaster } from "../internal/shared/protocol.js";
"#;

/// A PNG of straight RGBA bytes. It is made here because canvases destroy the colour under alpha 0.
#[wasm_bindgen(unchecked_return_type = "Uint8Array<ArrayBuffer>")]
pub fn encode_png(width: usize, height: usize, rgba: &Uint8Array) -> JsResult<Uint8Array> {
    let picture = Picture {
        width,
        height,
        rgba: copied(rgba).map_err(error_to_js)?,
    };
    file(picture.to_png())
}

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
    pub fn new(
        json: &str,
        #[wasm_bindgen(unchecked_param_type = "Map<string, RawPicture>")] pictures: Map,
    ) -> JsResult<WasmScene> {
        let scene = Scene::from_json(json).map_err(error_to_js)?;
        Ok(Self { scene, pictures })
    }

    /// All visible layers as one picture: `{width, height, rgba}`.
    #[wasm_bindgen(unchecked_return_type = "RawRaster")]
    pub fn flatten(&self) -> JsResult {
        let flat = flatten(&self.scene, |path| self.picture(path));
        flat.map(|picture| picture_to_js(&picture))
            .map_err(error_to_js)
    }

    /// The bytes of an OpenRaster file; the pictures of hidden layers have to be there, too.
    #[wasm_bindgen(unchecked_return_type = "Uint8Array<ArrayBuffer>")]
    pub fn ora(&self) -> JsResult<Uint8Array> {
        file(to_ora(&self.scene, |path| self.picture(path)))
    }

    /// The bytes of a PSD file; the pictures of hidden layers have to be there, too.
    #[wasm_bindgen(unchecked_return_type = "Uint8Array<ArrayBuffer>")]
    pub fn psd(&self) -> JsResult<Uint8Array> {
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

fn file(bytes: Result<Vec<u8>>) -> JsResult<Uint8Array> {
    bytes
        .map(|bytes| Uint8Array::from(bytes.as_slice()))
        .map_err(error_to_js)
}
