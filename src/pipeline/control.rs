use burn::tensor::{Device, Tensor};

use crate::image::Picture;
use crate::pack::{CONTROL_NET, ControlNetFile, Manifest, is_control_net};
use crate::unet::{ControlNet, Residuals, TextContext};
use crate::weights::HostTensor;
use crate::weights::host::to_device;
use crate::{Error, ErrorCode, Result};

/// A picture that a ControlNet steers a generation by. Several add up.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    /// What the ControlNet was trained to see: edges, depth, a pose. Where it is transparent, it
    /// counts as black.
    pub picture: Picture,
    /// The ControlNet that sees it; the pack's own if left out.
    pub controlnet: Option<ControlNetFile>,
    /// How strongly it steers, 0 to 10; 1 is as trained.
    pub scale: f32,
    /// The part of the steps that goes by before it steers, 0 up to `end`.
    pub start: f64,
    /// The part of the steps after which it steers no more, up to 1.
    pub end: f64,
}

impl Control {
    /// Steers all steps by the pack's ControlNet, as strongly as that was trained to.
    pub fn new(picture: Picture) -> Self {
        Self {
            picture,
            controlnet: None,
            scale: 1.0,
            start: 0.0,
            end: 1.0,
        }
    }

    /// Rejects values out of range, ControlNets for other models, and packs without one where no other is given.
    pub(super) fn check(&self, manifest: &Manifest) -> Result<()> {
        match &self.controlnet {
            Some(file) => file.check_fits(manifest)?,
            None if !manifest.has(CONTROL_NET) => {
                return Err(Error::new(
                    ErrorCode::UnsupportedMode,
                    "a control picture needs a ControlNet",
                    "the loaded pack does not hold one: give one with the picture, or pack with --controlnet",
                ));
            }
            None => {}
        }
        let bad = |message, hint| Err(Error::new(ErrorCode::BadOption, message, hint));
        if !(0.0..=10.0).contains(&self.scale) {
            let message = format!("control scale {} is not possible", self.scale);
            return bad(message, "use a number from 0 to 10; 1 is usual");
        }
        let (start, end) = (self.start, self.end);
        if !(start >= 0.0 && start < end && end <= 1.0) {
            let message = format!("control from {start} to {end} is not possible");
            return bad(message, "use a start and a later end between 0 and 1");
        }
        Ok(())
    }

    /// Whether it steers this step; a step counts if it lies in the range as a whole, as in
    /// diffusers.
    fn covers(&self, step: usize, steps: usize) -> bool {
        let part = |step: usize| step as f64 / steps as f64;
        part(step) >= self.start && part(step + 1) <= self.end
    }
}

/// What the ControlNets of `controls` take of a device's memory, in bytes.
pub(super) fn control_net_bytes(controls: &[Control], manifest: &Manifest) -> u64 {
    let own = manifest.device_bytes(is_control_net);
    let mut counted: Vec<Option<&ControlNetFile>> = Vec::new();
    let mut bytes = 0;
    for control in controls {
        let file = control.controlnet.as_ref();
        if !counted.contains(&file) {
            counted.push(file);
            bytes += file.map_or(own, |file| file.device_bytes(manifest));
        }
    }
    bytes
}

/// A ControlNet and what it sees during one generation.
pub(super) struct ControlNetRun<'a> {
    network: &'a ControlNet,
    control: &'a Control,
    embedding: Tensor<4>,
}

impl<'a> ControlNetRun<'a> {
    /// `picture` is the control's in the output's size.
    pub fn new(
        network: &'a ControlNet,
        control: &'a Control,
        picture: &Picture,
        device: &Device,
    ) -> Self {
        let shape = [1, 3, picture.height, picture.width];
        let picture = HostTensor::new(shape, picture.on_black());
        Self {
            network,
            control,
            embedding: network.embed(to_device(&picture, device)),
        }
    }

    /// What to add inside of the UNet at this step, for rows that it is about to see; nothing at
    /// steps that are not to be steered.
    fn residuals(
        &self,
        (step, steps): (usize, usize),
        latent: &Tensor<4>,
        timesteps: &[f32],
        context: &TextContext,
    ) -> Option<Residuals> {
        let scale = self.control.scale;
        self.control.covers(step, steps).then(|| {
            self.network
                .forward(latent.clone(), timesteps, context, &self.embedding, scale)
        })
    }
}

/// What all of `runs` together add at this step; nothing where none of them steers.
pub(super) fn residuals(
    runs: &[ControlNetRun<'_>],
    step: (usize, usize),
    latent: &Tensor<4>,
    timesteps: &[f32],
    context: &TextContext,
) -> Option<Residuals> {
    let each = runs
        .iter()
        .filter_map(|run| run.residuals(step, latent, timesteps, context));
    each.reduce(Residuals::plus)
}
