//! Pictures in ordinary memory.

mod pad;
mod picture;

pub use pad::padded_rgb;
pub use picture::Picture;
