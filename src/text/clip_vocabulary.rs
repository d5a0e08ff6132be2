//! CLIP's own byte-pair merges, for checkpoints that come without tokenizer files.
//!
//! They are OpenAI's, from the repository of CLIP, under the MIT licence: the first 48,894 of its
//! merges, which are its 49,408 symbols less 512 bytes and 2 markers.

/// The 48,894 merges of CLIP ViT-L/14, in the format of `merges.txt`; give them to
/// [`Tokenizer::from_merges`](super::Tokenizer::from_merges).
pub fn merges() -> &'static [u8] {
    include_bytes!("clip_merges.txt")
}
