use crate::named::{named, serde_as_text};
use crate::pack::{Manifest, Mode};
use crate::{Error, ErrorCode, Result};

/// Which autoencoder stands between latents and pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum VaeKind {
    /// The checkpoint's own.
    #[default]
    Full,
    /// TAESD, which takes a small part of the time and loses fine detail. It serves the modes
    /// without a transparent frame only: the transparency decoder reads the full one's pixels.
    Tiny,
}

named!(VaeKind, "VAE");
serde_as_text!(VaeKind);

impl VaeKind {
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
