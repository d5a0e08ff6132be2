use burn::tensor::Device;

use super::networks::Networks;
use crate::image::{Picture, padded_rgb};
use crate::vae::TinyEncoder;
use crate::weights::HostTensor;
use crate::weights::host::{host_values, to_device};
use crate::{Error, ErrorCode, Result, memory};

/// A picture's latent, and what it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// `[1, 4, height/8, width/8]` in the UNet's scale.
    pub latent: HostTensor,
    /// Mean of the VAE's posterior, unscaled.
    pub mean: HostTensor,
    /// Deviation of the VAE's posterior, unscaled.
    pub std: HostTensor,
}

/// Bytes for each pixel that a picture takes on grey, and once more on its way to the device.
const ON_GREY: usize = 2 * 3 * size_of::<f32>();

/// Bytes for each pixel that padding takes: four planes, which all levels of the pyramid together have 3.3
/// times, three on the way back up, twice, and the result, twice.
const PADDED: usize = 28 * size_of::<f32>();

fn check_room(picture: &Picture, pixel: usize) -> Result<()> {
    memory::check_room(pixel * picture.width * picture.height, "the picture")
}

/// The latent `[1, 4, height/8, width/8]`, in the UNet's scale, that TAESD makes of an opaque
/// picture.
pub(super) async fn encode_tiny(
    picture: &Picture,
    encoder: &TinyEncoder,
    device: &Device,
) -> Result<HostTensor> {
    let (width, height) = (picture.width, picture.height);
    check_room(picture, ON_GREY)?;
    let on_grey = HostTensor::new([1, 3, height, width], picture.on_grey());
    let latent = encoder.forward(to_device(&on_grey, device) * 0.5 + 0.5);
    let latent = HostTensor::new(latent.dims(), host_values(latent.into_data_async().await)?);
    latent.check_finite("the encoded picture")?;
    Ok(latent)
}

/// The refusal of a picture by a pack whose VAE only decodes.
pub(super) fn no_encoder() -> Error {
    Error::new(
        ErrorCode::UnsupportedMode,
        "pictures cannot be encoded: the pack's VAE has no encoder (pack with --vae FILE)",
        "the loaded pack does not hold it",
    )
}

/// `(mean + std · gain · offset) · scaling factor`, with the offset of the transparency encoder;
/// without one (or for an opaque mode) the scaled mean.
pub(super) async fn encode(
    picture: &Picture,
    gain: f32,
    transparent: bool,
    networks: &Networks,
    scaling_factor: f32,
) -> Result<Encoded> {
    let (width, height) = (picture.width, picture.height);
    check_room(picture, ON_GREY)?;
    let on_grey = HostTensor::new([1, 3, height, width], picture.on_grey());
    let (encoders, device) = (networks.encoders(), &networks.device);
    let vae = encoders.vae.as_ref().ok_or_else(no_encoder)?;
    let posterior = vae.forward(to_device(&on_grey, device));
    let mean = host_values(posterior.mean.into_data_async().await)?;
    let std = host_values(posterior.std.into_data_async().await)?;
    let offset = match &encoders.transparency {
        Some(encoder) if transparent => {
            check_room(picture, PADDED)?;
            let mut planes = picture.alpha();
            planes.extend(padded_rgb(picture));
            let planes = HostTensor::new([1, 4, height, width], planes);
            let offset = encoder.forward(to_device(&planes, device));
            host_values(offset.into_data_async().await)?
        }
        _ => vec![0.0; mean.len()],
    };
    let values = mean.iter().zip(&std).zip(&offset);
    let latent = values
        .map(|((mean, std), offset)| (mean + std * gain * offset) * scaling_factor)
        .collect();
    let shape = vec![1, 4, height / 8, width / 8];
    let latent = HostTensor::new(shape.clone(), latent);
    latent.check_finite("the encoded picture")?;
    Ok(Encoded {
        latent,
        mean: HostTensor::new(shape.clone(), mean),
        std: HostTensor::new(shape, std),
    })
}
