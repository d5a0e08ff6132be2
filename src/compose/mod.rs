//! Layers to one picture, by the W3C's "Compositing and Blending Level 1".
//!
//! [`Scene`] is the scene file, [`flatten`] turns it into a picture, [`to_ora`] and [`to_psd`] into
//! files of layers for other programs, [`to_zip`] into one file with its pictures, and [`to_sprite_sheet`] its
//! layers into a sheet for game engines. [`open_scene`] reads such files. [`BlendMode`] and [`Operator`]
//! are the sixteen blend modes and the thirteen Porter-Duff operators of that specification, and
//! [`composite`] applies one of each to a single pixel.
//!
//! Inside, colours are premultiplied f32 in the scene's own colour space, one row of the scene at
//! a time; bytes are made once, at the end, so that layers add no rounding.
//!
//! ```
//! use glassine::compose::{Layer, Scene, flatten};
//! use glassine::image::Picture;
//!
//! let mut scene = Scene::new(2, 1);
//! scene.layers.push(Layer { opacity: 0.5, ..Layer::picture("red.png") });
//! let red = Picture { width: 1, height: 1, rgba: vec![255, 0, 0, 255] };
//! let flat = flatten(&scene, |_path| Ok(&red))?;
//! assert_eq!(flat.rgba, [255, 0, 0, 128, 0, 0, 0, 0]);
//! # Ok::<(), glassine::Error>(())
//! ```

mod blend;
mod color;
mod export;
mod flatten;
mod import;
mod inside;
mod memory;
mod operator;
mod pack_bits;
mod placed;
mod psd_blend;
mod resample;
mod resolve;
mod row;
mod scene;
mod scene_image;
mod texels;
mod transform;

pub use blend::BlendMode;
pub use color::{
    Color, ColorSpace, from_rgba8, linear_from_srgb, premultiply, srgb_from_linear, to_rgba8,
    unpremultiply,
};
pub use export::{
    Sprite, SpriteSheet, SpriteSheetOptions, scene_sprites, to_ora, to_psd, to_sprite_sheet, to_zip,
};
pub use flatten::flatten;
pub use import::{OpenedScene, open_scene};
pub use operator::{
    Operator, composite, composite_rgba8, composite_rgba8_premultiplied, composite_straight,
};
pub use scene::{Layer, MAX_DEPTH, MAX_SIDE, Scene};
pub use scene_image::SceneImage;
pub use transform::Transform;
