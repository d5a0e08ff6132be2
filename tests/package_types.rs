//! The names, options and limits in the npm package are this crate's. With GLASSINE_UPDATE set, the
//! package's file is written anew.

use std::fmt::Write;
use std::path::PathBuf;

use glassine::ErrorCode;
use glassine::compose::{BlendMode, MAX_DEPTH, Operator};
use glassine::image::EdgesOf;
use glassine::internals::sampling::{Convention, SamplerName};
use glassine::pack::{AdapterKind, Manifest, Mode, Precision, Role};
use glassine::pipeline::{RequestOptions, VaeKind};

/// `pkg/src/public/generated.ts`, at run time: clones that share a target folder share test binaries.
fn file() -> PathBuf {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("tests run by cargo");
    PathBuf::from(root).join("pkg/src/public/generated.ts")
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_string();
    words.fold(first, |camel, word| {
        camel + &word[..1].to_uppercase() + &word[1..]
    })
}

/// A frozen list of words and the type of its members.
fn list<'a>(
    out: &mut String,
    docs: &str,
    constant: &str,
    name: &str,
    words: impl Iterator<Item = &'a str>,
) {
    writeln!(out, "\n/** {docs} */").unwrap();
    writeln!(out, "export const {constant} = Object.freeze([").unwrap();
    for word in words {
        writeln!(out, "  {word:?},").unwrap();
    }
    writeln!(out, "] as const);").unwrap();
    writeln!(out, "\n/** One of {{@link {constant}}}. */").unwrap();
    writeln!(out, "export type {name} = (typeof {constant})[number];").unwrap();
}

fn generated() -> String {
    let mut out = String::from(
        "// Generated from the Rust crate by tests/package_types.rs: change it there, and run\n\
         // GLASSINE_UPDATE=1 cargo test --test all package_types\n\n\
         import type { Hires, Margins, Variation } from \"./option-fields.js\";\n",
    );
    list(
        &mut out,
        "What one request makes: `single` is one transparent image, `opaque` an ordinary picture, and the others make several layers that belong together.",
        "modes",
        "Mode",
        Mode::ALL.iter().map(|mode| mode.as_str()),
    );
    list(
        &mut out,
        "What a layer is in the picture that its request made.",
        "roles",
        "Role",
        Role::ALL.iter().map(|role| role.as_str()),
    );
    list(
        &mut out,
        "How noise is turned into a picture, step by step; the default first.",
        "samplers",
        "Sampler",
        SamplerName::ALL.iter().map(|sampler| sampler.as_str()),
    );
    list(
        &mut out,
        "Whose timesteps and noise levels a sampler follows, where there is a choice.",
        "conventions",
        "Convention",
        Convention::ALL.iter().map(|convention| convention.as_str()),
    );
    list(
        &mut out,
        "What turns latents into pixels: the model's own VAE, or TAESD, which takes a small part of the time and loses fine detail.",
        "vaes",
        "Vae",
        VaeKind::ALL.iter().map(|vae| vae.as_str()),
    );
    list(
        &mut out,
        "What `edges` finds the edges of: how bright a picture is on grey, or a layer's alpha.",
        "edgesOf",
        "EdgesOf",
        EdgesOf::ALL.iter().map(|of| of.as_str()),
    );
    // A page packs nothing at full precision: it would not fit.
    let stored = Precision::ALL.iter().filter(|one| **one != Precision::F32);
    let mut stored: Vec<&str> = stored.map(|one| one.as_str()).collect();
    stored.reverse();
    list(
        &mut out,
        "How a pack keeps its weights: in about 4 or 8 bits each, or as 16-bit floats.",
        "quantizations",
        "Quantization",
        stored.into_iter(),
    );
    list(
        &mut out,
        "What LayerDiffuse's attention files are for: `attn` for mode `single`, and one for each mode of several layers.",
        "adapterKinds",
        "AdapterKind",
        AdapterKind::ALL.iter().map(|kind| kind.as_str()),
    );
    list(
        &mut out,
        "How a layer's colours mix with those below: the values of CSS's `mix-blend-mode`.",
        "blendModes",
        "BlendMode",
        BlendMode::ALL.iter().map(|mode| mode.as_str()),
    );
    list(
        &mut out,
        "Which parts of a layer and of what lies below it remain: the Porter-Duff operators.",
        "operators",
        "Operator",
        Operator::ALL.iter().map(|operator| operator.as_str()),
    );
    list(
        &mut out,
        "The codes of the errors that the engine itself reports.",
        "engineErrorCodes",
        "EngineErrorCode",
        ErrorCode::ALL.iter().map(|code| code.as_str()),
    );
    let mut limit = |docs: &str, name: &str, value: u64| {
        writeln!(out, "\n/** {docs} */\nexport const {name} = {value};").unwrap();
    };
    let depth = "How many groups of a scene may lie within each other.";
    limit(depth, "maxSceneDepth", MAX_DEPTH as u64);
    let format = "The format of packs that is written and read.";
    limit(format, "packFormat", Manifest::FORMAT.into());
    let shard = "How many bytes a shard of a pack may have.";
    limit(shard, "maxShardBytes", Manifest::MAX_SHARD_BYTES);
    let pack = "How many bytes a pack may have.";
    limit(pack, "maxPackBytes", Manifest::MAX_PACK_BYTES);

    writeln!(out, "\n/** The options of `engine.generate` apart from its pictures, its signal and its progress. */").unwrap();
    writeln!(out, "export interface EngineOptions {{").unwrap();
    for field in RequestOptions::FIELDS {
        match field.docs {
            [line] => writeln!(out, "  /**{line} */").unwrap(),
            lines => {
                writeln!(out, "  /**").unwrap();
                for line in lines {
                    writeln!(out, "   *{line}").unwrap();
                }
                writeln!(out, "   */").unwrap();
            }
        }
        let (name, type_name) = (camel_case(field.name), field.type_name);
        match field.name {
            "prompt" => writeln!(out, "  {name}: {type_name};").unwrap(),
            _ => writeln!(out, "  {name}?: {type_name} | undefined;").unwrap(),
        }
    }
    writeln!(out, "}}").unwrap();
    writeln!(out, "\n/** The names of {{@link EngineOptions}}. */").unwrap();
    writeln!(out, "export const engineOptions = Object.freeze([").unwrap();
    for field in RequestOptions::FIELDS {
        writeln!(out, "  {:?},", camel_case(field.name)).unwrap();
    }
    writeln!(out, "] as const satisfies (keyof EngineOptions)[]);").unwrap();
    out
}

#[test]
fn the_package_has_the_crates_names_options_and_limits() {
    let expected = generated();
    if std::env::var_os("GLASSINE_UPDATE").is_some() {
        std::fs::write(file(), &expected).unwrap();
    }
    let found = std::fs::read_to_string(file()).unwrap_or_default();
    assert!(
        found == expected,
        "pkg/src/public/generated.ts is not what the crate says: run GLASSINE_UPDATE=1 cargo test --test all package_types"
    );
}
