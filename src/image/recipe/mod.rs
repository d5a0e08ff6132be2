//! How a picture was made: written into pictures, and read from what other programs write.

mod comfy;
mod exif;
mod files;
mod graph;
mod infotext;
mod own;
mod parameters;
mod read;
mod reading;
mod samplers;
mod web_ui;
mod xmp;

pub(super) use files::{OWN, OWN_CHUNK, PARAMETERS};
pub use parameters::parameters;
pub use read::read_recipe;
pub use reading::ReadRecipe;

/// How a picture was made: the options of its request by the names that they have in JavaScript, such as
/// `negativePrompt`, its `seed`, and its `model`.
///
/// `loras` and `embeddings` are lists of objects with a `name`, and a `hash` where it is known: hexadecimal
/// digits of a SHA-256, all or the first of them. A LoRA's is that of its tensors' bytes, as the web UIs have it
/// (what follows the header of a `.safetensors` file), any other file's that of the whole file. A LoRA has its
/// `strength`, and a `textEncoderStrength` if that is another.
pub type Recipe = serde_json::Map<String, serde_json::Value>;
