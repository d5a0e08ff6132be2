//! From a prompt to the features that steer the UNet: CLIP's tokenizer and text encoder.

mod emphasis;
mod encoder;
mod prompt;
mod tokenizer;

pub use emphasis::WeightedText;
pub use encoder::{TextEncoder, TextEncoderConfig};
pub use prompt::Prompt;
pub use tokenizer::Tokenizer;

pub mod clip_vocabulary;
