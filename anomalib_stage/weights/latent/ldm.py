# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Single-file checkpoints of latent diffusion and Stable Diffusion: what their configuration is, and their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import yaml
from diffusers import AutoencoderKL, UNet2DConditionModel

from anomalib_stage.errors import BundleError
from anomalib_stage.synthesis.diffusion.schedule import REFERENCE_SCHEDULE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["LdmParts", "ldm_config", "ldm_parts"]

UNET, AUTOENCODER = "model.diffusion_model.", "first_stage_model."

KNOWN = {1280: 32, 768: 64}
"""Width of the text conditioning to the side of the latents trained on: text2img-large (the paper's base), SD 1.x."""

LdmParts = tuple[UNet2DConditionModel, AutoencoderKL, dict[str, Any], int]
"""U-Net, autoencoder, noise schedule, native side of a region in pixels."""


def ldm_config(weights: Mapping[str, Tensor], *, path: Path) -> dict[str, Any]:
    """Return the original configuration of a checkpoint that is told by its weights: text2img-large, or SD 1.x.

    Args:
        weights (Mapping[str, Tensor]): Weights by their original names.
        path (Path): What messages call the file.

    Returns:
        dict[str, Any]: As in the YAML files of these projects.

    Raises:
        BundleError: If it is neither.
    """
    first = weights.get(f"{UNET}input_blocks.0.0.weight")
    attention = weights.get(f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight")
    if first is None or attention is None:
        msg = f"{path}: no U-Net of latent diffusion in it (no {UNET}input_blocks.*); give the original checkpoint"
        raise BundleError(msg)
    context, width = int(attention.shape[1]), int(first.shape[0])
    if context not in KNOWN or width != 320:
        msg = (
            f"{path}: a U-Net of width {width} with conditions of width {context}; without a configuration only "
            f"text2img-large (320, 1280) and SD 1.x (320, 768) are known: give the original YAML file with --ldm-config"
        )
        raise BundleError(msg)
    unet = {
        "in_channels": int(first.shape[1]),
        "out_channels": 4,
        "model_channels": 320,
        "attention_resolutions": [4, 2, 1],
        "num_res_blocks": 2,
        "channel_mult": [1, 2, 4, 4],
        "num_heads": 8,
        "transformer_depth": 1,
        "context_dim": context,
    }
    autoencoder = {"z_channels": 4, "in_channels": 3, "out_ch": 3, "ch": 128, "ch_mult": [1, 2, 4, 4]}
    return {
        "model": {
            "params": {
                "image_size": KNOWN[context],
                "scale_factor": 0.18215,
                "unet_config": {"params": unet},
                "first_stage_config": {"params": {"ddconfig": {**autoencoder, "num_res_blocks": 2}}},
            }
        }
    }


def read_config(path: Path) -> dict[str, Any]:
    """Read an original YAML configuration.

    Raises:
        BundleError: If it cannot be read or has no ``model.params``.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        params = content["model"]["params"]
        params["unet_config"]["params"]["model_channels"], params["image_size"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        msg = f"{path}: not a configuration of latent diffusion ({error!r}); it has model.params.unet_config"
        raise BundleError(msg) from error
    return dict(content)


def ldm_parts(weights: Mapping[str, Tensor], *, path: Path, config: Path | None = None) -> LdmParts:
    """Convert the U-Net and autoencoder of a checkpoint, with diffusers' own conversion.

    Args:
        weights (Mapping[str, Tensor]): Weights by their original names.
        path (Path): What messages call the file.
        config (Path | None): The original YAML; None where the weights tell (:func:`ldm_config`).

    Returns:
        LdmParts: U-Net and autoencoder in float32, frozen; the noise schedule; the native side of a region in pixels.

    Raises:
        BundleError: If the checkpoint does not hold exactly the weights of the networks that the configuration names.
    """
    original = read_config(config) if config else ldm_config(weights, path=path)
    params = original["model"]["params"]
    unet = _converted(UNet2DConditionModel, weights, UNET, original, path)
    vae = _converted(AutoencoderKL, weights, AUTOENCODER, original, path)
    schedule = {
        **REFERENCE_SCHEDULE,
        "num_train_timesteps": int(params.get("timesteps", 1000)),
        "beta_start": float(params.get("linear_start", REFERENCE_SCHEDULE["beta_start"])),
        "beta_end": float(params.get("linear_end", REFERENCE_SCHEDULE["beta_end"])),
        "prediction_type": "v_prediction" if params.get("parameterization") == "v" else "epsilon",
    }
    return unet, vae, schedule, int(params["image_size"]) * 2 ** (len(vae.config.block_out_channels) - 1)


def _converted(cls: type[Any], weights: Mapping[str, Tensor], prefix: str, original: dict[str, Any], path: Path) -> Any:  # noqa: ANN401
    part = {k: t for k, t in weights.items() if k.startswith(prefix) and not k.startswith(f"{prefix}loss.")}
    try:
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn and overwritten at once
            model = cls.from_single_file(part, original_config=original)
    except Exception as error:  # diffusers' conversion fails in many ways
        msg = f"{path}: {prefix}* does not fit the configuration ({error}); is it that of this checkpoint?"
        raise BundleError(msg) from error
    if _fingerprint(part) != _fingerprint(model.state_dict()):  # diffusers is silent about weights that it lacks
        counts = f"{len(part)} tensors {prefix}*, the configuration needs {len(model.state_dict())}"
        msg = f"{path}: weights missing or left over ({counts}); is it the configuration of this checkpoint?"
        raise BundleError(msg)
    return model.float().eval().requires_grad_(requires_grad=False)


def _fingerprint(weights: Mapping[str, Tensor]) -> list[tuple[int, float]]:
    """Size and sum of every tensor, whatever its name and shape; the same before and after a conversion of names."""
    return sorted((tensor.numel(), float(tensor.double().sum())) for tensor in weights.values())
