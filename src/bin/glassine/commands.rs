use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use glassine::image::{EdgeOptions, Picture, Recipe};
use glassine::pack::{
    FolderSource, LoadEvent, Lora, LoraStrength, PackOptions, inspect, pack_folder,
};
use glassine::pipeline::HostTensor;
use glassine::pipeline::{
    Embedding, Engine, Generation, Hires, Init, Latent, LoadOptions, Margins, Mode, Request,
    VaeKind, Variation, needed_by,
};
use glassine::{Error, ErrorCode, Result};

use crate::arguments::{Arguments, Command, Decode, DeviceName, Edges, Encode, Generate, Pack};
use crate::controls;
use crate::files;
use crate::from_recipe;
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
        Command::Edges(arguments) => edges(&arguments),
        Command::Inspect { path } => {
            let text = match from_recipe::describe(&path) {
                Some(text) => text,
                None => inspect(&path)?,
            };
            // Whoever reads may have seen enough.
            let _ = write!(std::io::stdout(), "{text}");
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
    let loras = arguments.loras.iter().map(|lora| {
        let (file, strength) = split_lora(lora)?;
        Ok((file, strength.unwrap_or(1.0)))
    });
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

/// `FILE` or `FILE:STRENGTH`, the latter `None` where it is not said. A file whose name has a colon is taken as it is, if it is there.
fn split_lora(lora: &str) -> Result<(PathBuf, Option<f32>)> {
    let split = lora.rsplit_once(':').filter(|_| !Path::new(lora).exists());
    let Some((file, strength)) = split else {
        return Ok((lora.into(), None));
    };
    match strength.parse() {
        Ok(number) if LoraStrength::both(number).is_possible() => Ok((file.into(), Some(number))),
        // Neither is a number, nor a file: what cannot be opened is all of it.
        Err(_) if !Path::new(file).exists() => Ok((lora.into(), None)),
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

async fn generate(mut arguments: Generate) -> Result<()> {
    let mut progress = Progress::new();
    let read = arguments
        .recipe
        .as_deref()
        .map(from_recipe::read)
        .transpose()?;
    let read = read.unwrap_or_default();
    let mut notes = read.warnings;
    notes.extend(from_recipe::fill(&mut arguments, &read.recipe)?);
    check_used(&arguments)?;
    let loras = arguments.loras.iter().map(|lora| split_lora(lora));
    let loras = loras.collect::<Result<Vec<_>>>()?;
    let outputs = outputs(&arguments, &loras)?;
    let mut request = request(&arguments)?;
    let source = FolderSource::new(&arguments.model);
    let device = device(arguments.device).await?;
    let loras = loras.into_iter().map(|(file, strength)| {
        let lora = Lora::open(&file, strength.unwrap_or(1.0))?;
        Ok((lora, strength))
    });
    let (loras, missing) = from_recipe::loras(loras.collect::<Result<_>>()?, &read.recipe);
    request.loras = loras;
    notes.extend(missing);
    let given: Vec<_> = request.embeddings.iter().map(Embedding::name).collect();
    notes.extend(from_recipe::missing_embeddings(&given, &read.recipe));
    let mut engine = Engine::open(source, device, LoadOptions::default()).await?;
    notes.extend(from_recipe::other_model(engine.sha256(), &read.recipe));
    for note in notes {
        eprintln!("warning: {note}");
    }
    let mut contents = Vec::new();
    let count = arguments.count.unwrap_or(1);
    let made = engine.generate_all(&request, count, &mut progress).await?;
    for (index, mut generation) in made.into_iter().enumerate() {
        if index == 0 {
            tell(&generation);
        }
        let made = recipe(&arguments, &engine, &request, &generation)?;
        for layer in &generation.layers {
            contents.push(encoded(&layer.picture, &arguments.out, Some(&made))?);
        }
        if arguments.dump.is_some() {
            contents.push(files::tensors_file(&std::mem::take(&mut generation.dump)));
        }
    }
    outputs.write(contents)
}

fn edges(arguments: &Edges) -> Result<()> {
    let mut outputs = Outputs::default();
    outputs.add(&arguments.out, &PICTURE)?;
    outputs.spare(&arguments.picture)?;
    let default = EdgeOptions::default();
    let lines = files::read_picture(&arguments.picture)?.edges(EdgeOptions {
        of: arguments.of.unwrap_or(default.of),
        low: arguments.low.unwrap_or(default.low),
        high: arguments.high.unwrap_or(default.high),
    })?;
    outputs.write(vec![encoded(&lines, &arguments.out, None)?])
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
    controls::check(arguments)
}

/// The most pictures of one command.
const MAX_COUNT: usize = 1000;

/// What is to be written: one layer to FILE itself, several to FILE.ROLE.png beside it, then the dump;
/// of several pictures each with its number in front of the name's ending.
fn outputs(arguments: &Generate, loras: &[(PathBuf, Option<f32>)]) -> Result<Outputs> {
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
        &arguments.noise,
        &arguments.recipe,
    ];
    let given = pictures.into_iter().chain(others).flatten();
    let given = given
        .chain(&arguments.controls)
        .chain(controls::files(arguments));
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
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut request = Request::new(text(&arguments.prompt));
        request.negative_prompt = text(&arguments.negative);
        request.foreground_prompt = text(&arguments.fg_prompt);
        request.background_prompt = text(&arguments.bg_prompt);
        request.blended_prompt = text(&arguments.blended_prompt);
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
        request.controls = controls::read(arguments)?;
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
        request.guidance_rescale = arguments.guidance_rescale.unwrap_or_default();
        request.sampler = arguments.sampler;
        request.convention = arguments.convention;
        request.seed = arguments.seed.unwrap_or_default();
        request.variation = arguments.variation.as_deref().map(variation).transpose()?;
        request.hires = arguments.hires.map(|scale| {
            let default = Hires::new(scale);
            Hires {
                strength: arguments.hires_strength.unwrap_or(default.strength),
                ..default
            }
        });
        request.noise = noise.transpose()?;
        request.vae = arguments.vae.unwrap_or_default();
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
