# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The Segmenter alone: its networks, its loss, its schedule, and what it refuses. Nothing here is downloaded."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import segmentation_models_pytorch as smp
import torch
import yaml
from anomalib.cli.cli import AnomalibCLI
from lightning.pytorch import Trainer
from torch import nn
from torch.nn import functional

from anomalib_stage.errors import InputError, MissingPackageError
from anomalib_stage.plugin.model import networks
from anomalib_stage.plugin.model.segmentation_loss import SegmentationLoss
from anomalib_stage.plugin.model.segmentation_network import SegmentationNetwork
from anomalib_stage.plugin.model.segmenter import Segmenter
from tests.plugin.conftest import Batch, good_images

if TYPE_CHECKING:
    from collections.abc import Callable

ENCODERS = {"small_unet": None, "unet": "resnet18", "segformer": "mit_b0", "upernet": "resnet18"}


def segmenter(architecture: str = "small_unet", **arguments: Any) -> Segmenter:
    """Build a Segmenter whose weights are always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Segmenter(architecture, encoder_name=ENCODERS[architecture], **arguments)


def defects(count: int = 4, size: int = 64) -> Batch:
    """Return images with a bright square each, but for the first, which is good."""
    images, masks = good_images(count, (size, size)), torch.zeros(count, size, size, dtype=torch.bool)
    for i in range(1, count):
        masks[i, 8 * i : 8 * i + 12, 10:22] = True
    images = torch.where(masks[:, None], images + 0.25, images)
    return Batch(images, masks, masks.flatten(1).any(dim=1))


def train(model: Segmenter, batch: Batch, *, steps: int) -> list[float]:
    """Train on one batch and return the losses."""
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=3e-3), []
    model.train().log = lambda *_, **__: None  # there is no trainer
    for _ in range(steps):
        loss = model.training_step(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


# -- networks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ENCODERS)
def test_any_size_gives_maps_of_that_size_and_scores(architecture: str) -> None:
    model = segmenter(architecture).eval()
    with torch.no_grad():
        found = model.model(torch.randn(2, 3, 70, 45))
    assert found.anomaly_map.shape == (2, 1, 70, 45)
    assert found.anomaly_map.dtype == found.pred_score.dtype == torch.float32
    assert 0.0 <= found.anomaly_map.amin() <= found.anomaly_map.amax() <= 1.0
    highest = found.anomaly_map.flatten(1).sort(dim=1, descending=True).values[:, :16]
    assert torch.allclose(found.pred_score, highest.mean(dim=1))


def test_images_are_padded_with_their_border_and_maps_cropped_back() -> None:
    model = segmenter().eval().model
    images = torch.randn(1, 3, 40, 64)
    with torch.no_grad():
        padded = model.network(functional.pad(images, (0, 0, 0, 24), mode="replicate"))
        assert torch.allclose(model.compute_logits(images), padded[..., :40, :], atol=1e-5)
        assert torch.allclose(model.compute_logits(images[..., :32, :]), model.network(images[..., :32, :]), atol=1e-5)


def test_an_untrained_network_expects_few_anomalies() -> None:
    with torch.no_grad():
        assert segmenter().train().model.compute_logits(torch.randn(4, 3, 64, 64)).sigmoid().mean() < 0.1


def test_half_precision_gives_single_precision_maps() -> None:
    model = segmenter().eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = model.model(torch.randn(1, 3, 32, 32))
    assert found.anomaly_map.dtype == found.pred_score.dtype == torch.float32


@pytest.mark.parametrize(("pixels", "score"), [(1, 0.9), (2, 0.7), (10_000, 1.4 / 16)])
def test_the_score_is_the_mean_of_the_highest_pixels(pixels: int, score: float) -> None:
    logits = torch.full((1, 1, 4, 4), -100.0)
    logits[0, 0, 1, 2], logits[0, 0, 3, 3] = torch.tensor([0.9, 0.5]).logit()
    network = SegmentationNetwork(nn.Identity(), score_pixels=pixels)
    network.compute_logits = lambda _: logits  # type: ignore[method-assign]
    assert float(network(torch.zeros(1, 3, 4, 4)).pred_score) == pytest.approx(score)


def test_the_small_network_is_small() -> None:
    assert sum(parameter.numel() for parameter in segmenter().parameters()) < 1.1e6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter, in plenty
def test_onnx_finds_the_same(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    reference = pytest.importorskip("onnx.reference")
    model, images = segmenter(pre_processor=False).eval(), torch.randn(1, 3, 24, 40)
    run = reference.ReferenceEvaluator(str(model.to_onnx(tmp_path, input_size=(24, 40))))
    score, _, anomaly_map, _ = run.run(None, {"input": images.numpy()})
    with torch.no_grad():
        own = model(images)
    assert torch.allclose(torch.from_numpy(anomaly_map), own.anomaly_map, atol=1e-5)
    assert torch.allclose(torch.from_numpy(score), own.pred_score, atol=1e-5)


# -- loss and training ------------------------------------------------------------------------------------------------


def test_the_loss_wants_the_mask() -> None:
    masks = defects().gt_mask
    assert masks is not None
    logits = torch.where(masks[:, None], 8.0, -8.0)
    loss = SegmentationLoss()
    assert loss(logits, masks) < 0.01
    assert loss(-logits, masks) > 8.0
    missed = torch.full_like(logits, -8.0)
    assert loss(missed, masks) > 1.0  # Dice: 3 % of the pixels are not 3 % of the loss


def test_a_small_anomaly_counts_as_much_as_a_large_one_in_another_image() -> None:
    masks = torch.zeros(3, 32, 32, dtype=torch.bool)  # the last is good
    masks[0, :, 2:] = True
    masks[1, 4:6, 4:6] = True
    found = torch.where(masks[:, None], 16.0, -16.0)
    loss = SegmentationLoss()
    missed = []
    for i in (0, 1):
        logits = found.clone()
        logits[i] = -16.0
        missed.append(loss.dice(logits[i : i + 1], masks[i : i + 1, None].float()).item() / 2)
        wrong = (loss(logits, masks) - loss.cross_entropy(logits, masks[:, None].float())).item()
        assert wrong == pytest.approx(missed[i], abs=0.01)
    assert missed[0] == pytest.approx(missed[1], abs=0.01)


def test_a_batch_without_anomalies_has_a_finite_loss_that_teaches() -> None:
    logits = torch.zeros(2, 1, 8, 8, requires_grad=True)
    loss = SegmentationLoss()(logits, torch.zeros(2, 8, 8, dtype=torch.bool))
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert (logits.grad > 0.0).all()  # down with every pixel


def test_it_learns_a_handful_of_defects_the_same_way_each_time() -> None:
    batch = defects()
    first, again = (train(segmenter(), batch, steps=25) for _ in range(2))
    assert first == again
    assert sum(first[-3:]) < 0.6 * sum(first[:3])


def test_masks_and_nothing_else_say_what_is_anomalous() -> None:
    batch = defects()
    good = Batch(batch.image, torch.zeros_like(batch.gt_mask), torch.zeros(4, dtype=torch.bool))
    assert train(segmenter(), batch, steps=1) != train(segmenter(), good, steps=1)


def test_a_good_batch_without_masks_counts_as_good() -> None:
    images = good_images(2, (64, 64))
    without = Batch(images, None, torch.zeros(2, dtype=torch.bool))
    zeros = Batch(images, torch.zeros(2, 64, 64, dtype=torch.bool), torch.zeros(2, dtype=torch.bool))
    assert train(segmenter(), without, steps=1) == train(segmenter(), zeros, steps=1)


def test_anomalous_images_without_masks_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"^Segmenter: the training batch has anomalous images without masks.*mask_dir"
    ):
        train(segmenter(), Batch(good_images(2), None, torch.tensor([False, True])), steps=1)


@pytest.mark.parametrize("architecture", ["upernet", "unet"])
def test_a_last_batch_of_one_image_trains(architecture: str) -> None:
    [loss] = train(segmenter(architecture), defects(1, 32), steps=1)
    assert loss == loss  # not NaN


@pytest.mark.parametrize(("anomalous", "warnings"), [(False, 1), (True, 0)])
def test_a_training_without_anomalies_ends_with_a_warning(
    anomalous: bool, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    model = segmenter()
    train(model, defects(2 if anomalous else 1, 32), steps=1)
    with caplog.at_level(logging.WARNING):
        model.on_train_end()
    assert sum("StageAugment with probability above 0" in message for message in caplog.messages) == warnings


# -- optimizer --------------------------------------------------------------------------------------------------------


def _rates(steps: float, taken: int, **arguments: Any) -> list[float]:
    model = segmenter(lr=1.0, **arguments)
    model._trainer = SimpleNamespace(estimated_stepping_batches=steps)  # type: ignore[assignment]
    model._fabric = None
    plan: Any = model.configure_optimizers()
    rates = []
    for _ in range(taken):
        rates.append(plan["optimizer"].param_groups[0]["lr"])
        plan["optimizer"].step()
        plan["lr_scheduler"]["scheduler"].step()
    assert plan["lr_scheduler"]["interval"] == "step"
    return rates


def test_the_rate_rises_and_falls_to_zero() -> None:
    assert _rates(10, 12, warmup_steps=2)[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    rates = _rates(10, 12, warmup_steps=2)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[6] == pytest.approx(0.5)
    assert rates[10:] == pytest.approx([0.0, 0.0])


def test_a_constant_rate_needs_no_end() -> None:
    assert _rates(float("inf"), 3, schedule="constant", warmup_steps=1) == pytest.approx([0.5, 1.0, 1.0])


@pytest.mark.parametrize("steps", [float("inf"), -1])
def test_a_cosine_without_an_end_is_refused(steps: float) -> None:
    with pytest.raises(InputError, match=r"max_epochs or max_steps"):
        _rates(steps, 1)


def test_only_weights_decay() -> None:
    model = segmenter(schedule="constant", weight_decay=0.3)
    weights, others = model.configure_optimizers()["optimizer"].param_groups  # type: ignore[index, call-overload]
    assert (weights["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    assert all(parameter.ndim == 1 for parameter in others["params"])
    assert len(weights["params"]) + len(others["params"]) == len(list(model.parameters()))


# -- what is asked of segmentation_models_pytorch, and what is refused ------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ({}, ("unet", "resnet34", None)),
        ({"architecture": "segformer"}, ("segformer", "mit_b2", None)),
        ({"architecture": "upernet", "encoder_weights": "imagenet"}, ("upernet", "resnet50", "imagenet")),
        (
            {"encoder_name": "tu-resnet10t.c3_in1k", "encoder_weights": "imagenet"},
            ("unet", "tu-resnet10t.c3_in1k", True),
        ),
        ({"encoder_name": "tu-resnet10t"}, ("unet", "tu-resnet10t", None)),
    ],
)
def test_encoders_and_weights_are_those_asked_for(
    arguments: dict[str, Any], asked: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, create = [], smp.create_model

    def listen(arch: str, *, encoder_name: str, encoder_weights: Any) -> nn.Module:
        calls.append((arch, encoder_name, encoder_weights))
        return create("unet", encoder_name="resnet18", encoder_weights=None)

    monkeypatch.setattr(smp, "create_model", listen)
    Segmenter(**arguments)
    assert calls == [asked]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            {"architecture": "vnet"},
            r"architecture: Input should be 'small_unet', 'unet', 'segformer' or 'upernet'.*'vnet'",
        ),
        ({"lr": 0.0}, r"lr: Input should be greater than 0, got 0.0"),
        ({"weight_decay": -1.0}, r"weight_decay: .*greater than or equal to 0, got -1.0"),
        ({"schedule": "linear"}, r"schedule: Input should be 'cosine' or 'constant', got 'linear'"),
        ({"warmup_steps": -1}, r"warmup_steps: .*, got -1"),
        ({"score_pixels": 0}, r"score_pixels: .*, got 0"),
        ({"encoder_name": "resnet19"}, r"no encoder 'resnet19'; give one of its encoders.*'tu-<name>'"),
        ({"encoder_name": "tu-resnet19"}, r"timm has no model 'resnet19'; see timm"),
        ({"encoder_name": "tu-vit_tiny_patch16_224"}, r"'tu-vit_tiny_patch16_224' does not fit unet: .*; leave"),
        ({"encoder_weights": "imagenot"}, r"'resnet34' has no weights 'imagenot'; give one of imagenet.*or null"),
        ({"architecture": "small_unet", "encoder_name": "resnet18"}, r"has an encoder of its own.*'resnet18'.*'unet'"),
        ({"architecture": "small_unet", "encoder_weights": "imagenet"}, r"encoder of its own.*'imagenet'; leave both"),
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        Segmenter(**arguments)
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'anomalib-stage\[segmentation\]'") as caught:
        Segmenter()
    assert isinstance(caught.value, ImportError)


def test_a_broken_package_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(name: str) -> Callable[..., Any]:
        msg = f"No module named 'gone', needed by {name}"
        raise ModuleNotFoundError(msg, name="gone")

    monkeypatch.setattr(networks.importlib, "import_module", crash)
    with pytest.raises(ModuleNotFoundError, match="gone"):
        Segmenter()


# -- size of the images -----------------------------------------------------------------------------------------------

FOLDER = Path(__file__).parents[3] / "recipes"
OWN = ["--model.pre_processor=anomalib.pre_processing.PreProcessor", "--model.pre_processor.transform=Resize"]
OWN += ["--model.pre_processor.transform.size=[64, 48]"]


def from_command_line(recipe: Path, *options: str) -> Segmenter:
    """Build the model of a recipe through anomalib's command line."""
    model = AnomalibCLI(
        args=["train", "--config", str(recipe), "--model.encoder_weights=null", *options], run=False
    ).model
    assert isinstance(model, Segmenter)
    return model


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("unet", ["--model.image_size", "128"], (128, 128)),
        ("unet", ["--model.image_size", "[96, 160]"], (96, 160)),
        ("unet", [], (256, 256)),
        pytest.param("segformer", ["--model.image_size=64"], (64, 64), marks=pytest.mark.slow),
        pytest.param("unet", ["--model.image_size=null", *OWN], (64, 48), marks=pytest.mark.slow),
        pytest.param("unet", ["--model.image_size=null"], (256, 256), marks=pytest.mark.slow),
    ],
)
def test_the_size_of_a_recipe_can_be_set_on_the_command_line(
    name: str, options: list[str], size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = from_command_line(FOLDER / f"stage_{name}.yaml", *options)
    assert tuple(model.input_size or ()) == size
    assert model.pre_processor.transform(torch.rand(1, 3, 40, 30)).shape[-2:] == size


def test_a_size_builds_the_pre_processor_that_the_recipes_had() -> None:
    [resize, normalize] = segmenter(image_size=(48, 64)).pre_processor.transform.transforms
    assert (type(resize).__name__, tuple(resize.size), resize.antialias) == ("Resize", (48, 64), True)
    assert (type(normalize).__name__, normalize.mean, normalize.std) == (
        "Normalize",
        [0.485, 0.456, 0.406],
        [0.229, 0.224, 0.225],
    )


def test_a_recipe_with_a_pre_processor_works_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = yaml.safe_load((FOLDER / "stage_unet.yaml").read_text(encoding="utf-8"))
    arguments = recipe["model"]["init_args"]
    arguments |= {"architecture": "small_unet", "encoder_name": None}
    del arguments["image_size"]
    resize = {"class_path": "torchvision.transforms.v2.Resize", "init_args": {"size": [48, 64]}}
    arguments["pre_processor"] = {
        "class_path": "anomalib.pre_processing.PreProcessor",
        "init_args": {
            "transform": {"class_path": "torchvision.transforms.v2.Compose", "init_args": {"transforms": [resize]}}
        },
    }
    (tmp_path / "old.yaml").write_text(yaml.safe_dump(recipe))
    assert tuple(from_command_line(tmp_path / "old.yaml").input_size or ()) == (48, 64)


@pytest.mark.parametrize("size", [(48, 64), 64, None])
def test_a_checkpoint_keeps_its_size(size: Any, tmp_path: Path) -> None:
    model = segmenter(image_size=size)
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", enable_progress_bar=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    loaded = Segmenter.load_from_checkpoint(tmp_path / "model.ckpt")
    assert loaded.input_size == model.input_size
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), loaded.parameters(), strict=True))


def test_a_checkpoint_of_a_version_without_sizes_loads(tmp_path: Path) -> None:
    model = segmenter()
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", enable_progress_bar=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "new.ckpt")
    stored = torch.load(tmp_path / "new.ckpt", weights_only=False)
    del stored["hyper_parameters"]["image_size"]
    torch.save(stored, tmp_path / "old.ckpt")
    assert tuple(Segmenter.load_from_checkpoint(tmp_path / "old.ckpt").input_size or ()) == (256, 256)


@pytest.mark.parametrize("size", [31, 0, -64, (64,), (64, 64, 3), (64, 16), 64.0, True, "64", (64.5, 64)])
def test_a_size_that_is_none_is_refused(size: Any) -> None:
    with pytest.raises(InputError, match="image_size is .*give height and width in pixels"):
        segmenter(image_size=size)


@pytest.mark.parametrize("own", [False, Segmenter.configure_pre_processor((64, 64))], ids=["none", "own"])
def test_a_size_beside_a_pre_processor_is_refused(own: Any) -> None:
    with pytest.raises(InputError, match="give one of them, image_size=None"):
        segmenter(image_size=128, pre_processor=own)
