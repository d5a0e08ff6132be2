"""LoRA files merged into the tiny model. Only the full golden data has these cases.

The merge is written here, since diffusers loses alphas that differ from layer to layer; the merged
models run in diffusers and transformers.
"""

import copy

import model
from cases import Recipe
from safetensors.torch import load_file


def recipe(name):
    if name.startswith("lora/"):
        return Recipe("merge written here, models by diffusers", compute)


def compute(case):
    file = load_file(case.folder / case.description["lora_file"])
    computed = {}
    for suffix, strength in (("base", 0.0), ("1_0", 1.0), ("0_6", 0.6)):
        encoder = merged(model.text_encoder(case.root), file, "te", strength)
        unet = merged(model.unet(case.root), file, "unet", strength)
        text = encoder(case["token_ids"].long()).last_hidden_state
        epsilon = model.epsilon(unet, case["latent"], case.description["timestep"], text)
        names = ("base_text", "base_eps") if suffix == "base" else (f"text_{suffix}", f"eps_{suffix}")
        computed |= dict(zip(names, (text, epsilon)))
    return computed


def merged(module, file, part, strength):
    """A copy of `module` with `strength` times the LoRA layers for it added to its weights."""
    module = copy.deepcopy(module)
    for name, inner in module.named_modules():
        if not hasattr(inner, "weight"):
            continue
        for down, up, alpha in keys(part, name):
            if down in file:
                down, up = file[down].float(), file[up].float()
                scale = strength * file[alpha].item() / len(down) if alpha in file else strength
                # A convolution's second factor is 1x1, so that it too is a product of matrices.
                product = up.flatten(1) @ down.flatten(1)
                inner.weight.data += scale * product.reshape(inner.weight.shape)
    return module


def keys(part, name):
    """Names of down, up and alpha of a layer, in kohya's form and in PEFT's."""
    if part == "te":
        name = f"text_model.{name.removeprefix('text_model.')}"
    kohya = f"lora_{part}_{name.replace('.', '_')}"
    peft = f"{'text_encoder' if part == 'te' else 'unet'}.{name}"
    yield f"{kohya}.lora_down.weight", f"{kohya}.lora_up.weight", f"{kohya}.alpha"
    yield f"{peft}.lora_A.weight", f"{peft}.lora_B.weight", f"{peft}.alpha"
