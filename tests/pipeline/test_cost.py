# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What an anomaly costs, counted and not timed: evaluations of the network, operations, waits for the device."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from anomalib_stage.evaluation.speed.instruments.arithmetic import PUBLISHED_STEPS, count_flops, count_published_flops
from anomalib_stage.evaluation.speed.timed_images import render_timed_images
from anomalib_stage.evaluation.speed.whole_image import WholeImage
from anomalib_stage.pipeline.synthesizer import StageSynthesizer
from anomalib_stage.settings import GateSettings, MaskSettings, SamplerSettings, SynthesisSettings
from anomalib_stage.weights.bundle import StageBundle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from torch import Tensor

STEPS = 20
ONCE = GateSettings(min_visibility=0.0)
"""Every picture is taken, so that none is painted twice."""

FETCHING = {"cpu", "tolist", "item", "__bool__", "__float__", "__int__", "__index__", "numpy"}
"""Methods of a tensor that a GPU would have to finish its work for, without those on what is the host's."""

DECIDING = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::is_nonzero", "aten::equal")
"""Operators whose result, or the size of it, depends on values on the device."""


def synthesizer(bundle: StageBundle, *, steps: int = STEPS, **masks: Any) -> StageSynthesizer:
    settings = SynthesisSettings(sampler=SamplerSettings(steps=steps), gate=ONCE, masks=MaskSettings(**masks))
    return StageSynthesizer(bundle, device="cpu", synthesis=settings)


def square(images: Tensor, side: int = 32) -> Tensor:
    masks = torch.zeros_like(images[:, :1], dtype=torch.bool)
    masks[..., 16 : 16 + side, 16 : 16 + side] = True
    return masks


@pytest.fixture(scope="module")
def default() -> StageBundle:
    return StageBundle.load("default")


class Fetches(TorchFunctionMode):
    """Counts calls that bring values to the host. ``numpy`` alone is none: it fails for what is not there already."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in FETCHING - {"numpy"} and args and isinstance(args[0], torch.Tensor):
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


class Decisions(TorchDispatchMode):
    """Counts operators that depend on values, boolean indices among them."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func._schema.name
        indices = args[1] if name in {"aten::index", "aten::index_put", "aten::index_put_"} else []
        if name in DECIDING or any(index is not None and index.dtype == torch.bool for index in indices):
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


class Waits:
    """Both counters."""

    def __enter__(self) -> Waits:
        self.fetches, self.decisions = Fetches(), Decisions()
        self.fetches.__enter__()
        self.decisions.__enter__()
        return self

    def __exit__(
        self, defect: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.decisions.__exit__(defect, error, trace)
        self.fetches.__exit__(defect, error, trace)


def test_the_counters_see_what_makes_the_host_wait() -> None:
    x = torch.arange(4.0)
    with Waits() as waits:
        x.cpu()
        x.tolist()
        bool(x.sum() > 1)
        x.nonzero()
        x[x > 1]
        x.sum().item()
        x[x > 1] = 0.0
    assert waits.fetches.counts == {"cpu": 1, "tolist": 1, "__bool__": 1, "item": 1}
    assert waits.decisions.counts["aten::nonzero"] >= 1
    assert waits.decisions.counts["aten::index"] == 1
    assert waits.decisions.counts["aten::index_put_"] == 1
    assert waits.decisions.counts["aten::_local_scalar_dense"] == 2


@pytest.mark.parametrize("count", [1, 3, 12])
def test_a_call_waits_as_often_however_many_images_and_sizes_it_has(count: int, tiny_bundle: StageBundle) -> None:
    made, images = synthesizer(tiny_bundle, steps=4), render_timed_images(128, 12)[:count]
    made(images, seeds=list(range(count)))  # tables are computed once
    with Waits() as waits:
        made(images.clone(), seeds=list(range(count)))
    # the range of the images; their small copies; the contexts of the anomalies; what was measured, and is visible
    assert waits.fetches.counts == {"tolist": 1, "cpu": 3}
    assert sum(waits.decisions.counts.values()) == 0


@pytest.mark.parametrize(("count", "steps"), [(1, 4), (8, 4), (8, 10)])
def test_regions_of_one_size_share_the_evaluations(
    count: int, steps: int, tiny_bundle: StageBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, images = synthesizer(tiny_bundle, steps=steps), render_timed_images(64, 8)[:count]
    tiled, sizes = made._painter.backbone.denoiser, []

    def listen(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        sizes.append(len(x))
        return tiled(x, *args, **kwargs)

    monkeypatch.setattr(made._painter.backbone, "denoiser", listen)
    made(images, masks=square(images), seeds=0)
    assert sizes == [count] * steps


def test_operations_follow_steps_and_the_defect_not_the_image(default: StageBundle) -> None:
    counts = {
        (side, steps): count_flops(
            lambda side=side, steps=steps: synthesizer(default, steps=steps)(  # type: ignore[misc]
                render_timed_images(side, 1), masks=square(render_timed_images(side, 1)), seeds=0
            )
        )
        for side, steps in ((128, 4), (128, 8), (512, 4))
    }
    assert counts[128, 8] == 2 * counts[128, 4]
    assert counts[512, 4] == counts[128, 4]
    assert counts[128, 4] * STEPS // 4 <= 20e9  # an anomaly of 32 px, 20 steps


def test_operations_beside_the_published_sampler(default: StageBundle) -> None:
    images = render_timed_images(256, 8)
    made = synthesizer(default, steps=4)
    ours = count_flops(lambda: made(images, seeds=list(range(8)))) / 8 * STEPS / 4
    whole = WholeImage.prepare(default, images[0])
    published = count_published_flops()
    assert whole.schedule.steps == PUBLISHED_STEPS
    assert count_flops(whole.evaluate) * PUBLISHED_STEPS >= 500 * ours
    assert published["parameters"] == pytest.approx(872e6, rel=2e-3)
    assert published["image"] == pytest.approx(188e12, rel=1e-2)
    assert published["image"] >= 5000 * ours
