"""Start from a pack: dequantize its weights into checkpoints, so that nothing is trained from random values.

usage: unpack.py PACK. Writes ckpt/vae-final.pt, ckpt/codec.pt, ckpt/base-64.pt and tokenizer/; of a pack of a larger size ckpt/base-SIZE-start.pt in
place of base-64.pt, and its adapters in ckpt/layers-KIND-start.pt.
"""
import json, os, re, sys
import numpy as np
import torch
from safetensors import safe_open

import data, networks, sharing, tokenizer


def tensors(pack):
    """All tensors of a pack as f32, by name."""
    manifest = json.load(open(os.path.join(pack, "manifest.json")))
    files = [safe_open(os.path.join(pack, s["file"]), "pt") for s in manifest["shards"]]
    out = {}
    for name, t in manifest["tensors"].items():
        read = lambda n: torch.cat([files[s].get_tensor(n) for s in t["shards"]])
        raw = read(name)
        if t["type"] == "u8":
            out[name] = raw
            continue
        if t["type"] in ("q8", "q4"):
            levels = raw.flatten().int()
            if t["type"] == "q4":  # two levels a byte, the low bits first
                levels = torch.stack([levels & 15, levels >> 4], 1).flatten()
            levels = levels.float() - (128 if t["type"] == "q8" else 8)
            raw = levels.view(-1, t["group"]) * read(name + ".scales").float().flatten()[:, None]
        raw = raw.float().view(t["shape"])
        # the weights of convolutions are stored as [out, height, width, in]
        out[name] = raw.permute(0, 3, 1, 2).contiguous() if raw.dim() == 4 else raw
    return out


def fill(module, found, prefix):
    state = module.state_dict()
    own = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
    text = "text_model." if any(k.startswith("text_model.") for k in own) and not any(k.startswith("text_model.") for k in state) else ""
    own = {k.removeprefix(text): v for k, v in own.items()}
    for k, v in state.items():
        if k.endswith("position_ids"):
            continue
        state[k] = own[k].reshape(v.shape)
    module.load_state_dict(state)
    return module.state_dict()


def fill_adapter(kind, size, found):
    """An adapter's state, whose units a pack names by their place in the UNet."""
    adapter, state, prefix = sharing.Adapter(kind, networks.unet(size)), {}, f"layers.{kind}."
    for name in adapter.state_dict():
        unit = re.fullmatch(r"hookers\.layers\.(\d+)\.(.*)", name)
        state[name] = found[prefix + (f"{adapter.paths[int(unit[1])]}.{unit[2]}" if unit else name)]
    return state


def main(pack):
    size = json.load(open(os.path.join(pack, "manifest.json")))["defaults"]["width"]
    base = data.path("ckpt", "base-64.pt" if size == 64 else f"base-{size}-start.pt")
    if os.path.exists(base):
        return
    found = tensors(pack)
    tokenizer.write(bytes(found["tokenizer.merges"].numpy().astype(np.uint8)).decode())
    checkpoint = lambda **models: dict(models=models, ema=models, used=0.0, step=0, images=0)
    torch.save(fill(networks.vae(), found, "vae."), data.path("ckpt", "vae-final.pt"))
    torch.save(checkpoint(enc=fill(networks.OffsetEncoder(), found, "transparency_encoder."), dec=fill(networks.Decoder(), found, "transparency_decoder.")), data.path("ckpt", "codec.pt"))
    for kind in sharing.FRAMES:
        if any(name.startswith(f"layers.{kind}.") for name in found):
            torch.save(checkpoint(adapter=fill_adapter(kind, size, found)), data.path("ckpt", f"layers-{kind}-start.pt"))
    torch.save(checkpoint(text=fill(networks.text(), found, "text_encoder."), unet=fill(networks.unet(size), found, "unet.")), base)
    print("unpacked", pack)


if __name__ == "__main__":
    main(sys.argv[1])
