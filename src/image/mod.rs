//! Pictures in ordinary memory.

mod bytes;
mod color;
mod pad;
mod picture;
mod read;

pub(crate) use bytes::MemoryFile;
pub use pad::padded_rgb;
pub use picture::Picture;
