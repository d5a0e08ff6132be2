use serde::Deserialize;

/// How far a picture grows on each side, in pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Margins {
    /// On the left.
    pub left: usize,
    /// On top.
    pub top: usize,
    /// On the right.
    pub right: usize,
    /// At the bottom.
    pub bottom: usize,
}

impl Margins {
    /// The soft edge that hides where a picture ended, in pixels.
    pub const SOFTNESS: usize = 8;
}
