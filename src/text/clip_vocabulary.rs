//! CLIP's own byte-pair merges, for checkpoints that come without tokenizer files.
//!
//! The build script cuts them out of the crate `instant-clip-tokenizer`.

/// The 48,894 merges of CLIP ViT-L/14, in the format of `merges.txt`; give them to
/// [`Tokenizer::from_merges`](super::Tokenizer::from_merges).
pub fn merges() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/clip_merges.txt"))
}
