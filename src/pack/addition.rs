//! Files that people keep beside their models, for whichever they fit: LoRAs, embeddings, ControlNets.

use std::path::Path;

use super::control_net::ControlNetFile;
use super::kind;
use super::lora::Lora;
use super::manifest::Manifest;
use super::reader;
use super::single_file::Layout;
use super::training_notes::{base_model, trigger_words};
use crate::named::named;
use crate::text::Embedding;
use crate::weights::{Files, TensorFile};
use crate::{Error, ErrorCode, Result};

/// A file that is kept beside models, found to be sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Addition {
    /// What it is.
    pub kind: AdditionKind,
    /// The same in more words, such as `LoRA (LoHa)`.
    pub description: String,
    /// The SHA-256 of the whole file, in hexadecimal digits.
    pub sha256: String,
    /// That by which recipes and the web UIs know it: of a LoRA's tensors, else of the whole file.
    pub hash: String,
    /// Of a LoRA, the words that call for what it was taught, as far as its file says them.
    pub trigger_words: Vec<String>,
    /// Of a LoRA, what it was trained on, as its file says it.
    pub base_model: Option<String>,
    /// Of an embedding, how many numbers each of its vectors has.
    pub width: Option<usize>,
}

/// The kinds of such files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum AdditionKind {
    /// A change of a model's weights.
    Lora,
    /// A textual inversion.
    Embedding,
    /// A network that steers by a picture.
    ControlNet,
}

named!(AdditionKind, "kind of addition");

impl Addition {
    /// Opens the file at `path` among `files` and looks through all of it.
    ///
    /// # Errors
    /// `model_unsupported` if it is anything else, or of a kind that is not used, with what it is;
    /// `model_damaged` if it breaks its format or holds what is no number.
    pub fn open(files: &dyn Files, path: &Path) -> Result<Self> {
        let mut file = TensorFile::open_in(files, path)?;
        let (kind, description) = recognise(&file)?;
        let sha256 = file.sha256(true)?;
        let mut found = Self {
            kind,
            description,
            hash: sha256.clone(),
            sha256,
            trigger_words: Vec::new(),
            base_model: None,
            width: None,
        };
        match kind {
            AdditionKind::Lora => {
                found.hash = Lora::open_in(files, path, 1.0)?.hash()?.into();
                found.trigger_words = trigger_words(file.metadata());
                found.base_model = base_model(file.metadata());
            }
            AdditionKind::Embedding => {
                let embedding = Embedding::open_in(files, path, None)?;
                found.width = embedding.vectors().first().map(|vector| vector.len());
            }
            AdditionKind::ControlNet => {
                ControlNetFile::open_in(files, path)?;
                for name in file.tensors().keys().cloned().collect::<Vec<_>>() {
                    file.read_finite(&name)?;
                }
            }
        }
        Ok(found)
    }

    /// Why the file does not fit the pack of that manifest, in words; `None` if it does. Its values are not looked at.
    pub fn misfit(files: &dyn Files, path: &Path, manifest: &Manifest) -> Option<String> {
        let Error { message, hint, .. } = fit(files, path, manifest).err()?;
        Some(match hint.is_empty() {
            true => message,
            false => format!("{message} ({hint})"),
        })
    }
}

fn fit(files: &dyn Files, path: &Path, manifest: &Manifest) -> Result<()> {
    let (kind, _) = recognise(&TensorFile::open_in(files, path)?)?;
    match kind {
        AdditionKind::Lora => reader::fit(&Lora::outline(files, path)?, manifest).map(drop),
        AdditionKind::Embedding => {
            let room = manifest.text_encoder()?.max_position_embeddings;
            let embedding = Embedding::open_in(files, path, None)?;
            embedding.check_fits(manifest.embedding_width(), room.saturating_sub(2))
        }
        AdditionKind::ControlNet => ControlNetFile::open_in(files, path)?.check_fits(manifest),
    }
}

const KEPT: &str = "LoRAs, embeddings and ControlNets for Stable Diffusion 1.5 are kept";
const PACKED: &str = "it becomes part of a model where that is packed";

/// What a file is, or why it is not kept.
fn recognise(file: &TensorFile) -> Result<(AdditionKind, String)> {
    let Some(found) = kind::of(file.tensors()) else {
        let is_part = Layout::recognise(file.tensors()).components().next();
        return Err(match is_part {
            Some(_) => refusal(file, "is a checkpoint, or a part of one", PACKED),
            None => refusal(file, "holds no LoRA, embedding or ControlNet", KEPT),
        });
    };
    let kind = match found.option {
        Some("--lora") => AdditionKind::Lora,
        Some("generate --embedding") => AdditionKind::Embedding,
        Some("--controlnet") => AdditionKind::ControlNet,
        Some(_) => return Err(refusal(file, &format!("is a {}", found.name), PACKED)),
        None => {
            let reason = format!("is a {}, which glassine does not use", found.name);
            return Err(refusal(file, &reason, KEPT));
        }
    };
    Ok((kind, found.name))
}

fn refusal(file: &TensorFile, reason: &str, hint: &str) -> Error {
    Error::new(
        ErrorCode::ModelUnsupported,
        format!("{} cannot be kept: it {reason}", file.path().display()),
        hint,
    )
}
