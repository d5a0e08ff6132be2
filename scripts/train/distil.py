"""Latent consistency distillation: a LoRA with which the model needs about four steps and no guidance.

The teacher is the finished model with guidance, taking one of 50 DDIM steps; the student says from both ends of that step what the
picture is, and is to say the same. usage: distil.py SIZE [minutes]
"""
import copy, math, sys
import torch
import torch.nn as nn
import torch.nn.functional as F

import base, networks, schedule, tokenizer
from common import Run, ema_of, launch, minutes, number_type

RANK = 32
GUIDANCE = (2.0, 5.0)  # of the teacher, drawn for each sample


class Changed(nn.Module):
    """A linear layer or convolution with a low-rank change of its weight. `host` holds the frozen layer, out of sight of state_dict."""

    def __init__(self, layer, rank=RANK):
        super().__init__()
        self.host = [layer]
        weight = layer.weight
        inputs = weight[0].numel()
        rank = min(rank, weight.shape[0], inputs)
        self.down = nn.Parameter(torch.randn(rank, *weight.shape[1:]) / math.sqrt(inputs))
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank, *[1] * (weight.dim() - 2)))

    def forward(self, x):
        layer = self.host[0]
        change = (self.up.flatten(1) @ self.down.flatten(1)).view_as(layer.weight)
        weight = layer.weight + change
        if isinstance(layer, nn.Linear):
            return F.linear(x, weight, layer.bias)
        return F.conv2d(x, weight, layer.bias, layer.stride, layer.padding, layer.dilation)


def attach(unet):
    """Replace all layers that a LoRA file can name. Returns the changes by path of the layer."""
    changes = nn.ModuleDict()
    for path, layer in list(unet.named_modules()):
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and path.split(".")[0] in ("down_blocks", "mid_block", "up_blocks"):
            parent, leaf = unet.get_submodule(path.rpartition(".")[0]), path.rpartition(".")[2]
            change = Changed(layer)
            changes[path.replace(".", "_")] = change
            setattr(parent, leaf, change)
    return changes


def train(size, time_):
    text, teacher = base.load(size)
    student = copy.deepcopy(teacher)
    torch.manual_seed(6)
    changes = attach(student)
    opt = torch.optim.AdamW(changes.parameters(), lr=6e-4, betas=(0.9, 0.99), weight_decay=0.0)
    run = Run(f"lcm-{size}", dict(changes=changes), dict(all=opt), ["changes"], time_, seed=6, ema=0.98)
    target = copy.deepcopy(teacher)  # the averaged student, which says what the nearer end of a step is
    of_target = attach(target)
    mix, tok, noise, n = base.Mix(size), tokenizer.Tokenizer(), schedule.Noise(), size // 8
    autocast = number_type(lambda: student(torch.randn(4, 4, n, n), 500, torch.randn(4, 77, networks.TEXT)).sample)
    step = schedule.STEPS // schedule.LCM_STEPS
    empty = text(torch.tensor([tok("")])).last_hidden_state

    def consistent(network, x, t, c):
        skip, out = schedule.lcm_scalings(t.float().clamp(min=0).view(-1, 1, 1, 1))
        return out * noise.clean(x, t.clamp(min=0), network(x, t.clamp(min=0), c).sample.float()) + skip * x

    batch = 12
    while run.running():
        run.schedule(warm=50)
        of_target.load_state_dict(run.ema["changes"].state_dict())
        drawn = [mix.draw(run.rng) for _ in range(batch)]
        x = torch.stack([z for z, _ in drawn]).float()
        c = text(torch.tensor([tok(caption) for _, caption in drawn])).last_hidden_state
        k = torch.randint(1, schedule.LCM_STEPS + 1, (batch,), generator=run.gen)
        t, before = k * step - 1, (k - 1) * step - 1
        noisy, _ = noise.add(x, t, torch.randn(x.shape, generator=run.gen))
        with autocast():
            with torch.no_grad():
                said = teacher(noisy.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([empty.expand(batch, -1, -1), c])).sample.float()
                v0, v1 = said.chunk(2)
                w = GUIDANCE[0] + (GUIDANCE[1] - GUIDANCE[0]) * torch.rand(batch, 1, 1, 1, generator=run.gen)
                v = v0 + w * (v1 - v0)
                clean = noise.clean(noisy, t, v)
                a = noise.ac[t].view(-1, 1, 1, 1)
                eps = a.sqrt() * v + (1 - a).sqrt() * noisy
                b = torch.where(before >= 0, noise.ac[before.clamp(min=0)], torch.ones(())).view(-1, 1, 1, 1)
                nearer = b.sqrt() * clean + (1 - b).sqrt() * eps  # one DDIM step of the teacher
                wanted = torch.where((before >= 0).view(-1, 1, 1, 1), consistent(target, nearer, before, c), nearer)
            got = consistent(student, noisy, t, c)
        d = got - wanted
        loss = ((d ** 2 + 1e-6).sqrt() - 1e-3).mean()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(changes.parameters(), 1.0)
        opt.step()
        run.done_step(batch, loss=loss.item())


def lora(size):
    """The file's tensors, in kohya's naming: `lora_unet_PATH.lora_down.weight`, `.lora_up.weight`, `.alpha`."""
    out, found = {}, ema_of(f"lcm-{size}")["changes"]
    for name in {k.rpartition(".")[0] for k in found}:
        down, up = found[name + ".down"], found[name + ".up"]
        out[f"lora_unet_{name}.lora_down.weight"], out[f"lora_unet_{name}.lora_up.weight"] = down, up
        out[f"lora_unet_{name}.alpha"] = torch.tensor(float(len(down)))
    return out


def merged(size, unet):
    """A UNet with the distilled change in its weights."""
    _, plain = base.load(size)
    changes = attach(plain)
    changes.load_state_dict(ema_of(f"lcm-{size}")["changes"])
    with torch.no_grad():
        for path, layer in unet.named_modules():
            if path.replace(".", "_") in changes:
                c = changes[path.replace(".", "_")]
                layer.weight += (c.up.flatten(1) @ c.down.flatten(1)).view_as(layer.weight)
    return unet


if __name__ == "__main__":
    size = int(sys.argv[1])
    launch(train, size, minutes(sys.argv[2:], 60))
