//! What can be generated, and which parts of a pack each mode needs.

use super::adapter::AdapterKind;
use super::manifest::Manifest;
use crate::named::{named, serde_as_text};

/// What is to be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Mode {
    /// One transparent picture.
    Single,
    /// One opaque picture from the plain base model.
    Opaque,
    /// Foreground, background and the two blended, together.
    Joint,
    /// A background for a given foreground, and the two blended.
    #[strum(serialize = "fg2bg")]
    ForegroundToBackground,
    /// A foreground for a given background, and the two blended.
    #[strum(serialize = "bg2fg")]
    BackgroundToForeground,
}

named!(Mode, "mode");
serde_as_text!(Mode);

impl Mode {
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
        let inpaints = manifest.unet().is_ok_and(|unet| unet.is_inpainting());
        if inpaints && self != Self::Opaque {
            let part = "a model that is not for inpainting, which repaints opaque pictures";
            return Some(part.into());
        }
        if self.is_transparent() && !manifest.has("transparency_decoder") {
            let file = "layer_sd15_vae_transparent_decoder.safetensors";
            let option = "--transparency-decoder";
            return Some(format!(
                "a transparency decoder (pack with {option} {file})"
            ));
        }
        let component = self.adapter(manifest)?;
        let name = component.trim_start_matches("layers.");
        let kind: AdapterKind = name.parse().ok().filter(|_| !manifest.has(component))?;
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

/// What a generated layer is in the picture as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
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

named!(Role, "role");
