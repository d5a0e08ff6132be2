"""Latent, timestep and context to predicted noise, by diffusers' UNet2DConditionModel."""

import model
from cases import Recipe


def recipe(name):
    if name == "unet/debug":
        return Recipe("diffusers UNet2DConditionModel", inside)
    if name.startswith("unet/"):
        return Recipe("diffusers UNet2DConditionModel", outputs)


def outputs(case):
    unet = model.unet(case.root)

    def epsilon(timestep):
        return model.epsilon(unet, case["latent"], timestep, case["context"])

    timesteps = case.description["timesteps"]
    computed = {f"eps_t{timestep:g}": epsilon(timestep) for timestep in timesteps}
    if "fractional_timestep" in case.description:
        computed["eps_fractional"] = epsilon(case.description["fractional_timestep"])
    if "timestep_per_item" in case.inputs:
        computed["eps_per_item"] = epsilon(case["timestep_per_item"])
    return computed


def inside(case):
    """The output of the main modules on the way."""
    unet, computed = model.unet(case.root), {}

    def run():
        timestep = case.description["timestep"]
        computed["eps"] = model.epsilon(unet, case["latent"], timestep, case["context"])

    names = [name for name in case.limits() if name != "eps"]
    computed |= model.outputs_of(unet, names, run)
    return computed
