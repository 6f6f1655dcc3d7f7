# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Old names work and warn once; both names at once are refused."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import pytest

from anomalib_stage import StageAugment, StageBundle, StageSynthesizer, StageTransform, SynthesisSettings
from anomalib_stage.deprecated import arguments
from anomalib_stage.deprecated.arguments import OldNameWarning, accept_old_names, keyword_only, rename_settings
from anomalib_stage.deprecated.names import ARGUMENTS, SYNTHESIS
from anomalib_stage.errors import InputError, StageError
from anomalib_stage.pregeneration.run import pregenerate
from anomalib_stage.preview.preview import preview
from anomalib_stage.training.fit import fit
from anomalib_stage.training.latent.fit import fit_latent


def _taking(name: str) -> Any:
    """A function of that name, which returns what it was given."""

    def function(**given: Any) -> dict[str, Any]:
        return given

    function.__qualname__ = name
    return accept_old_names(function)


CASES = [(name, old, new) for name, names in ARGUMENTS.items() for old, new in names.items()]


@pytest.mark.parametrize(("name", "old", "new"), CASES)
def test_an_old_argument_is_the_new_one(name: str, old: str, new: str) -> None:
    with pytest.warns(OldNameWarning, match=f"the argument {old} is called {name}: the argument {new} now") as said:
        assert _taking(name)(**{old: 3, "seed": 1}) == {new: 3, "seed": 1}
    assert len(said) == 1
    assert said[0].filename == __file__  # the line that used it, for Python shows such warnings there alone


@pytest.mark.parametrize(("name", "old", "new"), CASES)
def test_both_are_refused(name: str, old: str, new: str) -> None:
    with pytest.raises(InputError, match=f"{old} is the old name of .*{new}; give one of them"):
        _taking(name)(**{old: 3, new: 3})


def test_a_function_keeps_its_signature() -> None:
    def function(*, data: int = 3) -> int:
        return data

    function.__qualname__ = "fit"
    assert inspect.signature(accept_old_names(function)) == inspect.signature(function)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert accept_old_names(function)(data=4) == 4


def test_functions_say_what_they_take() -> None:
    for function, old in ((fit, "normal"), (fit_latent, "include"), (pregenerate, "steps"), (preview, "steps")):
        said = f"{function.__name__}: the argument {old} is called"
        with pytest.warns(OldNameWarning, match=said), pytest.raises((TypeError, StageError)):  # more is needed
            function(**{old: 4})


def test_the_synthesizer_takes_its_settings_under_the_old_name(tiny_bundle: StageBundle) -> None:
    settings = {"gate": {"trim": True}}
    with pytest.warns(OldNameWarning, match="StageSynthesizer: the argument settings is called"):
        old = StageSynthesizer(tiny_bundle, device="cpu", settings=settings)
    new = StageSynthesizer(tiny_bundle, device="cpu", synthesis=settings)
    assert old.settings == new.settings == SynthesisSettings(**settings)


@pytest.mark.parametrize(("old", "new"), SYNTHESIS.items())
def test_an_old_setting_is_the_new_one(old: str, new: str) -> None:
    def nested(name: str, value: object) -> dict[str, Any]:
        *folder, leaf = name.split(".")
        return {folder[0]: {leaf: value}} if folder else {leaf: value}

    with pytest.warns(OldNameWarning, match=f"the setting {old} is called the setting {new} now") as said:
        assert rename_settings(nested(old, 0.5)) == nested(new, 0.5)
    assert len(said) == 1
    both = nested(old, 0.5)
    for key, value in nested(new, 0.5).items():
        both[key] = both[key] | value if isinstance(value, dict) else value
    with pytest.raises(InputError, match=f"the setting {old} is the old name of the setting {new}"):
        rename_settings(both)


def test_an_argument_without_its_name_still_arrives(bank: Path) -> None:
    with pytest.warns(OldNameWarning, match=r"StageAugment\(value\) is called StageAugment\(weights=value\)") as said:
        assert StageAugment("mine.safetensors").weights == "mine.safetensors"
    assert [warning.filename for warning in said] == [__file__]
    with pytest.warns(OldNameWarning, match=r"StageTransform\(value\) is called StageTransform\(bank=value\)"):
        assert StageTransform(bank).bank is not None


@pytest.mark.parametrize(("given", "named"), [((1, 2), {}), ((1,), {"first": 1})])
def test_more_of_them_are_refused_as_python_does(given: tuple[int, ...], named: dict[str, int]) -> None:
    class Thing:
        @keyword_only("first")
        def __init__(self, *, first: int = 0) -> None:
            self.first = first

    with pytest.raises(TypeError, match="positional argument"):
        Thing(*given, **named)


def test_the_line_outside_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "PACKAGE", "nowhere")
    with pytest.warns(OldNameWarning) as said:
        arguments.warn_old("one", "another")
    assert said[0].filename == arguments.__file__
