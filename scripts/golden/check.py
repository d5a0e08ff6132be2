"""Computes the golden data again and compares it with the committed numbers, or writes it.

One line is printed for each case: its largest difference, the largest share of what a tolerance
allows, and what computed the numbers. A case that is missing or unknown is a failure.
"""

import argparse
import shutil
import sys
import warnings
from pathlib import Path

import controlnet
import layerdiffuse
import lora
import noise
import pipeline
import schedulers
import sd_tiny
import text
import tokenizer
import torch
import transparency
import unet
import vae
from cases import Case, compare, default_root
from safetensors.torch import save_file
from trim import CASES

MODULES = (
    sd_tiny,
    tokenizer,
    text,
    unet,
    vae,
    noise,
    schedulers,
    pipeline,
    layerdiffuse,
    transparency,
    lora,
    controlnet,
)

# Made by LayerDiffuse's released code, which no package holds; see layerdiffuse.py.
NOT_REMADE = {
    "layerdiffuse/attn_control": "adapter for several frames",
    "layerdiffuse/attn_joint": "adapter for several frames",
    "layerdiffuse/e2e_bg2fg": "adapter for several frames",
    "layerdiffuse/e2e_fg2bg": "adapter for several frames",
    "layerdiffuse/e2e_joint": "adapter for several frames",
    "layerdiffuse/encoder": "transparency encoder",
    "layerdiffuse/pad_rgb": "padding of colours",
    "layerdiffuse/pictures": "published pictures",
}


def recipe_for(name):
    return next((found for module in MODULES if (found := module.recipe(name))), None)


def check(case, recipe, computed):
    result = compare(case, recipe, computed)
    verdict = "FAIL" if result.failures else "ok"
    reference = recipe.reference + (f" (without {recipe.left_out})" if recipe.left_out else "")
    print(f"{verdict:4}  {case.name:46} {result.difference:8.2g} {result.share:6.1%}  {reference}")
    for failure in result.failures:
        print(f"      {failure}")
    return not result.failures


def write(case, recipe, computed, target):
    """Writes a case with its inputs as they were and the computed outputs."""
    if recipe.left_out:
        print(f"      {case.name}: not written, it cannot be computed whole")
        return
    folder = target / case.name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(case.folder / "case.json", folder / "case.json")
    if case.name == "tokenizer":
        tokenizer.write(case, computed, folder)
        return
    tensors = case.inputs | {name: computed[name] for name in recipe.limits(case)}
    # Copies, since safetensors refuses tensors that share their memory.
    copies = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    save_file(copies, folder / "tensors.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the golden data (the default)")
    parser.add_argument("--write", metavar="DIR", type=Path, help="write what is computed to DIR")
    options = parser.parse_args()
    root = default_root()
    torch.set_grad_enabled(False)
    warnings.filterwarnings("ignore")

    found = {path.parent.relative_to(root).as_posix() for path in root.rglob("case.json")}
    failed = [f"{name}: missing" for name in CASES if name not in found]
    checked = 0
    for name in sorted(found):
        if name in NOT_REMADE:
            print(f"-     {name:46} {'':15}  not computed again: {NOT_REMADE[name]}")
            continue
        case, recipe = Case(root, name), recipe_for(name)
        if recipe is None:
            failed.append(f"{name}: nothing here computes it")
            continue
        if recipe.tensors:
            case.tensors = recipe.tensors(case)
        computed = recipe.compute(case)
        if options.check or not options.write:
            checked += 1
            if not check(case, recipe, computed):
                failed.append(f"{name}: differs")
        if options.write:
            write(case, recipe, computed, options.write)
    for failure in failed:
        print(f"error: {failure}", file=sys.stderr)
    if checked:
        print(f"{checked} cases compared, {len(failed)} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
