# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Configurations of latent diffusion: read from their YAML files, or told by a checkpoint's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from anomalib_stage.errors import BundleError
from anomalib_stage.weights.config_checks import check_config_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["build_ldm_config", "read_config"]


UNET, AUTOENCODER = "model.diffusion_model.", "first_stage_model."

MOST_BYTES, DEEPEST = 100_000, 64
"""Largest YAML file, and most brackets in one another: the original ones have 4 kB and 2."""

LARGEST_SIDE = 1024
"""Most latents along a side of what a model was trained on."""

KNOWN = {1280: 32, 768: 64}
"""Width of the text conditioning to the side of the latents trained on: text2img-large (the paper's base), SD 1.x."""


def build_ldm_config(weights: Mapping[str, Tensor], *, path: Path) -> dict[str, Any]:
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
    if first is None or attention is None or min(first.dim(), attention.dim()) < 2:
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
        content = yaml.safe_load(_read_text(path))
        params = content["model"]["params"]
        params["unet_config"]["params"]["model_channels"], params["image_size"]
        check_config_numbers(dict(content), field="configuration")
        side = params["image_size"]
        if type(side) is not int or not 1 <= side <= LARGEST_SIDE:
            _refuse(f"model.params.image_size is {side!r}; a whole number from 1 to {LARGEST_SIDE} is allowed")
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError, yaml.YAMLError) as error:
        msg = f"{path}: not a configuration of latent diffusion ({error!r}); it has model.params.unet_config"
        raise BundleError(msg) from error
    return dict(content)


def _read_text(path: Path) -> str:
    """Read a file, unless the parser would take minutes for it."""
    if path.stat().st_size > MOST_BYTES:
        _refuse(f"{path.stat().st_size} bytes; at most {MOST_BYTES} are allowed")
    text, depth = path.read_text(encoding="utf-8"), 0
    for char in text:
        depth += (char in "[{") - (char in "]}")
        if depth > DEEPEST:
            _refuse(f"more than {DEEPEST} brackets in one another")
    return text


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)
