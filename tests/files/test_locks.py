# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from anomalib_stage.errors import DataError
from anomalib_stage.files.locks import locked

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="every lock is granted there")


def test_many_may_work_and_one_alone_may_end(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.touch()
    with locked(path, shared=True) as one, locked(path, shared=True) as other, locked(path) as alone:
        assert (one, other, alone) == (True, True, False)
    with locked(path) as alone, locked(path, shared=True) as other:
        assert (alone, other) == (True, False)
    with locked(path) as again:
        assert again


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="job.json: cannot be opened for writing"), locked(tmp_path / "job.json"):
        pass
