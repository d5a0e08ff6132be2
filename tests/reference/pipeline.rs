//! Whole generations against the reference implementations, step by step.

use std::path::Path;

use crate::support::{Case, Tolerance, assert_close, golden, model, values_of, whole_golden};
use burn::tensor::Device;
use glassine::ErrorCode;
use glassine::image::Picture;
use glassine::internals::sampling::{Convention, SamplerName};
use glassine::internals::vae::VaeEncoder;
use glassine::internals::weights::{Dtype, HostTensor, StoredType, TensorEntry, write_safetensors};
use glassine::pack::{FolderSource, Lora, Manifest, Pack, PackOptions, Precision};
use glassine::pipeline::{
    Control, ControlNetFile, Engine, Event, Generation, Init, LoadOptions, Mode, NoProgress,
    Observer, Request, VaeKind, Variation, estimate_memory,
};

fn try_generate(request: &Request) -> glassine::Result<Generation> {
    let source = &model::pack();
    pollster::block_on(async {
        let mut engine = Engine::load(source, Device::flex(), &mut NoProgress).await?;
        engine.generate(request, &mut NoProgress).await
    })
}

fn generate(request: &Request) -> Generation {
    try_generate(request).unwrap()
}

/// The request that a case of golden/pipeline describes.
fn text_to_image(case: &Case) -> Request {
    let (sampler, convention) = match case.text("/sampler") {
        "ddim" => (SamplerName::Ddim, None),
        "euler" => (SamplerName::Euler, Some(Convention::Diffusers)),
        "dpmpp-2m-karras" => (SamplerName::Dpmpp2mKarras, Some(Convention::KDiffusion)),
        "lcm" => (SamplerName::Lcm, None),
        "tcd" => (SamplerName::Tcd, None),
        "dpmpp_2m_karras_kdiff" => (SamplerName::Dpmpp2mKarras, Some(Convention::KDiffusion)),
        "dpmpp_2m_karras_diffusers" => (SamplerName::Dpmpp2mKarras, Some(Convention::Diffusers)),
        other => panic!("the tests do not know the sampler {other}"),
    };
    let negative = case.description()["negative_prompt"].as_str();
    let mut request = Request::new(case.text("/prompt"));
    request.negative_prompt = negative.unwrap_or_default().into();
    request.mode = Some(Mode::Opaque);
    request.width = Some(case.number("/width") as usize);
    request.height = Some(case.number("/height") as usize);
    request.steps = Some(case.number("/steps") as usize);
    request.guidance = Some(case.number("/guidance_scale") as f32);
    let rescale = case.description()["guidance_rescale"].as_f64();
    request.guidance_rescale = rescale.unwrap_or(0.0) as f32;
    request.sampler = Some(sampler);
    request.convention = convention;
    request.seed = case.number("/seed") as u64;
    request.dump = true;
    request
}

#[test]
fn text_becomes_the_pictures_that_diffusers_makes() {
    follows_text_to_image(&[
        "t2i_64x64_ddim",
        "t2i_64x64_dpmpp_2m_karras_kdiff",
        "t2i_128x64_ddim",
        "t2i_nocfg_ddim",
        "t2i_nocfg_dpmpp_2m_karras_kdiff",
    ]);
}

#[test]
#[ignore = "needs the whole of the golden data in GLASSINE_GOLDEN"]
fn more_text_becomes_the_pictures_that_diffusers_makes() {
    follows_text_to_image(&[
        "t2i_64x64_ddim_seed2",
        "t2i_64x64_dpmpp_2m_karras_diffusers",
        "t2i_128x64_dpmpp_2m_karras_diffusers",
        "t2i_128x64_dpmpp_2m_karras_kdiff",
    ]);
}

fn follows_text_to_image(names: &[&str]) {
    for name in names {
        let case = Case::load(&format!("pipeline/{name}"));
        let generation = generate(&text_to_image(&case));
        let dump = &generation.dump;
        let mut context = dump
            .get("text.uncond")
            .map_or(vec![], |tensor| tensor.data.clone());
        context.extend(&dump["text.cond"].data);
        case.check("context", &context);
        check_steps(&case, &generation);
        assert!(
            generation.layers[0]
                .picture
                .rgba
                .chunks(4)
                .all(|pixel| pixel[3] == 255)
        );
    }
}

/// A consistency model is made of the tiny model by a LoRA, as those that people download are.
fn few_steps_become_the_picture_that_diffusers_makes(name: &str) {
    let case = Case::load(&format!("fast/{name}"));
    let mut options = LoadOptions::default();
    let lora = Lora::open(&golden("lora/kohya.safetensors"), 1.0).unwrap();
    options.loras = vec![lora];
    let source = &model::pack();
    let generation = pollster::block_on(async {
        let device = Device::flex();
        let mut engine = Engine::open(source, device, options).await?;
        engine
            .generate(&text_to_image(&case), &mut NoProgress)
            .await
    });
    check_steps(&case, &generation.unwrap());
}

#[test]
fn four_steps_of_tcd() {
    few_steps_become_the_picture_that_diffusers_makes("tcd4_lora");
}

#[test]
#[ignore = "needs the whole of the golden data in GLASSINE_GOLDEN"]
fn four_steps_of_lcm() {
    few_steps_become_the_picture_that_diffusers_makes("lcm4_lora");
}

/// The tiny model as `change` leaves its folder, in f32 and alone.
fn changed_model(name: &str, change: impl FnOnce(&Path)) -> FolderSource {
    let folder = model::scratch().join(name);
    model::copy_folder(&model::checkpoint(), &folder);
    change(&folder);
    let mut options = PackOptions::new(folder);
    options.precision = Precision::F32;
    let pack = model::scratch().join(format!("{name}-pack"));
    model::pack_as(&options, &pack).expect("packing the changed model");
    FolderSource::new(pack)
}

fn change_json(path: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let mut json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
}

/// `source` makes what the golden run `case` made.
fn follows_run(case: &Case, source: FolderSource) {
    let generation = pollster::block_on(async {
        let mut engine = Engine::load(source, Device::flex(), &mut NoProgress).await?;
        engine.generate(&text_to_image(case), &mut NoProgress).await
    });
    check_steps(case, &generation.unwrap());
}

/// Zero terminal SNR, trailing timesteps and, with DDIM, guidance rescale.
#[test]
fn v_prediction_from_pure_noise() {
    for name in ["vpred_ddim_trailing_zsnr", "vpred_euler_trailing_zsnr"] {
        let case = format!("fast/{name}");
        let source = changed_model(name, |folder| {
            let config = golden(&format!("{case}/scheduler_config.json"));
            std::fs::copy(config, folder.join("scheduler/scheduler_config.json")).unwrap();
        });
        follows_run(&Case::load(&case), source);
    }
}

#[test]
fn v_prediction_in_k_diffusion() {
    let source = changed_model("v-prediction", |folder| {
        change_json(&folder.join("scheduler/scheduler_config.json"), |config| {
            config["prediction_type"] = "v_prediction".into();
        });
    });
    follows_run(&Case::load("fast/vpred_dpmpp_2m_karras_kdiff"), source);
}

/// Networks with blocks removed: one layer a block, no middle, three levels and four.
#[test]
#[ignore = "needs the whole of the golden data in GLASSINE_GOLDEN"]
fn distilled_networks_make_the_pictures_that_diffusers_makes() {
    for name in ["small", "tiny"] {
        let source = changed_model(&format!("distilled-{name}"), |folder| {
            std::fs::remove_dir_all(folder.join("unet")).unwrap();
            model::copy_folder(
                &golden(&format!("distilled/{name}/unet")),
                &folder.join("unet"),
            );
        });
        follows_run(&Case::load(&format!("distilled/{name}")), source);
    }
}

/// A consistency model that was distilled with guidance is told the scale, and sees no negative prompt.
#[test]
fn guidance_by_embedding() {
    let case = "fast/lcm4_guidance_embedding";
    let source = changed_model("guidance-embedding", |folder| {
        change_json(&folder.join("unet/config.json"), |config| {
            config["time_cond_proj_dim"] = 256.into();
        });
        let weights = folder.join("unet/diffusion_pytorch_model.safetensors");
        let projection = golden(&format!("{case}/cond_proj.safetensors"));
        model::replace_tensors(&weights, &projection);
    });
    follows_run(&Case::load(case), source);
}

#[test]
fn pictures_become_the_pictures_that_diffusers_makes() {
    for name in [
        "i2i_64x64_ddim",
        "i2i_64x64_dpmpp_2m_karras_kdiff",
        "i2i_128x64_dpmpp_2m_karras_diffusers",
    ] {
        let case = Case::load(&format!("pipeline/{name}"));
        let (weights, pack) = model::weights();
        let config = pack.manifest().vae().unwrap();
        let encoder = VaeEncoder::load(&config, &weights.at("vae")).unwrap();
        let mean = encoder.forward(case.on_device("image")).mean * config.scaling_factor;
        let shape = mean.dims();
        let latent = values_of(mean);
        case.check("init_latent", &latent);
        let generation = generate(&{
            let mut request = text_to_image(&case);
            request.init = Some(Init::Latent(HostTensor::new(shape, latent)));
            request.strength = Some(case.number("/strength"));
            request
        });
        check_steps(&case, &generation);
    }
}

/// Fails unless every latent on the way and the picture are the case's.
fn check_steps(case: &Case, generation: &Generation) {
    let dump = &generation.dump;
    case.check("start_latent", &dump["latent.initial"].data);
    let steps = case.tensor("latents").shape[0];
    let latents: Vec<f32> = (0..steps)
        .flat_map(|step| dump[&format!("latent.step.{step}")].data.clone())
        .collect();
    case.check("latents", &latents);
    case.check("final_latent", &dump["latent.final"].data);
    case.check("image01", &dump["pixel"].data);
}

/// The request that an end-to-end case of LayerDiffuse describes.
fn layers(case: &Case, mode: Mode) -> Request {
    let noise = case.tensor("noise");
    let extra = |role: &str| {
        let prompts = &case.description()["settings"]["extra_prompts"];
        prompts[role].as_str().unwrap_or_default().to_string()
    };
    let condition = case
        .has("condition.rgba")
        .then(|| picture(case, "condition.rgba"));
    let is = |wanted: Mode| mode == wanted;
    let mut request = Request::new(case.text("/settings/prompt"));
    request.negative_prompt = case.text("/settings/negative").into();
    request.foreground_prompt = extra("foreground");
    request.background_prompt = extra("background");
    request.blended_prompt = extra("blended");
    request.foreground = condition
        .clone()
        .filter(|_| is(Mode::ForegroundToBackground));
    request.background = condition.filter(|_| is(Mode::BackgroundToForeground));
    request.mode = Some(mode);
    request.width = Some(case.number("/settings/width") as usize);
    request.height = Some(case.number("/settings/height") as usize);
    request.steps = Some(case.number("/settings/steps") as usize);
    request.guidance = Some(case.number("/settings/guidance") as f32);
    request.convention = Some(Convention::LayerDiffuse);
    request.seed = case.number("/settings/seed") as u64;
    request.noise = Some(HostTensor::new(noise.shape.clone(), noise.f32()));
    request.dump = true;
    request
}

/// The picture in a tensor `[height, width, 4]` of bytes.
fn picture(case: &Case, name: &str) -> Picture {
    let tensor = case.tensor(name);
    Picture {
        width: tensor.shape[1],
        height: tensor.shape[0],
        rgba: tensor.u8(),
    }
}

/// Fails unless everything in the dump and the pictures' bytes are the case's; at least
/// `equal_percent` of the bytes must be equal, and none off by more than `largest`.
fn check_layers(case: &Case, generation: &Generation, equal_percent: usize, largest: u8) {
    let dump = &generation.dump;
    // These cases state no tolerance for text features; the text encoder's own case does.
    let tolerance = Case::load("text").tolerance("last_hidden_state");
    for name in dump.keys().filter(|name| name.starts_with("text.")) {
        case.check_within(name, &dump[name].data, tolerance);
    }
    let relative = case.number("/tolerance/latent_rel_to_max");
    for name in dump.keys().filter(|name| name.starts_with("latent.")) {
        let tolerance = Tolerance::max_abs(relative * case.tensor(name).peak());
        case.check_within(name, &dump[name].data, tolerance);
    }
    for name in ["pixel", "rgba"].into_iter().filter(|name| case.has(name)) {
        let tolerance = Tolerance::max_abs(case.number(&format!("/tolerance/{name}_max_abs")));
        case.check_within(name, &dump[name].data, tolerance);
    }
    for layer in &generation.layers {
        let expected = case.tensor(&format!("u8.{}", layer.role.as_str()));
        let channels = expected.shape[2];
        let got = layer
            .picture
            .rgba
            .chunks(4)
            .flat_map(|pixel| pixel[..channels].to_vec());
        let differences: Vec<u8> = got
            .zip(expected.u8())
            .map(|(got, expected)| got.abs_diff(expected))
            .collect();
        let equal = differences
            .iter()
            .filter(|difference| **difference == 0)
            .count();
        let role = layer.role;
        assert!(
            equal * 100 >= differences.len() * equal_percent,
            "{role:?}: {equal} of {} bytes are equal",
            differences.len()
        );
        assert!(differences.iter().max() <= Some(&largest), "{role:?}");
    }
}

#[test]
fn text_becomes_the_layers_that_layerdiffuse_makes() {
    let mut cases = vec![
        ("e2e_single", Mode::Single),
        ("e2e_joint", Mode::Joint),
        ("e2e_bg2fg", Mode::BackgroundToForeground),
    ];
    if whole_golden() {
        cases.push(("e2e_fg2bg", Mode::ForegroundToBackground));
    }
    for (name, mode) in cases {
        let case = Case::load(&format!("layerdiffuse/{name}"));
        let generation = generate(&layers(&case, mode));
        assert_eq!(generation.layers.len(), mode.roles().len());
        check_layers(&case, &generation, 97, 2);
    }
}

#[test]
fn a_transparent_picture_becomes_the_one_that_layerdiffuse_makes() {
    let case = Case::load("layerdiffuse/e2e_img2img");
    let generation = generate(&{
        let mut request = layers(&case, Mode::Single);
        request.init = Some(Init::Picture(picture(&case, "init.rgba")));
        request.strength = Some(case.number("/img2img/strength"));
        request
    });
    check_layers(&case, &generation, 85, 3);
}

#[test]
fn a_seed_draws_the_noise_that_the_reference_drew() {
    let case = Case::load("layerdiffuse/e2e_single");
    let drawn = glassine::internals::sampling::NoiseGenerator::new(12345).normal(4 * 16 * 16);
    case.check_within("noise", &drawn, Tolerance::max_abs(5e-6));
}

/// A short run at 64 x 64.
fn short(mode: Mode, steps: usize) -> Request {
    let mut request = Request::new("an apple");
    request.mode = Some(mode);
    request.width = Some(64);
    request.height = Some(64);
    request.steps = Some(steps);
    request.seed = 7;
    request.decode_passes = Some(1);
    request.dump = true;
    request
}

#[test]
fn values_that_are_not_numbers_are_an_error_and_no_picture() {
    let shape = [1, 4, 8, 8];
    let mut values = vec![0.5; 4 * 8 * 8];
    values[7] = f32::NAN;
    let mut request = short(Mode::Opaque, 2);
    request.noise = Some(HostTensor::new(shape, values));
    let error = try_generate(&request).expect_err("an error");
    assert_eq!(error.code, ErrorCode::NonFinite, "{error}");
}

#[test]
fn a_latent_of_another_size_is_refused_even_if_pictures_are_fitted() {
    let latent = HostTensor::new([1, 4, 4, 16], vec![0.0; 256]);
    let mut request = short(Mode::Opaque, 2);
    request.init = Some(Init::Latent(latent));
    request.fit = true;
    let error = try_generate(&request).expect_err("an error");
    assert_eq!(error.code, ErrorCode::BadImage, "{error}");
}

/// Black to red from left to right, and black to green downwards.
fn ramps(side: usize) -> Picture {
    let pixel = |index: usize| {
        let value = |place: usize| (place * 255 / side) as u8;
        [value(index % side), value(index / side), 0, 255]
    };
    Picture {
        width: side,
        height: side,
        rgba: (0..side * side).flat_map(pixel).collect(),
    }
}

#[test]
fn a_control_picture_steers_the_steps_that_it_covers() {
    let run = |scale, start, end| {
        let control = Control {
            scale,
            start,
            end,
            ..Control::new(ramps(64))
        };
        generate(&{
            let mut request = short(Mode::Opaque, 4);
            request.controls = vec![control];
            request
        })
        .dump
    };
    let free = generate(&short(Mode::Opaque, 4)).dump;
    let steered = run(1.0, 0.0, 1.0);
    let (late, early) = (run(1.0, 0.5, 1.0), run(1.0, 0.0, 0.5));
    let step = |index| format!("latent.step.{index}");
    assert_ne!(free[&step(0)], steered[&step(0)]);
    assert_eq!(free[&step(1)], late[&step(1)]);
    assert_ne!(free[&step(2)], late[&step(2)]);
    assert_eq!(steered[&step(1)], early[&step(1)]);
    assert_ne!(steered[&step(2)], early[&step(2)]);
    let without_effect = run(0.0, 0.0, 1.0);
    let tolerance = Tolerance::max_abs(1e-6);
    assert_close(
        "scale 0",
        &without_effect["latent.final"].data,
        &free["latent.final"].data,
        tolerance,
    );
}

/// The final latent of two steps that `controls` steer, with the pack behind `source`.
fn steered_latent(source: &FolderSource, controls: Vec<Control>) -> Vec<f32> {
    let mut request = short(Mode::Opaque, 2);
    request.controls = controls;
    let generation = pollster::block_on(async {
        let options = LoadOptions::default();
        let mut engine = Engine::open(source.clone(), Device::flex(), options).await?;
        engine.generate(&request, &mut NoProgress).await
    });
    generation.unwrap().latent.values.data
}

#[test]
fn a_control_net_of_a_request_is_as_if_it_were_packed() {
    let folder = golden("controlnet/model");
    let file = folder.join("diffusion_pytorch_model.safetensors");
    for precision in [Precision::F32, Precision::Q8] {
        let pack = |name: &str, controlnet: Option<&Path>| {
            let mut options = PackOptions::new(model::checkpoint());
            options.precision = precision;
            options.controlnet = controlnet.map(Path::to_path_buf);
            let out = model::scratch().join(format!("{name}-{precision}"));
            model::pack_as(&options, &out).unwrap();
            FolderSource::new(out)
        };
        let packed = pack("with-control-net", Some(&folder));
        let expected = steered_latent(&packed, vec![Control::new(ramps(64))]);
        let bare = pack("without-control-net", None);
        assert_ne!(expected, steered_latent(&bare, vec![]), "{precision}");
        for path in [&folder, &file] {
            let mut control = Control::new(ramps(64));
            control.controlnet = Some(ControlNetFile::open(path).unwrap());
            assert!(
                expected == steered_latent(&bare, vec![control.clone()]),
                "{precision}"
            );
            // Beside the pack's own, too, which is another one for a request.
            assert!(
                expected == steered_latent(&packed, vec![control]),
                "{precision}"
            );
        }
    }
}

#[test]
fn several_controls_add_up() {
    let source = &model::pack();
    let file = ControlNetFile::open(&golden("controlnet/model")).unwrap();
    let at = |scale, controlnet: Option<&ControlNetFile>| Control {
        scale,
        controlnet: controlnet.cloned(),
        ..Control::new(ramps(64))
    };
    let whole = steered_latent(source, vec![at(1.0, None)]);
    let tolerance = Tolerance::max_abs(1e-5);
    // The pack's own and the file are the same network, and so are two uses of one.
    for parts in [
        [at(0.25, None), at(0.75, Some(&file))],
        [at(0.5, Some(&file)), at(0.5, Some(&file))],
    ] {
        let summed = steered_latent(source, parts.to_vec());
        assert_close("two for one", &summed, &whole, tolerance);
    }
    let early = Control {
        end: 0.5,
        ..at(1.0, Some(&file))
    };
    let late = Control {
        start: 0.5,
        ..at(1.0, None)
    };
    let in_turn = steered_latent(source, vec![early, late]);
    assert_close("one after the other", &in_turn, &whole, tolerance);
    let more = steered_latent(source, vec![at(1.0, None), at(1.0, Some(&file))]);
    assert_ne!(more, whole);
}

#[test]
fn an_engine_holds_the_control_nets_of_its_last_request() {
    pollster::block_on(async {
        let source = model::pack();
        let options = LoadOptions::default();
        let mut engine = Engine::open(source, Device::flex(), options).await.unwrap();
        let file = ControlNetFile::open(&golden("controlnet/model")).unwrap();
        let mut loads = Vec::new();
        for controls in [
            vec![Some(&file)],
            vec![Some(&file), None],
            vec![None],
            vec![Some(&file)],
        ] {
            let mut request = short(Mode::Opaque, 1);
            request.controls = controls
                .into_iter()
                .map(|controlnet| Control {
                    controlnet: controlnet.cloned(),
                    ..Control::new(ramps(64))
                })
                .collect();
            let mut observer = Loads::default();
            engine.generate(&request, &mut observer).await.unwrap();
            loads.push(observer.count);
        }
        // All networks at first; then the pack's own; then nothing; and the file again.
        let [first, own, kept, again] = loads[..] else {
            panic!("{loads:?}")
        };
        assert!(
            first > again && own > 0 && kept == 0 && again > 0,
            "{loads:?}"
        );
    });
}

/// Counts how often something was read.
#[derive(Default)]
struct Loads {
    count: usize,
}

impl Observer for Loads {
    async fn report(&mut self, event: Event) -> bool {
        self.count += usize::from(matches!(event, Event::Loading { .. }));
        true
    }
}

#[test]
fn pictures_of_one_batch_are_those_of_single_requests() {
    pollster::block_on(async {
        let source = model::pack();
        let options = LoadOptions::default();
        let mut engine = Engine::open(source, Device::flex(), options).await.unwrap();
        let mut varied = short(Mode::Opaque, 2);
        varied.variation = Some(Variation {
            seed: 99,
            amount: 0.3,
        });
        varied.sampler = Some(SamplerName::EulerAncestral);
        let mut steered = short(Mode::Single, 2);
        steered.controls = vec![Control::new(ramps(64))];
        let mut shared = short(Mode::Joint, 2);
        shared.foreground_prompt = "a dog".into();
        shared.guidance_rescale = 0.7;
        let mut conditioned = short(Mode::BackgroundToForeground, 1);
        conditioned.background = Some(ramps(64));
        let mut started = short(Mode::Single, 4);
        started.init = Some(Init::Picture(ramps(64)));
        started.mask = Some(ramps(64));
        started.prompt = "a cat AND a house".into();
        for mut request in [varied, steered, shared, conditioned, started] {
            request.negative_prompt = "blurred".into();
            request.guidance = Some(3.0);
            request.dump = false;
            let batch = engine
                .sample_batch(&request, 3, &mut NoProgress)
                .await
                .unwrap();
            assert_eq!(batch.len(), 3);
            for sampled in batch {
                let mode = sampled.latent.mode;
                let alone = engine.sample(&request, &mut NoProgress).await.unwrap();
                assert_eq!(sampled.latent.seed, alone.latent.seed, "{mode}");
                let (one, other) = (&sampled.latent.values, &alone.latent.values);
                assert_eq!(one.shape, other.shape, "{mode}");
                assert_close(
                    mode.as_str(),
                    &one.data,
                    &other.data,
                    Tolerance::max_abs(2e-4),
                );
                request.seed += mode.roles().len() as u64;
            }
        }
        let mut noise = short(Mode::Opaque, 1);
        noise.noise = Some(HostTensor::new([1, 4, 8, 8], vec![0.5; 256]));
        let error = engine
            .sample_batch(&noise, 2, &mut NoProgress)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::BadOption, "{error}");
    });
}

/// The steps and the passes that were told, each of how many.
#[derive(Default)]
struct Heard {
    steps: Vec<(usize, usize)>,
    passes: Vec<(usize, usize)>,
}

impl Observer for Heard {
    async fn report(&mut self, event: Event) -> bool {
        match event {
            Event::Denoising { step, steps, .. } => self.steps.push((step, steps)),
            Event::Decoding { pass, passes } => self.passes.push((pass, passes)),
            _ => {}
        }
        true
    }
}

#[test]
fn pictures_of_one_request_are_counted_as_one_piece_of_work() {
    pollster::block_on(async {
        let source = model::pack();
        let options = LoadOptions::default();
        let mut engine = Engine::open(source, Device::flex(), options).await.unwrap();
        let mut heard = Heard::default();
        let request = short(Mode::Opaque, 2);
        let made = engine.generate_all(&request, 2, &mut heard).await.unwrap();
        let seeds: Vec<u64> = made.iter().map(|one| one.latent.seed).collect();
        assert_eq!(seeds, [request.seed, request.seed + 1]);
        let of_four = |step| (step, 4);
        assert_eq!(heard.steps, [0, 1, 2, 2, 3, 4].map(of_four));
        assert!(heard.passes.is_sorted(), "{:?}", heard.passes);
        assert!(heard.passes.iter().all(|(pass, passes)| pass <= passes));
    });
}

#[test]
fn a_control_net_that_cannot_steer_is_refused_before_anything_is_made() {
    let unfit = |path: &Path| {
        let mut control = Control::new(ramps(64));
        control.controlnet = Some(ControlNetFile::open(path)?);
        let mut request = short(Mode::Opaque, 1);
        request.controls = vec![control];
        try_generate(&request).map(drop)
    };
    let folder = golden("controlnet/model");
    // What is copied from the UNet is of another width here, and what is its own there.
    for (name, tensor) in [
        ("other-unet", "down_blocks.0.resnets.0.conv1.bias"),
        ("other-hint", "controlnet_cond_embedding.conv_out.bias"),
    ] {
        let copy = model::scratch().join(name);
        model::copy_folder(&folder, &copy);
        let weights = copy.join("diffusion_pytorch_model.safetensors");
        let wrong = model::scratch().join(format!("{name}.safetensors"));
        let bytes = write_safetensors(&[(tensor.into(), Dtype::F32, vec![1], vec![0; 4])]);
        std::fs::write(&wrong, bytes).unwrap();
        model::replace_tensors(&weights, &wrong);
        let error = unfit(&copy).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
        assert!(error.message.contains(name), "{error}");
    }
    let error = unfit(&golden("lora/kohya.safetensors")).unwrap_err();
    assert_eq!(error.code, ErrorCode::ModelUnsupported, "{error}");
    assert!(error.message.contains("LoRA"), "{error}");
}

#[test]
fn a_control_picture_steers_every_frame_and_is_fitted() {
    for mode in [Mode::Single, Mode::Joint] {
        let free = generate(&short(mode, 1));
        let steered = generate(&{
            let mut request = short(mode, 1);
            request.controls = vec![Control::new(ramps(100))];
            request.fit = true;
            request
        });
        let frames = |generation: &Generation| {
            let values = &generation.latent.values;
            values
                .data
                .chunks(values.data.len() / values.shape[0])
                .map(<[f32]>::to_vec)
                .collect::<Vec<_>>()
        };
        for (free, steered) in frames(&free).iter().zip(frames(&steered)) {
            assert_ne!(*free, steered, "{mode}");
        }
    }
}

#[test]
fn the_tiny_vae_encodes_and_decodes_opaque_pictures() {
    let full = generate(&short(Mode::Opaque, 2));
    let mut tiny = short(Mode::Opaque, 2);
    tiny.vae = VaeKind::Tiny;
    let decoded = generate(&tiny);
    assert_eq!(decoded.latent, full.latent);
    assert_eq!(decoded.dump["pixel"].shape, [1, 3, 64, 64]);
    assert_ne!(decoded.dump["pixel"], full.dump["pixel"]);
    let from_picture = |request: Request| {
        generate(&{
            let mut request = request;
            request.init = Some(Init::Picture(ramps(64)));
            request
        })
    };
    let encoded = from_picture(tiny);
    assert_ne!(encoded.latent, from_picture(short(Mode::Opaque, 2)).latent);
}

/// The previews that it hears of, with the steps that they come after.
#[derive(Default)]
struct Previews(Vec<(usize, Picture)>);

impl Observer for Previews {
    async fn report(&mut self, event: Event) -> bool {
        if let Event::Denoising {
            step,
            preview: Some(picture),
            ..
        } = event
        {
            self.0.push((step, picture));
        }
        true
    }
}

#[test]
fn previews_are_whole_pictures_with_taesd_and_small_ones_without() {
    let mut without = model::options();
    without.taesd_decoder = None;
    let folder = model::scratch().join("without-taesd");
    model::pack_as(&without, &folder).unwrap();
    for (source, size) in [
        (model::pack(), (64, 64)),
        (FolderSource::new(folder), (8, 8)),
    ] {
        let mut request = short(Mode::Joint, 4);
        request.preview_every = Some(2);
        let mut previews = Previews::default();
        pollster::block_on(async {
            let mut engine = Engine::load(source, Device::flex(), &mut NoProgress).await?;
            engine.sample(&request, &mut previews).await
        })
        .unwrap();
        let steps: Vec<_> = previews.0.iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, [2, 4]);
        for (_, picture) in &previews.0 {
            assert_eq!((picture.width, picture.height), size);
            assert!(
                picture
                    .rgba
                    .chunks(4)
                    .any(|pixel| pixel != &picture.rgba[..4])
            );
        }
    }
}

#[test]
fn one_network_at_a_time_makes_the_same_pictures() {
    let request = short(Mode::Joint, 2);
    let mut options = LoadOptions::default();
    options.memory_limit = Some(0);
    let source = &model::pack();
    let frugal = pollster::block_on(async {
        let mut engine = Engine::open(source, Device::flex(), options).await?;
        engine.preload(&mut NoProgress).await?;
        // The second one finds the networks gone that it begins with.
        engine.generate(&request, &mut NoProgress).await?;
        engine.generate(&request, &mut NoProgress).await
    })
    .unwrap();
    let generation = generate(&request);
    assert_eq!(frugal.latent, generation.latent);
    assert_eq!(frugal.layers, generation.layers);
}

/// A manifest with the tensors of Stable Diffusion 1.5 that decide what a picture takes of memory, and
/// as many bytes of weights in each network as at 4 bits.
fn full_size() -> Manifest {
    let pack = pollster::block_on(Pack::open(model::pack())).unwrap();
    let mut manifest = pack.manifest().clone();
    let level = |index, outputs, inputs| {
        let name = format!("vae.decoder.up_blocks.{index}.resnets.0.conv1.weight");
        (name, vec![outputs, 3, 3, inputs])
    };
    let shapes = [
        ("unet.conv_in.weight".into(), vec![320, 3, 3, 4]),
        (
            "unet.up_blocks.0.resnets.0.conv1.weight".into(),
            vec![1280, 3, 3, 2560],
        ),
        level(0, 512, 512),
        level(1, 512, 512),
        level(2, 256, 512),
        level(3, 128, 256),
        (
            "transparency_decoder.conv_in.weight".into(),
            vec![32, 3, 3, 3],
        ),
        ("text_encoder.all".into(), vec![88_000_000 / 4]),
        ("unet.all".into(), vec![550_000_000 / 4]),
        ("vae.decoder.all".into(), vec![159_000_000 / 4]),
    ];
    let entry = |(name, shape): (String, Vec<usize>)| {
        // Bytes are not moved to a device.
        let stored = match shape.len() {
            1 => StoredType::F32,
            _ => StoredType::U8,
        };
        let (group, shards) = (None, vec![0]);
        let entry = TensorEntry {
            stored,
            group,
            shape,
            shards,
        };
        (name, entry)
    };
    manifest.tensors = shapes.map(entry).into();
    manifest
}

#[test]
fn memory_is_estimated_closely_and_never_too_low() {
    let check = |manifest: &Manifest, mode, side, counted: [u64; 2]| {
        let estimate = estimate_memory(manifest, Some(mode), Some(side), Some(side)).unwrap();
        let estimated = [estimate.all_loaded, estimate.one_at_a_time];
        for (estimated, counted) in estimated.into_iter().zip(counted) {
            let estimated = estimated / 1_000_000;
            assert!(
                (counted..=counted * 5 / 4).contains(&estimated),
                "{mode:?} at {side}: {estimated} MB were foretold, {counted} were counted"
            );
        }
    };
    // Megabytes that were counted at most, with all networks loaded and with one at a time: see
    // docs/measurements.md.
    let full_size = full_size();
    for (side, counted) in [
        (64, [887, 634]),
        (256, [1066, 723]),
        (384, [1153, 822]),
        (512, [1208, 851]),
        (640, [1458, 982]),
        (768, [1640, 1110]),
        (1024, [2089, 1461]),
    ] {
        check(&full_size, Mode::Opaque, side, counted);
    }
    let mini = Path::new(env!("CARGO_MANIFEST_DIR")).join("pkg/models/mini/manifest.json");
    let mini = Manifest::parse(&std::fs::read(mini).unwrap()).unwrap();
    check(&mini, Mode::Single, 512, [271, 262]);
}

#[test]
fn memory_is_estimated_by_what_is_asked_for() {
    let engine = Engine::open(model::pack(), Device::flex(), LoadOptions::default());
    let engine = pollster::block_on(engine).unwrap();
    let estimate = |mode, side| {
        estimate_memory(engine.manifest(), Some(mode), Some(side), Some(side)).unwrap()
    };
    let usual = estimate(Mode::Single, 512);
    assert!(usual.all_loaded > usual.one_at_a_time);
    assert!(estimate(Mode::Single, 1024).one_at_a_time > usual.one_at_a_time);
    assert!(estimate(Mode::Joint, 512).all_loaded > usual.all_loaded);
    assert!(estimate(Mode::Opaque, 512).all_loaded < usual.all_loaded);
    let absurd = estimate_memory(engine.manifest(), None, Some(usize::MAX), None);
    assert_eq!(absurd.unwrap_err().code, ErrorCode::BadOption);
}
