"""The noise schedule: v-prediction with more noise than usual, and the sampling that goes with it."""
import math
import torch

# From 128 pixels on the picture's mean is so small a part of a latent that the usual schedule shows it even in its noisiest step.
MORE_NOISE = 1.51
BETAS = (0.00085 * MORE_NOISE, 0.012 * MORE_NOISE)
STEPS = 1000


def alphas():
    """Cumulative products of 1 - beta, scaled-linear betas."""
    b = torch.linspace(BETAS[0] ** 0.5, BETAS[1] ** 0.5, STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - b, 0)


def config():
    """As diffusers stores it."""
    return dict(beta_start=BETAS[0], beta_end=BETAS[1], beta_schedule="scaled_linear", num_train_timesteps=STEPS, set_alpha_to_one=False, skip_prk_steps=True,
                steps_offset=1, trained_betas=None, clip_sample=False, prediction_type="v_prediction", timestep_spacing="leading")


class Noise:
    """Adding noise and what the network is to say of it."""

    def __init__(self):
        self.ac = alphas().float()
        snr = self.ac / (1 - self.ac)
        weight = (snr.clamp(max=5) / (snr + 1) + 0.15).double()
        self.cumulative = (weight / weight.sum()).cumsum(0)

    def timesteps(self, n, generator):
        """[n] of them, each as often as its v loss counts: a quarter of all are so noisy that there is little to learn. Spread evenly over
        a batch, in random order."""
        u = (torch.randperm(n, generator=generator) + torch.rand(n, generator=generator, dtype=torch.float64)) / n
        return torch.searchsorted(self.cumulative, u).clamp(max=STEPS - 1)

    def add(self, x, t, noise):
        """(noisy latent, v) for [n,...] latents at the timesteps t [n]."""
        a = self.ac[t].view(-1, *[1] * (x.dim() - 1))
        return a.sqrt() * x + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * x

    def clean(self, x, t, v):
        """What v says the latent is without noise."""
        a = self.ac[t].view(-1, *[1] * (x.dim() - 1))
        return a.sqrt() * x - (1 - a).sqrt() * v


class Karras:
    """DPM++ 2M on Karras sigmas, as the k-diffusion convention has it, for a network that predicts v."""

    def __init__(self):
        ac = alphas()
        self.log_sigmas = (((1 - ac) / ac) ** 0.5).log()

    def sigmas(self, n):
        lo, hi = self.log_sigmas[0].exp().item(), self.log_sigmas[-1].exp().item()
        r = torch.linspace(0, 1, n, dtype=torch.float64)
        return [*((hi ** (1 / 7) + r * (lo ** (1 / 7) - hi ** (1 / 7))) ** 7).tolist(), 0.0]

    def timestep(self, sigma):
        """Continuous timestep of a sigma: linear interpolation between log sigmas."""
        l, t = math.log(sigma), self.log_sigmas
        k = int(torch.searchsorted(t, torch.tensor(l, dtype=t.dtype)).clamp(1, len(t) - 1))
        return k - 1 + min(1.0, max(0.0, (l - t[k - 1].item()) / (t[k] - t[k - 1]).item()))

    def sample(self, network, noise, steps):
        """`network(x, timestep)` gives v, guided, for the scaled input. Start = noise * sigma_max."""
        sig = self.sigmas(steps)
        x, old, h_last = noise * sig[0], None, None
        for i in range(steps):
            s, n = sig[i], sig[i + 1]
            c = (s * s + 1) ** 0.5
            d = x / (c * c) - network(x / c, self.timestep(s)) * s / c
            if n == 0:
                return d
            h = math.log(s / n)
            dd = d if old is None else (1 + h / (2 * h_last)) * d - h / (2 * h_last) * old
            x = n / s * x - math.expm1(-h) * dd
            old, h_last = d, h


LCM_STEPS = 50  # of the teacher; the student takes a few of them


def lcm_timesteps(n):
    """As diffusers' LCMScheduler chooses them."""
    k = STEPS // LCM_STEPS
    origin = [(i + 1) * k - 1 for i in range(LCM_STEPS)][::-1]
    return [origin[int(i * LCM_STEPS / n)] for i in range(n)]


def lcm_scalings(t, sigma_data=0.5, stretch=10.0):
    """(c_skip, c_out) that make the student the identity at time 0."""
    s = t * stretch
    return sigma_data ** 2 / (s ** 2 + sigma_data ** 2), s / (s ** 2 + sigma_data ** 2) ** 0.5


def lcm_sample(network, noise, steps, generators):
    """`network(x, timestep)` gives v of the distilled model; no guidance."""
    ac, times, x = alphas().float(), lcm_timesteps(steps), noise
    for i, t in enumerate(times):
        a = ac[t]
        skip, out = lcm_scalings(t)
        x0 = a.sqrt() * x - (1 - a).sqrt() * network(x, float(t))
        d = out * x0 + skip * x
        if i == len(times) - 1:
            return d
        b = ac[times[i + 1]]
        fresh = torch.stack([torch.randn(noise.shape[1:], generator=g) for g in generators])
        x = b.sqrt() * d + (1 - b).sqrt() * fresh
