# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Train one segmentation network on pools of pictures and map anomalies with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel

from anomalib_stage.devices import bf16_is_fast
from anomalib_stage.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from anomalib_stage.evaluation.dataset import Pictures

    Tensors: TypeAlias = tuple[Tensor, ...] | list[Tensor]

__all__ = ["TrainingMix", "map_anomalies", "train"]

AVERAGE_DECAY = 0.98
WARMUP_SHARE = 0.1


@dataclass(frozen=True)
class TrainingMix:
    """What a network learns from; half of every batch is anomalous, the other half good.

    Real defects keep their half where there are synthetic ones too, and these take three quarters of the good pictures'
    places, so that an eighth of the batch is good: synthetic pictures are good surface for the most part. So a network
    sees the few real defects as often as without them.

    Args:
        anomalies (Sequence[Pictures]): Pools to take synthetic anomalies from in turn.
        good (NDArray[np.uint8]): Good pictures ``(N, S, S, 3)`` RGB.
        real (Pictures | None): Pictures with real defects. Without any anomalies every picture is good.
        negatives (NDArray[np.uint8] | None): Good pictures with re-synthesized surface, ``(N, S, S, 3)``.
        negative_share (float): Share of the good half that they take.
    """

    anomalies: Sequence[Pictures]
    good: NDArray[np.uint8]
    real: Pictures | None = None
    negatives: NDArray[np.uint8] | None = None
    negative_share: float = 0.25

    def batch(self, step: int, *, count: int, seed: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Draw the batch of a step: ``(count, 3, S, S)`` float in [0, 1] and ``(count, S, S)`` bool, on a device."""
        rng = numpy_generator(seed, "batch", step)
        images, masks, levels = [], [], []
        for i in range(count):
            pool = self._pool(step, i, count=count)
            image, mask = self._good(rng=rng) if pool is None else _drawn(pool, rng=rng)
            turns, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)
            levels.append((rng.uniform(0.9, 1.1), rng.uniform(-0.05, 0.05)))
            image, mask = np.rot90(image, turns), np.rot90(mask, turns)
            image, mask = (image[:, ::-1], mask[:, ::-1]) if mirrored else (image, mask)
            images.append(image)
            masks.append(mask)
        gain, offset = torch.tensor(levels, dtype=torch.float32, device=device).T[:, :, None, None, None]
        pictures = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float() / 255.0
        return (pictures * gain + offset).clamp_(0.0, 1.0), torch.from_numpy(np.stack(masks)).to(device)

    def _pool(self, step: int, i: int, *, count: int) -> Pictures | None:
        """Pool of a batch's picture; None: it is good."""
        if self.real is not None and i < count // 2:
            return self.real
        last = count // 2 if self.real is None else count // 2 + 3 * count // 8
        return self.anomalies[(step + i) % len(self.anomalies)] if self.anomalies and i < last else None

    def _good(self, *, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        negative = rng.random() < self.negative_share and self.negatives is not None
        pool = self.negatives if negative and self.negatives is not None else self.good
        image = pool[int(rng.integers(len(pool)))]
        return image, np.zeros(image.shape[:2], dtype=np.bool_)


def _drawn(pool: Pictures, *, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    chosen = int(rng.integers(len(pool.images)))
    return pool.images[chosen], pool.masks[chosen]


def train(
    build: Callable[[], nn.Module],
    loss: Callable[[Tensor, Tensor], Tensor],
    lesson: TrainingMix,
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
        lesson (Lesson): What to learn from.
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
    average = AveragedModel(network, multi_avg_fn=_average, use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.01, fused=True)
    warmup = max(round(WARMUP_SHARE * steps), 1)
    for step in range(steps):
        share = min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * max(step - warmup, 0) / max(steps - warmup, 1))))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * share
        images, masks = lesson.batch(step, count=batch_size, seed=seed, device=device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16_is_fast(device)):
            logits = network(images.contiguous(memory_format=torch.channels_last))
        value = loss(logits.float(), masks)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(network)
    return average.eval()


def _average(averages: Tensors, latest: Tensors, count: Tensor | int) -> None:
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
