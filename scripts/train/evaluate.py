"""Measure the codec on held-out pictures and the whole model on prompts; draw the contact sheet.

usage: evaluate.py codec | sweep | prompts [steps guidance] | sheet FILE [steps guidance] | all
Everything measured is also kept in metrics.json beside the export.
"""
import json, math, os, sys, time
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import codec, data, diffusion, tokenizer, vae as vae_stage
from common import Pictures, big

STEPS, GUIDANCE = 20, 4.0
SHEET = [
    "a red apple", "a green apple", "a red apple made of glass", "a strawberry", "a slice of watermelon, 3d", "a hamburger",
    "a cat", "a fox", "a penguin, flat", "a butterfly", "an owl", "a whale",
    "a rose", "a cactus", "a christmas tree", "fire", "smoke", "a soap bubble",
    "a blue glass ball", "a rocket", "a car with a soft shadow", "a red heart", "a glowing star", "a ghost",
]


def metrics(**values):
    file = data.path("export", "metrics.json")
    m = json.load(open(file)) if os.path.exists(file) else {}
    m.update(values)
    json.dump(m, open(file, "w"), indent=1)


def half(module):
    """The weights as the f16 export holds them."""
    for p in module.parameters():
        p.data = p.data.half().float()
    return module


class Model:
    def __init__(self, generator=True):
        self.vae = half(vae_stage.load())
        self.enc, self.dec = map(half, codec.load())
        if generator:
            self.text, self.unet = map(half, diffusion.load())
        self.tok = tokenizer.Tokenizer()
        ac = diffusion.alphas()
        self.log_sigmas = (((1 - ac) / ac) ** 0.5).log()

    def prompt(self, texts):
        return self.text(torch.tensor([self.tok(t) for t in texts])).last_hidden_state

    def karras(self, n):
        lo, hi = self.log_sigmas[0].exp().item(), self.log_sigmas[-1].exp().item()
        r = torch.linspace(0, 1, n, dtype=torch.float64)
        s = (hi ** (1 / 7) + r * (lo ** (1 / 7) - hi ** (1 / 7))) ** 7
        return [*s.tolist(), 0.0]

    def timestep(self, sigma):
        """Continuous timestep of a sigma: linear interpolation between log sigmas."""
        l, t = math.log(sigma), self.log_sigmas
        k = int(torch.searchsorted(t, torch.tensor(l, dtype=t.dtype)).clamp(1, len(t) - 1))
        return k - 1 + min(1.0, max(0.0, (l - t[k - 1].item()) / (t[k] - t[k - 1]).item()))

    @torch.no_grad()
    def sample(self, texts, seeds, steps=STEPS, guidance=GUIDANCE):
        """DPM++ 2M on Karras sigmas, start = noise * sigma_max. Returns unscaled latents."""
        noise = torch.stack([torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(s)) for s in seeds])
        cond, empty = self.prompt(texts), self.prompt([""]).expand(len(texts), -1, -1)
        c = torch.cat([empty, cond])
        sig = self.karras(steps)
        x, old, h_last = noise * sig[0], None, None
        for i in range(steps):
            s, n = sig[i], sig[i + 1]
            e = self.unet((x / (s * s + 1) ** 0.5).repeat(2, 1, 1, 1), torch.full((2 * len(x),), self.timestep(s)), c).sample
            e0, e1 = e.chunk(2)
            d = x - s * (e0 + guidance * (e1 - e0))
            if n == 0:
                x = d
                break
            h = math.log(s / n)
            dd = d if old is None else (1 + h / (2 * h_last)) * d - h / (2 * h_last) * old
            x = n / s * x - math.expm1(-h) * dd
            old, h_last = d, h
        return x / vae_stage.SCALE

    @torch.no_grad()
    def decode(self, z, passes=1):
        """Unscaled latent -> straight RGBA. With 8 passes: flips and rotations, lower median."""
        rec = (self.vae.decode(z).sample * 0.5 + 0.5).clamp(0, 1)
        outs = []
        for k in range(passes):
            flip, rot = k // 4, k % 4
            p, l = (rec.flip(3), z.flip(3)) if flip else (rec, z)
            y = self.dec(torch.rot90(p, rot, (2, 3)), torch.rot90(l, rot, (2, 3))).clamp(0, 1)
            y = torch.rot90(y, -rot, (2, 3))
            outs.append(y.flip(3) if flip else y)
        y = torch.stack(outs).median(0).values
        return torch.cat([y[:, 1:], y[:, :1]], 1), rec

    def generate(self, texts, seeds, steps=STEPS, guidance=GUIDANCE, passes=1):
        return torch.cat([self.decode(self.sample(texts[k:k + 64], seeds[k:k + 64], steps, guidance), passes)[0] for k in range(0, len(texts), 64)])


def psnr(mse):
    return -10 * mse.clamp(min=1e-10).log10()


def codec_metrics(m, show=None):
    """Held-out pictures, without and with effects (fixed seeds)."""
    pics = Pictures()
    out = {}
    for name, held in (("held out", pics.held), ("trained", pics.train[:: len(pics.train) // 120])):
        for kinds in ("plain", "effects"):
            e = [data.EFFECTS[0 if kinds == "plain" or pics.meta[i]["style"] == "procedural" else 1 + k % 4] for k, i in enumerate(held)]
            x = data.augment(big(pics.pics, held), torch.Generator().manual_seed(21), e, flip=0)
            with torch.no_grad():
                mean, shift = codec.encode(m.vae, m.enc, x)
                grey = data.composite(x) * 0.5 + 0.5
                row = {}
                for passes in (1, 8):
                    y, rec = m.decode(mean + shift, passes)
                    a = (y[:, 3] - x[:, 3]).abs().mean()
                    prem = ((y[:, :3] * y[:, 3:] - x[:, :3] * x[:, 3:]) ** 2).mean((1, 2, 3))
                    row[f"alpha MAE, {passes} pass"] = a.item()
                    row[f"premultiplied PSNR, {passes} pass"] = psnr(prem).mean().item()
                no, rec0 = m.decode(mean)
                row["alpha MAE without offset"] = (no[:, 3] - x[:, 3]).abs().mean().item()
                row["VAE PSNR with offset"] = psnr(((rec - grey) ** 2).mean((1, 2, 3))).mean().item()
                row["VAE PSNR without offset"] = psnr(((rec0 - grey) ** 2).mean((1, 2, 3))).mean().item()
                row["pictures"] = len(x)
            out[f"{name}, {kinds}"] = {k: round(v, 4) for k, v in row.items()}
            print(name, kinds, out[f"{name}, {kinds}"], flush=True)
            if show and name == "held out":
                k = slice(0, 16)
                rows = [checker(x[k]), checker(y[k]), x[k, 3:].expand(-1, 3, -1, -1), y[k, 3:].expand(-1, 3, -1, -1), rec[k]]
                picture(torch.cat(rows), 16).save(show.replace(".png", f"-{kinds}.png"))
    metrics(codec=out)


def checker(x):
    n = x.shape[-1]
    yy, xx = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    bg = 0.72 + 0.22 * ((yy // 8 + xx // 8) % 2).float()
    return x[:, :3] * x[:, 3:] + bg * (1 - x[:, 3:])


def picture(x, columns, zoom=1):
    n, _, h, w = x.shape
    g = x.reshape(n // columns, columns, 3, h, w).permute(0, 3, 1, 4, 2).reshape(n // columns * h, columns * w, 3)
    im = Image.fromarray((g.clamp(0, 1) * 255 + 0.5).byte().numpy())
    return im.resize((im.width * zoom, im.height * zoom), Image.NEAREST) if zoom > 1 else im


def sheet(m, file, steps=STEPS, guidance=GUIDANCE, prompts=SHEET):
    x = m.generate(prompts, list(range(1, len(prompts) + 1)), steps, guidance)
    picture(checker(x), 6, 2).save(file)


def features(x):
    """Premultiplied RGBA, averaged over 4 x 4 pixels."""
    return F.avg_pool2d(torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], 1), 4).flatten(1)


def sixty():
    nouns = sorted({v[0] for v in data.concepts().values()} | set(data.procedural_nouns()))
    rng = np.random.default_rng(60)
    rest = [n for n in nouns if n not in ("red apple", "green apple")]
    return ["red apple", "green apple"] + [rest[i] for i in sorted(rng.choice(len(rest), 58, replace=False))]


class Judge:
    """Is a training picture of the prompted concept among the nearest ones?"""

    def __init__(self):
        pics = Pictures(only_prompted=True)
        f, self.nouns = [], []
        for k in range(0, len(pics.train), 256):
            idx = pics.train[k:k + 256]
            f.append(features(data.augment(big(pics.pics, idx), torch.Generator().manual_seed(0), ["none"] * len(idx), flip=0, shift=0, scale=(0.95, 0.95))))
            self.nouns += [pics.meta[i]["noun"] for i in idx]
        self.f = torch.cat(f)

    def __call__(self, x, nouns):
        near = torch.cdist(features(x), self.f).topk(5, largest=False).indices
        hits = [[self.nouns[j] == n for j in row] for row, n in zip(near.tolist(), nouns)]
        a = x[:, 3].flatten(1)
        both = ((a < 0.05).float().mean(1) >= 0.05) & ((a > 0.95).float().mean(1) >= 0.05)
        return dict(top1=sum(h[0] for h in hits) / len(hits), top5=sum(any(h) for h in hits) / len(hits), clear_and_opaque=both.float().mean().item())


def prompts(m, judge, steps=STEPS, guidance=GUIDANCE, seeds=4, nouns=None):
    nouns = nouns or sixty()
    texts = [data.article(n) for n in nouns for _ in range(seeds)]
    t = time.time()
    x = m.generate(texts, [1000 + k for k in range(len(texts))], steps, guidance)
    r = judge(x, [n for n in nouns for _ in range(seeds)])
    print(f"steps {steps} guidance {guidance}: ", {k: round(v, 3) for k, v in r.items()}, f"{time.time() - t:.0f} s", flush=True)
    return {k: round(v, 4) for k, v in r.items()}


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    number = [float(a) for a in sys.argv[2:] if a.replace(".", "").isdigit()]
    steps, guidance = (int(number[0]), number[1]) if len(number) == 2 else (STEPS, GUIDANCE)
    m = Model(generator=what != "codec")
    if what in ("codec", "all"):
        codec_metrics(m, data.path("logs", "codec.png"))
    if what in ("sheet", "all"):
        sheet(m, sys.argv[2] if what == "sheet" else data.path("export", "contact-sheet.png"), steps, guidance)
    if what in ("sweep", "all"):
        judge = Judge()
        out = {}
        for s, g in [(20, 1.0), (20, 2.0), (20, 4.0), (20, 7.0), (6, 4.0), (10, 4.0), (30, 4.0)]:
            out[f"{s} steps, guidance {g:g}"] = prompts(m, judge, s, g, seeds=1)
            metrics(sweep=out)
    if what in ("prompts", "all"):
        metrics(prompts=prompts(m, Judge(), steps, guidance) | dict(steps=steps, guidance=guidance))


if __name__ == "__main__":
    main()
