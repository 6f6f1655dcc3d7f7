# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The rendered demo data set: files, masks, and what anomalib makes of them."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch
from anomalib.data import AnomalibDataModule
from jsonargparse import ArgumentParser

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.plugin.data import demo_pictures
from anomalib_stage.plugin.data.demo import StageDemo
from anomalib_stage.plugin.data.demo_plan import DEFECTS, FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = {"image_size": 48, "train_count": 5, "test_count": 18, "train_batch_size": 2}


def _demo(root: Path, **changes: Any) -> StageDemo:
    return StageDemo(root=root, **(SMALL | changes))


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}


def _picture(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> StageDemo:
    datamodule = _demo(tmp_path_factory.mktemp("demo"))
    datamodule.setup()
    return datamodule


def test_anomalib_finds_good_and_defective_pictures(rendered: StageDemo) -> None:
    assert (len(rendered.train_data), len(rendered.val_data), len(rendered.test_data)) == (5, 18, 18)
    assert rendered.task == "segmentation"
    assert rendered.name == "StageDemo"
    assert not rendered.train_data.has_anomalous
    assert rendered.test_data.samples.label_index.value_counts().to_dict() == {0: 9, 1: 9}
    assert set(rendered.test_data.samples.split) == {"test"}


def test_a_training_batch_is_good_and_in_zero_to_one(rendered: StageDemo) -> None:
    batch = next(iter(rendered.train_dataloader()))
    assert batch.image.shape == (2, 3, 48, 48)
    assert batch.image.dtype == torch.float32
    assert 0.0 <= float(batch.image.min()) < float(batch.image.max()) <= 1.0
    assert not batch.gt_mask.any()
    assert not batch.gt_label.any()


def test_each_defective_picture_comes_with_its_own_mask(rendered: StageDemo) -> None:
    for sample in rendered.test_data.samples.query("label_index == 1").itertuples():
        image, mask = Path(sample.image_path), Path(sample.mask_path)
        assert mask.stem == f"{image.stem}_mask"
        assert mask.parent.name == image.parent.name
    for item in rendered.test_data:
        assert bool(item.gt_mask.any()) == bool(item.gt_label)


def test_every_defect_occurs(rendered: StageDemo) -> None:
    folders = {path.name for path in Path(rendered.root, "ground_truth").iterdir()}
    assert folders == set(DEFECTS)
    assert "good" not in folders


def test_masks_are_binary_and_hide_no_change_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defective = _demo(tmp_path / "defective")
    defective.prepare_data()
    monkeypatch.setattr(demo_pictures, "paint_defect", lambda tile, *_, **__: tile)
    clean = _demo(tmp_path / "clean")
    clean.prepare_data()
    validated = 0
    for path in sorted(Path(defective.root, "test").rglob("*.png")):
        if path.parent.name == "good":
            continue
        defect, stem = path.parent.name, path.stem
        mask = _picture(Path(defective.root, "ground_truth", defect, f"{stem}_mask.png"))
        assert mask.shape == (48, 48)
        assert set(np.unique(mask)) == {0, 255}
        changed = (_picture(path) != _picture(Path(clean.root, "test", defect, path.name))).any(axis=-1)
        assert not changed[mask == 0].any()
        assert changed[mask > 0].mean() > 0.7
        validated += 1
    assert validated == 9


def test_the_same_arguments_give_the_same_files(rendered: StageDemo, tmp_path: Path) -> None:
    again = _demo(tmp_path)
    again.prepare_data()
    assert _contents(Path(again.root)) == _contents(Path(rendered.root))


@pytest.mark.parametrize("change", [{"seed": 1}, {"family": "wood"}, {"image_size": 40}, {"train_count": 6}])
def test_other_arguments_get_a_folder_of_their_own(rendered: StageDemo, change: dict[str, Any]) -> None:
    folders = {Path(_demo(Path("x"), **arguments).root).name for arguments in ({}, change, {"train_batch_size": 9})}
    assert folders >= {Path(rendered.root).name}
    assert len(folders) == 2


def test_another_seed_gives_other_pictures(rendered: StageDemo, tmp_path: Path) -> None:
    other = _demo(tmp_path, seed=1)
    other.prepare_data()
    mine, theirs = _contents(Path(rendered.root)), _contents(Path(other.root))
    assert mine.keys() == theirs.keys()
    assert not {name for name in mine if mine[name] == theirs[name]}


def test_no_picture_of_the_test_is_in_training(rendered: StageDemo) -> None:
    pictures = [_picture(path) for path in sorted(Path(rendered.root).rglob("good/*.png"))]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures) == 5 + 9


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_rendered(family: str, tmp_path: Path) -> None:
    datamodule = _demo(tmp_path, family=family, image_size=32, train_count=1, test_count=3)
    datamodule.prepare_data()
    assert len(_contents(Path(datamodule.root))) == 1 + 3 + 1


def test_pictures_are_rendered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datamodule = _demo(tmp_path)
    datamodule.prepare_data()
    monkeypatch.setattr(demo_pictures, "_render_pictures", lambda _: pytest.fail("rendered again"))
    datamodule.setup()
    _demo(tmp_path).setup()


def test_an_interrupted_rendering_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = demo_pictures._render_pictures

    def breaks(plan: Any) -> Iterator[Any]:
        yield next(pictures(plan))
        raise KeyboardInterrupt

    datamodule = _demo(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(demo_pictures, "_render_pictures", breaks)
        with pytest.raises(KeyboardInterrupt):
            datamodule.prepare_data()
    assert list(tmp_path.iterdir()) == []
    datamodule.setup()
    assert len(datamodule.train_data) == 5


def test_another_process_may_render_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datamodule, pictures = _demo(tmp_path), demo_pictures._render_pictures

    def late(plan: Any) -> Iterator[Any]:
        yield from pictures(plan)
        with monkeypatch.context() as patch:
            patch.setattr(demo_pictures, "_render_pictures", pictures)
            _demo(tmp_path).prepare_data()

    monkeypatch.setattr(demo_pictures, "_render_pictures", late)
    datamodule.prepare_data()
    assert list(tmp_path.iterdir()) == [Path(datamodule.root)]
    assert stat.S_IMODE(Path(datamodule.root).stat().st_mode) == 0o755


def test_a_root_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write the demo pictures to .*file.*set root to a folder"):
        _demo(tmp_path / "file").prepare_data()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "object"}, "unknown surface family 'object'; give one of plain, brushed_metal"),
        ({"image_size": 31}, "image_size=31; it must be 32 to 1024"),
        ({"train_count": 0}, "train_count=0; it must be 1 to 4096"),
        ({"test_count": 1}, "test_count=1; it must be 2 to 4096"),
    ],
)
def test_arguments_that_cannot_be_rendered_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        _demo(tmp_path, **change)


def test_it_can_be_named_in_a_configuration(tmp_path: Path) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(AnomalibDataModule, "data")
    config = {"class_path": "anomalib_stage.StageDemo", "init_args": {"root": str(tmp_path), "family": "woven"}}
    made = parser.instantiate_classes(parser.parse_object({"data": config})).data
    assert isinstance(made, StageDemo)
    assert Path(made.root).parent == tmp_path
