use js_sys::{Array, Map, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::values::{JsResult, copied, error_to_js, object, picture_from_js, picture_to_js};
use crate::compose::{
    Scene, SceneImage, Sprite, SpriteSheetOptions, flatten, open_scene, scene_sprites, to_ora,
    to_psd, to_sprite_sheet, to_zip,
};
use crate::image::{self, Picture, Recipe};
use crate::{Error, ErrorCode, Result};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
import type { RawEdgeOptions, RawOpenedScene, RawPicture, RawRaster, RawSpriteSheet } from "../internal/shared/protocol.js";
"#;

/// A PNG of straight RGBA bytes, and the JSON of the recipe that made them. It is made here because canvases
/// destroy the colour under alpha 0.
#[wasm_bindgen(unchecked_return_type = "Uint8Array<ArrayBuffer>")]
pub fn encode_png(
    width: usize,
    height: usize,
    rgba: &Uint8Array,
    recipe: Option<String>,
) -> JsResult<Uint8Array> {
    let picture = Picture {
        width,
        height,
        rgba: copied(rgba).map_err(error_to_js)?,
    };
    file(recipe_of(recipe).and_then(|recipe| picture.to_png_with(recipe.as_ref())))
}

/// A lossless WebP, likewise.
#[wasm_bindgen(unchecked_return_type = "Uint8Array<ArrayBuffer>")]
pub fn encode_webp(
    width: usize,
    height: usize,
    rgba: &Uint8Array,
    recipe: Option<String>,
) -> JsResult<Uint8Array> {
    let picture = Picture {
        width,
        height,
        rgba: copied(rgba).map_err(error_to_js)?,
    };
    file(recipe_of(recipe).and_then(|recipe| picture.to_webp(recipe.as_ref())))
}

fn recipe_of(json: Option<String>) -> Result<Option<Recipe>> {
    let recipe = json.map(|json| serde_json::from_str(&json)).transpose();
    recipe.map_err(|error| {
        let message = format!("the recipe cannot be written: {error}");
        Error::new(ErrorCode::BadOption, message, "")
    })
}

/// The pixels of a PNG, JPEG or WebP file. Files are read here because the engine has no readers of them.
#[wasm_bindgen(unchecked_return_type = "RawRaster")]
pub fn decode_picture(bytes: &Uint8Array) -> JsResult {
    let picture = copied(bytes).and_then(|bytes| Picture::from_file(&bytes));
    picture
        .map(|picture| picture_to_js(&picture))
        .map_err(error_to_js)
}

/// A picture's edges: white lines on black.
#[wasm_bindgen(unchecked_return_type = "RawRaster")]
pub fn edges(
    #[wasm_bindgen(unchecked_param_type = "RawPicture")] picture: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "RawEdgeOptions")] options: JsValue,
) -> JsResult {
    let options = serde_wasm_bindgen::from_value(options).map_err(|error| {
        let message = format!("the options cannot be used: {error}");
        error_to_js(Error::new(ErrorCode::BadOption, message, "see EdgeOptions"))
    })?;
    let edges = picture_of(picture).and_then(|picture| picture.edges(options));
    edges
        .map(|edges| picture_to_js(&edges))
        .map_err(error_to_js)
}

/// What a picture's file says of how the picture was made, as JSON `{recipe, others, warnings}`, or `undefined`.
#[wasm_bindgen]
pub fn read_recipe(bytes: &Uint8Array) -> JsResult<Option<String>> {
    let read = copied(bytes).and_then(|bytes| image::read_recipe(&bytes));
    let read = read.map_err(error_to_js)?.map(|mut read| {
        keep_large_seed(&mut read);
        let image::ReadRecipe {
            recipe,
            others,
            warnings,
            ..
        } = read;
        serde_json::json!({"recipe": recipe, "others": others, "warnings": warnings}).to_string()
    });
    Ok(read)
}

/// A seed that JavaScript's numbers cannot hold is no option of a request there.
fn keep_large_seed(read: &mut image::ReadRecipe) {
    const MOST: u64 = (1 << 53) - 1;
    let seed = read.recipe.get("seed").and_then(serde_json::Value::as_u64);
    if let Some(seed) = seed.filter(|seed| *seed > MOST) {
        read.recipe.remove("seed");
        read.others.push(("Seed".into(), seed.to_string()));
        let warning = format!("its seed {seed} is larger than seeds are here");
        read.warnings.push(warning);
    }
}

/// A picture: the bytes of a file, or pixels.
fn picture_of(value: &JsValue) -> Result<Picture> {
    match value.dyn_ref::<Uint8Array>() {
        Some(bytes) => Picture::from_file(&copied(bytes)?),
        None => picture_from_js(value),
    }
}

/// Reads a file of layers. `images` are the pictures of the scene under the paths by which it names them.
#[wasm_bindgen(unchecked_return_type = "RawOpenedScene")]
pub fn open_file(bytes: &[u8], name: &str) -> JsResult {
    let opened = open_scene(bytes, name).map_err(error_to_js)?;
    let images = Map::new();
    for (path, image) in &opened.images {
        let value = match image {
            SceneImage::File(bytes) => Uint8Array::from(bytes.as_slice()).into(),
            SceneImage::Pixels(picture) => picture_to_js(picture),
        };
        images.set(&path.into(), &value);
    }
    let warnings = opened.warnings.iter().map(JsValue::from);
    Ok(object([
        ("scene", opened.scene.to_json().map_err(error_to_js)?.into()),
        ("images", images.into()),
        ("warnings", warnings.collect::<Array>().into()),
    ]))
}

/// Packs pictures, which come under the sprites' names, into a sheet: `{picture, json}`.
#[wasm_bindgen(unchecked_return_type = "RawSpriteSheet")]
pub fn sprite_sheet(
    #[wasm_bindgen(unchecked_param_type = "Map<string, RawPicture>")] pictures: &Map,
    image: &str,
    trim: bool,
    padding: usize,
    max_side: usize,
) -> JsResult {
    let sprites = pictures.entries().into_iter().map(|entry| {
        let entry: Array = entry?.into();
        let name = entry.get(0).as_string().unwrap_or_default();
        let picture = picture_of(&entry.get(1)).map_err(|error| named(&name, error));
        Ok(Sprite {
            picture: picture.map_err(error_to_js)?,
            name,
        })
    });
    let sprites = sprites.collect::<JsResult<Vec<_>>>()?;
    sheet(&sprites, image, trim, padding, max_side)
}

fn sheet(sprites: &[Sprite], image: &str, trim: bool, padding: usize, max_side: usize) -> JsResult {
    let options = SpriteSheetOptions {
        trim,
        padding,
        max_side,
    };
    let sheet = to_sprite_sheet(sprites, image, options).map_err(error_to_js)?;
    Ok(object([
        ("picture", picture_to_js(&sheet.picture)),
        ("json", sheet.json.to_string().into()),
    ]))
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

    /// The scene and its pictures as the bytes of one zip file. Pictures that are files go in as they are.
    #[wasm_bindgen(unchecked_return_type = "Uint8Array<ArrayBuffer>")]
    pub fn zip(&self) -> JsResult<Uint8Array> {
        file(to_zip(&self.scene, |path| {
            let value = self.pictures.get(&path.into());
            Ok(match value.dyn_ref::<Uint8Array>() {
                _ if value.is_undefined() => None,
                Some(bytes) => Some(SceneImage::File(bytes.to_vec())),
                None => Some(SceneImage::Pixels(self.picture(path)?)),
            })
        }))
    }

    /// The visible layers and groups at the top of the scene in a sheet: `{picture, json}`.
    #[wasm_bindgen(unchecked_return_type = "RawSpriteSheet")]
    pub fn sprites(&self, image: &str, trim: bool, padding: usize, max_side: usize) -> JsResult {
        let sprites = scene_sprites(&self.scene, |path| self.picture(path));
        sheet(
            &sprites.map_err(error_to_js)?,
            image,
            trim,
            padding,
            max_side,
        )
    }
}

impl WasmScene {
    /// What the page has given for the picture at `path`.
    fn given(&self, path: &str) -> Result<JsValue> {
        let value = self.pictures.get(&path.into());
        if value.is_undefined() {
            return Err(Error::new(
                ErrorCode::BadImage,
                format!("the scene has no picture {path:?}"),
                "give one under this path",
            ));
        }
        Ok(value)
    }

    fn picture(&self, path: &str) -> Result<Picture> {
        picture_of(&self.given(path)?).map_err(|error| named(path, error))
    }
}

/// An error of the picture at `path`.
fn named(path: &str, error: Error) -> Error {
    let message = format!("{path}: {}", error.message);
    Error::new(error.code, message, error.hint)
}

fn file(bytes: Result<Vec<u8>>) -> JsResult<Uint8Array> {
    bytes
        .map(|bytes| Uint8Array::from(bytes.as_slice()))
        .map_err(error_to_js)
}
