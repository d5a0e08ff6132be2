use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use glassine::compose::{Scene, flatten, to_ora, to_psd};
use glassine::pack::{FolderSource, LoadEvent, Lora, PackOptions, inspect, pack_folder};
use glassine::pipeline::HostTensor;
use glassine::pipeline::{
    Control, Engine, Init, Latent, Layer, LoadOptions, Mode, Request, VaeKind,
};
use glassine::{Error, ErrorCode, Result};

use crate::arguments::{Arguments, Command, Decode, DeviceName, Encode, Generate, Pack};
use crate::files;
use crate::progress::Progress;

/// Runs what the command line asks for.
pub async fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Pack(arguments) => pack(arguments).await,
        Command::Generate(arguments) => generate(*arguments).await,
        Command::Encode(arguments) => encode(arguments).await,
        Command::Decode(arguments) => decode(arguments).await,
        Command::Compose { scene, out } => compose(&scene, &out),
        Command::Inspect { path } => {
            print!("{}", inspect(&path)?);
            Ok(())
        }
    }
}

async fn pack(arguments: Pack) -> Result<()> {
    let mut adapters = BTreeMap::new();
    for layers in &arguments.layers {
        let split = layers.split_once('=');
        let parsed = split.and_then(|(name, file)| Some((name.parse().ok()?, file.into())));
        let (kind, file) = parsed.ok_or_else(|| {
            Error::new(
                ErrorCode::BadOption,
                format!("--layers {layers:?} is not understood"),
                "use attn=FILE, joint=FILE, fg2bg=FILE or bg2fg=FILE",
            )
        })?;
        adapters.insert(kind, file);
    }
    let mut options = PackOptions::new(arguments.model);
    options.vae = arguments.vae;
    options.text_encoder = arguments.text_encoder;
    options.transparency_decoder = arguments.transparency_decoder;
    options.transparency_encoder = arguments.transparency_encoder;
    options.controlnet = arguments.controlnet;
    options.taesd_decoder = arguments.taesd_decoder;
    options.taesd_encoder = arguments.taesd_encoder;
    options.adapters = adapters;
    options.loras = arguments
        .loras
        .iter()
        .map(|lora| split_lora(lora))
        .collect();
    options.native_transparency = arguments.native_transparency;
    options.precision = arguments.quantize;
    options.default_steps = arguments.default_steps;
    options.default_guidance = arguments.default_guidance;
    options.default_sampler = arguments.default_sampler;
    let progress = Progress::new();
    let show = async |event: LoadEvent| {
        progress.show("packing", event.loaded_bytes, event.total_bytes);
        true
    };
    pack_folder(&options, &arguments.out, show).await?;
    Ok(())
}

/// `FILE` or `FILE:STRENGTH`.
fn split_lora(lora: &str) -> (PathBuf, f32) {
    let split = lora.rsplit_once(':');
    let parsed = split.and_then(|(file, strength)| Some((file, strength.parse().ok()?)));
    let (file, strength) = parsed.unwrap_or((lora, 1.0));
    (file.into(), strength)
}

async fn generate(arguments: Generate) -> Result<()> {
    let mut progress = Progress::new();
    let request = request(&arguments)?;
    let source = FolderSource::new(&arguments.model);
    let device = device(arguments.device).await?;
    let loras = arguments.loras.iter().map(|lora| split_lora(lora));
    let loras = loras
        .map(|(file, strength)| Lora::open(&file, strength))
        .collect::<Result<_>>()?;
    let mut options = LoadOptions::default();
    options.loras = loras;
    let mut engine = Engine::open(source, device, options).await?;
    let generation = engine.generate(&request, &mut progress).await?;
    if let Some(path) = &arguments.dump {
        files::write_tensors(path, &generation.dump)?;
    }
    write_layers(&arguments.out, &generation.layers)
}

/// The request that the arguments describe.
fn request(arguments: &Generate) -> Result<Request> {
    let picture = |path: &Option<PathBuf>| path.as_deref().map(files::read_picture).transpose();
    let noise = arguments
        .noise
        .as_deref()
        .map(|path| files::read_tensor(path, &["noise"]));
    Ok({
        let mut request = Request::new(arguments.prompt.clone());
        request.negative_prompt = arguments.negative.clone();
        request.foreground_prompt = arguments.fg_prompt.clone();
        request.background_prompt = arguments.bg_prompt.clone();
        request.blended_prompt = arguments.blended_prompt.clone();
        request.foreground = picture(&arguments.foreground)?;
        request.background = picture(&arguments.background)?;
        request.init = match &arguments.init {
            Some(path)
                if path
                    .extension()
                    .is_some_and(|extension| extension == "safetensors") =>
            {
                Some(Init::Latent(files::read_tensor(
                    path,
                    &["latent", "latent.final"],
                )?))
            }
            path => picture(path)?.map(Init::Picture),
        };
        request.control = picture(&arguments.control)?.map(|picture| Control {
            picture,
            scale: arguments.control_scale,
            start: arguments.control_start,
            end: arguments.control_end,
        });
        request.fit = arguments.fit;
        request.strength = arguments.strength;
        request.offset_gain = arguments.offset_gain;
        request.mode = arguments.mode;
        request.width = arguments.width;
        request.height = arguments.height;
        request.steps = arguments.steps;
        request.guidance = arguments.guidance;
        request.guidance_rescale = arguments.guidance_rescale;
        request.sampler = arguments.sampler;
        request.convention = arguments.convention;
        request.seed = arguments.seed;
        request.noise = noise.transpose()?;
        request.vae = arguments.vae;
        request.decode_passes = arguments.decode_passes;
        request.preview_every = None;
        request.dump = arguments.dump.is_some();
        request
    })
}

/// One layer goes to `out` itself, several to FILE.ROLE.png beside it.
fn write_layers(out: &Path, layers: &[Layer]) -> Result<()> {
    if let [layer] = layers {
        return files::write(out, &layer.picture.to_png()?);
    }
    for layer in layers {
        let path = out.with_extension(format!("{}.png", layer.role.as_str()));
        files::write(&path, &layer.picture.to_png()?)?;
    }
    Ok(())
}

async fn encode(arguments: Encode) -> Result<()> {
    let mut progress = Progress::new();
    let picture = files::read_picture(&arguments.picture)?;
    let source = FolderSource::new(&arguments.model);
    let device = device(arguments.device).await?;
    let mut engine = Engine::open(source, device, LoadOptions::default()).await?;
    let encoded = engine
        .encode(&picture, arguments.offset_gain, &mut progress)
        .await?;
    let tensors: [(String, HostTensor); 3] = [
        ("latent".into(), encoded.latent),
        ("posterior.mean".into(), encoded.mean),
        ("posterior.std".into(), encoded.std),
    ];
    files::write_tensors(
        &arguments.out,
        tensors.iter().map(|(name, tensor)| (name, tensor)),
    )
}

async fn decode(arguments: Decode) -> Result<()> {
    let mut progress = Progress::new();
    let values = files::read_tensor(&arguments.latent, &["latent", "latent.final"])?;
    let source = FolderSource::new(arguments.model);
    let device = device(arguments.device).await?;
    let mut engine = Engine::open(source, device, LoadOptions::default()).await?;
    let transparent = Mode::Single.missing_part(engine.manifest()).is_none();
    let latent = Latent {
        values,
        mode: if transparent && arguments.vae == VaeKind::Full {
            Mode::Single
        } else {
            Mode::Opaque
        },
        seed: 0,
    };
    let decoded = engine
        .decode(
            &latent,
            arguments.vae,
            arguments.decode_passes,
            false,
            &mut progress,
        )
        .await?;
    files::write(&arguments.out, &decoded.layers[0].picture.to_png()?)
}

fn compose(path: &Path, out: &Path) -> Result<()> {
    let extension = out.extension().unwrap_or_default().to_ascii_lowercase();
    let extension = extension.to_string_lossy();
    if !["png", "ora", "psd"].contains(&&*extension) {
        return Err(Error::new(
            ErrorCode::BadOption,
            format!("{} cannot be written", out.display()),
            "name a .png, .ora or .psd file",
        ));
    }
    let json = std::fs::read_to_string(path).map_err(|error| {
        Error::new(
            ErrorCode::BadOption,
            format!("cannot read {}: {error}", path.display()),
            "name a scene file",
        )
    })?;
    let scene = Scene::from_json(&json)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let resolve = |image: &str| files::read_picture(&folder.join(image));
    let bytes = match &*extension {
        "ora" => to_ora(&scene, resolve)?,
        "psd" => to_psd(&scene, resolve)?,
        _ => flatten(&scene, resolve)?.to_png()?,
    };
    files::write(out, &bytes)
}

async fn device(name: DeviceName) -> Result<Device> {
    match name {
        DeviceName::Cpu => Ok(Device::flex()),
        #[cfg(feature = "gpu")]
        DeviceName::Wgpu => glassine::pipeline::gpu_device().await,
        #[cfg(not(feature = "gpu"))]
        DeviceName::Wgpu => Err(Error::new(
            ErrorCode::DeviceUnavailable,
            "this build of glassine has no GPU support",
            "build it with `cargo build --release --features gpu`, or leave --device out",
        )),
    }
}
