"""Pictures whose inside is semi-transparent, made by formula: smoke, soap bubbles, glass, glowing orbs, ice, flames of light."""
import io
import numpy as np
import torch
import torch.nn.functional as F

import data

COLOURS = {"red": (0.90, 0.15, 0.15), "orange": (0.96, 0.55, 0.10), "yellow": (0.98, 0.85, 0.20), "green": (0.20, 0.72, 0.30),
           "blue": (0.15, 0.45, 0.92), "purple": (0.55, 0.25, 0.80), "pink": (0.97, 0.50, 0.72), "white": (0.96, 0.96, 0.97)}
# noun -> places (see placing.PLACES)
PLACES = {"smoke": "vapour", "soap bubble": "balloon", "glass ball": "toy decor", "glowing orb": "spirit", "glass bottle": "drink", "drinking glass": "drink",
          "glass vase": "decor", "ice cube": "drink", "glass heart": "decor"}
SYNONYMS = {"smoke": ["cloud of smoke"], "soap bubble": ["bubble"], "drinking glass": ["glass of water", "empty glass"]}


def concept(noun):
    kind = next(k for k in PLACES if noun.endswith(k))
    return data.Concept(noun, SYNONYMS.get(noun, []), PLACES[kind].split())


def nouns():
    plain = [n for n in PLACES if n in ("smoke", "soap bubble", "drinking glass", "ice cube")]
    return plain + [f"{c} {n}" for n in PLACES if n not in plain for c in COLOURS]


def _noise(rng, n, octaves=4, base=3):
    out = torch.zeros(1, 1, n, n)
    for o in range(octaves):
        k = base * 2 ** o
        out += F.interpolate(torch.from_numpy(rng.random((1, 1, k, k))).float(), size=(n, n), mode="bicubic", align_corners=False) * 0.55 ** o
    out = out[0, 0]
    return (out - out.min()) / (out.max() - out.min())


def _u8(rgb, a):
    p = torch.cat([rgb.clamp(0, 1), a.clamp(0, 1)[None]], 0).permute(1, 2, 0)
    return (p * 255 + 0.5).to(torch.uint8).numpy()


def smoke(rng, x, y, n):
    """Rising puffs: a soft union of discs, roughened by noise, lighter at the side of the light."""
    lean, wide = rng.uniform(-0.35, 0.35), rng.uniform(0.8, 1.2)
    field, shade = torch.zeros(n, n), torch.zeros(n, n)
    for k in range(18):
        t = ((k + rng.uniform(0, 1)) / 18) ** 0.8
        r = (0.13 + 0.21 * t) * rng.uniform(0.8, 1.2)
        reach = 0.94 - r  # stay inside the picture
        cx = min(reach, max(-reach, lean * t * 1.2 + rng.normal() * 0.19 * (0.3 + t) * wide))
        cy = min(reach, max(-reach, 0.78 - 1.5 * t))
        d = ((x - cx) ** 2 + (y - cy) ** 2) / (r * r)
        blob = torch.exp(-d ** 1.5 * 1.1)
        field = field + blob
        shade = shade + blob * ((cx - x) * 0.8 + (cy - y)) / r
    rough = _noise(rng, n, 5, 4)
    a = ((field.clamp(max=1.6) * (0.6 + 0.8 * rough) - 0.22) * 1.3).clamp(0, 1)
    edge = ((1 - torch.maximum(x.abs(), y.abs())) * 9).clamp(0, 1)
    fade = (0.7 + 0.3 * (y + 1) / 2).clamp(0, 1)
    grey = rng.uniform(0.72, 0.86) + 0.2 * (shade / (field + 0.3)).clamp(-1, 1) + 0.08 * (rough - 0.5)
    return _u8(grey[None].expand(3, -1, -1), a * edge * fade * 0.92)


def bubble(rng, x, y, n):
    """A thin iridescent rim, nearly clear inside, highlights."""
    r = (x * x + y * y).sqrt() / rng.uniform(0.80, 0.92)
    edge = ((1 - r) * n * 0.22).clamp(0, 1)
    rim = torch.exp(-((1 - r) / 0.12)) * (r < 1)
    angle = torch.atan2(y, x) + rng.uniform(0, 6.28)
    rgb = torch.stack([0.76 + 0.24 * torch.sin(angle + k * 2.1 + r * 3) for k in range(3)])
    hi = torch.exp(-(((x + 0.38) / 0.15) ** 2 + ((y + 0.42) / 0.10) ** 2)) + 0.5 * torch.exp(-(((x - 0.38) / 0.09) ** 2 + ((y - 0.46) / 0.06) ** 2))
    return _u8(rgb * (1 - hi) + hi, (0.09 + 0.72 * rim + 0.85 * hi) * edge)


def glass_ball(rng, x, y, n, c):
    r = (x * x + y * y).sqrt() / rng.uniform(0.78, 0.92)
    edge = ((1 - r) * n * 0.22).clamp(0, 1)
    hi = torch.exp(-(((x + 0.32) / 0.17) ** 2 + ((y + 0.38) / 0.11) ** 2))
    low = torch.exp(-(((x - 0.12) / 0.42) ** 2 + ((y - 0.54) / 0.18) ** 2))
    rgb = c * (1 - 0.45 * r.clamp(0, 1) ** 3) * (1 - hi) + hi + 0.35 * low
    return _u8(rgb, (0.36 + 0.42 * r.clamp(0, 1) ** 4 + 0.6 * hi) * edge)


def orb(rng, x, y, n, c):
    r, s = (x * x + y * y).sqrt(), rng.uniform(0.28, 0.38)
    a = torch.exp(-((r - s).clamp(min=0) / 0.22) ** 1.3) * ((0.98 - r) * 5).clamp(0, 1)
    core = torch.exp(-(r / (s * 0.9)) ** 2)
    return _u8(c * (1 - 0.8 * core) + 0.8 * core, a)


def _vessel(outline, inner, c, rng, liquid=None):
    """Glass by an outline: a tinted body, darker edges, streaks of light. `liquid` is a path of what is in it."""
    h = "#" + "".join(f"{int(v * 255):02x}" for v in c)
    d = "#" + "".join(f"{int(v * 150):02x}" for v in c)
    body, x = rng.uniform(0.24, 0.38), rng.uniform(0.24, 0.34)
    drink = f'<path d="{liquid[0]}" fill="{liquid[1]}" opacity="{liquid[2]}"/>' if liquid else ""
    svg = f'''<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256" width="256" height="256"><defs>
<linearGradient id="e" x1="0" x2="1" y1="0" y2="0"><stop offset="0" stop-color="{d}" stop-opacity="0.75"/><stop offset="0.14" stop-color="{h}" stop-opacity="{body}"/>
<stop offset="0.55" stop-color="{h}" stop-opacity="{body * 0.7}"/><stop offset="0.86" stop-color="{h}" stop-opacity="{body}"/><stop offset="1" stop-color="{d}" stop-opacity="0.8"/></linearGradient>
<clipPath id="c"><path d="{outline}"/></clipPath></defs>{drink}<path d="{outline}" fill="url(#e)" stroke="{d}" stroke-opacity="0.55" stroke-width="3"/>{inner}
<g clip-path="url(#c)"><rect x="{256 * x:.0f}" y="20" width="13" height="216" rx="6" fill="#fff" opacity="0.55"/><rect x="{256 * x + 19:.0f}" y="20" width="5" height="216" rx="2" fill="#fff" opacity="0.4"/>
<rect x="{256 * (1 - x) - 4:.0f}" y="20" width="6" height="216" rx="3" fill="#fff" opacity="0.25"/></g></svg>'''
    return _svg(svg)


def _svg(text):
    import resvg_py
    from PIL import Image
    png = bytes(resvg_py.svg_to_bytes(svg_string=text, width=data.SIZE, height=data.SIZE, skip_system_fonts=True))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def bottle(rng, c):
    w, n, s = rng.uniform(44, 60), rng.uniform(15, 20), rng.uniform(88, 116)
    o = f"M{128 - n} 22 L{128 + n} 22 L{128 + n} {s - 34} Q{128 + w} {s - 10} {128 + w} {s + 24} L{128 + w} 222 Q{128 + w} 238 {128 + w - 16} 238 L{128 - w + 16} 238 Q{128 - w} 238 {128 - w} 222 L{128 - w} {s + 24} Q{128 - w} {s - 10} {128 - n} {s - 34} Z"
    cork = f'<rect x="{128 - n + 3}" y="10" width="{2 * n - 6}" height="26" rx="4" fill="#b98a55"/>' if rng.random() < 0.4 else f'<rect x="{128 - n - 4}" y="18" width="{2 * n + 8}" height="10" rx="5" fill="#fff" opacity="0.5"/>'
    return _vessel(o, cork, c, rng)


def tumbler(rng):
    w, k, top = rng.uniform(56, 74), rng.uniform(8, 16), rng.uniform(30, 56)
    o = f"M{128 - w} {top} L{128 + w} {top} L{128 + w - k} 222 Q{128 + w - k - 2} 236 {128 + w - k - 14} 236 L{128 - w + k + 14} 236 Q{128 - w + k + 2} 236 {128 - w + k} 222 Z"
    rim = f'<ellipse cx="128" cy="{top}" rx="{w}" ry="9" fill="#eaf6ff" fill-opacity="0.35" stroke="#fff" stroke-opacity="0.8" stroke-width="3"/>'
    level, liquid = rng.uniform(top + 40, 150), None
    if rng.random() < 0.6:
        t = (level - top) / (222 - top) * k
        liquid = (f"M{128 - w + t + 4} {level} L{128 + w - t - 4} {level} L{128 + w - k - 4} 224 L{128 - w + k + 4} 224 Z", "#8fd0f2", 0.5)
    return _vessel(o, rim, (0.80, 0.92, 1.0), rng, liquid)


def vase(rng, c):
    w, n = rng.uniform(62, 82), rng.uniform(26, 36)
    o = f"M{128 - n - 10} 30 Q{128 - n + 4} 54 {128 - n} 78 Q{128 - w} 118 {128 - w} 164 Q{128 - w} 236 {128 - 34} 238 L{128 + 34} 238 Q{128 + w} 236 {128 + w} 164 Q{128 + w} 118 {128 + n} 78 Q{128 + n - 4} 54 {128 + n + 10} 30 Z"
    return _vessel(o, f'<ellipse cx="128" cy="30" rx="{n + 10}" ry="7" fill="#fff" fill-opacity="0.3" stroke="#fff" stroke-opacity="0.7" stroke-width="3"/>', c, rng)


def heart(rng, c):
    k = rng.uniform(0.92, 1.05)
    o = f"M128 {224 * k} C{128 - 60} 184 {128 - 106 * k} 138 {128 - 106 * k} 92 C{128 - 106 * k} 40 {128 - 34} 26 128 74 C{128 + 34} 26 {128 + 106 * k} 40 {128 + 106 * k} 92 C{128 + 106 * k} 138 {128 + 60} 184 128 {224 * k} Z"
    return _vessel(o, '<ellipse cx="80" cy="82" rx="24" ry="15" fill="#fff" opacity="0.6" transform="rotate(-35 80 82)"/>', c, rng)


def ice(rng):
    a, s = rng.uniform(-8, 8), rng.uniform(64, 78)
    return _svg(f'''<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256" width="256" height="256"><g transform="rotate({a:.1f} 128 128)" stroke="#fff" stroke-opacity="0.75" stroke-width="4" stroke-linejoin="round">
<path d="M128 {128 - s * 1.25:.0f} L{128 + s * 1.2:.0f} {128 - s * 0.62:.0f} L128 128 L{128 - s * 1.2:.0f} {128 - s * 0.62:.0f} Z" fill="#e4f6ff" fill-opacity="0.55"/>
<path d="M{128 - s * 1.2:.0f} {128 - s * 0.62:.0f} L128 128 L128 {128 + s * 1.3:.0f} L{128 - s * 1.2:.0f} {128 + s * 0.62:.0f} Z" fill="#a5daf5" fill-opacity="0.5"/>
<path d="M{128 + s * 1.2:.0f} {128 - s * 0.62:.0f} L128 128 L128 {128 + s * 1.3:.0f} L{128 + s * 1.2:.0f} {128 + s * 0.62:.0f} Z" fill="#7cc2ea" fill-opacity="0.55"/></g>
<ellipse cx="{128 - s * 0.62:.0f}" cy="{128 + s * 0.1:.0f}" rx="7" ry="20" fill="#fff" opacity="0.6"/><ellipse cx="{128 + s * 0.5:.0f}" cy="{128 + s * 0.6:.0f}" rx="5" ry="5" fill="#fff" opacity="0.5"/></svg>''')


def pictures(rng, n=data.SIZE, few=False):
    """(noun, [n, n, 4] u8) of all kinds."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, n), torch.linspace(-1, 1, n), indexing="ij")
    k = (lambda many: 2) if few else (lambda many: many)
    for _ in range(k(24)):
        yield "smoke", smoke(rng, x, y, n)
    for _ in range(k(14)):
        yield "soap bubble", bubble(rng, x, y, n)
    for _ in range(k(10)):
        yield "drinking glass", tumbler(rng)
        yield "ice cube", ice(rng)
    for name, c in COLOURS.items():
        t = torch.tensor(c)[:, None, None]
        for _ in range(k(4)):
            yield f"{name} glass ball", glass_ball(rng, x, y, n, t)
            yield f"{name} glowing orb", orb(rng, x, y, n, t)
            yield f"{name} glass bottle", bottle(rng, c)
            yield f"{name} glass vase", vase(rng, c)
            yield f"{name} glass heart", heart(rng, c)
