# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a synthesis goes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from anomalib_stage.evaluation.speed.clock import now
from anomalib_stage.pipeline import conditioning as guiding
from anomalib_stage.pipeline import mask_drawer as drawing
from anomalib_stage.pipeline import pair, synthesizer
from anomalib_stage.pipeline import region_painter as painting
from anomalib_stage.synthesis import fetching
from anomalib_stage.synthesis.appearance.appearance import AppearanceBank
from anomalib_stage.synthesis.diffusion.codec import PixelCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

    from anomalib_stage.pipeline.synthesizer import StageSynthesizer

__all__ = ["PARTS", "time_split"]

PARTS: dict[str, tuple[tuple[Any, str], ...]] = {
    "check and copy": ((synthesizer, "check_images"), (pair.Work, "on")),
    "foreground": ((drawing.MaskDrawer, "views"),),
    "masks": ((drawing.MaskDrawer, "draw"), (painting, "region_around")),
    "encode": ((painting, "crop"), (PixelCodec, "encode"), (PixelCodec, "encode_mask")),
    "surround": ((painting, "fill_hole"), (guiding, "compute_context")),
    "look and noise": ((AppearanceBank, "draw"), (guiding, "warp_exemplars"), (painting, "standard_normal")),
    "denoise": ((painting, "sample_graded"),),
    "decode": ((PixelCodec, "decode"),),
    "grain": ((painting, "match_grain"), (painting, "feather_alpha"), (painting, "quantize_two_level")),
    "visibility": ((painting, "measure_visibility"), (painting, "measure_nearby_texture")),
    "transfer": ((fetching, "_fetched"),),
    "composite": ((pair.Work, "take"), (pair.Work, "pair")),
}
"""Parts of a synthesis, and the functions that do them; one inside another counts for itself."""

REST = "rest"


def time_split(synthesize: StageSynthesizer, images: Tensor, *, seeds: list[list[int]]) -> dict[str, float]:
    """Measure the parts of a synthesis.

    Every part waits for the device, so on CUDA the sum is more than a synthesis takes.

    Args:
        synthesize (StageSynthesizer): What to time.
        images (Tensor): ``(B, 3, H, W)`` in [0, 1].
        seeds (list[list[int]]): For each call the seeds of the images.

    Returns:
        dict[str, float]: Milliseconds an image for each part, and for the rest.
    """
    watch = _Watch(synthesize.device)
    with ExitStack() as patches:
        for part, functions in PARTS.items():
            for owner, name in functions:
                patches.callback(setattr, owner, name, vars(owner)[name])
                setattr(owner, name, watch.timed(part, owner, name))
        begin = now(synthesize.device)
        for call, some in enumerate(seeds):
            synthesize(images.roll(call + 1, dims=3), seeds=some)
        total = now(synthesize.device) - begin
    each = 1000.0 / sum(map(len, seeds))
    parts = {part: watch.seconds[part] * each for part in PARTS}
    return parts | {REST: total * each - sum(parts.values())}


class _Watch:
    """Adds up the time spent in functions, without that in others that are watched."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._inner: list[float] = []

    def timed(self, part: str, owner: Any, name: str) -> Any:  # noqa: ANN401
        """Return a function of a class or module that is watched."""
        found = vars(owner)[name]
        function: Callable[..., object] = found.__func__ if isinstance(found, classmethod) else found

        def watched(*args: object, **kwargs: object) -> object:
            begin = now(self.device)
            self._inner.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                spent = now(self.device) - begin
                self.seconds[part] += spent - self._inner.pop()
                if self._inner:
                    self._inner[-1] += spent

        return classmethod(watched) if isinstance(found, classmethod) else watched
