//! The parts of a checkpoint, and what is known of Stable Diffusion 1.5 without a config.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Error, ErrorCode};

/// The parts of a Stable Diffusion checkpoint that hold tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// CLIP's text encoder.
    TextEncoder,
    /// The denoising UNet.
    Unet,
    /// The variational autoencoder.
    Vae,
}

impl Component {
    /// All of them, in the order in which they are packed and used.
    pub const ALL: [Self; 3] = [Self::TextEncoder, Self::Unet, Self::Vae];

    /// The folder's name in diffusers' layout, which packs use too.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextEncoder => "text_encoder",
            Self::Unet => "unet",
            Self::Vae => "vae",
        }
    }

    pub(super) fn weight_files(self) -> [&'static str; 2] {
        match self {
            Self::TextEncoder => ["model.safetensors", "model.fp16.safetensors"],
            _ => [
                "diffusion_pytorch_model.safetensors",
                "diffusion_pytorch_model.fp16.safetensors",
            ],
        }
    }
}

/// The refusal of a model that is not of the Stable Diffusion 1.x family.
pub(crate) fn unsupported_family(path: &Path, family: &str) -> Error {
    Error::new(
        ErrorCode::ModelUnsupported,
        format!("{} is {family}", path.display()),
        "glassine runs Stable Diffusion 1.5 and its fine-tunes",
    )
}

/// The scheduler config that Stable Diffusion 1.5 was trained with.
pub(crate) fn sd15_scheduler() -> Value {
    json!({
        "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "set_alpha_to_one": false, "steps_offset": 1,
        "prediction_type": "epsilon"
    })
}
