"""Compare adapters and padding with the numbers of the reference implementations in tests/golden (or $GLASSINE_GOLDEN)."""
import json, os
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file

import effects, sharing

GOLDEN = os.environ.get("GLASSINE_GOLDEN", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/golden"))


def case(name):
    folder = os.path.join(GOLDEN, "layerdiffuse", name)
    return json.load(open(folder + "/case.json")), load_file(f"{folder}/{name}.safetensors")


def close(what, got, wanted, tolerance):
    off = (got - wanted).abs().max().item()
    print(f"{what}: {off:.2e} (at most {tolerance:.2e})")
    assert off <= tolerance, what


@torch.no_grad()
def adapter(name, kind):
    info, t = case(name)
    unet = UNet2DConditionModel.from_pretrained(os.path.join(GOLDEN, "sd-tiny/model/unet")).float().eval()
    weights = {k: v.float() for k, v in load_file(os.path.join(GOLDEN, "layerdiffuse", name, info["weights"])).items()}
    sharing.RANK = weights["hookers.layers.0.to_q_lora.0.down.weight"].shape[0]
    if sharing.CONDITION[kind]:
        sharing.HINT = tuple(weights[f"kwargs_encoder.blocks_0.{2 * k}.weight"].shape[0] for k in range(8))
    a = sharing.Adapter(kind, unet)
    a.load_state_dict(weights)
    if sharing.CONDITION[kind]:
        a.condition(t["hint_input"])
        for k, got in enumerate(a.hookers.layers[0].signal):
            close(f"{name}, hint map {k}", got, t[f"hint_map.{k}"], info["tolerance"]["hint_max_abs"])
    for timestep in t["timesteps"].tolist():
        got = unet(t["sample"], timestep, t["context_effective"]).sample
        close(f"{name}, step {timestep}", got, t[f"eps.t{timestep}"], info["tolerance"]["eps_max_abs"])


if __name__ == "__main__":
    adapter("attn_joint", "joint")
    adapter("attn_control", "fg2bg")
