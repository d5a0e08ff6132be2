"""Latents of all samples that the diffusion model learns, encoded once for each size.

usage: caches.py SIZE [pixels]. Writes cache/SIZE/KIND-0000.pt, chunks of 128 samples: f16 latents (scaled; [n, frames, 4, h, w])
and descriptions. With `pixels` triples also leave their foreground and background as pictures of that size, which conditions are
made of.
Chunks that are there are kept, so that a stopped run goes on; a codec that is newer than a chunk makes it again.
"""
import glob, os, sys
import numpy as np
import torch
import torch.nn.functional as F

import codec, data, networks, samples
from common import WORKERS, launch, rank

CHUNK = 16 if data.SMOKE else 128
# chunks of each kind; held triples are pairs of noun and scene that are never trained on
COUNTS = dict(objects=72, backgrounds=14, triples=52, held=1)
if data.SMOKE:
    COUNTS = dict(objects=3, backgrounds=1, triples=2, held=1)
SEEDS = dict(objects=50, backgrounds=51, triples=52, held=53)


def file(size, kind, chunk, ending="pt"):
    return data.path("cache", str(size), f"{kind}-{chunk:04d}.{ending}")


def drawn(pictures, kind, seed):
    """([pictures as u8 RGBA], description) of a sample."""
    rng = np.random.default_rng([SEEDS[kind], seed])
    if kind == "objects":
        rgba, d = samples.an_object(pictures, rng)
        return [rgba], d
    if kind == "backgrounds":
        rgb, d = samples.a_background(rng)
        return [samples.opaque(rgb)], d
    fg, bg, blend, d = samples.a_triple(pictures, rng, held=kind == "held")
    return [fg, samples.opaque(bg), samples.opaque(blend)], d


def shrunk(u8, size):
    """[n,256,256,4] u8 -> [n,4,size,size] straight."""
    x = torch.from_numpy(u8).permute(0, 3, 1, 2).float() / 255
    pre = torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], 1)
    pre = F.avg_pool2d(pre, data.SIZE // size) if size < data.SIZE else pre
    a = pre[:, 3:] * (pre[:, 3:] > 1 / 255)  # no stray alpha below one 8-bit step
    return torch.cat([(pre[:, :3] / pre[:, 3:].clamp(min=1e-4)).clamp(0, 1), a], 1)


@torch.no_grad()
def encode(nets, u8, size, step=8):
    vae, enc, _ = nets
    out = []
    for k in range(0, len(u8), step):
        mean, shift, _ = codec.encode(vae, enc, shrunk(u8[k:k + step], size))
        out.append(((mean + shift) * networks.SCALE).half())
    return torch.cat(out)


def work(size, pixels, kinds):
    pictures, nets = data.Pictures(), codec.load()
    source = data.path("ckpt", "codec-final.pt")
    source = source if os.path.exists(source) else data.path("ckpt", "codec.pt")
    # All kinds grow side by side, so that what a stopped run leaves can be trained on.
    jobs = sorted(((k, c) for k in kinds for c in range(COUNTS[k])), key=lambda job: job[1] / COUNTS[job[0]])
    for kind, chunk in jobs[rank()::WORKERS]:
        keep = pixels and kind in ("triples", "held")
        done = data.newer(file(size, kind, chunk), source)
        if done and (not keep or os.path.exists(file(size, kind, chunk, "npy"))):
            continue
        drawn_ = [drawn(pictures, kind, chunk * CHUNK + k) for k in range(CHUNK)]
        frames = len(drawn_[0][0])
        u8 = np.stack([p for pics, _ in drawn_ for p in pics])
        if keep:  # foreground RGBA and background RGB, [n,size,size,7]
            small = (shrunk(u8, size) * 255 + 0.5).byte().permute(0, 2, 3, 1).numpy().reshape(CHUNK, frames, size, size, 4)
            np.save(file(size, kind, chunk, "npy"), np.concatenate([small[:, 0], small[:, 1, :, :, :3]], -1))
        if done:
            continue
        z = encode(nets, u8, size)
        torch.save(dict(z=z.view(CHUNK, frames, *z.shape[1:]), described=[d for _, d in drawn_]), file(size, kind, chunk) + ".new")
        os.replace(file(size, kind, chunk) + ".new", file(size, kind, chunk))
        print(f"{size} {kind} {chunk + 1} of {COUNTS[kind]}", flush=True)


class Cache:
    """All chunks of a kind: z [N, frames, 4, h, w], descriptions, and the pictures of conditions if they were kept."""

    def __init__(self, size, kind, pixels=False):
        files = [file(size, kind, c) for c in range(COUNTS[kind]) if os.path.exists(file(size, kind, c))]
        chunks = [torch.load(f, weights_only=False) for f in files]
        self.z = torch.cat([c["z"] for c in chunks])
        self.described = [d for c in chunks for d in c["described"]]
        self.maps = [np.load(f.replace(".pt", ".npy"), mmap_mode="r") for f in files] if pixels else None

    def __len__(self):
        return len(self.described)

    def pixels(self, i):
        """([size,size,4] foreground, [size,size,3] background), u8."""
        p = np.array(self.maps[i // CHUNK][i % CHUNK])
        return p[..., :4], p[..., 4:]


if __name__ == "__main__":
    size = int(sys.argv[1])
    launch(work, size, "pixels" in sys.argv, ["objects"] if size == 64 else list(COUNTS))
    print("latents:", {k: len(glob.glob(data.path("cache", str(size), k + "-*.pt"))) * CHUNK for k in COUNTS})
