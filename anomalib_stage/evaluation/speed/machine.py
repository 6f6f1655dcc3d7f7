# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a speed benchmark was run on, and with what."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from anomalib_stage._version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["describe_run"]

PACKAGES = ("torch", "diffusers", "anomalib", "lightning", "numpy", "opencv-python-headless")
"""Packages whose versions are reported."""


def describe_run(asked: Mapping[str, Any], device: torch.device, *, defaults: Mapping[str, Any]) -> dict[str, str]:
    """Say what was run, where, and with what."""
    words = ["anomalib-stage benchmark-speed"]
    for name, value in asked.items():
        default = defaults[name]
        if value != (list(default) if isinstance(default, tuple) else default):
            shown = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            words.append(f"--{name.replace('_', '-')} {Path(shown).name if name == 'weights' else shown}")
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return {
        "command": f"`{' '.join(words)}`",
        "machine": _describe_machine(device),
        "versions": f"anomalib-stage {__version__}, Python {platform.python_version()}, {versions}",
    }


def _describe_machine(device: torch.device) -> str:
    cores, threads = os.cpu_count(), torch.get_num_threads()
    processor = f"{_read_processor()}, {cores} cores, {threads} {'thread' if threads == 1 else 'threads'}"
    return f"{torch.cuda.get_device_name(device)}; {processor}" if device.type == "cuda" else processor


def _read_processor() -> str:
    """Return the name of the processor, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
