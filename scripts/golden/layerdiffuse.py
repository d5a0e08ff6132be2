"""What can be computed again of the LayerDiffuse cases without LayerDiffuse's own code.

No package holds that code. Its adapter for one picture, though, is plain arithmetic on the weights
around diffusers' UNet, and the demo's sampler is DPM-Solver++(2M) on whole timesteps. So the cases
of the adapter, and the whole runs up to the opaque picture, are computed again here, and those of
the transparency decoder in `transparency.py`. The transparency encoder and the padding of colours
are not.
"""

import copy

import model
import torch
from cases import Case, Recipe
from kdiffusion import Dpmpp2m, Table
from pipeline import guided
from safetensors.torch import load_file

NORM_EPSILON = 1e-6
WEIGHTS = "layerdiffuse/weights/layer_sd15_transparent_attn.safetensors"
REFERENCE = "folded adapter written here, models by diffusers"


def recipe(name):
    if name == "layerdiffuse/attn_single":
        return Recipe(REFERENCE, attention, attention_limits, left_out="the inputs of single units")
    if name in ("layerdiffuse/e2e_single", "layerdiffuse/e2e_img2img"):
        return Recipe(f"{REFERENCE}; sampler written here", run, run_limits, left_out="transparency")


class SharedAttention(torch.nn.Module):
    """An attention with one unit of the adapter folded into it."""

    def __init__(self, attention, unit):
        super().__init__()
        self.attention = attention
        projections = {
            "to_q": attention.to_q,
            "to_k": attention.to_k,
            "to_v": attention.to_v,
            "to_out": attention.to_out[0],
        }
        for name, linear in projections.items():
            up, down = unit[f"{name}_lora.0.up.weight"], unit[f"{name}_lora.0.down.weight"]
            linear.weight.data += (up @ down).to(linear.weight.dtype)
        weight, bias = fold_temporal(unit)
        dtype = attention.to_q.weight.dtype
        self.register_buffer("weight", weight.to(dtype))
        self.register_buffer("bias", bias.to(dtype))

    def forward(self, state, *arguments, **options):
        attended = self.attention(state, *arguments, **options)
        normed = torch.nn.functional.layer_norm(state + attended, state.shape[-1:], eps=NORM_EPSILON)
        return attended + normed @ self.weight.T + self.bias


def fold_temporal(unit):
    """The temporal attention over one frame as one matrix and one vector.

    Its softmax is over a single entry, so that queries and keys do not matter and the values pass
    through: three affine maps after a layer norm, whose scale and shift belong to the first.
    """
    weight, bias = unit["temporal_n.weight"].diag(), unit["temporal_n.bias"]
    for layer in ("i", "v", "o"):
        matrix = unit[f"temporal_{layer}.weight"]
        weight, bias = matrix @ weight, matrix @ bias + unit[f"temporal_{layer}.bias"]
    return weight, bias


def units(file):
    """The tensors of every unit in float64, by number."""
    by_unit = {}
    for name, tensor in load_file(file).items():
        number, _, leaf = name.removeprefix("hookers.layers.").partition(".")
        by_unit.setdefault(number, {})[leaf] = tensor.double()
    return by_unit


def unit_order(root):
    """The UNet's attention for every unit, by number."""
    return Case(root, "layerdiffuse/attn_single").description["adapter"]["unit_order"]


def adapt(unet, file, order):
    """Folds the adapter in `file` into a UNet."""
    for number, unit in units(file).items():
        parent, _, name = order[number].rpartition(".")
        parent = unet.get_submodule(parent)
        setattr(parent, name, SharedAttention(getattr(parent, name), unit))


def adapted_unet(case):
    unet = copy.deepcopy(model.unet(case.root))
    adapt(unet, case.root / WEIGHTS, unit_order(case.root))
    return unet


def attention(case):
    unet, by_unit, computed = adapted_unet(case), units(case.root / WEIGHTS), {}
    inner = case.description["debug_units"]
    for timestep in case["timesteps"].tolist():

        def evaluate():
            epsilon = model.epsilon(unet, case["sample"], timestep, case["context_effective"])
            computed[f"eps.t{timestep}"] = epsilon

        outputs = model.outputs_of(unet, inner.values(), evaluate)
        for number, path in inner.items():
            # Only the first timestep is kept.
            computed.setdefault(f"unit{number}.out", outputs[path])
    for number in inner:
        weight, bias = fold_temporal(by_unit[number])
        computed[f"unit{number}.folded.weight"] = weight
        computed[f"unit{number}.folded.bias"] = bias
    return computed


def attention_limits(case):
    limits = {}
    for name in case.tensors:
        if name.startswith("eps."):
            limits[name] = (case.description["tolerance"]["eps_max_abs"], None)
        elif name.endswith(".out"):
            limits[name] = (case.description["tolerance"]["unit_out_max_abs"], None)
        elif ".folded." in name:
            # The case states none; this is the rounding to float32, as in tests/reference/transparency.rs.
            limits[name] = (1e-6 * peak(case[name]), None)
    return limits


def run(case):
    """The demo's run, from the prompts' token ids to the opaque picture."""
    settings, computed = case.description["settings"], {}
    strength = case.description.get("img2img", {}).get("strength", 1.0)
    steps = settings["steps"]
    table = Table()
    sampler = Dpmpp2m(table.karras(int(steps / strength))[-steps - 1 :], table.nearest_timestep)
    computed["sigmas"], computed["timesteps"] = sampler.sigmas, sampler.timesteps

    for row in ("cond", "uncond"):
        computed[f"text.{row}"] = model.text_features(case.root, case[f"tokens.{row}"])
    generator = torch.Generator("cpu").manual_seed(settings["seed"])
    computed["noise"] = torch.randn(case["noise"].shape, generator=generator)
    clean = 0
    if "offset" in case.tensors:
        for name, gain in (("latent.init", case.description["img2img"]["gain"]), ("latent.init_gain1", 1)):
            latent = case["posterior.mean"] + gain * case["posterior.std"] * case["offset"]
            computed[name] = latent * model.SCALING_FACTOR
        clean = case["latent.init"]

    latent = computed["latent.initial"] = sampler.start(case["noise"], clean)
    context = torch.cat([computed["text.uncond"], computed["text.cond"]])
    guide = guided(adapted_unet(case), context, settings["guidance"])
    for step, timestep in enumerate(sampler.timesteps):
        epsilon = guide(sampler.model_input(step, latent), timestep)
        computed[f"denoised.{step}"] = sampler.denoised(step, latent, epsilon)
        latent = computed[f"latent.step.{step}"] = sampler.step(step, latent, epsilon, None)
    return computed | {"latent.final": latent, "pixel": model.picture(case.root, latent)}


def run_limits(case):
    """Those that the case states; for text and noise, those of the cases that are about them."""
    stated = case.description["tolerance"]
    text = case.sibling("text").limits()["last_hidden_state"]
    noise = case.sibling("noise").limits()["seed_0__2x4x8x8"]
    limits = {"timesteps": (0, None), "pixel": (stated["pixel_max_abs"], None), "noise": noise}
    for name in case.tensors:
        if name.startswith("latent.init") and name != "latent.initial":
            limits[name] = (stated["latent_init_rel_to_max"] * peak(case[name]), None)
        elif name.startswith(("latent.", "denoised.")):
            limits[name] = (stated["latent_rel_to_max"] * peak(case[name]), None)
        elif name.startswith("text."):
            limits[name] = text
        elif name == "sigmas":
            limits[name] = (stated["sigmas_rel"] * peak(case[name]), None)
    return limits


def peak(tensor):
    return tensor.abs().max().item()
