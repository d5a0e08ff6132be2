"""Noise schedules and sampling trajectories.

Cases in diffusers' convention run diffusers' schedulers; those in k-diffusion's run the samplers
of `kdiffusion.py`. In place of a model there is the formula that the cases state.
"""

import math
from unittest import mock

import diffusers
import torch
from cases import Recipe
from kdiffusion import Dpmpp2m, Euler, EulerAncestral, Table

BY_DIFFUSERS = {
    "ddim": "DDIMScheduler",
    "dpmpp_2m_karras_diffusers": "DPMSolverMultistepScheduler",
    "euler_diffusers": "EulerDiscreteScheduler",
    "euler_a_diffusers": "EulerAncestralDiscreteScheduler",
    "lcm": "LCMScheduler",
    "unipc": "UniPCMultistepScheduler",
    "unipc_karras": "UniPCMultistepScheduler",
}
BY_HAND = {
    "dpmpp_2m_karras_kdiff": (Dpmpp2m, Table.karras),
    "euler_kdiff": (Euler, Table.uniform),
    "euler_a_kdiff": (EulerAncestral, Table.uniform),
}


def recipe(name):
    folder, _, own = name.partition("/")
    if folder != "schedulers":
        return None
    if own == "tables":
        return Recipe("formulas here, float32 product by diffusers", tables)
    return Recipe(reference(own), trajectories)


def reference(name):
    """What computes the steps of the sampler `name`."""
    if name in BY_HAND:
        return "k-diffusion's sampler, written here"
    return f"diffusers {BY_DIFFUSERS[name]}"


class Diffusers:
    """A diffusers scheduler with the interface of `KDiffusion`."""

    def __init__(self, scheduler, steps):
        scheduler.set_timesteps(steps)
        self.scheduler, self.timesteps, self.drawn = scheduler, scheduler.timesteps, 0
        self.sigmas = getattr(scheduler, "sigmas", None)

    def start(self, noise):
        return noise * self.scheduler.init_noise_sigma

    def start_from(self, clean, noise, steps):
        """Goes to the last `steps` steps, and mixes noise into a clean latent for them."""
        first = len(self.timesteps) - steps
        self.timesteps = self.timesteps[first:]
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(first)
        return self.scheduler.add_noise(clean, noise, self.timesteps[:1])

    def model_input(self, step, latent):
        return self.scheduler.scale_model_input(latent, self.timesteps[step])

    def step(self, step, latent, epsilon, noises):
        def draw(*_arguments, **_options):
            self.drawn += 1
            return noises[self.drawn - 1]

        module = type(self.scheduler).__module__
        with mock.patch(f"{module}.randn_tensor", draw, create=True):
            return self.scheduler.step(epsilon, self.timesteps[step], latent).prev_sample


def sampler(case, steps):
    """The sampler of a case of `schedulers/`, at its first step."""
    name = case.folder.name
    if name in BY_HAND:
        kind, sigmas = BY_HAND[name]
        return kind(sigmas(Table(), steps))
    kind = getattr(diffusers, BY_DIFFUSERS[name])
    return Diffusers(kind(**case.description["config"]), steps)


def denoise(latent, timestep):
    """The analytic stand-in for a model."""
    channel, row, column = torch.meshgrid(*map(torch.arange, latent.shape[1:]), indexing="ij")
    mean = (1.3 * channel + 0.5 * row - 0.3 * column).sin()
    angle = math.pi / 2 * timestep / 1000
    wave = 0.15 * (2 * latent + 0.01 * timestep).sin()
    return math.sin(angle) * (latent - math.cos(angle) * mean) + wave


def trajectories(case):
    computed = {}
    for steps in case.description["steps"]:
        run = sampler(case, steps)
        noises = case.tensors.get(f"noise_{steps}")
        latent = run.start(case["unit_noise"])
        epsilons, latents = [], []
        computed[f"start_{steps}"] = latent
        for step in range(steps):
            seen = run.model_input(step, latent)
            epsilons.append(denoise(seen, run.timesteps[step].item()))
            latent = run.step(step, latent, epsilons[-1], noises)
            latents.append(latent)
        assert run.drawn == case.description["noise_tensors_used"][str(steps)]
        computed[f"timesteps_{steps}"] = run.timesteps.float()
        computed[f"eps_{steps}"] = torch.stack(epsilons)
        computed[f"x_{steps}"] = torch.stack(latents)
        if run.sigmas is not None:
            computed[f"sigmas_{steps}"] = run.sigmas.float()
    return computed


def tables(case):
    table = Table()
    computed = {
        "betas": table.betas.float(),
        "alphas_cumprod": table.alphas_cumprod.float(),
        "alphas_cumprod_f64": table.alphas_cumprod,
        "sigmas": table.sigmas,
        "log_sigmas": table.log_sigmas,
        "alphas_cumprod_diffusers_f32": ddim(case).alphas_cumprod,
    }
    for steps in (4, 20, 25):
        karras = table.karras(steps)
        computed[f"sigmas_karras_{steps}"] = karras
        computed[f"t_karras_{steps}"] = table.timestep_of(karras[:-1])
        computed[f"sigmas_uniform_{steps}"] = table.uniform(steps)
    return computed


def ddim(case):
    return diffusers.DDIMScheduler(**case.sibling("schedulers/ddim").description["config"])
