"""Golden cases: a folder with `case.json` and tensors, and how to compute its numbers again."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file
from trim import REPOSITORY, dropped


def default_root():
    """Where the tests take their golden data from, too."""
    return Path(os.environ.get("GLASSINE_GOLDEN") or REPOSITORY / "tests/golden")


class Case:
    """The case in the folder `name` of the golden data."""

    def __init__(self, root, name):
        self.root, self.name, self.folder = root, name, root / name
        self.description = json.loads((self.folder / "case.json").read_text())

    @cached_property
    def tensors(self):
        own = f"{self.folder.name}.safetensors"
        return load_file(self.folder / self.description.get("tensor_file", own))

    def __getitem__(self, name):
        """The tensor `name`, input or expected."""
        return self.tensors[name]

    def sibling(self, name):
        """Another case of the same golden data."""
        return Case(self.root, name)

    @property
    def inputs(self):
        return {name: self[name] for name in self.description.get("inputs", {})}

    def limits(self):
        """For each expected tensor the largest difference and the smallest cosine allowed."""
        return {
            name: (entry["tolerance"]["max_abs"], entry["tolerance"].get("min_cosine"))
            for name, entry in self.description["expected"].items()
        }


@dataclass
class Recipe:
    """How the expected tensors of a case are computed again, and by what."""

    reference: str
    compute: Callable[[Case], dict[str, torch.Tensor]]
    # For cases that do not state a tolerance with every tensor: what is compared, and how closely.
    limits: Callable[[Case], dict[str, tuple[float, float | None]]] = Case.limits
    # Gives the case's tensors where they are not in its own file.
    tensors: Callable[[Case], dict[str, torch.Tensor]] | None = None
    # What of the case stays as it is. Such cases are checked but not written.
    left_out: str = ""


@dataclass
class Result:
    """The comparison of a case."""

    difference: float = 0.0  # the largest of any element
    share: float = 0.0  # the largest, as a share of what its tolerance allows
    failures: list[str] = field(default_factory=list)


def compare(case, recipe, computed):
    """Compares every tensor that `recipe` promises with the committed one."""
    result = Result()
    for name, (max_abs, min_cosine) in recipe.limits(case).items():
        if name not in case.tensors and dropped(case.name, name):
            continue
        if name not in computed:
            result.failures.append(f"{name}: not computed")
            continue
        if name not in case.tensors:
            result.failures.append(f"{name}: missing")
            continue
        got, expected = computed[name], case[name]
        if got.shape != expected.shape:
            result.failures.append(f"{name}: shape {list(got.shape)}, not {list(expected.shape)}")
            continue
        got, expected = got.double().flatten(), expected.double().flatten()
        difference = (got - expected).abs().max().item()
        if not difference <= max_abs:  # also catches values that are not numbers
            result.failures.append(f"{name}: off by {difference:.3g}, allowed {max_abs:.3g}")
        if min_cosine is not None and cosine(got, expected) < min_cosine:
            result.failures.append(f"{name}: cosine {cosine(got, expected)}, allowed {min_cosine}")
        result.difference = max(result.difference, difference)
        if max_abs > 0:
            result.share = max(result.share, difference / max_abs)
    return result


def cosine(a, b):
    """The cosine of the angle between two vectors; 1 for equal ones, also of length zero."""
    return 1.0 if torch.equal(a, b) else (a @ b / (a.norm() * b.norm())).item()
