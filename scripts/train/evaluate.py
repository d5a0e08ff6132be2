"""Measure the codec, the model on prompts, backgrounds, layers; draw contact sheets.

usage: evaluate.py [SIZE] [codec|prompts|backgrounds|few|sweep|joint|fg2bg|bg2fg|matting|sheets ...]; nothing named means all that there are
checkpoints for. Everything measured is kept in export/metrics.json, sheets beside it.
"""
import json, os, sys, time
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import adapters, caches, captions, codec, data, effects, model as model_, procedural, samples, scenes, sharing, vae as vae_stage
from model import GUIDANCE, STEPS, Model

FEW = 4
PROMPTS, SEEDS = (3, 1) if data.SMOKE else (60, 4)
PAIRS = 2 if data.SMOKE else 48
OBJECTS = [
    "a red apple", "a green apple", "a red apple made of glass", "a strawberry", "a slice of watermelon, 3d", "a hamburger",
    "a cat", "a fox", "a penguin, flat", "a butterfly", "an owl", "a whale",
    "a rose", "a cactus", "a christmas tree", "fire", "smoke", "a soap bubble",
    "a blue glass ball", "a rocket", "a blue car", "a red heart", "a glowing star", "a ghost",
]
SCENES = [
    "a meadow", "a beach", "the sea", "a desert", "a snowy field", "a forest", "mountains", "the night sky", "outer space", "an underwater scene", "a city street", "a road",
    "a room", "a wooden table", "a sunset", "a blue sky", "a lake", "a meadow at night", "a beach at sunset", "an autumn forest", "a city street at night", "a plain blue background", "a snowy field at night", "a desert at sunset",
]
BLENDS = [
    "a red apple on a wooden table", "a horse in a meadow", "a car on a road", "a tropical fish under water", "a rocket in space", "a sailboat on the sea",
    "a camel in the desert", "a snowman in the snow", "an airplane in the sky", "a deer in a forest", "a cat in a room", "a swan on a lake",
    "a house in the mountains", "a crab on a beach", "a taxi on a city street at night", "a bat in the night sky", "a blue glass bottle on a wooden table", "a ship on the sea at sunset",
    "a soap bubble over a meadow", "a ghost in the night sky", "a banana on a yellow background", "a teddy bear in a living room", "a bicycle on a country road at sunset", "a cup of coffee on a table",
]
# frames of a scene: foreground, background, blend
LAYERS = [
    ("a sailboat", "the sea at night", "a sailboat on the sea at night"), ("a camel", "a desert at sunset", "a camel in the desert at sunset"),
    ("a tropical fish", "an underwater scene", "a tropical fish under water"), ("a red apple", "a wooden table", "a red apple on a wooden table"),
    ("a fire truck", "a city street", "a fire truck on a city street"), ("a drinking glass", "a table", "a drinking glass on a table"),
]


def metrics(**values):
    file = data.path("export", "metrics.json")
    m = json.load(open(file)) if os.path.exists(file) else {}
    m.update(values)
    json.dump(m, open(file, "w"), indent=1)
    print(json.dumps(values, indent=1), flush=True)


def rounded(d):
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in d.items()}


def psnr(mse):
    return -10 * mse.clamp(min=1e-10).log10()


def premultiplied(x):
    return x[:, :3] * x[:, 3:]


def checker(x):
    n = x.shape[-1]
    yy, xx = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    return premultiplied(x) + (0.72 + 0.22 * ((yy // 16 + xx // 16) % 2).float()) * (1 - x[:, 3:])


def picture(x, columns):
    n, _, h, w = x.shape
    g = x.reshape(n // columns, columns, 3, h, w).permute(0, 3, 1, 4, 2).reshape(n // columns * h, columns * w, 3)
    return Image.fromarray((g.clamp(0, 1) * 255 + 0.5).byte().numpy())


# ---------------------------------------------------------------- codec


def held_pictures(pictures, effects_too):
    """Held-out pictures at 256, plain or with an effect each, and the pool's held-out part (which has scenes)."""
    out = []
    for k, i in enumerate(pictures.held[:: 12 if data.SMOKE else 1]):
        rng = np.random.default_rng([60, i])
        kind = effects.EFFECTS[1 + k % 4] if effects_too and pictures.meta[i]["style"] != "procedural" else "none"
        rgba, _ = samples.frame(np.asarray(pictures.pics[i]), dict(style=pictures.meta[i]["style"]), rng, 0.3, kind)
        if kind != "none":
            rgba = effects.to_u8(effects.apply(effects.to_tensor(rgba), kind, rng))
        out.append(rgba)
    return torch.from_numpy(np.stack(out)).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def measure_codec(m, size):
    pictures, out = data.Pictures(), {}
    groups = {"objects": held_pictures(pictures, False), "with effects": held_pictures(pictures, True), "pool with scenes": vae_stage.Pool().held(48)}
    for name, x in groups.items():
        x = x[:1] if data.SMOKE else x
        if size < data.SIZE:
            x = vae_stage.straight(F.avg_pool2d(torch.cat([premultiplied(x), x[:, 3:]], 1), data.SIZE // size))
        rows = {}
        for k in range(0, len(x), 8):
            p = x[k:k + 8]
            mean, shift, _ = codec.encode(m.vae, m.enc, p)
            grey = effects.composite(p) * 0.5 + 0.5
            for passes in (1, 8):
                y, rec = m.decode(mean + shift, passes)
                rows.setdefault(f"alpha MAE, {passes} pass", []).append((y[:, 3] - p[:, 3]).abs().mean((1, 2)))
                rows.setdefault(f"premultiplied PSNR, {passes} pass", []).append(psnr(((premultiplied(y) - premultiplied(p)) ** 2).mean((1, 2, 3))))
            bare, rec0 = m.decode(mean)
            rows.setdefault("alpha MAE without offset", []).append((bare[:, 3] - p[:, 3]).abs().mean((1, 2)))
            rows.setdefault("VAE PSNR with offset", []).append(psnr(((rec - grey) ** 2).mean((1, 2, 3))))
            rows.setdefault("VAE PSNR without offset", []).append(psnr(((rec0 - grey) ** 2).mean((1, 2, 3))))
        out[name] = rounded({k: torch.cat(v).mean().item() for k, v in rows.items()} | {"pictures": len(x)})
    metrics(codec=out)


# ---------------------------------------------------------------- prompts


def features(x):
    """Premultiplied RGBA on a grid of 16 x 16."""
    return F.adaptive_avg_pool2d(torch.cat([premultiplied(x), x[:, 3:]], 1), 16).flatten(1)


def clear_and_opaque(x):
    """Which pictures have both areas."""
    a = x[:, 3].flatten(1)
    return ((a < 0.05).float().mean(1) >= 0.05) & ((a > 0.95).float().mean(1) >= 0.05)


class Judge:
    """Is a training picture of the prompted concept among the nearest ones? Has it clear and opaque areas, if the concept has (glass is
    opaque nowhere)?"""

    def __init__(self):
        pictures = data.Pictures()
        f, self.nouns, self.solid = [], [], set()
        for i in pictures.prompted:
            cut = effects.crop(np.asarray(pictures.pics[i]))
            side = 232 / max(1.0, cut.shape[1] / cut.shape[0])
            rgba = effects.at(cut, 128, 128 + side / 2, side, 256)
            x = effects.to_tensor(rgba)
            f.append(features(x))
            self.nouns.append(pictures.meta[i]["concept"].noun)
            if clear_and_opaque(x).item():
                self.solid.add(self.nouns[-1])
        self.f = torch.cat(f)

    def __call__(self, x, nouns):
        near = torch.cdist(features(x), self.f).topk(5, largest=False).indices
        hits = [[self.nouns[j] == n for j in row] for row, n in zip(near.tolist(), nouns)]
        both = [b for b, n in zip(clear_and_opaque(x).tolist(), nouns) if n in self.solid]
        return dict(top1=sum(h[0] for h in hits) / len(hits), top5=sum(any(h) for h in hits) / len(hits), clear_and_opaque=sum(both) / len(both), solid=len(both))


def chosen(nouns, n):
    rng = np.random.default_rng(60)
    rest = [k for k in nouns if k not in ("red apple", "green apple")]
    return ["red apple", "green apple"] + [rest[i] for i in sorted(rng.choice(len(rest), min(n - 2, len(rest)), replace=False))]


def measure_prompts(m, judge, steps=STEPS, guidance=GUIDANCE, seeds=SEEDS):
    nouns = chosen(sorted(set(judge.nouns)), PROMPTS)
    texts = [captions.article(n) for n in nouns for _ in range(seeds)]
    t = time.time()
    x = m.generate(texts, [1000 + k for k in range(len(texts))], steps, guidance)
    return rounded(judge(x, [n for n in nouns for _ in range(seeds)]) | dict(pictures=len(x), steps=steps, guidance=guidance, seconds=time.time() - t))


class Backgrounds:
    """Which kind is a background of? By the five nearest of drawn ones (which are not those of training)."""

    def __init__(self, each=4 if data.SMOKE else 60):
        self.kinds, f = [], []
        for kind in scenes.KINDS:
            if kind != "plain":
                for k in range(each):
                    rgb = scenes.render(scenes.draw(kind, np.random.default_rng([61, len(self.kinds)])))
                    f.append(self.features(effects.to_tensor(rgb)))
                    self.kinds.append(kind)
        self.f = torch.cat(f)

    @staticmethod
    def features(x):
        """Colours and edges on coarse grids, so that a horizon a little higher does not matter much."""
        colour = F.adaptive_avg_pool2d(x, 8).flatten(1)
        grey = x.mean(1, keepdim=True)
        edges = torch.cat([(grey[..., 1:] - grey[..., :-1]).abs()[..., :-1, :], (grey[..., 1:, :] - grey[..., :-1, :]).abs()[..., :-1]], 1)
        return torch.cat([colour, F.adaptive_avg_pool2d(edges, 4).flatten(1) * 6], 1)

    def __call__(self, x, kinds):
        """Share for which the named kind is among the five nearest, and for which it is the nearest."""
        near = torch.cdist(self.features(x), self.f).topk(5, largest=False).indices
        hits = [[self.kinds[j] == k for j in row] for row, k in zip(near.tolist(), kinds)]
        return sum(any(h) for h in hits) / len(hits), sum(h[0] for h in hits) / len(hits), [any(h) for h in hits]


def background_prompts(seeds):
    """(kind, caption) of all kinds in all lights that they come in."""
    out = []
    for kind in list(scenes.KINDS)[:3 if data.SMOKE else None]:
        if kind != "plain":
            for k in range(seeds):
                scene = scenes.draw(kind, np.random.default_rng([62, k]))
                out.append((kind, captions.of_background(dict(kind=kind, light=scene.light.name, words=scene.words), np.random.default_rng([63, k]))))
    return out


def measure_backgrounds(m):
    rows, judge = background_prompts(1 if data.SMOKE else 6), Backgrounds()
    x = m.generate([c for _, c in rows], [2000 + k for k in range(len(rows))])
    five, one, each = judge(x[:, :3], [k for k, _ in rows])
    by_kind = {k: sum(h for h, (kind, _) in zip(each, rows) if kind == k) for k in judge.kinds}
    metrics(backgrounds=rounded(dict(among_five=five, nearest=one, pictures=len(x), opaque=(x[:, 3].flatten(1).mean(1) > 0.98).float().mean().item())) | dict(hits=by_kind))


# ---------------------------------------------------------------- layers


def held_triples(kind, n):
    """Captions for each frame, and the pictures, of pairs that were not trained on."""
    cache = caches.Cache(adapters.SIZE, "held", pixels=True)
    rows = list(range(min(n, len(cache))))
    own = []
    for i in rows:
        d, rng = cache.described[i], np.random.default_rng([64, i])
        words = {"foreground": captions.of_object(dict(d["object"], small=0), rng), "background": captions.of_background(d["scene"], rng), "blend": captions.of_blend(d["object"], d["scene"], d["slot"], rng)}
        own.append([words[f] for f in sharing.FRAMES[kind]])
    pixels = [cache.pixels(i) for i in rows]
    fg = torch.from_numpy(np.stack([p[0] for p in pixels])).permute(0, 3, 1, 2).float() / 255
    bg = torch.from_numpy(np.stack([p[1] for p in pixels])).permute(0, 3, 1, 2).float() / 255
    return cache, rows, own, fg, bg


def over(fg, bg):
    return premultiplied(fg) + bg * (1 - fg[:, 3:])


def border(fg):
    """Mean alpha in a frame of a 32nd of the picture's side."""
    a = fg[:, 3]
    width = a.shape[-1] // 32
    edge = torch.ones_like(a[0], dtype=torch.bool)
    edge[width:-width, width:-width] = False
    return a[:, edge].mean(1)


def outside(a, b, fg):
    """PSNR of two pictures where there is no foreground (nor what is near it, where shadows fall); of all where it is everywhere."""
    grow = fg.shape[-1] * 3 // 64
    clear = (F.max_pool2d(fg[:, 3:], 2 * grow + 1, 1, grow) < 0.05).float()
    clear = torch.where(clear.mean((1, 2, 3), keepdim=True) < 0.02, torch.ones(()), clear)
    return psnr((((a - b) ** 2).mean(1, keepdim=True) * clear).sum((1, 2, 3)) / clear.sum((1, 2, 3)).clamp(min=1))


@torch.no_grad()
def measure_layers(kind):
    m = Model(adapters.SIZE, layers=kind)
    cache, rows, texts, fg, bg = held_triples(kind, PAIRS)
    hint = adapters.condition(kind, cache, rows) if sharing.CONDITION[kind] else None
    got = m.frames(texts, [3000 + 10 * k for k in rows], hint)
    fg, bg = got.get("foreground", fg), got.get("background", bg)
    r = {"pairs": len(rows), "blend against composite of its layers, dB": psnr(((got["blend"] - over(fg, bg)) ** 2).mean((1, 2, 3))).mean().item()}
    # what the same measures give for the true triples through the codec
    z = cache.z[rows].float() / model_.networks.SCALE
    true_fg, true_bg, true_blend = (torch.cat([f(z[k:k + 8, i]) for k in range(0, len(z), 8)]) for i, f in enumerate((lambda z: m.decode(z)[0], m.picture, m.picture)))
    r["of the true triples, dB"] = psnr(((true_blend - over(true_fg, true_bg)) ** 2).mean((1, 2, 3))).mean().item()
    if kind == "bg2fg":
        r["blend against given background outside, dB"] = outside(got["blend"], bg, fg).mean().item()
        r["of the true triples outside, dB"] = outside(true_blend, bg, true_fg).mean().item()
    if "foreground" in got:
        r["alpha at the border"] = border(fg).mean().item()
        r["foregrounds clear at the border"] = (border(fg) < 0.02).float().mean().item()
        r["foregrounds with clear and opaque parts"] = (((fg[:, 3] < 0.05).flatten(1).float().mean(1) > 0.05) & ((fg[:, 3] > 0.5).flatten(1).float().mean(1) > 0.003)).float().mean().item()
    if "background" in got:
        kinds = [cache.described[i]["scene"]["kind"] for i in rows]
        r["background among five"] = Backgrounds()(got["background"], kinds)[0]
    metrics(**{kind: rounded(r)})
    k = min(len(rows), 12)
    strips = [checker(fg[:k]), bg[:k], got["blend"][:k], over(fg, bg)[:k]]
    picture(torch.cat(strips), k).save(data.path("export", f"layers-{kind}.png"))


# ---------------------------------------------------------------- matting against native alpha (section 4.6)


@torch.no_grad()
def measure_matting(m):
    """Glass, smoke and glow, held out: alpha by a matting algorithm from the opaque picture (with the best trimap one could give it)
    against alpha from latents that carry it."""
    from pymatting import estimate_alpha_cf
    pictures, rng = data.Pictures(), np.random.default_rng(65)
    rows = [i for i in pictures.held if pictures.meta[i]["style"] == "procedural"][:2 if data.SMOKE else 24]
    errors = dict(matting=[], native=[])
    strips, near = [], 2 * (m.size // 64) + 1  # how wide the trimap's unknown band is
    for i in rows:
        picture_, _ = samples.frame(np.asarray(pictures.pics[i]), dict(style="procedural"), rng, 0.0)
        x = caches.shrunk(picture_[None], m.size)
        backdrop = caches.shrunk(samples.opaque(samples.a_background(rng, ("room", "table", "meadow", "city street")[i % 4])[0])[None], m.size)[:, :3]
        opaque, a = over(x, backdrop)[0], x[0, 3]
        known = torch.full_like(a, 0.5)
        known[F.max_pool2d(a[None, None], near, 1, near // 2)[0, 0] < 0.02] = 0
        known[-F.max_pool2d(-a[None, None], near, 1, near // 2)[0, 0] > 0.98] = 1
        if not (known == 1).any():  # nothing is opaque, but the algorithm needs something that counts as it
            known[a >= a.flatten().topk(64).values[-1]] = 1
        matte = torch.from_numpy(estimate_alpha_cf(opaque.permute(1, 2, 0).double().numpy(), known.double().numpy())).float()
        mean, shift, _ = codec.encode(m.vae, m.enc, x)
        native = m.decode(mean + shift)[0][0, 3]
        inside = (a > 0.02) | (known > 0)
        for name, got in (("matting", matte), ("native", native)):
            errors[name].append((got - a)[inside].abs().mean().item())
        strips.append(torch.stack([opaque, *(t[None].expand(3, -1, -1) for t in (a, matte, native))]))
    metrics(matting=rounded({f"alpha MAE where there is something, {k}": float(np.mean(v)) for k, v in errors.items()} | dict(pictures=len(rows))))
    k = min(6, len(strips))
    picture(torch.stack(strips[:k], 1).flatten(0, 1), k).save(data.path("export", "matting.png"))


# ---------------------------------------------------------------- sheets


def sheets(m, size):
    name = "" if size == data.FINAL else f"-{size}"
    for what, texts in (("objects", OBJECTS), ("scenes", SCENES), ("blends", BLENDS)):
        texts = texts[:2] if data.SMOKE else texts
        x = m.generate(texts, list(range(1, len(texts) + 1)))
        picture(checker(x), min(6, len(texts))).save(data.path("export", f"{what}{name}.png"))


def layer_sheet():
    m = Model(adapters.SIZE, layers="joint")
    rows = LAYERS[:2] if data.SMOKE else LAYERS
    got = m.frames([list(r) for r in rows], [10 * k for k in range(len(rows))])
    picture(torch.cat([checker(got["foreground"]), got["background"], got["blend"], over(got["foreground"], got["background"])]), len(rows)).save(data.path("export", "joint.png"))


def main(arguments):
    size = next((int(a) for a in arguments if a.isdigit()), data.FINAL)
    has = lambda stage: os.path.exists(data.path("ckpt", stage + ".pt"))
    wanted = [a for a in arguments if not a.isdigit()] or ["codec", "sheets", "prompts", "backgrounds", "few", "sweep", "matting", "joint", "fg2bg", "bg2fg"]
    m = Model(size, generator=has(f"base-{size}") and set(wanted) != {"codec"})
    judge = Judge() if {"prompts", "few", "sweep"} & set(wanted) else None
    for what in wanted:
        if what == "codec":
            measure_codec(m, size)
        elif what == "matting":
            measure_matting(m)
        elif what in sharing.FRAMES and has(f"layers-{what}") and size == adapters.SIZE:
            measure_layers(what)
            if what == "joint":
                layer_sheet()
        elif what == "prompts":
            metrics(prompts=measure_prompts(m, judge))
        elif what == "sweep":
            settings = [(4, GUIDANCE)] if data.SMOKE else [(8, GUIDANCE), (12, GUIDANCE), (16, 2.0), (16, 5.0), (24, GUIDANCE)]
            metrics(sweep={f"{s} steps, guidance {g:g}": measure_prompts(m, judge, s, g, 1) for s, g in settings})
        elif what == "few" and has(f"lcm-{size}"):
            metrics(few={f"{s} steps": measure_prompts(Model(size, few_steps=True), judge, s, 1.0, 1) for s in ((FEW,) if data.SMOKE else (2, FEW, 8))})
        elif what == "backgrounds" and size > 64:
            measure_backgrounds(m)
        elif what == "sheets":
            sheets(m, size)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main(sys.argv[1:])
