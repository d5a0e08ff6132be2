"""Pictures to latents and back, by diffusers' AutoencoderKL."""

import model
from cases import Recipe
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution


def recipe(name):
    if name == "vae/posterior_clamp":
        return Recipe("diffusers DiagonalGaussianDistribution", posterior)
    if name == "vae/debug":
        return Recipe("diffusers AutoencoderKL", inside)
    if name.startswith("vae/encode_"):
        return Recipe("diffusers AutoencoderKL", encode)
    if name.startswith("vae/decode_"):
        return Recipe("diffusers AutoencoderKL", decode)


def encode(case):
    posterior = model.vae(case.root).encode(case["image"]).latent_dist
    return {"mean": posterior.mean, "logvar": posterior.logvar, "std": posterior.std}


def decode(case):
    image = model.vae(case.root).decode(case["latent"] / case.description["scaling_factor"]).sample
    return {"image": image, "image01": (image / 2 + 0.5).clamp(0, 1)}


def posterior(case):
    posterior = DiagonalGaussianDistribution(case["moments"])
    sample = posterior.mean + posterior.std * case["noise"]
    return {
        "mean": posterior.mean,
        "logvar": posterior.logvar,
        "std": posterior.std,
        "sample": sample,
    }


def inside(case):
    """The output of the main modules on the way."""
    vae, computed = model.vae(case.root), {}

    def run():
        computed["image_out"] = vae.decode(case["latent"]).sample
        vae.encode(case["image_in"])

    names = [name for name in case.limits() if name != "image_out"]
    computed |= model.outputs_of(vae, names, run)
    return computed
