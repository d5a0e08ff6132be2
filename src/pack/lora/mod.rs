//! Low-rank adaptations of a base model and their kin, in the namings and kinds that people have.
//!
//! A LoRA is opened ([`Lora`]), then matched to a model's layers ([`FittedLora`]). A weight becomes
//! `W + strength · alpha / rank · update`. With DoRA's magnitudes `m` it is `W' = m · V / |V|` for
//! `V = W + alpha / rank · update`, and the strength leads from `W` to `W'`, as in the web UIs.
//!
//! The packer merges it into each tensor that it reads. A loaded model keeps its weights as they are
//! stored, and what LoRAs add to them is computed beside them (`lora_updates`).

mod config;
mod kinds;
mod names;
mod open;
pub(super) mod refusals;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use self::kinds::Change;
pub use self::kinds::Update;
use self::names::LayerIndex;
use self::open::{OpenedLora, ScaledChange};
use super::component::Component;
use crate::weights::{Disk, Files, HostTensor, InMemory};
use crate::{Error, ErrorCode, Result, memory};

/// A LoRA file and how strongly it is applied. Clones share what was read of the file.
#[derive(Clone)]
pub struct Lora {
    name: String,
    opened: Rc<OpenedLora>,
    strength: LoraStrength,
    /// The beginning of the hash that its file is to have.
    wanted: Option<String>,
}

/// How strongly a LoRA changes each part of a model: 1 as it was trained, 0 not at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoraStrength {
    /// The UNet.
    pub unet: f32,
    /// The text encoder.
    pub text_encoder: f32,
}

impl LoraStrength {
    /// The largest strength, in either direction.
    pub const MAX: f32 = 100.0;

    /// The same for both parts.
    pub fn both(strength: f32) -> Self {
        Self {
            unet: strength,
            text_encoder: strength,
        }
    }

    /// Whether both are numbers within the bounds.
    pub fn is_possible(self) -> bool {
        let range = -Self::MAX..=Self::MAX;
        range.contains(&self.unet) && range.contains(&self.text_encoder)
    }

    fn of(self, tensor: &str) -> f32 {
        match tensor.starts_with(&Component::TextEncoder.start()) {
            true => self.text_encoder,
            false => self.unet,
        }
    }
}

impl std::fmt::Debug for Lora {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields = formatter.debug_struct("Lora");
        fields.field("name", &self.name);
        fields.field("strength", &self.strength).finish()
    }
}

impl Lora {
    /// Opens a LoRA on disk, a file or the folder of one. A strength of 1 applies it as it was
    /// trained.
    ///
    /// # Errors
    /// `model_unsupported` if there is no LoRA or one of a kind that is not applied;
    /// `model_damaged` if parts of it are missing, do not go together or are not finite.
    pub fn open(path: &Path, strength: f32) -> Result<Self> {
        Self::open_in(&Disk, path, strength)
    }

    /// As [`Lora::open`], of a file's bytes; `name` stands for the file in messages.
    pub fn from_bytes(name: &str, bytes: Vec<u8>, strength: f32) -> Result<Self> {
        Self::open_in(&InMemory(bytes), Path::new(name), strength)
    }

    /// As [`Lora::open_in`] at strength 1, without looking at the values: those that are no numbers pass.
    ///
    /// # Errors
    /// As [`Lora::open`].
    pub(super) fn outline(files: &dyn Files, path: &Path) -> Result<Self> {
        Ok(Self::new(files, path, OpenedLora::outline(files, path)?))
    }

    /// As [`Lora::open`], among `files`.
    pub fn open_in(files: &dyn Files, path: &Path, strength: f32) -> Result<Self> {
        if !strength.is_finite() {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!("strength {strength} of {} is not a number", path.display()),
                "use a number such as 0.8",
            ));
        }
        let lora = Self::new(files, path, OpenedLora::open(files, path)?);
        Ok(lora.with_strength(LoraStrength::both(strength)))
    }

    /// One that is called after its file or folder.
    fn new(files: &dyn Files, path: &Path, opened: OpenedLora) -> Self {
        let name = match files.is_folder(path) {
            true => path.file_name(),
            false => path.file_stem(),
        };
        Self {
            name: name.unwrap_or_default().to_string_lossy().into_owned(),
            opened: Rc::new(opened),
            strength: LoraStrength::both(1.0),
            wanted: None,
        }
    }

    /// The same LoRA at another strength.
    pub fn with_strength(&self, strength: LoraStrength) -> Self {
        Self {
            strength,
            ..self.clone()
        }
    }

    /// The same LoRA under another name.
    pub fn with_name(&self, name: String) -> Self {
        Self {
            name,
            ..self.clone()
        }
    }

    /// The same LoRA, whose file is to have a hash that begins with these digits, as a recipe says it. Of several LoRAs
    /// of one name in a request, the one that has it is used; another file than is wanted is told.
    pub fn wanting(&self, hash: &str) -> Self {
        Self {
            wanted: Some(hash.to_ascii_lowercase()),
            ..self.clone()
        }
    }

    /// The beginning of the hash that is [wanted](Lora::wanting), and whether the file has it.
    pub(crate) fn wanted(&self) -> Option<(&str, bool)> {
        let wanted = self.wanted.as_deref()?;
        Some((wanted, self.has_hash(wanted).unwrap_or_default()))
    }

    /// How strongly it is applied.
    pub fn strength(&self) -> LoraStrength {
        self.strength
    }

    /// Whether both are the same opened file, at the same strength.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.opened, &other.opened) && self.strength == other.strength
    }

    /// Whether it leaves the UNet as it is.
    pub(crate) fn is_for_text_alone(&self) -> bool {
        let mut layers = self.opened.layers().iter();
        layers.all(|layer| layer.component == Component::TextEncoder)
    }

    /// What prompts call it: the file's name without its ending, or the folder's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SHA-256 by which the web UIs know the file, in hexadecimal digits: of its tensors' bytes, so that what a file
    /// says of itself may change; of the whole file, if that is one of PyTorch's.
    ///
    /// # Errors
    /// `model_damaged` if the file cannot be read any more.
    pub fn hash(&self) -> Result<&str> {
        self.opened.hash()
    }

    /// Whether the file's hash begins with these digits in small letters: the one of its tensors, or that of all of it, as other
    /// programs say it.
    ///
    /// # Errors
    /// As [`Lora::hash`].
    pub fn has_hash(&self, digits: &str) -> Result<bool> {
        Ok(self.hash()?.starts_with(digits) || self.opened.file_hash()?.starts_with(digits))
    }

    /// Matches the LoRA to the layers of a model whose tensors have these names, with the component
    /// in front, and shapes, as checkpoints have them.
    ///
    /// # Errors
    /// `model_unsupported` if the LoRA is for another architecture.
    pub(super) fn fit(&self, model: &BTreeMap<String, Vec<usize>>) -> Result<FittedLora> {
        let opened = &self.opened;
        let index = LayerIndex::new(model.keys().map(String::as_str));
        let family = opened.family(model);
        let misfit = |reason: String| {
            let hint = match family {
                Some(family) => format!("the LoRA is for {family}"),
                None => "the LoRA is for another base model".into(),
            };
            let message = format!("{} cannot be applied: {reason}", opened.path().display());
            Error::new(ErrorCode::ModelUnsupported, message, hint)
        };
        let mut updates = BTreeMap::new();
        for layer in opened.layers() {
            let found = index.find(layer.component, &layer.path);
            let found = found
                .ok_or_else(|| misfit(format!("the model has no layer for {}", layer.name)))?;
            for (leaf, scaled) in [("weight", &layer.weight), ("bias", &layer.bias)] {
                let Some(scaled) = scaled else { continue };
                let name = format!("{found}.{leaf}");
                let shape = model.get(&name).ok_or_else(|| {
                    misfit(format!(
                        "{} changes a {leaf}, and {found} has none",
                        layer.name
                    ))
                })?;
                let update = FittedUpdate::new(scaled, shape, opened);
                let update = update.map_err(|reason| {
                    misfit(format!("{reason} does not fit {name} of {shape:?}"))
                })?;
                if updates.insert(name, update).is_some() {
                    return Err(misfit(format!("it changes {found} twice")));
                }
            }
        }
        Ok(FittedLora {
            opened: Rc::clone(opened),
            strength: self.strength,
            updates,
        })
    }
}

/// Along which axis DoRA's magnitudes lie.
#[derive(Debug, Clone, Copy)]
enum MagnitudeAxis {
    Outputs,
    Inputs,
}

struct FittedUpdate {
    change: Change,
    /// Alpha by rank.
    scale: f32,
    magnitudes: Option<(String, MagnitudeAxis)>,
}

impl FittedUpdate {
    /// Refuses a change that does not have the size of a tensor of `shape`, saying what it is.
    fn new(
        scaled: &ScaledChange,
        shape: &[usize],
        opened: &OpenedLora,
    ) -> std::result::Result<Self, String> {
        let change = scaled.change.clone();
        let outputs = shape.first().copied().unwrap_or(1);
        let inputs = shape.get(1).copied().unwrap_or(1);
        let columns: usize = shape.iter().skip(1).product();
        if [change.rows, change.columns] != [outputs, columns] {
            let (first, own) = opened.tensor(change.first_tensor());
            return Err(format!(
                "{first} of {own:?}, for {} outputs and {} inputs,",
                change.rows, change.columns
            ));
        }
        let magnitudes = match &scaled.magnitudes {
            None => None,
            Some(magnitudes) => {
                let (name, own) = opened.tensor(&magnitudes.tensor);
                let count: usize = own.iter().product();
                let by_output = magnitudes.by_output || own.first() == Some(&outputs);
                let axis = match (count == outputs && by_output, count == inputs) {
                    (true, _) => MagnitudeAxis::Outputs,
                    (_, true) if !magnitudes.by_output => MagnitudeAxis::Inputs,
                    _ => return Err(format!("{name} of {own:?}")),
                };
                Some((magnitudes.tensor.clone(), axis))
            }
        };
        Ok(Self {
            change,
            scale: scaled.scale,
            magnitudes,
        })
    }
}

/// A LoRA that is matched to the tensors of a model.
pub struct FittedLora {
    opened: Rc<OpenedLora>,
    strength: LoraStrength,
    /// By the tensor's name, with the component in front.
    updates: BTreeMap<String, FittedUpdate>,
}

impl FittedLora {
    /// The tensors that it changes.
    pub fn tensors(&self) -> impl Iterator<Item = &str> {
        self.updates.keys().map(String::as_str)
    }

    /// About how many bytes of a device's memory it takes.
    pub fn device_bytes(&self) -> u64 {
        let counts = self.updates.values().map(|update| match update.magnitudes {
            None => update.change.count(),
            Some(_) => update.change.rows.saturating_mul(update.change.columns),
        });
        counts.map(|count| (count as u64).saturating_mul(4)).sum()
    }

    /// Whether it adds something to tensor `name` that depends on what is there.
    pub fn depends_on(&self, name: &str) -> bool {
        let update = self.updates.get(name);
        self.strength.of(name) != 0.0 && update.is_some_and(|update| update.magnitudes.is_some())
    }

    /// What the LoRA adds to tensor `name`, and what it is to be multiplied by, if it adds anything that
    /// [does not depend](FittedLora::depends_on) on what is there.
    pub fn update(&self, name: &str) -> Result<Option<(Update, f32)>> {
        let factor = |update: &FittedUpdate| self.strength.of(name) * update.scale;
        let adds = |update: &&FittedUpdate| factor(update) != 0.0 && update.magnitudes.is_none();
        let Some(update) = self.updates.get(name).filter(adds) else {
            return Ok(None);
        };
        let opened = &self.opened;
        let read = update.change.update(|name| opened.read(name))?;
        Ok(Some((read, factor(update))))
    }

    /// Changes tensor `name`, if the LoRA does; convolutions as checkpoints have them.
    ///
    /// # Errors
    /// `bad_option` if the result is not finite; `out_of_memory`.
    pub fn apply(&self, name: &str, tensor: &mut HostTensor) -> Result<()> {
        let Some(update) = self.updates.get(name) else {
            return Ok(());
        };
        // The update, and with DoRA's magnitudes where they lead.
        let bytes = 2 * size_of::<f32>() * tensor.data.len();
        memory::check_room(bytes, &format!("the LoRA's change of {name}"))?;
        let (opened, strength) = (&self.opened, self.strength.of(name));
        let delta = update.change.update(|name| opened.read(name))?.dense();
        match &update.magnitudes {
            None => add(tensor, strength * update.scale, &delta),
            Some((magnitudes, axis)) => {
                let magnitudes = opened.read(magnitudes)?;
                let mut direction = tensor.clone();
                add(&mut direction, update.scale, &delta);
                normalize(&mut direction, &magnitudes.data, *axis);
                for (value, target) in tensor.data.iter_mut().zip(direction.data) {
                    *value += strength * (target - *value);
                }
            }
        }
        match tensor.is_finite() {
            true => Ok(()),
            false => Err(self.too_strong(name)),
        }
    }

    pub fn too_strong(&self, name: &str) -> Error {
        let (path, strength) = (self.opened.path().display(), self.strength.of(name));
        Error::new(
            ErrorCode::BadOption,
            format!("{path} at strength {strength} makes {name} infinite"),
            "use a smaller strength",
        )
    }
}

fn add(tensor: &mut HostTensor, scale: f32, delta: &HostTensor) {
    for (value, delta) in tensor.data.iter_mut().zip(&delta.data) {
        *value += scale * delta;
    }
}

/// Gives each output's or input's weights the length that `magnitudes` says. What is zero has no
/// direction and stays.
fn normalize(tensor: &mut HostTensor, magnitudes: &[f32], axis: MagnitudeAxis) {
    let columns: usize = tensor.shape.iter().skip(1).product();
    let places: usize = tensor.shape.iter().skip(2).product();
    let place = |index: usize| match axis {
        MagnitudeAxis::Outputs => index / columns,
        MagnitudeAxis::Inputs => index % columns / places,
    };
    let mut squares = vec![0f64; magnitudes.len()];
    for (index, value) in tensor.data.iter().enumerate() {
        squares[place(index)] += f64::from(*value).powi(2);
    }
    let factors: Vec<f64> = squares
        .iter()
        .zip(magnitudes)
        .map(|(square, magnitude)| match *square > 0.0 {
            true => f64::from(*magnitude) / square.sqrt(),
            false => 1.0,
        })
        .collect();
    for (index, value) in tensor.data.iter_mut().enumerate() {
        *value = (f64::from(*value) * factors[place(index)]) as f32;
    }
}
