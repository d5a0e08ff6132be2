"""Text encoder and UNet on the adjusted latents, trained together: at 64 pixels from nothing, at 128 and 256 grown from the size below.

usage: base.py SIZE [minutes]
"""
import os, sys
import numpy as np
import torch
import torch.nn.functional as F

import caches, captions, data, networks, schedule, tokenizer
from common import Run, ema_of, launch, minutes, number_type

EMPTY = 0.1       # share of samples without a caption, for guidance
CAPTIONS, DRAWS = 20, 2  # captions in a batch, and noises for each


class Mix:
    """Latents with captions made anew: objects alone on transparency, plain backgrounds, objects in scenes. For the first part of the
    time objects are most of it where the network has seen no scenes: what is known as a whole is soon found again where it is small."""
    EARLY, FIRST = 0.25, dict(object=0.85, foreground=0.05, background=0.05, blend=0.05)
    SHARES = dict(object=0.34, foreground=0.10, background=0.12, blend=0.44)

    def __init__(self, size):
        self.early = 0.0 if begun(size) or size > 128 else self.EARLY
        self.objects = caches.Cache(size, "objects")
        self.scenes = size > 64
        if self.scenes:
            self.backgrounds, self.triples = caches.Cache(size, "backgrounds"), caches.Cache(size, "triples")
        self.by_noun = {}
        for i, d in enumerate(self.objects.described):
            self.by_noun.setdefault(d["noun"], []).append(i)
        self.nouns = sorted(self.by_noun)

    def draw(self, rng, progress=1.0):
        """(latent, caption) for that part of the time."""
        shares = self.FIRST if progress < self.early else self.SHARES
        what = rng.choice(list(shares), p=list(shares.values())) if self.scenes else "object"
        if what == "object":
            rows = self.by_noun[self.nouns[rng.integers(len(self.nouns))]]
            i = rows[rng.integers(len(rows))]
            return self.objects.z[i, 0], captions.of_object(self.objects.described[i], rng)
        if what == "background" and rng.random() < 0.5:
            i = rng.integers(len(self.backgrounds))
            return self.backgrounds.z[i, 0], captions.of_background(self.backgrounds.described[i], rng)
        i = rng.integers(len(self.triples))
        d = self.triples.described[i]
        if what == "background":
            return self.triples.z[i, 1], captions.of_background(d["scene"], rng)
        if what == "foreground":
            return self.triples.z[i, 0], captions.of_object(d["object"], rng)
        return self.triples.z[i, 2], captions.of_blend(d["object"], d["scene"], d["slot"], rng)


def begun(size):
    """The stage whose checkpoint a pack of this size has left, if there is one."""
    stage = f"base-{size}-start"
    return stage if os.path.exists(data.path("ckpt", stage + ".pt")) else None


def start(size):
    """(text encoder, UNet) to begin with."""
    torch.manual_seed(3)
    text = networks.text()
    if size == 64:
        return text, networks.unet(64)
    if begun(size):
        s, unet = ema_of(begun(size)), networks.unet(size)
        text.load_state_dict(s["text"])
        unet.load_state_dict(s["unet"])
        return text, unet
    trained = f"base-{size // 2}"
    s = ema_of(trained if os.path.exists(data.path("ckpt", trained + ".pt")) else begun(size // 2))
    text.load_state_dict(s["text"])
    return text, networks.grown(s["unet"], size)


def train(size, time_):
    text, unet = start(size)
    params = [*unet.parameters(), *text.parameters()]
    opt = torch.optim.AdamW(params, lr=8e-4, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    run = Run(f"base-{size}", dict(text=text, unet=unet), dict(all=opt), ["text", "unet"], time_, seed=size, ema=0.998)
    mix, tok, noise = Mix(size), tokenizer.Tokenizer(), schedule.Noise()
    n = size // 8
    batch = CAPTIONS * DRAWS
    autocast = number_type(lambda: unet(torch.randn(batch, 4, n, n), 500, torch.randn(batch, 77, networks.TEXT)).sample)
    while run.running():
        run.schedule(warm=100)
        drawn = [mix.draw(run.rng, run.progress) for _ in range(CAPTIONS)]
        ids = [tok("" if run.rng.random() < EMPTY else caption) for _, caption in drawn]
        x = torch.stack([z for z, _ in drawn for _ in range(DRAWS)]).float()
        t = noise.timesteps(len(x), run.gen)
        noisy, v = noise.add(x, t, torch.randn(x.shape, generator=run.gen))
        with autocast():
            c = text(torch.tensor(ids)).last_hidden_state
            said = unet(noisy, t, c.repeat_interleave(DRAWS, 0)).sample
        loss = F.mse_loss(said.float(), v)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        run.done_step(len(x), loss=loss.item())


def load(size):
    """(text encoder, UNet) as they were trained, frozen."""
    text, unet = networks.text(), networks.unet(size)
    s = ema_of(f"base-{size}")
    text.load_state_dict(s["text"])
    unet.load_state_dict(s["unet"])
    return text.eval().requires_grad_(False), unet.eval().requires_grad_(False)


if __name__ == "__main__":
    size = int(sys.argv[1])
    launch(train, size, minutes(sys.argv[2:], {64: 60, 128: 110, 256: 115}[size]))
