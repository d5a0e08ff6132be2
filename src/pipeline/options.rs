//! The options of a generation as JavaScript gives them: the one list of their names and types.
//!
//! The package's TypeScript is generated from it, and the command line is compared with it.

use serde::Deserialize;

use super::control::Control;
use super::hires::Hires;
use super::margins::Margins;
use super::request::{Init, Request, Variation};
use super::vae_kind::VaeKind;
use crate::image::Picture;
use crate::pack::{Lora, Mode};
use crate::sampling::{Convention, SamplerName};
use crate::text::Embedding;
use crate::weights::HostTensor;
use crate::{Error, ErrorCode, Result};

/// What TypeScript is told of an option.
#[derive(Debug, Clone, Copy)]
pub struct OptionField {
    /// The name in Rust; JavaScript has it in camel case.
    pub name: &'static str,
    /// Its type in TypeScript.
    pub type_name: &'static str,
    /// The lines of its documentation.
    pub docs: &'static [&'static str],
}

macro_rules! options {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $type_name:literal;)*) => {
        /// The options of `engine.generate` apart from its pictures and files. What is left out is the
        /// model's default.
        #[derive(Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct RequestOptions {
            $($(#[doc = $doc])* pub $name: Option<$type>,)*
        }

        impl RequestOptions {
            /// Every option in order.
            pub const FIELDS: &'static [OptionField] = &[$(OptionField {
                name: stringify!($name),
                type_name: $type_name,
                docs: &[$($doc),*],
            },)*];
        }
    };
}

options! {
    /// What the picture shows, as the web UIs read it: `(word:1.2)` and `(word)`, which is 1.1, count
    /// more, `[word]` counts less, `[before:after:when]` and `[one|another]` change while sampling,
    /// `BREAK` and `AND` divide; a backslash makes a bracket text. The other prompts are read likewise,
    /// but without `AND`.
    prompt: String = "string";
    /// What it is to keep away from; used where guidance is not 1.
    negative_prompt: String = "string";
    /// What to make; `"single"` if left out and the model can do it, else `"opaque"`.
    mode: Mode = "Mode";
    /// What the foreground shows, in front of the main prompt.
    foreground_prompt: String = "string";
    /// What the background shows, in front of the main prompt.
    background_prompt: String = "string";
    /// What the blended picture shows, in front of the main prompt.
    blended_prompt: String = "string";
    /// At which layer the text encoder ends: 1 is the last, 2 the last but one.
    clip_skip: usize = "number";
    /// Enlarge `init` by this, in modes `single` and `opaque`, and give it up in part.
    enlarge: f64 = "number";
    /// Let `init` grow by so many pixels on its sides, in modes `single` and `opaque`, and make what is
    /// new. What there was stays as it is.
    extend: Margins = "Margins";
    /// How much of `init` is given up, above 0 and at most 1; if left out 0.7, 1 with a `mask` or
    /// `extend`, and 0.5 with `enlarge`.
    strength: f64 = "number";
    /// Repaint the part of `init` that is masked and so many pixels around it, at the output's size;
    /// `init` may then have any size.
    mask_crop: usize = "number";
    /// Width in pixels of a soft edge inside of the mask, 0 to 256; if left out 0, and 8 with `extend`.
    mask_softness: usize = "number";
    /// Keep the alpha of `init` where it is repainted, in mode `single`.
    keep_alpha: bool = "boolean";
    /// How strongly `control` steers, 0 to 10; 1 if left out.
    control_scale: f32 = "number";
    /// The part of the steps that goes by before `control` steers, from 0; 0 if left out.
    control_start: f64 = "number";
    /// The part of the steps after which `control` steers no more, above `controlStart` and at most
    /// 1; 1 if left out.
    control_end: f64 = "number";
    /// Scale and crop given pictures that are not of the output's size, instead of refusing them.
    fit: bool = "boolean";
    /// In pixels, at most 4096; a multiple of `engine.info.sizeMultiple`.
    width: usize = "number";
    /// In pixels, likewise.
    height: usize = "number";
    /// The number of denoising steps, 1 to 1000.
    steps: usize = "number";
    /// How closely to follow the prompt, 0 to 100; 1 turns the negative prompt off.
    guidance: f32 = "number";
    /// How much of the contrast that guidance adds is taken back, 0 to 1; 0 if left out. 0.7 is usual
    /// for models with zero terminal SNR.
    guidance_rescale: f32 = "number";
    /// A whole number from 0 to 2^53 - 1, 0 if left out. The same seed and options give the same picture.
    seed: u64 = "number";
    /// Noise of another seed that is mixed in, from 0, nothing of it, to 1: a little varies the picture.
    variation: Variation = "Variation";
    /// Enlarges the picture by `scale` in a second pass, in modes `single` and `opaque`; `strength`, 0.5 if
    /// left out, says how much of the enlarged picture is given up.
    hires: Hires = "Hires";
    /// How noise is turned into a picture.
    sampler: SamplerName = "Sampler";
    /// Whose details the sampler follows.
    convention: Convention = "Convention";
    /// `"tiny"` needs a model with TAESD, and a mode without a transparent layer; `"full"` if left out.
    vae: VaeKind = "Vae";
    /// How many flipped and turned copies the transparency decoder takes the median of, 1 or 8; if left
    /// out, what suits the model.
    decode_passes: usize = "number";
    /// Adds a preview to the progress of every n-th step: opaque, and of the output's size if the
    /// model has TAESD, else an eighth of it.
    preview_every: usize = "number";
    /// Starting noise instead of the seed's: frames x 4 x height/8 x width/8 values.
    noise: Vec<f32> = "Float32Array";
}

/// What a request has beside its options: pictures, and files for it alone.
#[derive(Debug, Default)]
pub struct RequestFiles {
    /// Words that the prompts may use beside their own.
    pub embeddings: Vec<Embedding>,
    /// What the model is changed by.
    pub loras: Vec<Lora>,
    /// The foreground that mode `fg2bg` makes a background for.
    pub foreground: Option<Picture>,
    /// The background that mode `bg2fg` puts a foreground on.
    pub background: Option<Picture>,
    /// What to start from instead of noise alone.
    pub init: Option<Picture>,
    /// Where `init` is repainted.
    pub mask: Option<Picture>,
    /// What the model's ControlNet sees.
    pub control: Option<Picture>,
    /// What this and other ControlNets see.
    pub controls: Vec<Control>,
}

impl RequestOptions {
    /// The request that these options stand for.
    ///
    /// # Errors
    /// `bad_option` without a prompt, for noise without a size or of another, and for options of a
    /// picture that is not given.
    pub fn into_request(self, files: RequestFiles) -> Result<Request> {
        let init = [
            ("enlarge", self.enlarge.is_some()),
            ("extend", self.extend.is_some()),
            ("strength", self.strength.is_some()),
        ];
        needed_by("init", files.init.is_some(), &init)?;
        let control = [
            ("controlScale", self.control_scale.is_some()),
            ("controlStart", self.control_start.is_some()),
            ("controlEnd", self.control_end.is_some()),
        ];
        needed_by("control", files.control.is_some(), &control)?;
        let mask = [
            ("maskCrop", self.mask_crop.is_some()),
            ("maskSoftness", self.mask_softness.is_some()),
            ("keepAlpha", self.keep_alpha == Some(true)),
        ];
        needed_by("mask", files.mask.is_some() || self.extend.is_some(), &mask)?;
        let prompt = self
            .prompt
            .ok_or_else(|| Error::new(ErrorCode::BadOption, "there is no prompt", "give one"))?;
        let default = Request::new(prompt);
        let control = files.control.map(|picture| {
            let default = Control::new(picture);
            Control {
                scale: self.control_scale.unwrap_or(default.scale),
                start: self.control_start.unwrap_or(default.start),
                end: self.control_end.unwrap_or(default.end),
                ..default
            }
        });
        let noise = match self.noise {
            Some(noise) => Some(shaped_noise(noise, self.mode, self.width, self.height)?),
            None => None,
        };
        Ok(Request {
            negative_prompt: self.negative_prompt.unwrap_or_default(),
            foreground_prompt: self.foreground_prompt.unwrap_or_default(),
            background_prompt: self.background_prompt.unwrap_or_default(),
            blended_prompt: self.blended_prompt.unwrap_or_default(),
            embeddings: files.embeddings,
            loras: files.loras,
            clip_skip: self.clip_skip,
            foreground: files.foreground,
            background: files.background,
            init: files.init.map(Init::Picture),
            controls: control.into_iter().chain(files.controls).collect(),
            fit: self.fit.unwrap_or(default.fit),
            strength: self.strength,
            mask: files.mask,
            mask_crop: self.mask_crop,
            mask_softness: self.mask_softness,
            enlarge: self.enlarge,
            extend: self.extend,
            keep_alpha: self.keep_alpha.unwrap_or(default.keep_alpha),
            mode: self.mode,
            width: self.width,
            height: self.height,
            steps: self.steps,
            guidance: self.guidance,
            guidance_rescale: self.guidance_rescale.unwrap_or(default.guidance_rescale),
            sampler: self.sampler,
            convention: self.convention,
            seed: self.seed.unwrap_or(default.seed),
            variation: self.variation,
            hires: self.hires,
            noise,
            vae: self.vae.unwrap_or(default.vae),
            decode_passes: self.decode_passes,
            preview_every: self.preview_every,
            ..default
        })
    }
}

/// Refuses those of `options`, each with whether it is given, if `owner` is not there, without which
/// they would do nothing.
///
/// # Errors
/// `bad_option`, with both names as users spell them.
pub fn needed_by(owner: &str, owner_is_there: bool, options: &[(&str, bool)]) -> Result<()> {
    let useless = options.iter().find(|(_, given)| *given && !owner_is_there);
    match useless {
        Some((option, _)) => Err(Error::new(
            ErrorCode::BadOption,
            format!("{option} is for {owner}, which is not given"),
            format!("give {owner}, or leave {option} out"),
        )),
        None => Ok(()),
    }
}

fn shaped_noise(
    noise: Vec<f32>,
    mode: Option<Mode>,
    width: Option<usize>,
    height: Option<usize>,
) -> Result<HostTensor> {
    let (Some(width), Some(height)) = (width, height) else {
        return Err(Error::new(
            ErrorCode::BadOption,
            "noise was given without a size",
            "give width and height too",
        ));
    };
    let frames = mode.unwrap_or(Mode::Single).roles().len();
    let shape = [frames, 4, height / 8, width / 8];
    let length = shape
        .iter()
        .try_fold(1usize, |product, size| product.checked_mul(*size));
    if length != Some(noise.len()) {
        return Err(Error::new(
            ErrorCode::BadOption,
            format!("noise has {} values", noise.len()),
            format!("this size needs shape {shape:?}"),
        ));
    }
    Ok(HostTensor::new(shape, noise))
}
