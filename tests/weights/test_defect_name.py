# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a defect may be called: one rule, and every name that keeps it works from fit's network to the loaded bundle."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from anomalib_stage.rendering.defect_types.painters import DEFECT_SHAPES
from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser
from anomalib_stage.synthesis.diffusion.schedule import COMPACT_SCHEDULE, Schedule
from anomalib_stage.training.export import export_bundle
from anomalib_stage.training.network.module import GradedDiffusion
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.compact import load_denoiser
from anomalib_stage.weights.defect_name import RULE, explain_name
from anomalib_stage.weights.manifest import DefectSpec
from tests.conftest import TINY_CONFIG

TAKEN = sorted({*dir(nn.ParameterDict()), *vars(nn.ParameterDict()), "_extra_state"})
NAMES = st.sampled_from(TAKEN) | st.text(st.characters(codec=None), max_size=80)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is empty"),
        ("a" * 65, "has 65 characters"),
        (" rust", "begins with a blank"),
        ("\nrust", "begins with a blank"),
        ("v1.2", "has a dot"),
        ("a/b", "has a slash"),
        ("a\\b", "has a backslash"),
        ("ru\nst", "has a control character"),
        ("ru\x85st", "has a control character"),
        ("ru\u2028st", "has a line break"),
        (os.fsdecode(b"ru\xffst"), "has a byte that is not UTF-8"),
        ("a" * 64, ""),
        ("double", ""),
        ("Kratzer, groß (2)", ""),
        ("划痕", ""),
    ],
)
def test_the_rule_says_what_is_wrong_with_a_name(name: str, why: str) -> None:
    assert explain_name(name) == why


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES, min_size=1, max_size=4, unique=True))
@example(names=TAKEN)
@example(names=["training", "double", "half", "copy", "to", "_extra_state", "keys"])
def test_a_bundle_of_any_names_is_written_and_read_or_refused_with_the_rule(tmp_path: Path, names: list[str]) -> None:
    network = CompactDenoiser(names, config=TINY_CONFIG)
    module = GradedDiffusion(
        network, schedule=Schedule(COMPACT_SCHEDULE), defects=names, learning_rate=1e-3, max_steps=1
    )
    bad = [name for name in names if explain_name(name)]
    shapes = dict.fromkeys(names, DEFECT_SHAPES["good"])

    if bad:
        with pytest.raises(ValidationError, match=f"{RULE}|valid string"):  # pydantic itself refuses lone surrogates
            export_bundle(module, shapes, appearances={}, bank={}, parent=None, summary={})
        return
    exported = export_bundle(module, shapes, appearances={}, bank={}, parent=None, summary={})
    bundle = StageBundle.load(exported.save(tmp_path / "named.safetensors"))
    assert list(bundle.defects) == names
    loaded = load_denoiser(bundle)
    for name in names:
        assert torch.equal(loaded.condition([name])[0], network.conditions[name])


def test_a_name_of_0_1_0_is_still_a_name() -> None:
    for name in ("a-b", "ein Riss", "x" * 64, "capsule+crack", "rust "):
        assert DefectSpec(name=name, shapes=("blob",)).name == name
