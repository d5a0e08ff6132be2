"""The tiny model's two forms hold the same tensors, by diffusers' own conversion.

Diffusers turns an original single file into its layout. Here it is given the folder's tensors under
the original names, and has to give back every one of them, bit for bit.
"""

import json

import model
from cases import Recipe
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from safetensors.torch import load_file

FILES = {"text_encoder": "model", "unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}


def recipe(name):
    if name == "sd-tiny":
        return Recipe("diffusers' conversion", compute, limits, folder_tensors, "the weights themselves")


def folder_tensors(case):
    """The tensors of the folder in diffusers' layout, by part and name."""
    return {
        f"{part}.{name}": tensor
        for part, file in FILES.items()
        for name, tensor in load_file(model.folder(case.root) / part / f"{file}.safetensors").items()
    }


def single_file(case):
    """The single file: the published one, or else what the table of names makes of the folder."""
    published = case.root / "sd-tiny/single-file.safetensors"
    if published.is_file():
        return load_file(published)
    names = json.loads((case.root / "sd-tiny/single-file-names.json").read_text())
    return {original: case.tensors[canonical] for original, canonical in names.items()}


def compute(case):
    original = single_file(case)
    unet = json.loads((model.folder(case.root) / "unet/config.json").read_text())
    vae = json.loads((model.folder(case.root) / "vae/config.json").read_text())
    parts = {
        "text_encoder": convert_ldm_clip_checkpoint(dict(original)),
        "unet": convert_ldm_unet_checkpoint(dict(original), unet),
        "vae": convert_ldm_vae_checkpoint(dict(original), vae),
    }
    converted = {
        f"{part}.{name}": tensor
        for part, tensors in parts.items()
        for name, tensor in tensors.items()
    }
    return {name: converted[name].reshape(tensor.shape) for name, tensor in case.tensors.items()}


def limits(case):
    """Every bit is the same."""
    return dict.fromkeys(case.tensors, (0, None))
