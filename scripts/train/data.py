"""Pictures, captions and augmentation.

Six permissively licensed emoji sets are taken from npm packages, rendered to 128 px RGBA
(straight alpha) and kept in one array. Everything else (64 px crops, captions, soft shadows, glows,
glass and ghost bodies) is made on the fly from that array.
"""
import glob, hashlib, io, json, math, os, subprocess, sys
import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.environ.get("GLASSINE_TRAIN_DIR", os.path.expanduser("~/.cache/glassine-train"))
SIZE, SOURCE = 64, 128

# package, version, short set name, style words of captions, licence
SETS = [
    ("@iconify-json/fluent-emoji", "1.2.7", "fluent", ["glossy"], "MIT"),
    ("@iconify-json/fluent-emoji-flat", "1.2.6", "flat", ["flat"], "MIT"),
    ("@lobehub/fluent-emoji-3d", "1.1.0", "3d", ["3d", "3d render"], "MIT"),
    ("@iconify-json/noto", "1.2.9", "noto", ["cartoon"], "Apache-2.0"),
    ("@iconify-json/noto-v1", "1.2.5", "noto1", ["clip art"], "Apache-2.0"),
    ("@iconify-json/fxemoji", "1.2.2", "fx", ["sticker"], "Apache-2.0"),
]
CAPTIONS = [("emojibase-data", "17.0.0", "MIT")]
PROMPTED = ("fluent", "flat", "3d", "noto", "procedural")  # the styles the diffusion model learns
STYLE = {s[2]: s[3] for s in SETS}
COLOURS = {  # for the procedural pictures
    "red": (0.90, 0.15, 0.15), "orange": (0.96, 0.55, 0.10), "yellow": (0.98, 0.85, 0.20),
    "green": (0.20, 0.72, 0.30), "blue": (0.15, 0.45, 0.92), "purple": (0.55, 0.25, 0.80),
    "pink": (0.97, 0.50, 0.72), "white": (0.96, 0.96, 0.97),
}


def path(*parts):
    p = os.path.join(WORK, *parts)
    os.makedirs(os.path.dirname(p), exist_ok=True)
    return p


def fetch():
    """Download and unpack the npm packages with the npm client."""
    for name, version in [(s[0], s[1]) for s in SETS] + [(c[0], c[1]) for c in CAPTIONS]:
        out = path("npm", name.replace("/", "-").strip("@") + "-" + version, "x")
        folder = os.path.dirname(out)
        if os.path.exists(os.path.join(folder, "package")):
            continue
        r = subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, capture_output=True, text=True, check=True)
        subprocess.run(["tar", "xzf", r.stdout.strip().splitlines()[-1]], cwd=folder, check=True)


def package(name):
    version = next(v for n, v in [(s[0], s[1]) for s in SETS] + [(c[0], c[1]) for c in CAPTIONS] if n == name)
    return os.path.join(WORK, "npm", name.replace("/", "-").strip("@") + "-" + version, "package")


def concepts():
    """The prompted concepts: {icon name: [caption noun, synonyms...]}."""
    out = {}
    for line in open(os.path.join(HERE, "concepts.txt")):
        if line.strip() and not line.startswith("#"):
            name, noun, syn = [p.strip() for p in line.split("|")]
            out[name] = [noun] + [s.strip() for s in syn.split(",") if s.strip()]
    return out


def _held_out(name, style):
    """One style of about a tenth of the concepts is never trained on."""
    h = hashlib.sha1(name.encode()).digest()
    return h[0] % 10 == 0 and h[1] % len(SETS) == [s[2] for s in SETS].index(style)


def _render(args):
    from PIL import Image
    kind, source = args
    try:
        if kind == "svg":
            import resvg_py
            png = bytes(resvg_py.svg_to_bytes(svg_string=source, width=SOURCE, height=SOURCE, skip_system_fonts=True))
            im = Image.open(io.BytesIO(png)).convert("RGBA")
        else:
            im = Image.open(source).convert("RGBA")
        if im.size != (SOURCE, SOURCE):
            im = im.convert("RGBa").resize((SOURCE, SOURCE), Image.BOX if im.size[0] % SOURCE == 0 else Image.LANCZOS).convert("RGBA")
        a = np.asarray(im)
        return a if (a[..., 3] > 128).mean() > 0.02 else None
    except Exception:
        return None


def build():
    """Render all sets: pictures.npy [N,128,128,4] u8 and pictures.json."""
    if os.path.exists(path("data", "pictures.json")):
        return
    flat = package("@iconify-json/fluent-emoji-flat")
    chars = json.load(open(flat + "/chars.json"))
    info = {e["hexcode"].lower().replace("-fe0f", ""): e for e in json.load(open(package("emojibase-data") + "/en/data.json"))}
    wanted = concepts()
    names = {}
    for code, name in chars.items():
        e = info.get(code.replace("-fe0f", ""))
        group = e.get("group") if e else None
        # 0 faces, 3 animals, 4 food, 5 places, 6 activities, 7 objects; no people, flags or symbols
        if name in wanted or group in (0, 3, 4, 5, 6, 7):
            names.setdefault(name, (code, group))
    jobs, meta = [], []
    for pkg, _, style, _, _ in SETS:
        if style == "3d":
            files = {f.lower().replace("-fe0f", "").removesuffix(".webp"): f for f in os.listdir(package(pkg) + "/assets")}
            for name, (code, group) in names.items():
                f = files.get(code.replace("-fe0f", ""))
                if f:
                    jobs.append(("file", os.path.join(package(pkg), "assets", f)))
                    meta.append(dict(name=name, style=style))
            continue
        d = json.load(open(package(pkg) + "/icons.json"))
        icons = {k.replace("-", "") if style == "fx" else k: v for k, v in d["icons"].items()}
        for name in names:
            icon = icons.get(name.replace("-", "") if style == "fx" else name)
            if icon:
                w, h = icon.get("width", d["width"]), icon.get("height", d["height"])
                jobs.append(("svg", f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{icon.get("left", 0)} {icon.get("top", 0)} {w} {h}" width="{w}" height="{h}">{icon["body"]}</svg>'))
                meta.append(dict(name=name, style=style))
    import multiprocessing as mp
    with mp.Pool(2) as pool:
        pics = pool.map(_render, jobs, chunksize=32)
    keep = [i for i, p in enumerate(pics) if p is not None]
    meta = [dict(meta[i], held=_held_out(**meta[i]), noun=(wanted.get(meta[i]["name"]) or [None])[0]) for i in keep]
    pics = [pics[i] for i in keep]
    rng = np.random.default_rng(7)
    for noun, p in procedural(rng):
        pics.append(p)
        meta.append(dict(name=noun.replace(" ", "-"), style="procedural", held=bool(rng.random() < 0.05), noun=noun))
    np.save(path("data", "new.npy"), np.stack(pics))
    os.replace(path("data", "new.npy"), path("data", "pictures.npy"))
    json.dump(meta, open(path("data", "pictures.json"), "w"))
    print(len(meta), "pictures,", sum(m["held"] for m in meta), "held out,", len({m["noun"] for m in meta if m["noun"]}), "prompted concepts")


def load():
    """All pictures (memory-mapped) and their descriptions, with the noun of those that are prompted."""
    meta, wanted = json.load(open(path("data", "pictures.json"))), concepts()
    for m in meta:
        if m["style"] != "procedural":
            m["noun"] = (wanted.get(m["name"]) or [None])[0] if m["style"] in PROMPTED else None
    return np.load(path("data", "pictures.npy"), mmap_mode="r"), meta


# ---------------------------------------------------------------- procedural semi-transparent pictures

def _noise(rng, n, octaves=4, base=3):
    out = torch.zeros(1, 1, n, n)
    for o in range(octaves):
        k = base * 2 ** o
        out += F.interpolate(torch.from_numpy(rng.random((1, 1, k, k))).float(), size=(n, n), mode="bicubic", align_corners=False) * 0.55 ** o
    out = out[0, 0]
    return (out - out.min()) / (out.max() - out.min())


def procedural(rng, n=SOURCE):
    """Smoke, soap bubbles, glass balls and glowing orbs: pictures whose inside is semi-transparent."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, n), torch.linspace(-1, 1, n), indexing="ij")
    out = []

    def add(noun, rgb, a):
        p = torch.cat([rgb.clamp(0, 1), a.clamp(0, 1)[None]], 0).permute(1, 2, 0)
        out.append((noun, (p * 255 + 0.5).to(torch.uint8).numpy()))

    for _ in range(14):  # smoke: warped noise in a soft envelope
        q = _noise(rng, n)
        env = torch.exp(-((x * rng.uniform(1.3, 1.7)) ** 2 + ((y) * rng.uniform(1.2, 1.5)) ** 2) * 1.6)
        a = ((q - 0.25) * 2.4).clamp(0, 1) * (env * 2.2).clamp(0, 1)
        a = a * ((1 - (x * x + y * y).sqrt()) * 4).clamp(0, 1)
        add("smoke", (0.78 + 0.22 * _noise(rng, n, 3))[None].expand(3, -1, -1), a * 0.92)
    for _ in range(8):  # soap bubble: thin iridescent rim, nearly clear inside, highlights
        r = (x * x + y * y).sqrt() / rng.uniform(0.78, 0.88)
        edge = ((1 - r) * 28).clamp(0, 1)
        rim = torch.exp(-((1 - r) / 0.13)) * (r < 1)
        ang = torch.atan2(y, x) + rng.uniform(0, 6.28)
        rgb = torch.stack([0.75 + 0.25 * torch.sin(ang + k * 2.1 + r * 3) for k in range(3)])
        hi = torch.exp(-(((x + 0.35) / 0.16) ** 2 + ((y + 0.38) / 0.11) ** 2)) + 0.5 * torch.exp(-(((x - 0.35) / 0.1) ** 2 + ((y - 0.42) / 0.07) ** 2))
        rgb = rgb * (1 - hi) + hi
        add("soap bubble", rgb, (0.10 + 0.75 * rim + 0.85 * hi) * edge)
    for name, c in COLOURS.items():  # glass ball and glowing orb in named colours
        c = torch.tensor(c)[:, None, None]
        for _ in range(3):
            r = (x * x + y * y).sqrt() / rng.uniform(0.76, 0.86)
            edge = ((1 - r) * 26).clamp(0, 1)
            hi = torch.exp(-(((x + 0.3) / 0.18) ** 2 + ((y + 0.36) / 0.13) ** 2))
            low = torch.exp(-(((x - 0.12) / 0.4) ** 2 + ((y - 0.5) / 0.18) ** 2))
            rgb = c * (1 - 0.45 * r.clamp(0, 1) ** 3) * (1 - hi) + hi + 0.35 * low
            add(f"{name} glass ball", rgb, (0.38 + 0.42 * r.clamp(0, 1) ** 4 + 0.6 * hi) * edge)
            r = (x * x + y * y).sqrt()
            s = rng.uniform(0.30, 0.38)
            a = torch.exp(-((r - s).clamp(min=0) / 0.22) ** 1.3) * ((0.98 - r) * 5).clamp(0, 1)
            core = torch.exp(-(r / (s * 0.9)) ** 2)
            add(f"{name} glowing orb", c * (1 - 0.8 * core) + 0.8 * core, a)
    return out


# ---------------------------------------------------------------- padding (colour under alpha 0)

_AREA, _LIN = {}, {}


def _area(n, m):
    """Area-average resize matrix n -> m (m <= n)."""
    if (n, m) not in _AREA:
        w = torch.zeros(m, n)
        r = n / m
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


# ---------------------------------------------------------------- augmentation

def _blur(a, sigma):
    k = max(1, math.ceil(2.5 * sigma))
    g = torch.exp(-torch.arange(-k, k + 1).float() ** 2 / (2 * sigma * sigma))
    g = g / g.sum()
    a = F.conv2d(a, g.view(1, 1, 1, -1).expand(a.shape[1], 1, 1, -1), padding=(0, k), groups=a.shape[1])
    return F.conv2d(a, g.view(1, 1, -1, 1).expand(a.shape[1], 1, -1, 1), padding=(k, 0), groups=a.shape[1])


def _over(top, top_a, low, low_a):
    a = top_a + low_a * (1 - top_a)
    return torch.cat([(top * top_a + low * low_a * (1 - top_a)) / a.clamp(min=1e-4), a], 1)


EFFECTS = ["none", "shadow", "glow", "glass", "ghostly"]


def effect(x, kind, gen):
    """Apply one semi-transparency effect to straight RGBA [B,4,H,W]."""
    rgb, a = x[:, :3], x[:, 3:]
    u = lambda lo, hi: (lo + (hi - lo) * torch.rand(len(x), 1, 1, 1, generator=gen))
    if kind == "shadow":
        dy, dx = 4, int(torch.randint(1, 4, (1,), generator=gen))
        s = torch.roll(_blur(F.pad(a, (8, 8, 8, 8)), 2.2), (dy, dx), (2, 3))[:, :, 8:-8, 8:-8]
        return _over(rgb, a, torch.zeros_like(rgb), s * u(0.45, 0.6))
    if kind == "glow":
        mean = (rgb * a).sum((2, 3), keepdim=True) / a.sum((2, 3), keepdim=True).clamp(min=1e-3)
        col = (mean * 0.5 + torch.tensor([1.0, 0.9, 0.5]).view(1, 3, 1, 1) * 0.5 + 0.1).clamp(0, 1).expand_as(rgb)
        s = (_blur(a, 3.0) * 1.5).clamp(0, 1) * u(0.7, 0.9)
        return _over((rgb * 0.9 + 0.1).clamp(0, 1), a, col, s)
    if kind == "glass":
        edge = (a - _blur(a, 1.8)).clamp(min=0) * 1.6
        lum = (rgb * torch.tensor([0.3, 0.59, 0.11]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        hi = ((lum - 0.8) * 4).clamp(0, 1)
        tint = (rgb * 0.75 + torch.tensor([0.75, 0.9, 1.0]).view(1, 3, 1, 1) * 0.25)
        return torch.cat([tint, a * (0.35 + edge + 0.4 * hi).clamp(max=0.95)], 1)
    if kind == "ghostly":
        lum = rgb.mean(1, keepdim=True)
        fade = torch.linspace(0.8, 0.35, x.shape[2]).view(1, 1, -1, 1)
        return torch.cat([rgb * 0.35 + lum * 0.25 + 0.4, a * fade], 1)
    return x


def augment(pics, gen, effects, flip=0.5, shift=0.05, scale=(0.86, 1.0)):
    """u8 [B,128,128,4] -> straight float RGBA [B,4,64,64] with the given effect per picture."""
    x = torch.from_numpy(np.ascontiguousarray(pics)).permute(0, 3, 1, 2).float() / 255
    x = torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], 1)
    b = len(x)
    s = scale[0] + (scale[1] - scale[0]) * torch.rand(b, generator=gen)
    roomy = torch.tensor([e in ("shadow", "glow") for e in effects])
    s = torch.where(roomy, s.clamp(max=0.86), s)
    room = (1 - s).clamp(max=shift)
    t = (torch.rand(b, 2, generator=gen) * 2 - 1) * room[:, None]
    f = torch.where(torch.rand(b, generator=gen) < flip, -1.0, 1.0)
    m = torch.zeros(b, 2, 3)
    m[:, 0, 0], m[:, 1, 1] = f / s, 1 / s
    m[:, 0, 2], m[:, 1, 2] = t[:, 0] / s, t[:, 1] / s
    g = F.affine_grid(m, (b, 4, SOURCE, SOURCE), align_corners=False)
    x = F.avg_pool2d(F.grid_sample(x, g, mode="bilinear", padding_mode="zeros", align_corners=False), 2)
    a = x[:, 3:]
    x = torch.cat([(x[:, :3] / a.clamp(min=1e-4)).clamp(0, 1), a], 1)
    for kind in set(effects) - {"none"}:
        i = torch.tensor([k for k, e in enumerate(effects) if e == kind])
        x[i] = effect(x[i], kind, gen)
    # no stray alpha below one 8-bit step
    a = x[:, 3:] * (x[:, 3:] > 1 / 255)
    return torch.cat([x[:, :3].clamp(0, 1), a.clamp(0, 1)], 1)


def composite(x, grey=0.5):
    """Straight RGBA over a flat colour, in [-1, 1]."""
    return (x[:, :3] * x[:, 3:] + grey * (1 - x[:, 3:])) * 2 - 1


# ---------------------------------------------------------------- captions

EFFECT_WORDS = {
    "shadow": ["with a soft shadow", "with a drop shadow"],
    "glow": ["glowing", "with a glow"],
    "glass": ["made of glass", "translucent"],
    "ghostly": ["ghostly", "faded"],
}


# words worth a token although no caption needs them often
EXTRA_WORDS = "photo picture image icon drawing illustration high quality detailed cute small big isolated transparent background 4k best render emoji of the in and on clean simple white black grey pink brown gold silver"

# now and then a caption gets one of these, so that usual prompt words do no harm
FILLERS = ["high quality", "cute", "icon", "isolated", "transparent background", "detailed", "illustration", "4k"]


def procedural_nouns():
    return ["smoke", "soap bubble"] + [f"{c} {k}" for c in COLOURS for k in ("glass ball", "glowing orb")]


def article(noun):
    plural = noun in ("grapes", "cherries", "blueberries", "pancakes", "french fries", "glasses", "sunglasses", "jeans", "headphones", "books", "scissors", "swords", "crossed swords")
    mass = noun in ("smoke", "sushi", "popcorn", "bread", "corn", "cheese", "broccoli", "fire", "milk", "coffee", "beer", "lightning", "chocolate", "candy", "ice cream", "poo", "poop", "dice")
    if plural or mass:
        return noun
    return ("an " if noun[0] in "aeiou" and not noun.startswith(("unicorn", "ewe", "ufo")) else "a ") + noun


def caption(names, style, kind, rng):
    """A random caption for a picture of the concept `names` in a style with an effect."""
    noun = names[0] if len(names) == 1 or rng.random() < 0.7 else names[rng.integers(1, len(names))]
    text = article(noun) if rng.random() < 0.6 else noun
    extra = []
    if kind != "none":
        w = EFFECT_WORDS[kind][rng.integers(len(EFFECT_WORDS[kind]))]
        if w in ("glowing", "ghostly", "translucent", "faded") and rng.random() < 0.6:
            text = (article(w + " " + noun) if text != noun else w + " " + noun)
        elif rng.random() < 0.5:
            text += " " + w if w.startswith(("with", "made")) else ", " + w
        else:
            extra.append(w)
    words = STYLE.get(style)
    if words and rng.random() < 0.5:
        extra.append(words[rng.integers(len(words))])
    if rng.random() < 0.06:
        extra.append(FILLERS[rng.integers(len(FILLERS))])
    if rng.random() < 0.03:
        text = "a picture of " + text
    return ", ".join([text] + extra)


if __name__ == "__main__":
    fetch()
    build()
