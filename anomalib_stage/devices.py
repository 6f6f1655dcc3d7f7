# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Devices to compute on, and what they are good at."""

from __future__ import annotations

import torch

from anomalib_stage.errors import DeviceError

__all__ = ["KINDS", "bf16_is_fast", "resolve_device"]

KINDS = ("cpu", "cuda")
"""Kinds of device that are painted on."""


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device named; ``auto`` is CUDA if there is one.

    Raises:
        DeviceError: If the name is not a device, or not one of this machine, or neither CPU nor CUDA.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        msg = f"device {device!r} is not a device name; use 'auto', 'cpu', 'cuda' or 'cuda:N'"
        raise DeviceError(msg) from error
    if resolved.type not in KINDS:
        msg = f"device {device!r} cannot be painted on; use 'auto', 'cpu', 'cuda' or 'cuda:N'"
        raise DeviceError(msg)
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        msg = f"device {device!r} asked for, but this machine has {found} CUDA devices; use 'cpu' or 'auto'"
        raise DeviceError(msg)
    return resolved


def bf16_is_fast(device: torch.device) -> bool:
    """Say whether the hardware multiplies in half precision: CUDA with bf16, CPU with AVX-512 BF16 or AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())
