use burn::tensor::Device;

use super::Observer;
use crate::Result;
use crate::pack::{
    CONTROL_NET, ControlNetFile, LoadEvent, Lora, Manifest, Pack, PackSource, is_control_net,
};
use crate::text::TextEncoder;
use crate::transparency::{TransparencyDecoder, TransparencyEncoder};
use crate::unet::{ControlNet, Unet};
use crate::vae::{TinyDecoder, TinyEncoder, VaeDecoder, VaeEncoder};
use crate::weights::Weights;

/// Networks that are at work together, and are loaded and freed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// From pictures to latents.
    Encoders,
    /// From prompts to text features.
    TextEncoder,
    /// The UNet, as the component named adapts it.
    Unet(Option<&'static str>),
    /// From latents to pictures.
    Decoders,
    /// TAESD's decoder, for previews and opaque pictures.
    TinyDecoder,
}

impl Stage {
    /// Whether the pack's tensor `name` is of this stage.
    pub fn wants(self, name: &str) -> bool {
        let parts: &[&str] = match self {
            Self::Unet(adapter) => return wants_unet(name, adapter),
            Self::Encoders => &[
                "vae.encoder.",
                "vae.quant_conv.",
                "transparency_encoder.",
                "taesd_encoder.",
            ],
            Self::TextEncoder => &["text_encoder."],
            Self::Decoders => &[
                "vae.decoder.",
                "vae.post_quant_conv.",
                "transparency_decoder.",
            ],
            Self::TinyDecoder => &["taesd_decoder."],
        };
        parts.iter().any(|part| name.starts_with(part))
    }
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

/// The networks that turn pictures into latents.
pub(super) struct Encoders {
    /// Missing where the pack's VAE only decodes.
    pub vae: Option<VaeEncoder>,
    pub transparency: Option<TransparencyEncoder>,
    pub tiny: Option<TinyEncoder>,
}

/// The networks that turn latents into pictures.
pub(super) struct Decoders {
    pub vae: VaeDecoder,
    pub transparency: Option<TransparencyDecoder>,
}

/// A network that LoRAs may change.
struct Adaptable<N> {
    network: N,
    /// What it was built from.
    weights: Weights,
    /// Those that change it now; `None` where only some of its layers may be changed.
    loras: Option<Vec<Lora>>,
}

impl<N> Adaptable<N> {
    fn new(network: N, weights: Weights) -> Self {
        Self {
            network,
            weights,
            loras: Some(Vec::new()),
        }
    }

    /// Lets the network be changed by `loras` and no others.
    async fn apply<S: PackSource>(&mut self, loras: &[Lora], pack: &Pack<S>) -> Result<()> {
        let is_same = |held: &Vec<Lora>| {
            let mut pairs = held.iter().zip(loras);
            held.len() == loras.len() && pairs.all(|(held, lora)| held.is_same(lora))
        };
        if self.loras.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        self.loras = None;
        pack.apply(loras, &self.weights).await?;
        self.loras = Some(loras.to_vec());
        Ok(())
    }
}

/// The networks of a pack that are on a device.
pub(super) struct Networks {
    pub device: Device,
    /// Whether a stage frees all others when its turn comes.
    pub one_at_a_time: bool,
    encoders: Option<Encoders>,
    text_encoder: Option<Adaptable<TextEncoder>>,
    unet: Option<(Option<&'static str>, Adaptable<Unet>)>,
    /// Those of the last request, each with its file; the pack's own has none.
    control_nets: Vec<(Option<ControlNetFile>, ControlNet)>,
    decoders: Option<Decoders>,
    tiny_decoder: Option<TinyDecoder>,
}

impl Networks {
    /// None yet.
    pub fn new(device: Device) -> Self {
        Self {
            device,
            one_at_a_time: false,
            encoders: None,
            text_encoder: None,
            unet: None,
            control_nets: Vec::new(),
            decoders: None,
            tiny_decoder: None,
        }
    }

    /// Loads those of `stages` that are not here, reading each shard once.
    pub async fn require<S: PackSource>(
        &mut self,
        stages: &[Stage],
        pack: &Pack<S>,
        observer: &mut impl Observer,
    ) -> Result<()> {
        self.make_room(stages);
        let missing: Vec<_> = stages.iter().filter(|stage| !self.has(**stage)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let weights = Weights::new(&self.device);
        let wanted = |name: &str| missing.iter().any(|stage| stage.wants(name));
        pack.load(&weights, wanted, async |progress| {
            observer.report(progress.into()).await
        })
        .await?;
        for stage in missing {
            self.build(*stage, pack.manifest(), &weights)?;
        }
        Ok(())
    }

    /// Loads those ControlNets of `files` that are not here, the pack's own for `None`, and frees those of other files.
    pub async fn require_control_nets<S: PackSource>(
        &mut self,
        files: &[Option<&ControlNetFile>],
        pack: &Pack<S>,
        observer: &mut impl Observer,
    ) -> Result<()> {
        let wanted = |file: Option<&ControlNetFile>| file.is_none() || files.contains(&file);
        self.control_nets.retain(|(file, _)| wanted(file.as_ref()));
        for file in files {
            let mut held = self.control_nets.iter();
            if held.any(|(held, _)| held.as_ref() == *file) {
                continue;
            }
            let weights = Weights::new(&self.device);
            let report = async |progress: LoadEvent| observer.report(progress.into()).await;
            let config = match file {
                Some(file) => {
                    pack.load_control_net(file, &weights, report).await?;
                    file.config(pack.manifest())?
                }
                None => {
                    pack.load(&weights, is_control_net, report).await?;
                    pack.manifest().config(CONTROL_NET)?
                }
            };
            let network = ControlNet::load(&config, &weights.at(CONTROL_NET))?;
            self.control_nets.push((file.cloned(), network));
        }
        Ok(())
    }

    /// Lets the networks that are here be changed by `loras` and no others.
    pub async fn apply<S: PackSource>(&mut self, loras: &[Lora], pack: &Pack<S>) -> Result<()> {
        if let Some(text_encoder) = &mut self.text_encoder {
            text_encoder.apply(loras, pack).await?;
        }
        if let Some((_, unet)) = &mut self.unet {
            unet.apply(loras, pack).await?;
        }
        Ok(())
    }

    fn has(&self, stage: Stage) -> bool {
        match stage {
            Stage::Encoders => self.encoders.is_some(),
            Stage::TextEncoder => self.text_encoder.is_some(),
            Stage::Unet(adapter) => self.unet.as_ref().is_some_and(|(held, _)| *held == adapter),
            Stage::Decoders => self.decoders.is_some(),
            Stage::TinyDecoder => self.tiny_decoder.is_some(),
        }
    }

    /// Frees the memory that the device keeps in reserve for more intermediate results like those so
    /// far. Another network's have other sizes.
    pub fn free_reserve(&self) {
        self.device.memory_cleanup();
    }

    /// Frees what stands in the way of `stages`.
    fn make_room(&mut self, stages: &[Stage]) {
        // There is one UNet at a time, whatever it is adapted by.
        if stages
            .iter()
            .any(|stage| matches!(stage, Stage::Unet(_)) && !self.has(*stage))
        {
            self.unet = None;
        }
        if self.one_at_a_time {
            let idle = |stage| !stages.contains(&stage);
            let unet = self.unet.as_ref().map(|(adapter, _)| Stage::Unet(*adapter));
            self.encoders.take_if(|_| idle(Stage::Encoders));
            self.text_encoder.take_if(|_| idle(Stage::TextEncoder));
            self.unet.take_if(|_| unet.is_some_and(idle));
            if !stages.iter().any(|stage| matches!(stage, Stage::Unet(_))) {
                self.control_nets.clear();
            }
            self.decoders.take_if(|_| idle(Stage::Decoders));
            self.tiny_decoder.take_if(|_| idle(Stage::TinyDecoder));
        }
        self.free_reserve();
    }

    fn build(&mut self, stage: Stage, manifest: &Manifest, weights: &Weights) -> Result<()> {
        let part = |name: &str| manifest.has(name).then(|| weights.at(name));
        match stage {
            Stage::Encoders => {
                let transparency = part("transparency_encoder");
                let tiny = part("taesd_encoder");
                self.encoders = Some(Encoders {
                    vae: manifest
                        .encodes()
                        .then(|| VaeEncoder::load(&manifest.vae()?, &weights.at("vae")))
                        .transpose()?,
                    transparency: transparency
                        .map(|weights| TransparencyEncoder::load(&weights))
                        .transpose()?,
                    tiny: tiny
                        .map(|weights| TinyEncoder::load(&weights))
                        .transpose()?,
                });
            }
            Stage::TextEncoder => {
                let weights = weights.at("text_encoder").with_own_slots();
                let encoder = TextEncoder::load(&manifest.text_encoder()?, &weights)?;
                self.text_encoder = Some(Adaptable::new(encoder, weights));
            }
            Stage::Unet(adapter) => {
                let weights = weights.with_own_slots();
                let adapts = adapter.map(|component| weights.at(component));
                let unet = Unet::load(&manifest.unet()?, &weights.at("unet"), adapts.as_ref())?;
                self.unet = Some((adapter, Adaptable::new(unet, weights)));
            }
            Stage::Decoders => {
                let transparency = part("transparency_decoder");
                self.decoders = Some(Decoders {
                    vae: VaeDecoder::load(&manifest.vae()?, &weights.at("vae"))?,
                    transparency: transparency
                        .map(|weights| TransparencyDecoder::load(&weights))
                        .transpose()?,
                });
            }
            Stage::TinyDecoder => {
                self.tiny_decoder = Some(TinyDecoder::load(&weights.at("taesd_decoder"))?);
            }
        }
        Ok(())
    }

    /// What [`Stage::Encoders`] stands for. Like the other accessors here, it is called once its
    /// stage has been required.
    pub fn encoders(&self) -> &Encoders {
        self.encoders.as_ref().expect(REQUIRED)
    }

    /// What [`Stage::TextEncoder`] stands for.
    pub fn text_encoder(&self) -> &TextEncoder {
        &self.text_encoder.as_ref().expect(REQUIRED).network
    }

    /// What [`Stage::Unet`] stands for.
    pub fn unet(&self) -> &Unet {
        &self.unet.as_ref().expect(REQUIRED).1.network
    }

    /// As [`Networks::unet`], to be given a condition.
    pub fn unet_mut(&mut self) -> &mut Unet {
        &mut self.unet.as_mut().expect(REQUIRED).1.network
    }

    /// The ControlNet of that file, or the pack's own, once it has been required.
    pub fn control_net(&self, file: Option<&ControlNetFile>) -> &ControlNet {
        let mut held = self.control_nets.iter();
        let found = held.find(|(held, _)| held.as_ref() == file);
        &found.expect(REQUIRED).1
    }

    /// What [`Stage::Decoders`] stands for.
    pub fn decoders(&self) -> &Decoders {
        self.decoders.as_ref().expect(REQUIRED)
    }

    /// What [`Stage::TinyDecoder`] stands for, if that is here.
    pub fn tiny_decoder(&self) -> Option<&TinyDecoder> {
        self.tiny_decoder.as_ref()
    }
}

const REQUIRED: &str = "a stage is required before it is used";
