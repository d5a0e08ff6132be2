"""The pictures: six permissively licensed emoji sets from npm packages, rendered to 256 px RGBA (straight alpha), and the
procedural semi-transparent ones, all in one memory-mapped array."""
import hashlib, io, json, os, subprocess
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.environ.get("GLASSINE_TRAIN_DIR", os.path.expanduser("~/.cache/glassine-train"))
SMOKE = bool(os.environ.get("GLASSINE_TRAIN_SMOKE"))  # everything tiny, to see that all stages work together
SIZE = 256  # of all pictures
FINAL = int(os.environ.get("GLASSINE_TRAIN_SIZE", SIZE))  # of the finished model: 256, or 128 for one of a quarter of the work

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
PROMPTED = ("fluent", "flat", "3d", "procedural")  # the styles the diffusion model learns, whose drawings of a thing are alike
CELL = 16  # pixels of the pictures, a cell of the latent at 128 and two at 256: what is placed begins at one, so that its latent is the same everywhere
STYLE = {s[2]: s[3] for s in SETS}


def path(*parts):
    p = os.path.join(WORK, *parts)
    os.makedirs(os.path.dirname(p), exist_ok=True)
    return p


def newer(a, b):
    """Does file a exist and is it at least as new as b?"""
    return os.path.exists(a) and os.path.getmtime(a) >= os.path.getmtime(b)


def _folder(name, version):
    return os.path.join(WORK, "npm", name.replace("/", "-").strip("@") + "-" + version)


def fetch():
    """Download and unpack the npm packages with the npm client."""
    for name, version in [(s[0], s[1]) for s in SETS] + [(c[0], c[1]) for c in CAPTIONS]:
        folder = _folder(name, version)
        if os.path.exists(os.path.join(folder, "package")):
            continue
        os.makedirs(folder, exist_ok=True)
        r = subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, capture_output=True, text=True, check=True)
        subprocess.run(["tar", "xzf", r.stdout.strip().splitlines()[-1]], cwd=folder, check=True)


def package(name):
    version = next(v for n, v in [(s[0], s[1]) for s in SETS] + [(c[0], c[1]) for c in CAPTIONS] if n == name)
    return os.path.join(_folder(name, version), "package")


class Concept:
    """A line of concepts.txt: the noun, its synonyms and where it is plausible."""

    def __init__(self, noun, synonyms=(), places=()):
        self.noun, self.synonyms = noun, list(synonyms)
        self.places, self.tint = [p for p in places if p != "tint"], "tint" in places


def concepts():
    """The prompted concepts by icon name."""
    out = {}
    for line in open(os.path.join(HERE, "concepts.txt")):
        if line.strip() and not line.startswith("#"):
            icons, noun, synonyms, places = [p.strip() for p in line.split("|")]
            for icon in icons.split(","):
                out[icon] = Concept(noun, [s.strip() for s in synonyms.split(",") if s.strip()], places.split())
    return out


def held_out(name, style):
    """One style of about a tenth of the concepts is never trained on."""
    h = hashlib.sha1(name.encode()).digest()
    return h[0] % 10 == 0 and h[1] % len(SETS) == [s[2] for s in SETS].index(style)


def _render(job):
    from PIL import Image
    kind, source = job
    try:
        if kind == "svg":
            import resvg_py
            png = bytes(resvg_py.svg_to_bytes(svg_string=source, width=SIZE, height=SIZE, skip_system_fonts=True))
            im = Image.open(io.BytesIO(png)).convert("RGBA")
        else:
            im = Image.open(source).convert("RGBA")
        if im.size != (SIZE, SIZE):
            im = im.convert("RGBa").resize((SIZE, SIZE), Image.LANCZOS).convert("RGBA")
        a = np.asarray(im)
        return a if (a[..., 3] > 128).mean() > 0.02 else None
    except (ValueError, OSError):  # a picture that cannot be read is left out
        return None


def _jobs(names):
    """What to render, with name and style of each: of every set the icons of these names."""
    for pkg, _, style, _, _ in SETS:
        if style == "3d":
            assets = package(pkg) + "/assets"
            files = {f.lower().replace("-fe0f", "").removesuffix(".webp"): f for f in os.listdir(assets)}
            for name, code in names.items():
                f = files.get(code.replace("-fe0f", ""))
                if f:
                    yield ("file", os.path.join(assets, f)), name, style
            continue
        d = json.load(open(package(pkg) + "/icons.json"))
        icons = {k.replace("-", "") if style == "fx" else k: v for k, v in d["icons"].items()}
        for name in names:
            icon = icons.get(name.replace("-", "") if style == "fx" else name)
            if icon:
                w, h = icon.get("width", d["width"]), icon.get("height", d["height"])
                box = f'viewBox="{icon.get("left", 0)} {icon.get("top", 0)} {w} {h}" width="{w}" height="{h}"'
                yield ("svg", f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box}>{icon["body"]}</svg>'), name, style


def build():
    """Render all sets: pictures.npy [N,256,256,4] u8 and pictures.json."""
    import multiprocessing as mp
    import procedural
    if os.path.exists(path("data", "pictures.json")):
        return
    chars = json.load(open(package("@iconify-json/fluent-emoji-flat") + "/chars.json"))
    info = {e["hexcode"].lower().replace("-fe0f", ""): e for e in json.load(open(package("emojibase-data") + "/en/data.json"))}
    wanted = concepts()
    names = {}
    for code, name in chars.items():
        e = info.get(code.replace("-fe0f", ""))
        # 0 faces, 3 animals, 4 food, 5 places, 6 activities, 7 objects; no people, flags or symbols but the prompted
        if name in wanted or (e and e.get("group") in (0, 3, 4, 5, 6, 7) and not SMOKE):
            names.setdefault(name, code)
    if SMOKE:
        names = {n: names[n] for n in list(wanted)[::8] if n in names}
    jobs, meta = [], []
    for job, name, style in _jobs(names):
        jobs.append(job)
        meta.append(dict(name=name, style=style, held=held_out(name, style)))
    with mp.Pool(2) as pool:
        pics = pool.map(_render, jobs, chunksize=32)
    meta = [m for m, p in zip(meta, pics) if p is not None]
    pics = [p for p in pics if p is not None]
    rng = np.random.default_rng(7)
    for noun, p in procedural.pictures(rng, few=SMOKE):
        pics.append(p)
        meta.append(dict(name=noun, style="procedural", held=bool(rng.random() < 0.08)))
    np.save(path("data", "new.npy"), np.stack(pics))
    os.replace(path("data", "new.npy"), path("data", "pictures.npy"))
    json.dump(meta, open(path("data", "pictures.json"), "w"))
    print(len(meta), "pictures,", sum(m["held"] for m in meta), "held out")


class Pictures:
    """All pictures, memory-mapped, with name, style, concept (None if it is not prompted) and whether each is held out."""

    def __init__(self):
        import procedural
        self.pics = np.load(path("data", "pictures.npy"), mmap_mode="r")
        self.meta, wanted = json.load(open(path("data", "pictures.json"))), concepts()
        for m in self.meta:
            prompted = m["style"] in PROMPTED
            m["concept"] = (procedural.concept(m["name"]) if m["style"] == "procedural" else wanted.get(m["name"])) if prompted else None
        self.train = [i for i, m in enumerate(self.meta) if not m["held"]]
        self.held = [i for i, m in enumerate(self.meta) if m["held"]]
        self.prompted = [i for i in self.train if self.meta[i]["concept"]]
        self.by_noun = {}
        for i in self.prompted:
            self.by_noun.setdefault(self.meta[i]["concept"].noun, []).append(i)
        self.nouns = sorted(self.by_noun)


if __name__ == "__main__":
    fetch()
    build()
