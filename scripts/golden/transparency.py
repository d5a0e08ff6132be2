"""The transparency decoder, put together from diffusers' UNet2DModel.

LayerDiffuse's own class is made of the same blocks. What differs: it knows no time, which weights
of zero for the time's projections achieve here, and a convolution of the latent is added to the
stream before the fourth block.
"""

import torch
from cases import Recipe
from diffusers import UNet2DModel
from safetensors.torch import load_file

LATENT_BLOCK = 3
WEIGHTS = "layerdiffuse/weights/layer_sd15_vae_transparent_decoder.safetensors"


def recipe(name):
    if name == "layerdiffuse/decoder":
        return Recipe("network of diffusers' blocks put together here", compute, limits)


def network(widths):
    """The decoder of levels with these numbers of channels, without what takes in the latent."""
    plain, attentive = len(widths) - 3, 3
    return UNet2DModel(
        in_channels=3,
        out_channels=4,
        block_out_channels=widths,
        down_block_types=["DownBlock2D"] * plain + ["AttnDownBlock2D"] * attentive,
        up_block_types=["AttnUpBlock2D"] * attentive + ["UpBlock2D"] * plain,
        layers_per_block=2,
        norm_num_groups=4,
        attention_head_dim=8,
    )


def of_time(name):
    """Whether a tensor of `network` is one that the decoder lacks."""
    return name.startswith("time_embedding.") or ".time_emb_proj." in name


class Decoder(torch.nn.Module):
    """The decoder in `file`: picture in 0..1 and unscaled latent to alpha, red, green and blue."""

    def __init__(self, file):
        super().__init__()
        tensors = load_file(file)
        weight = tensors.pop("latent_conv_in.weight")
        self.latent_conv_in = torch.nn.Conv2d(weight.shape[1], weight.shape[0], 1)
        self.latent_conv_in.load_state_dict({"weight": weight, "bias": tensors.pop("latent_conv_in.bias")})
        levels = sum(name.endswith("resnets.0.conv1.weight") for name in tensors if "down_blocks" in name)
        first = "down_blocks.{}.resnets.0.conv1.weight".format
        self.network = network([len(tensors[first(level)]) for level in range(levels)])
        empty = self.network.state_dict().items()
        zeros = {name: torch.zeros_like(tensor) for name, tensor in empty if of_time(name)}
        self.network.load_state_dict(tensors | zeros)
        self.eval()

    def forward(self, pixels, latent):
        def add_latent(_block, arguments, options):
            taken_in = self.latent_conv_in(latent)
            return arguments, options | {"hidden_states": options["hidden_states"] + taken_in}

        block = self.network.down_blocks[LATENT_BLOCK]
        hook = block.register_forward_pre_hook(add_latent, with_kwargs=True)
        try:
            return self.network(pixels, 0).sample
        finally:
            hook.remove()


def passes(decoder, pixels, latent):
    """The clipped results of the eight flips and quarter turns of both inputs, turned back."""
    results = []
    for flipped in (False, True):
        for quarters in range(4):
            turned = [torch.rot90(flip(x, flipped), quarters, (2, 3)) for x in (pixels, latent)]
            result = decoder(*turned).clamp(0, 1)
            results.append(flip(torch.rot90(result, -quarters, (2, 3)), flipped))
    return torch.cat(results)


def flip(x, flipped):
    return x.flip(3) if flipped else x


def lower_median(results):
    """The fourth smallest of the eight passes, element by element."""
    return results.median(0, keepdim=True).values


def compute(case):
    decoder, computed = Decoder(case.root / WEIGHTS), {}
    for size in {name.partition(".")[0] for name in case.tensors}:
        pixels, latent = case[f"{size}.pixel"], case[f"{size}.latent"]
        results = passes(decoder, pixels, latent)
        augmented = lower_median(results)
        computed |= {
            f"{size}.raw": decoder(pixels, latent),
            f"{size}.passes": results,
            f"{size}.augmented": augmented,
            f"{size}.rgba_u8": (augmented[0, [1, 2, 3, 0]] * 255).permute(1, 2, 0).to(torch.uint8),
        }
    return computed


def limits(case):
    stated = case.description["tolerance"]
    by_kind = {
        "raw": stated["raw_max_abs"],
        "augmented": stated["augmented_max_abs"],
        "passes": stated["augmented_max_abs"],
        "rgba_u8": 1,
    }
    kinds = {name: name.partition(".")[2] for name in case.tensors}
    return {name: (by_kind[kind], None) for name, kind in kinds.items() if kind in by_kind}
