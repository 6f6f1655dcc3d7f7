# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where users let defects be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.callback.augment import StageAugment
from anomalib_stage.plugin.callback.foregrounds import open_foregrounds, read_foregrounds
from tests.plugin.conftest import a_batch, good_images, train_step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def lower_half(image: torch.Tensor, path: str | None) -> torch.Tensor:
    del path
    mask = torch.zeros(image.shape[1:], dtype=torch.bool)
    mask[image.shape[1] // 2 :] = True
    return mask


@pytest.mark.parametrize("name", ["auto", "none"])
def test_the_built_in_answers_are_the_synthesizers_business(name: str) -> None:
    assert read_foregrounds(name, good_images(), paths=None) is None


def test_a_function_is_asked_for_every_image_with_its_path() -> None:
    asked = []

    def answer(image: torch.Tensor, path: str | None) -> np.ndarray:
        asked.append(path)
        return lower_half(image, path).numpy()

    found = read_foregrounds(answer, good_images(2), paths=["a.png", "b.png"])
    assert asked == ["a.png", "b.png"]
    assert found is not None
    assert found.shape == (2, 1, 64, 48)
    assert not found[:, :, :32].any()
    assert found[:, :, 32:].all()


@pytest.mark.parametrize("answer", [torch.zeros(64, 48), torch.ones(48, 64)])
def test_a_function_with_a_useless_answer_is_told_what_is_wanted(answer: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"pixels for x\.png; it must be \(64, 48\) and not empty"):
        read_foregrounds(lambda _image, _path: answer, good_images(1), paths=["x.png"])


def test_a_folder_needs_batches_that_name_their_files(tmp_path: Path) -> None:
    Image.new("L", (48, 64), 255).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="do not name their image files"):
        read_foregrounds(open_foregrounds(tmp_path, None), good_images(1), paths=None)


@pytest.mark.parametrize("source", ["somewhere/else", 3, "Auto"])
def test_an_unknown_source_is_refused_at_construction(source: Any) -> None:
    with pytest.raises(InputError, match="foreground is"):
        StageAugment(foreground=source)


@pytest.mark.parametrize("model", ["UniNet", "Draem"])
def test_defects_stay_where_the_user_lets_them(
    model: str, started: Callable[..., tuple[StageAugment, Any]], trainer: Any
) -> None:
    augment, module = started(
        model, probability=1.0, foreground=lower_half, synthesis={"gate": {"min_visibility": 0.0}}, preview=False
    )
    for step in range(3):
        batch = a_batch(8)
        if model == "UniNet":
            mask = train_step(augment, trainer, module, batch, step).gt_mask
        else:
            augment.on_train_batch_start(trainer, module, batch, step)
            mask = module.augmenter(batch.image)[1][:, 0]
            augment.on_train_batch_end(trainer, module, None, batch, step)
        assert mask is not None
        assert mask[:, 32:].any()
        assert not mask[:, :32].any()
    augment.teardown(trainer, module, "fit")
