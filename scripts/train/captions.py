"""Captions: of objects, of backgrounds and of objects in them."""
import procedural
from data import STYLE

EFFECT_WORDS = {"shadow": ["with a soft shadow", "with a drop shadow"], "glow": ["glowing", "with a glow"], "glass": ["made of glass", "translucent"], "ghostly": ["ghostly", "faded"]}
# now and then a caption gets one of these, so that usual prompt words do no harm
FILLERS = ["high quality", "cute", "icon", "isolated", "transparent background", "detailed", "illustration", "4k"]
PLURAL = ("grapes", "cherries", "blueberries", "pancakes", "french fries", "glasses", "sunglasses", "headphones", "books", "scissors", "bananas",
          "sparkles", "fireworks", "autumn leaves", "mountains")
MASS = ("smoke", "sushi", "popcorn", "bread", "corn", "cheese", "broccoli", "fire", "milk", "coffee", "beer", "lightning", "candy", "ice cream", "poo", "poop", "dice", "salad", "curry", "rice",
        "spaghetti", "champagne", "sake", "soda", "meat", "bacon", "garlic", "noodle soup", "ramen", "pudding", "coral", "planet earth", "saturn", "outer space", "fries")

# How often a caption names its picture's style. The two that are mostly left unsaid share drawings and colours: a plain prompt
# then means one drawing of a thing, where a network this small would make a mean of several.
SAID = {"flat": 0.85}
SAID_ELSE = 0.4

# kind of scene -> what to call it alone, and how an object is in it by slot
SCENES = {
    "meadow": (["a meadow", "a green meadow", "grass"], dict(ground=["in a meadow", "on grass"], air=["over a meadow"])),
    "beach": (["a beach", "a sandy beach"], dict(ground=["on a beach", "at the beach"], air=["over a beach"])),
    "sea": (["the sea", "the ocean"], dict(afloat=["on the sea", "on the ocean"], air=["over the sea"])),
    "desert": (["a desert"], dict(ground=["in a desert", "in the desert"], air=["over a desert"])),
    "snow": (["a snowy field", "snow"], dict(ground=["in the snow", "in a snowy field"], air=["over a snowy field"])),
    "forest": (["a forest", "woods"], dict(ground=["in a forest", "in the woods"])),
    "mountains": (["mountains", "a mountain landscape"], dict(ground=["in the mountains"], air=["over the mountains"])),
    "night sky": (["the night sky", "a starry sky"], dict(air=["in the night sky", "under the stars"])),
    "space": (["outer space", "space"], dict(orbit=["in space", "in outer space"])),
    "underwater": (["an underwater scene", "under water"], dict(swim=["under water", "underwater"], ground=["on the sea floor"])),
    "city street": (["a city street", "a street"], dict(ground=["on a city street", "in the city"], road=["on a city street", "on a street"], air=["over a city"])),
    "road": (["a road", "a country road"], dict(road=["on a road", "on a country road"], air=["over a road"])),
    "room": (["a room", "a living room"], dict(ground=["in a room", "in a living room"])),
    "table": (["a table"], dict(ground=["on a table"])),
    "sunset": (["a sunset"], dict(afloat=["on the sea at sunset"], ground=["at sunset"], air=["in the sky at sunset", "at sunset"])),
    "sky": (["the sky", "a sky with clouds"], dict(air=["in the sky", "in the clouds"])),
    "lake": (["a lake"], dict(afloat=["on a lake"], ground=["by a lake"], air=["over a lake"])),
    "plain": (["a plain background"], dict(ground=["on a plain background"], air=["on a plain background"])),
}


def article(noun):
    if noun in PLURAL or noun in MASS or noun.startswith(("a ", "an ", "the ")):
        return noun
    return ("an " if (noun[0] in "aeiou" or noun.startswith("hour")) and not noun.startswith(("unicorn", "ewe", "ufo", "one")) else "a ") + noun


def pick(rng, options):
    return options[rng.integers(len(options))]


def name(d, rng):
    """A noun for a described object: its own or a synonym, with the colour it was given."""
    noun = d["noun"] if not d["synonyms"] or rng.random() < 0.7 else pick(rng, d["synonyms"])
    return f"{d['colour']} {noun}" if d.get("colour") else noun


def style_said(d, rng):
    return STYLE.get(d["style"]) and rng.random() < SAID.get(d["style"], SAID_ELSE)


def of_object(d, rng):
    """d: noun, synonyms, style, effect, colour, small."""
    noun = name(d, rng)
    if d.get("small"):
        noun = pick(rng, ["small ", "little ", "tiny "] if d["small"] > 1 else ["small "]) + noun
    text = article(noun) if rng.random() < 0.65 else noun
    extra, kind = [], d.get("effect", "none")
    if kind != "none":
        w = pick(rng, EFFECT_WORDS[kind])
        if w in ("glowing", "ghostly", "translucent", "faded") and rng.random() < 0.6:
            text = article(w + " " + noun) if text != noun else w + " " + noun
        elif rng.random() < 0.5:
            text += " " + w if w.startswith(("with", "made")) else ", " + w
        else:
            extra.append(w)
    if style_said(d, rng):
        extra.append(pick(rng, STYLE[d["style"]]))
    if rng.random() < 0.06:
        extra.append(pick(rng, FILLERS))
    if rng.random() < 0.03:
        text = "a picture of " + text
    return ", ".join([text] + extra)


def when(scene, rng):
    """What to say of the light, if anything."""
    light = scene["light"]
    if scene["kind"] in ("sunset", "night sky", "space", "underwater", "plain", "table"):
        return ""
    if light == "night":
        return " at night"
    if light == "sunset":
        return " at sunset"
    if light == "overcast":
        return pick(rng, ["", " on a cloudy day"])
    if light == "day" and rng.random() < 0.12:
        return pick(rng, [" on a sunny day", " by day"])
    return ""


def of_background(s, rng):
    """s: kind, light, words."""
    kind, words = s["kind"], s["words"]
    text = pick(rng, SCENES[kind][0])
    if kind == "plain":
        return pick(rng, [f"a plain {words} background", f"{words} background", f"{article(words)} background"])
    if kind == "table":
        return f"a {words} table"
    if kind == "sunset":
        return pick(rng, ["a sunset", "sunset", "a sunset over the sea" if words == "sea" else "a sunset over hills"])
    if kind in ("meadow", "forest") and words:
        text = pick(rng, SCENES[kind][0][:1]).replace("a ", f"{article(words)} ", 1)
    if kind == "sky" and s["light"] == "day" and rng.random() < 0.4:
        text = "a blue sky"
    if rng.random() < 0.05:
        text = "a picture of " + text
    return text + when(s, rng)


def of_blend(d, s, slot, rng):
    """An object in a scene."""
    where = pick(rng, SCENES[s["kind"]][1][slot])
    if s["kind"] == "plain":
        where = f"on {article(s['words'])} background"
    if s["kind"] == "table":
        where = f"on a {s['words']} table" if rng.random() < 0.75 else where
    text = article(name(d, rng)) + " " + where
    if s["kind"] == "forest" and s["words"] and rng.random() < 0.6:
        text = text.replace("a forest", "an autumn forest")
    if style_said(d, rng):
        return text + when(s, rng) + ", " + pick(rng, STYLE[d["style"]])
    return text + when(s, rng)


def all_nouns(concepts):
    return [c.noun for c in concepts.values()] + procedural.nouns()
