# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""One builder makes settings of options and of ``synthesis``."""

from __future__ import annotations

from typing import Any

import pytest

from anomalib_stage.errors import InputError
from anomalib_stage.settings import (
    GateSettings,
    MaskSettings,
    SamplerSettings,
    SynthesisSettings,
    build_settings,
)

OPTIONS: dict[str, tuple[Any, Any, SynthesisSettings]] = {
    "sampling_steps": (6, {"sampler": {"steps": 6}}, SynthesisSettings(sampler=SamplerSettings(steps=6))),
    "strength": ((0.5, 1.0), {"strength": [0.5, 1.0]}, SynthesisSettings(strength=(0.5, 1.0))),
    "foreground": (
        "none",
        {"masks": {"foreground": "none"}},
        SynthesisSettings(masks=MaskSettings(foreground="none")),
    ),
    "extent": ((0.1, 0.2), {"masks": {"extent": [0.1, 0.2]}}, SynthesisSettings(masks=MaskSettings(extent=(0.1, 0.2)))),
    "min_visibility": (
        0.5,
        {"gate": {"min_visibility": 0.5}},
        SynthesisSettings(gate=GateSettings(min_visibility=0.5)),
    ),
    "trim": (True, {"gate": {"trim": True}}, SynthesisSettings(gate=GateSettings(trim=True))),
}
OTHER = {
    "sampling_steps": 7,
    "strength": (0.4, 1.0),
    "foreground": "auto",
    "extent": (0.1, 0.3),
    "min_visibility": 0.0,
    "trim": False,
}


def test_nothing_said_is_the_defaults() -> None:
    assert build_settings() == build_settings({}) == build_settings(SynthesisSettings()) == SynthesisSettings()


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_is_a_setting(option: str) -> None:
    value, tree, expected = OPTIONS[option]
    assert build_settings(**{option: value}) == build_settings(tree) == build_settings(expected) == expected
    assert build_settings(tree, **{option: value}) == build_settings(expected, **{option: value}) == expected


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_and_a_setting_that_differ_are_refused(option: str) -> None:
    _, tree, settings = OPTIONS[option]
    for synthesis in (tree, settings):
        with pytest.raises(InputError, match=f"^{option} is .*, but synthesis says .*; give one of them$"):
            build_settings(synthesis, **{option: OTHER[option]})


def test_options_add_to_settings_that_say_something_else() -> None:
    built = build_settings({"sampler": {"clip": 0.0}, "margin": 12}, sampling_steps=5, trim=True)
    assert built == SynthesisSettings(
        sampler=SamplerSettings(steps=5, clip=0.0), margin=12, gate=GateSettings(trim=True)
    )
    same = build_settings(SynthesisSettings(sampler=SamplerSettings(clip=0.0), margin=12), sampling_steps=5, trim=True)
    assert same == built


def test_what_was_given_is_not_changed() -> None:
    tree: dict[str, Any] = {"masks": {"extent": [0.1, 0.2]}}
    build_settings(tree, foreground="none", sampling_steps=4)
    assert tree == {"masks": {"extent": [0.1, 0.2]}}


def test_parts_may_be_models() -> None:
    built = build_settings({"gate": GateSettings(max_tries=2)}, trim=True)
    assert built.gate == GateSettings(max_tries=2, trim=True)


@pytest.mark.parametrize(
    ("synthesis", "options", "complaint"),
    [
        ({"masks": 3}, {}, "masks: .*got 3"),
        ({"masks": 3}, {"foreground": "none"}, "masks: .*got 3"),
        ([1], {}, r"synthesis is \[1\]; give a mapping of settings"),
        ({"sampler": {"stepps": 4}}, {}, "sampler.stepps: Extra inputs"),
        ({"masks": {"extent": [0.5, 0.1]}}, {}, r"extent \(0.5, 0.1\) is empty; give"),
        ({"strength": [0.9, 0.1]}, {}, r"strength \(0.9, 0.1\) is empty; give"),
        ({"sampler": {"windows": [[0.4, 0.3]]}}, {}, r"window \(0.4, 0.3\) is empty"),
        (None, {"sampling_steps": 3}, "sampler.steps: .*greater than or equal to 4, got 3"),
        (None, {"min_visibility": -1.0, "foreground": "all"}, "masks.foreground: .*; gate.min_visibility: "),
    ],
)
def test_a_bad_value_is_one_sentence(synthesis: Any, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        build_settings(synthesis, **options)
