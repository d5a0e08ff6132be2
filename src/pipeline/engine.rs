use burn::tensor::Device;

use super::control::Steering;
use super::decode::{Decoded, Layer, decode};
use super::encode::{Encoded, encode, encode_tiny};
use super::observer::{Event, Observer};
use super::request::{Init, MAX_SIDE, Mode, Plan, Request, check_passes};
use super::sample::{Dump, Inputs, Latent, Sampled, sample};
use super::to_device;
use super::vae_size::VaeSize;
use crate::image::Picture;
use crate::text::{TextEncoder, Tokenizer};
use crate::transparency::{TransparencyDecoder, TransparencyEncoder};
use crate::unet::{ControlNet, Unet};
use crate::vae::{TinyDecoder, TinyEncoder, VaeDecoder, VaeEncoder};
use crate::weights::{HostTensor, Lora, Manifest, Pack, PackSource, Weights};
use crate::{Error, ErrorCode, Result};

/// A model on a device, ready to generate.
pub struct Engine<S> {
    pack: Pack<S>,
    tokenizer: Tokenizer,
    models: Models,
    /// The component that the UNet in `models` is adapted by.
    adapter: Option<&'static str>,
    /// Loaded when a picture is first encoded.
    encoders: Option<Encoders>,
    /// Loaded when a control picture is first given.
    control_net: Option<ControlNet>,
}

/// The networks that turn pictures into latents.
pub(super) struct Encoders {
    pub device: Device,
    pub vae: VaeEncoder,
    pub scaling_factor: f32,
    pub transparency: Option<TransparencyEncoder>,
    pub tiny: Option<TinyEncoder>,
}

/// The networks of a pack on a device.
pub(super) struct Models {
    pub device: Device,
    pub text_encoder: TextEncoder,
    pub unet: Unet,
    pub vae: VaeDecoder,
    pub scaling_factor: f32,
    pub transparency_decoder: Option<TransparencyDecoder>,
    pub tiny_decoder: Option<TinyDecoder>,
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
}

impl<S: PackSource> Engine<S> {
    /// Loads the pack behind `source` onto `device`.
    pub async fn load(source: S, device: Device, observer: &mut impl Observer) -> Result<Self> {
        Self::load_adapted(source, device, Vec::new(), observer).await
    }

    /// As [`Engine::load`], with `loras` merged into the weights.
    ///
    /// # Errors
    /// `model_unsupported` if a LoRA is for another architecture.
    pub async fn load_adapted(
        source: S,
        device: Device,
        loras: Vec<Lora>,
        observer: &mut impl Observer,
    ) -> Result<Self> {
        let pack = Pack::open(source).await?;
        for lora in loras {
            pack.apply(lora)?;
        }
        let tokenizer = pack.tokenizer().await?;
        let first = Mode::ALL
            .into_iter()
            .find(|mode| mode.missing_part(pack.manifest()).is_none());
        let adapter = first.and_then(|mode| mode.adapter(pack.manifest()));
        let models = load_models(&pack, &device, adapter, observer).await?;
        Ok(Self {
            pack,
            tokenizer,
            models,
            adapter,
            encoders: None,
            control_net: None,
        })
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
        let decoder = self.models.transparency_decoder.as_ref();
        decoder.map_or(8, TransparencyDecoder::size_multiple).max(8)
    }

    /// Generates what `request` asks for.
    ///
    /// # Errors
    /// `bad_option`, `unsupported_mode`, `aborted`, `non_finite`, `device_lost`.
    pub async fn generate(
        &mut self,
        request: &Request,
        observer: &mut impl Observer,
    ) -> Result<Generation> {
        let sampled = self.sample(request, observer).await?;
        let decoded = self
            .decode(
                &sampled.latent,
                request.vae,
                request.decode_passes,
                request.dump,
                observer,
            )
            .await?;
        let mut dump = sampled.dump;
        dump.extend(decoded.dump);
        Ok(Generation {
            layers: decoded.layers,
            latent: sampled.latent,
            dump,
        })
    }

    /// The first half of [`Engine::generate`]: everything up to the finished latent.
    pub async fn sample(
        &mut self,
        request: &Request,
        observer: &mut impl Observer,
    ) -> Result<Sampled> {
        let plan = Plan::new(request, self.pack.manifest(), self.size_multiple())?;
        self.adapt(plan.mode, observer).await?;
        let condition = request.foreground.as_ref().or(request.background.as_ref());
        if let Some(picture) = condition {
            let shape = [1, 3, plan.height, plan.width];
            let on_grey = HostTensor::new(shape, plan.fitted(picture).on_grey());
            let on_grey = to_device(&on_grey, &self.models.device);
            self.models.unet.set_condition(on_grey);
        }
        let init = match &request.init {
            Some(Init::Latent(latent)) => Some(latent.clone()),
            Some(Init::Picture(picture)) => {
                let picture = plan.fitted(picture);
                Some(self.encode_init(&picture, request, &plan, observer).await?)
            }
            None => None,
        };
        if request.control.is_some() && self.control_net.is_none() {
            let device = &self.models.device;
            self.control_net = Some(load_control_net(&self.pack, device, observer).await?);
        }
        let steering = request.control.as_ref().zip(self.control_net.as_ref());
        let steering = steering.map(|(control, network)| {
            let picture = plan.fitted(&control.picture);
            Steering::new(network, control, &picture, &self.models.device)
        });
        let inputs = Inputs {
            request,
            plan: &plan,
            manifest: self.pack.manifest(),
            tokenizer: &self.tokenizer,
            models: &self.models,
            init,
            steering,
        };
        sample(inputs, observer).await
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
        encode(picture, gain, true, self.encoders(observer).await?).await
    }

    async fn encode_init(
        &mut self,
        picture: &Picture,
        request: &Request,
        plan: &Plan,
        observer: &mut impl Observer,
    ) -> Result<HostTensor> {
        let encoders = self.encoders(observer).await?;
        if let (VaeSize::Tiny, Some(tiny)) = (request.vae, &encoders.tiny) {
            return encode_tiny(picture, tiny, &encoders.device).await;
        }
        let (gain, transparent) = (request.offset_gain, plan.mode.is_transparent());
        Ok(encode(picture, gain, transparent, encoders).await?.latent)
    }

    async fn encoders(&mut self, observer: &mut impl Observer) -> Result<&Encoders> {
        let encoders = match self.encoders.take() {
            Some(encoders) => encoders,
            None => load_encoders(&self.pack, &self.models.device, observer).await?,
        };
        Ok(self.encoders.insert(encoders))
    }

    /// The second half: from a latent to layers. `keep` fills the dump.
    ///
    /// # Errors
    /// `bad_option` or `unsupported_mode` if the pack or the latent's mode does not allow `vae`;
    /// `bad_image` if the latent's size does not suit its mode; as [`Engine::generate`] otherwise.
    pub async fn decode(
        &self,
        latent: &Latent,
        vae: VaeSize,
        passes: usize,
        keep: bool,
        observer: &mut impl Observer,
    ) -> Result<Decoded> {
        check_passes(passes)?;
        self.check_latent(latent)?;
        vae.check(latent.mode, self.pack.manifest())?;
        decode(latent, vae, passes, keep, &self.models, observer).await
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

    /// Loads the UNet with the adapter that `mode` needs, if it is not there already.
    async fn adapt(&mut self, mode: Mode, observer: &mut impl Observer) -> Result<()> {
        let adapter = mode.adapter(self.pack.manifest());
        if adapter != self.adapter {
            let weights = Weights::new(&self.models.device);
            let wanted = |name: &str| wants_unet(name, adapter);
            load_weights(&self.pack, &weights, wanted, observer).await?;
            self.models.unet = build_unet(self.pack.manifest(), &weights, adapter)?;
            self.adapter = adapter;
        }
        Ok(())
    }
}

async fn load_models<S: PackSource>(
    pack: &Pack<S>,
    device: &Device,
    adapter: Option<&str>,
    observer: &mut impl Observer,
) -> Result<Models> {
    let weights = Weights::new(device);
    let wanted = |name: &str| {
        let parts = [
            "text_encoder.",
            "vae.decoder.",
            "vae.post_quant_conv.",
            "transparency_decoder.",
            "taesd_decoder.",
        ];
        parts.iter().any(|part| name.starts_with(part)) || wants_unet(name, adapter)
    };
    load_weights(pack, &weights, wanted, observer).await?;
    let manifest = pack.manifest();
    let vae = manifest.vae()?;
    let transparency_decoder = manifest
        .has("transparency_decoder")
        .then(|| TransparencyDecoder::load(&weights.at("transparency_decoder")));
    let tiny_decoder = manifest
        .has("taesd_decoder")
        .then(|| TinyDecoder::load(&weights.at("taesd_decoder")));
    Ok(Models {
        device: device.clone(),
        text_encoder: TextEncoder::load(&manifest.text_encoder()?, &weights.at("text_encoder"))?,
        unet: build_unet(manifest, &weights, adapter)?,
        vae: VaeDecoder::load(&vae, &weights.at("vae"))?,
        scaling_factor: vae.scaling_factor,
        transparency_decoder: transparency_decoder.transpose()?,
        tiny_decoder: tiny_decoder.transpose()?,
    })
}

async fn load_encoders<S: PackSource>(
    pack: &Pack<S>,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<Encoders> {
    let weights = Weights::new(device);
    let parts = [
        "vae.encoder.",
        "vae.quant_conv.",
        "transparency_encoder.",
        "taesd_encoder.",
    ];
    let wanted = |name: &str| parts.iter().any(|part| name.starts_with(part));
    load_weights(pack, &weights, wanted, observer).await?;
    let manifest = pack.manifest();
    let config = manifest.vae()?;
    let transparency = manifest
        .has("transparency_encoder")
        .then(|| TransparencyEncoder::load(&weights.at("transparency_encoder")));
    let tiny = manifest
        .has("taesd_encoder")
        .then(|| TinyEncoder::load(&weights.at("taesd_encoder")));
    Ok(Encoders {
        device: device.clone(),
        vae: VaeEncoder::load(&config, &weights.at("vae"))?,
        scaling_factor: config.scaling_factor,
        transparency: transparency.transpose()?,
        tiny: tiny.transpose()?,
    })
}

async fn load_control_net<S: PackSource>(
    pack: &Pack<S>,
    device: &Device,
    observer: &mut impl Observer,
) -> Result<ControlNet> {
    let weights = Weights::new(device);
    let wanted = |name: &str| name.starts_with("controlnet.");
    load_weights(pack, &weights, wanted, observer).await?;
    let config = pack.manifest().config("controlnet")?;
    ControlNet::load(&config, &weights.at("controlnet"))
}

fn build_unet(manifest: &Manifest, weights: &Weights, adapter: Option<&str>) -> Result<Unet> {
    let adapter = adapter.map(|component| weights.at(component));
    Unet::load(&manifest.unet()?, &weights.at("unet"), adapter.as_ref())
}

/// Whether a tensor is part of the UNet. The base weights that the folded adapter replaces are left
/// out.
fn wants_unet(name: &str, adapter: Option<&str>) -> bool {
    let replaced = [
        ".to_q.weight",
        ".to_k.weight",
        ".to_v.weight",
        ".to_out.0.weight",
    ];
    let is_replaced = || replaced.iter().any(|end| name.ends_with(end));
    match adapter {
        None => name.starts_with("unet."),
        Some(component) => {
            let adapts = name
                .strip_prefix(component)
                .is_some_and(|rest| rest.starts_with('.'));
            let base = name.starts_with("unet.");
            adapts || base && !(component == "layers.attn" && is_replaced())
        }
    }
}

async fn load_weights<S: PackSource>(
    pack: &Pack<S>,
    weights: &Weights,
    wanted: impl Fn(&str) -> bool,
    observer: &mut impl Observer,
) -> Result<()> {
    pack.load(weights, wanted, async |progress| {
        let event = Event::Loading {
            loaded_bytes: progress.loaded_bytes,
            total_bytes: progress.total_bytes,
        };
        observer.report(event).await
    })
    .await
}
