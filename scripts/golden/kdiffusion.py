"""Samplers in k-diffusion's convention, written for this check; k-diffusion is not needed.

The latent is the clean one plus sigma times noise. The model sees it divided by
sqrt(sigma^2 + 1), at the timestep that has this sigma.
"""

import torch

RHO = 7.0


class Table:
    """The noise level sigma of each of Stable Diffusion 1.5's timesteps.

    As in k-diffusion, sigmas are float32, computed from the float32 alphas that checkpoints hold.
    At small timesteps that costs digits, which the tiny model's latents show.
    """

    def __init__(self):
        self.betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
        self.alphas_cumprod = (1 - self.betas).cumprod(0)
        alphas = self.alphas_cumprod.float()
        self.sigmas = ((1 - alphas) / alphas).sqrt()
        self.log_sigmas = self.sigmas.log()

    def sigma_at(self, timestep):
        """Sigma at fractional timesteps, on a line between logarithms."""
        low = timestep.floor().long().clamp(0, 998)
        share = timestep - low
        return self.log_sigmas[low].lerp(self.log_sigmas[low + 1], share).exp()

    def timestep_of(self, sigma):
        """The fractional timestep with this sigma."""
        low = (torch.searchsorted(self.sigmas, sigma, right=True) - 1).clamp(0, 998)
        below, above = self.log_sigmas[low], self.log_sigmas[low + 1]
        return low + ((sigma.log() - below) / (above - below)).clamp(0, 1)

    def nearest_timestep(self, sigma):
        """The whole timestep whose sigma has the nearest logarithm."""
        return (self.log_sigmas - sigma.log()[:, None]).abs().argmin(1)

    def karras(self, steps):
        """Sigmas spread as Karras et al. 2022, and a final zero."""
        ramp = torch.linspace(0, 1, steps)
        largest, smallest = self.sigmas[-1] ** (1 / RHO), self.sigmas[0] ** (1 / RHO)
        return with_zero((largest + ramp * (smallest - largest)) ** RHO)

    def uniform(self, steps):
        """Sigmas of evenly spread timesteps, and a final zero."""
        return with_zero(self.sigma_at(torch.linspace(999, 0, steps)))


def with_zero(sigmas):
    return torch.cat([sigmas, sigmas.new_zeros(1)])


class KDiffusion:
    """A run over `sigmas`, which end in zero."""

    def __init__(self, sigmas, timestep_of=None):
        self.sigmas = sigmas
        self.timesteps = (timestep_of or Table().timestep_of)(sigmas[:-1])
        self.drawn = 0

    def start(self, noise, clean=0):
        return clean + noise * self.sigmas[0].item()

    def model_input(self, step, latent):
        return latent / (self.sigmas[step].item() ** 2 + 1) ** 0.5

    def denoised(self, step, latent, epsilon):
        return latent - self.sigmas[step].item() * epsilon


class Euler(KDiffusion):
    def step(self, step, latent, epsilon, noises):
        return latent + (self.sigmas[step + 1] - self.sigmas[step]).item() * epsilon


class EulerAncestral(KDiffusion):
    def step(self, step, latent, epsilon, noises):
        sigma, following = self.sigmas[step].item(), self.sigmas[step + 1].item()
        up = (following**2 * (sigma**2 - following**2) / sigma**2) ** 0.5
        down = (following**2 - up**2) ** 0.5
        latent = latent + (down - sigma) * epsilon
        if following == 0:
            return latent
        self.drawn += 1
        return latent + up * noises[self.drawn - 1]


class Dpmpp2m(KDiffusion):
    """DPM-Solver++(2M), Lu et al. 2022, algorithm 2."""

    previous = None

    def step(self, step, latent, epsilon, noises):
        denoised = target = self.denoised(step, latent, epsilon)
        sigma, following = self.sigmas[step], self.sigmas[step + 1]
        if self.previous is not None and following > 0:
            ratio = (self.sigmas[step - 1] / sigma).log() / (sigma / following).log()
            target = denoised + (denoised - self.previous) / (2 * ratio.item())
        self.previous = denoised
        share = (following / sigma).item()
        return share * latent + (1 - share) * target
