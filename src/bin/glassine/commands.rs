use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use glassine::image::{Picture, Recipe};
use glassine::pack::{
    FolderSource, LoadEvent, Lora, LoraStrength, PackOptions, inspect, pack_folder,
};
use glassine::pipeline::HostTensor;
use glassine::pipeline::{
    Control, Embedding, Engine, Generation, Hires, Init, Latent, LoadOptions, Margins, Mode,
    Request, VaeKind, Variation, needed_by,
};
use glassine::{Error, ErrorCode, Result};

use crate::arguments::{Arguments, Command, Decode, DeviceName, Encode, Generate, Pack};
use crate::files;
use crate::outputs::Outputs;
use crate::progress::Progress;
use crate::recipe::recipe;
use crate::scenes::compose;

/// Runs what the command line asks for.
pub async fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Pack(arguments) => pack(*arguments).await,
        Command::Generate(arguments) => generate(*arguments).await,
        Command::Encode(arguments) => encode(arguments).await,
        Command::Decode(arguments) => decode(arguments).await,
        Command::Compose(arguments) => compose(&arguments),
        Command::Inspect { path } => {
            // Whoever reads may have seen enough.
            let _ = write!(std::io::stdout(), "{}", inspect(&path)?);
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
    let loras = arguments.loras.iter().map(|lora| split_lora(lora));
    options.loras = loras.collect::<Result<_>>()?;
    options.native_transparency = arguments.native_transparency;
    options.precision = arguments.quantize;
    options.default_steps = arguments.default_steps;
    options.default_guidance = arguments.default_guidance;
    options.default_sampler = arguments.default_sampler;
    options.default_clip_skip = arguments.default_clip_skip;
    options.default_decode_passes = arguments.default_decode_passes;
    options.words = match &arguments.words {
        Some(path) => files::read_phrases(path)?,
        None => Vec::new(),
    };
    let progress = Progress::new();
    let show = async |event: LoadEvent| {
        progress.show("packing", event.loaded_bytes, event.total_bytes);
        true
    };
    pack_folder(&options, &arguments.out, show).await?;
    Ok(())
}

/// `FILE` or `FILE:STRENGTH`. A file whose name has a colon is taken as it is, if it is there.
fn split_lora(lora: &str) -> Result<(PathBuf, f32)> {
    let split = lora.rsplit_once(':').filter(|_| !Path::new(lora).exists());
    let Some((file, strength)) = split else {
        return Ok((lora.into(), 1.0));
    };
    match strength.parse() {
        Ok(number) if LoraStrength::both(number).is_possible() => Ok((file.into(), number)),
        // Neither is a number, nor a file: what cannot be opened is all of it.
        Err(_) if !Path::new(file).exists() => Ok((lora.into(), 1.0)),
        _ => Err(Error::new(
            ErrorCode::BadOption,
            format!("the strength {strength:?} of {file} is not possible"),
            format!(
                "use a number from -{0} to {0}, such as {file}:0.8",
                LoraStrength::MAX
            ),
        )),
    }
}

/// `FILE` or `FILE:NAME`.
fn open_embedding(embedding: &str) -> Result<Embedding> {
    let whole = Path::new(embedding);
    match embedding.rsplit_once(':') {
        Some((file, name)) if !whole.is_file() => Embedding::open(Path::new(file), Some(name)),
        _ => Embedding::open(whole, None),
    }
}

async fn generate(arguments: Generate) -> Result<()> {
    let mut progress = Progress::new();
    check_used(&arguments)?;
    let loras = arguments.loras.iter().map(|lora| split_lora(lora));
    let loras = loras.collect::<Result<Vec<_>>>()?;
    let outputs = outputs(&arguments, &loras)?;
    let mut request = request(&arguments)?;
    let source = FolderSource::new(&arguments.model);
    let device = device(arguments.device).await?;
    let loras = loras
        .into_iter()
        .map(|(file, strength)| Lora::open(&file, strength));
    request.loras = loras.collect::<Result<_>>()?;
    let mut engine = Engine::open(source, device, LoadOptions::default()).await?;
    let mut contents = Vec::new();
    for index in 0..arguments.count.unwrap_or(1) {
        let mut generation = engine.generate(&request, &mut progress).await?;
        if index == 0 {
            tell(&generation);
        }
        let made = recipe(&arguments, &engine, &request, &generation);
        for layer in &generation.layers {
            contents.push(encoded(&layer.picture, &arguments.out, Some(&made))?);
        }
        if arguments.dump.is_some() {
            contents.push(files::tensors_file(&std::mem::take(&mut generation.dump)));
        }
        request.seed = request.seed.wrapping_add(generation.layers.len() as u64);
    }
    outputs.write(contents)
}

/// The kinds of files that a picture is written as.
const PICTURE: [&str; 2] = ["png", "webp"];

/// A picture as the kind of file that `out` names.
fn encoded(picture: &Picture, out: &Path, recipe: Option<&Recipe>) -> Result<Vec<u8>> {
    let extension = out.extension().unwrap_or_default();
    match extension.eq_ignore_ascii_case("webp") {
        true => picture.to_webp(recipe),
        false => picture.to_png_with(recipe),
    }
}

/// What the request's author should know of a result.
fn tell(generation: &Generation) {
    for warning in &generation.warnings {
        eprintln!("warning: {warning}");
    }
    if !generation.embeddings.is_empty() {
        eprintln!("embeddings: {}", generation.embeddings.join(", "));
    }
}

/// Refuses options for a picture that is not given.
fn check_used(arguments: &Generate) -> Result<()> {
    let init = [
        ("--enlarge", arguments.enlarge.is_some()),
        ("--extend", arguments.extend.is_some()),
        ("--strength", arguments.strength.is_some()),
        ("--offset-gain", arguments.offset_gain.is_some()),
    ];
    needed_by("--init", arguments.init.is_some(), &init)?;
    let mask = [
        ("--mask-crop", arguments.mask_crop.is_some()),
        ("--mask-softness", arguments.mask_softness.is_some()),
        ("--keep-alpha", arguments.keep_alpha),
    ];
    let has_mask = arguments.mask.is_some() || arguments.extend.is_some();
    needed_by("--mask", has_mask, &mask)?;
    let hires = [("--hires-strength", arguments.hires_strength.is_some())];
    needed_by("--hires", arguments.hires.is_some(), &hires)?;
    let control = [
        ("--control-scale", arguments.control_scale.is_some()),
        ("--control-start", arguments.control_start.is_some()),
        ("--control-end", arguments.control_end.is_some()),
    ];
    needed_by("--control", arguments.control.is_some(), &control)
}

/// The most pictures of one command.
const MAX_COUNT: usize = 1000;

/// What is to be written: one layer to FILE itself, several to FILE.ROLE.png beside it, then the dump;
/// of several pictures each with its number in front of the name's ending.
fn outputs(arguments: &Generate, loras: &[(PathBuf, f32)]) -> Result<Outputs> {
    let out = &arguments.out;
    let kind = out.extension().unwrap_or_default().to_string_lossy();
    let mut outputs = Outputs::default();
    // The name has to be one of a picture, too.
    Outputs::default().add(out, &PICTURE)?;
    let numbers = match arguments.count {
        None => vec![String::new()],
        Some(count) if (1..=MAX_COUNT).contains(&count) => {
            (0..count).map(|number| format!("{number}.")).collect()
        }
        Some(count) => {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!("a count of {count} pictures is not possible"),
                format!("use 1 to {MAX_COUNT}"),
            ));
        }
    };
    // A mode that is not named has one layer.
    let roles = arguments.mode.map_or(&[][..], Mode::roles);
    for number in &numbers {
        match roles {
            [] | [_] if number.is_empty() => outputs.add(out, &PICTURE)?,
            [] | [_] => outputs.add(&out.with_extension(format!("{number}{kind}")), &PICTURE)?,
            roles => {
                for role in roles {
                    let name = out.with_extension(format!("{number}{role}.{kind}"));
                    outputs.add(&name, &PICTURE)?;
                }
            }
        }
        if let Some(dump) = &arguments.dump {
            let name = match number.as_str() {
                "" => dump.clone(),
                number => dump.with_extension(format!("{number}safetensors")),
            };
            outputs.add(&name, &["safetensors"])?;
        }
    }
    let pictures = [&arguments.foreground, &arguments.background];
    let others = [
        &arguments.init,
        &arguments.mask,
        &arguments.control,
        &arguments.noise,
    ];
    let given = pictures.into_iter().chain(others).flatten();
    let loras = loras.iter().map(|(file, _)| file);
    for input in given.chain(loras).chain([&arguments.model]) {
        outputs.spare(input)?;
    }
    Ok(outputs)
}

/// `SEED:AMOUNT`.
fn variation(text: &str) -> Result<Variation> {
    let split = text.split_once(':');
    let parsed = split.and_then(|(seed, amount)| Some((seed.parse().ok()?, amount.parse().ok()?)));
    let (seed, amount) = parsed.ok_or_else(|| {
        Error::new(
            ErrorCode::BadOption,
            format!("--variation {text:?} is not understood"),
            "use SEED:AMOUNT, such as 7:0.2",
        )
    })?;
    Ok(Variation { seed, amount })
}

/// `LEFT,TOP,RIGHT,BOTTOM`.
fn margins(text: &str) -> Result<Margins> {
    let sides: Option<Vec<usize>> = text
        .split(',')
        .map(|side| side.trim().parse().ok())
        .collect();
    let Some(&[left, top, right, bottom]) = sides.as_deref() else {
        return Err(Error::new(
            ErrorCode::BadOption,
            format!("--extend {text:?} is not understood"),
            "use LEFT,TOP,RIGHT,BOTTOM in pixels, such as 0,0,64,0",
        ));
    };
    Ok(Margins {
        left,
        top,
        right,
        bottom,
    })
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
        request.embeddings = arguments
            .embeddings
            .iter()
            .map(|embedding| open_embedding(embedding))
            .collect::<Result<_>>()?;
        request.clip_skip = arguments.clip_skip;
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
        request.control = picture(&arguments.control)?.map(|picture| {
            let default = Control::new(picture);
            Control {
                scale: arguments.control_scale.unwrap_or(default.scale),
                start: arguments.control_start.unwrap_or(default.start),
                end: arguments.control_end.unwrap_or(default.end),
                ..default
            }
        });
        request.fit = arguments.fit;
        request.strength = arguments.strength;
        request.mask = picture(&arguments.mask)?;
        request.mask_crop = arguments.mask_crop;
        request.mask_softness = arguments.mask_softness;
        request.enlarge = arguments.enlarge;
        request.extend = arguments.extend.as_deref().map(margins).transpose()?;
        request.keep_alpha = arguments.keep_alpha;
        request.offset_gain = arguments.offset_gain.unwrap_or(request.offset_gain);
        request.mode = arguments.mode;
        request.width = arguments.width;
        request.height = arguments.height;
        request.steps = arguments.steps;
        request.guidance = arguments.guidance;
        request.guidance_rescale = arguments.guidance_rescale;
        request.sampler = arguments.sampler;
        request.convention = arguments.convention;
        request.seed = arguments.seed;
        request.variation = arguments.variation.as_deref().map(variation).transpose()?;
        request.hires = arguments.hires.map(|scale| {
            let default = Hires::new(scale);
            Hires {
                strength: arguments.hires_strength.unwrap_or(default.strength),
                ..default
            }
        });
        request.noise = noise.transpose()?;
        request.vae = arguments.vae;
        request.decode_passes = arguments.decode_passes;
        request.preview_every = None;
        request.dump = arguments.dump.is_some();
        request
    })
}

async fn encode(arguments: Encode) -> Result<()> {
    let mut progress = Progress::new();
    let mut outputs = Outputs::default();
    outputs.add(&arguments.out, &["safetensors"])?;
    outputs.spare(&arguments.model)?;
    outputs.spare(&arguments.picture)?;
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
    let tensors = tensors.iter().map(|(name, tensor)| (name, tensor));
    outputs.write(vec![files::tensors_file(tensors)])
}

async fn decode(arguments: Decode) -> Result<()> {
    let mut progress = Progress::new();
    let mut outputs = Outputs::default();
    outputs.add(&arguments.out, &PICTURE)?;
    outputs.spare(&arguments.latent)?;
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
    let picture = &decoded.layers[0].picture;
    outputs.write(vec![encoded(picture, &arguments.out, None)?])
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
