//! Low-rank adaptations of a base model and their kin, in the namings and kinds that people have.
//!
//! A LoRA is opened ([`Lora`]), then matched to a model's layers ([`FittedLora`]), and merged into
//! each tensor as that is read: a weight becomes `W + strength · alpha / rank · update`. With
//! DoRA's magnitudes `m` it is `W' = m · V / |V|` for `V = W + alpha / rank · update`, and the
//! strength leads from `W` to `W'`, as in the web UIs.

mod config;
mod kinds;
mod names;
mod open;
mod refusals;

use std::collections::BTreeMap;
use std::path::Path;

use self::kinds::Change;
use self::names::LayerIndex;
use self::open::{OpenedLora, ScaledChange};
use crate::weights::{Disk, Files, HostTensor, InMemory, TensorFile};
use crate::{Error, ErrorCode, Result, memory};

/// A LoRA file and how strongly it is applied.
pub struct Lora {
    name: String,
    opened: OpenedLora,
    strength: f32,
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

    /// As [`Lora::open`], among `files`.
    pub fn open_in(files: &dyn Files, path: &Path, strength: f32) -> Result<Self> {
        if !strength.is_finite() {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!("strength {strength} of {} is not a number", path.display()),
                "use a number such as 0.8",
            ));
        }
        let name = match files.is_folder(path) {
            true => path.file_name(),
            false => path.file_stem(),
        };
        Ok(Self {
            name: name.unwrap_or_default().to_string_lossy().into_owned(),
            opened: OpenedLora::open(files, path)?,
            strength,
        })
    }

    /// What prompts call it: the file's name without its ending, or the folder's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Matches the LoRA to the layers of a model whose tensors have these names, with the component
    /// in front, and shapes, as checkpoints have them.
    ///
    /// # Errors
    /// `model_unsupported` if the LoRA is for another architecture.
    pub(super) fn fit(self, model: &BTreeMap<String, Vec<usize>>) -> Result<FittedLora> {
        let Self {
            opened, strength, ..
        } = self;
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
                let update = FittedUpdate::new(scaled, shape, &opened);
                let update = update.map_err(|reason| {
                    misfit(format!("{reason} does not fit {name} of {shape:?}"))
                })?;
                if updates.insert(name, update).is_some() {
                    return Err(misfit(format!("it changes {found} twice")));
                }
            }
        }
        Ok(FittedLora {
            file: opened.into_file(),
            strength,
            updates,
        })
    }
}

/// Whether files with tensors of these names are of a kind that is applied, for Stable Diffusion 1.5.
pub(super) fn is_applied<'a>(names: impl Iterator<Item = &'a String> + Clone) -> bool {
    refusals::kind(names.clone()).is_none() && refusals::family(names).is_none()
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
pub(super) struct FittedLora {
    file: TensorFile,
    strength: f32,
    /// By the tensor's name, with the component in front.
    updates: BTreeMap<String, FittedUpdate>,
}

impl FittedLora {
    /// Whether the LoRA changes tensor `name`.
    pub fn changes(&self, name: &str) -> bool {
        self.updates.contains_key(name)
    }

    /// Whether what the LoRA adds to tensor `name` depends on what is there.
    pub fn depends_on(&self, name: &str) -> bool {
        let update = self.updates.get(name);
        update.is_some_and(|update| update.magnitudes.is_some())
    }

    /// Changes tensor `name`, if the LoRA does; convolutions as checkpoints have them.
    ///
    /// # Errors
    /// `bad_option` if the result is not finite; `out_of_memory`.
    pub fn apply(&mut self, name: &str, tensor: &mut HostTensor) -> Result<()> {
        let Some(update) = self.updates.get(name) else {
            return Ok(());
        };
        // The update, and with DoRA's magnitudes where they lead.
        let bytes = 2 * size_of::<f32>() * tensor.data.len();
        memory::check_room(bytes, &format!("the LoRA's change of {name}"))?;
        let file = &mut self.file;
        let delta = update.change.update(|name| file.read(name))?.dense();
        match &update.magnitudes {
            None => add(tensor, self.strength * update.scale, &delta),
            Some((magnitudes, axis)) => {
                let magnitudes = file.read(magnitudes)?;
                let mut direction = tensor.clone();
                add(&mut direction, update.scale, &delta);
                normalize(&mut direction, &magnitudes.data, *axis);
                for (value, target) in tensor.data.iter_mut().zip(direction.data) {
                    *value += self.strength * (target - *value);
                }
            }
        }
        match tensor.is_finite() {
            true => Ok(()),
            false => Err(Error::new(
                ErrorCode::BadOption,
                format!(
                    "{} at strength {} makes {name} infinite",
                    self.file.path().display(),
                    self.strength
                ),
                "use a smaller strength",
            )),
        }
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
