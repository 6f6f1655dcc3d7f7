# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What ``fit`` can be told, and how it says what it cannot."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from anomalib_stage.errors import InputError
from anomalib_stage.training.latent.settings import LatentFitSettings
from anomalib_stage.training.settings import FitSettings, build_fit_settings

OUT = Path("mine.safetensors")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"batch_size": 0}, r"--batch-size is 0; it must be in \[1, 16384\]"),
        ({"max_steps": 0}, "--max-steps is 0; it must be at least 1"),
        ({"held_out": -0.1}, r"--held-out is -0.1; it must be in \[0, 0.5\]"),
        ({"learning_rate": float("inf")}, "--learning-rate is inf; it must be above 0"),
        ({"rotate": "often"}, "--rotate is 'often'; it must be 'auto', 'always' or 'never'"),
        ({"seed": 1.5}, "--seed is 1.5; it must be a valid integer"),
        ({"max_time": "1:2"}, "--max-time is '1:2'; give hours, minutes and seconds as HH:MM:SS"),
        ({"sead": 1}, "--sead is no option of fit; there are out, data, "),
        ({"freeze": True}, "--freeze learns new defects .*--defect-dir and --defect-mask-dir, and a --base other"),
        ({"batch_size": 0, "patience": -1}, "--batch-size is 0; .*; --patience is -1; it must be at least 0"),
    ],
)
def test_a_bad_value_is_said_in_the_words_of_the_command_line(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        build_fit_settings(out=OUT, **options)


def test_where_to_is_needed() -> None:
    with pytest.raises(InputError, match="^--out is required$"):
        build_fit_settings()


def test_options_change_settings() -> None:
    first = FitSettings(out=OUT, seed=3, batch_size=4)
    assert build_fit_settings(first) == first
    assert build_fit_settings(first, seed=4) == FitSettings(out=OUT, seed=4, batch_size=4)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, timedelta(minutes=20)),
        ({"max_steps": 10}, None),
        ({"max_steps": 10, "max_time": "01:00:05"}, timedelta(hours=1, seconds=5)),
        ({"max_time": "00:90:00"}, timedelta(minutes=90)),
    ],
)
def test_time_is_a_limit_unless_steps_are(options: dict[str, Any], limit: timedelta | None) -> None:
    assert FitSettings(out=OUT, **options).limit == limit


def test_the_working_folder_stands_beside_the_bundle() -> None:
    assert FitSettings(out=Path("a/mine.safetensors")).folder == Path("a/mine-fit")
    assert FitSettings(out=OUT, workdir=Path("w")).folder == Path("w")


def test_an_adapter_can_be_given_by_its_name() -> None:
    assert LatentFitSettings(adapter="published") == LatentFitSettings(adapter={"name": "published"})
