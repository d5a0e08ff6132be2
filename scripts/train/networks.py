"""The networks of mini: picture VAE, offset encoder, transparency decoder, text encoder, UNets of three sizes."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.embeddings import get_timestep_embedding
from transformers import CLIPTextConfig, CLIPTextModel

import schedule, tokenizer

SCALE = 0.18215
VAE = dict(
    in_channels=3, out_channels=3, block_out_channels=(16, 32, 64, 128), layers_per_block=1, latent_channels=4,
    down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    norm_num_groups=8, sample_size=256, scaling_factor=SCALE, act_fn="silu",
)
TEXT = 128
WIDTHS = {64: (96, 128, 160), 128: (64, 96, 128, 160), 256: (32, 64, 96, 128, 160)}
TIME = 384  # width of the time embedding, the same at all sizes, so that what hangs on it can be kept
ENCODER_WIDTHS = (16, 32, 64, 96)
DECODER_WIDTHS = (16, 24, 48, 64, 80)
GROUPS, HEAD = 4, 8


def vae():
    return AutoencoderKL(**VAE)


def unet_config(size):
    """A new outer level, without attention, for each doubling of the picture."""
    widths = WIDTHS[size]
    plain = len(widths) - 3
    return dict(
        sample_size=size // 8, in_channels=4, out_channels=4, block_out_channels=widths, layers_per_block=1,
        down_block_types=("DownBlock2D",) * plain + ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D") + ("UpBlock2D",) * plain,
        cross_attention_dim=TEXT, attention_head_dim=4, norm_num_groups=32, norm_eps=1e-5, time_embedding_dim=TIME,
        flip_sin_to_cos=True, freq_shift=0, downsample_padding=1, mid_block_scale_factor=1, act_fn="silu", center_input_sample=False,
    )


def unet(size):
    m = UNet2DConditionModel(**unet_config(size))
    m.set_attn_processor(AttnProcessor())  # with this few tokens the plain attention is much faster on a CPU than the fused one
    return m


def text_config():
    n = len(tokenizer.Tokenizer().vocab)
    return CLIPTextConfig(vocab_size=n, hidden_size=TEXT, intermediate_size=4 * TEXT, num_hidden_layers=3, num_attention_heads=4,
                          max_position_embeddings=77, hidden_act="quick_gelu", layer_norm_eps=1e-5, projection_dim=TEXT,
                          bos_token_id=n - 2, eos_token_id=n - 1, pad_token_id=n - 1)


def text():
    m = CLIPTextModel(text_config())
    m.set_attn_implementation("eager")
    return m


def time_of_half(weight, bias, channels):
    """The first layer of the time embedding for a UNet whose outermost level has this many channels: what comes near the smaller UNet's embedding
    (`weight`, `bias`) of the timestep at which that one would see as much noise, which is half of it in the mean of four cells."""
    embedding = lambda t, n: get_timestep_embedding(t, n, flip_sin_to_cos=True, downscale_freq_shift=0).double()
    ratio = ((1 - schedule.alphas()) / schedule.alphas()).sqrt().numpy()
    own = torch.arange(schedule.STEPS)
    same = torch.from_numpy(np.interp(ratio / 2, ratio, own.numpy()))
    wanted = embedding(same, weight.shape[1]) @ weight.T.double() + bias.double()
    given = torch.cat([embedding(own, channels), torch.ones(len(own), 1)], 1)
    ridge = 1e-3 * len(own) * torch.eye(channels + 1)
    fit = torch.linalg.solve(given.T @ given + ridge, given.T @ wanted).T.float()
    return fit[:, :-1].contiguous(), fit[:, -1].contiguous()


def grown(small, size):
    """A UNet for `size` with all that fits taken from the state of one for half of it; the rest is new."""
    m = unet(size)
    state, levels = m.state_dict(), len(WIDTHS[size])
    kept = 0
    for name, old in small.items():
        part = name.split(".")
        if part[0] == "down_blocks":  # the new level is the first on the way down and the last on the way up
            part[1] = str(int(part[1]) + 1)
        if part[0] in ("conv_in", "conv_out", "conv_norm_out"):
            continue
        if name == "time_embedding.linear_1.weight":
            state[name], state["time_embedding.linear_1.bias"] = time_of_half(old, small["time_embedding.linear_1.bias"], WIDTHS[size][0])
            continue
        if name == "time_embedding.linear_1.bias":
            continue
        name = ".".join(part)
        if name in state and state[name].shape == old.shape:
            state[name] = old.clone()
            kept += old.numel()
        elif name in state and name.endswith("conv1.weight") and state[name].shape[0] == old.shape[0]:
            k = WIDTHS[size][1]  # inputs are what comes from below and then the skip, which has another width now
            if part[0] == "up_blocks" and state[name].shape[1] > k:
                state[name][:, :k] = old[:, :k]
    m.load_state_dict(state)
    print(f"{kept:,} of {sum(v.numel() for v in state.values()):,} weights of the {levels}-level UNet come from the smaller one", flush=True)
    return m


class OffsetEncoder(nn.Module):
    """Nine 3x3 convolutions, three of them with stride 2; the last starts at zero."""

    def __init__(self, widths=ENCODER_WIDTHS, latent=4):
        super().__init__()
        a, b, c, d = widths
        plan = [(4, a, 1), (a, a, 1), (a, b, 2), (b, b, 1), (b, c, 2), (c, c, 1), (c, d, 2), (d, d, 1), (d, latent, 1)]
        layers = []
        for i, o, s in plan:
            layers += [nn.Conv2d(i, o, 3, stride=s, padding=1), nn.SiLU()]
        self.blocks = nn.Sequential(*layers[:-1])
        nn.init.zeros_(self.blocks[-1].weight)
        nn.init.zeros_(self.blocks[-1].bias)

    def forward(self, argb):
        return self.blocks(argb)


class Resnet(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(GROUPS, i, 1e-5), nn.Conv2d(i, o, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(GROUPS, o, 1e-5), nn.Conv2d(o, o, 3, padding=1)
        if i != o:
            self.conv_shortcut = nn.Conv2d(i, o, 1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.group_norm = nn.GroupNorm(GROUPS, c, 1e-5)
        self.to_q, self.to_k, self.to_v = nn.Linear(c, c), nn.Linear(c, c), nn.Linear(c, c)
        self.to_out = nn.ModuleList([nn.Linear(c, c)])

    def forward(self, x):
        b, c, h, w = x.shape
        t = self.group_norm(x).flatten(2).transpose(1, 2)
        q, k, v = (f(t).view(b, h * w, c // HEAD, HEAD).transpose(1, 2) for f in (self.to_q, self.to_k, self.to_v))
        p = (q @ k.transpose(2, 3) * HEAD ** -0.5).softmax(-1)  # few tokens: faster than the fused call
        o = (p.to(v.dtype) @ v).transpose(1, 2).reshape(b, h * w, c)
        return x + self.to_out[0](o).transpose(1, 2).reshape(b, c, h, w)


class Sampler(nn.Module):
    def __init__(self, c, up):
        super().__init__()
        self.conv, self.up = nn.Conv2d(c, c, 3, stride=1 if up else 2, padding=1), up

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest") if self.up else x)


class Block(nn.Module):
    def __init__(self, pairs, attention, down=False, up=False):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(i, o) for i, o in pairs])
        if attention:
            self.attentions = nn.ModuleList([Attention(o) for _, o in pairs])
        if down:
            self.downsamplers = nn.ModuleList([Sampler(pairs[-1][1], False)])
        if up:
            self.upsamplers = nn.ModuleList([Sampler(pairs[-1][1], True)])

    def layer(self, i, x):
        x = self.resnets[i](x)
        return self.attentions[i](x) if hasattr(self, "attentions") else x


class Decoder(nn.Module):
    """LayerDiffuse's UNet1024 with free widths; attention on the last `attended` levels."""

    def __init__(self, widths=DECODER_WIDTHS, attended=2):
        super().__init__()
        n = len(widths)
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.latent_conv_in = nn.Conv2d(4, widths[2], 1)
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        skips, c = [widths[0]], widths[0]
        for k, w in enumerate(widths):
            self.down_blocks.append(Block([(c, w), (w, w)], k >= n - attended, down=k < n - 1))
            skips += [w, w] + ([w] if k < n - 1 else [])
            c = w
        self.mid_block = nn.Module()
        self.mid_block.resnets = nn.ModuleList([Resnet(c, c), Resnet(c, c)])
        self.mid_block.attentions = nn.ModuleList([Attention(c)])
        for k, w in enumerate(reversed(widths)):
            pairs = []
            for _ in range(3):
                pairs.append((c + skips.pop(), w))
                c = w
            self.up_blocks.append(Block(pairs, k < attended, up=k < n - 1))
        self.conv_norm_out = nn.GroupNorm(GROUPS, c, 1e-5)
        self.conv_out = nn.Conv2d(c, 4, 3, padding=1)

    def forward(self, pixel, latent):
        """pixel in [0,1], unscaled latent -> A,R,G,B (not clipped)."""
        x = self.conv_in(pixel)
        skips = [x]
        for k, b in enumerate(self.down_blocks):
            if k == 3:
                x = x + self.latent_conv_in(latent)
            for i in range(2):
                x = b.layer(i, x)
                skips.append(x)
            if hasattr(b, "downsamplers"):
                x = b.downsamplers[0](x)
                skips.append(x)
        m = self.mid_block
        x = m.resnets[1](m.attentions[0](m.resnets[0](x)))
        for b in self.up_blocks:
            for i in range(3):
                x = b.layer(i, torch.cat([x, skips.pop()], 1))
            if hasattr(b, "upsamplers"):
                x = b.upsamplers[0](x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


class Patch(nn.Module):
    """Five-layer PatchGAN discriminator on A,R,G,B."""

    def __init__(self, w=24):
        super().__init__()
        plan = [(4, w, 2), (w, 2 * w, 2), (2 * w, 4 * w, 2), (4 * w, 4 * w, 1)]
        layers = []
        for k, (i, o, s) in enumerate(plan):
            layers += [nn.Conv2d(i, o, 4, s, 1)] + ([nn.GroupNorm(4, o)] if k else []) + [nn.LeakyReLU(0.2)]
        self.net = nn.Sequential(*layers, nn.Conv2d(4 * w, 1, 4, 1, 1))

    def forward(self, x):
        return self.net(x)
