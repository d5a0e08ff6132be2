"""Makes the copy of the golden data that lies in the repository from the full one.

    make --trim FULL [TARGET]

The copy has the cases below, without pictures, and some of them are smaller than in the full data.
Of the text encoder's token table it has only the rows that some case uses. Of the single-file
checkpoint, which repeats the folder's tensors under other names, it has only those names. And it
lacks the tensors that `dropped` names.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTokenizer

REPOSITORY = Path(__file__).resolve().parents[2]
CASES = [
    "controlnet",
    "edit/soft_ddim",
    "fast/lcm4_guidance_embedding",
    "fast/tcd4_lora",
    "fast/vpred_ddim_trailing_zsnr",
    "fast/vpred_dpmpp_2m_karras_kdiff",
    "fast/vpred_euler_trailing_zsnr",
    "layerdiffuse/attn_control",
    "layerdiffuse/attn_joint",
    "layerdiffuse/attn_single",
    "layerdiffuse/decoder",
    "layerdiffuse/e2e_bg2fg",
    "layerdiffuse/e2e_img2img",
    "layerdiffuse/e2e_joint",
    "layerdiffuse/e2e_single",
    "layerdiffuse/encoder",
    "layerdiffuse/pad_rgb",
    "lora",
    "lora/kohya",
    "lora/peft",
    "noise",
    "pipeline/i2i_128x64_dpmpp_2m_karras_diffusers",
    "pipeline/i2i_64x64_ddim",
    "pipeline/i2i_64x64_dpmpp_2m_karras_kdiff",
    "pipeline/t2i_128x64_ddim",
    "pipeline/t2i_64x64_ddim",
    "pipeline/t2i_64x64_dpmpp_2m_karras_kdiff",
    "pipeline/t2i_nocfg_ddim",
    "pipeline/t2i_nocfg_dpmpp_2m_karras_kdiff",
    "schedulers/ddim",
    "schedulers/dpmpp_2m_karras_diffusers",
    "schedulers/dpmpp_2m_karras_kdiff",
    "schedulers/euler_a_diffusers",
    "schedulers/euler_a_kdiff",
    "schedulers/euler_diffusers",
    "schedulers/euler_kdiff",
    "schedulers/lcm",
    "schedulers/tables",
    "schedulers/unipc",
    "schedulers/unipc_karras",
    "sd-tiny",
    "text",
    "tokenizer",
    "unet/debug",
    "unet/odd_optional",
    "unet/square",
    "unet/tall",
    "unet/wide",
    "vae/debug",
    "vae/decode_square",
    "vae/decode_tall",
    "vae/encode_square",
    "vae/encode_wide",
    "vae/posterior_clamp",
]
FILES = [
    "community/bad-tiny.safetensors",
    "community/emphasis.json",
    "community/schedules.json",
    "community/tiny-style.pt",
    "community/tiny-style.safetensors",
    "controlnet/model/config.json",
    "controlnet/model/diffusion_pytorch_model.safetensors",
    "edit/soft_ddim/init.png",
    "edit/soft_ddim/mask.png",
    "fast/lcm4_guidance_embedding/cond_proj.safetensors",
    "fast/vpred_ddim_trailing_zsnr/scheduler_config.json",
    "fast/vpred_euler_trailing_zsnr/scheduler_config.json",
    "layerdiffuse/weights/layer_sd15_bg2fg.safetensors",
    "layerdiffuse/weights/layer_sd15_fg2bg.safetensors",
    "layerdiffuse/weights/layer_sd15_joint.safetensors",
    "layerdiffuse/weights/layer_sd15_transparent_attn.safetensors",
    "layerdiffuse/weights/layer_sd15_vae_transparent_decoder.safetensors",
    "layerdiffuse/weights/layer_sd15_vae_transparent_encoder.safetensors",
    "sd-tiny/model/model_index.json",
    "sd-tiny/model/scheduler/scheduler_config.json",
    "sd-tiny/model/text_encoder/config.json",
    "sd-tiny/model/unet/config.json",
    "sd-tiny/model/unet/diffusion_pytorch_model.safetensors",
    "sd-tiny/model/vae/config.json",
    "sd-tiny/model/vae/diffusion_pytorch_model.safetensors",
    "sd-tiny/vae-legacy-names.json",
]
# What the tests need of the two cases about the inside of a model.
KEPT_OF_DEBUG = {
    "unet/debug": {"latent", "context", "time_proj", "eps"},
    "vae/debug": {"latent", "image_in", "quant_conv", "image_out"},
}
TABLE = "text_model.embeddings.token_embedding.weight"
TEXT_ENCODER = "sd-tiny/model/text_encoder"


def dropped(case, tensor):
    """Whether the copy lacks a tensor of a case that the full data has."""
    if case in KEPT_OF_DEBUG:
        return tensor not in KEPT_OF_DEBUG[case]
    if case == "layerdiffuse/decoder":
        return tensor == "128x128.passes" or tensor.startswith("192x128.")
    return case == "layerdiffuse/e2e_joint" and tensor.startswith("denoised.")


def trim(full, target):
    for file in FILES:
        copy(full / file, target / file)
    for case in CASES:
        for path in (full / case).glob("*.json"):
            copy(path, target / case / path.name)
        for path in (full / case).glob("*.safetensors"):
            if path.name != "single-file.safetensors":
                copy_tensors(case, path, target / case / path.name)
    used = used_tokens(full)
    save_file(reduced_table(full, used), target / TEXT_ENCODER / "model-used-tokens.safetensors")
    names = json.dumps(single_file_names(full), indent=0, sort_keys=True)
    (target / "sd-tiny/single-file-names.json").write_text(names)


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def copy_tensors(case, source, target):
    tensors = load_file(source)
    kept = {name: tensor for name, tensor in tensors.items() if not dropped(case, name)}
    if len(kept) == len(tensors):
        copy(source, target)
    else:
        save_file(kept, target)


def used_tokens(full):
    """The ids in any case's tensors and frame prompts, those of the full data included."""
    ids = set()
    for description in full.rglob("case.json"):
        for file in description.parent.glob("*.safetensors"):
            for name, tensor in load_file(file).items():
                if name in ("input_ids", "token_ids") or name.startswith("tokens."):
                    ids.update(tensor.flatten().tolist())
    # The prompts of single frames stand in the case files only, as text.
    tokenizer = CLIPTokenizer.from_pretrained(full / "sd-tiny/model/tokenizer")
    for case in full.glob("layerdiffuse/e2e_*/case.json"):
        prompts = json.loads(case.read_text())["settings"]["effective_frame_prompts"] or {}
        for prompt in prompts.values():
            ids.update(tokenizer(prompt)["input_ids"])
    return torch.tensor(sorted(ids), dtype=torch.int32)


def reduced_table(full, ids):
    tensors = load_file(full / TEXT_ENCODER / "model.safetensors")
    rows = tensors.pop(TABLE)[ids.long()]
    return tensors | {f"{TABLE}.ids": ids, f"{TABLE}.rows": rows}


def single_file_names(full):
    """The folder's name for each tensor of the single file: the one with the same bytes."""

    def content(tensor):
        return tensor.dtype, tensor.numpy().tobytes()

    by_content = {}
    for part in ("text_encoder", "unet", "vae"):
        (file,) = (full / "sd-tiny/model" / part).glob("*.safetensors")
        for name, tensor in load_file(file).items():
            assert content(tensor) not in by_content, f"{name} is not unique"
            by_content[content(tensor)] = f"{part}.{name}"
    single = load_file(full / "sd-tiny/single-file.safetensors")
    contents = {name: content(tensor) for name, tensor in single.items()}
    return {name: by_content[bytes_] for name, bytes_ in contents.items() if bytes_ in by_content}


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    trim(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else REPOSITORY / "tests/golden")
