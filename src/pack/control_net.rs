//! ControlNets: folders in diffusers' layout, and single files in diffusers' or the original names.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::Value;

use super::architecture::{Architecture, Flaw};
use super::checkpoint::Checkpoint;
use super::component::Component;
use super::diffusers_folder::{open_weights, read_json};
use super::kind;
use super::manifest::Manifest;
use super::reader::{LoadEvent, Pack, PackSource, aborted};
use super::single_file::original_control_net_names;
use super::stored_tensor::{StoredTensor, device_bytes};
use super::tensor_source::TensorSource;
use crate::unet::UnetConfig;
use crate::weights::{Disk, Files, TensorFile, Weights};
use crate::{Error, ErrorCode, Result};

/// The component of a pack that is its own ControlNet.
pub(crate) const CONTROL_NET: &str = "controlnet";

/// Whether a pack's tensor of that name is of its own ControlNet.
pub(crate) fn is_control_net(name: &str) -> bool {
    name.strip_prefix(CONTROL_NET)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// A ControlNet's file or folder, for a request. Its tensors are read when it is used. Clones share what was
/// read of it.
#[derive(Clone)]
pub struct ControlNetFile {
    name: String,
    opened: Rc<RefCell<Opened>>,
}

impl std::fmt::Debug for ControlNetFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields = formatter.debug_struct("ControlNetFile");
        fields.field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for ControlNetFile {
    /// Whether both are the same opened file.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.opened, &other.opened)
    }
}

impl ControlNetFile {
    /// Opens a ControlNet on disk, a file or a folder in diffusers' layout.
    ///
    /// # Errors
    /// `model_not_found` if there is no such file, `model_unsupported` if it is something else or a ControlNet of
    /// a kind that is not run.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_in(&Disk, path)
    }

    /// As [`ControlNetFile::open`], among `files`.
    pub fn open_in(files: &dyn Files, path: &Path) -> Result<Self> {
        let opened = Opened::open(files, path)?;
        let name = match files.is_folder(path) {
            true => path.file_name(),
            false => path.file_stem(),
        };
        Ok(Self {
            name: name.unwrap_or_default().to_string_lossy().into_owned(),
            opened: Rc::new(RefCell::new(opened)),
        })
    }

    /// The same ControlNet under another name.
    pub fn with_name(&self, name: String) -> Self {
        Self {
            name,
            ..self.clone()
        }
    }

    /// What it is called: the file's name without its ending, or the folder's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Refuses it if it is for another UNet than that of the pack of `manifest`.
    ///
    /// # Errors
    /// `model_unsupported`, or `model_damaged` if a part of it is missing.
    pub(crate) fn check_fits(&self, manifest: &Manifest) -> Result<()> {
        self.opened.borrow().check_fits(manifest)
    }

    /// What it takes of a device's memory beside the pack of `manifest`, in bytes.
    pub(crate) fn device_bytes(&self, manifest: &Manifest) -> u64 {
        let opened = self.opened.borrow();
        let tensors = opened.source.tensors();
        let bytes = tensors.map(|(name, info)| {
            let name = format!("{CONTROL_NET}.{name}");
            device_bytes(&name, info, manifest.precision)
        });
        bytes.sum()
    }

    /// Its config, beside the pack of `manifest`.
    ///
    /// # Errors
    /// `model_unsupported` if it is none of a UNet.
    pub(crate) fn config(&self, manifest: &Manifest) -> Result<UnetConfig> {
        let opened = self.opened.borrow();
        let config = opened.config_beside(unet_config(manifest));
        UnetConfig::deserialize(config).map_err(|error| {
            refusal(
                opened.source.path(),
                &format!("its config is wrong ({error})"),
            )
        })
    }
}

impl<S: PackSource> Pack<S> {
    /// Brings the ControlNet's tensors onto `weights`' device, each stored as this pack would store it, so that it is
    /// what packing it gives.
    ///
    /// # Errors
    /// `model_damaged` if a tensor cannot be read or is not finite, `bad_option` if one is beyond the range of the
    /// pack's precision, `aborted`.
    pub(crate) async fn load_control_net(
        &self,
        file: &ControlNetFile,
        weights: &Weights,
        mut progress: impl AsyncFnMut(LoadEvent) -> bool,
    ) -> Result<()> {
        let opened = &file.opened;
        let total_bytes = opened.borrow().source.tensor_bytes();
        let names: Vec<String> = {
            let opened = opened.borrow();
            let names = opened.source.tensors();
            names.map(|(name, _)| name.to_string()).collect()
        };
        let mut loaded_bytes = 0;
        for name in names {
            let tensor = opened.borrow_mut().source.read(&name)?;
            let name = format!("{CONTROL_NET}.{name}");
            loaded_bytes += (size_of::<f32>() * tensor.data.len()) as u64;
            let stored = StoredTensor::new(&name, tensor, self.manifest().precision)?;
            weights.insert_part(&name, &stored.entry, stored.chunk())?;
            let event = LoadEvent {
                loaded_bytes: loaded_bytes.min(total_bytes),
                total_bytes,
            };
            if !progress(event).await {
                return Err(aborted());
            }
        }
        Ok(())
    }
}

/// Opens the ControlNet at `path` among `files`, a folder or a file, for the UNet of `base`: its
/// config and its tensors under diffusers' names.
///
/// # Errors
/// `model_not_found` if a file is missing, `model_unsupported` if there is something else or a
/// ControlNet for another UNet.
pub fn open(files: &dyn Files, path: &Path, base: &Checkpoint) -> Result<(Value, TensorSource)> {
    let opened = Opened::open(files, path)?;
    let own = base.tensors(Component::Unet);
    opened.check_steers(own.map(|(name, info)| (name, info.shape.as_slice())))?;
    let unet = base.config(Component::Unet.name()).cloned();
    let config = opened.config_beside(&unet.unwrap_or_default());
    Ok((config, opened.source))
}

/// A ControlNet that steers some UNet.
struct Opened {
    /// Of a folder; a file has none.
    config: Option<Value>,
    source: TensorSource,
}

impl Opened {
    fn open(files: &dyn Files, path: &Path) -> Result<Self> {
        let (config, source) = match files.is_folder(path) {
            true => {
                let (config, source) = open_folder(files, path)?;
                (Some(config), source)
            }
            false => (None, open_file(files, path)?),
        };
        let opened = Self { config, source };
        match opened.unusable() {
            None => Ok(opened),
            Some(reason) => Err(refusal(path, &reason)),
        }
    }

    /// Its config. A file's is that of the model's UNet, but for inputs that only some UNets have.
    fn config_beside(&self, unet: &Value) -> Value {
        self.config.clone().unwrap_or_else(|| {
            let mut config = unet.clone();
            if let Some(config) = config.as_object_mut() {
                config.remove("in_channels");
                config.remove("time_cond_proj_dim");
            }
            config
        })
    }

    fn check_steers<'a>(&self, unet: impl Iterator<Item = (&'a str, &'a [usize])>) -> Result<()> {
        match misfit(&self.source, unet) {
            None => Ok(()),
            Some(reason) => Err(refusal(self.source.path(), &reason)),
        }
    }

    fn check_fits(&self, manifest: &Manifest) -> Result<()> {
        let mut whole = Architecture::of_pack(manifest);
        let start = Component::Unet.start();
        let unet = whole.shapes.iter();
        let unet = unet.filter_map(|(name, shape)| Some((name.strip_prefix(&start)?, &shape[..])));
        self.check_steers(unet)?;
        let config = self.config_beside(unet_config(manifest));
        let steered = [Component::Unet.name(), Component::TextEncoder.name()];
        whole
            .configs
            .retain(|component, _| steered.contains(&component.as_str()));
        whole.configs.insert(CONTROL_NET.into(), config);
        whole.shapes.retain(|name, _| !is_control_net(name));
        let own = self.source.tensors();
        let own = own.map(|(name, info)| (format!("{CONTROL_NET}.{name}"), info.shape.clone()));
        whole.shapes.extend(own);
        let refused =
            |(component, flaw): (String, Flaw)| flaw.into_error(self.source.path(), &component);
        whole.check().map_err(refused)
    }

    /// Why it cannot be used with any UNet; `None` if it can.
    fn unusable(&self) -> Option<String> {
        let Self { config, source } = self;
        if source.info("controlnet_mid_block.weight").is_none() {
            return Some("it is not a ControlNet".into());
        }
        let said = |field: &str| {
            config
                .as_ref()
                .map_or(&Value::Null, |config| &config[field])
        };
        if *said("global_pool_conditions") == true {
            return Some(POOLED.into());
        }
        let union = [
            "task_embedding",
            "control_type_embedding.",
            "control_add_embedding.",
        ];
        if union.iter().any(|name| source.has_below(name)) {
            return Some("it takes several kinds of pictures (union)".into());
        }
        let order = said("controlnet_conditioning_channel_order").as_str();
        let inputs = source
            .shape("controlnet_cond_embedding.conv_in.weight")
            .and_then(|shape| shape.get(1));
        if inputs != Some(&3) || order.is_some_and(|order| order != "rgb") {
            return Some("its control picture is not RGB".into());
        }
        None
    }
}

fn unet_config(manifest: &Manifest) -> &Value {
    let config = manifest.components.get(Component::Unet.name());
    config.unwrap_or(&Value::Null)
}

fn open_folder(files: &dyn Files, folder: &Path) -> Result<(Value, TensorSource)> {
    if files.is_folder(&folder.join("unet")) {
        return Err(refusal(folder, "it is a whole model and not a ControlNet"));
    }
    let config = read_json(files, &folder.join("config.json"))?;
    let stem = Component::Unet.weights_stem();
    let hint = "pass a ControlNet's folder in diffusers' layout, or its file, as .safetensors";
    let mut source = TensorSource::default();
    for file in open_weights(files, folder, stem, hint)? {
        source.add(file, |name| Some(name.to_string()))?;
    }
    Ok((config, source))
}

fn open_file(files: &dyn Files, path: &Path) -> Result<TensorSource> {
    let file = TensorFile::open_in(files, path)?;
    let has = |start: &str| file.tensors().keys().any(|name| name.starts_with(start));
    // Such files hold what is to be added to a UNet's weights to give a ControlNet's.
    if file.tensors().contains_key("difference") || has("lora_controlnet") || has("control_lora") {
        let reason = "it is the difference of a ControlNet from its base model, or a Control-LoRA";
        return Err(refusal(path, reason));
    }
    let start = match has("control_model.") {
        true => "control_model.",
        false => "",
    };
    let mut source = TensorSource::default();
    if has(&format!("{start}zero_convs.")) {
        let canonical = original_control_net_names(start, file.tensors());
        source.add(file, canonical)?;
    } else if has("controlnet_") {
        source.add(file, |name| Some(name.to_string()))?;
    } else {
        let kind = kind::of(file.tensors()).map(|kind| format!("it is a {}", kind.name));
        let reason = kind.unwrap_or_else(|| "it is not a ControlNet".into());
        return Err(refusal(path, &reason));
    }
    // Only its name tells of a file that its conditions are pooled.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.to_lowercase().contains("shuffle") {
        return Err(refusal(path, POOLED));
    }
    Ok(source)
}

const POOLED: &str = "its conditions are pooled over the whole picture";

fn refusal(path: &Path, reason: &str) -> Error {
    Error::new(
        ErrorCode::ModelUnsupported,
        format!("{} cannot be used: {reason}", path.display()),
        "pass a ControlNet for Stable Diffusion 1.5 that takes one RGB picture",
    )
}

/// Why a ControlNet cannot steer a UNet of these tensors; `None` if it can.
fn misfit<'a>(
    source: &TensorSource,
    unet: impl Iterator<Item = (&'a str, &'a [usize])>,
) -> Option<String> {
    // An inpainting model's first convolution has more inputs.
    let copied = [
        "conv_in.bias",
        "time_embedding.",
        "down_blocks.",
        "mid_block.",
    ];
    let is_copied = |name: &str| copied.iter().any(|start| name.starts_with(start));
    let mut skips = 1;
    for (name, shape) in unet {
        if is_copied(name) && source.shape(name) != Some(shape) {
            return Some(format!("its {name} does not fit the model's UNet"));
        }
        let leaves_skip = name.ends_with(".conv2.weight") || name.ends_with(".conv.weight");
        skips += usize::from(name.starts_with("down_blocks.") && leaves_skip);
    }
    let convolutions = (0..).take_while(|index| {
        source
            .info(&format!("controlnet_down_blocks.{index}.weight"))
            .is_some()
    });
    (convolutions.count() != skips).then(|| format!("it does not have {skips} outputs"))
}
