# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Single-file checkpoints of latent diffusion and Stable Diffusion: their networks and noise schedule."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from anomalib_stage.errors import BundleError
from anomalib_stage.synthesis.diffusion.schedule import REFERENCE_SCHEDULE
from anomalib_stage.weights.config_checks import check_schedule
from anomalib_stage.weights.header import shorten
from anomalib_stage.weights.latent.ldm_config import AUTOENCODER, UNET, build_ldm_config, read_config

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["LdmParts", "load_ldm_parts"]


LdmParts = tuple[UNet2DConditionModel, AutoencoderKL, dict[str, Any], int]
"""U-Net, autoencoder, noise schedule, native side of a region in pixels."""


def load_ldm_parts(weights: Mapping[str, Tensor], *, path: Path, config: Path | None = None) -> LdmParts:
    """Convert the U-Net and autoencoder of a checkpoint, with diffusers' own conversion.

    Args:
        weights (Mapping[str, Tensor]): Weights by their original names.
        path (Path): What messages call the file.
        config (Path | None): The original YAML; None where the weights tell (:func:`build_ldm_config`).

    Returns:
        LdmParts: U-Net and autoencoder in float32, frozen; the noise schedule; the native side of a region in pixels.

    Raises:
        BundleError: If the checkpoint does not hold exactly the weights of the networks that the configuration names.
    """
    original = read_config(config) if config else build_ldm_config(weights, path=path)
    params = original["model"]["params"]
    schedule = _read_schedule(params, path=config or path)
    unet = _convert(UNet2DConditionModel, weights, UNET, original, path)
    vae = _convert(AutoencoderKL, weights, AUTOENCODER, original, path)
    return unet, vae, schedule, int(params["image_size"]) * 2 ** (len(vae.config.block_out_channels) - 1)


def _read_schedule(params: Mapping[str, Any], *, path: Path) -> dict[str, Any]:
    """Return the noise schedule in an original configuration."""
    try:
        schedule = {
            **REFERENCE_SCHEDULE,
            "num_train_timesteps": int(params.get("timesteps", 1000)),
            "beta_start": float(params.get("linear_start", REFERENCE_SCHEDULE["beta_start"])),
            "beta_end": float(params.get("linear_end", REFERENCE_SCHEDULE["beta_end"])),
            "prediction_type": "v_prediction" if params.get("parameterization") == "v" else "epsilon",
        }
        check_schedule(schedule)
    except (TypeError, ValueError, ArithmeticError) as error:
        msg = f"{path}: timesteps, linear_start or linear_end of model.params is no noise schedule ({error})"
        raise BundleError(msg) from error
    return schedule


def _convert(cls: type[Any], weights: Mapping[str, Tensor], prefix: str, original: dict[str, Any], path: Path) -> Any:  # noqa: ANN401
    part = {k: t for k, t in weights.items() if k.startswith(prefix) and not k.startswith(f"{prefix}loss.")}
    bad = sorted(name for name, tensor in part.items() if not tensor.isfinite().all())
    if bad:
        msg = f"{path}: NaN or infinite values in {shorten(bad)}; the training that made them failed, get another"
        raise BundleError(msg)
    try:
        _check_size(cls, part, original)
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn and overwritten at once
            model = cls.from_single_file(part, original_config=original)
    except Exception as error:  # diffusers' conversion fails in many ways
        msg = f"{path}: {prefix}* does not fit the configuration ({error}); is it that of this checkpoint?"
        raise BundleError(msg) from error
    if _compute_fingerprint(part) != _compute_fingerprint(
        model.state_dict()
    ):  # diffusers is silent about weights that it lacks
        counts = f"{len(part)} tensors {prefix}*, the configuration needs {len(model.state_dict())}"
        msg = f"{path}: weights missing or left over ({counts}); is it the configuration of this checkpoint?"
        raise BundleError(msg)
    return model.float().eval().requires_grad_(requires_grad=False)


def _check_size(cls: type[Any], part: dict[str, Tensor], original: dict[str, Any]) -> None:
    """Refuse a configuration of more or fewer weights than there are, before it is built."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that a tensor without data takes none
        planned = cls.from_single_file(part, original_config=original, low_cpu_mem_usage=False)
    needed, there = (sum(tensor.numel() for tensor in weights.values()) for weights in (planned.state_dict(), part))
    if needed != there:
        msg = f"weights missing or left over: {there} numbers, the configuration needs {needed}"
        raise ValueError(msg)


def _compute_fingerprint(weights: Mapping[str, Tensor]) -> list[tuple[int, float]]:
    """Size and sum of every tensor, whatever its name and shape; the same before and after a conversion of names."""
    return sorted((tensor.numel(), float(tensor.double().sum())) for tensor in weights.values())
