//! Latent transparency (section 3.1 of the paper) and the adapters that bring it to a base model.
//!
//! The VAE sees a transparent picture on mid-grey; the alpha hides in a small offset of the latent,
//! which [`TransparencyDecoder`] reads back together with the colours.

mod augment;
mod decoder;
mod temporal;

pub use augment::{PASSES, lower_median, turn, turn_back};
pub use decoder::TransparencyDecoder;
pub use temporal::TemporalMap;
