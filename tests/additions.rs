//! Files that are kept beside models: what each is, and which model it fits.

use std::path::Path;

use crate::support::lora::LoraFile;
use crate::support::{golden, golden_bytes, model, single_file};
use glassine::ErrorCode;
use glassine::pack::{Addition, AdditionKind, Disk, InMemory, Manifest, Pack};
use sha2::{Digest, Sha256};

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The manifest of the tiny model's pack.
fn manifest() -> Manifest {
    let pack = pollster::block_on(Pack::open(model::pack())).unwrap();
    pack.manifest().clone()
}

fn open(name: &str, bytes: &[u8]) -> glassine::Result<Addition> {
    Addition::open(&InMemory(bytes.to_vec()), Path::new(name))
}

fn misfit(name: &str, bytes: &[u8], manifest: &Manifest) -> Option<String> {
    Addition::misfit(&InMemory(bytes.to_vec()), Path::new(name), manifest)
}

/// Where the tensors of a safetensors file begin.
fn data_start(bytes: &[u8]) -> usize {
    8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize
}

const CONTROL_NET: &str = "controlnet/model/diffusion_pytorch_model.safetensors";

#[test]
fn a_lora_is_known_by_its_tensors_and_says_its_words() {
    let file = LoraFile::golden("kohya")
        .with_metadata("modelspec.trigger_phrase", "inkst, ink style")
        .with_metadata("ss_sd_model_name", "v1-5.safetensors");
    let bytes = file.bytes();
    let found = open("ink.safetensors", &bytes).unwrap();
    assert_eq!(found.kind, AdditionKind::Lora);
    assert_eq!(found.kind.as_str(), "lora");
    assert_eq!(found.description, "LoRA (plain)");
    assert_eq!(found.sha256, sha256(&bytes));
    assert_eq!(found.hash, sha256(&bytes[data_start(&bytes)..]));
    assert_eq!(found.trigger_words, ["inkst", "ink style"]);
    assert_eq!(found.base_model.as_deref(), Some("v1-5.safetensors"));
    assert_eq!(found.width, None);
    assert_eq!(misfit("ink.safetensors", &bytes, &manifest()), None);
}

#[test]
fn an_embedding_is_known_by_its_file_and_fits_by_its_width() {
    let manifest = manifest();
    for file in ["tiny-style.safetensors", "tiny-style.pt"] {
        let bytes = golden_bytes(&format!("community/{file}"));
        let found = open(file, &bytes).unwrap();
        assert_eq!(found.kind, AdditionKind::Embedding, "{file}");
        assert_eq!(found.sha256, sha256(&bytes), "{file}");
        assert_eq!(found.hash, found.sha256, "{file}");
        assert_eq!(found.width, Some(manifest.embedding_width()), "{file}");
        assert_eq!(misfit(file, &bytes, &manifest), None, "{file}");
    }
    let wide = LoraFile::default().with_noise("emb_params", &[2, 768]);
    let found = open("wide.safetensors", &wide.bytes()).unwrap();
    assert_eq!(found.width, Some(768));
    let reason = misfit("wide.safetensors", &wide.bytes(), &manifest).unwrap();
    assert!(
        reason.contains("wide.safetensors") && reason.contains("768"),
        "{reason}"
    );
    let many = LoraFile::default().with_noise("emb_params", &[76, manifest.embedding_width()]);
    let reason = misfit("many.safetensors", &many.bytes(), &manifest).unwrap();
    assert!(reason.contains("76 vectors"), "{reason}");
}

#[test]
fn a_control_net_fits_the_unet_that_it_is_of() {
    let path = golden(CONTROL_NET);
    let mut manifest = manifest();
    let found = Addition::open(&Disk, &path).unwrap();
    assert_eq!(found.kind, AdditionKind::ControlNet);
    assert_eq!(found.kind.as_str(), "controlnet");
    assert_eq!(found.hash, sha256(&golden_bytes(CONTROL_NET)));
    assert_eq!(Addition::misfit(&Disk, &path, &manifest), None);
    let name = "unet.conv_in.bias";
    manifest.tensors.get_mut(name).unwrap().shape = vec![7];
    let reason = Addition::misfit(&Disk, &path, &manifest).unwrap();
    assert!(reason.contains("conv_in.bias does not fit"), "{reason}");
}

#[test]
fn a_lora_of_other_layers_says_which() {
    let other = LoraFile::golden("kohya").renamed(|name| name.replace("mid_block", "mid_block_9"));
    assert!(open("other.safetensors", &other.bytes()).is_ok());
    let reason = misfit("other.safetensors", &other.bytes(), &manifest()).unwrap();
    assert!(
        reason.contains("no layer for") && reason.contains("mid_block_9"),
        "{reason}"
    );
}

#[test]
fn what_is_no_number_is_damage_and_no_misfit() {
    let mut lora = LoraFile::golden("kohya").bytes();
    let mut net = golden_bytes(CONTROL_NET);
    for (name, bytes) in [
        ("lora.safetensors", &mut lora),
        ("net.safetensors", &mut net),
    ] {
        // Whatever the last tensor's type is, a float of ones alone is none.
        let end = bytes.len();
        bytes[end - 8..].fill(0xff);
        let error = open(name, bytes).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelDamaged, "{error}");
        assert!(error.message.contains("NaN"), "{error}");
        assert_eq!(misfit(name, bytes, &manifest()), None, "{name}");
    }
}

#[test]
fn anything_else_is_refused_for_what_it_is() {
    let unknown = LoraFile::default().with_noise("a.b.c", &[2]);
    let for_xl = LoraFile::golden("kohya").renamed(|name| name.replace("lora_te_", "lora_te2_"));
    let decoder = "layerdiffuse/weights/layer_sd15_vae_transparent_decoder.safetensors";
    let checkpoint = std::fs::read(single_file::whole()).unwrap();
    for (name, bytes, words) in [
        ("checkpoint.safetensors", checkpoint, "is a checkpoint"),
        (
            "decoder.safetensors",
            golden_bytes(decoder),
            "is a transparency decoder",
        ),
        ("unknown.safetensors", unknown.bytes(), "holds no LoRA"),
        ("xl.safetensors", for_xl.bytes(), "for SDXL"),
    ] {
        let error = open(name, &bytes).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
        assert!(
            error.message.contains(name) && error.message.contains(words),
            "{error}"
        );
    }
    let whole = LoraFile::golden("kohya").bytes();
    for bytes in [&[][..], b"no", &whole[..whole.len() - 5]] {
        let error = open("cut.safetensors", bytes).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelDamaged, "{error}");
        assert!(error.message.contains("cut.safetensors"), "{error}");
    }
}
