use std::borrow::Cow;

use burn::tensor::Device;

use super::conditioning::Conditioning;
use super::control::{ControlNetRun, control_net_bytes};
use super::decode::{Decoded, Layer, decode};
use super::encode::{Encoded, encode, encode_tiny, no_encoder};
use super::extend::{enlarged, extended};
use super::hires::{Hires, PassObserver};
use super::loras::RequestLoras;
use super::memory::{GUIDED, estimate};
use super::networks::{Networks, Stage};
use super::observer::Observer;
use super::repaint::Repaint;
use super::request::{Init, MAX_SIDE, Request, ResolvedRequest, check_count, multiple_in};
use super::sample::{Dump, Latent, Sampled, Sampling, Start, sampler_for};
use super::vae_kind::VaeKind;
use crate::image::Picture;
#[cfg(feature = "gpu")]
use crate::kernels;
use crate::pack::{Lora, Manifest, Mode, Pack, PackSource, check_decode_passes};
use crate::text::Tokenizer;
use crate::transparency::TransparencyDecoder;
use crate::weights::HostTensor;
use crate::weights::host::to_device;
use crate::{Error, ErrorCode, Result};

/// A model on a device, ready to generate.
pub struct Engine<S> {
    pack: Pack<S>,
    tokenizer: Tokenizer,
    networks: Networks,
    memory_limit: Option<u64>,
    /// Those that every request is made with.
    loras: Vec<Lora>,
}

/// How a model is loaded. Made by `default()`; the fields are then set one by one.
#[derive(Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// What the model is changed by in every request, as [`Request::loras`] does in one.
    pub loras: Vec<Lora>,
    /// What the device's memory may be used for, in bytes; as much as there is if left out. Where
    /// all networks and the work together would take more, one is loaded at a time. See
    /// [`estimate_memory`](super::estimate_memory).
    pub memory_limit: Option<u64>,
}

/// What [`Engine::generate`] gives.
#[derive(Debug)]
pub struct Generation {
    /// The layers, in the mode's order.
    pub layers: Vec<Layer>,
    /// The latent behind them.
    pub latent: Latent,
    /// Intermediate tensors, if they were asked for.
    pub dump: Dump,
    /// The names of the embeddings that the prompts name.
    pub embeddings: Vec<String>,
    /// The LoRAs that it was made with, the engine's own first, as strong as they were.
    pub loras: Vec<Lora>,
    /// What the request says that has no effect, in words for its author.
    pub warnings: Vec<String>,
}

impl<S: PackSource> Engine<S> {
    /// Loads the pack behind `source` onto `device`.
    pub async fn load(source: S, device: Device, observer: &mut impl Observer) -> Result<Self> {
        let mut engine = Self::open(source, device, LoadOptions::default()).await?;
        engine.preload(observer).await?;
        Ok(engine)
    }

    /// Opens the pack behind `source` for use on `device`. Networks are loaded when they are first
    /// needed, or by [`Engine::preload`].
    ///
    /// # Errors
    /// `model_unsupported` if a LoRA is for another architecture.
    pub async fn open(source: S, device: Device, options: LoadOptions) -> Result<Self> {
        let pack = Pack::open(source).await?;
        #[cfg(all(feature = "gpu", target_arch = "wasm32"))]
        kernels::warm_up(&device, &pack.manifest().weight_bits());
        for lora in &options.loras {
            pack.lora_bytes(lora)?;
        }
        Ok(Self {
            tokenizer: pack.tokenizer().await?,
            pack,
            networks: Networks::new(device),
            memory_limit: options.memory_limit,
            loras: options.loras,
        })
    }

    /// Loads what a generation with the model's defaults needs: all networks, or where memory is
    /// limited the first.
    pub async fn preload(&mut self, observer: &mut impl Observer) -> Result<()> {
        let manifest = self.pack.manifest();
        let mode = Mode::default_for(manifest);
        let (width, height) = (manifest.defaults.width, manifest.defaults.height);
        let all = [
            Stage::TextEncoder,
            Stage::Unet(mode.adapter(manifest)),
            Stage::Decoders,
        ];
        let own = self.loras.iter().map(|lora| self.pack.lora_bytes(lora));
        let own = own.sum::<Result<u64>>()?;
        self.limit_memory(mode, (width, height), GUIDED, own)?;
        let stages = match self.networks.one_at_a_time {
            true => &all[..1],
            false => &all,
        };
        self.networks.require(stages, &self.pack, observer).await
    }

    /// Decides whether all networks may be loaded at once for a picture of that size, of each of
    /// whose frames the UNet sees so many `rows`, beside `added` bytes of LoRAs and ControlNets.
    fn limit_memory(
        &mut self,
        mode: Mode,
        (width, height): (usize, usize),
        rows: usize,
        added: u64,
    ) -> Result<()> {
        let estimate = estimate(self.pack.manifest(), mode, width, height, rows)?;
        let too_much = |limit: u64| estimate.all_loaded.saturating_add(added) > limit;
        self.networks.one_at_a_time = self.memory_limit.is_some_and(too_much);
        Ok(())
    }

    /// What the pack holds.
    pub fn manifest(&self) -> &Manifest {
        self.pack.manifest()
    }

    /// SHA-256 of the pack's manifest.
    pub fn sha256(&self) -> &str {
        self.pack.sha256()
    }

    /// Width and height in mode `single` must be multiples of this many pixels.
    pub fn size_multiple(&self) -> usize {
        let tensors = &self.pack.manifest().tensors;
        // More levels than any decoder has; a manifest is a stranger's word.
        let levels = (0..12).take_while(|level| {
            let level = format!("transparency_decoder.down_blocks.{level}.");
            tensors.keys().any(|name| name.starts_with(&level))
        });
        TransparencyDecoder::size_multiple(levels.count()).max(8)
    }

    /// Generates what `request` asks for. Where the second of two passes fails, the first one's picture
    /// is kept, and a warning says why.
    ///
    /// # Errors
    /// `bad_option`, `unsupported_mode`, `aborted`, `non_finite`, `device_lost`.
    pub async fn generate(
        &mut self,
        request: &Request,
        observer: &mut impl Observer,
    ) -> Result<Generation> {
        let request = &*self.prepared(request)?;
        match request.hires {
            Some(hires) => self.generate_twice(request, hires, observer).await,
            None => self.generate_once(request, observer).await,
        }
    }

    /// `request` with its picture as large as it is to become, and a mask of what is new.
    fn prepared<'a>(&self, request: &'a Request) -> Result<Cow<'a, Request>> {
        let manifest = self.pack.manifest();
        let mode = request.mode.unwrap_or_else(|| Mode::default_for(manifest));
        let multiple = multiple_in(mode, self.size_multiple());
        Ok(match (request.enlarge, request.extend) {
            (None, None) => Cow::Borrowed(request),
            (None, Some(margins)) => Cow::Owned(extended(request, margins, multiple)?),
            (Some(_), _) if manifest.unet()?.is_inpainting() => {
                return Err(Error::new(
                    ErrorCode::BadOption,
                    "this model repaints parts of pictures and cannot enlarge one",
                    "use the model that it was made from",
                ));
            }
            (Some(scale), _) => Cow::Owned(enlarged(request, scale, multiple)?),
        })
    }

    async fn generate_twice(
        &mut self,
        request: &Request,
        hires: Hires,
        observer: &mut impl Observer,
    ) -> Result<Generation> {
        let plan = ResolvedRequest::new(request, self.pack.manifest(), self.size_multiple())?;
        let size = hires.size((plan.width, plan.height), plan.size_multiple, MAX_SIDE)?;
        let manifest = self.pack.manifest();
        let steps_at = |strength| Ok(sampler_for(request, &plan, manifest, strength)?.steps());
        let steps = [
            steps_at(request.resolved_strength())?,
            steps_at(Some(hires.strength))?,
        ];
        let mut first_observer = PassObserver {
            inner: &mut *observer,
            is_second: false,
            steps,
        };
        let mut first = self.generate_once(request, &mut first_observer).await?;
        let second = second_pass(request, hires, size, &first.layers[0].picture)?;
        let mut second_observer = PassObserver {
            inner: observer,
            is_second: true,
            steps,
        };
        match self.generate_once(&second, &mut second_observer).await {
            Ok(mut second) => {
                let named = second.dump.into_iter();
                first
                    .dump
                    .extend(named.map(|(name, tensor)| (format!("hires.{name}"), tensor)));
                second.dump = first.dump;
                Ok(second)
            }
            Err(error) if error.code == ErrorCode::Aborted => Err(error),
            Err(error) => {
                let kept = format!("the second pass failed, and this is the first one's: {error}");
                first.warnings.push(kept);
                Ok(first)
            }
        }
    }

    async fn generate_once(
        &mut self,
        request: &Request,
        observer: &mut impl Observer,
    ) -> Result<Generation> {
        let mut sampled = self.sample_prepared(request, 1, observer).await?;
        self.finish(request, sampled.remove(0), observer).await
    }

    /// The second half of [`Engine::generate`], for one picture of the first.
    pub(super) async fn finish(
        &mut self,
        request: &Request,
        sampled: Sampled,
        observer: &mut impl Observer,
    ) -> Result<Generation> {
        let mut decoded = self
            .decode(
                &sampled.latent,
                request.vae,
                request.decode_passes,
                request.dump,
                observer,
            )
            .await?;
        decoded.repainted(sampled.repaint.as_ref())?;
        let mut dump = sampled.dump;
        dump.extend(decoded.dump);
        Ok(Generation {
            layers: decoded.layers,
            latent: sampled.latent,
            dump,
            embeddings: sampled.embeddings,
            loras: sampled.loras,
            warnings: sampled.warnings,
        })
    }

    /// The first half of [`Engine::generate`]: everything up to the finished latent.
    pub async fn sample(
        &mut self,
        request: &Request,
        observer: &mut impl Observer,
    ) -> Result<Sampled> {
        let mut sampled = self.sample_batch(request, 1, observer).await?;
        Ok(sampled.remove(0))
    }

    /// As [`Engine::sample`], so many pictures, each from the seed after those of the one before. The UNet sees all
    /// of them at once.
    ///
    /// # Errors
    /// `bad_option` for noise that all would have; as [`Engine::generate`].
    pub async fn sample_batch(
        &mut self,
        request: &Request,
        pictures: usize,
        observer: &mut impl Observer,
    ) -> Result<Vec<Sampled>> {
        check_count(request, pictures)?;
        let request = self.prepared(request)?;
        self.sample_prepared(&request, pictures, observer).await
    }

    /// Whether pictures in one batch take less time than one after the other.
    pub(super) fn shares_batches(&self) -> bool {
        #[cfg(feature = "gpu")]
        let is_gpu = kernels::is_gpu(&self.networks.device);
        #[cfg(not(feature = "gpu"))]
        let is_gpu = false;
        is_gpu
    }

    /// How many pictures of `request`, at least one and at most `most`, go into the memory together with the networks.
    pub(super) fn pictures_at_once(&self, request: &Request, most: usize) -> Result<usize> {
        let Some(limit) = self.memory_limit.filter(|_| most > 1) else {
            return Ok(most);
        };
        let request = self.prepared(request)?;
        let manifest = self.pack.manifest();
        let plan = ResolvedRequest::new(&request, manifest, self.size_multiple())?;
        let rows = Conditioning::read(&request, &plan, manifest)?
            .rows()
            .max(GUIDED);
        let chosen = RequestLoras::new(&self.loras, &request, plan.mode.roles());
        let added = self.added_bytes(&request, &chosen)?;
        for pictures in (2..=most).rev() {
            let rows = pictures * rows;
            let estimate = estimate(manifest, plan.mode, plan.width, plan.height, rows)?;
            if estimate.all_loaded.saturating_add(added) <= limit {
                return Ok(pictures);
            }
        }
        Ok(1)
    }

    /// What `request` has on the device beside the pack's networks, in bytes.
    fn added_bytes(&self, request: &Request, chosen: &RequestLoras) -> Result<u64> {
        let loras = chosen.loras.iter().map(|lora| self.pack.lora_bytes(lora));
        let control_nets = control_net_bytes(&request.controls, self.pack.manifest());
        Ok(loras.sum::<Result<u64>>()? + control_nets)
    }

    async fn sample_prepared(
        &mut self,
        request: &Request,
        pictures: usize,
        observer: &mut impl Observer,
    ) -> Result<Vec<Sampled>> {
        let plan = ResolvedRequest::new(request, self.pack.manifest(), self.size_multiple())?;
        let manifest = self.pack.manifest();
        let conditioning = Conditioning::read(request, &plan, manifest)?;
        let chosen = RequestLoras::new(&self.loras, request, plan.mode.roles());
        let added = self.added_bytes(request, &chosen)?;
        let rows = pictures * conditioning.rows().max(GUIDED);
        self.limit_memory(plan.mode, (plan.width, plan.height), rows, added)?;
        let start = self.start(request, &plan, observer).await?;
        let mut sampling = Sampling::new(request, &plan, self.pack.manifest(), start, pictures)?;
        let prompts = sampling.prompts(conditioning, &self.tokenizer)?;
        let pack = &self.pack;
        self.networks
            .require(&[Stage::TextEncoder], pack, observer)
            .await?;
        self.networks.apply(&chosen.loras, pack).await?;
        let text_encoder = self.networks.text_encoder();
        let features = sampling.encode(prompts, text_encoder, observer).await?;

        let mut stages = vec![Stage::Unet(plan.mode.adapter(pack.manifest()))];
        let previews = request.preview_every.is_some() && pack.manifest().has("taesd_decoder");
        stages.extend(previews.then_some(Stage::TinyDecoder));
        self.networks.require(&stages, pack, observer).await?;
        let controls = request.controls.iter();
        let control_nets: Vec<_> = controls
            .map(|control| control.controlnet.as_ref())
            .collect();
        self.networks
            .require_control_nets(&control_nets, pack, observer)
            .await?;
        self.networks.apply(&chosen.loras, pack).await?;
        let condition = request.foreground.as_ref().or(request.background.as_ref());
        if let Some(picture) = condition {
            let shape = [1, 3, plan.height, plan.width];
            let on_grey = HostTensor::new(shape, plan.fitted(picture)?.on_grey());
            let on_grey = to_device(&on_grey, &self.networks.device);
            self.networks.unet_mut().set_condition(on_grey);
        }
        let device = self.networks.device.clone();
        self.networks
            .unet_mut()
            .set_guidance(plan.guidance, &device);
        let steering = request.controls.iter().map(|control| {
            let network = self.networks.control_net(control.controlnet.as_ref());
            let picture = plan.fitted(&control.picture)?;
            Ok(ControlNetRun::new(network, control, &picture, &device))
        });
        let steering = steering.collect::<Result<Vec<_>>>()?;
        let mut sampled = sampling
            .run(&self.networks, features, &steering, observer)
            .await?;
        for one in &mut sampled {
            one.warnings.splice(0..0, chosen.warnings.clone());
            one.loras = chosen.loras.clone();
        }
        Ok(sampled)
    }

    /// The latent of a picture, with its alpha hidden in it where the pack has a transparency
    /// encoder. `gain` scales the offset; [`OFFSET_GAIN`](crate::transparency::OFFSET_GAIN) is
    /// usual.
    ///
    /// # Errors
    /// `bad_image` if the picture's sides are not multiples of 8.
    pub async fn encode(
        &mut self,
        picture: &Picture,
        gain: f32,
        observer: &mut impl Observer,
    ) -> Result<Encoded> {
        let (width, height) = (picture.width, picture.height);
        let fits = |side: usize| (8..=MAX_SIDE).contains(&side) && side.is_multiple_of(8);
        if !fits(width) || !fits(height) {
            return Err(Error::new(
                ErrorCode::BadImage,
                format!("a picture of {width} x {height} cannot be encoded"),
                format!("use sides that are multiples of 8 up to {MAX_SIDE}"),
            ));
        }
        if !self.pack.manifest().encodes() {
            return Err(no_encoder());
        }
        let mode = Mode::default_for(self.pack.manifest());
        self.limit_memory(mode, (width, height), GUIDED, 0)?;
        self.require_encoders(observer).await?;
        encode(picture, gain, true, &self.networks, self.scaling_factor()?).await
    }

    /// Encodes what `request` starts from.
    async fn start(
        &mut self,
        request: &Request,
        plan: &ResolvedRequest,
        observer: &mut impl Observer,
    ) -> Result<Start> {
        let repaint = Repaint::new(request, (plan.width, plan.height))?;
        let picture = match (&request.init, &repaint) {
            (None, _) => return Ok(Start::default()),
            (Some(Init::Latent(latent)), _) => {
                return Ok(Start {
                    init: Some(latent.clone()),
                    ..Start::default()
                });
            }
            (Some(Init::Picture(_)), Some(repaint)) => repaint.part(plan.width, plan.height)?,
            (Some(Init::Picture(picture)), None) => plan.fitted(picture)?,
        };
        let init = self.encode_init(&picture, request, plan, observer).await?;
        let hidden = match &repaint {
            Some(repaint) if self.pack.manifest().unet()?.is_inpainting() => {
                let (networks, factor) = (&self.networks, self.scaling_factor()?);
                let hidden = repaint.hidden(&picture);
                let encoded = encode(&hidden, 0.0, false, networks, factor);
                Some(encoded.await?.latent)
            }
            _ => None,
        };
        Ok(Start {
            init: Some(init),
            repaint,
            hidden,
        })
    }

    async fn encode_init(
        &mut self,
        picture: &Picture,
        request: &Request,
        plan: &ResolvedRequest,
        observer: &mut impl Observer,
    ) -> Result<HostTensor> {
        let manifest = self.pack.manifest();
        let is_tiny = request.vae == VaeKind::Tiny && manifest.has("taesd_encoder");
        if !is_tiny && !manifest.encodes() {
            return Err(no_encoder());
        }
        self.require_encoders(observer).await?;
        let networks = &self.networks;
        if let (VaeKind::Tiny, Some(tiny)) = (request.vae, &networks.encoders().tiny) {
            return encode_tiny(picture, tiny, &networks.device).await;
        }
        let (gain, transparent) = (request.offset_gain, plan.mode.is_transparent());
        let factor = self.scaling_factor()?;
        let encoded = encode(picture, gain, transparent, networks, factor).await?;
        Ok(encoded.latent)
    }

    async fn require_encoders(&mut self, observer: &mut impl Observer) -> Result<()> {
        let stages = [Stage::Encoders];
        self.networks.require(&stages, &self.pack, observer).await
    }

    fn scaling_factor(&self) -> Result<f32> {
        Ok(self.pack.manifest().vae()?.scaling_factor)
    }

    /// The second half: from a latent to layers. `keep` fills the dump.
    ///
    /// # Errors
    /// `bad_option` or `unsupported_mode` if the pack or the latent's mode does not allow `vae`;
    /// `bad_image` if the latent's size does not suit its mode; as [`Engine::generate`] otherwise.
    pub async fn decode(
        &mut self,
        latent: &Latent,
        vae: VaeKind,
        passes: Option<usize>,
        keep: bool,
        observer: &mut impl Observer,
    ) -> Result<Decoded> {
        let passes = self.resolved_passes(passes);
        check_decode_passes(passes)?;
        self.check_latent(latent)?;
        vae.check(latent.mode, self.pack.manifest())?;
        let [_, _, height, width] = latent.values.shape[..] else {
            unreachable!("the latent was checked")
        };
        self.limit_memory(latent.mode, (width * 8, height * 8), GUIDED, 0)?;
        let stage = match vae {
            VaeKind::Full => Stage::Decoders,
            VaeKind::Tiny => Stage::TinyDecoder,
        };
        self.networks
            .require(&[stage], &self.pack, observer)
            .await?;
        let factor = self.scaling_factor()?;
        decode(
            latent,
            passes,
            keep,
            (&self.networks, stage),
            factor,
            observer,
        )
        .await
    }

    /// As many passes as were asked for, or else as suit the model.
    fn resolved_passes(&self, passes: Option<usize>) -> usize {
        passes.unwrap_or(self.pack.manifest().defaults.decode_passes)
    }

    fn check_latent(&self, latent: &Latent) -> Result<()> {
        if let Some(part) = latent.mode.missing_part(self.pack.manifest()) {
            return Err(Error::new(
                ErrorCode::UnsupportedMode,
                format!("decoding a latent of mode {} needs {part}", latent.mode),
                "the loaded pack does not hold it",
            ));
        }
        let frames = latent.mode.roles().len();
        let cells = match latent.mode.is_transparent() {
            true => self.size_multiple() / 8,
            false => 1,
        };
        let fits = |side: usize| side > 0 && side.is_multiple_of(cells);
        match latent.values.shape.as_slice() {
            [count, 4, height, width] if *count == frames && fits(*height) && fits(*width) => {
                Ok(())
            }
            shape => Err(Error::new(
                ErrorCode::BadImage,
                format!("a latent of shape {shape:?} cannot be decoded"),
                format!("expected [{frames}, 4, height, width], sides multiples of {cells}"),
            )),
        }
    }
}

/// The second pass of `request` at `size` on what the first one made.
fn second_pass(
    request: &Request,
    hires: Hires,
    size: (usize, usize),
    made: &Picture,
) -> Result<Request> {
    Ok(Request {
        init: Some(Init::Picture(made.resized(size.0, size.1)?)),
        strength: Some(hires.strength),
        width: Some(size.0),
        height: Some(size.1),
        noise: None,
        hires: None,
        // Control pictures are of the first pass's size.
        fit: true,
        ..request.clone()
    })
}
