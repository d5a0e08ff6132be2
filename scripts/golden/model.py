"""The tiny Stable Diffusion 1.5 of the golden data, loaded by diffusers and transformers.

The copy in `tests/golden` keeps only those rows of the text encoder's token table that the cases
use. The whole table is put together again here, with zeros elsewhere.
"""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel
from trim import TABLE

VOCABULARY = 49408
SCALING_FACTOR = 0.18215

_scratch = tempfile.TemporaryDirectory(prefix="glassine-golden-")


@cache
def folder(root):
    """A folder in diffusers' layout with all weights."""
    original = root / "sd-tiny/model"
    if (original / "text_encoder/model.safetensors").is_file():
        return original
    copy = Path(_scratch.name) / "sd-tiny"
    shutil.copytree(original, copy)
    reduced = load_file(copy / "text_encoder/model-used-tokens.safetensors")
    (copy / "text_encoder/model-used-tokens.safetensors").unlink()
    save_file(whole_table(reduced), copy / "text_encoder/model.safetensors", {"format": "pt"})
    return copy


def whole_table(reduced):
    """The text encoder's tensors, from those with a reduced token table."""
    rows, ids = reduced[f"{TABLE}.rows"], reduced[f"{TABLE}.ids"]
    table = torch.zeros(VOCABULARY, rows.shape[1], dtype=rows.dtype)
    table[ids.long()] = rows
    others = {name: tensor for name, tensor in reduced.items() if not name.startswith(TABLE)}
    return {TABLE: table, **others}


def load(kind, path):
    """A model of the class `kind` with the config and weights in the folder `path`."""
    return kind.from_pretrained(path).float().eval()


@cache
def text_encoder(root):
    return load(CLIPTextModel, folder(root) / "text_encoder")


@cache
def unet(root):
    return load(UNet2DConditionModel, folder(root) / "unet")


@cache
def vae(root):
    return load(AutoencoderKL, folder(root) / "vae")


def text_features(root, ids):
    """What the UNet is given of token ids `[rows, 77]`."""
    return text_encoder(root)(ids.long()).last_hidden_state


def epsilon(unet, latent, timestep, context):
    """The noise that a UNet predicts; `timestep` is a number or one per row."""
    return unet(latent, torch.as_tensor(timestep), context).sample


def picture(root, latent):
    """The picture, in 0..1, of a latent as it leaves a sampler."""
    return (vae(root).decode(latent / SCALING_FACTOR).sample / 2 + 0.5).clamp(0, 1)


def outputs_of(module, names, run):
    """Calls `run` and gives the outputs of the modules `names` inside `module`."""
    outputs = {}

    def keep(name):
        def hook(_module, _inputs, output):
            if isinstance(output, tuple):
                output = output[0]
            outputs[name] = getattr(output, "sample", output)

        return hook

    hooks = [module.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return outputs
