//! Latent transparency and layers (sections 3.1 and 3.3 of the paper), and the adapters that bring
//! them to a base model.
//!
//! The VAE sees a transparent picture on mid-grey; the alpha hides in a small offset of the
//! latent, which [`TransparencyEncoder`] predicts and [`TransparencyDecoder`] reads back together
//! with the colours. [`SharedAttention`] denoises several pictures together.

mod augment;
mod decoder;
mod encoder;
mod hint;
mod sharing;
mod temporal;

pub use augment::{PASSES, lower_median, turn, turn_back};
pub use decoder::TransparencyDecoder;
pub use encoder::{OFFSET_GAIN, TransparencyEncoder};
pub use hint::HintEncoder;
pub use sharing::SharedAttention;
pub use temporal::TemporalMap;
