# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""anomalib's real models, data module and engine, small enough to train in seconds without network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
import torchvision
from anomalib.data import Folder
from anomalib.engine import Engine
from anomalib.models import image as image_models
from anomalib.models.image.uninet.torch_model import Teachers
from anomalib.pre_processing import PreProcessor
from lightning.pytorch import Callback
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms import v2

from anomalib_stage.plugin.model.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
QUIET = {"evaluator": False, "visualizer": False}


def data_module(parts: Path, **changes: Any) -> Folder:
    wanted = {"normal_dir": "good", "abnormal_dir": "bad", "mask_dir": "mask", "train_batch_size": 3}
    wanted |= {"eval_batch_size": 2, "num_workers": 0, "normal_test_dir": "spare", "val_split_mode": "same_as_test"}
    return Folder(name="parts", root=parts, **(wanted | changes))


def pre_processor(size: int, *, normalise: bool) -> PreProcessor:
    steps: list[v2.Transform] = [v2.Resize((size, size))]
    return PreProcessor(v2.Compose([*steps, v2.Normalize(MEAN, STD)] if normalise else steps))


def draem(tmp_path: Path) -> Any:
    (tmp_path / "dtd").mkdir(exist_ok=True)
    return image_models.Draem(dtd_dir=tmp_path / "dtd", pre_processor=pre_processor(32, normalise=False), **QUIET)


class OfflineSupersimplenet(image_models.Supersimplenet):
    """Supersimplenet at 128 px with random weights, to be named in a configuration file."""

    def __init__(self, supervised: bool = True) -> None:
        options = {"pre_processor": pre_processor(128, normalise=True), "visualizer": False}
        super().__init__(backbone=torchvision.models.resnet18(weights=None), supervised=supervised, **options)


def supersimplenet(size: int = 128) -> Any:
    backbone = torchvision.models.resnet18(weights=None)
    return image_models.Supersimplenet(backbone=backbone, pre_processor=pre_processor(size, normalise=True), **QUIET)


def glass() -> Any:
    widths = {"pretrain_embed_dim": 32, "target_embed_dim": 32, "discriminator_hidden": 32}
    backbone = torchvision.models.resnet18(weights=None)
    pre = pre_processor(64, normalise=True)
    return image_models.Glass(backbone=backbone, input_shape=(64, 64), step=2, pre_processor=pre, **widths, **QUIET)


def uninet(monkeypatch: pytest.MonkeyPatch) -> Any:
    def teacher(backbone: str) -> Any:
        network = getattr(torchvision.models, backbone)(weights=None)
        return create_feature_extractor(network, return_nodes=["layer3", "layer2", "layer1"])

    monkeypatch.setattr(Teachers, "_get_teacher", staticmethod(teacher))
    return image_models.UniNet(pre_processor=pre_processor(64, normalise=True), **QUIET)


def dsr() -> Any:
    model = image_models.Dsr(upsampling_train_ratio=0.5, pre_processor=pre_processor(64, normalise=False), **QUIET)
    model.prepare_pretrained_model = lambda: Path("none")
    model.model.load_pretrained_discrete_model_weights = lambda *_: None
    return model


def foundad(monkeypatch: pytest.MonkeyPatch) -> Any:
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, **options: create(name, **(options | {"pretrained": False})))
    small = {"pred_depth": 1, "pred_emb_dim": 96, "image_size": 70}
    return image_models.FoundAD(encoder_name="dinov2_vit_small_14", **small, **QUIET)


def segmenter(size: int = 64, **changes: Any) -> Segmenter:
    return Segmenter("small_unet", pre_processor=pre_processor(size, normalise=True), **changes)


def engine_for(tmp_path: Path, *callbacks: Any, **changes: Any) -> Engine:
    wanted = {"accelerator": "cpu", "devices": 1, "max_epochs": 1, "default_root_dir": tmp_path / "runs"}
    wanted |= {"num_sanity_val_steps": 0, "limit_val_batches": 0, "enable_model_summary": False}
    return Engine(callbacks=list(callbacks), enable_progress_bar=False, **(wanted | changes))


def heard(module: torch.nn.Module) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Record what a module is called with."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    module.register_forward_pre_hook(lambda _, args, kwargs: calls.append((args, kwargs)), with_kwargs=True)
    return calls


def any_pixel(masks: torch.Tensor) -> torch.Tensor:
    return masks.flatten(1).bool().any(dim=1)


class Listener(Callback):
    """Remembers what the data module gives and what the model gets of it; can be named in a configuration file."""

    def __init__(self) -> None:
        self.batches: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self._calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    @property
    def given(self) -> list[dict[str, Any]]:
        return [named for _, named in self._calls if named.get("labels") is not None]

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        del trainer
        self._calls = heard(pl_module.model)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        del trainer, pl_module, batch_idx
        fields = (batch.image, batch.gt_mask, batch.gt_label)
        self.batches.append(tuple(field.as_subclass(torch.Tensor).clone() for field in fields))


class Witness(Callback):
    """Looks at the model in the middle of training, and at the random stream around the callback before it."""

    def __init__(self, look: Callable[[Any], None] | None = None) -> None:
        self.look, self.states = look, []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        del trainer, batch, batch_idx
        self.states.append(torch.get_rng_state())
        if self.look is not None:
            self.look(pl_module)
