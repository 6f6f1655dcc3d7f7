# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the configurations in a manifest are of a believable size, before anything is built. No torch here."""

from __future__ import annotations

import math
import reprlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["check_config_numbers", "check_nesting", "check_schedule", "walk_values"]

DEEPEST = 32
"""Most levels of lists and mappings in one another."""

MOST_VALUES = 2_000_000
"""Most values in a manifest or configuration, lists and mappings counted too."""

MOST_SETTINGS = 100_000
"""Most values in the configuration of a network or a noise schedule."""

LARGEST = 2**31
"""Largest believable number in a configuration of networks."""

COUNTS = {
    "layers_per_block": (1, 16),
    "transformer_layers_per_block": (0, 32),
    "reverse_transformer_layers_per_block": (0, 32),
    "num_res_blocks": (1, 16),
    "transformer_depth": (0, 32),
    "block_out_channels": (1, 8192),
    "model_channels": (1, 8192),
    "ch": (1, 8192),
    "latent_channels": (1, 1024),
    "z_channels": (1, 1024),
    "in_channels": (1, 8192),
    "out_channels": (1, 8192),
    "out_ch": (1, 8192),
    "channel_mult": (1, 64),
    "ch_mult": (1, 64),
}
"""Entries that decide how much is built, and the range of each, or of each of its numbers."""

LEVELS = 12
"""Most numbers in one entry of them, and most blocks of a network."""

STEPS = (4, 10_000)
"""Training time steps of a noise schedule."""

PREDICTIONS = ("epsilon", "v_prediction")


def walk_values(content: object) -> Iterator[tuple[str, object, int]]:
    """Yield every value in nested lists and mappings with its dotted name and depth, without recursion."""
    waiting: list[tuple[str, object, int]] = [("", content, 0)]
    while waiting:
        name, value, depth = waiting.pop()
        yield name, value, depth
        inner = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
        )
        waiting += [(f"{name}.{key}" if name else str(key), part, depth + 1) for key, part in inner]


def check_nesting(content: object, *, what: str, most: int = MOST_VALUES) -> None:
    """Refuse what is nested so deep, or holds so much, that working with it would not end.

    Args:
        content (object): Lists and mappings; they may hold themselves, or one another many times.
        what (str): What messages call it.
        most (int): Most values.

    Raises:
        ValueError: Says which bound is exceeded.
    """
    for count, (_, _, depth) in enumerate(walk_values(content)):
        if depth > DEEPEST or count > most:
            bound = f"{DEEPEST} levels of lists and mappings" if depth > DEEPEST else f"{most} values"
            msg = f"{what} holds more than {bound}"
            raise ValueError(msg)


def check_config_numbers(config: Mapping[str, Any], *, field: str) -> None:
    """Refuse numbers in the configuration of a network that are not finite, or of no believable size.

    Args:
        config (Mapping[str, Any]): The configuration.
        field (str): What messages call it.

    Raises:
        ValueError: Names the entry, the value and what is allowed.
    """
    check_nesting(config, what=field, most=MOST_SETTINGS)
    for name, value, _ in walk_values(config):
        if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= LARGEST):
            msg = f"{field}.{name} is {reprlib.repr(value)}; numbers from {-LARGEST} to {LARGEST} are allowed"
            raise ValueError(msg)
        if isinstance(value, list | tuple) and name.rpartition(".")[2].endswith("block_types") and len(value) > LEVELS:
            msg = f"{field}.{name} has {len(value)} blocks; at most {LEVELS} are allowed"
            raise ValueError(msg)
        _check_count(f"{field}.{name}", name.rpartition(".")[2], value)


def _check_count(where: str, entry: str, value: object) -> None:
    if entry not in COUNTS or value is None:
        return
    numbers = [number for _, number, _ in walk_values(value) if not isinstance(number, list | tuple)]
    least, most = COUNTS[entry]
    fits = all(type(number) is int and least <= number <= most for number in numbers)
    if not fits or not 1 <= len(numbers) <= LEVELS:
        msg = f"{where} is {reprlib.repr(value)}; 1 to {LEVELS} whole numbers from {least} to {most} are allowed"
        raise ValueError(msg)


def check_schedule(schedule: Mapping[str, Any]) -> None:
    """Refuse a noise schedule with numbers that are not finite or out of range, or of an unknown prediction.

    Args:
        schedule (Mapping[str, Any]): Arguments of a diffusers scheduler; those that are absent have its defaults.

    Raises:
        ValueError: Names the entry, the value and what is allowed.
    """
    steps = schedule.get("num_train_timesteps", 1000)
    if type(steps) is not int or not STEPS[0] <= steps <= STEPS[1]:
        msg = f"num_train_timesteps is {reprlib.repr(steps)}; a whole number from {STEPS[0]} to {STEPS[1]} is allowed"
        raise ValueError(msg)
    for name in ("beta_start", "beta_end"):
        _check_beta(name, schedule.get(name, 0.01))
    betas = schedule.get("trained_betas")
    if betas is not None:
        if not isinstance(betas, list | tuple) or len(betas) != steps:
            msg = (
                f"trained_betas is {reprlib.repr(betas)}; a list of {steps} numbers, one for each time step, is allowed"
            )
            raise ValueError(msg)
        for i, beta in enumerate(betas):
            _check_beta(f"trained_betas.{i}", beta, most=1.0)
    prediction = schedule.get("prediction_type", PREDICTIONS[0])
    if prediction not in PREDICTIONS:
        msg = f"prediction_type is {reprlib.repr(prediction)}; {' or '.join(map(repr, PREDICTIONS))} is allowed"
        raise ValueError(msg)
    if type(schedule.get("rescale_betas_zero_snr", False)) is not bool:
        msg = f"rescale_betas_zero_snr is {reprlib.repr(schedule['rescale_betas_zero_snr'])}; true or false is allowed"
        raise ValueError(msg)
    check_config_numbers(schedule, field="schedule")


def _check_beta(name: str, value: object, *, most: float = 0.9999) -> None:
    if type(value) not in {int, float} or not 0.0 < value <= most:  # type: ignore[operator]  # NaN compares as False
        msg = f"{name} is {reprlib.repr(value)}; a number above 0 and at most {most} is allowed"
        raise ValueError(msg)
