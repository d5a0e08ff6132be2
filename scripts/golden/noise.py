"""Seeded normal noise, by torch's generator on the CPU."""

import math

import torch
from cases import Recipe


def recipe(name):
    return Recipe("torch.randn", compute) if name == "noise" else None


def compute(case):
    computed = {}
    for seed in case.description["seeds"]:
        for shape in case.description["shapes"]:
            values = torch.randn(shape, generator=generator(seed))
            key = f"seed_{seed}__{times(shape)}"
            if math.prod(shape) > 1024:
                computed[f"{key}__first256"] = values.flatten()[:256]
                computed[f"{key}__last16"] = values.flatten()[-16:]
            else:
                computed[key] = values
        one = generator(seed)
        for index, shape in enumerate(case.description["sequence"]):
            computed[f"seed_{seed}__seq{index}_{times(shape)}"] = torch.randn(shape, generator=one)
    return computed


def generator(seed):
    return torch.Generator("cpu").manual_seed(seed)


def times(shape):
    return "x".join(map(str, shape))
