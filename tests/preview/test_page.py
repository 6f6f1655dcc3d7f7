# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The page as text: what it says, that it is escaped, alone and always the same."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from anomalib_stage.errors import InputError
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.preview.page import build_page
from anomalib_stage.preview.preview import preview
from anomalib_stage.preview.row_view import LONGEST
from anomalib_stage.preview.rows import PreviewRow
from tests.conftest import grain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVIL = "<script>alert(1)</script>"


def row(
    defect: str = "hole", *, rejected: bool = False, size: tuple[int, int] = (48, 64), grey: bool = False
) -> PreviewRow:
    before = grain(*size, seed=3)
    if grey:
        before[:] = before[..., :1]
    painted = np.zeros(size, np.bool_)
    painted[10:20, 12:30] = not rejected
    after = np.where(painted[..., None], 255 - before, before)
    return PreviewRow(before, after, painted, defect, seed=7, visibility=0.4 if rejected else 5.25, rejected=rejected)


def page(rows: list[PreviewRow], **changed: Any) -> str:
    arguments: dict[str, Any] = {
        "names": [f"{i}.png" for i in range(len(rows))],
        "settings": {"seed": 0, "gate": {"trim": False, "range": (0.25, 1.0), "windows": ((0.5, 1.0),), "none": ()}},
        "card": [("digest", "ab12")],
        "min_visibility": 1.2,
    }
    return build_page(rows, **arguments | changed)


class Reader(HTMLParser):
    """Collects tags, attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(" ".join(data.split()))

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [a for name, a in self.tags if name == tag and all(a.get(key) == value for key, value in wanted.items())]

    def pictures(self) -> list[np.ndarray]:
        sources = [str(attributes["src"]).removeprefix("data:image/png;base64,") for attributes in self.all("img")]
        data = [np.frombuffer(base64.b64decode(source, validate=True), np.uint8) for source in sources]
        return [cv2.imdecode(one, cv2.IMREAD_UNCHANGED) for one in data]


@pytest.fixture
def run(good_folder: Path, tiny_bundle_path: Path, tmp_path: Path) -> Callable[..., str]:
    """Write grid and page of the small bundle, and read the page."""

    def call(**changed: Any) -> str:
        arguments: dict[str, Any] = {
            "data": good_folder,
            "out": tmp_path / "grid.png",
            "html": tmp_path / "page.html",
            "weights": str(tiny_bundle_path),
            "count": 4,
            "sampling_steps": 4,
            "device": "cpu",
        }
        preview(**arguments | changed)
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    return call


def test_a_row_holds_clean_outline_synthetic_difference_and_closer_pictures() -> None:
    one = row()
    clean, draw_outline, synthetic, again, changed, near_after, near_before = (
        picture[..., ::-1] for picture in Reader(page([one])).pictures()
    )
    assert np.array_equal(clean, one.before)
    assert np.array_equal(again, one.before)
    assert np.array_equal(synthetic, one.after)
    assert np.array_equal(draw_outline[one.painted], one.before[one.painted])
    assert not np.array_equal(draw_outline, one.before)
    assert np.array_equal(changed, np.minimum(np.abs(one.after.astype(int) - one.before) * 4, 255))
    assert near_before.shape == near_after.shape
    assert not np.array_equal(near_before, near_after)


def test_grey_pictures_are_stored_with_one_channel_and_large_ones_reduced() -> None:
    pictures = Reader(page([row(grey=True, size=(300, 900))])).pictures()
    assert [picture.ndim for picture in pictures] == [2, 3, 2, 2, 2, 2, 2]  # the outline has a colour
    assert pictures[0].shape == (128, LONGEST)


def test_pictures_say_their_size_so_that_nothing_jumps_and_have_a_text() -> None:
    reader = Reader(page([row(), row(rejected=True)]))
    for attributes, picture in zip(reader.all("img"), reader.pictures(), strict=True):
        assert (int(str(attributes["height"])), int(str(attributes["width"]))) == picture.shape[:2]
        assert attributes["alt"]


def test_rejected_pairs_are_shown_as_such() -> None:
    reader = Reader(page([row(), row("stain", rejected=True), row("good")]))
    assert [a["data-outcome"] for a in reader.all("article")] == ["anomaly", "rejected", "good"]
    assert "rejected: nothing visible came out, left good with label 0" in reader.texts
    assert "nothing was painted" in reader.texts
    assert len([a for a in reader.all("rect") if a["class"] == "bar rejected"]) == 1
    facts = reader.texts[reader.texts.index("images") :]
    assert facts[:8] == ["images", "3", "anomalies", "1", "good", "1", "rejected", "1"]


def test_a_page_of_rejected_pairs_alone_is_a_page() -> None:
    reader = Reader(page([row(rejected=True)]))
    assert "no values" in reader.texts
    assert "median mask" not in reader.texts


def test_settings_and_card_are_listed() -> None:
    texts = Reader(page([row()])).texts
    pairs = list(pairwise(texts))
    for expected in [
        ("seed", "0"),
        ("gate.trim", "False"),
        ("gate.range", "0.25 to 1"),
        ("gate.windows", "0.5 to 1"),
        ("gate.none", "none"),
        ("digest", "ab12"),
    ]:
        assert expected in pairs


def test_defects_can_be_chosen_with_their_counts() -> None:
    reader = Reader(page([row("stain"), row("hole"), row("hole")]))
    assert [a.get("data-defect") for a in reader.all("input")] == [None, "hole", "stain"]
    assert [a["data-defect"] for a in reader.all("article")] == ["stain", "hole", "hole"]


@pytest.mark.parametrize("where", ["defect", "name", "setting", "card"])
def test_everything_from_outside_is_escaped(where: str) -> None:
    text = page(
        [row(f'{EVIL}" onload="x' if where == "defect" else "hole")],
        names=[EVIL if where == "name" else "0.png"],
        settings={"data": EVIL if where == "setting" else "x"},
        card=[("file", EVIL if where == "card" else "x")],
    )
    assert EVIL not in text
    reader = Reader(text)
    assert len(reader.all("script")) == 1
    assert any(EVIL in shown for shown in reader.texts)
    assert not any("onload" in attributes for _, attributes in reader.tags)


def test_nothing_is_fetched() -> None:
    text = page([row(), row(rejected=True)])
    without_pictures = re.sub(r"data:image/png;base64,[\w+/=]+", "", text)
    assert not re.search(r"https?:|//\w|@import|url\(", without_pictures, flags=re.IGNORECASE)
    reader = Reader(text)
    assert all(str(a["src"]).startswith("data:") for _, a in reader.tags if "src" in a)
    assert [a["href"] for _, a in reader.tags if "href" in a] == ["data:,"]
    assert "default-src 'none'" in text


def test_grid_and_page_show_the_same_pairs_which_are_painted_once(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from anomalib_stage.pipeline.synthesizer import StageSynthesizer

    calls = []
    paint = StageSynthesizer.__call__
    monkeypatch.setattr(
        StageSynthesizer, "__call__", lambda self, *a, **k: calls.append(k["seeds"]) or paint(self, *a, **k)
    )
    text = run()
    assert len(calls) == 4
    assert (tmp_path / "grid.png").is_file()
    reader = Reader(text)
    assert [a["data-defect"] for a in reader.all("article")] == ["scratch", "hole", "stain", "scratch"]
    for seed in calls:
        assert str(seed[0]) in reader.texts


def test_two_runs_give_the_same_page_and_the_grid_is_that_without_a_page(run: Any, tmp_path: Path) -> None:
    assert run(count=2) == run(count=2)
    grid = (tmp_path / "grid.png").read_bytes()
    run(count=2, html=None)
    assert (tmp_path / "grid.png").read_bytes() == grid


def test_the_page_says_how_it_was_made(run: Any, tiny_bundle: Any) -> None:
    texts = Reader(run(strength=(0.5, 1.0), size=64)).texts
    pairs = list(pairwise(texts))
    expected = [("strength", "0.5 to 1"), ("size", "64 px"), ("sampler.steps", "4"), ("device", "cpu")]
    for one in [*expected, ("digest", tiny_bundle.digest), ("defects", "scratch, hole, stain, good")]:
        assert one in pairs


def test_names_of_files_are_escaped(run: Any, good_folder: Path) -> None:
    write_file(good_folder / f"{EVIL}.png", encode_png(grain(48, 64, seed=9)))
    text = run()
    assert EVIL not in text
    assert f"{EVIL}.png" in Reader(text).texts


def test_only_html_is_written(run: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--html .*page\.pdf must be a \.html file"):
        run(html=tmp_path / "page.pdf")
    assert not (tmp_path / "grid.png").exists()
