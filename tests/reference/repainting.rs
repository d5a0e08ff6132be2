//! A part of a picture is made anew, and the rest of it stays as it is.

use std::path::Path;

use crate::support::{Case, golden, golden_bytes, model};
use burn::tensor::Device;
use glassine::ErrorCode;
use glassine::image::Picture;
use glassine::internals::sampling::{Convention, SamplerName};
use glassine::pack::{FolderSource, PackOptions, Precision};
use glassine::pipeline::{Engine, Generation, Init, Mode, NoProgress, Request};

fn try_generate(request: &Request, source: FolderSource) -> glassine::Result<Generation> {
    pollster::block_on(async {
        let mut engine = Engine::load(source, Device::flex(), &mut NoProgress).await?;
        engine.generate(request, &mut NoProgress).await
    })
}

fn picture(file: &str) -> Picture {
    Picture::from_file(&golden_bytes(file)).unwrap()
}

/// The request that a case of golden/edit describes.
fn repaint(name: &str, case: &Case) -> Request {
    let mut request = Request::new(case.text("/prompt"));
    request.negative_prompt = case.text("/negative_prompt").into();
    request.mode = Some(Mode::Opaque);
    request.init = Some(Init::Picture(picture(&format!("edit/{name}/init.png"))));
    request.mask = Some(picture(&format!("edit/{name}/mask.png")));
    request.strength = Some(case.number("/strength"));
    request.steps = Some(case.number("/steps") as usize);
    request.guidance = Some(case.number("/guidance_scale") as f32);
    request.seed = case.number("/seed") as u64;
    request.sampler = Some(case.text("/sampler").parse::<SamplerName>().unwrap());
    request.convention = Some(case.text("/convention").parse::<Convention>().unwrap());
    request.dump = true;
    request
}

fn follows(name: &str, source: FolderSource) {
    let case = Case::load(&format!("edit/{name}"));
    let generation = try_generate(&repaint(name, &case), source).unwrap();
    let dump = &generation.dump;
    case.check("start_latent", &dump["latent.initial"].data);
    let steps = case.tensor("latents").shape[0];
    let latents = (0..steps).flat_map(|step| dump[&format!("latent.step.{step}")].data.clone());
    case.check("latents", &latents.collect::<Vec<f32>>());
    case.check("final_latent", &dump["latent.final"].data);
    case.check("image01", &dump["pixel"].data);
    // What is written is of whole bytes, cut down from a picture that was so too.
    let result = case.tensor("result01");
    let [_, _, height, width] = result.shape[..] else {
        panic!("a picture")
    };
    let made = &generation.layers[0].picture;
    for (index, expected) in result.f32().iter().enumerate() {
        let (channel, place) = (index / (width * height), index % (width * height));
        let got = f32::from(made.rgba[4 * place + channel]);
        assert!(
            (got - expected * 255.0).abs() < 1.5,
            "{name}: {index} is {got}"
        );
    }
    kept_as_it_was(name, made);
}

/// Where the mask is 0, `made` is the case's picture, bit for bit.
fn kept_as_it_was(name: &str, made: &Picture) {
    let (before, mask) = (
        picture(&format!("edit/{name}/init.png")),
        picture(&format!("edit/{name}/mask.png")),
    );
    let pixels = before
        .rgba
        .chunks(4)
        .zip(made.rgba.chunks(4))
        .zip(mask.rgba.chunks(4));
    let kept = pixels
        .filter(|(_, mask)| mask[0] == 0)
        .map(|(pixels, _)| pixels);
    assert!(kept.clone().count() > 0);
    assert!(kept.clone().all(|(before, made)| before == made), "{name}");
}

/// The tiny model with a UNet that sees a mask and a masked picture.
fn inpainting_model(name: &str) -> FolderSource {
    let folder = model::scratch().join(name);
    model::copy_folder(&model::checkpoint(), &folder);
    let config = folder.join("unet/config.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    json["in_channels"] = 9.into();
    std::fs::write(&config, json.to_string()).unwrap();
    let weights = folder.join("unet/diffusion_pytorch_model.safetensors");
    model::replace_tensors(
        &weights,
        &golden(&format!("edit/{name}/conv_in.safetensors")),
    );
    pack_alone(&folder, name)
}

fn pack_alone(folder: &Path, name: &str) -> FolderSource {
    let mut options = PackOptions::new(folder);
    options.precision = Precision::F32;
    let pack = model::scratch().join(format!("{name}-pack"));
    model::pack_as(&options, &pack).expect("packing the changed model");
    FolderSource::new(pack)
}

#[test]
fn kept_cells_are_held_while_the_others_are_made() {
    follows("soft_ddim", model::pack());
}

#[test]
#[ignore = "needs the whole of the golden data in GLASSINE_GOLDEN"]
fn kept_cells_are_held_by_every_sampler() {
    for name in [
        "hold_ddim",
        "hold_dpmpp_2m_karras_diffusers",
        "hold_dpmpp_2m_karras_kdiff",
        "hold_euler_kdiff",
        "soft_dpmpp_2m_karras_kdiff",
    ] {
        follows(name, model::pack());
    }
}

#[test]
#[ignore = "needs the whole of the golden data in GLASSINE_GOLDEN"]
fn an_inpainting_network_sees_the_mask() {
    for name in ["nine_ddim", "nine_dpmpp_2m_karras_kdiff"] {
        follows(name, inpainting_model(name));
    }
}

/// A picture of `width` x `height`, of which a disc is opaque.
fn disc(width: usize, height: usize) -> Picture {
    let pixel = |index: usize| {
        let (x, y) = ((index % width) as f32, (index / width) as f32);
        let (dx, dy) = (x - width as f32 / 2.0, y - height as f32 / 2.0);
        let inside = (dx * dx + dy * dy).sqrt() < width.min(height) as f32 / 3.0;
        [
            (x * 3.0) as u8,
            (y * 5.0) as u8,
            90,
            if inside { 255 } else { 0 },
        ]
    };
    Picture {
        width,
        height,
        rgba: (0..width * height).flat_map(pixel).collect(),
    }
}

/// A mask with a diagonal stroke of one pixel, and a grey one beside it.
fn stroke(width: usize, height: usize) -> Picture {
    let pixel = |index: usize| {
        let (x, y) = (index % width, index / width);
        let value = if x == y {
            255
        } else if x == y + 3 {
            128
        } else {
            0
        };
        [value, value, value, 255]
    };
    Picture {
        width,
        height,
        rgba: (0..width * height).flat_map(pixel).collect(),
    }
}

fn transparent(picture: Picture, mask: Picture) -> Request {
    let mut request = Request::new("a red apple");
    request.mode = Some(Mode::Single);
    request.init = Some(Init::Picture(picture));
    request.mask = Some(mask);
    request.steps = Some(2);
    request.decode_passes = Some(1);
    request
}

/// Also the colour under alpha 0.
#[test]
fn pixels_that_no_mask_touched_stay_bit_for_bit() {
    let before = disc(64, 64);
    let mut made = before.clone();
    for seed in 0..3 {
        let mut request = transparent(made.clone(), stroke(64, 64));
        request.seed = seed;
        made = try_generate(&request, model::pack()).unwrap().layers[0]
            .picture
            .clone();
    }
    let mask = stroke(64, 64);
    let mut changed = 0;
    for ((before, made), mask) in before
        .rgba
        .chunks(4)
        .zip(made.rgba.chunks(4))
        .zip(mask.rgba.chunks(4))
    {
        match mask[0] {
            0 => assert_eq!(before, made),
            _ => changed += usize::from(before != made),
        }
    }
    assert!(changed > 64, "{changed} pixels of the stroke changed");
}

#[test]
fn alpha_can_be_kept_where_colour_changes() {
    let before = disc(64, 64);
    let white = Picture {
        rgba: vec![255; 4 * 64 * 64],
        ..before.clone()
    };
    let mut request = transparent(before.clone(), white);
    request.keep_alpha = true;
    let made = try_generate(&request, model::pack()).unwrap().layers[0]
        .picture
        .clone();
    let alpha = |picture: &Picture| {
        picture
            .rgba
            .iter()
            .skip(3)
            .step_by(4)
            .copied()
            .collect::<Vec<_>>()
    };
    assert_eq!(alpha(&made), alpha(&before));
    assert_ne!(made.rgba, before.rgba);
}

#[test]
fn a_crop_of_a_large_picture_is_made_at_the_outputs_size() {
    let before = disc(403, 301);
    let mut mask = stroke(403, 301);
    for (index, pixel) in mask.rgba.chunks_mut(4).enumerate() {
        if index % 403 < 300 {
            pixel.copy_from_slice(&[0, 0, 0, 255]);
        }
    }
    let mut request = transparent(before.clone(), mask.clone());
    request.mask_crop = Some(16);
    request.width = Some(64);
    request.height = Some(64);
    request.dump = true;
    let generation = try_generate(&request, model::pack()).unwrap();
    assert_eq!(generation.dump["latent.final"].shape, [1, 4, 8, 8]);
    let made = &generation.layers[0].picture;
    assert_eq!((made.width, made.height), (403, 301));
    let pixels = before
        .rgba
        .chunks(4)
        .zip(made.rgba.chunks(4))
        .zip(mask.rgba.chunks(4));
    for ((before, made), mask) in pixels {
        assert!(mask[0] > 0 || before == made);
    }
    assert_ne!(made.rgba, before.rgba);
}

#[test]
fn masks_that_cannot_be_used_are_refused_in_words() {
    let (picture, mask) = (disc(64, 64), stroke(64, 64));
    let refused = |change: &dyn Fn(&mut Request), words: &str| {
        let mut request = transparent(picture.clone(), mask.clone());
        change(&mut request);
        let error = try_generate(&request, model::pack()).unwrap_err();
        assert!(error.code.is_bad_input(), "{error}");
        assert_ne!(error.code, ErrorCode::ModelDamaged, "{error}");
        assert!(
            error.to_string().contains(words),
            "{error} does not say {words}"
        );
    };
    let black = Picture {
        rgba: [0, 0, 0, 255].repeat(64 * 64),
        ..picture.clone()
    };
    refused(&|request| request.init = None, "without a picture");
    refused(
        &|request| request.mask = Some(black.clone()),
        "keeps everything",
    );
    refused(&|request| request.mask = Some(stroke(32, 64)), "32 x 64");
    refused(&|request| request.mode = Some(Mode::Joint), "joint");
    refused(&|request| request.fit = true, "fitted");
    refused(&|request| request.width = Some(128), "64 x 64");
    refused(&|request| request.mask_softness = Some(1000), "1000");
    refused(
        &|request| {
            request.mode = Some(Mode::Opaque);
            request.keep_alpha = true;
        },
        "alpha",
    );
    refused(
        &|request| {
            request.mask = None;
            request.mask_crop = Some(8);
        },
        "mask",
    );
}
