//! The one error type of the library: a code to branch on, what went wrong, and what to do about it.

use std::fmt;

/// What kind of failure it was. The list is frozen: codes may be added, never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The caller's `AbortSignal` (or equivalent) stopped the work.
    Aborted,
    /// An option has a value outside its range, or options contradict each other.
    BadOption,
    /// A picture or a latent handed in cannot be read or has the wrong size.
    BadImage,
    /// The loaded pack has no part that the requested mode needs.
    UnsupportedMode,
    /// No model is at the given place.
    ModelNotFound,
    /// A model file is cut short, altered or inconsistent.
    ModelDamaged,
    /// A model file is sound but of an architecture that glassine does not run.
    ModelUnsupported,
    /// A file could not be read or written.
    Io,
    /// A download failed.
    Network,
    /// The browser grants less storage than is needed.
    QuotaExceeded,
    /// The device cannot be had: no WebGPU adapter, or this build has no GPU support.
    DeviceUnavailable,
    /// The GPU device was lost while working.
    DeviceLost,
    /// Memory ran out, on the device or in the process.
    OutOfMemory,
    /// A latent or picture contains NaN or infinity.
    NonFinite,
    /// Everything else: a defect of glassine.
    Internal,
}

impl ErrorCode {
    /// All codes.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The code as it is spelled in JavaScript, such as `"bad_option"`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the same call can succeed if it is made again: what failed may pass, and nothing that was handed in is wrong.
    pub fn is_recoverable(self) -> bool {
        matches!(
            self,
            Self::Aborted
                | Self::Io
                | Self::Network
                | Self::QuotaExceeded
                | Self::DeviceLost
                | Self::OutOfMemory
        )
    }

    /// Whether the fault lies in what was handed in, so that other input can succeed.
    pub fn is_bad_input(self) -> bool {
        !matches!(
            self,
            Self::Aborted
                | Self::Io
                | Self::Network
                | Self::QuotaExceeded
                | Self::DeviceUnavailable
                | Self::DeviceLost
                | Self::OutOfMemory
                | Self::NonFinite
                | Self::Internal
        )
    }
}

/// What went wrong (`message`) and what the caller can do about it (`hint`), one line each.
#[derive(Debug, Clone)]
pub struct Error {
    /// The kind of failure.
    pub code: ErrorCode,
    /// What is wrong, naming the file, option or tensor.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl Error {
    /// An error of kind `code`; an empty `hint` is left out when printed.
    pub fn new(code: ErrorCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, ": {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// `Result` with glassine's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
