"""Stage 3: text encoder and UNet, trained together on the adjusted latents."""
import os
import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextConfig, CLIPTextModel

import codec, data, tokenizer, vae as vae_stage
from common import Pictures, Run, launch, big, newer

TEXT = 128
UNET = dict(
    sample_size=8, in_channels=4, out_channels=4, block_out_channels=(96, 128, 160), layers_per_block=1,
    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    cross_attention_dim=TEXT, attention_head_dim=4, norm_num_groups=32, norm_eps=1e-5,
    flip_sin_to_cos=True, freq_shift=0, downsample_padding=1, mid_block_scale_factor=1, act_fn="silu",
    center_input_sample=False,
)
PLAIN, EACH = 14, 2  # augmentations per picture without effect / with each effect
EFFECT_SHARE = 0.2


def text_config():
    n = len(tokenizer.Tokenizer().vocab)
    return CLIPTextConfig(vocab_size=n, hidden_size=TEXT, intermediate_size=4 * TEXT, num_hidden_layers=3, num_attention_heads=4,
                          max_position_embeddings=77, hidden_act="quick_gelu", layer_norm_eps=1e-5, projection_dim=TEXT,
                          bos_token_id=n - 2, eos_token_id=n - 1, pad_token_id=n - 1)


def models():
    torch.manual_seed(3)
    text, unet = CLIPTextModel(text_config()), UNet2DConditionModel(**UNET)
    # with this few tokens the plain attention is much faster on a CPU than the fused one
    text.set_attn_implementation("eager")
    unet.set_attn_processor(AttnProcessor())
    return text, unet


def alphas():
    b = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - b, 0)


@torch.no_grad()
def latents():
    """Adjusted latents of all prompted training pictures: [N, PLAIN + 4*EACH, 4, 8, 8], f16."""
    file = data.path("ckpt", "latents.pt")
    if newer("latents.pt", "codec.pt"):
        return torch.load(file)
    vae, (enc, _) = vae_stage.load(), codec.load()
    pics = Pictures(only_prompted=True)
    gen = torch.Generator().manual_seed(9)
    kinds = ["none"] * PLAIN + [k for k in data.EFFECTS[1:] for _ in range(EACH)]
    out = []
    for k in range(0, len(pics.train), 8):
        idx = pics.train[k:k + 8]
        p = big(pics.pics, idx).repeat(len(kinds), axis=0)
        all_kinds = [e if pics.meta[i]["style"] != "procedural" else "none" for i in idx for e in kinds]
        x = data.augment(p, gen, all_kinds, flip=0.0, shift=0.03, scale=(0.9, 1.0))
        mean, shift = codec.encode(vae, enc, x)
        out.append(((mean + shift) * vae_stage.SCALE).half().view(len(idx), len(kinds), 4, 8, 8))
    z = torch.cat(out)
    torch.save(z, file)
    print("latents", tuple(z.shape), "mean", z.float().mean((0, 1, 3, 4)).tolist(), "std", z.float().std((0, 1, 3, 4)).tolist(), flush=True)
    return z


def train(minutes=60, captions=20, draws=2):
    z = latents()
    text, unet = models()
    print("unet", sum(p.numel() for p in unet.parameters()), "text", sum(p.numel() for p in text.parameters()))
    params = [*unet.parameters(), *text.parameters()]
    opt = torch.optim.AdamW(params, lr=8e-4, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    run = Run("diffusion", dict(text=text, unet=unet), dict(all=opt), ["text", "unet"], minutes, seed=3, ema=0.998)
    pics = Pictures(only_prompted=True)
    tok = tokenizer.Tokenizer()
    names = data.concepts()
    by_noun = {}
    for row, i in enumerate(pics.train):
        by_noun.setdefault(pics.meta[i]["noun"], []).append(row)
    nouns = sorted(by_noun)
    ac = alphas().float()
    snr = ac / (1 - ac)
    weight = snr.clamp(max=5) / snr
    while run.running():
        run.schedule(warm=100)
        ids, rows, cols = [], [], []
        for _ in range(captions):
            noun = nouns[run.rng.integers(len(nouns))]
            row = by_noun[noun][run.rng.integers(len(by_noun[noun]))]
            m = pics.meta[pics.train[row]]
            e = 0
            if m["style"] != "procedural" and run.rng.random() < EFFECT_SHARE:
                e = run.rng.integers(1, 5)
            text_ = "" if run.rng.random() < 0.1 else data.caption(names.get(m["name"], [noun]), m["style"], data.EFFECTS[e], run.rng)
            ids.append(tok(text_))
            for _ in range(draws):
                rows.append(row)
                cols.append(run.rng.integers(PLAIN) if e == 0 else PLAIN + (e - 1) * EACH + run.rng.integers(EACH))
        x = z[rows, cols].float()
        t = torch.randint(0, 1000, (len(x),), generator=run.gen)
        eps = torch.randn(x.shape, generator=run.gen)
        a = ac[t].view(-1, 1, 1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            c = text(torch.tensor(ids)).last_hidden_state
            y = unet(a.sqrt() * x + (1 - a).sqrt() * eps, t, c.repeat_interleave(draws, 0)).sample
        err = ((y.float() - eps) ** 2).mean((1, 2, 3))
        loss = (err * weight[t]).mean()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        run.done_step(len(x), loss=loss.item(), plain=err.mean().item())


def load():
    text, unet = models()
    s = torch.load(data.path("ckpt", "diffusion.pt"), weights_only=False)["ema"]
    text.load_state_dict(s["text"])
    unet.load_state_dict(s["unet"])
    return text.eval().requires_grad_(False), unet.eval().requires_grad_(False)


if __name__ == "__main__":
    import sys
    latents()
    launch(train, float(sys.argv[1]) if len(sys.argv) > 1 else 60)
