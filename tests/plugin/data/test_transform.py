# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageTransform in data sets, alone, in pipelines and in worker processes; and the collate functions."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch
from anomalib.data import ImageItem
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from anomalib_stage.errors import DataError, InputError
from anomalib_stage.plugin.data.collate import stage_collate, train_collate
from anomalib_stage.plugin.data.transform import StageTransform
from anomalib_stage.plugin.pairs.bank import PairBank
from tests.plugin.conftest import good_images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def a_sample(index: int = 0, size: tuple[int, int] = (64, 48)) -> tuple[Any, Any]:
    """Return a good image and its empty mask."""
    image = tv_tensors.Image(good_images(1, size, seed=index)[0])
    return image, tv_tensors.Mask(torch.zeros(size, dtype=torch.uint8))


class Samples(Dataset):  # type: ignore[type-arg]
    """Good images with a transform."""

    def __init__(self, transform: v2.Transform, count: int = 6) -> None:
        self.transform, self.count = transform, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.transform(*a_sample(index))


@pytest.fixture
def live(tiny_bundle_path: Path) -> Callable[..., StageTransform]:
    """Return a function that builds a transform which paints with the small bundle."""
    few = {
        "weights": str(tiny_bundle_path),
        "sampling_steps": 4,
        "probability": 1.0,
        "synthesis": {"gate": {"min_visibility": 0.0}},
    }
    return lambda **arguments: StageTransform(**(few | arguments))


def test_painted_pixels_lie_in_the_mask(live: Callable[..., StageTransform]) -> None:
    image, mask = a_sample()
    painted, marked = live(seed=1)(image, mask)
    assert type(painted) is tv_tensors.Image
    assert type(marked) is tv_tensors.Mask
    assert (painted.dtype, marked.dtype, marked.shape) == (torch.float32, torch.uint8, (64, 48))
    assert set(marked.unique().tolist()) == {0, 1}
    assert not ((painted != image).any(dim=0) & (marked == 0)).any()
    assert (painted != image).any()


def test_negatives_change_pixels_and_no_mask(live: Callable[..., StageTransform]) -> None:
    image, mask = a_sample()
    painted, marked = live(probability=0.0, negatives=1.0)(image, mask)
    assert (painted != image).any()
    assert not marked.any()


def test_a_pair_of_a_bank_takes_the_place_of_the_image(bank: Path) -> None:
    image, mask = a_sample()
    painted, marked = StageTransform(bank=bank, probability=1.0)(image, mask)
    opened = PairBank.open(bank)
    pairs = [opened.read(pair, size=(64, 48)) for pair in opened.pairs]
    assert any(torch.equal(painted, pixels) and torch.equal(marked.bool(), where[0]) for pixels, where in pairs)


def test_images_of_eight_bits_and_samples_in_a_dictionary(bank: Path) -> None:
    image, mask = a_sample()
    sample = {"image": tv_tensors.Image((image * 255).byte()), "mask": tv_tensors.Mask(mask[None])}
    sample |= {"name": "a", "score": torch.ones(2)}
    done = StageTransform(bank=bank, probability=1.0)(sample)
    assert done["image"].dtype == torch.uint8
    assert done["mask"].shape == (1, 64, 48)
    assert done["mask"].any()
    assert done["name"] == "a"
    assert torch.equal(done["score"], torch.ones(2))


def test_some_images_stay_as_they_are(bank: Path) -> None:
    transform = StageTransform(bank=bank, probability=0.5)
    transform.set_epoch(0)
    done = [(transform(*a_sample(i)), a_sample(i)[0]) for i in range(12)]
    labels = [bool(mask.any()) for (_, mask), _ in done]
    assert set(labels) == {True, False}
    assert all(torch.equal(image, before) for ((image, mask), before) in done if not mask.any())


def test_an_anomalous_sample_is_left_alone(bank: Path) -> None:
    image, mask = a_sample()
    mask[3, 4] = 1
    painted, marked = StageTransform(bank=bank, probability=1.0)(image, mask)
    assert torch.equal(painted, image)
    assert torch.equal(marked, mask)


def test_in_a_pipeline_image_and_mask_are_turned_together(live: Callable[..., StageTransform]) -> None:
    transform = live(seed=1)
    transform.set_epoch(0)
    painted, marked = transform(*a_sample())
    turned = v2.Compose([transform, v2.RandomHorizontalFlip(1.0), v2.Resize((32, 24))])(*a_sample())
    again = v2.Compose([v2.RandomHorizontalFlip(1.0), v2.Resize((32, 24))])(painted, marked)
    assert torch.equal(turned[0], again[0])
    assert torch.equal(turned[1], again[1])


def test_a_sample_without_a_mask_is_a_type_error(bank: Path) -> None:
    with pytest.raises(TypeError, match="got no Mask, so the anomaly would stay labelled good"):
        StageTransform(bank=bank)(a_sample()[0])


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (torch.zeros(1, 8, 8), r"images of shapes \[\(1, 8, 8\)\]"),
        (torch.full((3, 8, 8), 2.0), r"StageTransform got training images in \[2, 2\]"),
    ],
)
def test_images_that_cannot_be_used_are_refused(bank: Path, image: torch.Tensor, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        StageTransform(bank=bank)(tv_tensors.Image(image), tv_tensors.Mask(torch.zeros(8, 8)))


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        ({"probability": 2}, InputError, "StageTransform: probability is 2"),
        ({"negatives": -1}, InputError, "StageTransform: negatives is -1"),
        ({"defects": "hole"}, InputError, "StageTransform: defects is 'hole'"),
        ({"seed": 0.5}, InputError, "StageTransform: seed is 0.5"),
        ({"sampling_steps": 2}, InputError, "steps"),
        ({"foreground": "masks/"}, InputError, "foreground"),
        ({"bank": "no/such/folder"}, DataError, r"no/such/folder/manifest\.jsonl: cannot be read"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        StageTransform(**arguments)


def test_weights_are_not_read_before_they_are_needed() -> None:
    assert StageTransform(weights="no/such/file")._painter is None


# -- randomness and processes -----------------------------------------------------------------------------------------


def test_the_epoch_the_seed_and_the_image_decide(bank: Path) -> None:
    def drawn(seed: int, epoch: int) -> list[float]:
        transform = StageTransform(bank=bank, probability=1.0, seed=seed)
        transform.set_epoch(epoch)
        return [float(transform(*a_sample(i))[0].sum()) for i in range(6)]

    assert drawn(0, 0) == drawn(0, 0)
    assert drawn(0, 0) != drawn(0, 1)
    assert drawn(0, 0) != drawn(1, 0)
    assert len(set(drawn(0, 0))) > 1


def test_without_an_epoch_draws_come_from_torchs_stream(bank: Path) -> None:
    transform = StageTransform(bank=bank, probability=1.0)

    def drawn() -> list[float]:
        return [float(transform(*a_sample())[0].sum()) for _ in range(6)]

    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = drawn(), drawn()
        torch.manual_seed(0)
        assert drawn() == first
    assert first != second
    assert len(set(first)) > 1


def test_with_an_epoch_no_random_stream_is_moved(live: Callable[..., StageTransform]) -> None:
    transform, before = live(), torch.get_rng_state()
    transform.set_epoch(0)
    transform(*a_sample())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda transform: pickle.loads(pickle.dumps(transform))])
def test_a_copy_does_the_same_and_carries_no_network(
    live: Callable[..., StageTransform], copied: Callable[[StageTransform], StageTransform]
) -> None:
    transform = live()
    transform.set_epoch(2)
    image, _ = transform(*a_sample())
    twin = copied(transform)
    assert twin._painter is None
    assert torch.equal(twin(*a_sample())[0], image)
    twin.set_epoch(3)
    assert int(transform._epoch) == 2


@pytest.mark.parametrize("source", ["bank", "live"])
def test_two_worker_processes_give_the_same_pairs_as_none(
    bank: Path, live: Callable[..., StageTransform], source: str
) -> None:
    def epochs(workers: int) -> list[torch.Tensor]:
        transform = StageTransform(bank=bank, probability=0.7) if source == "bank" else live(probability=0.7)
        options = {"num_workers": workers, "persistent_workers": workers > 0, "batch_size": 2}
        loader, found = DataLoader(Samples(transform), **options), []
        for epoch in range(2):
            transform.set_epoch(epoch)  # workers that already run learn it too
            found += [torch.stack([image.sum(dim=(1, 2, 3)), mask.sum(dim=(1, 2)).float()]) for image, mask in loader]
        return found

    alone, two = epochs(0), epochs(2)
    for one, other in zip(alone, two, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0 if source == "bank" else 0.05)
        assert torch.equal(one[1], other[1])
    assert not torch.equal(torch.stack(alone[:3]), torch.stack(alone[3:]))


# -- labels -----------------------------------------------------------------------------------------------------------


def _items(marked: tuple[bool, ...], labels: tuple[int, ...]) -> list[ImageItem]:
    items = []
    for i, (mark, label) in enumerate(zip(marked, labels, strict=True)):
        image, mask = a_sample(i)
        mask[5, 5] = int(mark)
        items.append(ImageItem(image=image, gt_mask=mask, gt_label=torch.tensor(label), image_path="a.png"))
    return items


def test_stage_collate_raises_labels_and_lowers_none() -> None:
    batch = stage_collate(_items((True, False, True, False), (0, 0, 1, 1)))
    assert batch.gt_label.tolist() == [True, False, True, True]
    assert batch.image.shape == (4, 3, 64, 48)


def test_train_collate_takes_labels_from_masks() -> None:
    batch = train_collate(_items((True, False, True, False), (0, 0, 1, 1)))
    assert batch.gt_label.tolist() == [True, False, True, False]
    assert batch.gt_label.dtype == torch.bool


def test_stage_collate_leaves_data_without_masks_alone() -> None:
    item = ImageItem(image=a_sample()[0], gt_label=torch.tensor(1), image_path="a.png")
    assert stage_collate([item]).gt_label.tolist() == [True]
