//! Textual inversion: words whose vectors come from a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clean;
use super::words::is_boundary;
use crate::weights::{Disk, Files, HostTensor, InMemory, TensorFile};
use crate::{Error, ErrorCode, Result};

/// How other programs write an embedding's name in a prompt.
const PREFIX: &str = "embedding:";

/// Endings of files that may follow a name behind [`PREFIX`].
const EXTENSIONS: [&str; 3] = [".safetensors", ".pt", ".bin"];

/// The key under which trainers store vectors that have no name of their own.
const NAMELESS: &str = "emb_params";

/// The dictionary around the vectors in files of the original implementation.
const ORIGINAL: &str = "string_to_param.";

/// The names of the two text encoders of SDXL, and of what later models add.
const OTHER_ENCODERS: [&str; 3] = ["clip_g", "t5xxl", "t5"];

/// A textual inversion: a word for prompts, and the vectors that it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    file: PathBuf,
    name: String,
    /// What it is called in a prompt, as [`clean`] gives it.
    words: Vec<String>,
    vectors: Vec<Arc<[f32]>>,
    hash: String,
}

impl Embedding {
    /// Opens a file on disk: safetensors, or what `torch.save` wrote. It is called `name`, or after
    /// the file, and then also as the file calls it.
    ///
    /// # Errors
    /// `model_not_found`, `model_damaged`; `model_unsupported` if the file holds anything else, or is
    /// for a model of several text encoders; `bad_option` for an empty name.
    pub fn open(path: &Path, name: Option<&str>) -> Result<Self> {
        Self::open_in(&Disk, path, name)
    }

    /// As [`Embedding::open`], of a file's bytes; `file` stands for the file in messages.
    pub fn from_bytes(file: &str, bytes: Vec<u8>, name: Option<&str>) -> Result<Self> {
        Self::open_in(&InMemory(bytes), Path::new(file), name)
    }

    /// As [`Embedding::open`], among `files`.
    pub fn open_in(files: &dyn Files, path: &Path, name: Option<&str>) -> Result<Self> {
        let mut file = TensorFile::open_in(files, path)?;
        let names: Vec<_> = file.tensors().keys().cloned().collect();
        let (key, own) = own_key(path, &names)?;
        let tensor = file.read(&key)?;
        let vectors = vectors(path, &tensor)?;
        let hash = file.sha256(true)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let given = name.unwrap_or(&stem);
        let also = own.filter(|_| name.is_none());
        let mut words: Vec<_> = [Some(given), also.as_deref()]
            .into_iter()
            .flatten()
            .map(|name| clean(name).trim().to_string())
            .filter(|word| !word.is_empty())
            .collect();
        words.dedup();
        if clean(given).trim().is_empty() {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!("the embedding {} has no name", path.display()),
                "give one",
            ));
        }
        Ok(Self {
            file: path.into(),
            name: given.trim().into(),
            words,
            vectors,
            hash,
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SHA-256 of its file in hexadecimal digits, by which the web UIs know it.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What its name stands for, each a token's.
    pub fn vectors(&self) -> &[Arc<[f32]>] {
        &self.vectors
    }

    /// Refuses vectors that are not `width` numbers, and more than the `room` in a chunk.
    ///
    /// # Errors
    /// `model_unsupported` if it is for another family of models.
    pub fn check_fits(&self, width: usize, room: usize) -> Result<()> {
        let own = self.vectors.first().map_or(0, |vector| vector.len());
        let count = self.vectors.len();
        let (reason, hint) = if own != width {
            let family = match own {
                1024 => "it is for Stable Diffusion 2".into(),
                1280 | 2048 => "it is for SDXL".into(),
                _ => format!("it is for a model with {own}"),
            };
            (
                format!("its vectors have {own} numbers and the model's {width}"),
                family,
            )
        } else if count > room {
            (
                format!("it has {count} vectors"),
                format!("at most {room} are possible, a chunk of a prompt"),
            )
        } else {
            return Ok(());
        };
        Err(refusal(&self.file, &reason, &hint))
    }
}

/// Refuses two of the same name.
///
/// # Errors
/// `bad_option`, with both files.
pub(crate) fn check_names(embeddings: &[Embedding]) -> Result<()> {
    for (index, one) in embeddings.iter().enumerate() {
        let shares = |other: &&Embedding| other.words.iter().any(|word| one.words.contains(word));
        if let Some(other) = embeddings[..index].iter().find(shares) {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!(
                    "{} and {} are both called {}",
                    other.file.display(),
                    one.file.display(),
                    one.name
                ),
                "give one of them another name",
            ));
        }
    }
    Ok(())
}

/// The tensor of the vectors among `names`, and what the file calls them, if it does.
fn own_key(path: &Path, names: &[String]) -> Result<(String, Option<String>)> {
    let other = names
        .iter()
        .find(|name| OTHER_ENCODERS.contains(&name.as_str()));
    if let Some(other) = other {
        let reason = format!("it holds {other}, for a model of several text encoders");
        return Err(refusal(path, &reason, "it is for SDXL or a later model"));
    }
    let original: Vec<_> = names
        .iter()
        .filter(|name| name.starts_with(ORIGINAL))
        .collect();
    match (&original[..], names) {
        ([key], _) => Ok((key.to_string(), None)),
        ([], [key]) if [NAMELESS, "clip_l"].contains(&key.as_str()) => Ok((key.clone(), None)),
        ([], [key]) => Ok((key.clone(), Some(key.clone()))),
        ([], names) if names.iter().any(|name| name == NAMELESS) => Ok((NAMELESS.into(), None)),
        (_, []) => Err(refusal(path, "it holds no tensor", HINT)),
        (_, [first, ..]) => {
            let reason = format!("it holds {} tensors, such as {first}", names.len());
            Err(refusal(path, &reason, HINT))
        }
    }
}

/// The rows of a file's tensor.
fn vectors(path: &Path, tensor: &HostTensor) -> Result<Vec<Arc<[f32]>>> {
    let width = match tensor.shape[..] {
        [width] | [_, width] => width,
        _ => {
            let reason = format!("its tensor has shape {:?}", tensor.shape);
            return Err(refusal(path, &reason, HINT));
        }
    };
    if tensor.data.iter().any(|value| !value.is_finite()) {
        return Err(Error::new(
            ErrorCode::ModelDamaged,
            format!("the embedding {} holds NaN or infinity", path.display()),
            "fetch it again, or leave it out",
        ));
    }
    Ok(tensor.data.chunks_exact(width).map(Arc::from).collect())
}

const HINT: &str = "pass a textual inversion for Stable Diffusion 1.5";

fn refusal(path: &Path, reason: &str, hint: &str) -> Error {
    Error::new(
        ErrorCode::ModelUnsupported,
        format!(
            "{} cannot be used as an embedding: {reason}",
            path.display()
        ),
        hint,
    )
}

/// A piece of a prompt's text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    /// One of the embeddings, by its place.
    Embedding(usize),
    /// `embedding:NAME` of a name that there is not.
    Unknown(&'a str),
}

/// The names of embeddings, to be found in a text.
pub(super) struct Vocabulary<'a> {
    /// Each name and its embedding's place, the longest first.
    words: Vec<(&'a str, usize)>,
}

impl<'a> Vocabulary<'a> {
    pub fn new(embeddings: &'a [Embedding]) -> Self {
        let words = embeddings
            .iter()
            .enumerate()
            .flat_map(|(place, embedding)| {
                embedding
                    .words
                    .iter()
                    .map(move |word| (word.as_str(), place))
            });
        let mut words: Vec<_> = words.collect();
        words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        Self { words }
    }

    /// Cuts `text`, which [`clean`] gave, where it names an embedding as a whole word.
    pub fn pieces<'t>(&self, text: &'t str) -> Vec<Piece<'t>> {
        let mut pieces = Vec::new();
        let (mut written, mut position) = (0, 0);
        while position < text.len() {
            let (before, rest) = text.split_at(position);
            let Some((piece, length)) = self.at(before, rest) else {
                position += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            };
            pieces.push(Piece::Text(&text[written..position]));
            pieces.push(piece);
            position += length;
            written = position;
        }
        pieces.push(Piece::Text(&text[written..]));
        pieces.retain(|piece| *piece != Piece::Text(""));
        pieces
    }

    /// The embedding that `rest` begins with, behind `before`, and the length of its name.
    fn at<'t>(&self, before: &str, rest: &'t str) -> Option<(Piece<'t>, usize)> {
        if let Some(named) = rest.strip_prefix(PREFIX)
            && is_boundary(before, PREFIX)
        {
            let known = self.words.iter().find_map(|(word, place)| {
                let after = named.strip_prefix(word)?;
                let extension = EXTENSIONS.iter().find(|end| after.starts_with(**end));
                let length = word.len() + extension.map_or(0, |end| end.len());
                let piece = Piece::Embedding(*place);
                is_boundary(&named[..length], &named[length..]).then_some((piece, length))
            });
            let unknown = || {
                let ends = |character: char| character.is_whitespace() || character == ',';
                let length = named.find(ends).unwrap_or(named.len());
                (length > 0).then(|| (Piece::Unknown(&named[..length]), length))
            };
            let (piece, length) = known.or_else(unknown)?;
            return Some((piece, PREFIX.len() + length));
        }
        self.words.iter().find_map(|(word, place)| {
            let after = rest.strip_prefix(word)?;
            let whole = is_boundary(before, word) && is_boundary(word, after);
            whole.then_some((Piece::Embedding(*place), word.len()))
        })
    }
}
