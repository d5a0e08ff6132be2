"""Latent transparency (LayerDiffuse section 3.1).

An offset encoder hides alpha (and the padded colour) in a small shift of the latent; a UNet decodes the VAE's reconstruction and the
shifted latent back to alpha and colour. Channel order is A,R,G,B.

usage: codec.py start [minutes]   from nothing at 64 pixels, with the VAE frozen
       codec.py tune [minutes]    all three networks on turned and flipped crops of pictures of 256 pixels
       codec.py decoders [minutes]  what reads latents alone, the VAE's decoder too, at the model's size; latents made before stay good
"""
import copy, os, sys
import numpy as np
import torch
import torch.nn.functional as F

import data, effects, networks, vae as vae_stage
from common import Run, ema_of, launch, minutes, number_type

GAIN = 300.0
DROPPED = 0.3  # share of samples whose latent has no offset (section 4.9)


def encode(vae, offset_net, rgba, gain=GAIN):
    """RGBA -> (posterior mean, shift, posterior). The adjusted latent is the sum of the first two (unscaled)."""
    post = vae.encode(effects.composite(rgba)).latent_dist
    argb = torch.cat([rgba[:, 3:], effects.pad_rgb(rgba)], 1)
    return post.mean, post.std * gain * offset_net(argb), post


def target(rgba):
    """What the decoder should return: alpha and colour, padded where alpha is (nearly) 0."""
    k = (rgba[:, 3:] * 8).clamp(0, 1)
    return torch.cat([rgba[:, 3:], rgba[:, :3] * k + effects.pad_rgb(rgba) * (1 - k)], 1)


def reconstruction(y, t):
    """Alpha, padded colour (weighted by alpha) and the picture as seen on black."""
    a, b = y[:, :1], t[:, :1]
    weight = 0.1 + 0.9 * b
    loss = 1.5 * (a - b).abs().mean() + 2.0 * ((a - b) ** 2).mean() + (weight * (y[:, 1:] - t[:, 1:]).abs()).mean()
    pa, pb = a * y[:, 1:], b * t[:, 1:]
    loss = loss + 0.5 * (pa - pb).abs().mean() + 2 * ((pa - pb) ** 2).mean()
    for u, v in zip(vae_stage.gradient(torch.cat([a, pa], 1)), vae_stage.gradient(torch.cat([b, pb], 1))):
        loss = loss + 0.4 * (u - v).abs().mean()
    return loss


def train(stage, time_):
    """`start`: the VAE is frozen. `tune`: it goes along, slowly; the identity loss then holds with and without the offset. `decoders`:
    as `tune`, with both encoders frozen."""
    tune, decoders = stage != "start", stage == "decoders"
    torch.manual_seed(2)
    disc = networks.Patch()
    vae, enc, dec = load() if decoders else (vae_stage.load_start(), networks.OffsetEncoder(), networks.Decoder())
    dec = dec.to(memory_format=torch.channels_last).requires_grad_(True)
    if stage == "tune":
        s = ema_of("codec")
        enc.load_state_dict(s["enc"])
        dec.load_state_dict(s["dec"])
    vae.requires_grad_(tune)
    if decoders:
        for encoder in (vae.encoder, vae.quant_conv, enc):
            encoder.requires_grad_(False)
    # At seven times these rates the loss of networks that are trained already rises in `tune`.
    rates = dict(start=dict(enc=3e-4, dec=1.2e-3), tune=dict(vae=4e-5, enc=3e-5, dec=1e-4), decoders=dict(vae=3e-4, dec=6e-4))[stage]
    nets = dict(vae=vae, enc=enc, dec=dec) if tune else dict(enc=enc, dec=dec)
    opt = torch.optim.AdamW([dict(params=nets[k].parameters(), lr=r) for k, r in rates.items()], betas=(0.9, 0.99), weight_decay=1e-4)
    opt_d = torch.optim.AdamW(disc.parameters(), lr=3e-4, betas=(0.5, 0.99))
    name, batch, size, shrink = dict(start=("codec", 8, 64, 4), tune=("codec-256", 4, 128, 1), decoders=("decoders", 4, 128, data.SIZE // data.FINAL))[stage]
    run = Run(name, dict(nets, disc=disc), dict(gen=opt, disc=opt_d), list(nets), time_, seed=2)
    pool = vae_stage.Pool()
    autocast = number_type(lambda: dec(torch.rand(1, 3, size, size), torch.randn(1, 4, size // 8, size // 8)))
    params = [p for n in nets.values() for p in n.parameters()]
    while run.running():
        run.schedule(warm=60)
        x = pool.crops(batch, size, run.rng, shrink)
        t, on_grey = target(x), effects.composite(x)
        adversarial = run.progress > 0.4
        keep = (torch.rand(batch, 1, 1, 1, generator=run.gen) > DROPPED).float()
        # some samples see a slightly noisy latent, as a diffusion model would give
        level = torch.rand(batch, 1, 1, 1, generator=run.gen) * 0.2 * (torch.rand(batch, 1, 1, 1, generator=run.gen) < 0.4)
        with autocast():
            mean, shift, post = encode(vae, enc, x)
            mean, shift = mean.float(), shift.float()
            z = mean + shift * keep
            noisy = z + torch.randn(z.shape, generator=run.gen) * level / networks.SCALE
            rec = vae.decode(noisy).sample.float()
            y = dec((rec * 0.5 + 0.5).clamp(0, 1), noisy).float()
        clean = (level == 0).float()
        identity = (((rec - on_grey) ** 2) * clean * keep).sum() / ((clean * keep).sum() * rec[0].numel()).clamp(min=1)
        loss = reconstruction(y, t) + (4 if tune else 1) * identity
        # keep the adjusted latents near the distribution the VAE had
        loss = loss + 0.02 * (shift * networks.SCALE).pow(2).mean()
        if tune:
            loss = loss + vae_stage.picture_loss(rec * clean, on_grey * clean) + 2e-4 * vae_stage.divergence(post)
        if adversarial:
            with autocast():
                loss = loss - 0.01 * disc(y).float().mean()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        if run.progress > 0.35:
            with autocast():
                d_loss = F.relu(1 - disc(t).float()).mean() + F.relu(1 + disc(y.detach()).float()).mean()
            opt_d.zero_grad(set_to_none=True)
            d_loss.backward()
            opt_d.step()
            run.log["disc"] = 0.98 * run.log.get("disc", 1.0) + 0.02 * float(d_loss.detach())
        run.done_step(batch, loss=loss.item(), alpha=(y[:, :1] - t[:, :1]).abs().mean().item(), identity=identity.item(), shift=(shift * networks.SCALE).std().item())


def load():
    """(vae, offset encoder, transparency decoder), frozen: the tuned ones if they are there."""
    vae, enc, dec = networks.vae(), networks.OffsetEncoder(), networks.Decoder()
    source = data.path("ckpt", "codec-final.pt")
    if os.path.exists(source):
        s = torch.load(source)
    else:
        source = data.path("ckpt", "codec.pt")
        s = dict(ema_of("codec"), vae=torch.load(data.path("ckpt", "vae-final.pt")))
    if data.newer(data.path("ckpt", "decoders.pt"), source):  # older ones belong to other latents
        s = dict(s, **ema_of("decoders"))
    for k, m in (("vae", vae), ("enc", enc), ("dec", dec)):
        m.load_state_dict(s[k])
        m.eval().requires_grad_(False)
    return vae, enc, dec


@torch.no_grad()
def finish():
    """Fold the statistics of the tuned latents into the networks; from here on the latents stay as they are."""
    s = ema_of("codec-256")
    vae, enc, dec = networks.vae(), networks.OffsetEncoder(), networks.Decoder()
    for k, m in (("vae", vae), ("enc", enc), ("dec", dec)):
        m.load_state_dict(s[k])
        m.eval().requires_grad_(False)
    pool, rng, z = vae_stage.Pool(), np.random.default_rng(5), []
    for _ in range(2 if data.SMOKE else 100):
        mean, shift, _ = encode(vae, enc, pool.crops(4, 256, rng))
        z.append(mean + shift)
    x = pool.held(4)
    mean, shift, _ = encode(vae, enc, x)
    before = dec(vae.decode(mean + shift).sample * 0.5 + 0.5, mean + shift)
    vae_stage.normalise(vae, torch.cat(z), dec)
    mean, shift, post = encode(vae, enc, x)
    after = dec(vae.decode(mean + shift).sample * 0.5 + 0.5, mean + shift)
    z = (mean + shift) * networks.SCALE
    print("normalisation changes pictures by", (before - after).abs().max().item(), "latent mean", z.mean((0, 2, 3)).tolist(), "std", z.std((0, 2, 3)).tolist(), "posterior std", post.std.mean().item() * networks.SCALE)
    torch.save(dict(vae=vae.state_dict(), enc=enc.state_dict(), dec=dec.state_dict()), data.path("ckpt", "codec-final.pt"))


if __name__ == "__main__":
    stage = sys.argv[1]
    if stage == "tune" and data.newer(data.path("ckpt", "codec-final.pt"), data.path("ckpt", "codec-256.pt")) and "more" not in sys.argv:
        sys.exit()  # latents were made with it: "more" goes on, and everything after it has to be made again
    launch(train, stage, minutes(sys.argv[2:], dict(start=30, tune=90, decoders=20)[stage]))
    if stage == "tune":
        finish()
