"""Write the trained parts: the diffusers folder, LayerDiffuse's files, the LoRA for few steps, the list of words. All weights f16.

usage: export.py [SIZE] [FOLDER] [--untrained]. `--untrained` writes the same shapes with random weights.
"""
import json, os, shutil, sys
import torch
from safetensors.torch import save_file

import adapters, base, captions, codec, data, distil, effects, networks, schedule, sharing, tokenizer

VERSION = "0.42.1"


def write(tensors, file):
    os.makedirs(os.path.dirname(file), exist_ok=True)
    save_file({k: v.detach().half().contiguous() for k, v in tensors.items() if not k.endswith("position_ids")}, file, metadata={"format": "pt"})


def dump(obj, file):
    os.makedirs(os.path.dirname(file), exist_ok=True)
    json.dump(obj, open(file, "w"), indent=1)


def words():
    """What the model knows, in phrases: what a prompt box offers comes first."""
    concepts = data.concepts().values()
    phrases = sorted(set(captions.all_nouns(data.concepts())))
    phrases += [alone[0] for kind, (alone, _) in captions.SCENES.items() if kind != "plain"]
    phrases += sorted({p for _, slots in captions.SCENES.values() for ps in slots.values() for p in ps})
    phrases += ["at night", "at sunset", "on a cloudy day", "on a sunny day"]
    phrases += [f"{hue} {c.noun}" for c in concepts if c.tint for hue in effects.HUES]
    phrases += [w for s in data.PROMPTED for w in data.STYLE.get(s, [])]
    phrases += [w for s in captions.EFFECT_WORDS.values() for w in s]
    phrases += [w for c in concepts for w in c.synonyms]
    # words that captions are made of, and that change nothing
    phrases += ["a", "an", "the", "of", "and", "with", "in", "on", "at", "background", "plain", "table", *captions.FILLERS]
    return list(dict.fromkeys(phrases))


def scheduler(size):
    return dict(_class_name="PNDMScheduler", _diffusers_version=VERSION) | schedule.config()


def main(size, folder, untrained):
    has = lambda stage: untrained or os.path.exists(data.path("ckpt", stage + ".pt"))
    if untrained:
        torch.manual_seed(0)
        vae, enc, dec = networks.vae(), networks.OffsetEncoder(), networks.Decoder()
        text, unet = networks.text(), networks.unet(size)
    else:
        (vae, enc, dec), (text, unet) = codec.load(), base.load(size)
    m = os.path.join(folder, "mini")
    shutil.rmtree(m, ignore_errors=True)
    write(vae.state_dict(), m + "/vae/diffusion_pytorch_model.safetensors")
    write(unet.state_dict(), m + "/unet/diffusion_pytorch_model.safetensors")
    state = text.state_dict()
    prefix = "" if next(iter(state)).startswith("text_model.") else "text_model."
    write({prefix + k: v for k, v in state.items()}, m + "/text_encoder/model.safetensors")
    write(enc.state_dict(), folder + "/transparency_encoder.safetensors")
    write(dec.state_dict(), folder + "/transparency_decoder.safetensors")
    for kind in sharing.FRAMES if size == adapters.SIZE else ():
        if has(f"layers-{kind}"):
            adapter = sharing.Adapter(kind, networks.unet(size)) if untrained else adapters.load(kind, networks.unet(size))
            write(adapter.state_dict(), folder + f"/layer_sd15_{kind}.safetensors")
    if has(f"lcm-{size}") and not untrained:
        write(distil.lora(size), folder + "/lcm_lora.safetensors")
    head = lambda name: dict(_class_name=name, _diffusers_version=VERSION)
    dump(head("AutoencoderKL") | networks.VAE, m + "/vae/config.json")
    dump(head("UNet2DConditionModel") | networks.unet_config(size), m + "/unet/config.json")
    c = networks.text_config()
    keys = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings",
            "hidden_act", "layer_norm_eps", "projection_dim", "bos_token_id", "eos_token_id", "pad_token_id")
    dump(dict(architectures=["CLIPTextModel"], model_type="clip_text_model", attention_dropout=0.0, initializer_factor=1.0, initializer_range=0.02,
              torch_dtype="float16") | {k: getattr(c, k) for k in keys}, m + "/text_encoder/config.json")
    dump(scheduler(size), m + "/scheduler/scheduler_config.json")
    dump(head("StableDiffusionPipeline") | dict(
        scheduler=["diffusers", "PNDMScheduler"], text_encoder=["transformers", "CLIPTextModel"], tokenizer=["transformers", "CLIPTokenizer"],
        unet=["diffusers", "UNet2DConditionModel"], vae=["diffusers", "AutoencoderKL"], feature_extractor=[None, None], safety_checker=[None, None],
        requires_safety_checker=False), m + "/model_index.json")
    shutil.copytree(tokenizer.build(), m + "/tokenizer")
    dump(words(), folder + "/words.json")
    total = 0
    for root, _, files in os.walk(folder):
        for f in files:
            if f.endswith(".safetensors"):
                n = os.path.getsize(os.path.join(root, f))
                total += n
                print(f"{n:>10,} {os.path.relpath(os.path.join(root, f), folder)}")
    print(f"{total:>10,} bytes of weights")


if __name__ == "__main__":
    plain = [a for a in sys.argv[1:] if not a.startswith("--")]
    size = next((int(a) for a in plain if a.isdigit()), data.FINAL)
    folder = next((a for a in plain if not a.isdigit()), data.path("export", "x")[:-2])
    main(size, folder, "--untrained" in sys.argv)
