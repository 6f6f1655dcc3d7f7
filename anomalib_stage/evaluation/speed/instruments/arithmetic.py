# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Floating-point operations, counted and not estimated: two for a multiplication with its addition."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from anomalib_stage.evaluation.speed.instruments.clock import now
from anomalib_stage.synthesis.diffusion.adapter import MaskGuidanceAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PUBLISHED_STEPS", "count_flops", "count_published_flops", "measure_multiplication_rate"]

PUBLISHED_STEPS = 1000
"""Denoising steps of the published sampler."""

PUBLISHED_UNET: dict[str, Any] = {
    "sample_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "attention_head_dim": 8,
    "cross_attention_dim": 1280,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}
"""CompVis text2img-large, which the published method freezes: 872 million parameters."""

PUBLISHED_CODEC: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}
"""Its autoencoder, 256 px to 32 x 32 cells."""


@torch.no_grad()
def count_flops(call: Callable[[], object]) -> int:
    """Return the floating-point operations of the matrix products and convolutions of a call."""
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def count_published_flops() -> dict[str, float]:
    """Count the published method at 256 px, without its weights.

    Returns:
        dict[str, float]: ``parameters`` of the U-Net; operations of one ``unet`` and one ``adapter`` evaluation, of
        the autoencoder's ``encode`` and ``decode``, and of an ``image``: 1000 steps, encoded and decoded once.
    """
    with torch.device("meta"):
        unet, codec = UNet2DConditionModel(**PUBLISHED_UNET).eval(), AutoencoderKL(**PUBLISHED_CODEC).eval()
        adapter = MaskGuidanceAdapter().eval()
        latent, step, words = torch.empty(1, 4, 32, 32), torch.empty(1), torch.empty(1, 77, 1280)
        picture, mask = torch.empty(1, 3, 256, 256), torch.empty(1, 1, 32, 32)
    counts = {
        "parameters": float(sum(weight.numel() for weight in unet.parameters())),
        "unet": float(count_flops(lambda: unet(latent, step, words))),
        "adapter": float(count_flops(lambda: adapter(latent, mask))),
        "encode": float(count_flops(lambda: codec.encode(picture))),
        "decode": float(count_flops(lambda: codec.decode(latent))),
    }
    steps = PUBLISHED_STEPS * (counts["unet"] + counts["adapter"])
    return counts | {"image": steps + counts["encode"] + counts["decode"]}


@torch.no_grad()
def measure_multiplication_rate(device: torch.device, dtype: torch.dtype, *, seconds: float = 1.0) -> float:
    """Return how many operations a second large matrix products reach: the floor under any network's time."""
    side = 8192 if device.type == "cuda" else 1024
    left, right = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    torch.mm(left, right)
    start, best = time.perf_counter(), 0.0
    while time.perf_counter() - start < seconds:
        begin = now(device)
        for _ in range(4):
            torch.mm(left, right)
        best = max(best, 4 * 2 * side**3 / (now(device) - begin))
    return best
