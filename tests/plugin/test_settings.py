# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of the callback and the transform that became settings, or had another name."""

from __future__ import annotations

from typing import Any

import pytest

from anomalib_stage import StageAugment, StageTransform, SynthesisSettings
from anomalib_stage.deprecated.arguments import OldNameWarning
from anomalib_stage.errors import InputError

OLD: dict[str, tuple[Any, dict[str, Any]]] = {
    "extent": ((0.1, 0.2), {"synthesis": {"masks": {"extent": [0.1, 0.2]}}}),
    "min_visibility": (0.0, {"synthesis": {"gate": {"min_visibility": 0.0}}}),
    "trim": (False, {"synthesis": {"gate": {"trim": False}}}),
    "steps": (6, {"sampling_steps": 6}),
}


@pytest.mark.parametrize("owner", [StageAugment, StageTransform])
@pytest.mark.parametrize("name", OLD)
def test_an_old_argument_is_what_it_became(name: str, owner: Any) -> None:
    value, new = OLD[name]
    with pytest.warns(
        OldNameWarning, match=f"{owner.__name__}: the argument {name} is called {next(iter(new))}"
    ) as said:
        old = owner(**{name: value})
    assert [warning.filename for warning in said] == [__file__]
    assert old.settings == owner(**new).settings


@pytest.mark.parametrize("owner", [StageAugment, StageTransform])
def test_an_old_argument_beside_the_new_one_is_refused(owner: Any) -> None:
    with pytest.warns(OldNameWarning), pytest.raises(InputError, match="steps is the old name of sampling_steps"):
        owner(steps=4, sampling_steps=4)
    with pytest.warns(OldNameWarning), pytest.raises(InputError, match="trim is True, but synthesis says gate.trim Fa"):
        owner(trim=True, synthesis={"gate": {"trim": False}})


@pytest.mark.parametrize(
    ("old", "new", "read"),
    [
        ({"mode": "batch"}, "batch", ("batch", None)),
        ({"mode": "swap"}, "swap", ("swap", None)),
        ({"mode": "auto"}, "auto", ("auto", None)),
        ({"mode": "swap", "target": "inner.maker"}, "swap:inner.maker", ("swap", "inner.maker")),
        ({"target": "inner.maker"}, "swap:inner.maker", ("swap", "inner.maker")),
    ],
)
def test_mode_and_target_are_one_seam(old: dict[str, str], new: str, read: tuple[str, str | None]) -> None:
    with pytest.warns(OldNameWarning, match="seam=") as said:
        before = StageAugment(**old)
    assert len(said) == len(old)
    after = StageAugment(seam=new)
    assert (before.mode, before.target) == (after.mode, after.target) == read


@pytest.mark.parametrize(
    "given", [{"mode": "batch", "target": "maker"}, {"mode": "batch", "seam": "swap"}, {"target": "m", "seam": "batch"}]
)
def test_seams_that_contradict_each_other_are_refused(given: dict[str, str]) -> None:
    with pytest.warns(OldNameWarning), pytest.raises(InputError, match="and nothing else"):
        StageAugment(**given)


@pytest.mark.parametrize("owner", [StageAugment, StageTransform])
def test_any_setting_can_be_given(owner: Any) -> None:
    tree = {"masks": {"foreground": "none"}, "match_grain": False, "strength": [0.5, 1]}
    for synthesis in (tree, SynthesisSettings(**tree)):
        settings = owner(synthesis=synthesis, sampling_steps=5).settings
        assert settings == SynthesisSettings(**tree, sampler={"steps": 5})
    with pytest.raises(InputError, match="foreground is 'auto', but synthesis says masks.foreground 'none'"):
        owner(synthesis=tree, foreground="auto")
    with pytest.warns(OldNameWarning, match="own_grain"):
        assert not owner(synthesis={"own_grain": False}).settings.match_grain


def test_a_folder_of_foregrounds_takes_the_place_of_the_synthesizers_own(tmp_path: Any) -> None:
    assert StageAugment().foreground == "auto"
    assert StageAugment(foreground=str(tmp_path)).settings.masks.foreground == "none"
