"""Objects in scenes: layer triples (foreground, background, blend) with light, tint, shadows and water, as section 3.4 of the
paper gets them from inpainting. The foreground stays clean; what the scene does to it is in the blend alone."""
import dataclasses, hashlib
import numpy as np
from PIL import Image, ImageFilter

import data, effects, scenes

# place of a concept -> where that is: scene and slot
PLACES = {
    "land": [("meadow", "ground"), ("meadow", "ground"), ("mountains", "ground"), ("sunset", "ground")],
    "garden": [("meadow", "ground")],
    "pet": [("room", "ground"), ("meadow", "ground"), ("city street", "ground")],
    "woods": [("forest", "ground")],
    "dry": [("desert", "ground")],
    "polar": [("snow", "ground")],
    "hills": [("mountains", "ground")],
    "beach": [("beach", "ground")],
    "shore": [("lake", "ground"), ("beach", "ground")],
    "pond": [("lake", "afloat")],
    "deep": [("underwater", "swim")],
    "seabed": [("underwater", "ground")],
    "afloat": [("sea", "afloat"), ("sea", "afloat"), ("lake", "afloat"), ("sunset", "afloat")],
    "air": [("sky", "air"), ("meadow", "air"), ("mountains", "air"), ("beach", "air")],
    "high": [("sky", "air"), ("sky", "air"), ("sunset", "air"), ("mountains", "air"), ("desert", "air"), ("city street", "air"), ("sea", "air")],
    "night": [("night sky", "air")],
    "orbit": [("space", "orbit"), ("space", "orbit"), ("night sky", "air")],
    "road": [("road", "road"), ("road", "road"), ("city street", "road"), ("desert", "ground"), ("snow", "ground")],
    "city": [("city street", "ground")],
    "room": [("room", "ground")],
    "dish": [("table", "ground")],
    "drink": [("table", "ground")],
    "decor": [("table", "ground")],
    "toy": [("room", "ground"), ("table", "ground")],
    "plant": [("meadow", "ground")],
    "tree": [("meadow", "ground"), ("mountains", "ground")],
    "palm": [("beach", "ground"), ("desert", "ground")],
    "building": [("meadow", "ground"), ("mountains", "ground"), ("snow", "ground"), ("sunset", "ground")],
    "camp": [("forest", "ground"), ("beach", "ground"), ("snow", "ground")],
    "balloon": [("sky", "air"), ("meadow", "air"), ("city street", "air"), ("beach", "air")],
    "spirit": [("night sky", "air"), ("forest", "ground"), ("room", "ground")],
    "vapour": [("night sky", "air"), ("sky", "air"), ("city street", "ground"), ("forest", "ground"), ("snow", "ground")],
}
HOVERS = ("spirit", "vapour")  # in slots of the ground these are a little above it
SHINING = ("glowing orb", "fire", "candle", "oil lamp", "full moon", "crescent moon", "comet", "pumpkin", "paper lantern")  # these light their surroundings
# heights beside what a slot calls a middling object
SIZES = {0.45: ["mouse", "rat", "ladybug", "ant", "snail", "spider", "beetle", "scorpion", "baby chick", "blackbird", "chili pepper", "strawberry", "cherries", "blueberries", "garlic", "gem", "die"],
         0.65: ["hedgehog", "squirrel", "lizard", "crab", "mushroom", "brown mushroom", "rabbit", "egg", "lemon", "lime", "kiwi", "bee", "butterfly", "bat", "dove", "soccer ball", "shell", "volleyball", "tropical fish",
                "puffer fish", "shrimp", "otter", "beaver", "turtle", "duck", "ball of yarn", "skunk", "badger", "yellow flower", "tulip", "sprout", "fire", "basketball", "skateboard", "cookie"],
         1.3: ["elephant", "giraffe", "mammoth", "dinosaur", "t-rex", "rhino", "pine tree", "tree", "palm tree", "whale", "shark", "lorry", "fire truck", "bus", "ferris wheel", "cruise ship", "ship", "circus tent", "airplane"],
         1.6: ["house", "castle", "church", "temple", "factory"]}
SIZE_OF = {noun: k for k, nouns in SIZES.items() for noun in nouns}


@dataclasses.dataclass
class Triple:
    foreground: np.ndarray  # [256,256,4] u8, straight
    background: np.ndarray  # [256,256,3] u8
    blend: np.ndarray
    scene: dict             # kind, light, words
    slot: str


def spots(concept):
    """Where a concept may be: (scene, slot) pairs; on a plain background anything may be."""
    return [s for p in concept.places for s in PLACES[p]]


def held_pair(noun, kind):
    """About a tenth of the pairs of noun and scene is kept from training."""
    return hashlib.sha1(f"{noun}/{kind}".encode()).digest()[0] % 10 == 0


def _soft(mask, radius):
    return np.asarray(Image.fromarray((np.clip(mask, 0, 1) * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(float(radius))), np.float32) / 255


def _shadows(alpha, bottom, scene):
    """How dark the ground gets: a contact shadow under the object, and one that it casts."""
    light, n = scene.light, alpha.shape[0]
    rows = np.nonzero(alpha.max(1) > 0.1)[0]
    top, base = rows[0], rows[-1]
    height = base - top + 1
    foot = alpha[max(top, base - max(2, height // 6)):base + 1].max(0)
    xs = np.nonzero(foot > 0.15)[0]
    if len(xs) == 0:
        return np.zeros_like(alpha)
    x, w = (xs[0] + xs[-1]) / 2, max(4, xs[-1] - xs[0] + 1)
    yy, xx = np.mgrid[0:n, 0:n].astype(np.float32)
    flat = max(2.0, w * 0.10)
    density = float(alpha[alpha > 0.1].mean())
    contact = np.exp(-(((xx - x) / (w * 0.52)) ** 2 + ((yy - bottom + flat * 0.2) / flat) ** 2) ** 1.5) * light.shadow * 1.35
    cast = np.zeros_like(alpha)
    if light.length > 0:
        squash = 0.16 + 0.24 * light.length  # height of the shadow on the ground beside the object's
        shear = light.side * (0.5 + light.length)
        # output (x, y) on the ground comes from height (bottom - y) / squash of the object, shifted by the slant
        a = Image.fromarray((alpha * 255).astype(np.uint8))
        back = -1 if scene.light.name in ("sunset",) or scene.horizon > 0.62 else 1  # away from a low sun the shadow comes towards the viewer
        k = back / squash
        m = (1, shear * k * squash, -shear * k * squash * bottom, 0, k, bottom * (1 - k))
        cast = np.asarray(a.transform((n, n), Image.AFFINE, m, Image.BILINEAR), np.float32) / 255
        cast = _soft(cast, 1.5 + height * 0.02) * light.shadow * 0.75
    ground = np.clip((yy / n - scene.horizon) * 30, 0, 1)  # no shadow on the sky
    return np.clip(np.maximum(contact, cast), 0, 0.75) * ground * density


def _lit(rgb, alpha, scene, rng):
    """The object's colours in the light of the scene."""
    n = rgb.shape[0]
    light = scene.light
    out = rgb + (light.grade(rgb) - rgb) * 0.9
    xs = np.nonzero(alpha.max(0) > 0.1)[0]
    if len(xs):  # the side away from the light is darker
        across = np.clip((np.arange(n) - xs[0]) / max(1, xs[-1] - xs[0]), 0, 1)[None, :, None] - 0.5
        strength = dict(space=0.45, sunset=0.30, night=0.20, day=0.14).get(light.name, 0.08)
        out = out * (1 - strength * across * light.side)
    return np.clip(out, 0, 1)


def _in_water(pre, alpha, bottom, height, base, rng):
    """A hull: its lowest part is under the surface, which mirrors the rest."""
    n = alpha.shape[0]
    depth = max(2.0, height * 0.10)
    yy, xx = np.mgrid[0:n, 0:n].astype(np.float32)
    surface = bottom - depth + 0.9 * np.sin(xx / max(3, height * 0.07) + rng.uniform(0, 6.28)) * max(1, height * 0.012)
    above = np.clip((surface - yy) / 1.5 + 0.5, 0, 1)
    line = int(round(bottom - depth))
    mirror = np.zeros_like(pre)
    mirror_a = np.zeros_like(alpha)
    h = min(line, n - line)
    if h > 2:
        mirror[line:line + h], mirror_a[line:line + h] = pre[line - h:line][::-1], alpha[line - h:line][::-1]
        shift = np.round(np.sin(np.arange(n) / 2.3 + rng.uniform(0, 6.28)) * np.clip((np.arange(n) - line) * 0.10, 0, 3)).astype(int)
        for y in range(line, min(n, line + h)):
            mirror[y], mirror_a[y] = np.roll(mirror[y], shift[y], 0), np.roll(mirror_a[y], shift[y], 0)
    fade = np.clip(0.42 * (1 - (yy - line) / max(8, height * 0.8)), 0, 1) * (yy >= line - 1)
    mixed = base * (1 - mirror_a * fade)[..., None] + mirror * fade[..., None]
    foam = np.exp(-((yy - surface - 0.5) / 1.2) ** 2) * (np.convolve(alpha.max(0), np.ones(9) / 9, "same") > 0.3)[None] * 0.55 * (alpha[max(0, line - 3):line + 3].max(0) > 0.3)[None]
    mixed = mixed * (1 - foam[..., None]) + foam[..., None] * np.clip(base + 0.35, 0, 1)
    return pre * above[..., None], alpha * above, mixed


def _shine(rgb, alpha, height):
    """The light that a shining object throws around it."""
    colour = (rgb * alpha[..., None]).sum((0, 1)) / max(1.0, alpha.sum())
    halo = _soft(alpha, height * 0.28)
    return np.clip(halo * 1.2, 0, 1)[..., None] * (colour * 0.6 + np.array([0.4, 0.34, 0.2]))


def blend_of(foreground, background, scene, slot, bottom, height, shining, rng):
    """What one sees: the object lit by the scene, with its shadow or mirror image. All [256,256,*] floats in [0,1]."""
    alpha, rgb = foreground[..., 3], foreground[..., :3]
    lit = rgb if shining else _lit(rgb, alpha, scene, rng)
    if scene.surface == "under":  # water between
        lit = lit * 0.86 + background.mean((0, 1)) * 0.14
    pre, base = lit * alpha[..., None], background
    if slot == "afloat":
        pre, alpha, base = _in_water(pre, alpha, bottom, height, base, rng)
    elif slot in ("ground", "road") and not shining:
        dark = _shadows(alpha, bottom, scene)[..., None]
        base = base * (1 - dark * (1 - np.array([0.0, 0.02, 0.06])))
    if shining and scene.light.name in ("night", "sunset", "space"):
        base = 1 - (1 - base) * (1 - 0.6 * _shine(rgb, alpha, height))
    return pre + base * (1 - alpha[..., None])


# In a small picture objects have to be near: of less than six cells one can make out little. And of a thing in few sizes a small network learns
# sooner what it looks like.
NEARER = 2
SIDES = [k * data.CELL for k in (7, 10, 13)]


def height_of(wanted, aspect):
    """The height of a thing as it is placed: its mean side is the one of `SIDES` that is nearest to that of the wanted height, its height whole cells."""
    side = min(SIDES, key=lambda s: abs(s - wanted * aspect ** 0.5))
    height = min(side / aspect ** 0.5, scenes.N * 0.76, scenes.N * 0.86 / aspect)
    return max(3, round(height / data.CELL)) * data.CELL


def place(picture, concept, place_name, scene, slot, rng):
    """Put a u8 picture of a concept into a drawn scene."""
    n = scenes.N
    background = scenes.render(scene).astype(np.float32) / 255
    far, near, small, large = scene.slots[slot]
    t = rng.uniform(0, 1) ** 0.8
    cut = effects.crop(picture)
    aspect = cut.shape[1] / cut.shape[0]
    height = height_of(n * (small + (large - small) * t) * NEARER * SIZE_OF.get(concept.noun, 1.0) / max(1.0, aspect) ** 0.5, aspect)
    bottom = n * (far + (near - far) * t)
    if slot in ("air", "swim", "orbit"):
        bottom = bottom + height * 0.35
    if place_name in HOVERS and slot == "ground":
        bottom -= height * rng.uniform(0.1, 0.5)
    bottom = min(n - 10, max(bottom, height + 10))
    half = height * aspect / 2
    x = rng.uniform(half + 10, n - half - 10) if 2 * half < n - 20 else n / 2
    x, bottom = effects.on_grid(x, bottom, height, aspect)
    foreground = effects.at(cut, x, bottom, height, n)
    blend = blend_of(foreground.astype(np.float32) / 255, background, scene, "air" if place_name in HOVERS else slot, bottom, height, concept.noun.endswith(SHINING), rng)
    u8 = lambda a: (np.clip(a, 0, 1) * 255 + 0.5).astype(np.uint8)
    return Triple(foreground, u8(background), u8(blend), dict(kind=scene.kind, light=scene.light.name, words=scene.words), slot)


def draw_with(kind, slot, rng):
    """A scene of this kind that has this slot (some kinds come with either sea or hills)."""
    for _ in range(50):
        scene = scenes.familiar(kind, rng)
        if slot in scene.slots:
            return scene
    raise ValueError(f"{kind} has no {slot}")
