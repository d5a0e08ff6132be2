use serde::Deserialize;

use super::control::Control;
use super::hires::Hires;
use super::margins::Margins;
use super::vae_kind::VaeKind;
use crate::image::Picture;
use crate::pack::{Lora, Manifest, Mode, Role, check_decode_passes};
use crate::sampling::{Convention, SamplerName};
use crate::text::Embedding;
use crate::transparency::OFFSET_GAIN;
use crate::weights::HostTensor;
use crate::{Error, ErrorCode, Result};

/// What an image-to-image generation starts from.
#[derive(Debug, Clone, PartialEq)]
pub enum Init {
    /// A picture, which is encoded first.
    Picture(Picture),
    /// The latent of one frame, `[1, 4, height/8, width/8]` in the UNet's scale.
    Latent(HostTensor),
}

/// Noise of another seed that is mixed in, on the sphere: a little of it varies the picture.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variation {
    /// The other seed of the first frame's noise; each further frame takes the next.
    pub seed: u64,
    /// From 0, which changes nothing, to 1, which is the other seed's picture.
    pub amount: f64,
}

/// A request for a picture. Made by [`Request::new`]; the fields are then set one by one, and those
/// left at `None` take the model's defaults.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request {
    /// What the picture shows, as the web UIs read it: `(word:1.2)`, `[word]`, `BREAK`, `AND`,
    /// `[before:after:when]`, `[one|another]`, names of embeddings. So are the other prompts, but that
    /// `AND` divides this one alone.
    pub prompt: String,
    /// What it is to keep away from; used where guidance is not 1.
    pub negative_prompt: String,
    /// What to generate; by default `single` where the pack can serve it, else `opaque`.
    pub mode: Option<Mode>,
    /// What the foreground shows, in front of the main prompt.
    pub foreground_prompt: String,
    /// What the background shows, in front of the main prompt.
    pub background_prompt: String,
    /// What the blended picture shows, in front of the main prompt.
    pub blended_prompt: String,
    /// Words that the prompts may use beside their own.
    pub embeddings: Vec<Embedding>,
    /// What the model is changed by for this request, beside the engine's own; a tag `<lora:name:0.8>` of a
    /// prompt sets the strength of one.
    pub loras: Vec<Lora>,
    /// At which layer the text encoder ends: 1 is the last, 2 the last but one.
    pub clip_skip: Option<usize>,
    /// The given foreground of mode `fg2bg`, of the output's size.
    pub foreground: Option<Picture>,
    /// The given background of mode `bg2fg`, of the output's size.
    pub background: Option<Picture>,
    /// What to start from instead of noise alone, of the output's size.
    pub init: Option<Init>,
    /// Pictures for ControlNets. In modes of several frames they steer each of them.
    pub controls: Vec<Control>,
    /// Scale and crop given pictures that are not of the output's size, instead of refusing them.
    pub fit: bool,
    /// How much of `init` is given up, above 0 and at most 1; if left out 0.7, 1 with a mask, and 0.5
    /// of a picture that is enlarged. (f64, since it decides a whole number of steps.)
    pub strength: Option<f64>,
    /// Where `init`, a picture, is repainted: grey times alpha, of the same size. White repaints, black
    /// keeps, and between is each place's own strength. In modes `single` and `opaque`.
    pub mask: Option<Picture>,
    /// Repaint the part of the picture that is masked and so many pixels around it, at the output's
    /// size. The picture may then have any size.
    pub mask_crop: Option<usize>,
    /// Width in pixels of a soft edge inside of the mask, up to 256; if left out 0, and 8 where the picture
    /// is extended.
    pub mask_softness: Option<usize>,
    /// Keep the picture's alpha where it is repainted, in mode `single`.
    pub keep_alpha: bool,
    /// Enlarge `init`, a picture, by this before it is given up in part, as [`Request::hires`] does what
    /// it has made. In modes `single` and `opaque`.
    pub enlarge: Option<f64>,
    /// Let `init`, a picture, grow on its sides, and make what is new. In modes `single` and `opaque`.
    pub extend: Option<Margins>,
    /// Gain on the transparency encoder's offset for `init`.
    pub offset_gain: f32,
    /// Width in pixels, a multiple of [`Engine::size_multiple`](super::Engine::size_multiple).
    pub width: Option<usize>,
    /// Height in pixels, likewise.
    pub height: Option<usize>,
    /// Denoising steps, 1 to 1000.
    pub steps: Option<usize>,
    /// Guidance scale; 1 switches guidance off and halves the work.
    pub guidance: Option<f32>,
    /// How much of the contrast that guidance adds is taken back, from 0 to 1 (guidance rescale); 0.7
    /// is usual for models with zero terminal SNR.
    pub guidance_rescale: f32,
    /// The sampler.
    pub sampler: Option<SamplerName>,
    /// Whose details the sampler follows.
    pub convention: Option<Convention>,
    /// Seed of the first frame's noise, as PyTorch's CPU generator draws it; each further frame
    /// takes the next.
    pub seed: u64,
    /// Mixes the noise of another seed in.
    pub variation: Option<Variation>,
    /// Enlarges the picture in a second pass, in modes `single` and `opaque`.
    pub hires: Option<Hires>,
    /// Unit normal noise `[frames, 4, height/8, width/8]` to use instead of the seed's.
    pub noise: Option<HostTensor>,
    /// What decodes the latent, and encodes an initial picture where the pack holds both halves of
    /// TAESD.
    pub vae: VaeKind,
    /// Passes of the transparency decoder: 1, or 8 with the lower median. What suits the model, if left
    /// out.
    pub decode_passes: Option<usize>,
    /// Report a preview every this many steps.
    pub preview_every: Option<usize>,
    /// Keep intermediate tensors in the result.
    pub dump: bool,
}

impl Request {
    /// A request for `prompt` with everything else at its default, and seed 0.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            negative_prompt: String::new(),
            foreground_prompt: String::new(),
            background_prompt: String::new(),
            blended_prompt: String::new(),
            embeddings: Vec::new(),
            loras: Vec::new(),
            clip_skip: None,
            foreground: None,
            background: None,
            init: None,
            controls: Vec::new(),
            fit: false,
            strength: None,
            mask: None,
            mask_crop: None,
            mask_softness: None,
            keep_alpha: false,
            enlarge: None,
            extend: None,
            offset_gain: OFFSET_GAIN,
            mode: None,
            width: None,
            height: None,
            steps: None,
            guidance: None,
            guidance_rescale: 0.0,
            sampler: None,
            convention: None,
            seed: 0,
            variation: None,
            hires: None,
            noise: None,
            vae: VaeKind::Full,
            decode_passes: None,
            preview_every: None,
            dump: false,
        }
    }
}

impl Request {
    /// The picture that it starts from, if it does from one.
    pub(super) fn init_picture(&self) -> Option<&Picture> {
        match &self.init {
            Some(Init::Picture(picture)) => Some(picture),
            _ => None,
        }
    }

    /// Whether its picture is to become larger.
    pub(super) fn grows(&self) -> bool {
        self.enlarge.is_some() || self.extend.is_some()
    }

    pub(super) fn resolved_softness(&self) -> usize {
        let usual = if self.extend.is_some() {
            Margins::SOFTNESS
        } else {
            0
        };
        self.mask_softness.unwrap_or(usual)
    }

    /// How much of `init` is given up; `None` where there is none.
    pub(super) fn resolved_strength(&self) -> Option<f64> {
        let usual = if self.mask.is_some() { 1.0 } else { 0.7 };
        let strength = self.strength.unwrap_or(usual);
        self.init.is_some().then_some(strength)
    }
}

/// A request with every default filled in and every value checked.
pub(super) struct ResolvedRequest {
    pub mode: Mode,
    pub width: usize,
    pub height: usize,
    pub steps: usize,
    pub guidance: f32,
    /// Whether the UNet's batch holds the negative prompt too. A UNet with guidance embedding is told
    /// the scale instead.
    pub has_negative_rows: bool,
    pub sampler: SamplerName,
    pub clip_skip: usize,
    /// Sides are multiples of this.
    pub size_multiple: usize,
    fit: bool,
}

/// What sides are multiples of in `mode`, where a transparent picture's are of `transparent`.
pub(super) fn multiple_in(mode: Mode, transparent: usize) -> usize {
    match mode {
        Mode::Opaque => 8,
        _ => transparent,
    }
}

/// Refuses what several pictures cannot be made of.
pub(super) fn check_count(request: &Request, count: usize) -> Result<()> {
    if count > 1 && request.noise.is_some() {
        return Err(Error::new(
            ErrorCode::BadOption,
            "several pictures of the same noise would be the same",
            "leave the noise out, or make one",
        ));
    }
    Ok(())
}

/// The longest side that is accepted, in pixels.
pub(super) const MAX_SIDE: usize = 4096;

impl ResolvedRequest {
    pub fn new(request: &Request, manifest: &Manifest, size_multiple: usize) -> Result<Self> {
        let mode = request.mode.unwrap_or_else(|| Mode::default_for(manifest));
        if let Some(part) = mode.missing_part(manifest) {
            return Err(Error::new(
                ErrorCode::UnsupportedMode,
                format!("mode {mode} needs {part}"),
                "the loaded pack does not hold it",
            ));
        }
        let defaults = &manifest.defaults;
        check_mask(request, mode, manifest)?;
        check_hires(request, mode)?;
        // Without a crop, a picture is repainted as a whole.
        let whole = request.init_picture();
        let whole = whole.filter(|_| request.mask.is_some() && request.mask_crop.is_none());
        let guidance = request.guidance.unwrap_or(defaults.guidance);
        let embedded = manifest.unet()?.time_cond_proj_dim.is_some();
        let plan = Self {
            size_multiple: multiple_in(mode, size_multiple),
            mode,
            width: request
                .width
                .unwrap_or(whole.map_or(defaults.width, |whole| whole.width)),
            height: request
                .height
                .unwrap_or(whole.map_or(defaults.height, |whole| whole.height)),
            steps: request.steps.unwrap_or(defaults.steps),
            guidance,
            has_negative_rows: guidance != 1.0 && !embedded,
            sampler: match request.sampler {
                Some(sampler) => sampler,
                None => defaults.sampler.parse()?,
            },
            clip_skip: request.clip_skip.unwrap_or(defaults.clip_skip),
            fit: request.fit,
        };
        plan.check(request, plan.size_multiple)?;
        manifest.check_clip_skip(plan.clip_skip)?;
        plan.check_frames(request)?;
        request.vae.check(mode, manifest)?;
        for control in &request.controls {
            control.check(manifest)?;
        }
        plan.check_pictures(request)?;
        Ok(plan)
    }

    /// A given picture in the output's size.
    pub fn fitted(&self, picture: &Picture) -> Result<Picture> {
        match self.fit {
            true => picture.fitted(self.width, self.height),
            false => Ok(picture.clone()),
        }
    }

    fn check(&self, request: &Request, multiple: usize) -> Result<()> {
        let bad =
            |message: String, hint: String| Err(Error::new(ErrorCode::BadOption, message, hint));
        for (name, side) in [("width", self.width), ("height", self.height)] {
            if side == 0 || side > MAX_SIDE || !side.is_multiple_of(multiple) {
                return bad(
                    format!("{name} {side} is not possible in mode {}", self.mode),
                    format!("use a multiple of {multiple} from {multiple} to {MAX_SIDE}"),
                );
            }
        }
        if !self.guidance.is_finite() || !(0.0..=100.0).contains(&self.guidance) {
            return bad(
                format!("guidance {} is not possible", self.guidance),
                "use a number from 0 to 100; 7 is usual".into(),
            );
        }
        let rescale = request.guidance_rescale;
        if !(0.0..=1.0).contains(&rescale) {
            return bad(
                format!("guidance rescale {rescale} is not possible"),
                "use a number from 0 to 1; 0.7 is usual for models with zero terminal SNR".into(),
            );
        }
        request.decode_passes.map_or(Ok(()), check_decode_passes)?;
        if request.preview_every == Some(0) {
            return bad(
                "a preview every 0 steps is not possible".into(),
                "use 1 or more".into(),
            );
        }
        if let Some(Variation { amount, .. }) = request.variation {
            if !(0.0..=1.0).contains(&amount) {
                return bad(
                    format!("a variation of {amount} is not possible"),
                    "use a number from 0 to 1".into(),
                );
            }
            if request.noise.is_some() {
                return bad(
                    "a variation was asked for beside noise that is given".into(),
                    "leave one of the two out".into(),
                );
            }
        }
        let expected = vec![self.mode.roles().len(), 4, self.height / 8, self.width / 8];
        if let Some(noise) = &request.noise
            && noise.shape != expected
        {
            return bad(
                format!("the noise has shape {:?}", noise.shape),
                format!("this request needs {expected:?}"),
            );
        }
        Ok(())
    }

    /// Prompts of frames that the mode does not have would do nothing.
    fn check_frames(&self, request: &Request) -> Result<()> {
        let mode = self.mode;
        let prompts = [
            (Role::Foreground, &request.foreground_prompt, "--fg-prompt"),
            (Role::Background, &request.background_prompt, "--bg-prompt"),
            (Role::Blended, &request.blended_prompt, "--blended-prompt"),
        ];
        for (role, prompt, flag) in prompts {
            if !prompt.is_empty() && !mode.roles().contains(&role) {
                return Err(Error::new(
                    ErrorCode::BadOption,
                    format!("mode {mode} has no frame for {role}Prompt ({flag})"),
                    "leave it out, or use a mode that makes such a picture",
                ));
            }
        }
        Ok(())
    }

    /// The condition that the mode works from, and the initial picture, must be there and fit.
    fn check_pictures(&self, request: &Request) -> Result<()> {
        let mode = self.mode;
        let given = [
            (
                "foreground",
                &request.foreground,
                mode == Mode::ForegroundToBackground,
            ),
            (
                "background",
                &request.background,
                mode == Mode::BackgroundToForeground,
            ),
        ];
        for (name, picture, needed) in given {
            if picture.is_some() != needed {
                let verb = if needed { "needs" } else { "takes no" };
                return Err(Error::new(
                    ErrorCode::BadOption,
                    format!("mode {mode} {verb} {name} picture"),
                    if needed { "give one" } else { "leave it out" },
                ));
            }
        }
        let controls = request.controls.iter().map(|control| &control.picture);
        let pictures = [&request.foreground, &request.background]
            .into_iter()
            .flatten()
            .chain(controls);
        // With a crop, the picture that is repainted may have any size; one that grows is padded.
        let whole = request.mask_crop.is_none() && !request.grows();
        let pictures = pictures.chain(request.init_picture().filter(|_| whole));
        for Picture { width, height, .. } in pictures {
            if !self.fit && (*width, *height) != (self.width, self.height) {
                return Err(Error::new(
                    ErrorCode::BadImage,
                    format!(
                        "a given picture is {width} x {height} and the output {} x {}",
                        self.width, self.height
                    ),
                    "give pictures of the output's size, or ask for them to be fitted",
                ));
            }
        }
        match &request.init {
            Some(Init::Latent(latent)) => self.check_init(latent),
            _ => Ok(()),
        }
    }

    /// A latent cannot be scaled or cropped.
    fn check_init(&self, latent: &HostTensor) -> Result<()> {
        let expected = vec![1, 4, self.height / 8, self.width / 8];
        if latent.shape == expected {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::BadImage,
            format!("the latent to start from has shape {:?}", latent.shape),
            format!("an output of this size needs {expected:?}"),
        ))
    }
}

/// A mask goes with a picture, in the modes of one frame; what belongs to a mask goes with one.
fn check_mask(request: &Request, mode: Mode, manifest: &Manifest) -> Result<()> {
    let bad = |message: &str, hint: &str| Err(Error::new(ErrorCode::BadOption, message, hint));
    let inpaints = manifest.unet()?.is_inpainting();
    if request.mask.is_none() {
        let without = [
            (
                inpaints,
                "this model repaints pictures and was given no mask",
            ),
            (
                request.mask_crop.is_some(),
                "a crop around the mask was asked for without a mask",
            ),
            (
                request.mask_softness.is_some_and(|softness| softness > 0),
                "a soft edge of the mask was asked for without a mask",
            ),
            (
                request.keep_alpha,
                "keeping the alpha was asked for without a mask",
            ),
        ];
        let needs = without.iter().find(|(is_there, _)| *is_there);
        return needs.map_or(Ok(()), |(_, message)| {
            bad(
                message,
                "give a picture to start from, and a mask that is white where to repaint",
            )
        });
    }
    if !matches!(mode, Mode::Single | Mode::Opaque) {
        return bad(
            &format!("mode {mode} cannot repaint by a mask"),
            "use mode single or opaque",
        );
    }
    if request.keep_alpha && mode != Mode::Single {
        return bad(
            "mode opaque has no alpha to keep",
            "use mode single, or leave it out",
        );
    }
    match &request.init {
        None => bad(
            "a mask was given without a picture",
            "give the picture to repaint as init",
        ),
        Some(Init::Latent(_)) => bad(
            "a latent cannot be repainted by a mask",
            "give a picture to start from",
        ),
        Some(Init::Picture(_)) if request.fit => bad(
            "a picture that is repainted cannot be fitted to another size",
            "leave that out, or repaint a crop around the mask",
        ),
        Some(Init::Picture(_)) if request.resolved_softness() > MAX_SOFTNESS => bad(
            &format!(
                "a soft edge of {} pixels is not possible",
                request.resolved_softness()
            ),
            &format!("use 0 to {MAX_SOFTNESS}; 8 is usual"),
        ),
        Some(Init::Picture(_)) => Ok(()),
    }
}

/// A second pass is for one frame, of which nothing is held.
fn check_hires(request: &Request, mode: Mode) -> Result<()> {
    let refused =
        |message: String, hint: &str| Err(Error::new(ErrorCode::BadOption, message, hint));
    match request.hires {
        Some(_) if !matches!(mode, Mode::Single | Mode::Opaque) => refused(
            format!("mode {mode} cannot be enlarged in a second pass"),
            "use mode single or opaque",
        ),
        Some(_) if request.mask.is_some() => refused(
            "a second pass was asked for beside a mask".into(),
            "leave one of the two out",
        ),
        _ => Ok(()),
    }
}

/// The widest soft edge of a mask, in pixels.
const MAX_SOFTNESS: usize = 256;
