# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What users may import, and what importing costs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import anomalib_stage

ROOT = Path(__file__).parents[1]
HEAVY = "{'torch', 'torchvision', 'diffusers', 'lightning', 'anomalib', 'cv2', 'pydantic'}"


def _in_fresh_python(code: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_all_is_what_is_visible() -> None:
    assert dir(anomalib_stage) == anomalib_stage.__all__
    assert anomalib_stage.__all__ == [
        "BundleError",
        "DataError",
        "DeviceError",
        "InputError",
        "MissingPackageError",
        "Pair",
        "Segmenter",
        "StageAugment",
        "StageBundle",
        "StageDemo",
        "StageError",
        "StageFolder",
        "StageSynthesizer",
        "StageTransform",
        "SynthesisSettings",
        "UnsupportedModelError",
        "__version__",
        "stage_collate",
    ]


@pytest.mark.parametrize("name", [name for name in anomalib_stage.__all__ if name != "__version__"])
def test_every_name_is_documented_and_called_so(name: str) -> None:
    value = getattr(anomalib_stage, name)
    assert isinstance(value, type) or name == "stage_collate"
    assert value.__name__ == name
    assert value.__doc__


def test_a_name_is_the_same_object_each_time() -> None:
    from anomalib_stage.pipeline.synthesizer import Pair

    assert anomalib_stage.Pair is Pair


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'StageNothing'"):
        _ = anomalib_stage.StageNothing
    with pytest.raises(ImportError):
        from anomalib_stage import StageNothing  # noqa: F401


@pytest.mark.parametrize("module", ["anomalib_stage", "anomalib_stage.cli"])
def test_importing_is_cheap(module: str) -> None:
    assert _in_fresh_python(f"import sys, {module}; print(sorted({HEAVY} & sys.modules.keys()))") == "[]"


def test_errors_are_there_without_anything_heavy() -> None:
    code = f"import sys; from anomalib_stage import InputError; print(sorted({HEAVY} & sys.modules.keys()))"
    assert _in_fresh_python(code) == "[]"


def test_version_is_a_version_and_stands_in_one_place() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", anomalib_stage.__version__)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in project
    assert anomalib_stage.__version__ not in project


def test_types_are_for_users_too() -> None:
    assert Path(anomalib_stage.__file__).with_name("py.typed").is_file()
