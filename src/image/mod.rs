//! Pictures in ordinary memory.

mod mask;
mod pad;
mod picture;
mod resize;

pub use mask::{Mask, Rect};
pub use pad::padded_rgb;
pub use picture::Picture;
