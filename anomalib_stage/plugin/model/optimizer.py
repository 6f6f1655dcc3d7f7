# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""AdamW, and the learning rate of each step."""

from __future__ import annotations

import torch
from torch import nn

from anomalib_stage.training.network.learning_rate import compute_segmenter_rate

__all__ = ["build_optimizer", "build_schedule"]


def build_optimizer(network: nn.Module, *, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW over what may change; biases and norms have no weight decay."""
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr)


def build_schedule(
    optimizer: torch.optim.Optimizer, *, rise: int, last: int | None
) -> torch.optim.lr_scheduler.LambdaLR:
    """Return the schedule of the learning rate: up in ``rise`` steps, down to 0 at ``last``; None: it stays."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: compute_segmenter_rate(step, rise=rise, last=last))
