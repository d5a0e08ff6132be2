//! Every sampler follows the trajectories of k-diffusion, diffusers and the LayerDiffuse demo.

use crate::support::{Case, Tolerance};
use glassine::internals::sampling::{
    Convention, NoiseSchedule, NoiseScheduleConfig, Sampler, SamplerName, sampler,
};
use glassine::{Error, ErrorCode};

fn stable_diffusion() -> NoiseSchedule {
    NoiseSchedule::new(&NoiseScheduleConfig::default()).expect("the default schedule")
}

fn schedule_of(config: &str) -> Result<NoiseSchedule, Error> {
    NoiseSchedule::new(&serde_json::from_str(config).expect("a scheduler config"))
}

/// The analytic stand-in for a model that the golden trajectories were made with, for a latent
/// of shape [1, 4, 8, 8].
fn analytic_denoiser(latent: &[f32], timestep: f32) -> Vec<f32> {
    let timestep = f64::from(timestep);
    let angle = std::f64::consts::FRAC_PI_2 * timestep / 1000.0;
    let epsilon = |(index, &value): (usize, &f32)| {
        let (channel, row, column) = (index / 64, index / 8 % 8, index % 8);
        let mean = (1.3 * channel as f64 + 0.5 * row as f64 - 0.3 * column as f64).sin();
        let value = f64::from(value);
        let wave = 0.15 * (2.0 * value + 0.01 * timestep).sin();
        (angle.sin() * (value - angle.cos() * mean) + wave) as f32
    };
    latent.iter().enumerate().map(epsilon).collect()
}

/// Runs the golden case `folder` for each of its numbers of steps and checks everything it knows.
fn follows_golden(folder: &str, name: SamplerName, convention: Option<Convention>) {
    let case = Case::load(folder);
    let counts = case.description()["steps"].as_array().expect("steps");
    for steps in counts.iter().map(|steps| steps.as_u64().expect("a count")) {
        let schedule = stable_diffusion();
        let mut sampler = sampler(name, convention, &schedule, steps as usize, None)
            .expect("a sampler that exists");
        follows_run(&case, steps, sampler.as_mut());
    }
}

fn follows_run(case: &Case, steps: u64, sampler: &mut dyn Sampler) {
    if case.has(&format!("sigmas_{steps}")) {
        case.check(&format!("sigmas_{steps}"), sampler.trajectory().sigmas());
    }
    let mut latent = sampler.start(&case.f32("unit_noise"), None);
    case.check(&format!("start_{steps}"), &latent);
    let (mut timesteps, mut epsilons, mut latents) = (vec![], vec![], vec![]);
    let mut noise_used = 0;
    for step in 0..sampler.steps() {
        let input = sampler.model_input(step);
        let seen: Vec<f32> = latent.iter().map(|value| value * input.scale).collect();
        let epsilon = analytic_denoiser(&seen, input.timestep);
        latent = sampler.step(step, &latent, &epsilon, &mut || {
            noise_used += 1;
            case.tensor(&format!("noise_{steps}"))
                .row(noise_used - 1)
                .f32()
        });
        timesteps.push(input.timestep);
        epsilons.extend(epsilon);
        latents.extend_from_slice(&latent);
    }
    case.check(&format!("timesteps_{steps}"), &timesteps);
    case.check(&format!("eps_{steps}"), &epsilons);
    case.check(&format!("x_{steps}"), &latents);
    let expected = case.number(&format!("/noise_tensors_used/{steps}"));
    assert_eq!(noise_used as f64, expected, "noise tensors used");
}

#[test]
fn schedule_tables() {
    let case = Case::load("schedulers/tables");
    let schedule = stable_diffusion();
    case.check("betas", schedule.betas());
    case.check("alphas_cumprod", schedule.alphas_cumprod());
    case.check("alphas_cumprod_f64", schedule.alphas_cumprod());
    case.check("alphas_cumprod_diffusers_f32", schedule.alphas_cumprod());
    case.check("sigmas", schedule.sigmas());
    let logs: Vec<f64> = schedule.sigmas().iter().map(|sigma| sigma.ln()).collect();
    case.check("log_sigmas", &logs);
    for steps in [4, 20, 25] {
        let run = |name| sampler(name, None, &schedule, steps, None).expect("a sampler");
        let karras = run(SamplerName::Dpmpp2mKarras);
        case.check(
            &format!("sigmas_karras_{steps}"),
            karras.trajectory().sigmas(),
        );
        case.check(
            &format!("t_karras_{steps}"),
            karras.trajectory().timesteps(),
        );
        let uniform = run(SamplerName::Euler);
        case.check(
            &format!("sigmas_uniform_{steps}"),
            uniform.trajectory().sigmas(),
        );
    }
}

#[test]
fn dpmpp_2m_karras_in_k_diffusion() {
    let name = SamplerName::Dpmpp2mKarras;
    follows_golden("schedulers/dpmpp_2m_karras_kdiff", name, None);
}

#[test]
fn dpmpp_2m_karras_in_diffusers() {
    let (name, convention) = (SamplerName::Dpmpp2mKarras, Convention::Diffusers);
    follows_golden(
        "schedulers/dpmpp_2m_karras_diffusers",
        name,
        Some(convention),
    );
}

#[test]
fn euler_in_k_diffusion() {
    follows_golden("schedulers/euler_kdiff", SamplerName::Euler, None);
}

#[test]
fn euler_in_diffusers() {
    let (name, convention) = (SamplerName::Euler, Convention::Diffusers);
    follows_golden("schedulers/euler_diffusers", name, Some(convention));
}

#[test]
fn euler_ancestral_in_k_diffusion() {
    follows_golden(
        "schedulers/euler_a_kdiff",
        SamplerName::EulerAncestral,
        None,
    );
}

#[test]
fn euler_ancestral_in_diffusers() {
    let (name, convention) = (SamplerName::EulerAncestral, Convention::Diffusers);
    follows_golden("schedulers/euler_a_diffusers", name, Some(convention));
}

#[test]
fn ddim() {
    follows_golden("schedulers/ddim", SamplerName::Ddim, None);
}

#[test]
fn ddim_ends_with_the_noise_that_the_schedule_says() {
    for (set_alpha_to_one, last) in [(true, 0.0), (false, stable_diffusion().sigmas()[0])] {
        let schedule = NoiseSchedule::new(&NoiseScheduleConfig {
            set_alpha_to_one,
            ..NoiseScheduleConfig::default()
        })
        .expect("a schedule");
        let ddim = sampler(SamplerName::Ddim, None, &schedule, 20, None).expect("a sampler");
        let sigmas = ddim.trajectory().sigmas();
        assert!((sigmas[20] - last).abs() < 1e-5, "{sigmas:?}");
    }
}

#[test]
fn unipc() {
    follows_golden("schedulers/unipc", SamplerName::UniPc, None);
}

#[test]
fn unipc_karras() {
    follows_golden("schedulers/unipc_karras", SamplerName::UniPcKarras, None);
}

#[test]
fn lcm() {
    follows_golden("schedulers/lcm", SamplerName::Lcm, None);
}

/// Image-to-image: the number of steps, their timesteps and the latent that enters the first.
fn starts_like_golden(folder: &str, name: SamplerName, convention: Option<Convention>) {
    let case = Case::load(folder);
    let steps = case.number("/steps") as usize;
    let strength = Some(case.number("/strength"));
    let sampler = sampler(name, convention, &stable_diffusion(), steps, strength)
        .expect("a sampler that exists");
    assert_eq!(sampler.steps() as f64, case.number("/steps_run"));
    case.check("timesteps", sampler.trajectory().timesteps());
    let noise = case.f32("unit_noise");
    let latent = sampler.start(&noise, Some(&case.f32("init_latent")));
    case.check("start_latent", &latent);
}

#[test]
fn image_to_image_in_k_diffusion() {
    let folder = "pipeline/i2i_64x64_dpmpp_2m_karras_kdiff";
    starts_like_golden(folder, SamplerName::Dpmpp2mKarras, None);
}

#[test]
fn image_to_image_in_diffusers() {
    let folder = "pipeline/i2i_128x64_dpmpp_2m_karras_diffusers";
    let convention = Some(Convention::Diffusers);
    starts_like_golden(folder, SamplerName::Dpmpp2mKarras, convention);
    starts_like_golden("pipeline/i2i_64x64_ddim", SamplerName::Ddim, None);
}

/// A whole run of the LayerDiffuse demo, with the noise that its own estimates of the clean
/// latent imply instead of a model.
fn follows_layerdiffuse(folder: &str, init: Option<&str>, strength: Option<f64>) {
    let case = Case::load(folder);
    let steps = case.number("/settings/steps") as usize;
    let convention = Some(Convention::LayerDiffuse);
    let name = SamplerName::Dpmpp2mKarras;
    let mut sampler = sampler(name, convention, &stable_diffusion(), steps, strength)
        .expect("a sampler that exists");
    let within_share_of_peak = |tensor: &str, limit: &str| {
        let share = case.number(&format!("/tolerance/{limit}"));
        Tolerance::max_abs(share * case.tensor(tensor).peak())
    };
    let sigmas = sampler.trajectory().sigmas().to_vec();
    let tolerance = within_share_of_peak("sigmas", "sigmas_rel");
    case.check_within("sigmas", &sigmas, tolerance);
    let timesteps = sampler.trajectory().timesteps();
    case.check_within("timesteps", timesteps, Tolerance::max_abs(0.0));

    let init = init.map(|name| case.f32(name));
    let mut latent = sampler.start(&case.f32("noise"), init.as_deref());
    let tolerance = within_share_of_peak("latent.initial", "latent_rel_to_max");
    case.check_within("latent.initial", &latent, tolerance);
    for (step, &sigma) in sigmas[..steps].iter().enumerate() {
        let denoised = case.f32(&format!("denoised.{step}"));
        let epsilon: Vec<f32> = latent
            .iter()
            .zip(&denoised)
            .map(|(noisy, clean)| (noisy - clean) / sigma as f32)
            .collect();
        latent = sampler.step(step, &latent, &epsilon, &mut || panic!("not stochastic"));
        let name = format!("latent.step.{step}");
        let tolerance = within_share_of_peak(&name, "latent_rel_to_max");
        case.check_within(&name, &latent, tolerance);
    }
}

#[test]
fn layerdiffuse_demo() {
    follows_layerdiffuse("layerdiffuse/e2e_single", None, None);
}

#[test]
fn layerdiffuse_demo_from_an_image() {
    let case = Case::load("layerdiffuse/e2e_img2img");
    let strength = case.number("/img2img/strength");
    follows_layerdiffuse(
        "layerdiffuse/e2e_img2img",
        Some("latent.init"),
        Some(strength),
    );
}

#[test]
fn the_clean_latent_can_be_seen_at_every_step() {
    // Where the latent is one clean picture plus known noise, every sampler must find the picture.
    let clean = [0.5f32, -1.0, 2.0];
    let noise = [1.0f32, -2.0, 0.25];
    for name in SamplerName::ALL.iter().copied() {
        for &convention in name.conventions() {
            let schedule = stable_diffusion();
            let sampler = sampler(name, Some(convention), &schedule, 10, Some(0.5)).expect("one");
            let latent = sampler.start(&noise, Some(&clean));
            let found = sampler.denoised(0, &latent, &noise);
            let tolerance = Tolerance::max_abs(1e-4);
            crate::support::assert_close(
                &format!("{name} in {convention}"),
                &found,
                &clean,
                tolerance,
            );
        }
    }
}

/// A run on a latent of two values with an unchanging prediction, which must stay finite.
fn stays_finite(mut sampler: Box<dyn Sampler>, run: &str) {
    let mut latent = sampler.start(&[0.7, -1.2], None);
    for step in 0..sampler.steps() {
        latent = sampler.step(step, &latent, &[0.1, -0.3], &mut || vec![0.2, -0.4]);
    }
    let finite = latent.iter().all(|value| value.is_finite());
    assert!(finite, "{run}: {latent:?}");
}

#[test]
fn every_number_of_steps_and_spacing_stays_finite() {
    for spacing in ["linspace", "leading", "trailing"] {
        let config = format!(r#"{{"timestep_spacing": "{spacing}"}}"#);
        let schedule = schedule_of(&config).expect("a config");
        for name in SamplerName::ALL.iter().copied() {
            for &convention in name.conventions() {
                for steps in [1, 2, 3, 50, 600, 999, 1000] {
                    if [SamplerName::Lcm, SamplerName::Tcd].contains(&name) && steps > 50 {
                        continue;
                    }
                    let run = format!("{name} in {convention}, {steps} steps, {spacing}");
                    let sampler = sampler(name, Some(convention), &schedule, steps, None);
                    stays_finite(sampler.expect("a sampler"), &run);
                }
            }
        }
    }
}

#[test]
fn names_are_read_and_written() {
    for name in SamplerName::ALL {
        assert_eq!(
            name.to_string().parse::<SamplerName>().expect("a name"),
            *name
        );
    }
    for convention in Convention::ALL {
        let text = convention.to_string();
        assert_eq!(text.parse::<Convention>().expect("a name"), *convention);
    }
    let unknown = "heun".parse::<SamplerName>().unwrap_err();
    assert_eq!(unknown.code, ErrorCode::BadOption);
    let all = "dpmpp-2m-karras, euler, euler-a, ddim, unipc, unipc-karras, lcm or tcd";
    assert!(unknown.hint.contains(all), "{unknown}");
}

#[test]
fn bad_options_are_refused() {
    let schedule = stable_diffusion();
    let refused = |name, convention, steps, strength| {
        let result = sampler(name, convention, &schedule, steps, strength);
        let error = result.err().expect("an error");
        assert_eq!(error.code, ErrorCode::BadOption, "{error}");
    };
    let default = SamplerName::default();
    refused(default, None, 0, None);
    refused(default, None, 1001, None);
    refused(SamplerName::Lcm, None, 51, None);
    refused(default, None, 20, Some(0.0));
    refused(default, None, 20, Some(1.5));
    refused(default, None, 20, Some(f64::NAN));
    refused(default, None, 4, Some(0.2));
    refused(SamplerName::Euler, Some(Convention::LayerDiffuse), 20, None);
    refused(SamplerName::Ddim, Some(Convention::KDiffusion), 20, None);
}

#[test]
fn scheduler_configs_are_read() {
    let real = r#"{"_class_name": "PNDMScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "beta_start": 0.00085, "num_train_timesteps": 1000, "trained_betas": null, "steps_offset": 1}"#;
    let schedule = schedule_of(real).expect("a real config");
    assert_eq!(
        schedule.alphas_cumprod(),
        stable_diffusion().alphas_cumprod()
    );
    let trailing = schedule_of(r#"{"timestep_spacing": "trailing"}"#).expect("a config");
    let run = sampler(SamplerName::Ddim, None, &trailing, 4, None).expect("a sampler");
    assert_eq!(run.trajectory().timesteps(), [999.0, 749.0, 499.0, 249.0]);
}

/// Numbers of betas_for_alpha_bar in diffusers.
#[test]
fn a_cosine_schedule_is_that_of_diffusers() {
    let schedule = schedule_of(r#"{"beta_schedule": "squaredcos_cap_v2"}"#).expect("a config");
    let expected = [(0, 4.128e-5), (499, 0.00315), (999, 0.999)];
    for (timestep, beta) in expected {
        let got = schedule.betas()[timestep];
        assert!((got / beta - 1.0).abs() < 2e-3, "{timestep}: {got}");
    }
}

/// From the same estimate every kind of prediction makes the same run.
#[test]
fn all_kinds_of_prediction_say_the_same() {
    const CLEAN: [f32; 3] = [0.5, -1.25, 2.0];
    let names = [
        SamplerName::Dpmpp2mKarras,
        SamplerName::Euler,
        SamplerName::Ddim,
        SamplerName::UniPc,
        SamplerName::Lcm,
        SamplerName::Tcd,
    ];
    for name in names {
        let runs = ["epsilon", "v_prediction", "sample"].map(|kind| {
            let schedule = schedule_of(&format!(r#"{{"prediction_type": "{kind}"}}"#)).unwrap();
            let mut sampler = sampler(name, None, &schedule, 4, None).unwrap();
            let mut latent = sampler.start(&[1.0, 0.25, -0.75], None);
            for step in 0..sampler.steps() {
                let input = sampler.model_input(step);
                let sigma = sampler.trajectory().sigmas()[step] as f32;
                let alpha = (sigma * sigma + 1.0).sqrt().recip();
                let values = latent.iter().zip(CLEAN);
                let output: Vec<f32> = values
                    .map(|(latent, clean)| {
                        let noise = (latent * input.scale / alpha - clean) / sigma;
                        match kind {
                            "epsilon" => noise,
                            "sample" => clean,
                            _ => alpha * noise - alpha * sigma * clean,
                        }
                    })
                    .collect();
                latent = sampler.step(step, &latent, &output, &mut || vec![0.5, -0.5, 1.0]);
            }
            latent
        });
        for run in &runs[1..] {
            crate::support::assert_close(name.as_str(), run, &runs[0], Tolerance::max_abs(1e-3));
        }
    }
}

#[test]
fn a_clean_latent_is_held_where_the_config_says_so() {
    let schedule = schedule_of(r#"{"clip_sample": true, "prediction_type": "sample"}"#).unwrap();
    for name in [SamplerName::Ddim, SamplerName::Lcm] {
        let run = sampler(name, None, &schedule, 4, None).unwrap();
        let denoised = run.trajectory().estimate(0, &[0.0], &[3.0]).denoised;
        assert_eq!(denoised, [1.0], "{name}");
    }
}

#[test]
fn unsupported_schedules_are_refused() {
    for config in [
        r#"{"prediction_type": "flow_prediction"}"#,
        r#"{"beta_schedule": "sigmoid"}"#,
        r#"{"thresholding": true}"#,
        r#"{"clip_sample": true, "clip_sample_range": 0}"#,
        r#"{"rescale_betas_zero_snr": true}"#,
        r#"{"num_train_timesteps": 0}"#,
        r#"{"beta_end": 1.5}"#,
        r#"{"trained_betas": [0.1, 0.2, 0.3]}"#,
    ] {
        let error = schedule_of(config).unwrap_err();
        assert_eq!(error.code, ErrorCode::ModelUnsupported, "{config}: {error}");
    }
}
