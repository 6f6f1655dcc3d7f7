# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Good images are recognised by name and content, and none that is held back comes back as a pair."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from pathlib import Path

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.pairs.bank import PairBank
from anomalib_stage.plugin.pairs.source_files import SourceFiles, path_tails

NAMES = [f"{i:03d}.png" for i in range(6)]


@pytest.fixture
def lines(parts: Path, tmp_path: Path) -> Path:
    """Write two folders whose files have the same names: the bank was painted into the images of lineA/good."""
    shutil.copytree(parts / "good", tmp_path / "lineA" / "good")
    (tmp_path / "lineB" / "good").mkdir(parents=True)
    for name in NAMES:
        cv2.imwrite(str(tmp_path / "lineB" / "good" / name), cv2.imread(str(parts / "good" / name))[::-1])
    return tmp_path


def files(lines: Path, line: str, *numbers: int) -> list[str]:
    return [str(lines / line / "good" / NAMES[i]) for i in numbers]


def sources(bank: PairBank) -> set[str]:
    return {pair.source for pair in bank.pairs}


def strip_digests(bank: Path, folder: Path) -> Path:
    """Copy a bank whose manifest does not know the content of the good images."""
    manifest = shutil.copytree(bank, folder) / "manifest.jsonl"
    manifest.write_text(re.sub('"source_sha256":"[^"]*"', '"source_sha256":null', manifest.read_text()))
    return folder


def test_sources_are_found_by_the_tails_of_the_path() -> None:
    assert list(path_tails("a/b/c.png")) == ["a/b/c.png", "b/c.png", "c.png"]


def test_an_image_of_another_folder_with_the_same_name_is_another_image(bank: Path, lines: Path) -> None:
    opened = PairBank.open(bank)
    assert opened.find_source(*files(lines, "lineA", 1)) == "001.png"
    assert opened.find_source(*files(lines, "lineB", 1)) is None
    trained = [*files(lines, "lineA", 0, 1, 2), *files(lines, "lineB", 3, 4, 5)]
    held_back = [*files(lines, "lineA", 3, 4, 5), *files(lines, "lineB", 0, 1, 2)]
    assert sources(opened.within(trained, held_back=held_back)) == set(NAMES[:3])


def test_names_without_the_content_are_counted_and_said(
    bank: Path, lines: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained = [*files(lines, "lineA", 0, 1), *files(lines, "lineB", 2, 3, 4)]
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        PairBank.open(bank).within(trained)
    assert re.findall(
        r"3 of 5 images that train, such as .*lineB/good/002\.png, .* they count as other images", caplog.text
    )
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        PairBank.open(bank).within([*files(lines, "lineA", 0, 1), *files(lines, "lineB", 0, 1)])
    assert caplog.text == ""  # both lines train, and it is known which images are which


def test_images_written_anew_are_known_by_name_and_held_back_ones_stay_out(
    bank: Path, lines: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in files(lines, "lineA", *range(6)):
        cv2.imwrite(path, cv2.imread(path), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    test = [str(lines / "lineB" / "good" / name) for name in NAMES]  # a folder of its own with the same names
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        kept = PairBank.open(bank).within(
            files(lines, "lineA", 0, 1, 2), held_back=[*files(lines, "lineA", 3, 4, 5), *test]
        )
    assert sources(kept) == set(NAMES[:3])
    assert kept.find_source(*files(lines, "lineA", 1)) == "001.png"
    assert kept.find_source(*files(lines, "lineA", 4)) is None
    assert "3 of 3 images that train" in caplog.text
    assert "by their names" in caplog.text


def test_a_copy_of_a_held_back_image_does_not_bring_its_pairs_back(bank: Path, lines: Path) -> None:
    trained, held_back = files(lines, "lineA", 0, 1), [str(lines / "copy" / "001.png")]
    shutil.copytree(lines / "lineA" / "good", lines / "copy")
    assert sources(PairBank.open(bank).within(trained, held_back=held_back)) == {"000.png"}


def test_a_bank_of_held_back_images_alone_is_refused(bank: Path, lines: Path) -> None:
    with pytest.raises(InputError, match=r"all 12 pairs were painted into images that are held back"):
        PairBank.open(bank).within(files(lines, "lineB", 0), held_back=files(lines, "lineA", *range(6)))


def test_a_bank_of_other_images_is_used_and_that_is_said(
    bank: Path, lines: Path, parts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = str(shutil.copy(parts / "spare" / "000.png", lines / "other.png"))
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        kept = PairBank.open(bank).within([other], held_back=files(lines, "lineA", 5))
    assert sources(kept) == set(NAMES[:5])
    assert "no pair was painted into an image that trains here" in caplog.text


def test_renamed_images_are_known_by_their_content(bank: Path, lines: Path) -> None:
    renamed = [Path(path).rename(lines / f"x{i}.png") for i, path in enumerate(files(lines, "lineA", *range(6)))]
    kept = PairBank.open(bank).within(map(str, renamed[:2]), held_back=map(str, renamed[2:]))
    assert sources(kept) == set(NAMES[:2])
    assert kept.find_source(str(renamed[0])) == "000.png"


def test_without_digests_names_decide_and_a_doubt_is_said(
    bank: Path, lines: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened = PairBank.open(strip_digests(bank, lines / "pairs"))
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        kept = opened.within(files(lines, "lineA", 0, 1), held_back=files(lines, "lineB", 0))
        assert sources(kept) == set(NAMES[:2])  # lineB is a folder of its own, that of the test
        assert not kept.ambiguous
        assert caplog.text == ""
        both = [*files(lines, "lineA", 0, 1), *files(lines, "lineB", 0, 2)]
        kept = opened.within(both, held_back=files(lines, "lineB", 1, 3))
    assert sources(kept) == {"000.png", "002.png"}
    assert kept.ambiguous == (*files(lines, "lineA", 0), *files(lines, "lineB", 0))
    assert "could be the same good image of the bank" in caplog.text


def test_only_files_with_the_name_of_a_source_are_read_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, read_bytes = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (read.append(path.name), read_bytes(path))[1])
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(name.encode())
    found = SourceFiles({"a.png": hashlib.sha256(b"a.png").hexdigest(), "b.png": "0" * 64})
    paths = [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    assert found.choose(paths, []).kept == {"a.png"}
    assert [found.find(path) for path in paths] == ["a.png", None, None]
    assert sorted(read) == ["a.png", "b.png"]


LETTERS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"))


@given(trained=LETTERS, held_back=LETTERS, bank=st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz")))
def test_no_content_that_is_held_back_ever_trains(
    tmp_path_factory: pytest.TempPathFactory, trained: dict[str, str], held_back: dict[str, str], bank: dict[str, str]
) -> None:
    root = tmp_path_factory.mktemp("names")
    for side, contents in (("train", trained), ("test", held_back)):
        (root / side).mkdir()
        for name, content in contents.items():
            (root / side / name).write_text(content)
    files = SourceFiles({name: hashlib.sha256(content.encode()).hexdigest() for name, content in bank.items()})
    choice = files.choose([str(path) for path in (root / "train").iterdir()], map(str, (root / "test").iterdir()))
    lost = {name for name, content in held_back.items() if bank.get(name) == content}
    assert lost <= choice.held_back
    assert not lost & choice.kept
    same = {name for name, content in trained.items() if bank.get(name) == content}
    if same:
        assert choice.kept == same - choice.held_back
