"""Described samples, each a function of its seed: objects on transparency, backgrounds, layer triples.

A sample is pictures (u8, 256 x 256) and a description from which captions are made anew each time it is used. `python samples.py`
makes the pool of pictures that the codec is tuned on and sheets of triples to look at.
"""
import os, sys
import numpy as np

import captions, data, effects, placing, scenes

SIZE = data.SIZE


def describe(pictures, i):
    m = pictures.meta[i]
    return dict(noun=m["concept"].noun, synonyms=m["concept"].synonyms, style=m["style"])


def coloured(pictures, i, d, rng, share):
    """The picture, and in a share of the concepts that may be tinted a recoloured one with its colour in the description."""
    picture = np.asarray(pictures.pics[i])
    if pictures.meta[i]["concept"].tint and rng.random() < share:
        colour = list(effects.HUES)[rng.integers(len(effects.HUES))]
        new = effects.recolour(picture, colour)
        if new is not None:
            return new, dict(d, colour=colour)
    return picture, d


def smallness(share):
    """How a caption is to say it of an object that takes so much of the frame: 0 for not at all."""
    return 2 if share < 0.4 else 1 if share < 0.72 else 0


def frame(picture, d, rng, small_share=0.25, effect="none"):
    """A picture filling the frame, or a small one anywhere; with the room that its effect needs. A few scales and places: a small network
    learns a thing that looks the same each time much sooner."""
    cut = effects.crop(picture)
    aspect = cut.shape[1] / cut.shape[0]
    small, roomy = rng.random() < small_share, effect in ("shadow", "glow")
    scale = (0.3, 0.42, 0.6)[rng.integers(3)] if small else 0.78 if roomy else 0.92
    height = SIZE * scale / max(1.0, aspect)
    width = height * aspect
    room = 26 if roomy else 10
    x = rng.uniform(width / 2 + room, SIZE - width / 2 - room) if small else SIZE / 2
    bottom = rng.uniform(height + room, SIZE - room) if small else SIZE / 2 + height / 2
    if small:
        x, bottom = effects.on_grid(x, bottom, height, aspect)
    return effects.at(cut, x, bottom, height, SIZE), dict(d, small=smallness(scale))


def framed(picture, d, rng, small_share=0.25, effect_share=0.12):
    """`frame` with an effect in a share of the pictures."""
    kind = "none"
    if d["style"] != "procedural" and rng.random() < effect_share:
        kind = effects.EFFECTS[rng.integers(1, len(effects.EFFECTS))]
    rgba, d = frame(picture, d, rng, small_share, kind)
    return (rgba if kind == "none" else effects.to_u8(effects.apply(effects.to_tensor(rgba), kind, rng))), dict(d, effect=kind)


def an_object(pictures, rng, i=None, effect_share=0.12, small_share=0.25):
    """(RGBA, description): a prompted object on transparency."""
    if i is None:
        rows = pictures.by_noun[pictures.nouns[rng.integers(len(pictures.nouns))]]
        i = rows[rng.integers(len(rows))]
    picture, d = coloured(pictures, i, describe(pictures, i), rng, 0.5)
    return framed(picture, d, rng, small_share, effect_share)


def a_background(rng, kind=None):
    """(RGB, description)."""
    kinds = [k for k in scenes.KINDS if k != "plain"]
    kind = kind or ("plain" if rng.random() < 0.06 else kinds[rng.integers(len(kinds))])
    scene = scenes.familiar(kind, rng)
    return scenes.render(scene), dict(kind=kind, light=scene.light.name, words=scene.words)


def placeable(pictures):
    return [n for n in pictures.nouns if pictures.meta[pictures.by_noun[n][0]]["concept"].places]


def a_triple(pictures, rng, held=False, ghostly=0.12):
    """(foreground RGBA, background RGB, blend RGB, description). The kinds of scene come equally often, whatever
    is plausible in them. `held` asks for a pair of noun and scene that is never trained on."""
    nouns = placeable(pictures)
    while True:
        wanted = list(scenes.KINDS)[rng.integers(len(scenes.KINDS))]
        if wanted == "plain" and not held:
            noun = pictures.nouns[rng.integers(len(pictures.nouns))]
            choice = ("any", "plain", "ground" if rng.random() < 0.6 else "air")
        else:
            fits = [n for n in nouns if any(k == wanted and placing.held_pair(n, k) == held for k, _ in placing.spots(pictures.meta[pictures.by_noun[n][0]]["concept"]))]
            if not fits:
                continue
            noun = fits[rng.integers(len(fits))]
            choice = None
        rows = pictures.by_noun[noun]
        i = rows[rng.integers(len(rows))]
        concept = pictures.meta[i]["concept"]
        if choice is None:
            options = [(p, k, s) for p in concept.places for k, s in placing.PLACES[p] if k == wanted and placing.held_pair(noun, k) == held]
            choice = options[rng.integers(len(options))]
        break
    place, kind, slot = choice
    picture, d = coloured(pictures, i, describe(pictures, i), rng, 0.5)
    if rng.random() < ghostly and d["style"] != "procedural":  # a see-through object
        effect = ("glass", "ghostly")[rng.integers(2)]
        picture, d = effects.to_u8(effects.apply(effects.to_tensor(picture), effect, rng)), dict(d, effect=effect)
    t = placing.place(picture, concept, place, placing.draw_with(kind, slot, rng), slot, rng)
    d = dict(d, small=smallness(max(effects.crop(t.foreground).shape[:2]) / SIZE))
    return t.foreground, t.background, t.blend, dict(object=d, scene=t.scene, slot=slot)


def opaque(rgb):
    return np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], -1)


def pool_entry(pictures, rng):
    """What the codec is tuned on: all kinds of picture that the model is to make, and of objects also those that it is not."""
    u = rng.random()
    if u < 0.60:
        i = pictures.train[rng.integers(len(pictures.train))]
        d = dict(style=pictures.meta[i]["style"])
        return framed(np.asarray(pictures.pics[i]), d, rng, effect_share=0.5)[0]
    if u < 0.72:  # semi-transparent by themselves
        made = [i for i in pictures.train if pictures.meta[i]["style"] == "procedural"]
        i = made[rng.integers(len(made))]
        return frame(np.asarray(pictures.pics[i]), dict(style="procedural"), rng)[0]
    if u < 0.82:
        return opaque(a_background(rng)[0])
    return opaque(a_triple(pictures, rng)[2])


_pictures = None


def _pool_part(seed):
    global _pictures
    _pictures = _pictures or data.Pictures()
    return pool_entry(_pictures, np.random.default_rng([40, seed]))


def build_pool(n):
    """data/pool.npy: [n,256,256,4] u8."""
    import multiprocessing as mp
    if os.path.exists(data.path("data", "pool.npy")):
        return
    out = np.lib.format.open_memmap(data.path("data", "new.npy"), "w+", np.uint8, (n, SIZE, SIZE, 4))
    with mp.Pool(2) as pool:
        for k, p in enumerate(pool.imap(_pool_part, range(n), chunksize=8)):
            out[k] = p
    out.flush()
    os.replace(data.path("data", "new.npy"), data.path("data", "pool.npy"))
    print(n, "pictures for the codec")


def sheets(n=24, columns=6):
    """data/backgrounds.png, data/triples.png (blends), data/foregrounds.png: for looking at."""
    from PIL import Image
    pictures, rows = data.Pictures(), []
    for k in range(n):
        fg, bg, blend, d = a_triple(pictures, np.random.default_rng([41, k]))
        grey = fg[..., :3] * (fg[..., 3:] / 255.0) + 200 * (1 - fg[..., 3:] / 255.0)
        rows.append((grey.astype(np.uint8), bg, blend))
        print(captions.of_blend(d["object"], d["scene"], d["slot"], np.random.default_rng(k)))
    grid = lambda tiles: np.concatenate([np.concatenate(tiles[k:k + columns], 1) for k in range(0, len(tiles), columns)])
    for name, part in (("foregrounds", 0), ("triples", 2)):
        Image.fromarray(grid([r[part] for r in rows])).save(data.path("data", name + ".png"))
    scenes.sheet(data.path("data", "backgrounds.png"))


if __name__ == "__main__":
    build_pool(64 if data.SMOKE else 4000)
    if "sheets" in sys.argv:
        sheets()
