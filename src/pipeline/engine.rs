use burn::tensor::Device;

use super::decode::{Decoded, Layer, decode};
use super::observer::{Event, Observer};
use super::request::{Mode, Plan, Request};
use super::sample::{Dump, Latent, Sampled, sample};
use crate::text::{TextEncoder, Tokenizer};
use crate::transparency::TransparencyDecoder;
use crate::unet::Unet;
use crate::vae::VaeDecoder;
use crate::weights::{Manifest, Pack, PackSource, Weights};
use crate::{Error, ErrorCode, Result};

/// A model on a device, ready to generate.
pub struct Engine<S> {
    pack: Pack<S>,
    tokenizer: Tokenizer,
    models: Models,
    /// Whether the UNet in `models` carries the single-picture adapter.
    adapted: bool,
}

/// The networks of a pack on a device.
pub(super) struct Models {
    pub device: Device,
    pub text_encoder: TextEncoder,
    pub unet: Unet,
    pub vae: VaeDecoder,
    pub scaling_factor: f32,
    pub transparency_decoder: Option<TransparencyDecoder>,
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
        let pack = Pack::open(source).await?;
        let tokenizer = pack.tokenizer().await?;
        let adapted = pack.manifest().has("layers.attn");
        let models = load_models(&pack, &device, adapted, observer).await?;
        Ok(Self {
            pack,
            tokenizer,
            models,
            adapted,
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
        let manifest = self.pack.manifest();
        sample(
            request,
            &plan,
            manifest,
            &self.tokenizer,
            &self.models,
            observer,
        )
        .await
    }

    /// The second half: from a latent to layers. `keep` fills the dump.
    ///
    /// # Errors
    /// `bad_image` if the latent's size does not suit its mode; as [`Engine::generate`] otherwise.
    pub async fn decode(
        &self,
        latent: &Latent,
        passes: usize,
        keep: bool,
        observer: &mut impl Observer,
    ) -> Result<Decoded> {
        self.check_latent(latent)?;
        decode(latent, passes, keep, &self.models, observer).await
    }

    fn check_latent(&self, latent: &Latent) -> Result<()> {
        if let Some(part) = latent.mode.missing_part(self.pack.manifest()) {
            return Err(Error::new(
                ErrorCode::UnsupportedMode,
                format!("decoding a latent of mode {} needs {part}", latent.mode),
                "the loaded pack does not hold it",
            ));
        }
        let cells = match latent.mode {
            Mode::Single => self.size_multiple() / 8,
            _ => 1,
        };
        let fits = |side: usize| side > 0 && side.is_multiple_of(cells);
        match latent.values.shape.as_slice() {
            [1, 4, height, width] if fits(*height) && fits(*width) => Ok(()),
            shape => Err(Error::new(
                ErrorCode::BadImage,
                format!("a latent of shape {shape:?} cannot be decoded"),
                format!("expected [1, 4, height, width] with sides that are multiples of {cells}"),
            )),
        }
    }

    /// Loads the UNet with or without the adapter, as `mode` needs it.
    async fn adapt(&mut self, mode: Mode, observer: &mut impl Observer) -> Result<()> {
        let adapted = mode == Mode::Single && self.pack.manifest().has("layers.attn");
        if adapted != self.adapted {
            let weights = Weights::new(&self.models.device);
            let wanted = |name: &str| wants_unet(name, adapted);
            load_weights(&self.pack, &weights, wanted, observer).await?;
            self.models.unet = build_unet(self.pack.manifest(), &weights, adapted)?;
            self.adapted = adapted;
        }
        Ok(())
    }
}

async fn load_models<S: PackSource>(
    pack: &Pack<S>,
    device: &Device,
    adapted: bool,
    observer: &mut impl Observer,
) -> Result<Models> {
    let weights = Weights::new(device);
    let wanted = |name: &str| {
        let parts = [
            "text_encoder.",
            "vae.decoder.",
            "vae.post_quant_conv.",
            "transparency_decoder.",
        ];
        parts.iter().any(|part| name.starts_with(part)) || wants_unet(name, adapted)
    };
    load_weights(pack, &weights, wanted, observer).await?;
    let manifest = pack.manifest();
    let vae = manifest.vae()?;
    let transparency_decoder = manifest
        .has("transparency_decoder")
        .then(|| TransparencyDecoder::load(&weights.at("transparency_decoder")));
    Ok(Models {
        device: device.clone(),
        text_encoder: TextEncoder::load(&manifest.text_encoder()?, &weights.at("text_encoder"))?,
        unet: build_unet(manifest, &weights, adapted)?,
        vae: VaeDecoder::load(&vae, &weights.at("vae"))?,
        scaling_factor: vae.scaling_factor,
        transparency_decoder: transparency_decoder.transpose()?,
    })
}

fn build_unet(manifest: &Manifest, weights: &Weights, adapted: bool) -> Result<Unet> {
    let adapter = adapted.then(|| weights.at("layers.attn"));
    Unet::load(&manifest.unet()?, &weights.at("unet"), adapter.as_ref())
}

/// Whether a tensor is part of the UNet; the base weights that an adapter replaces are left out.
fn wants_unet(name: &str, adapted: bool) -> bool {
    if !adapted {
        return name.starts_with("unet.");
    }
    let replaced = [
        ".to_q.weight",
        ".to_k.weight",
        ".to_v.weight",
        ".to_out.0.weight",
    ];
    name.starts_with("layers.attn.")
        || name.starts_with("unet.") && !replaced.iter().any(|end| name.ends_with(end))
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
