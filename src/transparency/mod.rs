//! Latent transparency and layers (sections 3.1 and 3.3 of the paper), and the adapters that bring
//! them to a base model.
//!
//! The VAE sees a transparent picture on mid-grey; the alpha hides in a small offset of the
//! latent, which [`TransparencyEncoder`] predicts and [`TransparencyDecoder`] reads back together
//! with the colours. [`SharedAttention`] denoises several pictures together.

mod augment;
mod condition;
mod decoder;
mod encoder;
mod sharing;
mod temporal;

pub use augment::{AUGMENTATIONS, augment, lower_median, undo_augment};
pub use condition::ConditionEncoder;
pub use decoder::TransparencyDecoder;
pub use encoder::{OFFSET_GAIN, TransparencyEncoder};
pub use sharing::SharedAttention;
pub use temporal::FoldedTemporalAttention;
