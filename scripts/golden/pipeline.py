"""Whole runs on the tiny model, from token ids to the picture.

Text to image with a diffusers sampler runs diffusers' StableDiffusionPipeline. The other cases run
a loop written here, around diffusers' models and the samplers of `schedulers.py`.
"""

import model
import schedulers
import torch
from cases import Recipe
from diffusers import StableDiffusionPipeline


def recipe(name):
    folder, _, own = name.partition("/")
    if folder != "pipeline":
        return None
    kind, _, sampler = own.partition("_")
    sampler = next(known for known in [*schedulers.BY_HAND, *schedulers.BY_DIFFUSERS] if known in sampler)
    if kind == "t2i" and sampler in schedulers.BY_DIFFUSERS:
        return Recipe("diffusers StableDiffusionPipeline", by_diffusers)
    return Recipe(f"{schedulers.reference(sampler)}; loop written here", by_loop)


def by_loop(case):
    settings, computed = case.description, {}
    run = schedulers.sampler(scheduler_case(case), settings["steps"])
    context = computed["context"] = model.text_features(case.root, case["token_ids"])
    if settings["strength"] is None:
        latent = run.start(case["unit_noise"])
    else:
        posterior = model.vae(case.root).encode(case["image"]).latent_dist
        clean = computed["init_latent"] = posterior.mean * model.SCALING_FACTOR
        latent = start_from(run, clean, case["unit_noise"], int(settings["steps"] * settings["strength"]))
    computed["start_latent"] = latent
    guide = guided(model.unet(case.root), context, settings["guidance_scale"])
    latents = []
    for step, timestep in enumerate(run.timesteps):
        epsilon = guide(run.model_input(step, latent), timestep)
        latent = run.step(step, latent, epsilon, None)
        latents.append(latent)
    return computed | results(case, run, latents)


def by_diffusers(case):
    settings, latents = case.description, []
    run = schedulers.sampler(scheduler_case(case), settings["steps"])
    pipeline = StableDiffusionPipeline(
        vae=model.vae(case.root),
        text_encoder=model.text_encoder(case.root),
        tokenizer=None,
        unet=model.unet(case.root),
        scheduler=run.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)

    def keep(_pipeline, _step, _timestep, tensors):
        latents.append(tensors["latents"])
        return {}

    context = model.text_features(case.root, case["token_ids"])
    negative = context[:1] if len(context) == 2 else None
    picture = pipeline(
        prompt_embeds=context[-1:],
        negative_prompt_embeds=negative,
        height=settings["height"],
        width=settings["width"],
        num_inference_steps=settings["steps"],
        guidance_scale=settings["guidance_scale"],
        latents=case["unit_noise"],
        output_type="pt",
        callback_on_step_end=keep,
    ).images
    computed = {"context": context, "start_latent": run.start(case["unit_noise"])}
    return computed | results(case, run, latents) | {"image01": picture}


def scheduler_case(case):
    return case.sibling(f"schedulers/{case.description['sampler']}")


def start_from(run, clean, noise, steps):
    """The noisy latent that enters the last `steps` steps of `run`."""
    if isinstance(run, schedulers.Diffusers):
        return run.start_from(clean, noise, steps)
    run.__init__(run.sigmas[-steps - 1 :])
    return run.start(noise, clean)


def guided(unet, context, scale):
    """The UNet's noise, pushed away from that of the negative prompt in the first row."""

    def epsilon(latent, timestep):
        rows = model.epsilon(unet, latent.expand(len(context), -1, -1, -1), timestep, context)
        return rows if len(rows) == 1 else rows[:1] + scale * (rows[1:] - rows[:1])

    return epsilon


def results(case, run, latents):
    computed = {
        "timesteps": run.timesteps.float(),
        "latents": torch.cat(latents),
        "final_latent": latents[-1],
        "image01": model.picture(case.root, latents[-1]),
    }
    if run.sigmas is not None:
        computed["sigmas"] = run.sigmas.float()
    return computed
