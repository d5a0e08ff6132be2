//! Pictures in ordinary memory.

mod bytes;
mod color;
mod edges;
mod encode;
mod extend;
mod mask;
mod pad;
mod picture;
mod read;
mod recipe;
mod resize;

pub(crate) use bytes::MemoryFile;
pub(crate) use color::{Channels, ToSrgb};
pub use edges::{EdgeOptions, EdgesOf};
pub use mask::{Mask, Rect};
pub use pad::padded_rgb;
pub use picture::Picture;
pub use recipe::{ReadRecipe, Recipe, parameters, read_recipe};
