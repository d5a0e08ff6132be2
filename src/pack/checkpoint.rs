use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::component::{Component, unsupported_family};
use super::lora::{FittedLora, Lora};
use super::single_file;
use crate::text::Tokenizer;
use crate::weights::HostTensor;
use crate::weights::{Disk, Files};
use crate::weights::{SafetensorsFile, TensorInfo};
use crate::{Error, ErrorCode, Result};

/// One tensor of a checkpoint under its canonical (diffusers) name, and where it comes from.
struct Located {
    file: usize,
    name: String,
}

/// A Stable Diffusion 1.5 checkpoint on disk, in diffusers' layout or as a single file, whose
/// tensors are read one by one under diffusers' names.
pub struct Checkpoint {
    path: PathBuf,
    files: Vec<SafetensorsFile>,
    configs: BTreeMap<&'static str, Value>,
    tensors: BTreeMap<(Component, String), Located>,
    merges: Option<Vec<u8>>,
    loras: Vec<FittedLora>,
}

impl Checkpoint {
    /// Opens a diffusers folder or a `.safetensors` file on disk, reading headers and configs only.
    ///
    /// # Errors
    /// `model_not_found`, `model_damaged`, or `model_unsupported` for `.ckpt` files and for models
    /// of other families, each by name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_in(&Disk, path.as_ref())
    }

    /// As [`Checkpoint::open`], among `files`.
    pub fn open_in(files: &dyn Files, path: &Path) -> Result<Self> {
        if files.is_folder(path) {
            return Self::open_folder(files, path);
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension {
            Some("ckpt" | "pt" | "pth" | "bin") => Err(Error::new(
                ErrorCode::ModelUnsupported,
                format!(
                    "{} is a pickle, which can run code when opened",
                    path.display()
                ),
                "convert it to .safetensors first",
            )),
            _ => Self::open_file(files, path),
        }
    }

    fn open_folder(files: &dyn Files, folder: &Path) -> Result<Self> {
        if !files.is_folder(&folder.join("unet")) {
            return Err(Error::new(
                ErrorCode::ModelNotFound,
                format!("{} has no folder unet", folder.display()),
                "pass a diffusers folder or a .safetensors checkpoint",
            ));
        }
        let mut checkpoint = Self::empty(folder);
        for component in Component::ALL {
            let folder = folder.join(component.name());
            let config = read_json(files, &folder.join("config.json"))?;
            checkpoint.configs.insert(component.name(), config);
            checkpoint.add_folder_tensors(files, component, &folder)?;
        }
        if let Ok(scheduler) = read_json(files, &folder.join("scheduler/scheduler_config.json")) {
            checkpoint.configs.insert("scheduler", scheduler);
        }
        let tokenizer = folder.join("tokenizer");
        if files.is_folder(&tokenizer) {
            checkpoint.merges = Some(read_tokenizer(files, &tokenizer)?);
        }
        let is_sdxl = files.is_folder(&folder.join("text_encoder_2"));
        checkpoint.refuse_other_families(is_sdxl)?;
        Ok(checkpoint)
    }

    fn add_folder_tensors(
        &mut self,
        files: &dyn Files,
        component: Component,
        folder: &Path,
    ) -> Result<()> {
        let path = find_weights(
            files,
            folder,
            component.weight_files(),
            "the folder must hold .safetensors weights for text_encoder, unet and vae",
        )?;
        let file = SafetensorsFile::open_in(files, &path)?;
        for name in file.tensors().keys() {
            if let Some(canonical) = canonical_name(component, name) {
                self.locate(component, canonical, name);
            }
        }
        self.files.push(file);
        Ok(())
    }

    fn open_file(files: &dyn Files, path: &Path) -> Result<Self> {
        let file = SafetensorsFile::open_in(files, path)?;
        let mut checkpoint = Self::empty(path);
        let layout = single_file::Layout::recognise(path, file.tensors())?;
        for name in file.tensors().keys() {
            if let Some((component, canonical)) = layout.canonical_name(name) {
                checkpoint.locate(component, canonical, name);
            }
        }
        checkpoint.configs = layout.configs(file.tensors())?;
        checkpoint.files.push(file);
        Ok(checkpoint)
    }

    fn empty(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            files: Vec::new(),
            configs: BTreeMap::new(),
            tensors: BTreeMap::new(),
            merges: None,
            loras: Vec::new(),
        }
    }

    /// Merges `lora` into every tensor that is read from now on.
    ///
    /// # Errors
    /// `model_unsupported` if the LoRA is for another architecture.
    pub fn apply(&mut self, lora: Lora) -> Result<()> {
        let shapes = Component::ALL.into_iter().flat_map(|component| {
            let own = self.tensors(component);
            own.map(move |(name, info)| {
                let name = format!("{}.{name}", component.name());
                (name, info.shape.clone())
            })
        });
        let lora = lora.fit(&shapes.collect())?;
        self.loras.push(lora);
        Ok(())
    }

    /// Notes that the file about to be pushed holds `name`.
    fn locate(&mut self, component: Component, canonical: String, name: &str) {
        let located = Located {
            file: self.files.len(),
            name: name.to_string(),
        };
        self.tensors.insert((component, canonical), located);
    }

    /// Where the checkpoint is.
    pub fn path(&self) -> &Path {
        &self.path
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
        let all = self.tensors.iter();
        let own = all.filter(move |((owner, _), _)| *owner == component);
        own.map(|((_, name), located)| {
            let info = &self.files[located.file].tensors()[&located.name];
            (name.as_str(), info)
        })
    }

    /// Bytes of all components' tensors.
    pub fn tensor_bytes(&self) -> u64 {
        let all = Component::ALL.into_iter();
        all.flat_map(|component| self.tensors(component))
            .map(|(_, info)| info.byte_len())
            .sum()
    }

    /// One tensor by canonical name, as `f32`.
    pub fn read(&mut self, component: Component, name: &str) -> Result<HostTensor> {
        let key = (component, name.to_string());
        let located = self.tensors.get(&key).ok_or_else(|| {
            Error::new(
                ErrorCode::ModelDamaged,
                format!("the checkpoint has no {}.{name}", component.name()),
                "it is incomplete or of another architecture",
            )
        })?;
        let mut tensor = self.files[located.file].read(&located.name)?;
        // Single files keep the VAE's attention as 1x1 convolutions.
        if component == Component::Vae
            && name.contains(".attentions.")
            && tensor.shape.ends_with(&[1, 1])
        {
            tensor.shape.truncate(2);
        }
        let name = format!("{}.{name}", component.name());
        for lora in &mut self.loras {
            lora.apply(&name, &mut tensor)?;
        }
        Ok(tensor)
    }

    fn refuse_other_families(&self, has_second_text_encoder: bool) -> Result<()> {
        let unet = &self.configs["unet"];
        let inputs = unet.get("in_channels").and_then(Value::as_u64).unwrap_or(4);
        let context = unet.get("cross_attention_dim").and_then(Value::as_u64);
        let prediction = self
            .config("scheduler")
            .and_then(|config| config.get("prediction_type"))
            .and_then(Value::as_str);
        let family = if has_second_text_encoder
            || unet
                .get("addition_embed_type")
                .is_some_and(Value::is_string)
        {
            "SDXL"
        } else if inputs == 9 {
            "an inpainting model"
        } else if context == Some(1024) || prediction.is_some_and(|kind| kind != "epsilon") {
            "Stable Diffusion 2"
        } else {
            return Ok(());
        };
        Err(unsupported_family(&self.path, family))
    }
}

/// The canonical name of a tensor of a diffusers folder; `None` for tensors that are not used.
fn canonical_name(component: Component, name: &str) -> Option<String> {
    if name.ends_with("position_ids") {
        return None;
    }
    let mut canonical = name.to_string();
    match component {
        Component::TextEncoder if !name.starts_with("text_model.") => {
            canonical = format!("text_model.{name}");
        }
        Component::Vae => {
            // Older files name the mid block's attention so.
            for (old, new) in [
                (".query.", ".to_q."),
                (".key.", ".to_k."),
                (".value.", ".to_v."),
                (".proj_attn.", ".to_out.0."),
            ] {
                canonical = canonical.replace(old, new);
            }
        }
        _ => {}
    }
    Some(canonical)
}

/// The first of the files of these names that `folder` holds.
pub(super) fn find_weights(
    files: &dyn Files,
    folder: &Path,
    names: [&str; 2],
    hint: &str,
) -> Result<PathBuf> {
    let candidates = names.map(|name| folder.join(name));
    let found = candidates.iter().find(|path| files.is_file(path)).cloned();
    found.ok_or_else(|| {
        Error::new(
            ErrorCode::ModelNotFound,
            format!("{} is missing", candidates[0].display()),
            hint,
        )
    })
}

pub(super) fn read_json(files: &dyn Files, path: &Path) -> Result<Value> {
    let bytes = files.read(path).map_err(|error| {
        Error::new(
            ErrorCode::ModelNotFound,
            format!("cannot read {}: {error}", path.display()),
            "the folder must be in diffusers' layout",
        )
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(
            ErrorCode::ModelDamaged,
            format!("{} is not JSON: {error}", path.display()),
            "fetch it again",
        )
    })
}

/// `merges.txt`, after checking that `vocab.json` numbers the tokens in CLIP's order, which is
/// what lets a pack store the merges alone.
fn read_tokenizer(files: &dyn Files, folder: &Path) -> Result<Vec<u8>> {
    let read = |name: &str| {
        files.read(&folder.join(name)).map_err(|error| {
            Error::new(
                ErrorCode::ModelNotFound,
                format!("cannot read {}: {error}", folder.join(name).display()),
                "the folder must hold CLIP's tokenizer as vocab.json and merges.txt",
            )
        })
    };
    let merges = read("merges.txt")?;
    let explicit = Tokenizer::from_files(&read("vocab.json")?, &merges)?;
    let implied = Tokenizer::from_merges(&merges)?;
    if explicit != implied {
        return Err(Error::new(
            ErrorCode::ModelUnsupported,
            format!(
                "{} numbers its tokens in an order of its own",
                folder.display()
            ),
            "glassine runs models with CLIP's tokenizer",
        ));
    }
    Ok(merges)
}
