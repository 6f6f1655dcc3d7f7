# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Train one segmentation network on synthetic sets and map anomalies with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel

from anomalib_stage.devices import bf16_is_fast
from anomalib_stage.seeds import derive_seed
from anomalib_stage.training.network.learning_rate import compute_capped_rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from anomalib_stage.evaluation.detection.training_mix import TrainingMix

    Tensors: TypeAlias = tuple[Tensor, ...] | list[Tensor]

__all__ = ["map_anomalies", "train"]

AVERAGE_DECAY = 0.98
WARMUP_SHARE = 0.1


def train(
    build: Callable[[], nn.Module],
    loss: Callable[[Tensor, Tensor], Tensor],
    mix: TrainingMix,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    device: torch.device,
) -> nn.Module:
    """Train a network from scratch; its averaged weights are returned, which vary less between seeds than the last.

    Args:
        build (Callable[[], nn.Module]): Makes the network, ``(B, 3, S, S)`` to logits ``(B, 1, S, S)``; its weights are
            drawn from the seed.
        loss (Callable[[Tensor, Tensor], Tensor]): Takes logits ``(B, 1, S, S)`` and masks ``(B, S, S)``.
        mix (TrainingMix): What to learn from.
        steps (int): Training steps.
        batch_size (int): Pictures in a step.
        learning_rate (float): Peak of the warm-up; it falls to 0 along a cosine.
        seed (int): Seed of the weights and the batches.
        device (torch.device): Where to train.

    Returns:
        nn.Module: The network with averaged weights, in evaluation mode.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "network"))
        network = build().to(device).to(memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=_update_average, use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.01, fused=True)
    rise = max(round(WARMUP_SHARE * steps), 1)
    for step in range(steps):
        share = compute_capped_rate(step, rise=rise, last=steps)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * share
        images, masks = mix.draw_batch(step, count=batch_size, seed=seed, device=device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16_is_fast(device)):
            logits = network(images.contiguous(memory_format=torch.channels_last))
        value = loss(logits.float(), masks)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(network)
    return average.eval()


def _update_average(averages: Tensors, latest: Tensors, count: Tensor | int) -> None:
    """Exponential average that forgets its first weights, which were random, faster than later ones.

    Called with tensors of one device and dtype; counters are copied.
    """
    share = 1.0 - min(AVERAGE_DECAY, (1 + int(count)) / (10 + int(count)))
    if averages[0].is_floating_point():
        torch._foreach_lerp_(averages, latest, share)  # as torch's own averages do
    else:
        torch._foreach_copy_(averages, latest)


@torch.no_grad()
def map_anomalies(network: nn.Module, images: NDArray[np.uint8], *, device: torch.device) -> NDArray[np.float32]:
    """Return anomaly maps ``(N, S, S)`` in [0, 1] of pictures ``(N, S, S, 3)``, 16 at a time."""
    maps = []
    for start in range(0, len(images), 16):
        batch = torch.from_numpy(images[start : start + 16]).permute(0, 3, 1, 2).float().to(device) / 255.0
        maps.append(network(batch.contiguous(memory_format=torch.channels_last)).float().sigmoid()[:, 0].cpu().numpy())
    return np.concatenate(maps)
