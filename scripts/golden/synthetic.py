"""Noise in place of trained weights, with the statistics of trained ones.

Errors of quantization depend on how weights spread: on the scales of rows and columns, and on the
tails inside of a group of weights. Plain Gaussian noise has neither, and would make quantization
look better than it is. So the spreads here follow those of a trained network, TAESD, the small
autoencoder of Stable Diffusion's latents. Over its 66 3x3 convolutions, median and tenth to
ninetieth percentile:

    kurtosis                                            7.6   4.2 to 16
    kurtosis, without the scales of rows and columns    3.8   3.2 to 4.7
    deviation of the logarithm of rows' scales          0.19  0.10 to 0.40
    deviation of the logarithm of columns' scales       0.23  0.17 to 0.33
    the largest column's scale, over the usual one      2.3   1.6 to 3.4

How large a layer's weights are is given by its gain: the standard deviation of its output for
independent inputs of variance 1. The gains keep activations near 1 everywhere, so that an error
made in one layer neither dies out nor explodes in the next.
"""

import zlib

import torch

# Deviations of the logarithm of scales; each tensor has them larger or smaller by a factor.
ENTRIES = 0.25
ROWS = 0.19
COLUMNS = 0.2
FACTOR = 0.5  # deviation of that factor's logarithm; the factor is at least 1/2 and at most 2
OUTLIERS, OUTLIER_SCALE = 0.005, 3.0  # share of columns, and how much larger they are
NORMS = 0.15
BIAS = 0.1

# The root of the mean square of SiLU, for unit normal inputs, is 0.6. This makes up for it.
AFTER_SILU = 1.6
# With it for queries and keys, logits deviate by 2, and attention prefers some tokens to others.
LOGITS = 1.4
# What a block adds to the stream around it.
BRANCH = 0.5

# Gains of layers, by part and the end of the name: the first that fits, else 1.
GAINS = {
    "text_encoder": {
        "position_embedding": 0.5,
        "q_proj": LOGITS,
        "k_proj": LOGITS,
        "out_proj": BRANCH,
        "fc2": BRANCH,
    },
    "unet": {
        "time_embedding.linear_1": 1.4,
        "time_embedding.linear_2": AFTER_SILU,
        "time_emb_proj": BRANCH * AFTER_SILU,
        "conv1": AFTER_SILU,
        "conv2": BRANCH * AFTER_SILU,
        "to_q": LOGITS,
        "to_k": LOGITS,
        "proj_out": BRANCH,
        "conv_out": 0.15 * AFTER_SILU,
    },
    "vae": {
        "conv1": AFTER_SILU,
        "conv2": BRANCH * AFTER_SILU,
        "to_q": LOGITS,
        "to_k": LOGITS,
        "to_out.0": BRANCH,
        "encoder.conv_out": AFTER_SILU,
        "decoder.conv_out": 0.5 * AFTER_SILU,
        "post_quant_conv": 0.18215,
        "quant_conv": 1 / 0.18215,
    },
    "transparency_decoder": {
        "latent_conv_in": 0.18215,
        "conv1": AFTER_SILU,
        "conv2": BRANCH * AFTER_SILU,
        "to_q": LOGITS,
        "to_k": LOGITS,
        "to_out.0": BRANCH,
        "conv_out": 0.6 * AFTER_SILU,
    },
    "transparency_encoder": {"blocks.16": 0.1 * AFTER_SILU, "": AFTER_SILU},
    "adapter": {"up": 0.15, "temporal_q": LOGITS, "temporal_k": LOGITS, "temporal_o": 0.3},
}

# The UNet's first channels, a group of its last norm: each latent channel as it is and negated.
PLANTED = 8
PLANTED_GAIN = 0.96


def tensor(part, name, shape):
    """The float32 tensor `name` of `part`; the same one whenever it is asked for."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{part}.{name}".encode()))
    layer, _, kind = name.rpartition(".")
    if len(shape) == 1 and kind == "weight":
        made = log_normal(shape, NORMS, generator)
    elif len(shape) == 1:
        made = BIAS * gain(part, layer) * torch.randn(shape, generator=generator)
    else:
        made = matrix(shape, generator) * gain(part, layer)
        if not layer.startswith("text_model.embeddings."):  # rows of tables are looked up, not summed
            made /= made[0].numel() ** 0.5
    return adjust(part, name, made)


def gain(part, layer):
    return next((gain for end, gain in GAINS[part].items() if layer.endswith(end)), 1.0)


def matrix(shape, generator):
    """Heavy-tailed noise of variance 1. Columns are the second dimension."""
    factor = log_normal([1], FACTOR, generator).clamp(0.5, 2).item()
    rows, columns = shape[:2]
    rest = [1] * (len(shape) - 2)
    row_scales = log_normal([rows, 1, *rest], factor * ROWS, generator)
    column_scales = log_normal([1, columns, *rest], factor * COLUMNS, generator)
    outliers = torch.rand([1, columns, *rest], generator=generator) < OUTLIERS
    column_scales = torch.where(outliers, OUTLIER_SCALE * column_scales, column_scales)
    scales = log_normal(shape, factor * ENTRIES, generator)
    noise = torch.randn(shape, generator=generator).mul_(scales)
    return noise.mul_(row_scales / rms(row_scales)).mul_(column_scales / rms(column_scales)).div_(rms(noise))


def log_normal(shape, deviation, generator):
    return torch.randn(shape, generator=generator).mul_(deviation).exp_()


def rms(values):
    return values.square().mean().sqrt()


def adjust(part, name, made):
    """What noise alone would not give: a latent that leads to the output, and sensible ranges."""
    if part == "unet":
        return plant(name, made)
    if part == "transparency_decoder" and name == "conv_out.bias":
        made += 0.5  # the middle of the range of alpha and colours
    if part == "vae" and name.startswith("quant_conv"):
        means, log_variances = made.chunk(2)
        log_variances *= 0.18215
        if name == "quant_conv.bias":
            log_variances -= 8
    return made


def plant(name, made):
    """Plants a path from the latent through the last skip connection to the output.

    The noise that a trained UNet predicts is mostly what it is given, so that sampling comes to an
    end near zero. The path makes it so here, too. SiLU takes nothing from it, since
    silu(x) - silu(-x) = x.
    """
    if name == "conv_in.weight":
        made[:PLANTED] = 0
        for channel in range(PLANTED // 2):
            made[2 * channel, channel, 1, 1], made[2 * channel + 1, channel, 1, 1] = 1, -1
    elif name == "up_blocks.3.resnets.2.conv_shortcut.weight":
        made[:PLANTED] = 0
        skipped = made.shape[1] // 2  # the first half comes from the block before
        for channel in range(PLANTED):
            made[channel, skipped + channel] = 1
    elif name == "conv_norm_out.weight":
        made[:PLANTED] = 1
    elif name == "conv_out.weight":
        made[:, :PLANTED] = 0
        for channel in range(PLANTED // 2):
            made[channel, 2 * channel, 1, 1] = PLANTED_GAIN
            made[channel, 2 * channel + 1, 1, 1] = -PLANTED_GAIN
    elif name in ("conv_in.bias", "up_blocks.3.resnets.2.conv_shortcut.bias", "conv_norm_out.bias"):
        made[:PLANTED] = 0
    elif name.startswith(("up_blocks.3.resnets.2.conv2.", "up_blocks.3.attentions.2.proj_out.")):
        made[:PLANTED] *= 0.05
    return made
