# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""How large the compact denoiser is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anomalib_stage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMPACT_CONFIG", "check_config"]

COMPACT_CONFIG: dict[str, Any] = {
    "factor": 2,
    "block_out_channels": [64, 96, 128],
    "layers_per_block": 1,
    "norm_num_groups": 8,
}
"""Configuration of the bundled compact denoiser; ``factor`` is the codec's space-to-depth factor."""

LEVELS = 8
"""Most widths, one for each level of the network."""

MOST = {"factor": 16, "layers_per_block": 16}
"""Most of what multiplies the network's size."""


def check_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration that has the entries of :data:`COMPACT_CONFIG`, each a number that can be built.

    Raises:
        InputError: If it has others, or a value out of range.
    """
    if set(config) != set(COMPACT_CONFIG):
        msg = f"denoiser configuration has the entries {sorted(config)}; it must have exactly {sorted(COMPACT_CONFIG)}"
        raise InputError(msg)
    widths = config["block_out_channels"]
    if not isinstance(widths, list | tuple) or not 1 <= len(widths) <= LEVELS:
        msg = f"denoiser configuration: block_out_channels is {widths!r}; it must be a list of 1 to {LEVELS} numbers"
        raise InputError(msg)
    counts = [config["factor"], config["layers_per_block"], config["norm_num_groups"], *widths]
    if not all(type(value) is int and 1 <= value <= 4096 for value in counts):
        msg = f"denoiser configuration {dict(config)} has a value outside 1..4096; all are whole numbers in that range"
        raise InputError(msg)
    for name, most in MOST.items():
        if config[name] > most:
            msg = f"denoiser configuration: {name} is {config[name]}; at most {most} is allowed"
            raise InputError(msg)
    return dict(config)
