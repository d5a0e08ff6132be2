//! What can be generated, and which parts of a pack each mode needs.

use std::fmt;
use std::str::FromStr;

use super::adapter::AdapterKind;
use super::manifest::Manifest;
use crate::{Error, ErrorCode, Result};

/// What is to be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// One transparent picture.
    Single,
    /// One opaque picture from the plain base model.
    Opaque,
    /// Foreground, background and the two blended, together.
    Joint,
    /// A background for a given foreground, and the two blended.
    ForegroundToBackground,
    /// A foreground for a given background, and the two blended.
    BackgroundToForeground,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 5] = [
        Self::Single,
        Self::Opaque,
        Self::Joint,
        Self::ForegroundToBackground,
        Self::BackgroundToForeground,
    ];

    /// The name as users type it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Opaque => "opaque",
            Self::Joint => "joint",
            Self::ForegroundToBackground => "fg2bg",
            Self::BackgroundToForeground => "bg2fg",
        }
    }

    /// What a generation in this mode consists of, in the order of its frames.
    pub fn roles(self) -> &'static [Role] {
        match self {
            Self::Single => &[Role::Foreground],
            Self::Opaque => &[Role::Image],
            Self::Joint => &[Role::Foreground, Role::Background, Role::Blended],
            Self::ForegroundToBackground => &[Role::Background, Role::Blended],
            Self::BackgroundToForeground => &[Role::Foreground, Role::Blended],
        }
    }

    /// Whether one of the frames is transparent.
    pub fn is_transparent(self) -> bool {
        self.roles().contains(&Role::Foreground)
    }

    /// What `manifest`'s pack lacks for this mode; `None` if it can be served.
    pub fn missing_part(self, manifest: &Manifest) -> Option<String> {
        if self.is_transparent() && !manifest.has("transparency_decoder") {
            let file = "layer_sd15_vae_transparent_decoder.safetensors";
            let option = "--transparency-decoder";
            return Some(format!(
                "a transparency decoder (pack with {option} {file})"
            ));
        }
        let component = self.adapter(manifest)?;
        let name = component.trim_start_matches("layers.");
        let kind = AdapterKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name && !manifest.has(component))?;
        let file = kind.published_file();
        Some(format!("an adapter (pack with --layers {name}={file})"))
    }

    /// What a pack is for if nothing is said: transparent pictures, where it can.
    pub(crate) fn default_for(manifest: &Manifest) -> Self {
        match Self::Single.missing_part(manifest) {
            None => Self::Single,
            Some(_) => Self::Opaque,
        }
    }

    /// The component of the pack that adapts the UNet to this mode; `None` if it runs as it is.
    pub(crate) fn adapter(self, manifest: &Manifest) -> Option<&'static str> {
        match self {
            Self::Opaque => None,
            Self::Single if manifest.native_transparency => None,
            Self::Single => Some("layers.attn"),
            Self::Joint => Some("layers.joint"),
            Self::ForegroundToBackground => Some("layers.fg2bg"),
            Self::BackgroundToForeground => Some("layers.bg2fg"),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| {
                Error::new(
                    ErrorCode::BadOption,
                    format!("there is no mode {text:?}"),
                    "use single, opaque, joint, fg2bg or bg2fg",
                )
            })
    }
}

/// What a generated layer is in the picture as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A transparent layer.
    Foreground,
    /// An opaque picture that a foreground stands before.
    Background,
    /// Foreground and background together, generated and not composited.
    Blended,
    /// An opaque picture on its own.
    Image,
}

impl Role {
    /// The name used in file names and in JavaScript.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Foreground => "foreground",
            Self::Background => "background",
            Self::Blended => "blended",
            Self::Image => "image",
        }
    }
}
