//! Pictures in ordinary memory.

mod bytes;
mod color;
mod extend;
mod mask;
mod pad;
mod picture;
mod read;
mod resize;

pub(crate) use bytes::MemoryFile;
pub use mask::{Mask, Rect};
pub use pad::padded_rgb;
pub use picture::Picture;
