//! Pictures in ordinary memory.

mod picture;

pub use picture::Picture;
