# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageAugment, hook by hook, on small stand-ins; tests/test_engine.py trains the real models."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torchvision import tv_tensors

from anomalib_stage.errors import BundleError, DeviceError, InputError, UnsupportedModelError
from anomalib_stage.plugin.augment import StageAugment
from anomalib_stage.plugin.seams import SEAMS, Seam
from tests.plugin.conftest import Batch, Draem, Dsr, Recorder, UniNet, good_images

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    Started = Callable[..., tuple[StageAugment, Any]]


def _batch(count: int = 4, **fields: Any) -> Batch:
    """Return a batch of good images as anomalib's segmentation data sets give them."""
    images = tv_tensors.Image(good_images(count))
    mask = tv_tensors.Mask(torch.zeros(count, 64, 48, dtype=torch.bool))
    return Batch(**({"image": images, "gt_mask": mask, "gt_label": torch.zeros(count, dtype=torch.bool)} | fields))


def _step(augment: StageAugment, trainer: SimpleNamespace, model: Any, batch: Batch, index: int = 0) -> Batch:
    augment.on_train_batch_start(trainer, model, batch, index)
    augment.on_train_batch_end(trainer, model, None, batch, index)
    return batch


# -- construction and life cycle ------------------------------------------------------------------------------------


def test_importing_loads_neither_diffusers_nor_any_model() -> None:
    code = (
        "import sys; from anomalib_stage.plugin.augment import StageAugment; StageAugment();"
        "bad = [m for m in sys.modules if m.split('.')[0] in {'diffusers', 'timm', 'cv2'} or m.startswith('anomalib.')];"
        "sys.exit(repr(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_is_no_module() -> None:
    assert not isinstance(StageAugment(), nn.Module)


@pytest.mark.parametrize("stage", ["validate", "test", "predict"])
def test_other_stages_ask_nothing_of_the_model(trainer: SimpleNamespace, stage: str) -> None:
    augment = StageAugment("no/such/file")
    augment.setup(trainer, Recorder(), stage)
    augment.on_fit_start(trainer, Recorder())
    batch = _batch()
    assert torch.equal(_step(augment, trainer, Recorder(), batch).image, good_images())


def test_an_unsupported_model_is_refused_before_weights_are_read(trainer: SimpleNamespace) -> None:
    with pytest.raises(UnsupportedModelError, match="Recorder"):
        StageAugment("no/such/file").setup(trainer, Recorder(), "fit")


@pytest.mark.parametrize("learning", ["zero_shot", "few_shot"])
def test_a_model_that_never_trains_is_warned_about(
    trainer: SimpleNamespace, caplog: pytest.LogCaptureFixture, learning: str
) -> None:
    model = type("WinClip", (Recorder,), {"learning_type": learning})()
    with caplog.at_level(logging.WARNING):
        StageAugment().setup(trainer, model, "validate")
    assert "has no effect: WinClip" in caplog.text


def test_forcing_a_one_class_model_is_warned_about(
    trainer: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        StageAugment(mode="batch").setup(trainer, type("Stfpm", (Recorder,), {})(), "fit")
    assert "forced on Stfpm, although its student imitates" in caplog.text


def test_painting_nothing_is_warned_about(trainer: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        StageAugment(probability=0.0, negatives=0.0).setup(trainer, UniNet(), "fit")
    assert "paints nothing" in caplog.text


def test_two_of_them_in_one_trainer_are_refused(trainer: SimpleNamespace) -> None:
    trainer.callbacks = [StageAugment(), StageAugment()]
    with pytest.raises(InputError, match="two StageAugment"):
        trainer.callbacks[0].setup(trainer, UniNet(), "fit")


@pytest.mark.parametrize(("arguments", "error"), [({"weights": "absent.safetensors"}, BundleError), ({"device": "cuda:99"}, DeviceError), ({"device": "abacus"}, DeviceError), ({"defects": ["rust"]}, InputError)])
def test_a_fit_that_cannot_start_leaves_the_model_alone(
    trainer: SimpleNamespace, tiny_bundle_path: Path, arguments: dict[str, Any], error: type[Exception]
) -> None:
    augment, model = StageAugment(**({"weights": str(tiny_bundle_path)} | arguments)), Draem()
    original = model.augmenter
    augment.setup(trainer, model, "fit")
    with pytest.raises(error):
        augment.on_fit_start(trainer, model)
    assert model.augmenter is original


@pytest.mark.parametrize("end", ["on_fit_end", "on_exception", "teardown"])
def test_generators_are_put_back_and_the_synthesizer_dropped(
    started: Started, trainer: SimpleNamespace, end: str
) -> None:
    augment, model = started("Dsr")
    swapped = model.perlin_generator
    more = {"on_fit_end": (), "on_exception": (KeyboardInterrupt(),), "teardown": ("fit",)}[end]
    getattr(augment, end)(trainer, model, *more)
    assert model.perlin_generator is not swapped
    assert type(model.quantized_anomaly_generator).__name__ == "MaskGenerator"
    assert augment._painter is None


def test_a_second_fit_starts_from_the_models_own_generator(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("Draem")
    augment.on_fit_start(trainer, model)  # the first fit died without a word
    augment.on_fit_end(trainer, model)
    assert type(model.augmenter).__name__ == "Generator"


def test_the_summary_is_one_line_at_the_end(
    started: Started, trainer: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    augment, model = started("UniNet", probability=1.0)
    _step(augment, trainer, model, _batch())
    caplog.clear()
    with caplog.at_level(logging.INFO):
        augment.on_fit_end(trainer, model)
    [record] = caplog.records
    assert "4 anomalies and 0 negatives in 4 images" in record.message


# -- batch mode -------------------------------------------------------------------------------------------------------


def test_image_mask_and_label_agree(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", extent=(0.3, 0.6))
    labels = []
    for index in range(4):
        batch = _step(augment, trainer, model, _batch(), index)
        changed = (batch.image != good_images()).any(dim=1)
        assert not (changed & ~batch.gt_mask)[batch.gt_label].any()
        assert torch.equal(batch.gt_label, batch.gt_mask.flatten(1).any(dim=1))
        labels += batch.gt_label.tolist()
    assert set(labels) == {True, False}


def test_types_are_those_of_the_batch(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0)
    batch = _step(augment, trainer, model, _batch())
    assert type(batch.image) is tv_tensors.Image
    assert type(batch.gt_mask) is tv_tensors.Mask
    assert batch.image.dtype == torch.float32
    assert batch.gt_mask.dtype == batch.gt_label.dtype == torch.bool
    assert batch.gt_mask.shape == (4, 64, 48)


def test_a_classification_batch_gets_masks(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0, extent=(0.3, 0.6))
    batch = _step(augment, trainer, model, _batch(gt_mask=None))
    assert torch.equal(batch.gt_label, batch.gt_mask.flatten(1).any(dim=1))
    assert batch.gt_label.all()


def test_a_batch_of_one_and_no_labels_works(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0, extent=(0.3, 0.6))
    assert _step(augment, trainer, model, _batch(1, gt_label=None, gt_mask=None)).gt_label.tolist() == [True]


def test_images_anomalous_already_keep_pixels_masks_and_labels(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0, extent=(0.3, 0.6))
    given = _batch()
    given.gt_label[1] = True
    given.gt_mask[1, :9, :9] = True
    batch = _step(augment, trainer, model, given)
    assert torch.equal(batch.image[1], good_images()[1])
    assert batch.gt_mask[1].sum() == 81
    assert batch.gt_label.all()


def test_normalised_images_are_refused(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet")
    with pytest.raises(InputError, match="move Normalize"):
        augment.on_train_batch_start(trainer, model, _batch(image=tv_tensors.Image(good_images() * 4 - 2)), 0)


def test_an_anomaly_that_the_model_would_lose_is_put_back_and_counted(
    started: Started, trainer: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = Seam("batch", survival=lambda _: lambda seen: seen.flatten(1).sum(dim=1) < 0)
    monkeypatch.setitem(SEAMS, "UniNet", blind)
    augment, model = started("UniNet", probability=1.0)
    batch = _step(augment, trainer, model, _batch())
    assert not batch.gt_label.any()
    assert torch.equal(batch.image, good_images())
    assert not batch.gt_mask.any()
    assert augment.counts == {"images": 4, "anomalies": 0, "negatives": 0, "put_back": 4}


# -- swap mode --------------------------------------------------------------------------------------------------------


def test_the_clean_batch_stays_clean_in_swap_mode(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("Draem", probability=1.0)
    batch = _batch()
    augment.on_train_batch_start(trainer, model, batch, 0)
    augmented, mask = model.augmenter(batch.image)
    assert torch.equal(batch.image, good_images())
    assert not batch.gt_mask.any()
    assert mask.flatten(1).any(dim=1).all()
    assert not torch.equal(augmented, batch.image)


def test_samples_are_anomalous_negative_or_clean(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("Draem", probability=0.4, negatives=0.5)
    batch = _batch(12)
    augment.on_train_batch_start(trainer, model, batch, 0)
    augmented, mask = model.augmenter(batch.image)
    changed = (augmented != batch.image).flatten(1).any(dim=1)
    anomalous = mask.flatten(1).any(dim=1)
    assert not (anomalous & ~changed).any()
    assert (changed & ~anomalous).any()
    assert (~changed).any()


def test_dsr_draws_masks_in_its_first_phase_and_images_in_its_second(
    started: Started, trainer: SimpleNamespace
) -> None:
    augment, model = started("Dsr", probability=1.0)
    batch = _batch()
    augment.on_train_batch_start(trainer, model, batch, 0)
    mask = model.quantized_anomaly_generator.augment_batch(batch.image)
    augment.on_train_batch_start(trainer, model, batch, 0)
    augmented, again = model.perlin_generator(batch.image)
    assert torch.equal(mask, again)  # the same step draws the same masks
    assert torch.equal((augmented != batch.image).any(dim=1, keepdim=True) & (mask == 0), torch.zeros_like(mask) > 0)


def test_foundad_gets_normalised_images_back(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("FoundAD")
    batch = _batch()
    augment.on_train_batch_start(trainer, model, batch, 0)
    images = good_images()
    augmented = model.cutpaste(images)  # this stand-in has no pre-processor: nothing to undo
    assert (augmented != images).flatten(1).any(dim=1).all()
    assert not isinstance(model.cutpaste, nn.Module)


def test_every_call_in_a_step_paints_anew_and_the_same_again_next_time(
    started: Started, trainer: SimpleNamespace
) -> None:
    augment, model = started("Draem", probability=1.0)
    batch = _batch()
    rounds = []
    for _ in range(2):
        augment.on_train_batch_start(trainer, model, batch, 3)
        rounds.append([model.augmenter(batch.image)[1] for _ in range(2)])
    assert not torch.equal(rounds[0][0], rounds[0][1])
    assert all(torch.equal(a, b) for a, b in zip(*rounds, strict=True))


@pytest.mark.parametrize("change", [{"global_rank": 1}, {"current_epoch": 1}, {"index": 1}])
def test_rank_epoch_and_batch_change_the_pictures(started: Started, trainer: SimpleNamespace, change: dict[str, int]) -> None:
    augment, model = started("Draem", probability=1.0)
    masks = []
    for state in ({}, change):
        vars(trainer).update({name: value for name, value in state.items() if name != "index"})
        augment.on_train_batch_start(trainer, model, _batch(), state.get("index", 0))
        masks.append(model.augmenter(good_images())[1])
    assert not torch.equal(*masks)


def test_the_models_generator_answers_between_steps(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("Draem")
    _step(augment, trainer, model, _batch())
    assert torch.equal(model.augmenter(good_images())[0], -good_images())


# -- books ------------------------------------------------------------------------------------------------------------


def test_shares_are_logged_with_the_batch_size(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0, extent=(0.3, 0.6))
    _step(augment, trainer, model, _batch())
    assert model.logged["stage/anomalous_fraction"] == (1.0, 4)
    assert model.logged["stage/negative_fraction"] == (0.0, 4)
    share, size = model.logged["stage/time_share"]
    assert 0.0 < share <= 1.0
    assert size == 4


def test_global_random_streams_are_not_moved(started: Started, trainer: SimpleNamespace) -> None:
    for name in ("UniNet", "Draem"):
        augment, model = started(name, probability=1.0)
        before = torch.get_rng_state()
        augment.on_train_batch_start(trainer, model, _batch(), 0)
        if name == "Draem":
            model.augmenter(good_images())
        assert torch.equal(before, torch.get_rng_state())


def test_the_state_is_a_few_integers_that_load_as_weights(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0)
    _step(augment, trainer, model, _batch())
    file = io.BytesIO()
    torch.save(augment.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    assert all(type(value) is int for value in state.values())
    resumed = StageAugment()
    resumed.load_state_dict(state)
    assert resumed.counts == augment.counts


def test_the_first_painted_batch_is_drawn_once(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0)
    picture = Path(trainer.default_root_dir) / "stage_preview.png"
    _step(augment, trainer, model, _batch())
    assert picture.is_file()
    picture.unlink()
    _step(augment, trainer, model, _batch(), 1)
    assert not picture.exists()


@pytest.mark.parametrize("quiet", ["option", "rank"])
def test_no_picture_without_the_option_or_on_another_rank(started: Started, trainer: SimpleNamespace, quiet: str) -> None:
    trainer.is_global_zero = quiet != "rank"
    augment, model = started("UniNet", probability=1.0, preview=quiet != "option")
    _step(augment, trainer, model, _batch())
    assert not Path(trainer.default_root_dir).exists()


def test_an_unwritable_folder_costs_the_picture_and_not_the_training(
    started: Started, trainer: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    trainer.default_root_dir = str(tmp_path / "file" / "run")
    augment, model = started("UniNet", probability=1.0)
    with caplog.at_level(logging.WARNING):
        batch = _step(augment, trainer, model, _batch())
    assert "no preview" in caplog.text
    assert batch.gt_label.any()


def test_a_custom_generator_is_swapped_by_its_path(
    tiny_bundle_path: Path, trainer: SimpleNamespace
) -> None:
    model = type("Mine", (Dsr,), {})()
    augment = StageAugment(str(tiny_bundle_path), steps=4, probability=1.0, mode="swap", target="perlin_generator")
    augment.setup(trainer, model, "fit")
    augment.on_fit_start(trainer, model)
    augment.on_train_batch_start(trainer, model, _batch(), 0)
    _, mask = model.perlin_generator(good_images())
    assert mask.flatten(1).any(dim=1).all()
    assert type(model.quantized_anomaly_generator).__name__ == "MaskGenerator"
