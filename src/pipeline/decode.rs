use burn::tensor::Tensor;

use super::engine::Models;
use super::request::{Mode, Role};
use super::sample::{Dump, Latent, aborted};
use super::{Event, Observer, host_values, to_device};
use crate::Result;
use crate::image::Picture;
use crate::transparency::{PASSES, TransparencyDecoder, lower_median, turn, turn_back};
use crate::weights::HostTensor;

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

/// Runs the VAE and, for transparent modes, the transparency decoder.
pub(super) async fn decode(
    latent: &Latent,
    passes: usize,
    keep: bool,
    models: &Models,
    observer: &mut impl Observer,
) -> Result<Decoded> {
    latent.values.check_finite("the latent")?;
    let passes = if latent.mode == Mode::Single {
        passes
    } else {
        1
    };
    if !observer.report(Event::Decoding { pass: 0, passes }).await {
        return Err(aborted());
    }
    let unscaled = to_device(&latent.values, &models.device).div_scalar(models.scaling_factor);
    let picture = models.vae.forward(unscaled.clone());
    let pixels = (picture * 0.5 + 0.5).clamp(0.0, 1.0);
    let [_, _, height, width] = pixels.dims();
    let mut dump = Dump::new();
    if keep {
        let values = host_values(pixels.to_data_async().await)?;
        dump.insert(
            "pixel".into(),
            HostTensor::new([1, 3, height, width], values),
        );
    }
    let (role, channels, planes) = match (&models.transparency_decoder, latent.mode) {
        (Some(decoder), Mode::Single) => {
            let planes = decode_alpha(decoder, pixels, unscaled, passes, observer).await?;
            (Role::Foreground, 4, planes)
        }
        _ => (Role::Image, 3, host_values(pixels.into_data_async().await)?),
    };
    let planes = HostTensor::new([1, channels, height, width], planes);
    planes.check_finite("the decoded picture")?;
    let picture = Picture::from_planes(&planes.data, width, height);
    if keep && channels == 4 {
        dump.insert("rgba".into(), planes);
    }
    if !observer
        .report(Event::Decoding {
            pass: passes,
            passes,
        })
        .await
    {
        return Err(aborted());
    }
    let layer = Layer {
        role,
        seed: latent.seed,
        picture,
    };
    Ok(Decoded {
        layers: vec![layer],
        dump,
    })
}

/// Red, green, blue and alpha planes in [0, 1]: the lower median of `passes` turned passes, each
/// clipped before.
async fn decode_alpha(
    decoder: &TransparencyDecoder,
    pixels: Tensor<4>,
    latent: Tensor<4>,
    passes: usize,
    observer: &mut impl Observer,
) -> Result<Vec<f32>> {
    let mut decoded = Vec::with_capacity(passes);
    for (index, pass) in PASSES.into_iter().take(passes).enumerate() {
        if index > 0
            && !observer
                .report(Event::Decoding {
                    pass: index,
                    passes,
                })
                .await
        {
            return Err(aborted());
        }
        let output = decoder.forward(turn(pixels.clone(), pass), turn(latent.clone(), pass));
        let output = turn_back(output.clamp(0.0, 1.0), pass);
        decoded.push(host_values(output.into_data_async().await)?);
    }
    let alpha_first = lower_median(&decoded);
    let (alpha, colors) = alpha_first.split_at(alpha_first.len() / 4);
    Ok([colors, alpha].concat())
}
