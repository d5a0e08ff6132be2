"""Arithmetic on pictures: colour under alpha 0, semi-transparency effects, recolouring, moving about."""
import math
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import data

EFFECTS = ["none", "shadow", "glow", "glass", "ghostly"]
_AREA = {}


def _area(n, m):
    """Area-average resize matrix n -> m (m <= n)."""
    if (n, m) not in _AREA:
        w, r = torch.zeros(m, n), n / m
        for i in range(m):
            lo, hi = i * r, (i + 1) * r
            for j in range(int(lo), min(n, math.ceil(hi - 1e-9))):
                w[i, j] = (min(hi, j + 1) - max(lo, j)) / r
        _AREA[n, m] = w
    return _AREA[n, m]


def pad_rgb(rgba):
    """Fill the colour of transparent areas by an alpha-weighted pyramid. [B,4,H,W] -> [B,3,H,W]."""
    c = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1)
    levels = [c]
    while min(c.shape[2:]) > 1:
        h, w = c.shape[2:]
        c = _area(h, int(h / 1.2)) @ c @ _area(w, int(w / 1.2)).T
        levels.append(c)
    fg = (c[:, :3].sum((2, 3), keepdim=True)) / c[:, 3:].sum((2, 3), keepdim=True).clamp(min=1e-8)
    for c in reversed(levels):
        if fg.shape[2:] != c.shape[2:]:
            fg = F.interpolate(fg, size=c.shape[2:], mode="bilinear", align_corners=False)
        fg = c[:, :3] + fg * (1 - c[:, 3:])
    return fg


def composite(x, grey=0.5):
    """Straight RGBA over a flat colour, in [-1, 1]."""
    return (x[:, :3] * x[:, 3:] + grey * (1 - x[:, 3:])) * 2 - 1


def blur(a, sigma):
    """Gaussian blur of [B,C,H,W]; what is outside counts as 0."""
    k = max(1, math.ceil(2.5 * sigma))
    g = torch.exp(-torch.arange(-k, k + 1).float() ** 2 / (2 * sigma * sigma))
    g = g / g.sum()
    a = F.conv2d(a, g.view(1, 1, 1, -1).expand(a.shape[1], 1, 1, -1), padding=(0, k), groups=a.shape[1])
    return F.conv2d(a, g.view(1, 1, -1, 1).expand(a.shape[1], 1, -1, 1), padding=(k, 0), groups=a.shape[1])


def _over(top, top_a, low, low_a):
    a = top_a + low_a * (1 - top_a)
    return torch.cat([(top * top_a + low * low_a * (1 - top_a)) / a.clamp(min=1e-4), a], 1)


def apply(x, kind, rng):
    """One semi-transparency effect on straight RGBA [1,4,H,W]; its sizes go with the picture's."""
    rgb, a, k = x[:, :3], x[:, 3:], x.shape[-1] / 64
    if kind == "shadow":
        dy, dx = round(4 * k), round(rng.uniform(1, 3) * k)
        s = torch.roll(blur(a, 2.2 * k), (dy, dx), (2, 3))
        s[:, :, :dy], s[:, :, :, :dx] = 0, 0
        return _over(rgb, a, torch.zeros_like(rgb), s * rng.uniform(0.45, 0.6))
    if kind == "glow":
        mean = (rgb * a).sum((2, 3), keepdim=True) / a.sum((2, 3), keepdim=True).clamp(min=1e-3)
        col = (mean * 0.5 + torch.tensor([1.0, 0.9, 0.5]).view(1, 3, 1, 1) * 0.5 + 0.1).clamp(0, 1).expand_as(rgb)
        s = (blur(a, 3.0 * k) * 1.5).clamp(0, 1) * rng.uniform(0.7, 0.9)
        return _over((rgb * 0.9 + 0.1).clamp(0, 1), a, col, s)
    if kind == "glass":
        edge = (a - blur(a, 1.8 * k)).clamp(min=0) * 1.6
        lum = (rgb * torch.tensor([0.3, 0.59, 0.11]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        hi = ((lum - 0.8) * 4).clamp(0, 1)
        tint = (rgb * 0.75 + torch.tensor([0.75, 0.9, 1.0]).view(1, 3, 1, 1) * 0.25)
        return torch.cat([tint, a * (0.35 + edge + 0.4 * hi).clamp(max=0.95)], 1)
    if kind == "ghostly":
        lum = rgb.mean(1, keepdim=True)
        fade = torch.linspace(0.8, 0.35, x.shape[2]).view(1, 1, -1, 1)
        return torch.cat([rgb * 0.35 + lum * 0.25 + 0.4, a * fade], 1)
    return x


HUES = {"red": 0.0, "orange": 0.075, "yellow": 0.14, "green": 0.36, "blue": 0.60, "purple": 0.76, "pink": 0.92}


def recolour(rgba, colour):
    """Turn the dominant hue of a u8 picture to a named one; greys, and other hues, stay."""
    hsv = np.asarray(Image.fromarray(rgba[..., :3]).convert("HSV")).astype(np.float32) / 255
    h, s, v = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    weight = (rgba[..., 3] / 255.0) * np.clip(s - 0.25, 0, 1) * v
    if weight.sum() < 0.02 * weight.size:
        return None
    histogram = np.histogram(h, 36, (0, 1), weights=weight)[0]
    main = (np.argmax(histogram) + 0.5) / 36
    distance = np.abs((h - main + 0.5) % 1 - 0.5)
    take = np.clip(1.6 - distance / 0.09, 0, 1) * (s > 0.12)
    turned = (h + (HUES[colour] - main)) % 1
    s2 = s * (0.62 if colour == "pink" else 1.0)
    v2 = np.clip(v * (1.15 if colour in ("yellow", "orange", "pink") else 1.0), 0, 1)
    new = np.stack([np.where(take > 0, turned, h), s + (s2 - s) * take, v + (v2 - v) * take], -1)
    rgb = np.asarray(Image.fromarray((new * 255 + 0.5).astype(np.uint8), "HSV").convert("RGB"))
    return np.concatenate([rgb, rgba[..., 3:]], -1)


def crop(rgba):
    """What is visible of a u8 picture."""
    ys, xs = np.nonzero(rgba[..., 3] > 10)
    return rgba[ys.min():ys.max() + 1, xs.min():xs.max() + 1]


def on_grid(x, bottom, height, aspect):
    """The place nearest to this one from which the object's left edge and bottom lie on a cell of the latent."""
    half = height * aspect / 2
    return round((x - half) / data.CELL) * data.CELL + half, round(bottom / data.CELL) * data.CELL


def at(rgba, x, bottom, height, size):
    """A cropped u8 picture on a clear square of `size` pixels, at this height, around x, its bottom at `bottom` (pixels)."""
    h = max(4, round(height))
    w = max(4, round(height * rgba.shape[1] / rgba.shape[0]))
    im = Image.fromarray(rgba).convert("RGBa").resize((w, h), Image.LANCZOS)
    canvas = Image.new("RGBa", (size, size))
    canvas.paste(im, (round(x - w / 2), round(bottom - h)))
    return np.asarray(canvas.convert("RGBA"))


def to_tensor(u8):
    """[H,W,C] u8 -> [1,C,H,W] in [0,1]."""
    return torch.from_numpy(np.array(u8)).permute(2, 0, 1)[None].float() / 255


def to_u8(x):
    return (x[0].clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).numpy()
