# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Layers whose weights no longer change: cast once, and in place where nobody else holds the tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["FrozenConv", "FrozenNorm", "FrozenResnet", "convert_level", "convert_linear"]


class FrozenConv:
    """A convolution."""

    def __init__(self, layer: nn.Conv2d, dtype: torch.dtype) -> None:
        assert layer.bias is not None
        self.weight, self.bias = layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)
        self.stride, self.padding = layer.stride, layer.padding

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve ``(B, C, h, w)``."""
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class FrozenNorm:
    """Group norm, one sample at a time: see :mod:`~anomalib_stage.synthesis.diffusion.compact.group_norm`."""

    def __init__(self, layer: nn.GroupNorm) -> None:
        self.groups, self.eps = layer.num_groups, layer.eps
        self.weight, self.bias = layer.weight.detach(), layer.bias.detach()

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise ``(B, C, h, w)``."""
        normed = [F.group_norm(one, self.groups, self.weight, self.bias, self.eps) for one in torch.split(x, 1)]
        return normed[0] if len(normed) == 1 else torch.cat(normed)


class FrozenResnet:
    """A residual block."""

    def __init__(self, block: Any, dtype: torch.dtype) -> None:  # noqa: ANN401 - diffusers' blocks are untyped here
        self.norms = FrozenNorm(block.norm1), FrozenNorm(block.norm2)
        self.convs = FrozenConv(block.conv1, dtype), FrozenConv(block.conv2, dtype)
        self.shortcut = None if block.conv_shortcut is None else FrozenConv(block.conv_shortcut, dtype)

    def __call__(self, x: Tensor, share: Tensor) -> Tensor:
        """Return the block's features; ``share`` is what the time step adds, ``(B, C, 1, 1)``."""
        hidden = self.convs[0](F.silu(self.norms[0](x), inplace=True))
        hidden = self.convs[1](F.silu(self.norms[1](hidden.add_(share)), inplace=True))
        return hidden.add_(x if self.shortcut is None else self.shortcut(x))


def convert_linear(layer: nn.Linear, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return a linear layer's weight and bias in another precision."""
    return layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)


def convert_level(block: Any, samplers: Any, dtype: torch.dtype) -> tuple[list[FrozenResnet], FrozenConv | None]:  # noqa: ANN401
    """Return a block's residual blocks, and the convolution on its way to the next resolution."""
    return [FrozenResnet(resnet, dtype) for resnet in block.resnets], FrozenConv(
        samplers[0].conv, dtype
    ) if samplers else None
