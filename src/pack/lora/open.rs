//! Opening a LoRA: finding its file, its layers, what each changes and by how much.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::component::Component;
use super::super::kind;
use super::super::single_file::Layout;
use super::config::{Config, Configs};
use super::kinds::{Change, LayerTensors};
use super::names::{Part, component_and_path, split};
use super::refusals;
use crate::weights::{Files, HostTensor, TensorFile};
use crate::{Error, ErrorCode, Result};

/// A change of a weight or a bias, and what it is multiplied by.
pub struct ScaledChange {
    pub change: Change,
    /// Alpha by rank.
    pub scale: f32,
    pub magnitudes: Option<Magnitudes>,
}

/// DoRA's magnitudes.
pub struct Magnitudes {
    pub tensor: String,
    /// Whether they are certain to be one for each output.
    pub by_output: bool,
}

/// A layer that a LoRA changes.
pub struct Layer {
    /// As the file calls it.
    pub name: String,
    pub component: Component,
    /// Its path in the component, with underscores.
    pub path: String,
    pub weight: Option<ScaledChange>,
    pub bias: Option<ScaledChange>,
}

/// A LoRA whose tensors are known and found finite.
pub struct OpenedLora {
    path: PathBuf,
    file: RefCell<TensorFile>,
    /// By the tensor's name.
    shapes: BTreeMap<String, Vec<usize>>,
    layers: Vec<Layer>,
    hash: OnceCell<String>,
}

/// Tensors of a layer by what they are to it.
type Parts = BTreeMap<Part, String>;

impl OpenedLora {
    /// Opens the file or the folder at `path`.
    ///
    /// # Errors
    /// As [`Lora::open`](super::Lora::open).
    pub fn open(files: &dyn Files, path: &Path) -> Result<Self> {
        Self::open_with(files, path, check_finite)
    }

    /// The same without looking at the values of its factors.
    pub fn outline(files: &dyn Files, path: &Path) -> Result<Self> {
        Self::open_with(files, path, |_| Ok(()))
    }

    fn open_with(
        files: &dyn Files,
        path: &Path,
        check_values: impl Fn(&mut TensorFile) -> Result<()>,
    ) -> Result<Self> {
        let (weights, config) = match files.is_folder(path) {
            true => find_in_folder(files, path)?,
            false => (path.to_path_buf(), None),
        };
        let mut file = TensorFile::open_in(files, &weights)?;
        let parts = group(&file)?;
        let configs = match config {
            Some(json) => Configs::from_adapter_config(&json),
            None => Configs::from_metadata(file.metadata()),
        };
        let configs = configs.map_err(|reason| unsupported(&weights, reason))?;
        check_shapes(&file)?;
        check_values(&mut file)?;
        let mut layers = Vec::new();
        for (name, parts) in parts {
            layers.push(open_layer(&mut file, name, &parts, &configs)?);
        }
        let shapes = file.tensors().iter();
        let shapes = shapes.map(|(name, info)| (name.clone(), info.shape.clone()));
        Ok(Self {
            path: weights,
            shapes: shapes.collect(),
            file: RefCell::new(file),
            layers,
            hash: OnceCell::new(),
        })
    }

    /// The hash by which the web UIs know the file, which is read for it once.
    pub fn hash(&self) -> Result<&str> {
        if let Some(hash) = self.hash.get() {
            return Ok(hash);
        }
        let hash = self.file.borrow_mut().sha256(false)?;
        Ok(self.hash.get_or_init(|| hash))
    }

    /// The hash of the whole file.
    pub fn file_hash(&self) -> Result<String> {
        self.file.borrow_mut().sha256(true)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the LoRA changes.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// A tensor's name and shape.
    pub fn tensor<'a>(&'a self, name: &'a str) -> (&'a str, &'a [usize]) {
        (name, &self.shapes[name])
    }

    /// The values of a tensor.
    pub fn read(&self, name: &str) -> Result<HostTensor> {
        self.file.borrow_mut().read(name)
    }

    /// The family of models that the LoRA is for, if that is not the family of `model`, by the
    /// width of what cross-attention reads or of the text encoder.
    pub fn family(&self, model: &BTreeMap<String, Vec<usize>>) -> Option<&'static str> {
        const ENDS: [&str; 4] = [
            "attn2_to_k",
            "attn2_to_v",
            "self_attn_q_proj",
            "self_attn_k_proj",
        ];
        let is_context = |path: &str| ENDS.iter().any(|end| path.ends_with(end));
        let mut layers = self.layers.iter().filter(|layer| is_context(&layer.path));
        let width = layers.find_map(|layer| Some(layer.weight.as_ref()?.change.columns))?;
        let mut own = model.iter().filter(|(name, _)| {
            let layer = name.strip_suffix(".weight").unwrap_or_default();
            is_context(&layer.replace('.', "_"))
        });
        match own.any(|(_, shape)| shape.get(1) == Some(&width)) {
            true => None,
            false => refusals::family_by_context(width),
        }
    }
}

/// The weights in a LoRA's folder, and PEFT's config beside them.
fn find_in_folder(files: &dyn Files, folder: &Path) -> Result<(PathBuf, Option<Vec<u8>>)> {
    const KNOWN: [&str; 2] = ["adapter_model", "pytorch_lora_weights"];
    let find = |extension: &str| {
        let mut all = KNOWN
            .iter()
            .map(|name| folder.join(name).with_extension(extension));
        all.find(|path| files.is_file(path))
    };
    let weights = find("safetensors").or_else(|| find("bin"));
    let weights = weights.ok_or_else(|| {
        Error::new(
            ErrorCode::ModelNotFound,
            format!("{} holds no LoRA", folder.display()),
            format!(
                "the folder must hold {}.safetensors",
                KNOWN.join(".safetensors or ")
            ),
        )
    })?;
    let config = folder.join("adapter_config.json");
    if !files.is_file(&config) {
        return Ok((weights, None));
    }
    let json = files.read(&config).map_err(|error| {
        Error::new(
            ErrorCode::Io,
            format!("cannot read {}", config.display()),
            error.to_string(),
        )
    })?;
    Ok((weights, Some(json)))
}

/// The file's tensors by layer. Whatever is not understood makes a refusal, since a LoRA that is
/// applied in part makes other pictures.
fn group(file: &TensorFile) -> Result<BTreeMap<String, Parts>> {
    let names = file.tensors().keys();
    let mut layers: BTreeMap<String, Parts> = BTreeMap::new();
    let mut unknown = None;
    for name in names.clone() {
        let Some((layer, part)) = split(name) else {
            unknown.get_or_insert(name);
            continue;
        };
        let previous = layers.entry(layer).or_default().insert(part, name.clone());
        if let Some(previous) = previous {
            return Err(damaged(
                file.path(),
                format!("{previous} and {name} are the same"),
            ));
        }
    }
    let refuse = |reason| Err(unsupported(file.path(), reason));
    if let Some(kind) = refusals::kind(names.clone()) {
        return refuse(format!("it is {kind}, which glassine does not apply"));
    }
    if let Some(family) = refusals::family(names) {
        return refuse(format!("it is for {family}"));
    }
    match unknown {
        _ if layers.is_empty() => refuse(what_else(file)),
        Some(name) => refuse(format!("{name} is not understood")),
        None => Ok(layers),
    }
}

/// What a file is that holds no LoRA.
fn what_else(file: &TensorFile) -> String {
    if let Some(kind) = kind::of(file.tensors()) {
        return format!("it is no LoRA but a {}", kind.name);
    }
    let is_part = Layout::recognise(file.tensors())
        .components()
        .next()
        .is_some();
    match is_part {
        true => "it is no LoRA but a checkpoint, or a part of one".into(),
        false => "it holds no LoRA".into(),
    }
}

/// Refuses tensors without values.
fn check_shapes(file: &TensorFile) -> Result<()> {
    let mut all = file.tensors().iter();
    match all.find(|(_, info)| info.shape.contains(&0)) {
        None => Ok(()),
        Some((name, info)) => {
            let reason = format!("{name} of {:?} holds nothing: its rank is 0", info.shape);
            Err(damaged(file.path(), reason))
        }
    }
}

/// Refuses NaN and infinity, which quantization would hide.
fn check_finite(file: &mut TensorFile) -> Result<()> {
    let all = file.tensors().iter();
    let all: Vec<_> = all
        .map(|(name, info)| {
            let count = info.shape.iter().product::<usize>();
            (name.clone(), count, info.dtype.is_float())
        })
        .collect();
    for (name, count, is_float) in all {
        // Alphas may be whole numbers.
        let has_factors = is_float || count > 1;
        if has_factors && !file.read(&name)?.is_finite() {
            let reason = format!("{name} contains NaN or infinity");
            return Err(damaged(file.path(), reason));
        }
    }
    Ok(())
}

fn open_layer(
    file: &mut TensorFile,
    name: String,
    parts: &Parts,
    configs: &Configs,
) -> Result<Layer> {
    let file_path = file.path().to_path_buf();
    let wrong = |reason: String| damaged(&file_path, reason);
    let Some((component, path)) = component_and_path(&name) else {
        let reason = format!("it holds {name}, which is of another kind of model");
        return Err(unsupported(&file_path, reason));
    };
    let tensors = LayerTensors {
        parts,
        tensors: file.tensors(),
    };
    let weight = tensors.weight().map_err(wrong)?;
    let bias = tensors.bias().map_err(wrong)?;
    let magnitudes = magnitudes(parts);
    let config = configs.of(component);
    let needs_factors = magnitudes.is_some() || bias.as_ref().is_none_or(|(_, scaled)| *scaled);
    if weight.is_none() && needs_factors {
        let lone = parts.values().next().map_or("", String::as_str);
        return Err(wrong(format!("{lone} is there without factors")));
    }
    let factors = weight.as_ref().filter(|change| !change.is_difference());
    if factors.is_some() && magnitudes.is_none() && config.is_some_and(|config| config.dora) {
        return Err(wrong(format!("{name} lacks the magnitudes that DoRA has")));
    }
    let scale = match factors.map(|change| change.rank) {
        Some(rank) => scale(file, parts, config, &path, rank)?,
        None => 1.0,
    };
    Ok(Layer {
        weight: weight.map(|change| ScaledChange {
            change,
            scale,
            magnitudes,
        }),
        bias: bias.map(|(change, scaled)| ScaledChange {
            change,
            scale: if scaled { scale } else { 1.0 },
            magnitudes: None,
        }),
        name,
        component,
        path,
    })
}

fn magnitudes(parts: &Parts) -> Option<Magnitudes> {
    let stored = |part: Part| Some((parts.get(&part)?.clone(), part == Part::Magnitude));
    let (tensor, by_output) = stored(Part::Magnitude).or_else(|| stored(Part::DoraScale))?;
    Some(Magnitudes { tensor, by_output })
}

/// What a layer's update is multiplied by. Its own numbers count first, then the config; without
/// either, alpha equals the rank. A product of whole matrices, of no rank, ignores an alpha.
fn scale(
    file: &mut TensorFile,
    parts: &Parts,
    config: Option<&Config>,
    path: &str,
    rank: Option<usize>,
) -> Result<f32> {
    if let Some(name) = parts.get(&Part::Scale) {
        return Ok(read_number(file, name)? as f32);
    }
    let said = match config {
        Some(config) => config.scale(path, rank),
        None => Ok(None),
    };
    let reason = |reason| damaged(file.path(), format!("{path}: {reason}"));
    let said = said.map_err(reason)?;
    let Some(alpha) = parts.get(&Part::Alpha) else {
        return Ok(said.unwrap_or(1.0) as f32);
    };
    let alpha = read_number(file, alpha)?;
    let divisor = rank.map(|rank| match config {
        Some(config) => config.divisor(rank as f64),
        None => rank as f64,
    });
    Ok(divisor.map_or(1.0, |divisor| alpha / divisor) as f32)
}

/// The one number, whole or not, that tensor `name` holds.
fn read_number(file: &mut TensorFile, name: &str) -> Result<f64> {
    let info = &file.tensors()[name];
    let (is_float, shape) = (info.dtype.is_float(), info.shape.clone());
    if shape.iter().product::<usize>() != 1 {
        let reason = format!("{name} of {shape:?} is to be one number");
        return Err(damaged(file.path(), reason));
    }
    if is_float {
        return Ok(f64::from(file.read(name)?.data[0]));
    }
    let bytes = file.read_bytes(name)?;
    let sign = bytes.last().map_or(0, |last| (*last as i8 >> 7) as u8);
    let mut whole = [sign; 8];
    whole[..bytes.len()].copy_from_slice(&bytes);
    Ok(i64::from_le_bytes(whole) as f64)
}

fn unsupported(path: &Path, reason: String) -> Error {
    Error::new(
        ErrorCode::ModelUnsupported,
        format!("{} cannot be applied: {reason}", path.display()),
        "pass a LoRA, LoHa or LoKr for Stable Diffusion 1.5",
    )
}

fn damaged(path: &Path, reason: String) -> Error {
    Error::new(
        ErrorCode::ModelDamaged,
        format!("{} cannot be applied: {reason}", path.display()),
        "the file is damaged or was converted wrongly; fetch it again",
    )
}
