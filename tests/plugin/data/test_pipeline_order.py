# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""With a bank StageTransform is the first step; live it may stand anywhere; either way both classes take the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.data.folder import StageFolder
from anomalib_stage.plugin.data.pipeline_order import find_transforms
from anomalib_stage.plugin.data.transform import StageTransform
from anomalib_stage.plugin.pairs.bank import PairBank
from tests.plugin.conftest import good_images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JITTER, FLIP = v2.ColorJitter(brightness=0.3), v2.RandomHorizontalFlip()

REFUSED: dict[str, Callable[[Any], Any]] = {
    "compose": lambda stage: v2.Compose([FLIP, JITTER, stage]),
    "inner": lambda stage: v2.Compose([FLIP, v2.Compose([v2.Resize(64), JITTER]), stage]),
    "nested": lambda stage: v2.Compose([FLIP, JITTER, v2.Compose([stage, v2.GaussianBlur(3)])]),
    "apply": lambda stage: v2.Compose([v2.RandomApply([FLIP, JITTER]), stage]),
    "order": lambda stage: v2.RandomOrder([stage, FLIP, JITTER]),
}

FINE: dict[str, Callable[[Any], Any]] = {
    "alone": lambda stage: stage,
    "first": lambda stage: v2.Compose([stage, FLIP, JITTER]),
    "nested": lambda stage: v2.Compose([v2.Compose([stage, FLIP]), JITTER]),
    "resized": lambda stage: v2.Compose([v2.Resize((48, 48)), v2.Identity(), stage, JITTER]),
    "typed": lambda stage: v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), stage]),
    "sometimes": lambda stage: v2.Compose([v2.RandomApply([stage]), JITTER]),
}

SOMETIMES: dict[str, Callable[[Any], Any]] = {
    "choice": lambda stage: v2.RandomChoice([stage, JITTER]),
    "apply": lambda stage: v2.RandomApply([stage, JITTER]),
    "nested": lambda stage: v2.Compose([v2.RandomApply(nn.ModuleList([v2.Compose([stage]), JITTER]))]),
}


def a_sample() -> tuple[Any, Any]:
    return tv_tensors.Image(good_images(1)[0]), tv_tensors.Mask(torch.zeros(64, 48, dtype=torch.uint8))


def call(pipeline: Any) -> None:
    torch.manual_seed(3)
    for _ in range(12):
        pipeline(*a_sample())


@pytest.fixture
def live(tiny_bundle_path: Path) -> StageTransform:
    few = {"sampling_steps": 4, "probability": 0.1, "negatives": 0.0}
    return StageTransform(weights=str(tiny_bundle_path), **few)


@pytest.mark.parametrize("name", REFUSED)
def test_steps_before_a_bank_are_refused_by_name(bank: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"StageTransform: .* come before it.*Put StageTransform first") as error:
        call(REFUSED[name](StageTransform(bank=bank)))
    assert any(step in str(error.value) for step in ("ColorJitter", "RandomApply", "Compose"))


@pytest.mark.parametrize("name", REFUSED)
def test_live_painting_may_stand_anywhere(live: StageTransform, name: str) -> None:
    call(REFUSED[name](live))


@pytest.mark.parametrize("name", FINE)
def test_a_bank_may_stand_first_or_behind_a_resize(bank: Path, name: str) -> None:
    call(FINE[name](StageTransform(bank=bank)))


@pytest.mark.parametrize("name", SOMETIMES)
@pytest.mark.parametrize("source", ["bank", "live"])
def test_steps_that_depend_on_whether_there_is_an_anomaly_are_refused(
    bank: Path, live: StageTransform, name: str, source: str
) -> None:
    stage = StageTransform(bank=bank) if source == "bank" else live
    with pytest.raises(
        InputError, match=r"ColorJitter stand beside it in a Random(Choice|Apply), which takes them for"
    ):
        call(SOMETIMES[name](stage))


def test_a_pair_takes_the_resize_that_comes_before(bank: Path) -> None:
    resize = v2.Resize((20, 30), interpolation=v2.InterpolationMode.NEAREST)
    stage = StageTransform(bank=bank, probability=1.0)
    image, mask = v2.Compose([resize, stage])(*a_sample())
    opened = PairBank.open(bank)
    expected = [resize(tv_tensors.Image(opened.read(pair)[0])) for pair in opened.pairs]
    assert any(torch.equal(image, one) for one in expected)
    assert mask.shape == (20, 30)
    assert mask.any()


class Samples(Dataset):  # type: ignore[type-arg]
    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return self.transform(*a_sample())


def test_it_is_found_out_in_worker_processes_too(bank: Path) -> None:
    loader = DataLoader(Samples(v2.Compose([JITTER, StageTransform(bank=bank)])), num_workers=1)
    with pytest.raises(InputError, match="ColorJitter come before it"):
        next(iter(loader))


def test_stage_folder_refuses_the_order_before_the_first_image_is_read(parts: Path, bank: Path) -> None:
    given = {"root": parts, "normal_dir": "good", "num_workers": 0, "normal_test_dir": "spare"}
    given |= {"abnormal_dir": "bad", "mask_dir": "mask", "val_split_mode": "same_as_test"}
    steps = v2.Compose([v2.RandomApply([JITTER]), v2.Compose([StageTransform(bank=bank)])])
    with pytest.raises(InputError, match="RandomApply come before it"):
        StageFolder(**given, train_augmentations=steps).setup("fit")
    data = StageFolder(**given, train_augmentations=v2.Compose([v2.Compose([StageTransform(bank=bank)]), JITTER]))
    data.setup("fit")
    for _ in data.train_dataloader():
        pass
    assert [int(stage._epoch) for stage in data._find_transforms()] == [0]  # found, and told, however deep


def test_transforms_are_found_however_deep(bank: Path) -> None:
    stage = StageTransform(bank=bank)
    assert find_transforms(nn.Sequential(v2.RandomOrder([JITTER, v2.Compose([stage])])), StageTransform) == [stage]
    assert find_transforms(None, StageTransform) == []
