"""Write MODEL_CARD.md from the data, the checkpoints and metrics.json."""
import collections, json, os
import torch

import captions, data, effects, evaluate, model, procedural, scenes

STAGES = ("vae", "codec", "base-64", "codec-256", "base-128", "base-256", f"lcm-{data.FINAL}", "layers-joint", "layers-fg2bg", "layers-bg2fg", "decoders")


def table(rows, head):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(str(c) for c in r) + " |" for r in rows])


def percent(x):
    return f"{x * 100:.1f} %"


def stage_rows():
    for name in STAGES:
        file = data.path("ckpt", name + ".pt")
        if os.path.exists(file):
            s = torch.load(file, weights_only=False)
            if s["step"]:  # what came from a pack has none
                yield name, s["step"], f"{s['images']:,}", f"{s['used'] / 60:.0f} min"


def file_rows():
    root, total = os.path.dirname(data.path("export", "x")), 0
    for folder, _, files in sorted(os.walk(root)):
        for f in sorted(files):
            if f.endswith(".safetensors"):
                n = os.path.getsize(os.path.join(folder, f))
                total += n
                yield os.path.relpath(os.path.join(folder, f), root), f"{n:,}"
    yield "all", f"{total:,}"


def layer_rows(m):
    for kind in ("joint", "fg2bg", "bg2fg"):
        for k, v in m.get(kind, {}).items():
            yield kind, k, v


def settings(m):
    """What other steps and guidance give, if that was measured."""
    rows = [*m.get("sweep", {}).items(), *((f"few: {k}", v) for k, v in m.get("few", {}).items())]
    if not rows:
        return ""
    head = 'Steps and guidance, one seed each ("few" is with the LoRA for few steps):'
    columns = ("top1", "top5", "clear_and_opaque")
    return f"{head}\n\n{table([[k] + [v[c] for c in columns] for k, v in rows], ['setting', 'nearest', 'among five', 'clear and opaque'])}\n\n"


def matting(m):
    """A matte against native alpha, if that was measured."""
    if "matting" not in m:
        return ""
    head = """Matting (section 4.6), held-out glass, smoke and glowing pictures: closed-form matting of the opaque picture, with a trimap made from the true
alpha, against the alpha that latents carry:"""
    return f"{head}\n\n{table(m['matting'].items(), ['measure', 'value'])}\n\n"


def main():
    pictures = data.Pictures()
    m = json.load(open(data.path("export", "metrics.json")))
    count = collections.Counter(k["style"] for k in pictures.meta if not k["held"])
    used = collections.Counter(pictures.meta[i]["style"] for i in pictures.prompted)
    sources = [(f"{p} {v}", lic, count[s], used[s], ", ".join(w)) for p, v, s, w, lic in data.SETS]
    sources.append(("procedural.py", "written for this model", count["procedural"], used["procedural"], "smoke, bubbles, glass, ice, glowing orbs"))
    sources.append(("scenes.py, placing.py", "written for this model", "unlimited", "unlimited", f"{len(scenes.KINDS) - 1} kinds of background and objects in them"))
    codec = m["codec"]
    keys = list(next(iter(codec.values())))
    p, b = m["prompts"], m["backgrounds"]
    few = f" With `lcm_lora.safetensors`: {evaluate.FEW} steps of the sampler `lcm`, guidance 1." if "few" in m else ""
    text = f"""# mini: a small text -> transparent image model

`mini` makes {data.FINAL} x {data.FINAL} pictures from a short English prompt: objects with real transparency (RGBA), backgrounds, objects in scenes, and
layers (foreground, background and both blended) together or one for another. It has the architecture of Stable Diffusion 1.5
(VAE, CLIP text encoder, UNet with cross attention) at a small scale, v-prediction, and LayerDiffuse's transparency encoder,
decoder and layer adapters ("Transparent Image Layer Diffusion using Latent Transparency", 2024). All weights were trained with
`scripts/train/run`; nothing was taken from another model.

It is meant for trying the program out without a download, for tests and for demonstrations. It draws emoji-like illustrations.

Recommended: {model.STEPS} steps of DPM++ 2M Karras, guidance {model.GUIDANCE:g}, one decoder pass, {data.FINAL} x {data.FINAL}, prompts such as "a red apple", "a blue car, flat",
"a meadow at sunset" or "a swan on a lake".{few}

## Licence

The weights have the licence of glassine: MIT or Apache-2.0, at your option (`LICENSE-MIT` and `LICENSE-APACHE` in the package and
in the source). The pictures and words that they were trained on have licences of their own, which the next section names.

## Data

{table(sources, ["source", "licence", "pictures (VAE, codec)", "pictures (diffusion)", "caption words"])}

Names and keywords: {", ".join(f"{n} {v} ({l})" for n, v, l in data.CAPTIONS)}. Held out from all training: {len(pictures.held)} pictures (one style of about a tenth of the
concepts, and a few procedural ones), and about a tenth of the pairs of object and scene. No flags, no photographs.

Fluent Emoji (c) Microsoft Corporation, MIT. Noto Emoji (c) Google, Apache-2.0. FxEmoji (c) Mozilla, Apache-2.0. emojibase (c) Miles Johnson, MIT.

Layer triples are made as follows: a clean foreground; a background drawn by formula; the blend of both with the scene's light and tint on
the object, a contact shadow and a cast one, mirror images in water, light from what shines. {percent(scenes.FAMILIAR)} of the places are one of {scenes.VIEWS} views
of each kind, the others are drawn anew.

The {len(pictures.nouns)} nouns it knows: {", ".join(pictures.nouns)}.

Scenes: {", ".join(alone[0] for k, (alone, _) in captions.SCENES.items() if k != "plain")}; at night, at sunset, on a cloudy day where that makes sense; plain backgrounds in {", ".join(scenes.PLAIN)}.

Words for style: {", ".join(w for s in data.PROMPTED for w in data.STYLE.get(s, []))}. Words for semi-transparency: {", ".join(w for s in captions.EFFECT_WORDS.values() for w in s)}.
Words for colour ({", ".join(effects.HUES)}), for: {", ".join(sorted({c.noun for c in data.concepts().values() if c.tint}))}.

## Training

CPU cores without a GPU, PyTorch, AdamW, cosine schedule over the time of each stage, EMA weights. The first weights are those of
the `mini` that came before, trained by the same scripts from random values; the table is of what this one was trained beyond it, and
`scripts/train/README.md` says how far that had come.

{table(stage_rows(), ["stage", "steps", "samples", "time"])}

## Size of the checkpoint (f16)

The pack in the package is made from it at 8 bits.

{table(file_rows(), ["file", "bytes"])}

## Measured

All by `scripts/train/evaluate.py`. Codec (alpha MAE and PSNR in units of the range 0..1; "effects" are shadow, glow, glass and ghost
versions; 8 pass = flips and rotations with the lower median; "VAE PSNR" is the plain VAE's reconstruction over mid-grey with and
without the offset in the latent):

{table([[k] + [codec[k][c] for c in keys] for k in codec], ["set"] + keys)}

Prompts: {p["pictures"]} pictures, {p["steps"]} steps, guidance {p["guidance"]:g}, one decoder pass. A hit means that among the nearest training pictures (premultiplied RGBA
averaged to 16 x 16, Euclidean) there is one of the prompted concept.

* nearest picture is of the concept: {percent(p["top1"])}
* one of the five nearest is: {percent(p["top5"])} (by chance about {500 / len(pictures.nouns):.1f} %)
* of the {p["solid"]} pictures of things that are opaque somewhere (glass is not), those with both clear (alpha < 0.05 on 5 % of the pixels) and opaque (alpha > 0.95 on 5 %)
  areas: {percent(p["clear_and_opaque"])}

Backgrounds: {b["pictures"]} pictures; among the five nearest of drawn backgrounds there is one of the prompted kind for {percent(b["among_five"])}, the nearest is one for {percent(b["nearest"])}.

{settings(m)}Layers, on pairs of object and scene that were not trained on:

{table(layer_rows(m), ["mode", "measure", "value"])}

{matting(m)}Sheets, not selected, in `docs/mini.md` of the source: `objects.png`: {"; ".join(evaluate.OBJECTS)}. `scenes.png`: {"; ".join(evaluate.SCENES)}. `blends.png`: {"; ".join(evaluate.BLENDS)}.
`joint.png` (foregrounds, backgrounds, blends, composited layers): {"; ".join(blend for _, _, blend in evaluate.LAYERS)}.

## Limits

* Only the nouns above; other words are ignored or lead to a mixture. No counting; one object in a scene.
* Many pictures are near the training pictures; this is a demonstration of the method, not a source of new designs.
* Most semi-transparent versions were made by formula, not taken from real pictures.
* The hit rates compare with training pictures, so they show that prompts are followed, not that new designs are made.
"""
    open(data.path("export", "MODEL_CARD.md"), "w").write(text)


if __name__ == "__main__":
    main()
