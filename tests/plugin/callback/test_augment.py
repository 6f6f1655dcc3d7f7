# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageAugment, hook by hook, on small stand-ins; tests/plugin/test_engine.py trains the real models."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from argparse import ArgumentError
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback, Trainer
from torch import nn

from anomalib_stage.errors import BundleError, DeviceError, InputError, UnsupportedModelError
from anomalib_stage.files.figures import HEADER
from anomalib_stage.plugin.callback.augment import StageAugment
from anomalib_stage.plugin.callback.painter_loading import find_device
from tests.plugin.conftest import Draem, Dsr, Recorder, UniNet, a_batch, good_images, train_step

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    Started = Callable[..., tuple[StageAugment, Any]]


# -- construction and life cycle ------------------------------------------------------------------------------------


def test_importing_loads_neither_diffusers_nor_any_model() -> None:
    code = (
        "import sys; from anomalib_stage.plugin.callback.augment import StageAugment; StageAugment();"
        "heavy = {'diffusers', 'timm', 'cv2'};"
        "bad = [m for m in sys.modules if m.split('.')[0] in heavy or m.startswith('anomalib.')];"
        "sys.exit(repr(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_is_no_module() -> None:
    assert not isinstance(StageAugment(), nn.Module)


def test_it_is_named_in_yaml_as_any_callback() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--callbacks", type=list[Callback])
    chosen = {
        "defects": ["scratch", "stain"],
        "synthesis": {"masks": {"extent": [0.1, 0.3]}},
        "seed": 3,
        "seam": "auto",
    }
    entry = {"class_path": "anomalib_stage.plugin.callback.augment.StageAugment", "init_args": chosen}
    [augment] = parser.instantiate_classes(parser.parse_object({"callbacks": [entry]})).callbacks
    assert isinstance(augment, StageAugment)
    assert augment.defects == ["scratch", "stain"]
    assert augment.settings.masks.extent == (0.1, 0.3)
    with pytest.raises(ArgumentError):
        parser.parse_object({"callbacks": [{**entry, "init_args": {"no_such": 1}}]})


@pytest.mark.parametrize("stage", ["validate", "test", "predict"])
def test_other_stages_ask_nothing_of_the_model(trainer: SimpleNamespace, stage: str) -> None:
    augment = StageAugment(weights="no/such/file")
    augment.setup(trainer, Recorder(), stage)
    augment.on_fit_start(trainer, Recorder())
    batch = a_batch()
    assert torch.equal(train_step(augment, trainer, Recorder(), batch).image, good_images())


def test_an_unsupported_model_is_refused_before_weights_are_read(trainer: SimpleNamespace) -> None:
    with pytest.raises(UnsupportedModelError, match="Recorder"):
        StageAugment(weights="no/such/file").setup(trainer, Recorder(), "fit")


@pytest.mark.parametrize("learning", ["zero_shot", "few_shot"])
def test_a_model_that_never_trains_is_warned_about(
    trainer: SimpleNamespace, caplog: pytest.LogCaptureFixture, learning: str
) -> None:
    model = type("WinClip", (Recorder,), {"learning_type": learning})()
    with caplog.at_level(logging.WARNING):
        StageAugment().setup(trainer, model, "validate")
    assert "has no effect: WinClip" in caplog.text


def test_forcing_a_one_class_model_is_warned_about(trainer: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        StageAugment(seam="batch").setup(trainer, type("Stfpm", (Recorder,), {})(), "fit")
    assert "forced on Stfpm, although its student imitates" in caplog.text


def test_painting_nothing_is_warned_about(trainer: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        StageAugment(probability=0.0, negatives=0.0).setup(trainer, UniNet(), "fit")
    assert "paints nothing" in caplog.text


@pytest.mark.parametrize("stage", ["fit", "validate", "test"])
def test_two_of_them_in_one_trainer_are_refused(trainer: SimpleNamespace, stage: str) -> None:
    trainer.callbacks = [StageAugment(), StageAugment()]
    with pytest.raises(InputError, match="two StageAugment callbacks in this trainer; give one"):
        trainer.callbacks[0].setup(trainer, UniNet(), stage)


@pytest.mark.parametrize("same", [False, True])
def test_lightning_leaves_it_to_us_to_say_so(same: bool) -> None:
    first = StageAugment()
    two = [first, first if same else StageAugment()]
    trainer = Trainer(callbacks=two, logger=False, enable_checkpointing=False, accelerator="cpu")
    assert sum(isinstance(callback, StageAugment) for callback in trainer.callbacks) == 2


def test_counters_are_saved_under_the_name_of_the_class(trainer: SimpleNamespace) -> None:
    augment = StageAugment()
    trainer.callbacks = [augment]
    augment.setup(trainer, UniNet(), "fit")
    assert augment.state_key == "StageAugment"


# -- devices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mps", "xpu", "meta"])
def test_a_model_on_another_device_is_painted_for_on_the_cpu(
    trainer: SimpleNamespace, tiny_bundle_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    class Elsewhere(UniNet):
        device = torch.device(kind)

    model = Elsewhere()
    augment = StageAugment(weights=str(tiny_bundle_path), sampling_steps=4, probability=1.0)
    trainer.callbacks = [augment]
    augment.setup(trainer, model, "fit")
    with caplog.at_level(logging.WARNING, logger="anomalib_stage"):
        augment.on_fit_start(trainer, model)
        for index in range(2):
            batch = train_step(augment, trainer, model, a_batch(), index)
    [record] = caplog.records
    assert f"the model is on {kind}, where nothing can be painted; painting on the CPU" in record.getMessage()
    assert batch.gt_mask.any()


@pytest.mark.parametrize("kind", ["cpu", "cuda", "cuda:1"])
def test_where_the_model_is_is_where_it_is_painted(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    assert find_device("auto", torch.device(kind)) == torch.device(kind)
    assert find_device("cpu", torch.device(kind)) == "cpu"
    assert caplog.text == ""


def test_a_device_that_was_asked_for_by_name_stays_an_error(trainer: SimpleNamespace, tiny_bundle_path: Path) -> None:
    augment = StageAugment(weights=str(tiny_bundle_path), device="mps")
    augment.setup(trainer, UniNet(), "fit")
    with pytest.raises(DeviceError, match="device 'mps' cannot be painted on"):
        augment.on_fit_start(trainer, UniNet())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"weights": "absent.safetensors"}, BundleError),
        ({"device": "cuda:99"}, DeviceError),
        ({"device": "abacus"}, DeviceError),
        ({"defects": ["rust"]}, InputError),
    ],
)
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
    assert augment._session is None


def test_a_second_fit_starts_from_the_models_own_generator(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("Draem")
    augment.on_fit_start(trainer, model)  # the first fit died without a word
    augment.on_fit_end(trainer, model)
    assert type(model.augmenter).__name__ == "Generator"


def test_the_summary_is_one_line_at_the_end(
    started: Started, trainer: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    augment, model = started("UniNet", probability=1.0)
    train_step(augment, trainer, model, a_batch())
    caplog.clear()
    with caplog.at_level(logging.INFO):
        augment.on_fit_end(trainer, model)
    [record] = caplog.records
    assert "4 anomalies and 0 negatives in 4 images" in record.message


# -- books ------------------------------------------------------------------------------------------------------------


def test_shares_are_logged_with_the_batch_size(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0, synthesis={"masks": {"extent": (0.3, 0.6)}})
    train_step(augment, trainer, model, a_batch())
    assert model.logged["stage/anomalous_fraction"] == (1.0, 4)
    assert model.logged["stage/negative_fraction"] == (0.0, 4)
    share, size = model.logged["stage/time_share"]
    assert 0.0 < share <= 1.0
    assert size == 4


def test_global_random_streams_are_not_moved(started: Started, trainer: SimpleNamespace) -> None:
    for name in ("UniNet", "Draem"):
        augment, model = started(name, probability=1.0)
        before = torch.get_rng_state()
        augment.on_train_batch_start(trainer, model, a_batch(), 0)
        if name == "Draem":
            model.augmenter(good_images())
        assert torch.equal(before, torch.get_rng_state())


def test_the_state_is_a_few_integers_that_load_as_weights(started: Started, trainer: SimpleNamespace) -> None:
    augment, model = started("UniNet", probability=1.0)
    train_step(augment, trainer, model, a_batch())
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
    train_step(augment, trainer, model, a_batch())
    assert picture.is_file()
    picture.unlink()
    train_step(augment, trainer, model, a_batch(), 1)
    assert not picture.exists()


def test_the_picture_shows_pixels_also_when_the_model_takes_masks_alone(
    started: Started, trainer: SimpleNamespace
) -> None:
    augment, model = started("Dsr", probability=1.0, synthesis={"masks": {"extent": (0.3, 0.6)}})
    augment.on_train_batch_start(trainer, model, a_batch(), 0)
    model.quantized_anomaly_generator.augment_batch(good_images())
    picture = cv2.imread(str(Path(trainer.default_root_dir) / "stage_preview.png"))
    difference = picture[HEADER:, picture.shape[1] * 3 // 4 :]
    assert difference.any()
    assert augment.counts["images"] == 0  # counted when the step ends


@pytest.mark.parametrize("quiet", ["option", "rank"])
def test_no_picture_without_the_option_or_on_another_rank(
    started: Started, trainer: SimpleNamespace, quiet: str
) -> None:
    trainer.is_global_zero = quiet != "rank"
    augment, model = started("UniNet", probability=1.0, preview=quiet != "option")
    train_step(augment, trainer, model, a_batch())
    assert not Path(trainer.default_root_dir).exists()


def test_an_unwritable_folder_costs_the_picture_and_not_the_training(
    started: Started, trainer: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    trainer.default_root_dir = str(tmp_path / "file" / "run")
    augment, model = started("UniNet", probability=1.0)
    with caplog.at_level(logging.WARNING):
        batch = train_step(augment, trainer, model, a_batch())
    assert "no preview" in caplog.text
    assert batch.gt_label.any()


def test_a_custom_generator_is_swapped_by_its_path(tiny_bundle_path: Path, trainer: SimpleNamespace) -> None:
    model = type("Mine", (Dsr,), {})()
    augment = StageAugment(
        weights=str(tiny_bundle_path), sampling_steps=4, probability=1.0, seam="swap:perlin_generator"
    )
    augment.setup(trainer, model, "fit")
    augment.on_fit_start(trainer, model)
    augment.on_train_batch_start(trainer, model, a_batch(), 0)
    _, mask = model.perlin_generator(good_images())
    assert mask.flatten(1).any(dim=1).all()
    assert type(model.quantized_anomaly_generator).__name__ == "MaskGenerator"
