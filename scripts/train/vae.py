"""Stage 1: the picture VAE (diffusers AutoencoderKL, 64 px -> 8 x 8 x 4)."""
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

import data
from common import Pictures, Run, launch, newer

SCALE = 0.18215
CONFIG = dict(
    in_channels=3, out_channels=3, block_out_channels=(16, 32, 64, 128), layers_per_block=1, latent_channels=4,
    down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    norm_num_groups=8, sample_size=64, scaling_factor=SCALE, act_fn="silu",
)


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


def backgrounds(x, rng, gen):
    """Mostly mid-grey composites (what transparency uses), some random colours, some picture over picture."""
    bg = torch.full((len(x), 3, 1, 1), 0.5)
    pick = torch.rand(len(x), generator=gen)
    bg = torch.where((pick < 0.3).view(-1, 1, 1, 1), torch.rand(len(x), 3, 1, 1, generator=gen), bg)
    y = x[:, :3] * x[:, 3:] + bg * (1 - x[:, 3:])
    behind = torch.where((pick > 0.93).view(-1, 1, 1, 1), y.flip(0), bg.expand_as(y))
    return (x[:, :3] * x[:, 3:] + behind * (1 - x[:, 3:])) * 2 - 1


def train(minutes=25, batch=16, kl=5e-4):
    torch.manual_seed(1)
    vae = AutoencoderKL(**CONFIG)
    opt = torch.optim.AdamW(vae.parameters(), lr=1.5e-3, betas=(0.9, 0.99), weight_decay=1e-4)
    run = Run("vae", dict(vae=vae), dict(vae=opt), ["vae"], minutes, seed=1)
    pics = Pictures()
    print("vae parameters", sum(p.numel() for p in vae.parameters()))
    while run.running():
        run.schedule()
        x, _, _ = pics.batch(batch, run.rng, run.gen)
        x = backgrounds(x, run.rng, run.gen)
        with torch.autocast("cpu", torch.bfloat16):
            post = vae.encode(x).latent_dist
            y = vae.decode(post.sample()).sample
        y = y.float()
        rec = picture_loss(y, x)
        d = 0.5 * (post.mean.float() ** 2 + post.var.float() - 1 - post.logvar.float()).mean()
        opt.zero_grad(set_to_none=True)
        (rec + kl * d).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        opt.step()
        run.done_step(batch, loss=rec.item(), mse=((y - x) ** 2).mean().item(), kl=d.item(), std=post.std.mean().item())


@torch.no_grad()
def normalise(vae, pics, n=1536):
    """Fold per-channel latent mean and deviation into quant_conv / post_quant_conv, so that
    latents times the scaling factor have mean 0 and deviation 1."""
    gen = torch.Generator().manual_seed(5)
    import numpy as np
    rng = np.random.default_rng(5)
    z = []
    for _ in range(n // 32):
        x, _, _ = pics.batch(32, rng, gen)
        z.append(vae.encode(data.composite(x)).latent_dist.mean)
    z = torch.cat(z)
    mean, std = z.mean((0, 2, 3)), z.std((0, 2, 3))
    k = 1 / (std * SCALE)  # z' = (z - mean) * k
    c = len(mean)
    q, p = vae.quant_conv, vae.post_quant_conv
    q.weight[:c] *= k.view(-1, 1, 1, 1)
    q.bias[:c] = (q.bias[:c] - mean) * k
    q.bias[c:] += 2 * torch.log(k)  # log variance
    p.bias += (p.weight[:, :, 0, 0] * mean).sum(1)
    p.weight /= k.view(1, -1, 1, 1)
    return vae


def load():
    """The finished, normalised VAE, frozen."""
    vae = AutoencoderKL(**CONFIG)
    vae.load_state_dict(torch.load(data.path("ckpt", "vae-final.pt")))
    return vae.eval().requires_grad_(False)


def finish():
    vae = AutoencoderKL(**CONFIG).eval().requires_grad_(False)
    vae.load_state_dict(torch.load(data.path("ckpt", "vae.pt"), weights_only=False)["ema"]["vae"])
    pics = Pictures()
    before = {}
    x = data.composite(data.augment(pics.pics[pics.held[:64]], torch.Generator().manual_seed(3), ["none"] * 64, flip=0))
    with torch.no_grad():
        a = vae(x).sample
        normalise(vae, pics)
        post = vae.encode(x).latent_dist
        b = vae.decode(post.mean).sample
        z = post.mean * SCALE
    print("normalisation changes pictures by", (a - b).abs().max().item(), "latent mean", z.mean((0, 2, 3)).tolist(), "std", z.std((0, 2, 3)).tolist(), "posterior std", post.std.mean().item() * SCALE)
    mse = (((b.clamp(-1, 1) - x) / 2) ** 2).mean((1, 2, 3))
    print("held-out PSNR on grey", (-10 * mse.log10()).mean().item())
    torch.save(vae.state_dict(), data.path("ckpt", "vae-final.pt"))


if __name__ == "__main__":
    import sys
    launch(train, float(sys.argv[1]) if len(sys.argv) > 1 else 25)
    if not newer("vae-final.pt", "vae.pt"):
        finish()
