"""Layer adapters on the frozen base, trained on triples (section 3.3). usage: adapters.py joint|fg2bg|bg2fg [minutes]"""
import os, sys
import numpy as np
import torch
import torch.nn.functional as F

import base, caches, captions, data, networks, schedule, sharing, tokenizer
from common import Run, ema_of, launch, minutes, number_type

SIZE, EMPTY = data.FINAL, 0.1
AT = {"foreground": 0, "background": 1, "blend": 2}  # in a cached triple


def frame_captions(kind, d, rng):
    """A caption for each frame. As a request has them: one for each frame, the blend's for all, or each in front of the blend's;
    for bg2fg also the foreground's for all."""
    own = {"foreground": captions.of_object(dict(d["object"], small=0), rng), "background": captions.of_background(d["scene"], rng),
           "blend": captions.of_blend(d["object"], d["scene"], d["slot"], rng)}
    frames, u = sharing.FRAMES[kind], rng.random()
    if u < 0.5:
        return [own[f] for f in frames]
    if u < 0.75:
        return [own["blend"]] * len(frames)
    if kind == "bg2fg" and u < 0.9:
        return [own["foreground"]] * len(frames)
    if kind == "fg2bg" and u < 0.9:
        return [own["background"]] * len(frames)
    return [own["blend"] if f == "blend" else f"{own[f]}, {own['blend']}" for f in frames]


def condition(kind, cache, rows):
    """What the hint encoder sees of these triples."""
    pictures = [cache.pixels(i) for i in rows]
    if sharing.CONDITION[kind] == "foreground":
        return sharing.on_grey(torch.from_numpy(np.stack([f for f, _ in pictures])).permute(0, 3, 1, 2).float() / 255)
    return torch.from_numpy(np.stack([b for _, b in pictures])).permute(0, 3, 1, 2).float() / 127.5 - 1


def train(kind, time_, batch=16):
    text, unet = base.load(SIZE)
    torch.manual_seed(7)
    adapter = sharing.Adapter(kind, unet)
    if os.path.exists(data.path("ckpt", f"layers-{kind}-start.pt")):
        adapter.start(ema_of(f"layers-{kind}-start")["adapter"])
    print(kind, sum(p.numel() for p in adapter.parameters()), "parameters in", len(adapter.hookers.layers), "units", flush=True)
    params = list(adapter.parameters())
    opt = torch.optim.AdamW(params, lr=2e-3, betas=(0.9, 0.99), weight_decay=0.01)
    run = Run(f"layers-{kind}", dict(adapter=adapter), dict(all=opt), ["adapter"], time_, seed=7, ema=0.995)
    conditional = sharing.CONDITION[kind] is not None
    cache, tok, noise = caches.Cache(SIZE, "triples", pixels=conditional), tokenizer.Tokenizer(), schedule.Noise()
    frames = [AT[f] for f in sharing.FRAMES[kind]]
    n, f = SIZE // 8, len(frames)
    if conditional:
        adapter.condition(torch.zeros(1, 3, SIZE, SIZE))
    adapter.requires_grad_(True)

    def probe():
        if conditional:
            adapter.condition(torch.zeros(batch, 3, SIZE, SIZE))
        return unet(torch.randn(batch * f, 4, n, n), 500, torch.randn(batch * f, 77, networks.TEXT)).sample

    autocast = number_type(probe)
    while run.running():
        run.schedule(warm=50)
        rows = [int(i) for i in run.rng.integers(0, len(cache), batch)]
        x = cache.z[rows][:, frames].float().flatten(0, 1)
        ids = [tok("" if dropped else c) for i, dropped in zip(rows, run.rng.random(batch) < EMPTY) for c in frame_captions(kind, cache.described[i], run.rng)]
        t = noise.timesteps(batch, run.gen).repeat_interleave(f)
        noisy, v = noise.add(x, t, torch.randn(x.shape, generator=run.gen))
        with autocast():
            with torch.no_grad():
                c = text(torch.tensor(ids)).last_hidden_state
            if conditional:
                adapter.condition(condition(kind, cache, rows))
            said = unet(noisy, t, c).sample
        loss = F.mse_loss(said.float(), v)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        run.done_step(batch, loss=loss.item())


def load(kind, unet):
    """Attach a trained adapter to a UNet."""
    adapter = sharing.Adapter(kind, unet)
    adapter.load_state_dict(ema_of(f"layers-{kind}")["adapter"])
    return adapter.eval().requires_grad_(False)


if __name__ == "__main__":
    launch(train, sys.argv[1], minutes(sys.argv[2:], 60))
