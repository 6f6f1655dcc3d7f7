# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The networks of a latent bundle, built from their configurations and weights."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.diffusion.adapter import MaskGuidanceAdapter, ResidualAdapter
from anomalib_stage.weights.latent.frozen_base import cast_stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from anomalib_stage.weights.latent_manifest import AdapterSpec

__all__ = ["build_adapter", "detect_inpainting", "extract_config", "load_adapter", "load_network"]


def extract_config(model: nn.Module) -> dict[str, Any]:
    """Return the arguments that a diffusers model was made with, without those at their defaults.

    So that another release of diffusers, which knows more arguments or fewer, can build it too.
    """
    defaults = {name: entry.default for name, entry in inspect.signature(type(model).__init__).parameters.items()}
    config: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in model.config.items()  # type: ignore[operator, union-attr]
        if name in defaults and value != defaults[name]
    }
    kept = ("block_out_channels", "cross_attention_dim", "in_channels", "scaling_factor")
    return config | {name: _to_plain(model.config[name]) for name in kept if name in defaults}  # type: ignore[index]


def _to_plain(value: Any) -> Any:  # noqa: ANN401 - a value of a diffusers configuration
    return list(value) if isinstance(value, tuple) else value


def build_adapter(spec: AdapterSpec, *, channels: int) -> nn.Module | None:
    """Build one adapter; its initial weights are drawn from torch's global stream.

    Raises:
        InputError: If widths and groups do not go together.
    """
    if spec.name == "none":
        return None
    if spec.name == "published":
        return MaskGuidanceAdapter(channels)
    return ResidualAdapter(channels, widths=spec.widths, groups=spec.groups)


def load_network(cls: type[Any], config: Mapping[str, Any], state: Mapping[str, Tensor], dtype: torch.dtype) -> Any:  # noqa: ANN401
    """Build a network of diffusers around given weights; no initial weights are drawn."""
    with torch.device("meta"):
        model = cls(**config)
    model.load_state_dict({name: cast_stored(tensor, dtype) for name, tensor in state.items()}, assign=True)
    return model.eval().requires_grad_(requires_grad=False)


def load_adapter(spec: AdapterSpec, channels: int, state: Mapping[str, Tensor]) -> nn.Module | None:
    """Build an adapter around given weights, float32; no initial weights are drawn."""
    with torch.device("meta"):
        adapter = build_adapter(spec, channels=channels)
    if adapter is not None:
        copies = {name: cast_stored(tensor, torch.float32).clone() for name, tensor in state.items()}
        adapter.load_state_dict(copies, assign=True)
    return adapter


def detect_inpainting(inputs: int, outputs: int, channels: int) -> bool:
    """Tell by its channels whether a U-Net takes a mask and the surface around it.

    Raises:
        InputError: If it is neither a plain nor an inpainting U-Net.
    """
    if outputs != channels or inputs not in {channels, 2 * channels + 1}:
        msg = (
            f"a U-Net with {inputs} channels in and {outputs} out on latents of {channels} channels; "
            f"{channels} or {2 * channels + 1} in (inpainting) and {channels} out are supported"
        )
        raise InputError(msg)
    return inputs != channels
