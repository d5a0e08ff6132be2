//! Pictures in ordinary memory.

mod color;
mod pad;
mod picture;
mod read;

pub use pad::padded_rgb;
pub use picture::Picture;
