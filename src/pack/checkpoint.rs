use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::architecture::Architecture;
use super::component::{Component, class_of, sd15_scheduler};
use super::diffusers_folder::{open_weights, read_json, read_tokenizer};
use super::family::{self, unsupported_family};
use super::kind;
use super::lora::{FittedLora, Lora};
use super::single_file::{Layout, Tensors};
use super::tensor_source::TensorSource;
use crate::weights::HostTensor;
use crate::weights::{Disk, Files};
use crate::weights::{TensorFile, TensorInfo};
use crate::{Error, ErrorCode, Result};

/// A Stable Diffusion 1.5 checkpoint on disk or a part of one, in diffusers' layout or as a single
/// file, whose tensors are read one by one under diffusers' names.
pub struct Checkpoint {
    path: PathBuf,
    source: TensorSource,
    configs: BTreeMap<&'static str, Value>,
    /// Where the parts are from that have taken the place of the checkpoint's own.
    replaced: BTreeMap<&'static str, PathBuf>,
    merges: Option<Vec<u8>>,
    loras: Vec<FittedLora>,
}

impl Checkpoint {
    /// Opens a diffusers folder or a file on disk, `.safetensors` or PyTorch's (`.ckpt`), reading headers
    /// and configs only.
    /// It may hold some of the parts, or one alone: [`Checkpoint::check_whole`] says what it lacks.
    ///
    /// # Errors
    /// `model_not_found`, `model_damaged`, or `model_unsupported` for models of other families and
    /// for files of other kinds, each by name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_in(&Disk, path.as_ref())
    }

    /// As [`Checkpoint::open`], among `files`.
    pub fn open_in(files: &dyn Files, path: &Path) -> Result<Self> {
        let checkpoint = match files.is_folder(path) {
            true => Self::open_folder(files, path),
            false => Self::open_file(files, path),
        }?;
        match family::of_parts(&checkpoint.source) {
            Some(family) => Err(unsupported_family(path, &family)),
            None => Ok(checkpoint),
        }
    }

    /// A folder with one folder for each part, or that of one part.
    fn open_folder(files: &dyn Files, folder: &Path) -> Result<Self> {
        refuse_other_pipelines(files, folder)?;
        let mut checkpoint = Self::empty(folder);
        let is_here = |component: &Component| files.is_folder(&folder.join(component.name()));
        let parts: Vec<_> = Component::ALL.into_iter().filter(is_here).collect();
        if parts.is_empty() {
            let (component, config) = part_of(files, folder)?;
            checkpoint.add_folder(files, component, folder, config)?;
            return Ok(checkpoint);
        }
        for component in parts {
            let folder = folder.join(component.name());
            let config = read_json(files, &folder.join("config.json"))?;
            checkpoint.add_folder(files, component, &folder, config)?;
        }
        if let Ok(scheduler) = read_json(files, &folder.join("scheduler/scheduler_config.json")) {
            checkpoint.configs.insert("scheduler", scheduler);
        }
        let tokenizer = folder.join("tokenizer");
        if files.is_folder(&tokenizer) {
            checkpoint.merges = read_tokenizer(files, &tokenizer)?;
        }
        Ok(checkpoint)
    }

    fn add_folder(
        &mut self,
        files: &dyn Files,
        component: Component,
        folder: &Path,
        config: Value,
    ) -> Result<()> {
        if let Some(family) =
            family::of_unet_config(&config).filter(|_| component == Component::Unet)
        {
            return Err(unsupported_family(&self.path, &family));
        }
        let hint = "the folder must hold .safetensors weights";
        let opened = open_weights(files, folder, component.weights_stem(), hint)?;
        let mut tensors = Tensors::new();
        for file in &opened {
            tensors.extend(file.tensors().clone());
        }
        let layout = Layout::of_part(component, &tensors);
        for file in opened {
            self.source
                .add(file, |name| layout.canonical_name(name).map(full_name))?;
        }
        self.configs.insert(component.name(), config);
        Ok(())
    }

    fn open_file(files: &dyn Files, path: &Path) -> Result<Self> {
        let file = TensorFile::open_in(files, path)?;
        if let Some(kind) = kind::of(file.tensors()) {
            let hint = match kind.option {
                Some(option) => format!("pass it with {option}, beside a checkpoint"),
                None => "pass a Stable Diffusion 1.5 checkpoint".into(),
            };
            return Err(Error::new(
                ErrorCode::ModelUnsupported,
                format!("{} is no checkpoint but a {}", path.display(), kind.name),
                hint,
            ));
        }
        if let Some(family) = family::of_names(file.tensors()) {
            return Err(unsupported_family(path, family));
        }
        let layout = Layout::recognise(file.tensors());
        let components: Vec<_> = layout.components().collect();
        if components.is_empty() {
            return Err(Error::new(
                ErrorCode::ModelUnsupported,
                format!(
                    "{} holds no UNet, VAE or text encoder that glassine knows",
                    path.display()
                ),
                "pass a Stable Diffusion 1.5 checkpoint",
            ));
        }
        let mut checkpoint = Self::empty(path);
        let scheduler = scheduler_of(&file);
        checkpoint
            .source
            .add(file, |name| layout.canonical_name(name).map(full_name))?;
        for component in components {
            let config = component.derived_config(&checkpoint.source);
            checkpoint.configs.insert(component.name(), config);
        }
        checkpoint.configs.insert("scheduler", scheduler);
        Ok(checkpoint)
    }

    fn empty(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            source: TensorSource::default(),
            configs: BTreeMap::new(),
            replaced: BTreeMap::new(),
            merges: None,
            loras: Vec::new(),
        }
    }

    /// Takes `component` from the folder or file at `path` among `files` in place of what is there.
    /// That may be the part alone or a checkpoint that holds it.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; `model_unsupported` if it does not hold the part.
    pub fn replace(&mut self, component: Component, files: &dyn Files, path: &Path) -> Result<()> {
        let mut other = Self::open_in(files, path)?;
        let config = other.configs.remove(component.name());
        let config = config.filter(|_| other.holds(component)).ok_or_else(|| {
            let (words, option) = (component.words(), component.option());
            Error::new(
                ErrorCode::ModelUnsupported,
                format!("{} holds no {words}", path.display()),
                format!("pass a {words} of Stable Diffusion 1.5 with {option}"),
            )
        })?;
        if let Some(family) = family::of_part_config(component, &config) {
            return Err(unsupported_family(path, family));
        }
        self.source.replace(&component.start(), other.source);
        self.configs.insert(component.name(), config);
        self.replaced.insert(component.name(), path.to_path_buf());
        if component == Component::TextEncoder {
            self.merges = other.merges.or(self.merges.take());
        }
        Ok(())
    }

    /// Whether the part is here.
    pub fn holds(&self, component: Component) -> bool {
        self.source.has_below(&component.start())
    }

    /// Refuses a checkpoint that lacks a part.
    ///
    /// # Errors
    /// `model_unsupported`, which names what is missing and the options that take it.
    pub fn check_whole(&self) -> Result<()> {
        let refuse = |what: String, hint: String| {
            let message = format!("{} {what}", self.path.display());
            Err(Error::new(ErrorCode::ModelUnsupported, message, hint))
        };
        let all = Component::ALL.into_iter();
        let (here, missing): (Vec<_>, Vec<_>) = all.partition(|part| self.holds(*part));
        if missing.contains(&Component::Unet) {
            let words: Vec<_> = here.iter().map(|part| part.words()).collect();
            let options: Vec<_> = here.iter().map(|part| part.option()).collect();
            return refuse(
                format!("holds no UNet, only a {}", words.join(" and a ")),
                format!(
                    "pass it with {}, and a UNet or a whole checkpoint with --model",
                    options.join(" and ")
                ),
            );
        }
        if !missing.is_empty() {
            let words: Vec<_> = missing.iter().map(|part| part.words()).collect();
            let options: Vec<_> = missing
                .iter()
                .map(|part| format!("{} FILE", part.option()))
                .collect();
            return refuse(
                format!("holds no {}", words.join(" and no ")),
                format!("pass {}, or a whole checkpoint", options.join(" and ")),
            );
        }
        Ok(())
    }

    /// Merges `lora` into every tensor that is read from now on.
    ///
    /// # Errors
    /// `model_unsupported` if the LoRA is for another architecture.
    pub fn apply(&mut self, lora: Lora) -> Result<()> {
        let shapes = self.source.tensors();
        let shapes = shapes.map(|(name, info)| (name.to_string(), info.shape.clone()));
        let lora = lora.fit(&shapes.collect())?;
        self.loras.push(lora);
        Ok(())
    }

    /// Where the checkpoint is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a component is from: the checkpoint, unless it was replaced.
    pub(super) fn path_of(&self, component: &str) -> &Path {
        self.replaced.get(component).unwrap_or(&self.path)
    }

    /// The config of a component (or of `scheduler`), as in its `config.json`.
    pub fn config(&self, component: &str) -> Option<&Value> {
        self.configs.get(component)
    }

    /// `merges.txt` of the checkpoint's own tokenizer; a checkpoint without one uses CLIP's.
    pub fn merges(&self) -> Option<&[u8]> {
        self.merges.as_deref()
    }

    /// Names and headers of a component's tensors, by canonical name.
    pub fn tensors(&self, component: Component) -> impl Iterator<Item = (&str, &TensorInfo)> {
        let start = component.start();
        let all = self.source.tensors();
        all.filter_map(move |(name, info)| Some((name.strip_prefix(&start)?, info)))
    }

    /// Bytes of all components' tensors.
    pub fn tensor_bytes(&self) -> u64 {
        self.source.tensor_bytes()
    }

    /// What the checkpoint is made of.
    pub(super) fn architecture(&self) -> Architecture {
        let configs = self.configs.iter();
        let shapes = self.source.tensors();
        let shapes = shapes.map(|(name, info)| (name.to_string(), info.shape.clone()));
        Architecture {
            configs: configs
                .map(|(name, config)| (name.to_string(), config.clone()))
                .collect(),
            shapes: shapes.collect(),
        }
    }

    /// Refuses a checkpoint that lacks a tensor or is of another architecture.
    ///
    /// # Errors
    /// `model_damaged` or `model_unsupported`.
    pub fn check(&self) -> Result<()> {
        let outcome = self.architecture().check();
        outcome.map_err(|(component, flaw)| flaw.into_error(self.path_of(&component), &component))
    }

    /// One tensor by canonical name, as `f32`.
    pub fn read(&mut self, component: Component, name: &str) -> Result<HostTensor> {
        let full = format!("{}{name}", component.start());
        let mut tensor = self.source.read(&full)?;
        // Original files keep the VAE's attention as convolutions over one cell.
        if component == Component::Vae && name.contains(".attentions.") {
            while tensor.shape.len() > 2 && tensor.shape.ends_with(&[1]) {
                tensor.shape.pop();
            }
        }
        for lora in &self.loras {
            lora.apply(&full, &mut tensor)?;
        }
        Ok(tensor)
    }
}

/// `unet.conv_in.weight` and the like.
fn full_name((component, name): (Component, String)) -> String {
    format!("{}{name}", component.start())
}

/// Refuses a folder that is of another family by what its index or its folders are called.
fn refuse_other_pipelines(files: &dyn Files, folder: &Path) -> Result<()> {
    let index = folder.join("model_index.json");
    let family = match files.is_file(&index) {
        true => family::of_pipeline(&read_json(files, &index)?),
        false => None,
    };
    let has = |name: &str| files.is_folder(&folder.join(name));
    let by_folder = || {
        if has("transformer") {
            Some("a diffusion transformer (Stable Diffusion 3, Flux and later families)".into())
        } else {
            has("text_encoder_2").then(|| "SDXL".into())
        }
    };
    match family.or_else(by_folder) {
        Some(family) => Err(unsupported_family(folder, &family)),
        None => Ok(()),
    }
}

/// Which part a folder without folders for the parts is, and its config.
fn part_of(files: &dyn Files, folder: &Path) -> Result<(Component, Value)> {
    let path = folder.join("config.json");
    if !files.is_file(&path) {
        return Err(Error::new(
            ErrorCode::ModelNotFound,
            format!("{} has no folder unet", folder.display()),
            "pass a diffusers folder or a .safetensors checkpoint",
        ));
    }
    let config = read_json(files, &path)?;
    match Component::of_config(&config) {
        Some(component) => Ok((component, config)),
        None => {
            let class = class_of(&config).unwrap_or("model of an unknown class");
            let hint = match class {
                "ControlNetModel" => "pass it with --controlnet, beside a checkpoint",
                _ => "pass a diffusers folder or a .safetensors checkpoint",
            };
            Err(Error::new(
                ErrorCode::ModelUnsupported,
                format!("{} holds a {class}", folder.display()),
                hint,
            ))
        }
    }
}

/// Stable Diffusion 1.5's scheduler, changed as marks in a single file ask for: tensors without
/// values, whose names say what the UNet was trained to predict, or what ModelSpec has for it.
fn scheduler_of(file: &TensorFile) -> Value {
    let mut scheduler = sd15_scheduler();
    let has = |name: &str| file.tensors().contains_key(name);
    let specified = file.metadata().get("modelspec.prediction_type");
    match specified.map(String::as_str) {
        None | Some("" | "epsilon") => {}
        Some("v") => scheduler["prediction_type"] = "v_prediction".into(),
        // Diffusers' words; others are refused with the schedule.
        Some(other) => scheduler["prediction_type"] = other.replace('-', "_").into(),
    }
    if has("v_pred") {
        scheduler["prediction_type"] = "v_prediction".into();
    }
    if has("ztsnr") {
        scheduler["rescale_betas_zero_snr"] = true.into();
        scheduler["timestep_spacing"] = "trailing".into();
    }
    scheduler
}
