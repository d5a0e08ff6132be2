use std::fmt;
use std::str::FromStr;

use crate::pack::{Manifest, Mode};
use crate::{Error, ErrorCode, Result};

/// Which autoencoder stands between latents and pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VaeKind {
    /// The checkpoint's own.
    #[default]
    Full,
    /// TAESD, which takes a small part of the time and loses fine detail. It serves the modes
    /// without a transparent frame only: the transparency decoder reads the full one's pixels.
    Tiny,
}

impl VaeKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Full, Self::Tiny];

    /// The name as users type it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Tiny => "tiny",
        }
    }

    /// Rejects what `manifest`'s pack or `mode` does not allow.
    pub(super) fn check(self, mode: Mode, manifest: &Manifest) -> Result<()> {
        if self == Self::Full {
            return Ok(());
        }
        if !manifest.has("taesd_decoder") {
            return Err(Error::new(
                ErrorCode::UnsupportedMode,
                "the tiny VAE needs TAESD (pack with --taesd-decoder FILE)",
                "the loaded pack does not hold it",
            ));
        }
        if mode.is_transparent() {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!(
                    "mode {mode} cannot use the tiny VAE: alpha is read from the full one's picture"
                ),
                "use mode opaque, or the full VAE",
            ));
        }
        Ok(())
    }
}

impl fmt::Display for VaeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for VaeKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|size| size.as_str() == text)
            .ok_or_else(|| {
                Error::new(
                    ErrorCode::BadOption,
                    format!("there is no VAE {text:?}"),
                    "use full or tiny",
                )
            })
    }
}
