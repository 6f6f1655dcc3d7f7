# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Changed bundles and checkpoints are refused with a message, or paint finite pixels: a short run, and a long one.

The long one takes as many of each category as ANOMALIB_STAGE_FUZZ says (100 if unset); ``python -m tests.fuzz`` prints
its table.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz.__main__ import MAKERS
from tests.fuzz.campaign import HEADER, run_campaign

SHORT = {"compact": 8, "latent": 4, "checkpoints": 2}
LONG = int(os.environ.get("ANOMALIB_STAGE_FUZZ", "20"))


def check(kind: str, count: int, folder: Path, *, seed: int) -> None:
    tallies = run_campaign(MAKERS[kind](folder), count=count, seed=seed)
    print(HEADER, *(tally.format(f"{kind}: {name}") for name, tally in tallies.items()), sep="\n")
    assert {name: tally.faults for name, tally in tallies.items() if tally.faults} == {}
    assert all(tally.counts["refused"] + tally.counts["accepted"] == count for tally in tallies.values())
    assert any(tally.counts["refused"] for tally in tallies.values())


@pytest.mark.parametrize("kind", SHORT)
def test_a_changed_file_is_refused_or_paints_finite_pixels(kind: str, tmp_path: Path) -> None:
    check(kind, SHORT[kind], tmp_path, seed=10**6)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("kind", SHORT)
def test_many_changed_files_are_refused_or_paint_finite_pixels(kind: str, tmp_path: Path) -> None:
    check(kind, LONG, tmp_path, seed=0)
