"""The trained model as a program runs it: prompts to latents to pictures, in f16 weights as the export holds them."""
import torch

import adapters, base, codec, data, distil, networks, schedule, sharing, tokenizer

STEPS, GUIDANCE = 3 if data.SMOKE else 16, 3.0


def half(module):
    """The weights as the f16 export holds them."""
    for p in module.parameters():
        p.data = p.data.half().float()
    return module


class Model:
    def __init__(self, size, layers=None, few_steps=False, generator=True):
        self.size, self.layers, self.few_steps = size, layers, few_steps
        self.vae, self.enc, self.dec = map(half, codec.load())
        self.tok, self.karras = tokenizer.Tokenizer(), schedule.Karras()
        if generator:
            self.text, self.unet = base.load(size)
            if few_steps:
                distil.merged(size, self.unet)
            half(self.text), half(self.unet)
            self.adapter = half(adapters.load(layers, self.unet)) if layers else None

    def prompt(self, texts):
        return self.text(torch.tensor([self.tok(t) for t in texts])).last_hidden_state

    @torch.no_grad()
    def sample(self, texts, seeds, steps=STEPS, guidance=GUIDANCE, hint=None):
        """Unscaled latents. `texts` and `seeds` are one a frame, frames fastest; `hint` [rows, 3, H, W] is what a conditional
        adapter sees."""
        n = self.size // 8
        noise = torch.stack([torch.randn(4, n, n, generator=torch.Generator().manual_seed(s)) for s in seeds])
        cond = self.prompt(texts)
        if self.few_steps:
            generators = [torch.Generator().manual_seed(s + (1 << 20)) for s in seeds]
            z = schedule.lcm_sample(lambda x, t: self.unet(x, torch.full((len(x),), t), cond).sample, noise, steps, generators)
            return z / networks.SCALE
        c = torch.cat([self.prompt([""]).expand(len(texts), -1, -1), cond])
        if hint is not None:
            self.adapter.condition(hint.repeat(2, 1, 1, 1))

        def network(x, t):
            v0, v1 = self.unet(x.repeat(2, 1, 1, 1), torch.full((2 * len(x),), t), c).sample.chunk(2)
            return v0 + guidance * (v1 - v0)
        return self.karras.sample(network, noise, steps) / networks.SCALE

    @torch.no_grad()
    def picture(self, z):
        """What the VAE makes of unscaled latents, in [0, 1]."""
        return (self.vae.decode(z).sample * 0.5 + 0.5).clamp(0, 1)

    @torch.no_grad()
    def decode(self, z, passes=1):
        """Unscaled latents -> (straight RGBA, the VAE's picture). With 8 passes: flips and rotations, lower median."""
        rec, outs = self.picture(z), []
        for k in range(passes):
            flip, rot = k // 4, k % 4
            p, l = (rec.flip(3), z.flip(3)) if flip else (rec, z)
            y = self.dec(torch.rot90(p, rot, (2, 3)), torch.rot90(l, rot, (2, 3))).clamp(0, 1)
            y = torch.rot90(y, -rot, (2, 3))
            outs.append(y.flip(3) if flip else y)
        y = torch.stack(outs).median(0).values
        return torch.cat([y[:, 1:], y[:, :1]], 1), rec

    def generate(self, texts, seeds, steps=STEPS, guidance=GUIDANCE, passes=1, batch=16):
        """Straight RGBA for prompts."""
        return torch.cat([self.decode(self.sample(texts[k:k + batch], seeds[k:k + batch], steps, guidance), passes)[0] for k in range(0, len(texts), batch)])

    def frames(self, texts, seeds, hint=None, steps=STEPS, guidance=GUIDANCE):
        """For lists of frame prompts and a seed each: {frame: RGBA for the foreground, RGB for the others}."""
        names = sharing.FRAMES[self.layers]
        out = {name: [] for name in names}
        for k in range(0, len(texts), 4):
            flat = [t for row in texts[k:k + 4] for t in row]
            numbers = [s + f for s in seeds[k:k + 4] for f in range(len(names))]
            z = self.sample(flat, numbers, steps, guidance, None if hint is None else hint[k:k + 4]).unflatten(0, (-1, len(names)))
            for f, name in enumerate(names):
                out[name].append(self.decode(z[:, f])[0] if name == "foreground" else self.picture(z[:, f]))
        return {name: torch.cat(v) for name, v in out.items()}
