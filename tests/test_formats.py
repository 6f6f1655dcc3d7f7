# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The page of formats is what happens."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytestmark = [  # anomalib's reader leaves files of several pages open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SCRIPT = Path(__file__).parents[1] / "docs" / "measure" / "formats.py"
PAGE = SCRIPT.parents[1] / "reference" / "formats.md"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("formats_page", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["PNG grey + alpha", "TIFF 12 bit in 16", "TIFF 12 bit RGB in 16"])
def test_a_row_of_the_page_is_what_happens(script: Any, kind: str) -> None:
    (row,) = script.build_rows([kind])
    assert row in PAGE.read_text().splitlines()


def test_the_page_has_a_row_for_every_format_and_refuses_only_what_anomalib_misreads(script: Any) -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    rows = {cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)}
    assert list(rows) == [*script.EIGHT_BIT, *script.DEEP]
    for kind, cells in rows.items():
        assert set(cells) <= {"yes", "no (1)", "no (2)"}, kind
        assert all(cell == "yes" for cell in cells[2:]), kind  # offline everything works
        assert kind in script.DEEP or set(cells) == {"yes"}


@pytest.mark.slow
def test_the_page_is_what_its_script_writes(script: Any) -> None:
    assert script.build_page() == PAGE.read_text()
