"""Stage 2: latent transparency (LayerDiffuse section 3.1) with the picture VAE frozen.

An offset encoder hides alpha (and the padded colour) in a small shift of the latent; a UNet decodes
the VAE's reconstruction and the shifted latent back to alpha and colour. Channel order is A,R,G,B.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

import data, vae as vae_stage
from common import Pictures, Run, launch

GAIN = 300.0
ENCODER_WIDTHS = (16, 32, 64, 96)
DECODER_WIDTHS = (16, 24, 48, 64, 80)
GROUPS, HEAD = 4, 8


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


def encode(vae, offset_net, rgba, gain=GAIN):
    """RGBA -> (posterior mean, shift). The adjusted latent is their sum (unscaled)."""
    post = vae.encode(data.composite(rgba)).latent_dist
    argb = torch.cat([rgba[:, 3:], data.pad_rgb(rgba)], 1)
    return post.mean, post.std * gain * offset_net(argb)


def target(rgba):
    """What the decoder should return: alpha and colour, padded where alpha is (nearly) 0."""
    k = (rgba[:, 3:] * 8).clamp(0, 1)
    return torch.cat([rgba[:, 3:], rgba[:, :3] * k + data.pad_rgb(rgba) * (1 - k)], 1)


def reconstruction(y, t):
    """Alpha, padded colour (weighted by alpha) and the picture as seen on black and white."""
    a, b = y[:, :1], t[:, :1]
    weight = 0.1 + 0.9 * b
    loss = 1.5 * (a - b).abs().mean() + 2.0 * ((a - b) ** 2).mean() + (weight * (y[:, 1:] - t[:, 1:]).abs()).mean()
    pa, pb = a * y[:, 1:], b * t[:, 1:]
    loss = loss + 0.5 * (pa - pb).abs().mean() + 2 * ((pa - pb) ** 2).mean()
    for u, v in zip(vae_stage.gradient(torch.cat([a, pa], 1)), vae_stage.gradient(torch.cat([b, pb], 1))):
        loss = loss + 0.4 * (u - v).abs().mean()
    return loss


def train(minutes=20, batch=8, disc_from=7.0, joint=12.0):
    """Encoder and decoder together for `joint` minutes, then the decoder alone. (More minutes later
    improve the decoder and leave the latents as they are.)"""
    vae = vae_stage.load()
    torch.manual_seed(2)
    enc, dec, disc = OffsetEncoder(), Decoder(), Patch()
    print("encoder", sum(p.numel() for p in enc.parameters()), "decoder", sum(p.numel() for p in dec.parameters()))
    opt = torch.optim.AdamW([dict(params=enc.parameters(), lr=3e-4), dict(params=dec.parameters(), lr=1.2e-3)], betas=(0.9, 0.99), weight_decay=1e-4)
    opt_d = torch.optim.AdamW(disc.parameters(), lr=3e-4, betas=(0.5, 0.99))
    run = Run("codec", dict(enc=enc, dec=dec, disc=disc), dict(gen=opt, disc=opt_d), ["enc", "dec"], minutes, seed=2)
    pics = Pictures()
    while run.running():
        run.schedule()
        x, _, _ = pics.batch(batch, run.rng, run.gen, plain=0.55)
        t = target(x)
        on_grey = data.composite(x)
        frozen = run.used > joint * 60
        if frozen and enc.blocks[0].weight.requires_grad:
            enc.load_state_dict(run.ema["enc"].state_dict())
            enc.requires_grad_(False)
        with torch.set_grad_enabled(not frozen), torch.autocast("cpu", torch.bfloat16):
            mean, shift = encode(vae, enc, x)
        mean, shift = mean.float(), shift.float()
        drop = (torch.rand(batch, 1, 1, 1, generator=run.gen) > 0.3).float()
        # some samples see a slightly noisy latent, as a diffusion model would give
        level = torch.rand(batch, 1, 1, 1, generator=run.gen) * 0.25 * (torch.rand(batch, 1, 1, 1, generator=run.gen) < 0.5)
        noise = torch.randn(mean.shape, generator=run.gen) * level / vae_stage.SCALE
        with torch.autocast("cpu", torch.bfloat16):
            z = mean + shift * drop + noise
            with torch.set_grad_enabled(not frozen):
                rec = vae.decode(z).sample.float()
            y = dec((rec * 0.5 + 0.5).clamp(0, 1), z).float()
        clean = ((level == 0) & (drop > 0)).float()
        identity = (((rec - on_grey) ** 2) * clean).sum() / (clean.sum() * rec[0].numel()).clamp(min=1)
        loss = reconstruction(y, t) + identity
        adv = torch.zeros(())
        if run.used > disc_from * 60:
            with torch.autocast("cpu", torch.bfloat16):
                adv = -disc(y).float().mean()
            loss = loss + 0.01 * adv
        # keep the adjusted latents near the distribution the VAE had
        loss = loss + 0.02 * (shift * vae_stage.SCALE).pow(2).mean()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*enc.parameters(), *dec.parameters()], 1.0)
        opt.step()
        if run.used > (disc_from - 1) * 60:
            with torch.autocast("cpu", torch.bfloat16):
                d_loss = F.relu(1 - disc(t).float()).mean() + F.relu(1 + disc(y.detach()).float()).mean()
            opt_d.zero_grad(set_to_none=True)
            d_loss.backward()
            opt_d.step()
            run.log["disc"] = 0.98 * run.log.get("disc", 1.0) + 0.02 * float(d_loss.detach())
        run.done_step(batch, loss=loss.item(), alpha=(y[:, :1] - t[:, :1]).abs().mean().item(), identity=identity.item(), shift=(shift * vae_stage.SCALE).std().item())


def load(which="codec"):
    s = torch.load(data.path("ckpt", which + ".pt"), weights_only=False)["ema"]
    enc, dec = OffsetEncoder(), Decoder()
    enc.load_state_dict(s["enc"])
    dec.load_state_dict(s["dec"])
    return enc.eval().requires_grad_(False), dec.eval().requires_grad_(False)


if __name__ == "__main__":
    import sys
    launch(train, float(sys.argv[1]) if len(sys.argv) > 1 else 20)
