# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The recipe for a loop of one's own, as it stands, and what its page says."""

from __future__ import annotations

import math
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png
from tests.conftest import grain

if TYPE_CHECKING:
    from torch import Tensor

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "recipes" / "own_loop.py"
PAGE = ROOT / "docs" / "how-to" / "your-own-loop.md"


@pytest.fixture(scope="module")
def runs(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[tuple[float, Tensor]]]:
    """Run it twice from an empty folder, without data and without options but those that make it short."""
    short = ["--size", "32", "--epochs", "2", "--weights", str(tiny_bundle_path), "--device", "cpu"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        with torch.random.fork_rng(devices=[]):
            main = runpy.run_path(str(SCRIPT))["main"]
            return [list(main(short)) for _ in range(2)]


def test_masks_differ_from_batch_to_batch(runs: list[list[tuple[float, Tensor]]]) -> None:
    masks = [mask for _, batch in runs[0] for mask in batch if mask.any()]
    assert len(masks) >= 4 * len(runs[0]) - 2  # half of each batch of eight; some find no visible place
    assert not any(torch.equal(one, other) for i, one in enumerate(masks) for other in masks[:i])


def test_two_runs_are_equal(runs: list[list[tuple[float, Tensor]]]) -> None:
    one, other = runs
    assert [loss for loss, _ in one] == [loss for loss, _ in other]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(one, other, strict=True))


def test_the_loss_is_finite_and_falls(runs: list[list[tuple[float, Tensor]]]) -> None:
    losses = [loss for loss, _ in runs[0]]
    assert len(losses) == 12
    assert all(map(math.isfinite, losses))
    assert sum(losses[-3:]) < sum(losses[:3]) - 0.3


def test_good_surface_painted_anew_has_no_mask(tiny_bundle_path: Path) -> None:
    script = runpy.run_path(str(SCRIPT))
    load = script["StageSynthesizer"].from_pretrained
    synthesizer = load(tiny_bundle_path, device="cpu", synthesis={"sampler": {"steps": 4}})
    images = torch.rand(8, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    painted, masks = script["paint"](synthesizer, images)
    changed = (painted != images).flatten(1).any(dim=1)
    assert changed[4]
    assert not changed[5:].any()
    assert not masks[4:].any()
    for count in (0, 1):  # a last batch that is too short to have a half
        few, none = script["paint"](synthesizer, images[:count])
        assert torch.equal(few, images[:count])
        assert none.shape == (count, 1, 48, 48)


def blocks_of_the_page() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it in one go, on small pictures."""
    monkeypatch.chdir(tmp_path)
    small, code = "size, epochs, folder = 64, 2, ", "\n".join(blocks_of_the_page())
    assert "size, epochs, folder = 256, 20, " in code
    for i in range(8):  # a batch
        write_file(tmp_path / "datasets/tiles/train/good" / f"{i}.png", encode_png(grain(64, 64, seed=i)))
    names: dict[str, Any] = {}
    with torch.random.fork_rng(devices=[]):
        short = code.replace("size, epochs, folder = 256, 20, ", small)
        exec(compile(short, str(PAGE), "exec"), names)
    assert math.isfinite(names["loss"].item())
    assert names["synthesizer"].calls == names["state"]["calls"] == 3  # two of the loop, one after it
    assert torch.equal(names["pair"].image, names["again"].image)


def test_no_page_and_no_docstring_shows_a_seed_that_would_repeat_itself() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "anomalib_stage").rglob("*.py"), *(ROOT / "recipes").rglob("*")]
    pages = [ROOT / "README.md", *(page for page in pages if page.is_file() and page.suffix in {".md", ".py", ".yaml"})]
    showing = [page.relative_to(ROOT).as_posix() for page in pages if "seeds=0" in page.read_text(encoding="utf-8")]
    assert showing == []
