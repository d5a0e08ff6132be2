"""Write the trained parts in the diffusers folder layout, plus the two LayerDiffuse-style files."""
import json, os, shutil, sys
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

import codec, data, diffusion, tokenizer, vae as vae_stage

VERSION = "0.42.1"


def write(module, file, prefix=""):
    os.makedirs(os.path.dirname(file), exist_ok=True)
    save_file({prefix + k: v.detach().half().contiguous() for k, v in module.state_dict().items() if not k.endswith("position_ids")}, file, metadata={"format": "pt"})


def dump(obj, file):
    os.makedirs(os.path.dirname(file), exist_ok=True)
    json.dump(obj, open(file, "w"), indent=1)


def main(folder, untrained=False):
    if untrained:
        torch.manual_seed(0)
        vae = AutoencoderKL(**vae_stage.CONFIG)
        enc, dec = codec.OffsetEncoder(), codec.Decoder()
        text, unet = diffusion.models()
    else:
        vae, (enc, dec), (text, unet) = vae_stage.load(), codec.load(), diffusion.load()
    m = os.path.join(folder, "mini")
    shutil.rmtree(m, ignore_errors=True)
    write(vae, m + "/vae/diffusion_pytorch_model.safetensors")
    write(unet, m + "/unet/diffusion_pytorch_model.safetensors")
    prefix = "" if next(iter(text.state_dict())).startswith("text_model.") else "text_model."
    write(text, m + "/text_encoder/model.safetensors", prefix)
    write(enc, folder + "/transparency_encoder.safetensors")
    write(dec, folder + "/transparency_decoder.safetensors")
    head = lambda name: dict(_class_name=name, _diffusers_version=VERSION)
    dump(head("AutoencoderKL") | vae_stage.CONFIG, m + "/vae/config.json")
    dump(head("UNet2DConditionModel") | diffusion.UNET, m + "/unet/config.json")
    c = diffusion.text_config()
    keys = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings",
            "hidden_act", "layer_norm_eps", "projection_dim", "bos_token_id", "eos_token_id", "pad_token_id")
    dump(dict(architectures=["CLIPTextModel"], model_type="clip_text_model", attention_dropout=0.0, initializer_factor=1.0, initializer_range=0.02,
              torch_dtype="float16") | {k: getattr(c, k) for k in keys}, m + "/text_encoder/config.json")
    dump(head("PNDMScheduler") | dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000, set_alpha_to_one=False,
                                      skip_prk_steps=True, steps_offset=1, trained_betas=None, clip_sample=False, prediction_type="epsilon"), m + "/scheduler/scheduler_config.json")
    dump(head("StableDiffusionPipeline") | dict(
        scheduler=["diffusers", "PNDMScheduler"], text_encoder=["transformers", "CLIPTextModel"], tokenizer=["transformers", "CLIPTokenizer"],
        unet=["diffusers", "UNet2DConditionModel"], vae=["diffusers", "AutoencoderKL"], feature_extractor=[None, None], safety_checker=[None, None],
        requires_safety_checker=False), m + "/model_index.json")
    shutil.copytree(tokenizer.build(), m + "/tokenizer")
    total = 0
    for root, _, files in os.walk(folder):
        for f in files:
            if f.endswith(".safetensors"):
                n = os.path.getsize(os.path.join(root, f))
                total += n
                print(f"{n:>10,} {os.path.relpath(os.path.join(root, f), folder)}")
    print(f"{total:>10,} bytes of weights")


if __name__ == "__main__":
    args = [a for a in sys.argv[1:] if a != "--untrained"]
    main(args[0] if args else data.path("export", "x")[:-2], "--untrained" in sys.argv)
