# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Noise schedule: the time axis of diffusion.

Notation (paper and published code -> here): ``ab_t`` -> ``alphas_cumprod[t]``; ``q(x, t; n)`` ->
:meth:`Schedule.add_noise`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from diffusers import DDIMScheduler, DDPMScheduler

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.diffusion.schedule_tables import compute_betas, compute_posterior, gather_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["CLEAN", "COMPACT_SCHEDULE", "REFERENCE_SCHEDULE", "Schedule"]

REFERENCE_SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
}
"""The published schedule (``linear`` in latent-diffusion language)."""

COMPACT_SCHEDULE: dict[str, Any] = {
    **REFERENCE_SCHEDULE,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
}
"""The compact backbone's: x_T carries no signal (arXiv 2305.08891), so few steps from pure noise are valid."""

CLEAN = -1
"""Time step of the clean end, one below 0."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """Tables of a diffusion schedule, taken from a diffusers scheduler.

    Args:
        config (Mapping[str, Any]): Configuration of a diffusers scheduler (``num_train_timesteps``, ``beta_start``,
            ``beta_end``, ``beta_schedule``, ``prediction_type``, ``rescale_betas_zero_snr``, ...).

    Raises:
        InputError: If diffusers does not accept the configuration or the prediction type is not supported.
    """

    config: Mapping[str, Any]
    betas: Tensor = field(init=False, repr=False)
    alphas_cumprod: Tensor = field(init=False, repr=False)
    posterior: tuple[Tensor, Tensor, Tensor] = field(init=False, repr=False)
    """Coefficients of x0 and x_t in the mean of q(x_{t-1} | x_t, x_0), and its standard deviation ("fixed small")."""
    _roots: tuple[Tensor, Tensor] = field(init=False, repr=False)
    _numbers: tuple[list[float], list[float]] = field(init=False, repr=False)
    _spaced: dict[int, list[int]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        try:
            tables = DDPMScheduler(**{"clip_sample": False, **self.config})
        except (TypeError, NotImplementedError, ValueError) as error:
            msg = f"noise schedule {dict(self.config)} is not one that diffusers knows: {error}"
            raise InputError(msg) from error
        if self.prediction_type not in {"epsilon", "v_prediction"}:
            msg = f"prediction_type is {self.prediction_type!r}; supported are 'epsilon' and 'v_prediction'"
            raise InputError(msg)
        betas = compute_betas(tables)
        object.__setattr__(self, "betas", betas.float())
        alphas_cumprod = (1.0 - betas).cumprod(0)
        object.__setattr__(self, "alphas_cumprod", alphas_cumprod.float())
        object.__setattr__(self, "posterior", compute_posterior(betas, alphas_cumprod))
        # the clean end is appended: index -1, one step below 0, has signal 1 and noise 0
        padded = torch.cat([alphas_cumprod, alphas_cumprod.new_ones(1)])
        roots = padded.sqrt().float(), (1.0 - padded).sqrt().float()
        object.__setattr__(self, "_roots", roots)
        object.__setattr__(self, "_numbers", tuple(table.tolist() for table in roots))

    @property
    def steps(self) -> int:
        """Number of training time steps T."""
        return len(self.betas)

    @property
    def prediction_type(self) -> str:
        """What the network predicts: ``epsilon`` or ``v_prediction``."""
        return str(self.config.get("prediction_type", "epsilon"))

    def space_timesteps(self, count: int) -> list[int]:
        """Return ``count`` descending time steps, trailing spacing: the first is T-1, pure noise.

        Raises:
            InputError: If ``count`` is not in 1..T.
        """
        if not 1 <= count <= self.steps:
            msg = f"{count} sampling steps asked for; this schedule allows 1 to {self.steps}"
            raise InputError(msg)
        if count not in self._spaced:
            scheduler = DDIMScheduler(**{"clip_sample": False, **self.config, "timestep_spacing": "trailing"})
            scheduler.set_timesteps(count)
            self._spaced[count] = [int(t) for t in scheduler.timesteps]
        return list(self._spaced[count])

    def signal(self, t: Tensor | int, like: Tensor) -> Tensor | float:
        """``sqrt(ab_t)``, 1 where ``t`` is -1 (the clean end); for ``t`` of each sample shaped to broadcast."""
        return self._numbers[0][t] if isinstance(t, int) else gather_steps(self._roots[0], t, like)

    def noise(self, t: Tensor | int, like: Tensor) -> Tensor | float:
        """``sqrt(1 - ab_t)``, 0 where ``t`` is -1; for ``t`` of each sample shaped to broadcast over ``like``."""
        return self._numbers[1][t] if isinstance(t, int) else gather_steps(self._roots[1], t, like)

    def add_noise(self, clean: Tensor, t: Tensor | int, noise: Tensor) -> Tensor:
        """``q(x, t; n) = sqrt(ab_t) x + sqrt(1 - ab_t) n``. ``t``: ``(B,)`` int64 or one for all, -1 means clean."""
        return self.signal(t, clean) * clean + self.noise(t, clean) * noise

    def compute_target(self, clean: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return what the network should predict for ``q(clean, t; noise)``."""
        if self.prediction_type == "epsilon":
            return noise
        return self.signal(t, clean) * noise - self.noise(t, clean) * clean

    def estimate_clean(self, output: Tensor, x: Tensor, t: Tensor | int) -> Tensor:
        """Turn the network's output at ``x = x_t`` into its estimate of the clean latent, x0."""
        signal, noise = self.signal(t, x), self.noise(t, x)
        if self.prediction_type == "epsilon":
            return x / signal - noise / signal * output
        return signal * x - noise * output
