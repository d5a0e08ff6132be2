"""A ControlNet beside the tiny UNet, by diffusers. Only the full golden data has this case."""

import model
from cases import Recipe
from diffusers import ControlNetModel


def recipe(name):
    return Recipe("diffusers ControlNetModel", compute) if name == "controlnet" else None


def compute(case):
    unet = model.unet(case.root)
    controlnet = ControlNetModel.from_pretrained(case.folder / "model").float().eval()
    latent, context, timestep = case["latent"], case["context"], case.description["timestep"]
    hint = case["hint"].expand(len(latent), -1, -1, -1)
    computed = {
        "hint_embedding": controlnet.controlnet_cond_embedding(case["hint"]),
        "eps_without_control": model.epsilon(unet, latent, timestep, context),
    }
    for suffix, scale in (("1_0", 1.0), ("0_5", 0.5)):
        down, mid = controlnet(latent, timestep, context, hint, conditioning_scale=scale, return_dict=False)
        computed[f"eps_{suffix}"] = unet(
            latent,
            timestep,
            context,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
        ).sample
        if scale == 1.0:
            computed |= {f"down_{index}": residual for index, residual in enumerate(down)} | {"mid": mid}
    return computed
