# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Condition vectors under names of every sort: none is an attribute."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from anomalib_stage.errors import InputError
from anomalib_stage.synthesis.condition_vectors import ConditionVectors

TAKEN = sorted({*dir(nn.ParameterDict()), *vars(nn.ParameterDict()), "_extra_state", "_keys", "items", "select"})
NAMES = st.dictionaries(st.sampled_from(TAKEN) | st.text(), st.integers(-9, 9), max_size=6)


def build(numbers: dict[str, int]) -> ConditionVectors:
    return ConditionVectors({name: torch.full((3,), float(number)) for name, number in numbers.items()})


@settings(max_examples=200, deadline=None)
@given(NAMES)
@example(dict.fromkeys(TAKEN, 1))
@example({"a.b": 1, "a": 2, "": 3, "conditions.a": 4, "\udcff": 5})
def test_vectors_of_any_names_are_kept_moved_stored_and_loaded(numbers: dict[str, int]) -> None:
    vectors = build(numbers)
    assert list(vectors) == sorted(numbers)
    assert {name: vector[0].item() for name, vector in vectors.items()} == numbers
    parent = nn.Module()
    parent.conditions = vectors
    state = parent.state_dict()
    assert list(state) == [f"conditions.{name}" for name in sorted(numbers)]  # as nn.ParameterDict wrote them
    assert len(list(parent.parameters())) == len(numbers)
    other = nn.Module()
    other.conditions = build(dict.fromkeys(numbers, 0))
    other.double().load_state_dict(state)
    assert {name: vector[0].item() for name, vector in copy.deepcopy(other.conditions).items()} == numbers
    assert all(vector.dtype == torch.float64 for vector in other.conditions.values())
    stored = io.BytesIO()
    torch.save(vectors.half().train().state_dict(), stored)
    stored.seek(0)
    assert list(torch.load(stored, weights_only=True)) == sorted(numbers)


@settings(max_examples=50, deadline=None)
@given(NAMES)
def test_what_is_missing_or_strange_is_still_refused(numbers: dict[str, int]) -> None:
    vectors = build(numbers | {"one more": 1})
    with pytest.raises(RuntimeError, match="Missing key"):
        vectors.load_state_dict(build(numbers).state_dict())
    with pytest.raises(RuntimeError, match="Unexpected key"):
        build(numbers).load_state_dict(vectors.state_dict())


def test_the_order_is_that_of_parameter_dict_so_that_old_checkpoints_load() -> None:
    numbers = {"stain": 1, "good": 2, "Rust": 3}
    before = nn.ParameterDict({name: nn.Parameter(torch.zeros(3)) for name in numbers})
    assert [name for name, _ in build(numbers).named_parameters()] == [name for name, _ in before.named_parameters()]


def test_vectors_are_selected_by_name() -> None:
    vectors = build({"b": 1, "a": 2})
    assert vectors.select(["b", "a", "b"])[:, 0].tolist() == [1.0, 2.0, 1.0]
    with pytest.raises(InputError, match="unknown defect 'double'; this bundle knows a, b"):
        vectors.select(["double"])


@pytest.mark.parametrize("name", ["scratch", "training", "double", "v1.2"])
def test_vectors_without_weights_take_those_that_are_assigned(name: str) -> None:
    with torch.device("meta"):
        vectors = ConditionVectors({name: torch.zeros(4)})
    vectors.load_state_dict({name: torch.ones(4)}, assign=True)
    assert torch.equal(vectors[name], torch.ones(4))
    assert vectors.training is True
