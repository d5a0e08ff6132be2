use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, Subcommand, ValueEnum};
use glassine::image::EdgesOf;
use glassine::internals::transparency::OFFSET_GAIN;
use glassine::pack::{PackOptions, Precision};
use glassine::pipeline::{Convention, SamplerName};
use glassine::pipeline::{Mode, VaeKind};

/// Transparent image layers, generated natively.
#[derive(Parser)]
#[command(version, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Turn a Stable Diffusion 1.5 checkpoint into a pack.
    Pack(Box<Pack>),
    /// Generate a picture from a prompt.
    Generate(Box<Generate>),
    /// Turn a picture into a latent.
    Encode(Encode),
    /// Turn a latent into a picture.
    Decode(Decode),
    /// Turn a scene of layers into a picture, a file of layers for other programs, or a sprite sheet, and such
    /// files into a scene.
    Compose(Compose),
    /// Find a picture's edges, white lines on black, for ControlNets that take such.
    Edges(Edges),
    /// Say what a checkpoint, another file of a model or a pack holds, or how a picture was made.
    Inspect {
        /// A diffusers folder, a .safetensors file, a pack, or a PNG, JPEG or WebP file.
        path: PathBuf,
    },
}

#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct Edges {
    /// A PNG, JPEG or WebP file.
    pub picture: PathBuf,
    /// color: of the picture's colours, on grey; or alpha: a layer's outline alone; color if left out.
    #[arg(long)]
    pub of: Option<EdgesOf>,
    /// How strong it has to be where an edge goes on, above 0; 50 if left out.
    #[arg(long)]
    pub low: Option<f32>,
    /// How strong it has to be where an edge begins: from black to white at once is about 580; 100 if left out.
    #[arg(long)]
    pub high: Option<f32>,
    /// The PNG or lossless WebP to write.
    #[arg(long)]
    pub out: PathBuf,
}

#[derive(clap::Args)]
pub struct Compose {
    /// A scene file, whose image paths are relative to it and name files in its folder; a scene with its
    /// pictures in one file (.zip), OpenRaster (.ora) or Photoshop (.psd, .psb); or a PNG, JPEG or WebP file.
    pub scene: PathBuf,
    /// The file to write: a picture (.png, .webp), a file of layers (.ora, .psd), the scene with its pictures in
    /// one file (.zip), or a scene file (.json), beside which its pictures come to lie.
    #[arg(long)]
    pub out: PathBuf,
    /// Write the scene's visible layers and groups as a sprite sheet, with a .json for game engines beside it.
    #[arg(long)]
    pub sprites: bool,
    /// The space between two sprites and around all, 0 to 256; 2 if left out.
    #[arg(long, value_name = "PX")]
    pub padding: Option<usize>,
    /// Keep the transparent edges of sprites.
    #[arg(long)]
    pub untrimmed: bool,
}

#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct Pack {
    /// A diffusers folder or a single .safetensors file.
    #[arg(long)]
    pub model: PathBuf,
    /// A VAE to use in place of the checkpoint's, or where it has none.
    #[arg(long, value_name = "DIR|FILE")]
    pub vae: Option<PathBuf>,
    /// A text encoder to use in place of the checkpoint's, or where it has none.
    #[arg(long, value_name = "DIR|FILE")]
    pub text_encoder: Option<PathBuf>,
    /// A vae_transparent_decoder file.
    #[arg(long)]
    pub transparency_decoder: Option<PathBuf>,
    /// A vae_transparent_encoder file.
    #[arg(long)]
    pub transparency_encoder: Option<PathBuf>,
    /// An attention-sharing adapter: attn, joint, fg2bg or bg2fg.
    #[arg(long = "layers", value_name = "KIND=FILE")]
    pub layers: Vec<String>,
    /// A LoRA, a file or its folder, to merge, at a strength of 1 where none is given; may be given several times.
    #[arg(long = "lora", value_name = "FILE[:STRENGTH]")]
    pub loras: Vec<String>,
    /// A ControlNet: a folder in diffusers' layout, or a file.
    #[arg(long, value_name = "DIR|FILE")]
    pub controlnet: Option<PathBuf>,
    /// A taesd_decoder file, for previews and for --vae tiny.
    #[arg(long)]
    pub taesd_decoder: Option<PathBuf>,
    /// A taesd_encoder file, for --init with --vae tiny.
    #[arg(long)]
    pub taesd_encoder: Option<PathBuf>,
    /// The UNet was trained on transparent latents and needs no adapter.
    #[arg(long)]
    pub native_transparency: bool,
    /// How weights are stored: q4, q8, f16 or f32.
    #[arg(long, default_value_t = Precision::F16)]
    pub quantize: Precision,
    /// Denoising steps that suit the model.
    #[arg(long, default_value_t = PackOptions::DEFAULT_STEPS, value_parser = whole::<usize>)]
    pub default_steps: usize,
    /// The guidance scale that suits the model.
    #[arg(long, default_value_t = PackOptions::DEFAULT_GUIDANCE)]
    pub default_guidance: f32,
    /// The sampler that suits the model: lcm or tcd where a LoRA of that kind is merged into it.
    #[arg(long, default_value_t)]
    pub default_sampler: SamplerName,
    /// The text encoder's layer that suits the model: 1 is the last, 2 the last but one.
    #[arg(long, default_value_t = PackOptions::DEFAULT_CLIP_SKIP)]
    pub default_clip_skip: usize,
    /// The passes of the transparency decoder that suit the model: 1 or 8.
    #[arg(long, default_value_t = PackOptions::DEFAULT_DECODE_PASSES)]
    pub default_decode_passes: usize,
    /// What the model knows, if that is little: a JSON file with a list of phrases.
    #[arg(long, value_name = "FILE")]
    pub words: Option<PathBuf>,
    /// The folder to create.
    #[arg(long)]
    pub out: PathBuf,
}

#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct Generate {
    /// A pack.
    #[arg(long)]
    pub model: PathBuf,
    /// How it is to be made, where no other option says it: a picture that says how it was made, or a recipe as a
    /// .json file. Files that it names are given as options.
    #[arg(long, value_name = "PICTURE|FILE")]
    pub recipe: Option<PathBuf>,
    /// A LoRA, a file or its folder, to apply, at a strength of 1 where none is given; may be given several times.
    #[arg(long = "lora", value_name = "FILE[:STRENGTH]")]
    pub loras: Vec<String>,
    /// A textual inversion, called NAME in prompts or after its file; may be given several times.
    #[arg(long = "embedding", value_name = "FILE[:NAME]")]
    pub embeddings: Vec<String>,
    /// What the picture shows; (word:1.2) or (word) count more, [word] counts less, [one:other:0.5]
    /// changes at half of the steps, [one|other] at each, BREAK and AND divide.
    #[arg(long, required_unless_present = "recipe")]
    pub prompt: Option<String>,
    /// What it is to keep away from.
    #[arg(long)]
    pub negative: Option<String>,
    /// single, opaque, joint, fg2bg or bg2fg.
    #[arg(long)]
    pub mode: Option<Mode>,
    /// What the foreground shows, in front of the prompt.
    #[arg(long)]
    pub fg_prompt: Option<String>,
    /// What the background shows, in front of the prompt.
    #[arg(long)]
    pub bg_prompt: Option<String>,
    /// What the blended picture shows, in front of the prompt.
    #[arg(long)]
    pub blended_prompt: Option<String>,
    /// At which layer the text encoder ends: 1 is the last, 2 the last but one.
    #[arg(long)]
    pub clip_skip: Option<usize>,
    /// The foreground that mode fg2bg paints a background for.
    #[arg(long)]
    pub foreground: Option<PathBuf>,
    /// The background that mode bg2fg puts a foreground on.
    #[arg(long)]
    pub background: Option<PathBuf>,
    /// A picture, or a latent that `encode` wrote, to start from.
    #[arg(long)]
    pub init: Option<PathBuf>,
    /// How much of --init is given up, above 0 and at most 1; if left out 0.7, 1 with --mask or --extend,
    /// and 0.5 with --enlarge.
    #[arg(long)]
    pub strength: Option<f64>,
    /// Where --init is repainted, in modes single and opaque: white repaints, black keeps, and grey is
    /// between; transparent counts as black.
    #[arg(long)]
    pub mask: Option<PathBuf>,
    /// Repaint the part of --init that is masked and so many pixels around it, at --width x --height;
    /// --init may then have any size.
    #[arg(long, value_name = "PX")]
    pub mask_crop: Option<usize>,
    /// Width of a soft edge inside of --mask; 8 is usual, and --extend has it if left out.
    #[arg(long, value_name = "PX")]
    pub mask_softness: Option<usize>,
    /// Enlarge --init by this, in modes single and opaque, and give it up in part.
    #[arg(long, value_name = "SCALE")]
    pub enlarge: Option<f64>,
    /// Let --init grow by so many pixels on its sides, in modes single and opaque, and make what is new.
    #[arg(long, value_name = "LEFT,TOP,RIGHT,BOTTOM")]
    pub extend: Option<String>,
    /// Keep the alpha of --init where it is repainted, in mode single.
    #[arg(long)]
    pub keep_alpha: bool,
    /// Gain on the transparency encoder's offset for --init; 300 if left out.
    #[arg(long)]
    pub offset_gain: Option<f32>,
    /// A picture for a ControlNet: edges, depth, a pose, whatever that was trained on. Several add up.
    #[arg(long = "control", value_name = "PICTURE")]
    pub controls: Vec<PathBuf>,
    /// The ControlNet that sees --control, a file or a folder in diffusers' layout; the pack's own if left out, or where
    /// it is called pack. The first of several is for the first picture, and likewise with the next three.
    #[arg(long = "controlnet", value_name = "FILE")]
    pub controlnets: Vec<PathBuf>,
    /// How strongly --control steers, 0 to 10; 1 if left out.
    #[arg(long, value_name = "SCALE", allow_negative_numbers = true)]
    pub control_scale: Vec<f64>,
    /// The part of the steps that goes by before --control steers; 0 if left out.
    #[arg(long, value_name = "PART", allow_negative_numbers = true)]
    pub control_start: Vec<f64>,
    /// The part of the steps after which --control steers no more; 1 if left out.
    #[arg(long, value_name = "PART", allow_negative_numbers = true)]
    pub control_end: Vec<f64>,
    /// Scale and crop given pictures to the output's size.
    #[arg(long)]
    pub fit: bool,
    /// Width in pixels.
    #[arg(long, value_parser = whole::<usize>)]
    pub width: Option<usize>,
    /// Height in pixels.
    #[arg(long, value_parser = whole::<usize>)]
    pub height: Option<usize>,
    /// Denoising steps.
    #[arg(long, value_parser = whole::<usize>)]
    pub steps: Option<usize>,
    /// Guidance scale; 1 switches guidance off.
    #[arg(long)]
    pub guidance: Option<f32>,
    /// How much of the contrast that guidance adds is taken back, 0 to 1; 0.7 is usual for models with
    /// zero terminal SNR; 0 if left out.
    #[arg(long, value_name = "PHI")]
    pub guidance_rescale: Option<f32>,
    /// dpmpp-2m-karras, euler, euler-a, ddim, unipc, unipc-karras, lcm or tcd.
    #[arg(long)]
    pub sampler: Option<SamplerName>,
    /// k-diffusion, diffusers or layerdiffuse.
    #[arg(long)]
    pub convention: Option<Convention>,
    /// Seed of the noise; 0 if left out.
    #[arg(long, value_parser = whole::<u64>)]
    pub seed: Option<u64>,
    /// Mix the noise of another seed in, from 0, nothing of it, to 1.
    #[arg(long, value_name = "SEED:AMOUNT")]
    pub variation: Option<String>,
    /// How many pictures to make, each with the next seed; written as FILE.0.png, FILE.1.png and so on.
    #[arg(long)]
    pub count: Option<usize>,
    /// Enlarge the picture by this in a second pass, in modes single and opaque.
    #[arg(long, value_name = "SCALE", allow_negative_numbers = true)]
    pub hires: Option<f64>,
    /// How much of the enlarged picture is given up, above 0 and at most 1; 0.5 if left out.
    #[arg(long, value_name = "STRENGTH", allow_negative_numbers = true)]
    pub hires_strength: Option<f64>,
    /// Unit normal noise to use instead, as tensor `noise`.
    #[arg(long)]
    pub noise: Option<PathBuf>,
    /// full, or tiny: TAESD, faster and less exact, for modes without a transparent picture; full if left out.
    #[arg(long)]
    pub vae: Option<VaeKind>,
    /// Passes of the transparency decoder, 1 or 8; if left out, what suits the model.
    #[arg(long, value_parser = whole::<usize>)]
    pub decode_passes: Option<usize>,
    /// The PNG or lossless WebP to write; modes of several pictures write FILE.foreground.png and so on.
    #[arg(long)]
    pub out: PathBuf,
    /// Also write intermediate tensors to this .safetensors file.
    #[arg(long)]
    pub dump: Option<PathBuf>,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub device: DeviceName,
}

#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct Encode {
    /// A pack.
    #[arg(long)]
    pub model: PathBuf,
    /// A PNG, JPEG or WebP file.
    pub picture: PathBuf,
    /// Gain on the transparency encoder's offset.
    #[arg(long, default_value_t = OFFSET_GAIN)]
    pub offset_gain: f32,
    /// The .safetensors file to write.
    #[arg(long)]
    pub out: PathBuf,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub device: DeviceName,
}

#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct Decode {
    /// A pack.
    #[arg(long)]
    pub model: PathBuf,
    /// A file with tensor `latent` or `latent.final`.
    pub latent: PathBuf,
    /// full, or tiny: TAESD, faster and less exact, which makes an opaque picture.
    #[arg(long, default_value_t)]
    pub vae: VaeKind,
    /// Passes of the transparency decoder, 1 or 8; if left out, what suits the model.
    #[arg(long, value_parser = whole::<usize>)]
    pub decode_passes: Option<usize>,
    /// The PNG or lossless WebP to write.
    #[arg(long)]
    pub out: PathBuf,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub device: DeviceName,
}

/// A whole number, or what one is.
fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| "use a whole number that is not negative".into())
}

#[derive(Clone, Copy, ValueEnum)]
pub enum DeviceName {
    Cpu,
    Wgpu,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use glassine::image::Picture;
    use glassine::pipeline::{Control, Request, RequestOptions};

    use super::*;

    /// The flags that are not spelled as the library's options are.
    const SHORT: [(&str, &str); 3] = [
        ("negative_prompt", "negative"),
        ("foreground_prompt", "fg-prompt"),
        ("background_prompt", "bg-prompt"),
    ];

    fn generate() -> clap::Command {
        let command = Arguments::command();
        command.find_subcommand("generate").unwrap().clone()
    }

    #[test]
    fn every_option_of_a_request_is_a_flag() {
        let command = generate();
        // There is nobody to show a preview to.
        let options = RequestOptions::FIELDS.iter().map(|field| field.name);
        for name in options.filter(|name| *name != "preview_every") {
            let short = SHORT.iter().find(|(long, _)| *long == name);
            let flag = short.map_or_else(|| name.replace('_', "-"), |(_, flag)| flag.to_string());
            let found = command
                .get_arguments()
                .any(|one| one.get_long() == Some(&flag));
            assert!(found, "there is no --{flag}");
        }
    }

    #[test]
    fn flags_have_the_librarys_defaults() {
        let request = Request::new("");
        let control = Control::new(Picture {
            width: 1,
            height: 1,
            rgba: vec![0; 4],
        });
        let command = generate();
        // They say it themselves, since a recipe's value comes in between.
        let said = [
            ("guidance_rescale", request.guidance_rescale.to_string()),
            ("seed", request.seed.to_string()),
            ("vae", request.vae.to_string()),
            ("offset_gain", request.offset_gain.to_string()),
            ("control_scale", control.scale.to_string()),
            ("control_start", control.start.to_string()),
            ("control_end", control.end.to_string()),
        ];
        for (name, expected) in said {
            let flag = command.get_arguments().find(|one| one.get_id() == name);
            let help = flag.unwrap().get_help().unwrap().to_string();
            let expected = format!("; {expected} if left out");
            assert!(help.ends_with(&expected), "--{name}: {help}");
        }
    }

    #[test]
    fn the_help_names_every_value() {
        let command = generate();
        let help = |name: &str| {
            let flag = command.get_arguments().find(|one| one.get_id() == name);
            flag.unwrap().get_help().unwrap().to_string()
        };
        let modes: Vec<&str> = Mode::ALL.iter().map(|one| one.as_str()).collect();
        let samplers: Vec<&str> = SamplerName::ALL.iter().map(|one| one.as_str()).collect();
        let conventions: Vec<&str> = Convention::ALL.iter().map(|one| one.as_str()).collect();
        for (name, words) in [
            ("mode", modes),
            ("sampler", samplers),
            ("convention", conventions),
        ] {
            for word in words {
                assert!(help(name).contains(word), "--{name} does not say {word}");
            }
        }
    }
}
