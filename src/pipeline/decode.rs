use burn::tensor::Tensor;

use super::networks::{Networks, Stage};
use super::observer::{Event, Observer};
use super::repaint::Repaint;
use super::sample::{Dump, Latent, aborted};
use crate::Result;
use crate::image::Picture;
use crate::pack::Role;
use crate::transparency::{
    AUGMENTATIONS, TransparencyDecoder, augment, lower_median, undo_augment,
};
use crate::weights::HostTensor;
use crate::weights::host::{host_values, to_device};

/// One generated layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What it is in the picture as a whole.
    pub role: Role,
    /// Its seed.
    pub seed: u64,
    /// Its pixels: straight alpha, sRGB, colour kept under alpha 0.
    pub picture: Picture,
}

/// What decoding gives.
#[derive(Debug)]
pub struct Decoded {
    /// The layers, in the mode's order.
    pub layers: Vec<Layer>,
    /// `pixel` and `rgba`, if they were asked for.
    pub dump: Dump,
}

impl Decoded {
    /// Puts the layer back into the picture that was repainted, if one was.
    ///
    /// # Errors
    /// `out_of_memory`.
    pub fn repainted(&mut self, repaint: Option<&Repaint>) -> Result<()> {
        if let Some(repaint) = repaint {
            for layer in &mut self.layers {
                layer.picture = repaint.finish(&layer.picture)?;
            }
        }
        Ok(())
    }
}

/// Runs what `stage` loaded, decoders or TAESD's, frame by frame.
pub(super) async fn decode(
    latent: &Latent,
    passes: usize,
    keep: bool,
    (networks, stage): (&Networks, Stage),
    scaling_factor: f32,
    observer: &mut impl Observer,
) -> Result<Decoded> {
    latent.values.check_finite("the latent")?;
    let roles = latent.mode.roles();
    let frame_passes = |role: &Role| if *role == Role::Foreground { passes } else { 1 };
    let mut counter = Counter {
        done: 0,
        passes: roles.iter().map(frame_passes).sum(),
    };
    counter.report(0, observer).await?;
    let scaled = to_device(&latent.values, &networks.device);
    let (mut layers, mut pixels, mut transparent) = (Vec::new(), Vec::new(), Vec::new());
    for (frame, role) in roles.iter().enumerate() {
        let scaled_frame = scaled.clone().narrow(0, frame, 1);
        let latent_frame = scaled_frame.clone().div_scalar(scaling_factor);
        let tiny = networks
            .tiny_decoder()
            .filter(|_| stage == Stage::TinyDecoder);
        let picture = match tiny {
            Some(decoder) => decoder.forward(scaled_frame),
            None => networks.decoders().vae.forward(latent_frame.clone()) * 0.5 + 0.5,
        };
        let [_, _, height, width] = picture.dims();
        let picture = host_values(picture.clamp(0.0, 1.0).into_data_async().await)?;
        pixels.extend_from_slice(&picture);
        let transparency = match (stage, role) {
            (Stage::Decoders, Role::Foreground) => networks.decoders().transparency.as_ref(),
            _ => None,
        };
        let planes = match transparency {
            Some(decoder) => {
                networks.free_reserve();
                counter.report(0, observer).await?;
                let picture = HostTensor::new([1, 3, height, width], picture);
                let picture = to_device(&picture, &networks.device);
                let planes = decode_alpha(
                    decoder,
                    picture,
                    latent_frame,
                    passes,
                    &mut counter,
                    observer,
                );
                let planes = planes.await?;
                transparent.extend_from_slice(&planes);
                planes
            }
            None => {
                counter.report(1, observer).await?;
                picture
            }
        };
        let planes = HostTensor::new([planes.len() / (height * width), height, width], planes);
        planes.check_finite("the decoded picture")?;
        layers.push(Layer {
            role: *role,
            seed: latent.seed.wrapping_add(frame as u64),
            picture: Picture::from_planes(&planes.data, width, height),
        });
    }
    let mut dump = Dump::new();
    if keep {
        let [_, _, height, width] = latent.values.shape[..] else {
            unreachable!("the latent was checked")
        };
        let mut add = |name: &str, channels: usize, values: Vec<f32>| {
            let frames = values.len() / (channels * height * width * 64);
            let shape = [frames, channels, height * 8, width * 8];
            dump.insert(name.into(), HostTensor::new(shape, values));
        };
        add("pixel", 3, pixels);
        if !transparent.is_empty() {
            add("rgba", 4, transparent);
        }
    }
    Ok(Decoded { layers, dump })
}

/// Decode passes done and to do.
struct Counter {
    done: usize,
    passes: usize,
}

impl Counter {
    async fn report(&mut self, more: usize, observer: &mut impl Observer) -> Result<()> {
        self.done += more;
        let event = Event::Decoding {
            pass: self.done,
            passes: self.passes,
        };
        match observer.report(event).await {
            true => Ok(()),
            false => Err(aborted()),
        }
    }
}

/// Red, green, blue and alpha planes in [0, 1]: the lower median of `passes` turned passes, each
/// clipped before.
async fn decode_alpha(
    decoder: &TransparencyDecoder,
    pixels: Tensor<4>,
    latent: Tensor<4>,
    passes: usize,
    counter: &mut Counter,
    observer: &mut impl Observer,
) -> Result<Vec<f32>> {
    let mut decoded = Vec::with_capacity(passes);
    for pass in AUGMENTATIONS.into_iter().take(passes) {
        let output = decoder.forward(augment(pixels.clone(), pass), augment(latent.clone(), pass));
        let output = undo_augment(output.clamp(0.0, 1.0), pass);
        decoded.push(host_values(output.into_data_async().await)?);
        counter.report(1, observer).await?;
    }
    let alpha_first = lower_median(&decoded);
    let (alpha, colors) = alpha_first.split_at(alpha_first.len() / 4);
    Ok([colors, alpha].concat())
}
