"""From nothing, stage 1: the picture VAE (diffusers AutoencoderKL, 64 px -> 8 x 8 x 4). A pack to start from makes it needless."""
import os, sys
import numpy as np
import torch
import torch.nn.functional as F

import data, effects, networks
from common import Run, ema_of, launch, minutes, number_type


def gradient(x):
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def picture_loss(y, x):
    """L1 at three scales, squared error, and L1 of the picture gradients."""
    loss = (y - x).abs().mean() + 2 * ((y - x) ** 2).mean()
    for a, b in zip(gradient(y), gradient(x)):
        loss = loss + 0.5 * (a - b).abs().mean()
    for k in (2, 4):
        loss = loss + 0.25 * (F.avg_pool2d(y, k) - F.avg_pool2d(x, k)).abs().mean()
    return loss


def divergence(post):
    """From the posterior to the unit normal distribution, a number of the latent."""
    return 0.5 * (post.mean.float() ** 2 + post.var.float() - 1 - post.logvar.float()).mean()


def backgrounds(x, gen):
    """Straight RGBA over mostly mid-grey (what transparency uses), some random colours, some picture over picture; in [-1, 1]."""
    bg = torch.full((len(x), 3, 1, 1), 0.5)
    pick = torch.rand(len(x), generator=gen)
    bg = torch.where((pick < 0.3).view(-1, 1, 1, 1), torch.rand(len(x), 3, 1, 1, generator=gen), bg)
    y = x[:, :3] * x[:, 3:] + bg * (1 - x[:, 3:])
    behind = torch.where((pick > 0.93).view(-1, 1, 1, 1), y.flip(0), bg.expand_as(y))
    return (x[:, :3] * x[:, 3:] + behind * (1 - x[:, 3:])) * 2 - 1


class Pool:
    """Random crops of the pool's pictures, turned and flipped. [n,4,size,size] straight RGBA."""

    def __init__(self):
        self.pool = np.load(data.path("data", "pool.npy"), mmap_mode="r")
        self.last = max(1, len(self.pool) // 50)  # these are kept for measuring

    def crops(self, n, size, rng, shrink=1):
        """Of pictures that are made smaller first, by a whole number."""
        out = []
        for i in rng.integers(self.last, len(self.pool), n):
            p = torch.from_numpy(np.array(self.pool[i])).permute(2, 0, 1)[None].float() / 255
            p = torch.cat([p[:, :3] * p[:, 3:], p[:, 3:]], 1)
            if shrink > 1:
                p = F.avg_pool2d(p, shrink)
            room = p.shape[-1] - size
            y, x = (int(v) for v in rng.integers(0, room + 1, 2))
            p = torch.rot90(p[:, :, y:y + size, x:x + size], int(rng.integers(4)), (2, 3))
            out.append(p.flip(3) if rng.random() < 0.5 else p)
        return straight(torch.cat(out))

    def held(self, n, shrink=1):
        p = torch.from_numpy(np.array(self.pool[:min(n, self.last)])).permute(0, 3, 1, 2).float() / 255
        p = torch.cat([p[:, :3] * p[:, 3:], p[:, 3:]], 1)
        return straight(F.avg_pool2d(p, shrink) if shrink > 1 else p)


def straight(pre):
    a = pre[:, 3:]
    return torch.cat([(pre[:, :3] / a.clamp(min=1e-4)).clamp(0, 1), a], 1)


def train(time_, batch=16, kl=5e-4):
    torch.manual_seed(1)
    vae = networks.vae()
    autocast = number_type(lambda: vae(torch.rand(4, 3, 64, 64)).sample)
    opt = torch.optim.AdamW(vae.parameters(), lr=1.5e-3, betas=(0.9, 0.99), weight_decay=1e-4)
    run, pool = Run("vae", dict(vae=vae), dict(vae=opt), ["vae"], time_, seed=1), Pool()
    while run.running():
        run.schedule()
        x = backgrounds(pool.crops(batch, 64, run.rng, 4), run.gen)
        with autocast():
            post = vae.encode(x).latent_dist
            y = vae.decode(post.sample()).sample
        y = y.float()
        rec, d = picture_loss(y, x), divergence(post)
        opt.zero_grad(set_to_none=True)
        (rec + kl * d).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        opt.step()
        run.done_step(batch, loss=rec.item(), mse=((y - x) ** 2).mean().item(), kl=d.item(), std=post.std.mean().item())


@torch.no_grad()
def normalise(vae, latents, decoder=None):
    """Fold mean and deviation of each channel of these unscaled latents into the networks, so that latents times the scaling factor
    have mean 0 and deviation 1."""
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    k = 1 / (std * networks.SCALE)  # z' = (z - mean) * k
    c = len(mean)
    q, p = vae.quant_conv, vae.post_quant_conv
    q.weight[:c] *= k.view(-1, 1, 1, 1)
    q.bias[:c] = (q.bias[:c] - mean) * k
    q.bias[c:] += 2 * torch.log(k)  # log variance
    for conv in [p] + ([decoder.latent_conv_in] if decoder else []):
        conv.bias += (conv.weight[:, :, 0, 0] * mean).sum(1)
        conv.weight /= k.view(1, -1, 1, 1)


def load_start():
    """The finished VAE of the 64-pixel model."""
    vae = networks.vae()
    vae.load_state_dict(torch.load(data.path("ckpt", "vae-final.pt")))
    return vae


def finish():
    vae = networks.vae().eval().requires_grad_(False)
    vae.load_state_dict(ema_of("vae")["vae"])
    pool, rng = Pool(), np.random.default_rng(5)
    z = torch.cat([vae.encode(effects.composite(pool.crops(32, 64, rng, 4))).latent_dist.mean for _ in range(2 if data.SMOKE else 48)])
    normalise(vae, z)
    torch.save(vae.state_dict(), data.path("ckpt", "vae-final.pt"))


if __name__ == "__main__":
    launch(train, minutes(sys.argv[1:], 25))
    if not data.newer(data.path("ckpt", "vae-final.pt"), data.path("ckpt", "vae.pt")):
        finish()
