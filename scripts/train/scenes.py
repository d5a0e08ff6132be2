"""Backgrounds, drawn as flat, softly lit illustrations with smooth gradients, in the manner of the objects' artwork.

`draw(kind, rng)` returns a `Scene`: an SVG text of 256 x 256 units and what a picture of an object in it needs to know, namely its
light (tint, direction of shadows) and its places (where things stand, swim, fly, and how large they are there).
"""
import dataclasses, io, math
import numpy as np

N = 256

# ---------------------------------------------------------------- light


@dataclasses.dataclass
class Light:
    """What the light does to every colour, and to shadows."""
    name: str
    gain: tuple          # per channel
    lift: tuple          # added to black
    saturation: float
    shadow: float        # opacity of contact shadows
    length: float        # of cast shadows, in heights of the object
    side: float = 1.0    # +1: light from the left, shadow to the right

    def grade(self, rgb):
        """Colours in [0, 1], last axis RGB."""
        rgb = np.asarray(rgb, np.float32)
        grey = rgb @ np.array([0.3, 0.59, 0.11], np.float32)
        rgb = grey[..., None] + (rgb - grey[..., None]) * self.saturation
        lift = np.array(self.lift, np.float32)
        return np.clip(lift + rgb * np.array(self.gain, np.float32) * (1 - lift), 0, 1)


def light(name, rng):
    table = {
        "day": Light("day", (1, 1, 1), (0, 0, 0), 1.0, 0.38, 0.45),
        "overcast": Light("overcast", (0.88, 0.90, 0.94), (0.03, 0.035, 0.05), 0.78, 0.28, 0.15),
        "sunset": Light("sunset", (1.02, 0.76, 0.62), (0.06, 0.015, 0.04), 0.95, 0.42, 0.9),
        "night": Light("night", (0.36, 0.44, 0.70), (0.01, 0.02, 0.06), 0.75, 0.40, 0.3),
        "room": Light("room", (1.0, 0.97, 0.92), (0, 0, 0), 1.0, 0.40, 0.3),
        "water": Light("water", (0.55, 0.84, 0.95), (0.0, 0.07, 0.14), 0.85, 0.25, 0.1),
        "space": Light("space", (0.92, 0.92, 1.0), (0.0, 0.0, 0.02), 0.95, 0.0, 0.0),
    }
    return dataclasses.replace(table[name], side=float(rng.choice([-1, 1])))


@dataclasses.dataclass
class Scene:
    kind: str
    light: Light
    svg: str
    # slot -> (y of the farthest ground contact, of the nearest, height of a middling object at each), in units of the picture
    slots: dict
    words: str = ""       # a word for what is special in it, as "autumn" or "snowy"
    surface: str = "solid"  # solid, water (things float in it), under (water all around), none
    horizon: float = 0.5


# ---------------------------------------------------------------- drawing


def mix(a, b, t):
    return tuple(np.asarray(a, float) * (1 - t) + np.asarray(b, float) * t)


class Drawing:
    def __init__(self, rng, light_):
        self.rng, self.light, self.defs, self.body = rng, light_, [], []

    def u(self, lo, hi):
        return float(self.rng.uniform(lo, hi))

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def vary(self, rgb, amount=0.05):
        """A near colour: brightness and each channel a little off."""
        k = self.rng.uniform(-amount, amount, 3) * 0.6 + self.u(-amount, amount)
        return tuple(np.clip(np.asarray(rgb) + k, 0, 1))

    def hex(self, rgb, lit=True):
        c = self.light.grade(rgb) if lit else np.clip(rgb, 0, 1)
        return "#" + "".join(f"{round(float(v) * 255):02x}" for v in c)

    def _gradient(self, tag, stops, lit):
        name = f"g{len(self.defs)}"
        inner = "".join(f'<stop offset="{s[0]}" stop-color="{self.hex(s[1], lit)}" stop-opacity="{s[2] if len(s) > 2 else 1}"/>' for s in stops)
        self.defs.append(tag.replace("<", f'<{"linear" if "x1" in tag else "radial"}Gradient id="{name}" ', 1).replace(">", f">{inner}</{'linear' if 'x1' in tag else 'radial'}Gradient>"))
        return f"url(#{name})"

    def linear(self, *stops, lit=True, across=False):
        x2, y2 = (1, 0) if across else (0, 1)
        return self._gradient(f'<x1="0" y1="0" x2="{x2}" y2="{y2}">', stops, lit)

    def radial(self, *stops, lit=True, cx=0.5, cy=0.5, r=0.5):
        return self._gradient(f'<cx="{cx}" cy="{cy}" r="{r}">', stops, lit)

    def blur(self, amount):
        name = f"g{len(self.defs)}"
        self.defs.append(f'<filter id="{name}" x="-50%" y="-50%" width="200%" height="200%"><feGaussianBlur stdDeviation="{amount:.2f}"/></filter>')
        return f'filter="url(#{name})"'

    def fill(self, c, lit=True):
        return c if isinstance(c, str) else self.hex(c, lit)

    def rect(self, x, y, w, h, fill, rx=0, opacity=1, extra="", lit=True):
        self.body.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{rx:.1f}" fill="{self.fill(fill, lit)}" opacity="{opacity:.3f}" {extra}/>')

    def ellipse(self, x, y, rx, ry, fill, opacity=1, extra="", lit=True):
        self.body.append(f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}" fill="{self.fill(fill, lit)}" opacity="{opacity:.3f}" {extra}/>')

    def path(self, d, fill, opacity=1, extra="", lit=True):
        self.body.append(f'<path d="{d}" fill="{self.fill(fill, lit)}" opacity="{opacity:.3f}" {extra}/>')

    def line(self, d, colour, width, opacity=1, extra="", lit=True):
        self.body.append(f'<path d="{d}" fill="none" stroke="{self.fill(colour, lit)}" stroke-width="{width:.2f}" stroke-linecap="round" opacity="{opacity:.3f}" {extra}/>')

    def polygon(self, points, fill, opacity=1, extra="", lit=True):
        self.path("M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points) + " Z", fill, opacity, extra, lit)

    def group(self, attributes):
        self.body.append(f"<g {attributes}>")

    def end(self):
        self.body.append("</g>")

    def svg(self):
        return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {N} {N}" width="{N}" height="{N}"><defs>{"".join(self.defs)}</defs>{"".join(self.body)}</svg>'


def smooth(points):
    """A smooth path through points, by quadratic curves between their middles."""
    d = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in zip(points[1:-1], points[2:]):
        d += f" Q{x0:.1f} {y0:.1f} {(x0 + x1) / 2:.1f} {(y0 + y1) / 2:.1f}"
    return d + f" L{points[-1][0]:.1f} {points[-1][1]:.1f}"


def ridge(d, y, amplitude, waves=2.0, rough=0.0, n=24):
    """A rolling outline from left to right: points around height y."""
    p1, p2 = d.u(0, 6.28), d.u(0, 6.28)
    out = []
    for k in range(n + 1):
        x = -12 + (N + 24) * k / n
        t = x / N * 2 * math.pi
        out.append((x, y + amplitude * (0.65 * math.sin(t * waves / 2 + p1) + 0.35 * math.sin(t * waves + p2)) + rough * d.u(-1, 1)))
    return out


def closed(points, bottom=N + 6):
    return smooth(points) + f" L{points[-1][0]:.1f} {bottom} L{points[0][0]:.1f} {bottom} Z"


# ---------------------------------------------------------------- things in scenes


def sky(d, horizon=N, palette=None):
    """Sky by the light, with sun or moon, clouds, stars. Colours are those one sees, so they are not graded again."""
    name = d.light.name
    if name == "night":
        top, low = d.pick(((0.03, 0.05, 0.16), (0.14, 0.20, 0.42)), ((0.05, 0.04, 0.18), (0.24, 0.18, 0.42)), ((0.02, 0.06, 0.14), (0.10, 0.26, 0.40)))
        stops = [(0, top), (1, low)]
    elif name == "sunset":
        a, b, c = d.pick(((0.30, 0.22, 0.50), (0.93, 0.47, 0.42), (1.0, 0.80, 0.45)), ((0.42, 0.30, 0.58), (0.98, 0.58, 0.48), (1.0, 0.86, 0.60)), ((0.88, 0.40, 0.32), (0.98, 0.60, 0.32), (1.0, 0.86, 0.46)))
        stops = [(0, d.vary(a, 0.03)), (0.6, d.vary(b, 0.03)), (1, d.vary(c, 0.02))]
    elif name == "overcast":
        a = d.vary((0.62, 0.68, 0.76), 0.04)
        stops = [(0, a), (1, mix(a, (0.92, 0.94, 0.96), 0.7))]
    else:
        a = d.vary(palette or d.pick((0.24, 0.58, 0.93), (0.36, 0.68, 0.97), (0.30, 0.72, 0.92)), 0.04)
        stops = [(0, a), (1, mix(a, (0.93, 0.98, 1.0), d.u(0.6, 0.85)))]
    if horizon < N:
        d.rect(0, horizon, N, N - horizon, stops[-1][1], lit=False)
    d.rect(0, 0, N, horizon + 4, d.linear(*stops, lit=False))
    return stops[-1][1]


def disc(d, x, y, r, colour, glow, reach=3.2, opacity=0.75):
    """Sun or moon with its glow."""
    d.ellipse(x, y, r * reach, r * reach, d.radial((0, glow, opacity), (0.4, glow, opacity * 0.35), (1, glow, 0), lit=False))
    d.ellipse(x, y, r, r, colour, lit=False)


def sun_or_moon(d, horizon):
    x, y = d.u(30, 226), d.u(22, max(30, horizon * 0.5))
    if d.light.name == "night":
        moon(d, x, y, d.u(9, 15))
    elif d.light.name == "sunset":
        disc(d, x, horizon - d.u(4, 26), d.u(13, 20), (1, 0.93, 0.70), (1, 0.82, 0.45), 4.2)
    elif d.light.name == "day" and d.u(0, 1) < 0.6:
        disc(d, x, y, d.u(10, 15), (1, 0.95, 0.62), (1, 0.97, 0.75))
    d.light.side = 1.0 if x < N / 2 else -1.0


def moon(d, x, y, r):
    disc(d, x, y, r, (0.98, 0.96, 0.86), (0.75, 0.82, 1.0), 3.4, 0.5)
    if d.u(0, 1) < 0.6:
        for dx, dy, k in ((-0.3, -0.2, 0.24), (0.3, 0.25, 0.3), (0.15, -0.45, 0.14)):
            d.ellipse(x + dx * r, y + dy * r, k * r, k * r, (0.88, 0.86, 0.78), lit=False)


def stars(d, n, bottom, bright=1.0):
    for _ in range(n):
        x, y, r = d.u(0, N), d.u(0, bottom), d.u(0.4, 1.3)
        d.ellipse(x, y, r, r, d.pick((1, 1, 1), (1, 0.95, 0.8), (0.8, 0.9, 1)), d.u(0.4, 1) * bright, lit=False)
    for _ in range(n // 18):
        x, y, r = d.u(8, N - 8), d.u(6, bottom - 6), d.u(2.4, 4)
        d.polygon([(x, y - r), (x + r * 0.2, y - r * 0.2), (x + r, y), (x + r * 0.2, y + r * 0.2), (x, y + r), (x - r * 0.2, y + r * 0.2), (x - r, y), (x - r * 0.2, y - r * 0.2)], (1, 1, 0.92), 0.95, lit=False)


def cloud(d, x, y, w, opacity=0.95):
    """A flat-bottomed cloud of a few discs."""
    top = {"night": (0.30, 0.36, 0.56), "sunset": (1.0, 0.78, 0.70), "overcast": (0.80, 0.84, 0.88)}.get(d.light.name, (1, 1, 1))
    low = {"night": (0.20, 0.25, 0.44), "sunset": (0.93, 0.56, 0.56), "overcast": (0.68, 0.73, 0.79)}.get(d.light.name, (0.84, 0.92, 0.99))
    h = w * d.u(0.34, 0.44)
    name = f"g{len(d.defs)}"
    d.defs.append(f'<linearGradient id="{name}" gradientUnits="userSpaceOnUse" x1="0" x2="0" y1="{y - h:.1f}" y2="{y:.1f}"><stop offset="0.2" stop-color="{d.hex(top, False)}"/><stop offset="1" stop-color="{d.hex(low, False)}"/></linearGradient>')
    f = f"url(#{name})"
    d.group(f'opacity="{opacity:.3f}"')
    d.rect(x - w / 2, y - h * 0.42, w, h * 0.42, f, h * 0.21)
    lumps = int(d.rng.integers(3, 5))
    for k in range(lumps):
        t = (k + 0.5) / lumps - 0.5
        r = h * d.u(0.30, 0.36) * (1.25 - 1.1 * abs(t))
        d.ellipse(x + t * w * 0.82, y - h * 0.34 - r * 0.35 * (1 - abs(t)), r * 1.15, r, f)
    d.end()


def clouds(d, n, horizon):
    for k in range(n):
        w = d.u(34, 84)
        cloud(d, d.u(0, N), d.u(20, max(34, horizon * 0.72)), w, d.u(0.8, 1))


def air(d, horizon, clouded=(0, 4), star_count=60):
    """Sky with everything that belongs into it."""
    haze = sky(d, horizon)
    if d.light.name == "night":
        stars(d, star_count, horizon)
    if d.light.name != "overcast":
        sun_or_moon(d, horizon)
    clouds(d, int(d.rng.integers(*clouded)) + (2 if d.light.name == "overcast" else 0) - (d.light.name == "night"), horizon)
    return haze


def far(d, colour, haze, t):
    """A colour (graded) moved towards the haze of the horizon."""
    return mix(d.light.grade(colour), haze, t)


def pine(d, x, y, h, colour, snowy=False):
    w = h * d.u(0.42, 0.52)
    d.rect(x - h * 0.035, y - h * 0.16, h * 0.07, h * 0.16, (0.40, 0.26, 0.16))
    for k in range(3):
        t, b, ww = y - h * (1 - k * 0.24), y - h * (0.54 - k * 0.21), w * (0.5 + 0.25 * k)
        shade = mix(colour, (0, 0.05, 0.05), 0.16 * (2 - k) / 2)
        d.path(f"M{x:.1f} {t:.1f} Q{x + ww * 0.2:.1f} {(t + b) / 2:.1f} {x + ww / 2:.1f} {b:.1f} Q{x:.1f} {b + h * 0.05:.1f} {x - ww / 2:.1f} {b:.1f} Q{x - ww * 0.2:.1f} {(t + b) / 2:.1f} {x:.1f} {t:.1f} Z", d.linear((0, mix(shade, (1, 1, 0.6), 0.10)), (1, shade)))
        if snowy:
            m = 0.55
            d.path(f"M{x:.1f} {t:.1f} Q{x + ww * 0.14:.1f} {t + (b - t) * 0.4:.1f} {x + ww / 2 * m:.1f} {t + (b - t) * 0.62:.1f} Q{x + ww * 0.12:.1f} {t + (b - t) * 0.5:.1f} {x:.1f} {t + (b - t) * 0.72:.1f} Q{x - ww * 0.12:.1f} {t + (b - t) * 0.5:.1f} {x - ww / 2 * m:.1f} {t + (b - t) * 0.62:.1f} Q{x - ww * 0.14:.1f} {t + (b - t) * 0.4:.1f} {x:.1f} {t:.1f} Z", (0.97, 0.98, 1.0))


def leafy(d, x, y, h, colour):
    """A round tree."""
    d.path(f"M{x - h * 0.05:.1f} {y:.1f} Q{x - h * 0.03:.1f} {y - h * 0.3:.1f} {x - h * 0.03:.1f} {y - h * 0.5:.1f} L{x + h * 0.03:.1f} {y - h * 0.5:.1f} Q{x + h * 0.03:.1f} {y - h * 0.3:.1f} {x + h * 0.05:.1f} {y:.1f} Z", (0.45, 0.30, 0.19))
    r = h * 0.27
    f = d.linear((0, mix(colour, (1, 1, 0.5), 0.22)), (1, mix(colour, (0, 0.08, 0.08), 0.18)))
    for dx, dy, k in ((-0.22, -0.52, 0.78), (0.22, -0.54, 0.8), (0, -0.70, 1.0), (0, -0.5, 0.9)):
        d.ellipse(x + dx * h, y + dy * h, r * k, r * k * 0.95, f)


def bush(d, x, y, w, colour):
    f = d.linear((0, mix(colour, (1, 1, 0.5), 0.2)), (1, mix(colour, (0, 0.05, 0.05), 0.15)))
    for k in (-0.3, 0.3, 0.0):
        d.ellipse(x + k * w, y - w * 0.12, w * 0.3, w * (0.28 if k else 0.36), f)
    d.rect(x - w * 0.55, y, w * 1.1, 2, "none")


def tuft(d, x, y, h, colour):
    for k in (-1, 0, 1):
        d.line(f"M{x + k * h * 0.12:.1f} {y:.1f} Q{x + k * h * 0.2:.1f} {y - h * 0.6:.1f} {x + k * h * 0.5:.1f} {y - h * (1 if k == 0 else 0.8):.1f}", colour, max(0.7, h * 0.12))


def flower(d, x, y, r, colour):
    d.line(f"M{x:.1f} {y:.1f} L{x:.1f} {y - r * 2.6:.1f}", (0.24, 0.52, 0.20), max(0.6, r * 0.35))
    for k in range(5):
        a = k * 1.2566 + 0.3
        d.ellipse(x + math.cos(a) * r * 0.75, y - r * 2.6 + math.sin(a) * r * 0.75, r * 0.6, r * 0.6, colour)
    d.ellipse(x, y - r * 2.6, r * 0.5, r * 0.5, (1, 0.85, 0.3))


def hills(d, haze, y, colour, n=2, step=14, amplitude=9, first=0.55):
    """Receding hills; the farthest is haziest."""
    for k in range(n):
        c = far(d, d.vary(colour, 0.03), haze, first * (1 - k / n))
        d.path(closed(ridge(d, y + k * step, amplitude, d.u(1.5, 3.5))), d.linear((0, mix(c, (1, 1, 0.8), 0.06)), (1, c), lit=False))


def peaks(d, haze, base, height, colour, snow=True, fade=0.4):
    """A chain of mountains, each with a light and a dark side and often snow on top."""
    lit = far(d, colour, haze, fade)
    dark = far(d, mix(colour, (0.12, 0.15, 0.3), 0.4), haze, fade)
    white, grey = far(d, (0.98, 0.99, 1), haze, fade * 0.5), far(d, (0.80, 0.86, 0.94), haze, fade * 0.5)
    x = d.u(-40, -5)
    tops = []
    while x < N + 30:
        h = height * d.u(0.55, 1.0)
        tops.append((x, h, h * d.u(0.75, 1.05)))
        x += h * d.u(0.65, 1.0)
    for x, h, w in sorted(tops, key=lambda t: t[1]):
        top, ground = base - h, base + 8
        k = d.u(-0.12, 0.12)
        d.polygon([(x - w, ground), (x, top), (x + w, ground)], lit if d.light.side > 0 else dark, lit=False)
        ridge_ = [(x, top), (x + w * (0.06 + k * 0.5), top + h * 0.3), (x - w * 0.06, top + h * 0.55), (x + w * (0.1 + k), ground)]
        d.polygon(ridge_ + [(x + w, ground)], dark if d.light.side > 0 else lit, lit=False)
        if snow and h > height * 0.6:
            s = d.u(0.28, 0.4)
            y, ww = top + h * s, w * s
            d.polygon([(x, top), (x + ww, y), (x + ww * 0.55, y - h * 0.05), (x + ww * 0.25, y + h * 0.07), (x - ww * 0.1, y - h * 0.03), (x - ww * 0.45, y + h * 0.06), (x - ww, y)], white if d.light.side > 0 else grey, lit=False)
            d.polygon([(x, top), (x + ww, y), (x + ww * 0.55, y - h * 0.05), (x + ww * 0.25, y + h * 0.07), (x + ww * 0.05, y - h * 0.06)], grey if d.light.side > 0 else white, lit=False)


def waves(d, top, bottom, colour, n=16):
    """Crests on water, wider towards the viewer."""
    for k in range(n):
        t = d.u(0, 1) ** 0.8
        y, w = top + 3 + (bottom - top - 5) * t, (7 + 34 * t) * d.u(0.6, 1.3)
        x = d.u(-10, N)
        d.line(f"M{x:.1f} {y:.1f} q{w * 0.25:.1f} {-1.2 - 2.4 * t:.1f} {w * 0.5:.1f} 0 t{w * 0.5:.1f} 0", colour, 0.8 + 1.4 * t, d.u(0.25, 0.6))


def water(d, top, bottom, haze, colour):
    """Sea or lake with the sky's colour near the horizon and a path of light under sun or moon."""
    near = d.light.grade(colour)
    c = mix(near, haze, 0.5)
    d.rect(0, top, N, bottom - top + 2, d.linear((0, c), (0.35, mix(near, haze, 0.12)), (1, mix(near, (0, 0.08, 0.2), 0.25)), lit=False))
    waves(d, top, bottom, mix(near, (1, 1, 1), 0.5), int((bottom - top) / 7) + 4)


def lightpath(d, x, top, bottom, colour, w=26):
    for k in range(int((bottom - top) / 6)):
        y = top + 2 + k * 6 + d.u(-1, 1)
        t = (y - top) / max(1, bottom - top)
        ww = w * (0.35 + 0.9 * t) * d.u(0.5, 1)
        d.rect(x - ww / 2 + d.u(-5, 5), y, ww, 1.4 + 1.6 * t, colour, 1.5, 0.75 - 0.35 * t, lit=False)


# ---------------------------------------------------------------- kinds

GROUND = (0.66, 0.90, 0.16, 0.40)  # a usual slot for standing things


def outdoor(rng, usual=("day", "day", "day", "overcast", "sunset", "night")):
    return Drawing(rng, light(usual[rng.integers(len(usual))], rng))


def stand(horizon, near=0.94, small=0.15, large=0.46):
    h = horizon / N
    return (h + 0.28 * (near - h), near, small, large)


def meadow(rng):
    d = outdoor(rng)
    y = d.u(110, 150)
    haze = air(d, y)
    green = d.vary(d.pick((0.42, 0.70, 0.26), (0.36, 0.66, 0.30), (0.55, 0.74, 0.28)), 0.05)
    hills(d, haze, y - d.u(6, 16), mix(green, (0.2, 0.5, 0.45), 0.35), int(rng.integers(1, 3)))
    if d.u(0, 1) < 0.5:
        for _ in range(int(rng.integers(2, 6))):
            leafy(d, d.u(0, N), y + d.u(2, 10), d.u(20, 36), mix(green, (0.1, 0.4, 0.25), 0.45))
    for k in range(3):
        c = mix(green, (0.16, 0.50, 0.20), k * 0.20)
        d.path(closed(ridge(d, y + 4 + k * (N - y) * 0.30, 6 + 3 * k, d.u(1, 2.4))), d.linear((0, mix(c, (1, 1, 0.5), 0.16)), (0.6, c), (1, mix(c, (0, 0.2, 0.1), 0.15))))
    colours = d.pick([(1, 1, 1)], [(1, 0.85, 0.2)], [(0.95, 0.35, 0.35), (1, 1, 1)], [(0.75, 0.5, 0.9), (1, 0.85, 0.25)], [(0.98, 0.55, 0.75)])
    many = d.pick(8, 20, 46)
    for _ in range(46):
        t = d.u(0.08, 1)
        tuft(d, d.u(0, N), y + 12 + (N - y - 12) * t, 3 + 7 * t, mix(green, (0.10, 0.42, 0.14), d.u(0.3, 0.75)))
    for t in sorted(d.u(0.06, 1) for _ in range(many)):
        flower(d, d.u(0, N), y + 14 + (N - y - 14) * t, 0.9 + 2.6 * t, d.vary(colours[rng.integers(len(colours))], 0.04))
    words = "flowery" if many > 30 else ""
    return Scene("meadow", d.light, d.svg(), dict(ground=stand(y + 6), air=(0.12, 0.42, 0.14, 0.30)), words, horizon=y / N)


def beach(rng):
    d = outdoor(rng, ("day", "day", "day", "sunset", "overcast", "night"))
    y = d.u(84, 116)
    haze = air(d, y)
    shore = d.u(150, 178)
    water(d, y, shore + 20, haze, d.vary(d.pick((0.10, 0.60, 0.80), (0.16, 0.68, 0.76), (0.12, 0.48, 0.78)), 0.04))
    if d.light.name in ("sunset", "night"):
        lightpath(d, d.u(60, 196), y, shore, (1, 0.85, 0.55) if d.light.name == "sunset" else (0.85, 0.9, 1))
    if d.u(0, 1) < 0.35:
        x, w = d.u(20, 236), d.u(30, 60)
        d.path(closed([(x - w, y + 2), (x - w * 0.5, y - w * 0.22), (x, y - w * 0.34), (x + w * 0.6, y - w * 0.16), (x + w, y + 2)], y + 2), far(d, (0.30, 0.52, 0.36), haze, 0.45), lit=False)
    sand = d.vary(d.pick((0.96, 0.86, 0.64), (0.98, 0.90, 0.74), (0.93, 0.80, 0.58)), 0.03)
    line = ridge(d, shore, 9, d.u(1, 2))
    for shift, c, o in ((-7, (1, 1, 1), 0.55), (-3, (1, 1, 1), 0.9), (1.5, mix(sand, (0.55, 0.45, 0.3), 0.35), 1)):
        d.path(closed([(px, py + shift) for px, py in line]), c, o)
    d.path(closed([(px, py + 8) for px, py in line]), d.linear((0, mix(sand, (0.7, 0.6, 0.4), 0.15)), (0.2, sand), (1, mix(sand, (0.85, 0.65, 0.4), 0.3))))
    for _ in range(40):
        d.ellipse(d.u(0, N), d.u(shore + 20, N), d.u(0.6, 1.6), d.u(0.4, 0.9), mix(sand, (0.5, 0.36, 0.2), 0.6), 0.6)
    for _ in range(int(rng.integers(0, 4))):
        x, yy, r = d.u(8, N - 8), d.u(shore + 26, N - 8), d.u(3, 6)
        if d.u(0, 1) < 0.5:
            starfish = [(x + math.cos(k * 0.628 - 1.57) * r * (1 if k % 2 == 0 else 0.45), yy + math.sin(k * 0.628 - 1.57) * r * 0.75 * (1 if k % 2 == 0 else 0.45)) for k in range(10)]
            d.polygon(starfish, d.vary((0.95, 0.50, 0.35)), extra='stroke-linejoin="round"')
        else:
            d.ellipse(x, yy, r, r * 0.7, d.vary((0.98, 0.86, 0.80)))
            for k in (-0.5, 0, 0.5):
                d.line(f"M{x:.1f} {yy + r * 0.5:.1f} L{x + k * r:.1f} {yy - r * 0.5:.1f}", (0.85, 0.65, 0.6), 0.6)
    if d.u(0, 1) < 0.45:
        palm(d, d.pick(d.u(4, 34), d.u(222, 252)), d.u(196, 236), d.u(110, 150))
    return Scene("beach", d.light, d.svg(), dict(ground=(shore / N + 0.1, 0.95, 0.22, 0.42), air=(0.1, 0.34, 0.12, 0.25)), horizon=y / N)


def palm(d, x, y, h):
    lean = d.u(8, 26) * (1 if x < N / 2 else -1)
    d.line(f"M{x:.1f} {y:.1f} Q{x:.1f} {y - h * 0.5:.1f} {x + lean:.1f} {y - h:.1f}", (0.58, 0.42, 0.26), h * 0.055)
    for k in range(7):
        a = -0.35 + k * (3.84 / 6)
        r = h * d.u(0.32, 0.40)
        ex, ey = x + lean + math.cos(a + math.pi) * r, y - h - math.sin(a) * r * 0.55 + r * 0.28
        mx, my = x + lean + math.cos(a + math.pi) * r * 0.5, y - h - math.sin(a) * r * 0.6 - r * 0.12
        d.path(f"M{x + lean:.1f} {y - h:.1f} Q{mx:.1f} {my - r * 0.16:.1f} {ex:.1f} {ey:.1f} Q{mx:.1f} {my + r * 0.14:.1f} {x + lean:.1f} {y - h:.1f} Z", d.vary((0.22, 0.58, 0.28), 0.05))
    for k in (-1, 1):
        d.ellipse(x + lean + k * h * 0.025, y - h + h * 0.035, h * 0.026, h * 0.026, (0.45, 0.30, 0.18))


def sea(rng):
    d = outdoor(rng, ("day", "day", "day", "overcast", "night"))
    y = d.u(88, 140)
    haze = air(d, y)
    if d.u(0, 1) < 0.3:
        hills(d, haze, y - 3, (0.35, 0.5, 0.55), 1, amplitude=5, first=0.7)
    water(d, y, N, haze, d.vary(d.pick((0.10, 0.46, 0.76), (0.08, 0.56, 0.74), (0.12, 0.38, 0.66)), 0.04))
    base = d.light.grade(d.vary((0.10, 0.48, 0.78)))
    for k in range(5):  # swell
        t = (k + 0.6) / 5
        p = ridge(d, y + (N - y) * t, 2 + 4 * t, d.u(3, 5), n=30)
        d.path(closed(p), d.linear((0, mix(base, (1, 1, 1), 0.16), 0.5), (0.5, base, 0.12), (1, base, 0), lit=False))
        d.line(smooth(p), mix(base, (1, 1, 1), 0.6), 0.8 + 1.2 * t, 0.35, lit=False)
    if d.light.name == "night":
        lightpath(d, d.u(50, 206), y, N, (0.85, 0.9, 1))
    return Scene("sea", d.light, d.svg(), dict(afloat=((y + 26) / N, 0.86, 0.18, 0.42), air=(0.12, 0.36, 0.14, 0.28)), "", "water", y / N)


def desert(rng):
    d = outdoor(rng, ("day", "day", "day", "sunset", "night"))
    y = d.u(104, 146)
    haze = air(d, y, (0, 2))
    sand = d.vary(d.pick((0.93, 0.72, 0.42), (0.90, 0.62, 0.36), (0.95, 0.80, 0.54)), 0.04)
    if d.u(0, 1) < 0.45:  # table mountains
        for _ in range(int(rng.integers(1, 4))):
            x, w, h = d.u(0, N), d.u(24, 60), d.u(18, 44)
            c = far(d, mix(sand, (0.70, 0.30, 0.20), 0.6), haze, 0.3)
            d.path(f"M{x - w * 0.75:.1f} {y + 8:.1f} Q{x - w * 0.5:.1f} {y - h * 0.3:.1f} {x - w * 0.42:.1f} {y - h:.1f} L{x + w * 0.42:.1f} {y - h:.1f} Q{x + w * 0.5:.1f} {y - h * 0.3:.1f} {x + w * 0.75:.1f} {y + 8:.1f} Z", c, lit=False)
            d.rect(x - w * 0.45, y - h, w * 0.9, h * 0.12, mix(c, (1, 0.9, 0.7), 0.25), lit=False)
    elif d.u(0, 1) < 0.3:  # pyramids
        for x, h in ((d.u(40, 110), d.u(36, 56)), (d.u(130, 220), d.u(24, 40))):
            c = far(d, mix(sand, (0.75, 0.55, 0.30), 0.5), haze, 0.3)
            d.polygon([(x - h * 0.9, y + 6), (x, y - h), (x + h * 0.9, y + 6)], c, lit=False)
            d.polygon([(x, y - h), (x + h * 0.9, y + 6), (x + h * 0.2, y + 6)], mix(c, (0.3, 0.15, 0.1), 0.25), lit=False)
    for k in range(4):  # dunes: a long lit side, a crest, a short side in shadow
        yy = y + 3 + k * (N - y) * 0.24
        c = far(d, mix(sand, (0.80, 0.50, 0.26), 0.10 * k), haze, 0.28 * (1 - k / 4))
        lit, dark = d.linear((0, mix(c, (1, 0.96, 0.8), 0.28)), (0.6, c), (1, mix(c, (0.6, 0.3, 0.15), 0.18)), lit=False), mix(c, (0.45, 0.22, 0.16), 0.30)
        d.path(closed(ridge(d, yy, 1.5 + 2 * k, d.u(1, 2))), lit, lit=False)
        for _ in range(int(rng.integers(1, 3))):
            x, h, s = d.u(10, 246), (9 + 7 * k) * d.u(0.8, 1.3), d.light.side
            w, foot = h * d.u(4.5, 7), yy + 9 + 9 * k
            crest = f"Q{x - s * w * 0.35:.1f} {foot - h * 0.35:.1f} {x:.1f} {foot - h:.1f}"
            d.path(f"M{x - s * w:.1f} {foot:.1f} {crest} Q{x + s * w * 0.25:.1f} {foot - h * 0.25:.1f} {x + s * w * 0.75:.1f} {foot:.1f} Z", lit, lit=False)
            d.path(f"M{x:.1f} {foot - h:.1f} Q{x + s * w * 0.25:.1f} {foot - h * 0.25:.1f} {x + s * w * 0.75:.1f} {foot:.1f} L{x + s * w * 0.22:.1f} {foot:.1f} Q{x - s * w * 0.10:.1f} {foot - h * 0.4:.1f} {x:.1f} {foot - h:.1f} Z", d.linear((0, dark), (1, dark, 0.25), lit=False), lit=False)
        d.path(closed(ridge(d, yy + 9 + 9 * k, 1.5 + 2 * k, d.u(1, 2))), d.linear((0, mix(c, (1, 0.96, 0.8), 0.12)), (1, mix(c, (0.6, 0.3, 0.15), 0.12)), lit=False), lit=False)
    for _ in range(int(rng.integers(1, 6))):
        x, t = d.u(0, N), d.u(0.1, 1)
        yy, h = y + 12 + (N - y - 16) * t, (16 + 36 * t) * d.u(0.7, 1)
        if d.u(0, 1) < 0.55:
            g = d.vary((0.30, 0.55, 0.32))
            for x0, y0, y1, w in ((x, yy, yy - h, h * 0.17),):
                d.line(f"M{x0:.1f} {y0:.1f} L{x0:.1f} {y1:.1f}", g, w)
            for s, k in ((-1, 0.45), (1, 0.6)):
                d.line(f"M{x:.1f} {yy - h * k + h * 0.08:.1f} h{s * h * 0.2:.1f} v{-h * 0.22:.1f}", g, h * 0.12, extra='stroke-linejoin="round"')
        else:
            d.ellipse(x, yy - h * 0.06, h * 0.2, h * 0.12, d.linear((0, (0.80, 0.60, 0.42)), (1, (0.56, 0.38, 0.26))))
    return Scene("desert", d.light, d.svg(), dict(ground=stand(y + 10), air=(0.12, 0.36, 0.14, 0.28)), horizon=y / N)


def snow(rng):
    d = outdoor(rng, ("day", "day", "overcast", "sunset", "night"))
    if d.light.name == "sunset":  # on snow the warm light is a tinge, and shadows stay blue
        d.light.gain, d.light.lift = (0.99, 0.86, 0.89), (0.03, 0.02, 0.06)
    y = d.u(106, 146)
    haze = air(d, y)
    if d.u(0, 1) < 0.5:
        peaks(d, haze, y, d.u(40, 80), (0.55, 0.64, 0.80), fade=0.45)
    hills(d, haze, y - 4, (0.84, 0.90, 0.97), 2, 8, 7, 0.4)
    for _ in range(int(rng.integers(4, 11))):
        t = d.u(0, 0.4) ** 1.5
        pine(d, d.u(-4, N + 4), y + 8 + t * 50, 30 + 60 * t + d.u(0, 12), d.vary((0.16, 0.42, 0.36), 0.04), True)
    white = d.vary((0.95, 0.97, 1.0), 0.02)
    for k in range(3):
        d.path(closed(ridge(d, y + 12 + k * (N - y) * 0.27, 7 + 2 * k, d.u(1, 2))), d.linear((0, white), (0.5, mix(white, (0.78, 0.87, 0.97), 0.5)), (1, mix(white, (0.70, 0.81, 0.95), 0.7))))
    falling = d.u(0, 1) < 0.6
    for _ in range(60 if falling else 0):
        r = d.u(0.7, 2.4)
        d.ellipse(d.u(0, N), d.u(0, N), r, r, (1, 1, 1), d.u(0.5, 0.95), lit=False)
    return Scene("snow", d.light, d.svg(), dict(ground=stand(y + 14), air=(0.12, 0.36, 0.14, 0.28)), "snowing" if falling else "", horizon=y / N)


def forest(rng):
    d = outdoor(rng, ("day", "day", "day", "overcast", "sunset", "night"))
    autumn, firs = d.u(0, 1) < 0.25, d.u(0, 1) < 0.5
    haze = sky(d, N, (0.55, 0.82, 0.80))
    if d.light.name == "night":
        stars(d, 30, 90)
        moon(d, d.u(50, 206), d.u(22, 50), d.u(8, 12))
    y = d.u(150, 176)
    green = d.vary((0.28, 0.56, 0.28), 0.05)

    def leaf():
        return d.vary(d.pick((0.90, 0.50, 0.15), (0.85, 0.32, 0.16), (0.95, 0.70, 0.20)), 0.04) if autumn else d.vary(d.pick(green, mix(green, (0.5, 0.7, 0.2), 0.4), mix(green, (0.1, 0.4, 0.35), 0.5)), 0.03)

    for k, fade in enumerate((0.62, 0.40, 0.18, 0.0)):  # rows of trees, the farthest hazy
        base, step = y - 26 + k * 10, 14 + 6 * k
        x = d.u(-14, 0)
        if k < 3:
            c = far(d, leaf(), haze, fade + 0.15)
            d.path(closed(ridge(d, base - 42 + 10 * k, 8, 3, 4, 30)), c, lit=False)
        while x < N + 14:
            h = (66 + 14 * k) * d.u(0.8, 1.25)
            if k == 3 and 0.28 < x / N < 0.72 and d.u(0, 1) < 0.8:
                x += step
                continue
            c = mix(leaf(), (0.62, 0.80, 0.78), fade * 0.7)
            (pine if firs else leafy)(d, x, base + d.u(0, 5), h, c)
            x += step * d.u(0.7, 1.3) * (1.0 if firs else 1.35)
    floor = mix(green, (0.75, 0.45, 0.18), 0.55) if autumn else mix(green, (0.45, 0.52, 0.2), 0.35)
    d.path(closed(ridge(d, y + 4, 3, 2)), d.linear((0, mix(floor, (1, 1, 0.6), 0.22)), (0.4, floor), (1, mix(floor, (0.05, 0.15, 0.1), 0.35))))
    if d.u(0, 1) < 0.5:  # path
        x = d.u(90, 166)
        d.path(f"M{x - 5:.1f} {y + 5:.1f} Q{x - 26:.1f} {y + 34:.1f} {x - 64:.1f} 258 L{x + 56:.1f} 258 Q{x + 30:.1f} {y + 34:.1f} {x + 5:.1f} {y + 5:.1f} Z", d.linear((0, (0.80, 0.68, 0.48)), (1, (0.66, 0.50, 0.32))), 0.9)
    for _ in range(16):
        t = d.u(0.1, 1)
        tuft(d, d.u(0, N), y + 6 + (N - y) * t, 4 + 6 * t, mix(floor, (0.08, 0.35, 0.12), 0.5))
    if d.light.name == "day":  # beams of light
        for _ in range(3):
            x, w = d.u(0, 200), d.u(10, 26)
            d.polygon([(x, -4), (x + w, -4), (x + w + 60, 210), (x + 30, 210)], d.linear((0, (1, 1, 0.8), 0.28), (1, (1, 1, 0.8), 0)), 1, lit=False)
    return Scene("forest", d.light, d.svg(), dict(ground=((y + 26) / N, 0.94, 0.24, 0.42)), "autumn" if autumn else "", horizon=y / N)


def mountains(rng):
    d = outdoor(rng, ("day", "day", "day", "overcast", "sunset", "night"))
    y = d.u(140, 176)
    haze = air(d, y - 30)
    d.rect(0, y - 34, N, 60, haze, lit=False)
    rock = d.vary(d.pick((0.48, 0.54, 0.68), (0.56, 0.52, 0.58), (0.44, 0.56, 0.62)), 0.04)
    peaks(d, haze, y, d.u(100, 130), rock, True, 0.45)
    peaks(d, haze, y + 4, d.u(64, 88), mix(rock, (0.3, 0.36, 0.45), 0.4), True, 0.18)
    green = d.vary(d.pick((0.34, 0.58, 0.34), (0.45, 0.62, 0.30)), 0.04)
    hills(d, haze, y - 2, green, 2, 12, 6, 0.35)
    for _ in range(int(rng.integers(5, 16))):
        pine(d, d.u(-4, N + 4), y + d.u(8, 24), d.u(18, 34), d.vary((0.16, 0.40, 0.30), 0.04))
    d.path(closed(ridge(d, y + 24, 5, 1.6)), d.linear((0, mix(green, (1, 1, 0.5), 0.15)), (1, mix(green, (0.05, 0.25, 0.15), 0.35))))
    for _ in range(20):
        t = d.u(0.1, 1)
        tuft(d, d.u(0, N), y + 30 + (N - y - 30) * t, 3 + 5 * t, mix(green, (0.08, 0.35, 0.12), 0.5))
    return Scene("mountains", d.light, d.svg(), dict(ground=((y + 40) / N, 0.95, 0.2, 0.36), air=(0.12, 0.36, 0.14, 0.28)), horizon=y / N)


def night_sky(rng):
    d = Drawing(rng, light("night", rng))
    y = d.u(206, 238)
    haze = sky(d, N)
    if d.u(0, 1) < 0.5:  # milky way
        d.group(f'transform="rotate({d.u(-40, -15):.0f} 128 100)"')
        d.ellipse(128, 100, 190, 34, d.radial((0, (0.62, 0.60, 0.90), 0.45), (0.5, (0.45, 0.45, 0.8), 0.18), (1, (0.3, 0.3, 0.6), 0), lit=False), lit=False)
        d.end()
    stars(d, 130, y)
    moon(d, d.u(36, 220), d.u(30, 90), d.u(12, 24))
    if d.u(0, 1) < 0.35:
        x, yy = d.u(30, 180), d.u(20, 90)
        d.path(f"M{x:.1f} {yy:.1f} l44 -18 l-43.4 19.6 Z", (1, 1, 0.95), 0.9, lit=False)
    clouds(d, int(rng.integers(0, 3)), y * 0.9)
    hills(d, haze, y, (0.16, 0.30, 0.30), 2, 12, 10, 0.35)
    if d.u(0, 1) < 0.6:
        for _ in range(int(rng.integers(3, 10))):
            pine(d, d.u(0, N), y + 24, d.u(14, 34), (0.10, 0.24, 0.24))
    return Scene("night sky", d.light, d.svg(), dict(air=(0.30, 0.68, 0.22, 0.42)), horizon=y / N)


def planet(d, x, y, r):
    c = d.vary(d.pick((0.90, 0.55, 0.30), (0.40, 0.65, 0.90), (0.75, 0.45, 0.80), (0.55, 0.80, 0.60), (0.90, 0.80, 0.55)), 0.06)
    ringed = d.u(0, 1) < 0.35
    ring = mix(c, (1, 1, 1), 0.45)
    d.group(f'transform="translate({x:.1f} {y:.1f}) rotate(-16)"')
    d.ellipse(0, 0, r * 1.25, r * 1.25, d.radial((0.7, c, 0.35), (1, c, 0)))
    if ringed:
        d.line(f"M{-r * 1.8:.1f} 0 A{r * 1.8:.1f} {r * 0.5:.1f} 0 0 1 {r * 1.8:.1f} 0", mix(ring, (0, 0, 0.1), 0.3), r * 0.16, 1, lit=False)
    d.ellipse(0, 0, r, r, d.radial((0, mix(c, (1, 1, 1), 0.35)), (0.6, c), (1, mix(c, (0, 0, 0.1), 0.6)), cx=0.35, cy=0.32, r=0.75, lit=False))
    for _ in range(d.pick(0, 4)):
        q, k = d.u(0, 6.28), d.u(0.08, 0.2)
        d.ellipse(math.cos(q) * r * 0.55, math.sin(q) * r * 0.55, r * k, r * k * 0.85, mix(c, (0, 0, 0), 0.25), 0.6, lit=False)
    if ringed:
        d.line(f"M{-r * 1.8:.1f} 0 A{r * 1.8:.1f} {r * 0.5:.1f} 0 0 0 {r * 1.8:.1f} 0", ring, r * 0.16, 1, lit=False)
    d.end()


def space(rng):
    d = Drawing(rng, light("space", rng))
    a = d.pick((0.03, 0.02, 0.10), (0.02, 0.03, 0.12), (0.07, 0.02, 0.12), (0.01, 0.05, 0.10))
    d.rect(0, 0, N, N, d.linear((0, a), (1, mix(a, (0.12, 0.06, 0.22), 0.6)), lit=False))
    for _ in range(int(rng.integers(2, 5))):  # nebulae
        c, r = d.pick((0.55, 0.20, 0.70), (0.20, 0.35, 0.85), (0.85, 0.25, 0.50), (0.10, 0.55, 0.65)), d.u(50, 120)
        d.ellipse(d.u(0, N), d.u(0, N), r, r * d.u(0.5, 1), d.radial((0, c, 0.45), (0.6, c, 0.12), (1, c, 0), lit=False))
    stars(d, 150, N)
    corners = [(d.u(0, 70), d.u(0, 70)), (d.u(190, N), d.u(0, 70)), (d.u(0, 60), d.u(196, N)), (d.u(190, N), d.u(196, N))]
    for k in rng.permutation(4)[:int(rng.integers(1, 4))]:
        planet(d, *corners[k], d.u(9, 40))
    return Scene("space", d.light, d.svg(), dict(orbit=(0.42, 0.78, 0.30, 0.56)), "", "none", 1.0)


def underwater(rng):
    d = Drawing(rng, light("water", rng))
    top, low = d.pick(((0.30, 0.78, 0.90), (0.02, 0.22, 0.46)), ((0.36, 0.84, 0.84), (0.03, 0.32, 0.44)), ((0.20, 0.60, 0.88), (0.03, 0.14, 0.40)))
    d.rect(0, 0, N, N, d.linear((0, top), (0.35, mix(top, low, 0.45)), (1, low), lit=False))
    for _ in range(5):  # beams
        x, w = d.u(-20, 230), d.u(10, 34)
        d.polygon([(x, -4), (x + w, -4), (x + w * 2.4 + 26, 200), (x + w * 0.4 + 26, 200)], d.linear((0, (0.9, 1, 1), 0.34), (1, (0.9, 1, 1), 0), lit=False))
    y = d.u(190, 222)
    for k, t in enumerate((0.75, 0.45)):
        d.path(closed(ridge(d, y - 26 + 14 * k, 14, d.u(2, 4))), mix(low, top, 0.22 * (1 - k * 0.5)), 0.8 - 0.2 * t, lit=False)
    sand = d.vary((0.80, 0.76, 0.58), 0.04)
    d.path(closed(ridge(d, y, 6, 2)), d.linear((0, sand), (1, mix(sand, (0.2, 0.35, 0.4), 0.45))))
    for _ in range(int(rng.integers(4, 10))):
        x, yy, kind = d.pick(d.u(0, 80), d.u(176, N), d.u(0, N)), y + d.u(4, 30), d.u(0, 1)
        if kind < 0.45:  # weed
            h, g = d.u(30, 76), d.vary(d.pick((0.14, 0.56, 0.36), (0.30, 0.60, 0.22), (0.12, 0.48, 0.46)))
            for k in range(3):
                x0 = x + k * 6 - 6
                hh = h * d.u(0.6, 1)
                d.line(f"M{x0:.1f} {yy:.1f} q{d.u(-8, 8):.1f} {-hh * 0.3:.1f} 0 {-hh * 0.5:.1f} t0 {-hh * 0.5:.1f}", g, d.u(2.6, 4.4))
        elif kind < 0.8:  # coral
            c, h = d.vary(d.pick((0.98, 0.45, 0.45), (0.98, 0.62, 0.30), (0.80, 0.40, 0.75), (1, 0.55, 0.65))), d.u(16, 34)
            for a in (-0.8, -0.3, 0.2, 0.75):
                ex, ey = x + math.sin(a) * h, yy - math.cos(a) * h
                d.line(f"M{x:.1f} {yy:.1f} Q{x + math.sin(a) * h * 0.3:.1f} {yy - h * 0.5:.1f} {ex:.1f} {ey:.1f}", c, h * 0.15)
                d.line(f"M{(x + ex) / 2:.1f} {(yy + ey) / 2:.1f} l{h * 0.2 * (1 if a < 0 else -1):.1f} {-h * 0.3:.1f}", c, h * 0.11)
        else:
            r = d.u(8, 20)
            d.ellipse(x, yy, r, r * 0.7, d.linear((0, (0.55, 0.58, 0.62)), (1, (0.32, 0.36, 0.42))))
    for _ in range(int(rng.integers(8, 26))):  # bubbles
        x, yy, r = d.u(0, N), d.u(10, y), d.u(1, 4.4)
        d.ellipse(x, yy, r, r, (0.85, 0.97, 1), 0.28, lit=False)
        d.ellipse(x - r * 0.3, yy - r * 0.3, r * 0.3, r * 0.3, (1, 1, 1), 0.8, lit=False)
    return Scene("underwater", d.light, d.svg(), dict(swim=(0.42, 0.74, 0.18, 0.48), ground=(y / N + 0.06, 0.95, 0.16, 0.28)), "", "under", y / N)


def windows(d, x, y, w, h, lit_share, rows, columns, glass=(0.62, 0.78, 0.90)):
    gx, gy = w / (columns + 0.6), h / (rows + 0.6)
    for r in range(rows):
        for c in range(columns):
            glow = d.u(0, 1) < lit_share
            d.rect(x + gx * (c + 0.45), y + gy * (r + 0.45), gx * 0.65, gy * 0.6, (1, 0.86, 0.48) if glow else glass, 0.6, lit=not glow)


def city(rng):
    d = outdoor(rng, ("day", "day", "overcast", "sunset", "night"))
    y = d.u(172, 188)
    haze = air(d, y - 40, (0, 3))
    d.rect(0, y - 42, N, 60, haze, lit=False)
    dark = {"night": 0.55, "sunset": 0.2}.get(d.light.name, 0.0)
    x = -6
    while x < N:  # far towers
        w, h = d.u(16, 32), d.u(70, 138)
        c = far(d, (0.58, 0.66, 0.78), haze, 0.5)
        d.rect(x, y - h, w, h, c, lit=False)
        if dark > 0.5:
            windows(d, x, y - h, w, h * 0.8, 0.35, 8, 3, mix(c, (0, 0, 0), 0.15))
        x += w * d.u(0.9, 1.3)
    x = -8
    while x < N:  # houses
        w, h = d.u(36, 56), d.u(58, 104)
        c = d.vary(d.pick((0.86, 0.50, 0.40), (0.92, 0.76, 0.52), (0.56, 0.70, 0.78), (0.80, 0.62, 0.70), (0.70, 0.74, 0.60), (0.90, 0.84, 0.76)), 0.05)
        d.rect(x, y - h, w, h + 2, d.linear((0, mix(c, (1, 1, 1), 0.12)), (1, mix(c, (0.2, 0.2, 0.3), 0.15)), across=True))
        if d.u(0, 1) < 0.4:
            d.polygon([(x - 2, y - h), (x + w / 2, y - h - w * 0.36), (x + w + 2, y - h)], mix(c, (0.45, 0.2, 0.18), 0.55))
        else:
            d.rect(x - 1.5, y - h - 3, w + 3, 5, mix(c, (0.3, 0.25, 0.3), 0.4))
        windows(d, x, y - h + 2, w, h * 0.66, dark, max(2, int(h / 22)), 3)
        awning = d.vary(d.pick((0.85, 0.25, 0.25), (0.20, 0.50, 0.70), (0.25, 0.60, 0.40), (0.95, 0.65, 0.2)))
        d.rect(x + w * 0.1, y - h * 0.25, w * 0.8, h * 0.25, (0.36, 0.40, 0.48) if dark < 0.5 else (1, 0.84, 0.5), lit=dark < 0.5)
        d.rect(x + w * 0.42, y - h * 0.22, w * 0.18, h * 0.22 + 2, mix(awning, (0.1, 0.1, 0.1), 0.4))
        for k in range(6):
            d.rect(x + w * (0.06 + k * 0.148), y - h * 0.29, w * 0.15, h * 0.085, awning if k % 2 == 0 else (0.97, 0.96, 0.94), 1)
        x += w
    d.rect(0, y, N, 12, d.linear((0, (0.80, 0.79, 0.78)), (1, (0.70, 0.69, 0.69))))
    d.rect(0, y + 11, N, 2.5, (0.55, 0.55, 0.57))
    tar = d.vary((0.40, 0.41, 0.45), 0.03)
    d.rect(0, y + 13, N, N - y, d.linear((0, mix(tar, (1, 1, 1), 0.08)), (1, mix(tar, (0, 0, 0.05), 0.2))))
    for k in range(-1, 7):
        d.polygon([(k * 48 + 6, y + 42), (k * 48 + 30, y + 42), (k * 48 + 28, y + 46), (k * 48 + 3, y + 46)], (0.95, 0.93, 0.86), 0.9)
    if d.u(0, 1) < 0.6:
        for x in (d.u(10, 60), d.u(190, 246)):
            d.rect(x - 1.2, y - 62, 2.4, 70, (0.24, 0.26, 0.30))
            if dark > 0.5:
                d.ellipse(x, y - 64, 20, 20, d.radial((0, (1, 0.9, 0.6), 0.65), (1, (1, 0.85, 0.5), 0), lit=False))
            d.ellipse(x, y - 64, 4.5, 5.5, (1, 0.94, 0.74), lit=dark < 0.5)
    elif d.u(0, 1) < 0.6:
        for x in (d.u(6, 70), d.u(180, 250)):
            leafy(d, x, y + 8, d.u(46, 64), d.vary((0.36, 0.62, 0.30), 0.05))
    return Scene("city street", d.light, d.svg(), dict(ground=((y + 12) / N, 0.92, 0.24, 0.38), road=((y + 30) / N, 0.93, 0.28, 0.40), air=(0.1, 0.3, 0.12, 0.24)), horizon=y / N)


def road(rng):
    d = outdoor(rng)
    y = d.u(112, 140)
    haze = air(d, y)
    green = d.vary(d.pick((0.46, 0.68, 0.30), (0.62, 0.70, 0.34), (0.80, 0.70, 0.42)), 0.05)
    if d.u(0, 1) < 0.4:
        peaks(d, haze, y, d.u(34, 60), (0.50, 0.56, 0.66), True, 0.45)
    hills(d, haze, y - 6, mix(green, (0.25, 0.45, 0.4), 0.4), 2, 8, 7, 0.5)
    d.rect(0, y + 6, N, N - y, d.linear((0, mix(green, (1, 1, 0.5), 0.12)), (1, mix(green, (0.1, 0.3, 0.1), 0.25))))
    for _ in range(int(rng.integers(4, 12))):
        t = d.u(0, 0.5) ** 1.4
        x = d.pick(d.u(-10, 96 - 70 * t), d.u(160 + 70 * t, 266))
        leafy(d, x, y + 10 + 60 * t, 18 + 60 * t, mix(green, (0.15, 0.42, 0.2), 0.55))
    top, tar = d.u(116, 140), d.vary((0.42, 0.43, 0.47), 0.03)
    d.polygon([(top - 7, y + 6), (top + 7, y + 6), (N + 46, N + 2), (-46, N + 2)], mix(tar, (0.85, 0.8, 0.7), 0.35))
    d.polygon([(top - 5.6, y + 6), (top + 5.6, y + 6), (N + 26, N + 2), (-26, N + 2)], d.linear((0, mix(tar, (1, 1, 1), 0.15)), (1, mix(tar, (0, 0, 0.05), 0.15))))
    for k in range(7):
        t0, t1 = (k / 7) ** 1.9, ((k + 0.55) / 7) ** 1.9
        y0, y1 = y + 6 + (N - y - 6) * t0, y + 6 + (N - y - 6) * t1
        x0, x1 = top + (128 - top) * t0, top + (128 - top) * t1
        w0, w1 = 0.4 + 5 * t0, 0.4 + 5 * t1
        d.polygon([(x0 - w0, y0), (x0 + w0, y0), (x1 + w1, y1), (x1 - w1, y1)], (0.97, 0.94, 0.82))
    for s in (-1, 1):
        d.polygon([(top + s * 4.8, y + 6), (top + s * 5.3, y + 6), (128 + s * 146, N + 2), (128 + s * 136, N + 2)], (0.96, 0.95, 0.92), 0.9)
    return Scene("road", d.light, d.svg(), dict(road=((y + 44) / N, 0.92, 0.20, 0.44), air=(0.12, 0.36, 0.14, 0.28)), horizon=y / N)


def room(rng):
    d = Drawing(rng, light(("room", "room", "room", "night")[rng.integers(4)], rng))
    dim = d.light.name == "night"
    y = d.u(160, 180)
    wall = d.vary(d.pick((0.92, 0.86, 0.76), (0.70, 0.82, 0.84), (0.88, 0.76, 0.74), (0.78, 0.84, 0.70), (0.82, 0.80, 0.90), (0.95, 0.82, 0.60)), 0.04)
    d.rect(0, 0, N, y + 2, d.linear((0, mix(wall, (0.3, 0.25, 0.3), 0.10)), (1, mix(wall, (1, 1, 1), 0.10))))
    if d.u(0, 1) < 0.3:
        for k in range(0, 17):
            d.rect(k * 16, 0, 7, y, mix(wall, (1, 1, 1), 0.35), 0, 0.35)
    wood = d.vary(d.pick((0.72, 0.50, 0.32), (0.80, 0.62, 0.42), (0.55, 0.38, 0.26)), 0.04)
    d.rect(0, y, N, N - y, d.linear((0, mix(wood, (0, 0, 0), 0.12)), (1, mix(wood, (1, 0.9, 0.7), 0.12))))
    for k in range(-8, 18):  # boards in perspective
        d.line(f"M{128 + (k - 5) * 22:.1f} {y} L{128 + (k - 5) * 52:.1f} 260", mix(wood, (0.2, 0.1, 0.05), 0.4), 0.7, 0.6)
    d.rect(0, y - 7, N, 7, mix(wall, (1, 1, 1), 0.6))
    d.rect(0, y - 0.5, N, 1.5, mix(wood, (0, 0, 0), 0.4), 0, 0.5)
    left = d.u(0, 1) < 0.5
    x = d.u(18, 34) if left else d.u(134, 160)
    w, h, top = d.u(70, 92), d.u(78, 96), d.u(20, 34)  # window
    d.rect(x - 5, top - 5, w + 10, h + 10, (0.97, 0.96, 0.94), 2)
    out = ((0.05, 0.08, 0.22), (0.16, 0.22, 0.42)) if dim else d.pick(((0.45, 0.74, 0.96), (0.85, 0.95, 1.0)), ((0.98, 0.70, 0.48), (1.0, 0.90, 0.66)))
    d.rect(x, top, w, h, d.linear((0, out[0]), (1, out[1]), lit=False))
    if dim:
        for _ in range(12):
            d.ellipse(x + d.u(3, w - 3), top + d.u(3, h * 0.7), 0.8, 0.8, (1, 1, 0.9), 0.9, lit=False)
    else:
        d.path(f"M{x:.1f} {top + h * 0.78:.1f} q{w * 0.3:.1f} {-h * 0.16:.1f} {w * 0.55:.1f} {-h * 0.02:.1f} t{w * 0.45:.1f} 0 V{top + h:.1f} H{x:.1f} Z", (0.48, 0.70, 0.40))
    d.rect(x + w / 2 - 1.6, top, 3.2, h, (0.97, 0.96, 0.94))
    d.rect(x, top + h * 0.45, w, 3, (0.97, 0.96, 0.94))
    d.rect(x - 8, top + h + 4, w + 16, 5, (0.92, 0.90, 0.87), 1)
    curtain = d.vary(d.pick((0.80, 0.35, 0.32), (0.30, 0.50, 0.66), (0.92, 0.80, 0.52), (0.45, 0.60, 0.45)))
    if d.u(0, 1) < 0.7:
        for s in (-1, 1):
            cx = x - 10 if s < 0 else x + w - 8
            d.rect(cx, top - 9, 18, h + 26, d.linear((0, mix(curtain, (1, 1, 1), 0.2)), (0.5, curtain), (1, mix(curtain, (0, 0, 0), 0.25)), across=True), 3)
        d.rect(x - 15, top - 12, w + 30, 4, (0.50, 0.36, 0.24), 2)
    ox = 150 if left else 26  # the other side: picture, shelf or lamp
    what = d.u(0, 1)
    if what < 0.4:
        px, py, pw, ph = ox + d.u(0, 18), d.u(30, 50), d.u(44, 62), d.u(36, 48)
        d.rect(px - 3, py - 3, pw + 6, ph + 6, (0.48, 0.32, 0.20), 1)
        d.rect(px, py, pw, ph, d.vary((0.94, 0.90, 0.80)))
        d.ellipse(px + pw * 0.65, py + ph * 0.32, ph * 0.14, ph * 0.14, (0.96, 0.66, 0.32))
        d.path(f"M{px:.1f} {py + ph:.1f} L{px + pw * 0.35:.1f} {py + ph * 0.4:.1f} L{px + pw * 0.6:.1f} {py + ph * 0.75:.1f} L{px + pw * 0.78:.1f} {py + ph * 0.55:.1f} L{px + pw:.1f} {py + ph:.1f} Z", d.vary((0.36, 0.56, 0.58)))
    elif what < 0.75:
        for sy in (54, 92):
            d.rect(ox, sy, 82, 5, mix(wood, (1, 1, 1), 0.1), 1)
            bx = ox + 4
            while bx < ox + 70:
                bw, bh = d.u(4, 8), d.u(16, 26)
                d.rect(bx, sy - bh, bw, bh, d.vary(d.pick((0.80, 0.30, 0.28), (0.25, 0.45, 0.65), (0.92, 0.72, 0.32), (0.35, 0.58, 0.42), (0.60, 0.40, 0.62)), 0.06), 0.6)
                bx += bw + d.pick(0.6, 0.6, 9)
    else:
        lx = ox + d.u(20, 60)
        d.rect(lx - 1.5, 66, 3, y - 62, (0.40, 0.32, 0.28))
        d.ellipse(lx, y + 3, 14, 3.5, (0.36, 0.28, 0.24))
        d.ellipse(lx, 62, 44, 44, d.radial((0, (1, 0.92, 0.66), 0.75 if dim else 0.4), (1, (1, 0.92, 0.66), 0), lit=False))
        d.polygon([(lx - 11, 40), (lx + 11, 40), (lx + 19, 68), (lx - 19, 68)], d.linear((0, (1, 0.93, 0.75)), (1, (0.98, 0.82, 0.55)), lit=False))
    if d.u(0, 1) < 0.65:
        rug = d.vary(d.pick((0.76, 0.30, 0.30), (0.28, 0.44, 0.60), (0.86, 0.72, 0.50), (0.40, 0.56, 0.48)))
        ry = (y + N) / 2 + 6
        d.ellipse(128, ry, d.u(86, 112), d.u(22, 28), rug)
        d.ellipse(128, ry, 78, 18, mix(rug, (1, 1, 1), 0.25))
        d.ellipse(128, ry, 70, 15, rug)
    return Scene("room", d.light, d.svg(), dict(ground=((y + 22) / N, 0.94, 0.28, 0.46)), "", horizon=y / N)


def table(rng):
    d = Drawing(rng, light(("room", "room", "room", "room", "sunset", "night")[rng.integers(6)], rng))
    y = d.u(138, 164)
    wall = d.vary(d.pick((0.90, 0.84, 0.74), (0.62, 0.76, 0.76), (0.84, 0.70, 0.64), (0.70, 0.78, 0.64), (0.72, 0.74, 0.86), (0.42, 0.50, 0.56)), 0.05)
    d.rect(0, 0, N, y + 4, d.linear((0, mix(wall, (0.2, 0.18, 0.2), 0.14)), (1, mix(wall, (1, 1, 1), 0.14))))
    style = d.u(0, 1)
    d.group(d.blur(d.u(2.5, 5)))  # what is behind is out of focus
    if style < 0.4:  # window
        x, w = d.u(10, 120), d.u(80, 116)
        sky_ = ((0.06, 0.09, 0.24), (0.16, 0.22, 0.44)) if d.light.name == "night" else ((0.55, 0.80, 0.97), (0.92, 0.97, 1.0))
        d.rect(x - 5, 14, w + 10, y - 46, (0.97, 0.96, 0.94), 2)
        d.rect(x, 19, w, y - 56, d.linear((0, sky_[0]), (1, sky_[1]), lit=False))
        d.rect(x, y - 66, w, 29, (0.50, 0.72, 0.42))
        d.rect(x + w / 2 - 2, 16, 4, y - 50, (0.97, 0.96, 0.94))
    elif style < 0.75:  # shelf with jars
        sy = d.u(62, 84)
        d.rect(-4, sy, N + 8, 6, (0.56, 0.40, 0.28))
        x = d.u(4, 24)
        while x < 236:
            w, h = d.u(12, 24), d.u(22, 44)
            d.rect(x, sy - h, w, h, d.vary(d.pick((0.86, 0.42, 0.34), (0.94, 0.80, 0.52), (0.40, 0.62, 0.58), (0.96, 0.94, 0.90), (0.50, 0.56, 0.72))), 4)
            x += w + d.u(6, 26)
    else:  # bokeh
        for _ in range(14):
            r = d.u(5, 16)
            d.ellipse(d.u(0, N), d.u(4, y - 8), r, r, d.pick((1, 0.92, 0.7), (1, 1, 0.95), (1, 0.8, 0.6)), d.u(0.2, 0.5))
    d.end()
    name = "wooden"
    if d.u(0, 1) < 0.72:
        wood = d.vary(d.pick((0.74, 0.50, 0.30), (0.84, 0.64, 0.42), (0.56, 0.36, 0.24), (0.66, 0.48, 0.34)), 0.04)
        d.rect(0, y, N, N - y, d.linear((0, mix(wood, (1, 0.92, 0.75), 0.22)), (0.5, wood), (1, mix(wood, (0.15, 0.05, 0), 0.25))))
        for k in range(-3, 12):
            x0, x1 = 128 + (k - 4.5) * 34, 128 + (k - 4.5) * 62
            d.line(f"M{x0:.1f} {y} L{x1:.1f} 260", mix(wood, (0.15, 0.06, 0.02), 0.5), 1, 0.7)
            for _ in range(2):
                a, b = d.u(0.1, 0.6), d.u(0.2, 0.35)
                q = d.u(0.15, 0.85)
                xa, xb = x0 + 34 * q, x1 + 62 * q
                d.line(f"M{xa + (xb - xa) * a:.1f} {y + (N - y) * a:.1f} L{xa + (xb - xa) * (a + b):.1f} {y + (N - y) * (a + b):.1f}", mix(wood, (0.2, 0.08, 0.02), 0.3), 0.7, 0.55)
    else:
        name = "white"
        cloth = d.vary(d.pick((0.96, 0.95, 0.93), (0.93, 0.94, 0.96)), 0.02)
        d.rect(0, y, N, N - y, d.linear((0, cloth), (1, mix(cloth, (0.6, 0.62, 0.7), 0.35))))
        if d.u(0, 1) < 0.5:
            c = d.pick((0.85, 0.30, 0.30), (0.35, 0.55, 0.75), (0.45, 0.65, 0.45))
            for k in range(-6, 15):
                d.polygon([(128 + (k - 4.5) * 22, y), (128 + (k - 4) * 22, y), (128 + (k - 4) * 44, 260), (128 + (k - 4.5) * 44, 260)], c, 0.42)
            for k in range(4):
                y0 = y + (N - y) * (k / 4) ** 1.25
                d.rect(0, y0, N, 5 + 4 * k, c, 0, 0.42)
    d.rect(0, y - 1, N, 3.5, (1, 0.96, 0.88), 0, 0.4)
    d.rect(0, y - 5, N, 4, (0, 0, 0), 0, 0.10)
    x = d.u(50, 206)
    d.ellipse(x, y + 30, 120, 40, d.radial((0, (1, 0.97, 0.85), 0.35), (1, (1, 0.97, 0.85), 0)))
    return Scene("table", d.light, d.svg(), dict(ground=((y + 34) / N, 0.90, 0.36, 0.52)), name, horizon=y / N)


def sunset(rng):
    d = Drawing(rng, light("sunset", rng))
    y = d.u(140, 172)
    haze = sky(d, y)
    x, r = d.u(60, 196), d.u(20, 32)
    disc(d, x, y - d.u(-6, 26), r, d.pick((1, 0.92, 0.62), (1, 0.80, 0.50), (1, 0.62, 0.42)), (1, 0.80, 0.45), 4.6, 0.85)
    d.light.side = 1.0 if x < N / 2 else -1.0
    for _ in range(int(rng.integers(3, 8))):  # streaks of cloud
        cy, w = d.u(16, y - 20), d.u(40, 130)
        d.ellipse(d.u(0, N), cy, w / 2, d.u(2, 5), d.pick((1.0, 0.66, 0.55), (0.85, 0.42, 0.50), (1, 0.82, 0.62)), d.u(0.5, 0.9), lit=False)
    over_sea = d.u(0, 1) < 0.65
    if over_sea:
        if d.u(0, 1) < 0.5:
            d.path(closed(ridge(d, y - 6, 8, 2), y + 1), mix((0.42, 0.22, 0.42), haze, 0.3), lit=False)
        d.rect(0, y, N, N - y, d.linear((0, mix(haze, (0.9, 0.4, 0.4), 0.35)), (0.4, (0.55, 0.28, 0.46)), (1, (0.22, 0.14, 0.36)), lit=False))
        lightpath(d, x, y, N, (1, 0.86, 0.56), 44)
        waves(d, y, N, (1, 0.74, 0.60), 18)
        slots, surface = dict(afloat=((y + 22) / N, 0.88, 0.18, 0.40), air=(0.14, 0.44, 0.14, 0.30)), "water"
    else:
        for k in range(4):
            c = mix((0.56, 0.26, 0.40), (0.16, 0.10, 0.22), k / 3)
            d.path(closed(ridge(d, y + k * 22, 12, d.u(1.5, 3.5))), d.linear((0, mix(c, haze, 0.35)), (1, c), lit=False))
        slots, surface = dict(ground=(0.82, 0.95, 0.24, 0.42), air=(0.14, 0.44, 0.14, 0.30)), "solid"
    for _ in range(int(rng.integers(0, 6))):  # birds
        bx, by, s = d.u(20, 236), d.u(20, y - 40), d.u(3, 6)
        d.line(f"M{bx - s:.1f} {by:.1f} q{s * 0.5:.1f} {-s * 0.6:.1f} {s:.1f} 0 q{s * 0.5:.1f} {-s * 0.6:.1f} {s:.1f} 0", (0.30, 0.14, 0.26), 1, 0.9, lit=False)
    return Scene("sunset", d.light, d.svg(), slots, "sea" if over_sea else "hills", surface, y / N)


def day_sky(rng):
    d = outdoor(rng, ("day", "day", "day", "overcast"))
    haze = sky(d, N)
    if d.light.name == "day" and d.u(0, 1) < 0.5:
        disc(d, d.u(30, 226), d.u(24, 70), d.u(12, 18), (1, 0.95, 0.62), (1, 0.97, 0.75), 3.6)
    for _ in range(int(rng.integers(3, 7))):
        cloud(d, d.u(-10, 266), d.u(30, 250), d.u(50, 130), d.u(0.8, 1))
    if d.u(0, 1) < 0.4:
        for _ in range(6):
            cloud(d, d.u(-20, 276), d.u(262, 274), d.u(90, 150), 1)
    return Scene("sky", d.light, d.svg(), dict(air=(0.34, 0.74, 0.26, 0.50)), "", "none", 1.0)


def lake(rng):
    d = outdoor(rng, ("day", "day", "day", "overcast", "sunset", "night"))
    y = d.u(100, 124)
    haze = air(d, y - 6)
    if d.u(0, 1) < 0.7:
        peaks(d, haze, y, d.u(50, 80), d.vary((0.50, 0.58, 0.70)), True, 0.4)
    green = d.vary((0.32, 0.58, 0.34), 0.05)
    hills(d, haze, y - 8, green, 2, 7, 5, 0.4)
    for _ in range(int(rng.integers(8, 20))):
        (pine if d.u(0, 1) < 0.7 else leafy)(d, d.u(-4, N + 4), y + 6, d.u(16, 34), d.vary((0.18, 0.44, 0.30), 0.04))
    water(d, y + 5, N, haze, d.vary(d.pick((0.22, 0.56, 0.70), (0.20, 0.50, 0.74)), 0.04))
    d.rect(0, y + 5, N, 20, d.linear((0, d.light.grade(mix(green, (0.1, 0.3, 0.35), 0.5)), 0.6), (1, d.light.grade(green), 0), lit=False))
    near = d.u(214, 236)
    p = ridge(d, near, 8, 1.4)
    d.path(closed(p), d.linear((0, mix(green, (1, 1, 0.5), 0.15)), (1, mix(green, (0.05, 0.25, 0.1), 0.35))))
    for _ in range(14):
        tuft(d, d.u(0, N), d.u(near, N), d.u(8, 20), mix(green, (0.10, 0.40, 0.16), 0.5))
    return Scene("lake", d.light, d.svg(), dict(afloat=((y + 40) / N, 0.80, 0.18, 0.34), ground=(0.92, 0.97, 0.26, 0.34), air=(0.12, 0.34, 0.14, 0.26)), "", "water", y / N)


PLAIN = {"red": (0.85, 0.24, 0.24), "orange": (0.96, 0.60, 0.25), "yellow": (0.98, 0.86, 0.40), "green": (0.42, 0.72, 0.42), "blue": (0.36, 0.60, 0.90),
         "purple": (0.60, 0.44, 0.80), "pink": (0.97, 0.68, 0.78), "white": (0.96, 0.96, 0.96), "black": (0.10, 0.10, 0.12), "grey": (0.60, 0.61, 0.63), "brown": (0.56, 0.40, 0.28)}


def plain(rng):
    """One colour, softly lit, with a floor that runs into the wall."""
    d = Drawing(rng, light("room", rng))
    d.light.gain = (1, 1, 1)
    name = list(PLAIN)[rng.integers(len(PLAIN))]
    c = d.vary(PLAIN[name], 0.03)
    y = d.u(140, 190)
    d.rect(0, 0, N, N, d.linear((0, mix(c, (0, 0, 0), 0.10)), (y / N - 0.08, c), (y / N + 0.06, mix(c, (1, 1, 1), 0.16)), (1, mix(c, (0, 0, 0), 0.06))))
    d.ellipse(128, d.u(90, 130), 130, 120, d.radial((0, mix(c, (1, 1, 1), 0.5), 0.5), (1, c, 0)))
    return Scene("plain", d.light, d.svg(), dict(ground=((y + 20) / N, 0.9, 0.4, 0.62), air=(0.4, 0.66, 0.34, 0.56)), name, horizon=y / N)


KINDS = {"meadow": meadow, "beach": beach, "sea": sea, "desert": desert, "snow": snow, "forest": forest, "mountains": mountains, "night sky": night_sky,
         "space": space, "underwater": underwater, "city street": city, "road": road, "room": room, "table": table, "sunset": sunset, "sky": day_sky,
         "lake": lake, "plain": plain}


def draw(kind, rng):
    return KINDS[kind](rng)


# A small network learns a few views of a place sharp much sooner than any view of it, of which it makes a blurred mean.
VIEWS, FAMILIAR = 20, 0.75


def familiar(kind, rng):
    """`draw`, mostly one of a few views of each kind."""
    if rng.random() < FAMILIAR:
        rng = np.random.default_rng([66, list(KINDS).index(kind), rng.integers(VIEWS)])
    return draw(kind, rng)


def render(scene, size=N):
    """[size, size, 3] u8."""
    import resvg_py
    from PIL import Image
    png = bytes(resvg_py.svg_to_bytes(svg_string=scene.svg, width=size, height=size, skip_system_fonts=True))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def sheet(file, columns=6, seed=0, kinds=None):
    """All kinds, a row each, for looking at them."""
    from PIL import Image
    rows = [np.concatenate([render(draw(k, np.random.default_rng([seed, i, j]))) for j in range(columns)], 1) for i, k in enumerate(kinds or KINDS)]
    Image.fromarray(np.concatenate(rows)).save(file)


if __name__ == "__main__":
    import sys
    sheet(sys.argv[1], kinds=sys.argv[2:] or None)
