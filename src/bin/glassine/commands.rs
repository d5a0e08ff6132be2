use burn::tensor::Device;
use glassine::pipeline::{Engine, Latent, Mode, Request};
use glassine::text::clip_vocabulary;
use glassine::weights::{FolderSource, PackOptions, Packer, inspect};
use glassine::{Error, ErrorCode, Result};

use crate::arguments::{Arguments, Command, Decode, DeviceName, Generate, Pack};
use crate::files;
use crate::progress::Progress;

/// Runs what the command line asks for.
pub async fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Pack(arguments) => pack(arguments).await,
        Command::Generate(arguments) => generate(arguments).await,
        Command::Decode(arguments) => decode(arguments).await,
        Command::Inspect { path } => {
            print!("{}", inspect(&path)?);
            Ok(())
        }
    }
}

async fn pack(arguments: Pack) -> Result<()> {
    let mut single_adapter = None;
    for layers in &arguments.layers {
        match layers.split_once('=') {
            Some(("attn", file)) => single_adapter = Some(file.into()),
            Some((kind @ ("joint" | "fg2bg" | "bg2fg"), _)) => {
                return Err(Error::new(
                    ErrorCode::BadOption,
                    format!("--layers {kind}=... cannot be packed yet"),
                    "this version packs attn",
                ));
            }
            _ => {
                return Err(Error::new(
                    ErrorCode::BadOption,
                    format!("--layers {layers:?} is not understood"),
                    "use attn=FILE, joint=FILE, fg2bg=FILE or bg2fg=FILE",
                ));
            }
        }
    }
    let options = PackOptions {
        model: arguments.model,
        transparency_decoder: arguments.transparency_decoder,
        transparency_encoder: arguments.transparency_encoder,
        single_adapter,
        native_transparency: arguments.native_transparency,
        precision: arguments.quantize.into(),
        fallback_merges: clip_vocabulary::merges().to_vec(),
        default_steps: arguments.default_steps,
        default_guidance: arguments.default_guidance,
        out: arguments.out,
    };
    let progress = Progress::new();
    let show = |done: usize, total: usize| progress.show("packing", done as u64, total as u64);
    Packer::pack(&options, show).await?;
    Ok(())
}

async fn generate(arguments: Generate) -> Result<()> {
    let mut progress = Progress::new();
    let mut request = Request::new(arguments.prompt);
    request.negative_prompt = arguments.negative;
    request.mode = arguments.mode;
    request.width = arguments.width;
    request.height = arguments.height;
    request.steps = arguments.steps;
    request.guidance = arguments.guidance;
    request.sampler = arguments.sampler;
    request.convention = arguments.convention;
    request.seed = arguments.seed;
    request.decode_passes = arguments.decode_passes;
    request.dump = arguments.dump.is_some();
    if let Some(path) = &arguments.noise {
        request.noise = Some(files::read_tensor(path, &["noise"])?);
    }
    let source = FolderSource::new(arguments.model);
    let mut engine = Engine::load(source, device(arguments.device).await?, &mut progress).await?;
    let generation = engine.generate(&request, &mut progress).await?;
    if let Some(path) = &arguments.dump {
        files::write_tensors(path, &generation.dump)?;
    }
    files::write(&arguments.out, &generation.layers[0].picture.to_png()?)
}

async fn decode(arguments: Decode) -> Result<()> {
    let mut progress = Progress::new();
    let values = files::read_tensor(&arguments.latent, &["latent", "latent.final"])?;
    let source = FolderSource::new(arguments.model);
    let engine = Engine::load(source, device(arguments.device).await?, &mut progress).await?;
    let transparent = Mode::Single.missing_part(engine.manifest()).is_none();
    let latent = Latent {
        values,
        mode: if transparent {
            Mode::Single
        } else {
            Mode::Opaque
        },
        seed: 0,
    };
    let decoded = engine
        .decode(&latent, arguments.decode_passes, false, &mut progress)
        .await?;
    files::write(&arguments.out, &decoded.layers[0].picture.to_png()?)
}

async fn device(name: DeviceName) -> Result<Device> {
    match name {
        DeviceName::Cpu => Ok(Device::flex()),
        #[cfg(feature = "gpu")]
        DeviceName::Wgpu => glassine::kernels::gpu_device().await,
        #[cfg(not(feature = "gpu"))]
        DeviceName::Wgpu => Err(Error::new(
            ErrorCode::DeviceUnavailable,
            "this build of glassine has no GPU support",
            "build it with `cargo build --release --features gpu`, or leave --device out",
        )),
    }
}
