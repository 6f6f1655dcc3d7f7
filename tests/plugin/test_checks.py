# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What users hand to StageAugment is checked at once and refused in a sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from anomalib_stage.errors import InputError
from anomalib_stage.plugin.batch_checks import check_known_anomalies, check_range
from anomalib_stage.plugin.callback.augment import StageAugment
from tests.plugin.conftest import Batch, good_images


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"probability": 1.5}, "probability is 1.5; give a number from 0 to 1"),
        ({"probability": float("nan")}, "probability is nan"),
        ({"probability": True}, "probability is True"),
        ({"negatives": -0.1}, "negatives is -0.1"),
        ({"defects": []}, "defects is \\[\\]; give a list of names"),
        ({"defects": "scratch"}, "defects is 'scratch'"),
        ({"defects": ["scratch", "good"]}, "the argument negatives"),
        ({"seed": 1.0}, "seed is 1.0; give an integer"),
        ({"seed": True}, "seed is True"),
        ({"sampling_steps": 3}, "steps"),
        ({"sampling_steps": 1001}, "steps"),
        ({"synthesis": {"masks": {"extent": (0.5, 0.1)}}}, r"extent \(0.5, 0.1\) is empty"),
        ({"synthesis": {"masks": {"extent": (0.0, 0.1)}}}, "masks.extent.0: .*greater than 0"),
        ({"synthesis": {"mask": {}}}, "mask: Extra inputs"),
        ({"synthesis": "weak"}, "synthesis is 'weak'; give a mapping"),
        ({"seam": "both"}, "seam is 'both'; give 'auto', 'batch', 'swap' or 'swap:"),
        ({"seam": "batch:augmenter"}, "seam is 'batch:augmenter'"),
        ({"seam": "swap:"}, "seam is 'swap:'"),
        ({"seam": None}, "seam is None"),
    ],
)
def test_bad_arguments_are_refused_by_the_constructor(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        StageAugment(**arguments)


@pytest.mark.parametrize("value", [0, 1, 0.0, 1.0])
def test_the_ends_of_a_fraction_are_allowed(value: float) -> None:
    assert StageAugment(probability=value, negatives=value).probability == value


def test_the_constructor_reads_no_weights() -> None:
    assert StageAugment(weights="no/such/file.safetensors").weights == "no/such/file.safetensors"


@pytest.mark.parametrize(
    "images",
    [
        torch.full((1, 3, 4, 4), 1.1),
        torch.full((1, 3, 4, 4), -0.5),
        torch.full((1, 3, 4, 4), float("nan")),
        torch.full((1, 3, 4, 4), 255.0),
    ],
)
def test_images_outside_the_range_are_refused_with_the_remedy(images: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"pre_processor, which runs after"):
        check_range(images)


def test_rounding_outside_the_range_is_tolerated() -> None:
    check_range(torch.tensor([[-0.0009, 1.0009]]))
    with pytest.raises(InputError):
        check_range(torch.tensor([[0.0, 1.002]]))


def test_known_anomalies_come_from_labels_and_masks() -> None:
    masks = torch.zeros(4, 8, 8, dtype=torch.bool)
    masks[2, 0, 0] = True
    batch = Batch(good_images(4, (8, 8)), masks, torch.tensor([False, True, False, False]))
    known, found = check_known_anomalies(batch)
    assert known.tolist() == [False, True, True, False]
    assert found is not None
    assert torch.equal(found, masks)


def test_a_good_batch_without_masks_is_fine() -> None:
    known, masks = check_known_anomalies(Batch(good_images(2), None, torch.tensor([False, False])))
    assert not known.any()
    assert masks is None


def test_an_anomalous_image_without_a_mask_is_refused() -> None:
    with pytest.raises(InputError, match="without masks"):
        check_known_anomalies(Batch(good_images(2), None, torch.tensor([False, True])))
