# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Several processes on one job: Lightning Fabric starts them or finds them, and says who is who.

They talk once, when they meet. After that nobody waits for a message, so a process that dies stops no other: what it
left is painted by the next run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from anomalib_stage.errors import DeviceError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Rank", "check_devices", "meet", "while_launched"]

MEETING = timedelta(minutes=10)
"""How long the first process waits for the last one to start."""

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Rank:
    """One process of a run.

    Args:
        number (int): 0 to ``world - 1``.
        world (int): Number of processes.
        device (torch.device): Where it paints.
        local (int): Its number on this machine.
        children (Sequence[Any]): Processes that it started.
    """

    number: int
    world: int
    device: torch.device
    local: int = 0
    children: Sequence[Any] = ()

    def share(self, items: Sequence[ItemT]) -> Sequence[ItemT]:
        """Return this process's part of a list that all of them have."""
        return items[self.number :: self.world]

    def wait(self) -> None:
        """Wait for the processes that this one started."""
        for child in self.children:
            child.wait()


def check_devices(device: torch.device, *, devices: int, num_nodes: int) -> None:
    """Refuse what cannot be started, before anything is.

    Raises:
        InputError: If a number is below 1, or several devices are asked for and one is named.
        DeviceError: If this machine has fewer devices.
    """
    if devices < 1 or num_nodes < 1:
        msg = f"--devices is {devices} and --num-nodes {num_nodes}; both must be at least 1"
        raise InputError(msg)
    if devices > 1 and device.index is not None:
        msg = f"--devices is {devices}, but --device names one, {device}; give --device {device.type}"
        raise InputError(msg)
    if device.type == "cuda" and torch.cuda.device_count() < devices:
        msg = f"--devices is {devices}, but this machine has {torch.cuda.device_count()} CUDA devices; ask for fewer"
        raise DeviceError(msg)


def meet(device: torch.device, *, devices: int, num_nodes: int) -> Rank:
    """Start the other processes of this machine, unless torchrun, SLURM or the like has, and wait until all are there.

    Args:
        device (torch.device): Kind of device.
        devices (int): Processes on each machine.
        num_nodes (int): Machines.

    Returns:
        Rank: Who this process is.

    Raises:
        InputError: If the processes that were started are not those asked for, or do not come together.
    """
    if devices * num_nodes == 1:
        return Rank(0, 1, device)
    from lightning.fabric import Fabric
    from lightning.fabric.strategies.ddp import DDPStrategy

    # gloo on every device: no tensor is ever sent
    strategy = DDPStrategy(process_group_backend="gloo", timeout=MEETING)
    try:
        fabric = Fabric(accelerator=device.type, devices=devices, num_nodes=num_nodes, strategy=strategy)
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        msg = f"the processes did not come together ({error}); start them with the same --devices and --num-nodes"
        raise InputError(msg) from error
    children = getattr(strategy.launcher, "procs", ())  # of those who start processes themselves
    return Rank(fabric.global_rank, fabric.world_size, fabric.device, fabric.local_rank, children)


def while_launched(items: Iterable[ItemT], rank: Rank) -> Iterator[ItemT]:
    """Yield items, and stop like an interruption when whoever started this process has gone.

    Else it would go on unseen, in the way of the next run.
    """
    parent = os.getppid()
    for item in items:
        if rank.local and os.getppid() != parent:
            raise KeyboardInterrupt
        yield item
