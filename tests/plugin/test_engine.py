# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""StageAugment trains anomalib's real models through its Engine, on the CPU, without network.

Models whose weights cannot be had offline (UniNet, Dsr, FoundAD) are the real classes with random weights.
"""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from anomalib.deploy import TorchInferencer
from anomalib.models import image as image_models
from anomalib.models import video as video_models
from anomalib.models.components import AnomalibModule
from torchvision.transforms import v2

from anomalib_stage.errors import InputError, UnsupportedModelError
from anomalib_stage.plugin.callback.augment import StageAugment
from anomalib_stage.plugin.model.segmenter import Segmenter
from anomalib_stage.plugin.refusals import REASONS
from anomalib_stage.plugin.seams import SEAMS
from tests.plugin.real_models import (
    MEAN,
    QUIET,
    STD,
    Witness,
    any_pixel,
    data_module,
    draem,
    dsr,
    engine_for,
    foundad,
    glass,
    heard,
    pre_processor,
    segmenter,
    supersimplenet,
    uninet,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def stage(tiny_bundle_path: Path) -> Callable[..., StageAugment]:
    """Return a function that builds a callback with the small bundle and few steps."""
    return lambda **arguments: StageAugment(
        weights=str(tiny_bundle_path), **({"sampling_steps": 4, "probability": 1.0} | arguments)
    )


# -- the table against anomalib itself ------------------------------------------------------------------------------


def test_every_model_of_anomalib_is_supported_refused_or_never_trained() -> None:
    undecided = []
    for name in (*image_models.__all__, *video_models.__all__):
        model = getattr(image_models, name, None) or getattr(video_models, name)
        names = {base.__name__ for base in model.__mro__}
        if issubclass(model, AnomalibModule) and not names & (SEAMS.keys() | REASONS.keys()):
            undecided.append(name)
    assert sorted(undecided) == ["AnomalyVFM", "VlmAd", "WinClip"]  # zero- and few-shot


def test_every_name_in_the_table_is_a_model_of_anomalib_or_of_this_package() -> None:
    missing = {name for name in SEAMS.keys() | REASONS.keys() if not hasattr(image_models, name)}
    assert missing == {"MemoryBankMixin", "Segmenter"}


# -- swap mode --------------------------------------------------------------------------------------------------------


def test_draem_learns_painted_images_against_clean_ones(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment]
) -> None:
    model = draem(tmp_path)
    own, given, losses = model.augmenter, heard(model.model), heard(model.loss)
    engine_for(tmp_path, stage(), fast_dev_run=2).fit(model, datamodule=data_module(parts))
    for ((augmented,), _), ((clean, _, mask, _), _) in zip(given[:2], losses, strict=True):
        changed = (augmented != clean).any(dim=1, keepdim=True)
        assert mask.shape == (3, 1, 32, 32)
        assert mask.dtype == torch.float32
        assert any_pixel(mask).all()
        assert any_pixel(changed).all()
        assert not (changed & (mask == 0)).any()

    assert model.augmenter is own


def test_glass_is_asked_for_pixels_in_zero_to_one(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, pairs = glass(), []
    own, features = model.model.augmentor, model.model.calculate_features

    def listen(img: torch.Tensor, aug: torch.Tensor, **options: Any) -> Any:
        pairs.append((img, aug))
        return features(img, aug, **options)

    monkeypatch.setattr(model.model, "calculate_features", listen)
    augment = stage(probability=None)
    engine_for(tmp_path, augment).fit(model, datamodule=data_module(parts))
    assert model.model.augmentor is own
    assert augment.counts["anomalies"] == 6  # GLASS wants every image painted
    for clean, augmented in pairs:
        changed = (clean - augmented).abs().amax(dim=1) > 1e-4
        assert any_pixel(changed).all()
        assert changed.float().mean() < 0.5
        assert augmented.amin() < 0.0  # normalised again


def test_dsr_draws_masks_and_later_paints_images(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment]
) -> None:
    model = dsr()
    own = model.quantized_anomaly_generator, model.perlin_generator
    first, second = heard(model.second_stage_loss), heard(model.third_stage_loss)
    engine_for(tmp_path, stage(), max_epochs=2, limit_train_batches=1).fit(model, datamodule=data_module(parts))
    (first_args, _), (second_args, _) = first[0], second[0]
    assert any_pixel(first_args[-1]).all()
    assert any_pixel(second_args[-1]).all()
    assert (model.quantized_anomaly_generator, model.perlin_generator) == own


def test_foundad_gets_painted_images_normalised_under_mixed_precision(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = foundad(monkeypatch)
    own, given = model.cutpaste, heard(model.model)
    engine = engine_for(tmp_path, stage(probability=None), precision="bf16-mixed")
    engine.fit(model, datamodule=data_module(parts))
    assert model.cutpaste is own
    for (images,), named in given:
        changed = (named["augmented_images"] != images).any(dim=1)
        assert named["augmented_images"].dtype == torch.float32
        assert any_pixel(changed).all()
        assert changed.float().mean() < 0.5


def test_checkpoint_logs_and_preview_of_a_run_and_its_resume(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = foundad(monkeypatch)
    keys = set(model.state_dict())
    engine = engine_for(tmp_path, stage())
    engine.fit(model, datamodule=data_module(parts))
    assert (Path(engine.trainer.default_root_dir) / "stage_preview.png").is_file()
    assert engine.trainer.callback_metrics["stage/anomalous_fraction"] == 1.0
    assert engine.trainer.callback_metrics["stage/negative_fraction"] == 0.0
    assert 0.0 < engine.trainer.callback_metrics["stage/time_share"] < 1.0
    checkpoint = torch.load(engine.best_model_path, weights_only=True)
    assert set(checkpoint["state_dict"]) == keys
    counts = {"images": 6, "anomalies": 6, "negatives": 0, "put_back": 0, "rejected": 0}
    assert checkpoint["callbacks"]["StageAugment"] == counts

    resumed = stage()
    again = engine_for(tmp_path, resumed, max_epochs=2, limit_train_batches=1)
    again.fit(foundad(monkeypatch), datamodule=data_module(parts), ckpt_path=engine.best_model_path)
    assert resumed.counts["images"] == 6 + 3


def test_a_model_copied_or_saved_in_the_middle_of_training_has_its_own_generator(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment]
) -> None:
    copies, files = [], []

    def look(module: Any) -> None:
        copies.append(copy.deepcopy(module).model.augmentor)
        files.append(pickle.dumps(module))

    model = glass()
    engine_for(tmp_path, stage(), Witness(look), limit_train_batches=1).fit(model, datamodule=data_module(parts))
    assert type(copies[0]) is type(model.model.augmentor)
    assert b"anomalib_stage" not in files[0]
    assert b"anomalib_stage" not in pickle.dumps(model)


def test_a_crash_in_training_puts_the_generator_back(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = glass()
    own, augment = model.model.augmentor, stage()

    def crash(*args: Any) -> None:
        assert model.model.augmentor is not own
        msg = "boom"
        raise RuntimeError(msg, args)

    monkeypatch.setattr(model, "training_step", crash)
    with pytest.raises(RuntimeError, match="boom"):
        engine_for(tmp_path, augment).fit(model, datamodule=data_module(parts))
    assert model.model.augmentor is own
    assert augment._session is None


# -- batch mode -------------------------------------------------------------------------------------------------------


def test_supersimplenet_gets_images_masks_and_labels_that_agree(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment]
) -> None:
    model = supersimplenet()
    given, keys = heard(model.model), set(model.state_dict())
    before, after = Witness(), Witness()
    engine = engine_for(tmp_path, before, stage(probability=0.5), after)
    engine.fit(model, datamodule=data_module(parts, train_batch_size=6))
    [(_, batch)] = given
    assert batch["masks"].shape == (6, 128, 128)
    assert torch.equal(batch["labels"], any_pixel(batch["masks"]))
    assert set(batch["labels"].tolist()) == {True, False}
    assert batch["images"].amin() < 0.0  # painted before the pre-processor normalises
    cells = model.model.downsample_mask(batch["masks"], 32, 32)
    assert torch.equal(batch["labels"], any_pixel(cells))  # no mask vanishes at the resolution of the loss
    assert set(torch.load(engine.best_model_path, weights_only=False)["state_dict"]) == keys  # it holds its backbone
    assert all(torch.equal(a, b) for a, b in zip(before.states, after.states, strict=True))


def test_the_seed_alone_decides_what_is_painted(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment]
) -> None:
    batches = []
    for seed in (1, 1, 2):
        torch.manual_seed(0)  # the order of the images
        model = supersimplenet()
        given = heard(model.model)
        torch.manual_seed(0)
        engine_for(tmp_path, stage(seed=seed), max_steps=1).fit(model, datamodule=data_module(parts))
        batches.append(given[0][1])
    assert torch.equal(batches[0]["images"], batches[1]["images"])
    assert torch.equal(batches[0]["masks"], batches[1]["masks"])
    assert not torch.equal(batches[0]["masks"], batches[2]["masks"])


def test_a_classification_data_set_gets_masks(parts: Path, tmp_path: Path, stage: Callable[..., StageAugment]) -> None:
    model = supersimplenet()
    given = heard(model.model)
    data = data_module(parts, abnormal_dir=None, mask_dir=None, train_batch_size=1)
    engine_for(tmp_path, stage(), limit_train_batches=2).fit(model, datamodule=data)
    assert [batch["labels"].tolist() for _, batch in given] == [[True], [True]]
    assert all(any_pixel(batch["masks"]).all() for _, batch in given)


def test_loaders_without_a_data_module_paint_at_native_size(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment]
) -> None:
    model, data = supersimplenet(), data_module(parts)
    data.setup()
    given = heard(model.model)
    augment = stage()
    engine_for(tmp_path, augment).fit(model, train_dataloaders=data.train_dataloader())
    for _, batch in given:
        assert batch["masks"].shape == (3, 128, 128)  # resized from 96 by the pre-processor
        assert torch.equal(batch["labels"], any_pixel(batch["masks"]))


def test_uninet_gets_images_masks_and_labels_that_agree(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = uninet(monkeypatch)
    given = heard(model.model)
    engine_for(tmp_path, stage(), fast_dev_run=True).fit(model, datamodule=data_module(parts))
    _, batch = given[0]
    assert batch["labels"].all()
    assert torch.equal(batch["labels"], any_pixel(batch["masks"][:, ::4, ::4]))  # as its loss samples them


def test_segmenter_trains_tests_predicts_and_comes_back_from_its_files(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = segmenter(50, lr=1e-3), data_module(parts)  # 50 pixels are no multiple of 32
    given, counted = heard(model.loss), heard(model.model.network)
    engine = engine_for(tmp_path, stage(), limit_val_batches=1.0, max_epochs=2)
    engine.train(model, datamodule=data)
    logits, masks = given[0][0]
    assert logits.shape == (3, 1, 50, 50)
    assert any_pixel(masks).all()  # painted, as the loss sees it
    assert counted[0][0][0].shape == (3, 3, 64, 64)
    found = engine.trainer.callback_metrics
    assert found.keys() >= {"image_AUROC", "image_F1Score", "pixel_AUROC", "pixel_F1Score"}

    [first, *_] = engine.predict(model, datamodule=data)
    assert first.anomaly_map.shape == first.pred_mask.shape == (2, 50, 50)
    assert 0.0 <= first.anomaly_map.amin() <= first.anomaly_map.amax() <= 1.0
    assert list((tmp_path / "runs").rglob("images/**/*.png"))  # of the visualizer

    for module in (model.loss, model.model.network):  # what listens cannot be saved
        module._forward_pre_hooks.clear()
    images = torch.rand(2, 3, 96, 96)
    own = model.eval()(images)
    loaded = Segmenter.load_from_checkpoint(engine.best_model_path, pre_processor=model.pre_processor).eval()
    monkeypatch.setenv("TRUST_REMOTE_CODE", "1")
    exported = TorchInferencer(engine.export(model, "torch", export_root=tmp_path), device="cpu").model
    for other in (loaded(images), exported(images)):
        assert torch.equal(other.anomaly_map, own.anomaly_map)
        assert torch.equal(other.pred_score, own.pred_score)


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_padim_is_refused_by_name_with_the_reason(parts: Path, tmp_path: Path) -> None:
    model = image_models.Padim(
        backbone="resnet18", pre_trained=False, pre_processor=pre_processor(64, normalise=True), **QUIET
    )
    with pytest.raises(UnsupportedModelError, match="cannot be used with Padim: it remembers"):
        engine_for(tmp_path, StageAugment(weights="no/such/file")).fit(model, datamodule=data_module(parts))


def test_a_data_module_that_normalises_is_refused(
    parts: Path, tmp_path: Path, stage: Callable[..., StageAugment]
) -> None:
    data = data_module(parts, train_augmentations=v2.Normalize(MEAN, STD))
    with pytest.raises(InputError, match="move Normalize into the model's pre_processor"):
        engine_for(tmp_path, stage()).fit(glass(), datamodule=data)


def test_two_callbacks_end_in_our_own_message(parts: Path, tmp_path: Path) -> None:
    two = [StageAugment(weights="no/such/file"), StageAugment(weights="no/such/file", defects=["hole"])]
    engine = engine_for(tmp_path, *two)
    with pytest.raises(InputError, match="two StageAugment callbacks in this trainer; give one"):
        engine.fit(segmenter(64), datamodule=data_module(parts))


# -- two processes ----------------------------------------------------------------------------------------------------

DDP_SCRIPT = """
import sys
from pathlib import Path
from tests.plugin.real_models import data_module, engine_for, heard, supersimplenet
from anomalib_stage.plugin.callback.augment import StageAugment
import torch

bundle, parts, out = sys.argv[1:]
model = supersimplenet()
given = heard(model.model)
augment = StageAugment(weights=bundle, sampling_steps=4, probability=1.0)
engine = engine_for(Path(out), augment, devices=2, strategy="ddp_find_unused_parameters_true", max_steps=1)
engine.fit(model, datamodule=data_module(Path(parts), train_batch_size=2))
torch.save((given[0][1]["masks"].bool(), given[0][1]["labels"]), Path(out) / f"rank{engine.trainer.global_rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_paint_different_anomalies(parts: Path, tmp_path: Path, tiny_bundle_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(DDP_SCRIPT)
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tiny_bundle_path), str(parts), str(tmp_path)]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:
        try:
            _, errors = process.communicate(timeout=240)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # the second rank is a child of the first
    assert process.returncode == 0, errors[-2000:]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=False) for rank in (0, 1))
    assert first[1].all()
    assert second[1].all()
    assert not torch.equal(first[0], second[0])
