//! From a prompt to the features that steer the UNet: CLIP's tokenizer and text encoder.

mod encoder;
mod tokenizer;

pub use encoder::{TextEncoder, TextEncoderConfig};
pub use tokenizer::Tokenizer;

#[cfg(feature = "cli")]
pub mod clip_vocabulary;
