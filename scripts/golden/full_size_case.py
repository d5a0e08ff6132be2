"""The reference numbers of the full-size model: inputs, expected tensors, and what they may differ by.

Everything is computed twice, in float32, which is expected, and in float64, which says how much of
that is rounding. The tolerances follow from it as those of the other golden data do.
"""

import json
import platform

import diffusers
import layerdiffuse
import model
import torch
import transformers
import transparency
from cases import Case, cosine
from diffusers import AutoencoderKL, UNet2DConditionModel
from kdiffusion import Dpmpp2m, Table
from pipeline import guided
from safetensors.torch import save_file
from transformers import CLIPTextModel
from trim import REPOSITORY

ROOT = REPOSITORY / "tests/golden"
TIMESTEP = 601
STEPS = 20
GUIDANCE = 7.0
SEED = 12345

INPUTS = {
    "input_ids": "token ids of the negative prompt and the prompt",
    "latent_8x8": "what the UNet is given, one row for each prompt; the first row is also decoded",
    "latent_64x64": "what the UNet is given, with the prompt",
    "noise": "unit normal noise, of this case's seed",
}
EXPECTED = {
    "context": "text features of both prompts",
    "eps_8x8": "predicted noise for latent_8x8 and both contexts",
    "eps_64x64": "predicted noise for latent_64x64 and the prompt's context",
    "latents": "the latent after each step of a run from `noise`",
    "image": "the first row of latent_8x8, divided by the scaling factor and decoded; -1..1, not clipped",
    "moments": "mean and logarithm of the variance, encoded from `image` clipped to -1..1",
    "argb_first": "the transparency decoder's first pass on `image`, put in 0..1, and its latent; unclipped",
    "argb": "the lower median of all eight passes, each clipped",
    "attn.eps_8x8": "as eps_8x8, with the adapter for one picture folded in, unrounded",
    "attn.latents": "as latents, with the adapter like that",
}


def write(folder):
    """Computes the case of the files in `folder`, checks that it is sane, and writes it there."""
    inputs = make_inputs()
    expected = compute(folder, inputs, torch.float32)
    check(inputs, expected)
    exact = compute(folder, inputs, torch.float64)
    description = describe(inputs, expected, exact)
    (folder / "case.json").write_text(json.dumps(description, indent=1) + "\n")
    tensors = {name: tensor.contiguous() for name, tensor in (inputs | expected).items()}
    save_file(tensors, folder / "expected.safetensors")


def make_inputs():
    prompts = prompt_case()
    generator = torch.Generator().manual_seed(0)
    return {
        "input_ids": torch.cat([prompts["tokens.uncond"], prompts["tokens.cond"]]),
        "latent_8x8": torch.randn([2, 4, 8, 8], generator=generator),
        "latent_64x64": torch.randn([1, 4, 64, 64], generator=generator),
        "noise": torch.randn([1, 4, 8, 8], generator=torch.Generator().manual_seed(SEED)),
    }


def prompt_case():
    """A case of the golden data whose prompts and their token ids serve here, too."""
    return Case(ROOT, "layerdiffuse/e2e_single")


def compute(folder, inputs, dtype):
    """The expected tensors, with one model in memory at a time."""
    given = {name: tensor.to(dtype) for name, tensor in inputs.items() if tensor.is_floating_point()}
    encoder = model.load(CLIPTextModel, folder / "model/text_encoder").to(dtype)
    context = encoder(inputs["input_ids"].long()).last_hidden_state
    computed = {"context": context} | decoded(folder, given["latent_8x8"][:1], dtype)

    unet = model.load(UNet2DConditionModel, folder / "model/unet").to(dtype)
    computed["eps_8x8"] = model.epsilon(unet, given["latent_8x8"], TIMESTEP, context)
    computed["eps_64x64"] = model.epsilon(unet, given["latent_64x64"], TIMESTEP, context[1:])
    computed["latents"] = sampled(unet, given["noise"], context)

    adapter = folder / "layer_sd15_transparent_attn.safetensors"
    layerdiffuse.adapt(unet, adapter, layerdiffuse.unit_order(ROOT))
    computed["attn.eps_8x8"] = model.epsilon(unet, given["latent_8x8"], TIMESTEP, context)
    computed["attn.latents"] = sampled(unet, given["noise"], context)
    return computed


def decoded(folder, latent, dtype):
    """Everything that is made of a latent in the sampler's scale."""
    latent = latent / model.SCALING_FACTOR
    vae = model.load(AutoencoderKL, folder / "model/vae").to(dtype)
    image = vae.decode(latent).sample
    posterior = vae.encode(image.clamp(-1, 1)).latent_dist
    decoder = transparency.Decoder(folder / "layer_sd15_vae_transparent_decoder.safetensors").to(dtype)
    pixels = (image / 2 + 0.5).clamp(0, 1)
    return {
        "image": image,
        "moments": torch.cat([posterior.mean, posterior.logvar], 1),
        "argb_first": decoder(pixels, latent),
        "argb": transparency.lower_median(transparency.passes(decoder, pixels, latent)),
    }


def sampled(unet, noise, context):
    sampler = Dpmpp2m(Table().karras(STEPS))
    guide, latent, latents = guided(unet, context, GUIDANCE), sampler.start(noise), []
    for step, timestep in enumerate(sampler.timesteps):
        epsilon = guide(sampler.model_input(step, latent), timestep)
        latent = sampler.step(step, latent, epsilon, None)
        latents.append(latent)
    return torch.cat(latents)


def check(inputs, expected):
    """Fails where activations died or exploded on the way."""
    failures = [name for name, tensor in expected.items() if not tensor.isfinite().all()]
    for name in (name for name in expected if "eps" in name):
        latent = inputs[name.removeprefix("attn.").replace("eps", "latent")]
        correlation = cosine(expected[name].flatten(), latent.flatten())
        print(f"{name}: cosine {correlation:.3f} with the latent")
        if not 0.9 < correlation < 0.995:
            failures.append(name)
    ranges = {"context": (0.5, 2), "image": (0.1, 1), "argb": (0.05, 0.5)}
    ranges |= {name: (0.5, 1.5) for name in expected if "eps" in name}
    for name, (low, high) in ranges.items():
        if not low < expected[name].std() < high:
            failures.append(name)
    for name in ("latents", "attn.latents"):
        if not 0.3 < expected[name][-1].std() < 3:
            failures.append(name)
    for name, tensor in expected.items():
        print(f"{name}: deviation {tensor.std():.3f}, peak {tensor.abs().max():.2f}")
    if failures:
        raise SystemExit(f"error: out of range: {', '.join(failures)}")


def describe(inputs, expected, exact):
    prompts = prompt_case().description["settings"]
    return {
        "case": "full-size",
        "description": "Stable Diffusion 1.5's sizes and names, filled with noise. Weights are float16, "
        "numbers float32.",
        "computed_by": {
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "transformers": transformers.__version__,
            "cpu": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        },
        "prompt": prompts["prompt"],
        "negative": prompts["negative"],
        "timestep": TIMESTEP,
        "run": {
            "sampler": "dpmpp_2m_karras_kdiff",
            "steps": STEPS,
            "guidance_scale": GUIDANCE,
            "seed": SEED,
        },
        "scaling_factor": model.SCALING_FACTOR,
        "tensor_file": "expected.safetensors",
        "inputs": {name: entry(inputs[name], meaning) for name, meaning in INPUTS.items()},
        "expected": {
            name: entry(expected[name], meaning) | tolerance(expected[name], exact[name])
            for name, meaning in EXPECTED.items()
        },
    }


def entry(tensor, meaning):
    dtype = str(tensor.dtype).removeprefix("torch.")
    return {"dtype": dtype, "shape": list(tensor.shape), "meaning": meaning}


def tolerance(expected, exact):
    measured = (expected.double() - exact).abs().max().item()
    peak = expected.abs().max().item()
    return {
        "measured_f32_vs_f64_max_abs": measured,
        "abs_peak": peak,
        "std": expected.std().item(),
        "tolerance": {"max_abs": max(25 * measured, 2e-5 * peak), "min_cosine": 0.99999},
    }
