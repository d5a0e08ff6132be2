"""Makes a model of Stable Diffusion 1.5's full size, of noise, and reference numbers for it."""

import argparse
import json
import math
import shutil
import time
import warnings
from pathlib import Path

import full_size_case
import synthetic
import torch
import transparency
from diffusers import AutoencoderKL, UNet2DConditionModel
from full_size_case import ROOT
from layerdiffuse import unit_order
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel

TINY = ROOT / "sd-tiny/model"

# How the configs differ from those of the tiny model.
WIDTHS = {
    "text_encoder": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "projection_dim": 768,
    },
    "unet": {"block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768, "sample_size": 64},
    "vae": {"block_out_channels": [128, 256, 512, 512], "sample_size": 512},
}
WEIGHTS = {
    "text_encoder": "model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}
DECODER_WIDTHS = [32, 32, 64, 128, 256, 512, 512]
ENCODER_WIDTHS = [4, 32, 32, 64, 64, 128, 128, 256, 256, 4]
RANK = 256
# LayerDiffuse's files, with the number of bytes that the published ones have.
LAYERDIFFUSE = {
    "layer_sd15_transparent_attn.safetensors": 350_266_608,
    "layer_sd15_joint.safetensors": 554_404_208,
    "layer_sd15_vae_transparent_decoder.safetensors": 208_266_320,
    "layer_sd15_vae_transparent_encoder.safetensors": 2_365_008,
}


def config(part):
    return json.loads((TINY / part / "config.json").read_text()) | WIDTHS[part]


def model_shapes(part):
    """Names and shapes of the tensors of a part of the model, by the library that defines it."""
    with torch.device("meta"):
        if part == "unet":
            model = UNet2DConditionModel.from_config(config(part))
        elif part == "vae":
            model = AutoencoderKL.from_config(config(part))
        else:
            model = CLIPTextModel(CLIPTextConfig(**config(part)))
    # Published files have this prefix, which transformers has dropped since.
    prefix = "text_model." if part == "text_encoder" else ""
    return {f"{prefix}{name}": list(tensor.shape) for name, tensor in model.state_dict().items()}


def adapter_shapes(frames):
    """Names and shapes of the tensors of an attention-sharing file without a hint encoder."""
    unet, shapes = model_shapes("unet"), {}
    for unit, path in unit_order(ROOT).items():
        width, context = unet[f"{path}.to_q.weight"][0], unet[f"{path}.to_k.weight"][1]
        start = f"hookers.layers.{unit}"
        for projection, inputs in (("to_q", width), ("to_k", context), ("to_v", context), ("to_out", width)):
            for frame in range(frames):
                shapes[f"{start}.{projection}_lora.{frame}.down.weight"] = [RANK, inputs]
                shapes[f"{start}.{projection}_lora.{frame}.up.weight"] = [width, RANK]
        for layer in "iqkvon":
            shapes[f"{start}.temporal_{layer}.weight"] = [width] if layer == "n" else [width, width]
            shapes[f"{start}.temporal_{layer}.bias"] = [width]
    return shapes


def decoder_shapes():
    with torch.device("meta"):
        tensors = transparency.network(DECODER_WIDTHS).state_dict().items()
    shapes = {name: list(tensor.shape) for name, tensor in tensors if not transparency.of_time(name)}
    width = DECODER_WIDTHS[transparency.LATENT_BLOCK - 1]
    return shapes | {"latent_conv_in.weight": [width, 4, 1, 1], "latent_conv_in.bias": [width]}


def encoder_shapes():
    shapes = {}
    for index, (inputs, outputs) in enumerate(zip(ENCODER_WIDTHS, ENCODER_WIDTHS[1:])):
        shapes[f"blocks.{2 * index}.weight"] = [outputs, inputs, 3, 3]
        shapes[f"blocks.{2 * index}.bias"] = [outputs]
    return shapes


def write_model(folder):
    """Writes the model in diffusers' layout, without a tokenizer: it would be CLIP's."""
    index = json.loads((TINY / "model_index.json").read_text()) | {"tokenizer": [None, None]}
    write_json(folder / "model_index.json", index)
    (folder / "scheduler").mkdir(exist_ok=True)
    shutil.copyfile(TINY / "scheduler/scheduler_config.json", folder / "scheduler/scheduler_config.json")
    for part, file in WEIGHTS.items():
        write_json(folder / part / "config.json", config(part))
        write_noise(folder / part / file, part, model_shapes(part))


def write_layerdiffuse(folder):
    attention, joint, decoder, encoder = (folder / name for name in LAYERDIFFUSE)
    write_noise(attention, "adapter", adapter_shapes(frames=1))
    write_noise(joint, "adapter", adapter_shapes(frames=3))
    write_noise(decoder, "transparency_decoder", decoder_shapes())
    write_noise(encoder, "transparency_encoder", encoder_shapes())
    for name, published in LAYERDIFFUSE.items():
        size = (folder / name).stat().st_size
        assert size == published, f"{name} has {size} bytes, the published one {published}"


def write_noise(path, part, shapes):
    """Writes float16 noise, and prints how heavy its tails are."""
    kurtoses = []

    def make(name):
        tensor = synthetic.tensor(part, name, shapes[name]).half()
        if tensor.ndim > 1:
            kurtoses.append(kurtosis(tensor))
        return tensor

    write_safetensors(path, shapes, torch.float16, make)
    low, median, high = torch.tensor(kurtoses).quantile(torch.tensor([0.1, 0.5, 0.9]))
    parameters = sum(map(math.prod, shapes.values()))
    print(
        f"{path.parent.name}/{path.name}: {len(shapes)} tensors, {parameters} parameters, "
        f"{path.stat().st_size} bytes, kurtosis {median:.1f} ({low:.1f} to {high:.1f})",
        flush=True,
    )


def kurtosis(tensor):
    values = tensor.float().flatten()
    values -= values.mean()
    squares = values.square_()
    return (squares.square().mean() / squares.mean() ** 2).item()


def write_single_file(path, model):
    """Writes the model in the folder `model` again, in float32 under the original names."""
    files = {part: safe_open(model / part / file, "pt") for part, file in WEIGHTS.items()}
    shapes, sources = {}, {}
    for original, (part, name) in original_names(files["text_encoder"].keys()).items():
        shape = files[part].get_slice(name).get_shape()
        # In the original, the VAE's attention consists of 1x1 convolutions.
        convolution = part == "vae" and ".attentions." in name and len(shape) == 2
        shapes[original] = shape + [1, 1] if convolution else shape
        sources[original] = files[part], name

    def make(original):
        file, name = sources[original]
        return file.get_tensor(name)

    write_safetensors(path, shapes, torch.float32, make)
    print(f"{path.name}: {len(shapes)} tensors, {path.stat().st_size} bytes", flush=True)


def original_names(text_encoder):
    """Part and name of each tensor of the single file. UNet and VAE have the tiny model's names."""
    tiny = json.loads((ROOT / "sd-tiny/single-file-names.json").read_text())
    names = {original: tuple(own.split(".", 1)) for original, own in tiny.items()}
    names = {original: own for original, own in names.items() if own[0] != "text_encoder"}
    return names | {f"cond_stage_model.transformer.{name}": ("text_encoder", name) for name in text_encoder}


def write_safetensors(path, shapes, dtype, make):
    """Writes the tensors that `make` gives for the names in `shapes`, with one in memory at a time."""
    header, end = {}, 0
    kind = {torch.float16: "F16", torch.float32: "F32"}[dtype]
    for name, shape in sorted(shapes.items()):
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in header:
            file.write(make(name).to(dtype).contiguous().numpy())


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder to write")
    parser.add_argument("--single-file", action="store_true", help="also write the original layout")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)  # how sums round depends on it
    warnings.filterwarnings("ignore")

    start = time.monotonic()
    write_model(options.folder / "model")
    write_layerdiffuse(options.folder)
    if options.single_file:
        write_single_file(options.folder / "single-file.safetensors", options.folder / "model")
    print(f"weights: {time.monotonic() - start:.0f} s", flush=True)
    full_size_case.write(options.folder)
    print(f"everything: {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
