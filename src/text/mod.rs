//! From a prompt to the features that steer the UNet: the web UIs' grammar of prompts, CLIP's
//! tokenizer and text encoder.

mod clean;
mod composition;
mod embedding;
mod emphasis;
mod encoder;
mod known_words;
mod prompt;
mod schedule;
mod tokenizer;
mod words;

pub use clean::clean;
pub use composition::PromptPart;
pub use embedding::Embedding;
pub(crate) use embedding::check_names;
pub use emphasis::WeightedText;
pub use encoder::{TextEncoder, TextEncoderConfig, Token};
pub use known_words::unknown_words;
pub use prompt::{Prompt, TextFeatures};
pub use schedule::PromptSchedule;
pub use tokenizer::Tokenizer;

pub use crate::tags::{Tag, take_tags};

pub mod clip_vocabulary;
