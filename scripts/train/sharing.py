"""The released LayerDiffuse architecture of several frames: per-frame LoRA, temporal attention, hint encoder and control convolutions.

A batch holds rows x frames with the frames as the fastest index. Names of parameters are those of the released files
(`hookers.layers.{unit}...`, `kwargs_encoder.blocks_{level}...`), so that state_dict() is the file.
"""
import re

import torch
import torch.nn as nn
import torch.nn.functional as F

FRAMES = {"joint": ("foreground", "background", "blend"), "fg2bg": ("background", "blend"), "bg2fg": ("foreground", "blend")}
CONDITION = {"joint": None, "fg2bg": "foreground", "bg2fg": "background"}
RANK = 16
HINT = (16, 16, 24, 24, 32, 32, 64, 64)  # widths of the convolutions of the first group; 32, 32, 64, 64, 128, 128, 256, 256 in the released files


def keeping(conv):
    """A convolution whose output, after a SiLU, varies about as much as its input. Through a row of them with PyTorch's own first weights next to
    nothing of a picture arrives, and the condition is never learned."""
    nn.init.normal_(conv.weight, 0, 1.9 / (9 * conv.in_channels) ** 0.5)
    nn.init.zeros_(conv.bias)
    return conv


class Lora(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.down, self.up = nn.Linear(inputs, RANK, bias=False), nn.Linear(RANK, outputs, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.up(self.down(x))


class Unit(nn.Module):
    """One attention: an attention processor of diffusers. Its result is what the block adds to its residual stream."""

    def __init__(self, attention, frames, level=None):
        super().__init__()
        h, c = attention.to_q.in_features, attention.to_k.in_features
        self.frames, self.level, self.signal = frames, level, None
        loras = lambda i, o: nn.ModuleList([Lora(i, o) for _ in range(frames)])
        self.to_q_lora, self.to_k_lora, self.to_v_lora, self.to_out_lora = loras(h, h), loras(c, h), loras(c, h), loras(h, h)
        self.temporal_i, self.temporal_q, self.temporal_k, self.temporal_v, self.temporal_o = (nn.Linear(h, h) for _ in range(5))
        self.temporal_n = nn.LayerNorm(h, eps=1e-6)
        nn.init.zeros_(self.temporal_o.weight)
        nn.init.zeros_(self.temporal_o.bias)
        if level is not None:
            width = HINT[-1]
            self.control_convs = nn.ModuleList([nn.Sequential(keeping(nn.Conv2d(width, width, 3, padding=1)), nn.SiLU(), nn.Conv2d(width, h, 1)) for _ in range(frames)])
            for branch in self.control_convs:
                nn.init.zeros_(branch[2].weight)
                nn.init.zeros_(branch[2].bias)

    def _changed(self, layer, loras, x):
        """x [rows, frames, tokens, channels] through a layer and each frame's own change of it."""
        return layer(x) + torch.stack([lora(x[:, f]) for f, lora in enumerate(loras)], 1)

    @staticmethod
    def _attend(q, k, v, heads):
        split = lambda t: t.unflatten(-1, (heads, -1)).transpose(-2, -3)
        q, k, v = split(q), split(k), split(v)
        p = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        return (p.to(v.dtype) @ v).transpose(-2, -3).flatten(-2)

    def __call__(self, attention, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None, *args, **kwargs):
        return self.forward(attention, hidden_states, encoder_hidden_states)

    def forward(self, attention, state, context):
        f, heads = self.frames, attention.heads
        x = state.unflatten(0, (-1, f))
        given = x
        if self.level is not None:
            hint = self.signal[self.level]  # [rows or 1, width, h, w]
            x = x + torch.stack([branch(hint).flatten(2).transpose(1, 2) for branch in self.control_convs], 1)
        c = x if context is None else context.unflatten(0, (-1, f))
        o = self._attend(self._changed(attention.to_q, self.to_q_lora, x), self._changed(attention.to_k, self.to_k_lora, c), self._changed(attention.to_v, self.to_v_lora, c), heads)
        y = x + self._changed(attention.to_out[0], self.to_out_lora, o)
        t = self.temporal_i(self.temporal_n(y)).transpose(1, 2)  # [rows, tokens, frames, channels]
        t = self._attend(self.temporal_q(t), self.temporal_k(t), self.temporal_v(t), heads)
        return (y + self.temporal_o(t).transpose(1, 2) - given).flatten(0, 1)


class HintEncoder(nn.Module):
    """A condition picture in [-1, 1] to one map for each level of the UNet; SiLU after every convolution."""

    def __init__(self, levels):
        super().__init__()
        plan, last = [], 3
        for width, stride in zip(HINT, (1, 1, 2, 1, 2, 1, 2, 1)):
            plan += [keeping(nn.Conv2d(last, width, 3, stride=stride, padding=1)), nn.SiLU()]
            last = width
        self.blocks_0, self.levels = nn.Sequential(*plan), levels
        for k in range(1, levels):
            setattr(self, f"blocks_{k}", nn.Sequential(keeping(nn.Conv2d(last, last, 3, stride=2, padding=1)), nn.SiLU(), keeping(nn.Conv2d(last, last, 3, padding=1)), nn.SiLU()))

    def forward(self, x):
        maps = []
        for k in range(self.levels):
            x = getattr(self, f"blocks_{k}")(x)
            maps.append(x)
        return maps


class Adapter(nn.Module):
    """The units of all attentions of a UNet, in the released order: down, up, the middle last, self-attention first."""

    def __init__(self, kind, unet):
        super().__init__()
        self.kind, self.frames = kind, len(FRAMES[kind])
        levels = len(unet.down_blocks)
        self.conditional = conditional = CONDITION[kind] is not None
        order = {"down_blocks": 0, "up_blocks": 1, "mid_block": 2}
        paths = sorted((p.removesuffix(".processor") for p in unet.attn_processors), key=lambda p: (order[p.split(".")[0]], p))

        def level(path):
            part = path.split(".")
            return {"down_blocks": lambda: int(part[1]), "up_blocks": lambda: levels - 1 - int(part[1]), "mid_block": lambda: levels - 1}[part[0]]()

        self.paths = paths
        units = [Unit(unet.get_submodule(p), self.frames, level(p) if conditional else None) for p in paths]
        self.hookers = nn.Module()
        self.hookers.layers = nn.ModuleList(units)
        if conditional:
            self.kwargs_encoder = HintEncoder(levels)
        for path, unit in zip(paths, units):
            unet.get_submodule(path).processor = unit

    def start(self, state):
        """Begin with the state of an adapter for the same UNet, or for the one of half its size that it was grown from: attentions are the same
        ones, and of the hint encoder the level more passes on what it is given, in half the size."""
        own = self.state_dict()
        more = self.conditional and f"kwargs_encoder.blocks_{self.kwargs_encoder.levels - 1}.0.weight" not in state
        for name, old in state.items():
            level = re.fullmatch(r"kwargs_encoder\.blocks_([1-9])(.*)", name)
            own[f"kwargs_encoder.blocks_{int(level[1]) + 1}{level[2]}" if more and level else name] = old
        self.load_state_dict(own)
        if more:
            half, same = (self.kwargs_encoder.blocks_1[k] for k in (0, 2))
            with torch.no_grad():
                nn.init.dirac_(same.weight)
                half.weight.zero_()
                each = torch.arange(HINT[-1])
                half.weight[each, each, 1:, 1:] = 0.25

    def condition(self, picture):
        """Set what the control convolutions see: [rows or 1, 3, H, W] in [-1, 1]."""
        maps = self.kwargs_encoder(picture)
        for unit in self.hookers.layers:
            unit.signal = maps


def on_grey(rgba):
    """How a foreground is shown to the hint encoder: over mid-grey, in [-1, 1]. [n,4,H,W] straight."""
    return (rgba[:, :3] - 0.5) * rgba[:, 3:] * 2
