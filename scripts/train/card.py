"""Write MODEL_CARD.md from the data, the checkpoints and metrics.json."""
import collections, json, os
import torch

import data, evaluate


def table(rows, head):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(str(c) for c in r) + " |" for r in rows])


def main():
    pics, meta = data.load()
    m = json.load(open(data.path("export", "metrics.json")))
    count = collections.Counter(k["style"] for k in meta if not k["held"])
    used = collections.Counter(k["style"] for k in meta if k["noun"] and not k["held"])
    sources = [(f"{p} {v}", lic, count[s], used[s], ", ".join(w)) for p, v, s, w, lic in data.SETS]
    sources.append(("procedural (data.py)", "written for this model", count["procedural"], used["procedural"], "smoke, soap bubble, glass balls, glowing orbs"))
    stages = []
    for name in ("vae", "codec", "diffusion"):
        s = torch.load(data.path("ckpt", name + ".pt"), weights_only=False)
        stages.append((name, s["step"], f"{s['images']:,}", f"{s['used'] / 60:.0f} min"))
    sizes, total = [], 0
    root = os.path.dirname(data.path("export", "x"))
    for folder, _, files in sorted(os.walk(root)):
        for f in sorted(files):
            if f.endswith(".safetensors"):
                n = os.path.getsize(os.path.join(folder, f))
                total += n
                sizes.append((os.path.relpath(os.path.join(folder, f), root), f"{n:,}"))
    sizes.append(("all", f"{total:,}"))
    concepts = sorted({k["noun"] for k in meta if k["noun"]})
    codec = m["codec"]
    keys = list(next(iter(codec.values())))
    p = m["prompts"]
    text = f"""# mini: a very small text -> transparent image model

`mini` makes 64 x 64 pixel pictures with real transparency (RGBA) from a short English prompt. It has the architecture of Stable
Diffusion 1.5 (VAE, CLIP text encoder, UNet with cross attention, eps prediction, scaled-linear betas) at a small scale, and the
transparency encoder and decoder of LayerDiffuse ("Transparent Image Layer Diffusion using Latent Transparency", 2024). All
weights were trained from random values with `scripts/train/run`; nothing was taken from another model.

It is meant for trying the program out without a download, for tests and for demonstrations. It draws single emoji-like objects
and nothing else.

Recommended: {p['steps']} steps of DPM++ 2M Karras, guidance {p["guidance"]:g}, one decoder pass, size 64 x 64, short prompts such as "a red apple" or "a fox, flat".

## Licence

The weights have the licence of glassine: MIT or Apache-2.0, at your option (`LICENSE-MIT` and `LICENSE-APACHE` in the package and
in the source). The pictures and words that they were trained on have licences of their own, which the next section names.

## Data

{table(sources, ["source", "licence", "pictures (VAE, codec)", "pictures (diffusion)", "caption words"])}

Names and keywords: {", ".join(f"{n} {v} ({l})" for n, v, l in data.CAPTIONS)}. Held out from all training: {sum(k["held"] for k in meta)} pictures (one style of about a tenth
of the concepts, and a few procedural ones). No flags, no people, no photographs.

Fluent Emoji (c) Microsoft Corporation, MIT. Noto Emoji (c) Google, Apache-2.0. FxEmoji (c) Mozilla, Apache-2.0. emojibase (c) Miles Johnson, MIT.

The {len(concepts)} nouns it knows: {", ".join(concepts)}.

Words for style: {", ".join(w for s in data.PROMPTED for w in data.STYLE.get(s, []))}. Words for semi-transparency: {", ".join(w for s in data.EFFECT_WORDS.values() for w in s)}.

## Training

Two shared CPU cores, no GPU, PyTorch with bf16 autocast, AdamW, cosine schedule over the time of each stage, EMA weights.

{table(stages, ["stage", "steps", "samples", "time"])}

## Size of the checkpoint (f16)

The pack in the package is made from it at 8 bits.

{table(sizes, ["file", "bytes"])}

## Measured

Codec, `scripts/train/evaluate.py codec` (alpha MAE and PSNR in units of the range 0..1; "effects" are shadow, glow, glass and
ghost versions; 8 pass = flips and rotations with the lower median; "VAE PSNR" is the plain VAE's reconstruction over mid-grey with
and without the offset in the latent):

{table([[k] + [codec[k][c] for c in keys] for k in codec], ["set"] + keys)}

Prompts, `scripts/train/evaluate.py prompts {p['steps']} {p['guidance']:g}`: 60 concepts x 4 seeds, one decoder pass. A hit means that among the nearest training pictures
(premultiplied RGBA averaged to 16 x 16, Euclidean) there is one of the prompted concept.

* nearest picture is of the concept: {p['top1'] * 100:.1f} %
* one of the five nearest is: {p['top5'] * 100:.1f} % (by chance about {500 / len(concepts):.1f} %)
* both clear (alpha < 0.05 on 5 % of the pixels) and opaque (alpha > 0.95 on 5 %) areas: {p['clear_and_opaque'] * 100:.1f} %

Steps and guidance, `scripts/train/evaluate.py sweep` (60 concepts, one seed each):

{table([[k] + [v[c] for c in ("top1", "top5", "clear_and_opaque")] for k, v in m.get("sweep", {}).items()], ["setting", "nearest", "among five", "clear and opaque"])}

{m.get("note", "")}

`contact-sheet.png`: 24 fixed prompts, seeds 1 to 24, not selected, one decoder pass. Row by row: {"; ".join(evaluate.SHEET)}.

## Limits

* Only the nouns above; other words are ignored or lead to a mixture. No counting, no relations, no scenes.
* 64 x 64 pixels, and the VAE keeps only 256 numbers per picture: small details (faces, thin legs, strings) blur.
* Many pictures are near the training pictures; this is a demonstration of the method, not a source of new designs.
* Semi-transparent versions were made by formula (soft shadow, glow, glass body, fading), not taken from real pictures.
* Alpha is soft: edges are a few pixels wide and thin parts fade. The aims of 0.015 alpha MAE and 26 dB were not reached.
* The eight-pass decoder is slightly worse than one pass: the small decoder never saw rotated pictures in training.
* The hit rates compare with training pictures, so they show that prompts are followed, not that new designs are made.
"""
    open(data.path("export", "MODEL_CARD.md"), "w").write(text)


if __name__ == "__main__":
    main()
