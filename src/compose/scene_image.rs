//! The pictures of a scene that is a file.

use std::borrow::Cow;

use crate::Result;
use crate::image::{Picture, Recipe};

/// A picture of a scene: a file as somebody made it, or pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SceneImage {
    /// The bytes of a PNG, JPEG or WebP file.
    File(Vec<u8>),
    /// A picture that is no file yet.
    Pixels(Picture),
}

impl SceneImage {
    /// The pixels.
    ///
    /// # Errors
    /// As [`Picture::from_file`].
    pub fn picture(&self) -> Result<Cow<'_, Picture>> {
        match self {
            Self::File(bytes) => Picture::from_file(bytes).map(Cow::Owned),
            Self::Pixels(picture) => Ok(Cow::Borrowed(picture)),
        }
    }

    /// The file as it is, or the pixels as a PNG with the recipe of what made them.
    ///
    /// # Errors
    /// As [`Picture::to_png_with`].
    pub fn to_file(&self, recipe: Option<&Recipe>) -> Result<Cow<'_, [u8]>> {
        match self {
            Self::File(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Pixels(picture) => picture.to_png_with(recipe).map(Cow::Owned),
        }
    }
}
