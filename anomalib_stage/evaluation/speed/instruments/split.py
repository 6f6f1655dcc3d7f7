# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a synthesis goes: the ranges that the pipeline names for the profiler."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from anomalib_stage.evaluation.speed.instruments.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch
    from torch.autograd.profiler_util import FunctionEvent

__all__ = ["PARTS", "REST", "split_time"]

PARTS = (
    "check",
    "foreground",
    "masks",
    "encode",
    "fill",
    "appearance",
    "denoise",
    "decode",
    "blend",
    "visibility",
    "transfer",
    "composite",
)
"""Parts of a synthesis in their order; the pipeline marks each with ``torch.profiler.record_function``."""

REST = "rest"
"""What lies in no range."""

PREFIX = "stage::"
"""What the names of the pipeline's ranges begin with."""

WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpyAsync")
"""Calls in which the host does nothing but wait for the device; what they wait for counts where it was launched."""


def split_time(call: Callable[[], object], *, images: int, device: torch.device) -> dict[str, float]:
    """Profile a synthesis, and divide its time among its parts.

    A part within another counts for itself alone. On CUDA the host runs ahead of the device, so a part has the longer
    one of two times: what its kernels take, and what the host takes without waiting. The sum may then be more than the
    call takes, and nothing is left for the rest.

    Args:
        call (Callable[[], object]): Synthesizes.
        images (int): How many images it paints.
        device (torch.device): Where.

    Returns:
        dict[str, float]: Milliseconds an image for each of :data:`PARTS`, and for :data:`REST`. They include what the
        profiler costs.

    Raises:
        RuntimeError: If the call marks other parts than :data:`PARTS`, or not all of them.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else it tells of every start, and of GPUs that are not there
    watched = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=watched) as profiler:
        begin = now(device)
        call()
        total = now(device) - begin
    spent = _sum_ranges(profiler.events() or ())
    if spent.keys() != set(PARTS):
        odd = ", ".join(sorted(spent.keys() ^ set(PARTS)))
        msg = f"the pipeline marks other parts than {', '.join(PARTS)}: look for {odd} in its record_function ranges"
        raise RuntimeError(msg)
    parts = {part: spent[part] / 1000.0 / images for part in PARTS}
    return parts | {REST: max(total * 1000.0 / images - sum(parts.values()), 0.0)}


def _sum_ranges(events: Iterable[FunctionEvent]) -> dict[str, float]:
    """Return the microseconds in the ranges of each part, without those in ranges within them."""
    host: dict[str, float] = {}
    kernels: dict[str, float] = {}
    for event in events:
        if event.device_type != DeviceType.CPU:
            continue
        waits = event.name.startswith(WAITS)
        if event.name.startswith(PREFIX):
            part, spent = event.name.removeprefix(PREFIX), _measure(event)
            host[part], kernels[part] = host.get(part, 0.0) + spent, kernels.get(part, 0.0) + event.device_time_total
        elif not waits:
            continue
        outer = _find_range_around(event)
        if outer is not None:
            host[outer] = host.get(outer, 0.0) - _measure(event)
            kernels[outer] = kernels.get(outer, 0.0) - (0.0 if waits else event.device_time_total)
    return {part: max(host[part], kernels[part]) for part in host}


def _measure(event: FunctionEvent) -> float:
    """Return the microseconds from an event's start to its end."""
    return float(event.time_range.end - event.time_range.start)


def _find_range_around(event: FunctionEvent) -> str | None:
    """Return the part whose range is the nearest around an event."""
    outer = event.cpu_parent
    while outer is not None and not outer.name.startswith(PREFIX):
        outer = outer.cpu_parent
    return None if outer is None else outer.name.removeprefix(PREFIX)
