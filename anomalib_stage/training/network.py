# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The network that a fit starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from anomalib_stage.seeds import derive_seed
from anomalib_stage.synthesis.denoiser import COMPACT_CONFIG, CompactDenoiser
from anomalib_stage.synthesis.schedule import COMPACT_SCHEDULE, Schedule
from anomalib_stage.synthesizer import GOOD, load_denoiser
from anomalib_stage.training.defects import KIND_SHAPES, KINDS
from anomalib_stage.training.module import GradedDiffusion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["kinds_of", "module_of"]


def kinds_of(parent: StageBundle | None, real: Iterable[str], *, procedural: float) -> dict[str, tuple[str, ...]]:
    """Kinds of the new bundle and the shapes to draw for each: the base's, the rendered ones', the user's, ``good``.

    Args:
        parent (StageBundle | None): Bundle to start from.
        real (Iterable[str]): Kinds that the user has examples of.
        procedural (float): Share of rendered defects; their kinds are learnt if it is above 0.
    """
    shapes = {spec.name: spec.shapes for spec in parent.manifest.kinds} if parent else {}
    if procedural > 0:
        shapes = {kind: KIND_SHAPES[kind] for kind in KINDS} | shapes
    for kind in real:
        shapes.setdefault(kind, KIND_SHAPES.get(kind, KIND_SHAPES[GOOD]))
    shapes.setdefault(GOOD, KIND_SHAPES[GOOD])
    return shapes


def module_of(
    parent: StageBundle | None, kinds: Sequence[str], *, learning_rate: float, max_steps: int | None, seed: int
) -> GradedDiffusion:
    """Build what is trained: a network with the weights of the base, or with random ones.

    Args:
        parent (StageBundle | None): Bundle to start from.
        kinds (Sequence[str]): Kinds of the new bundle.
        learning_rate (float): Peak learning rate.
        max_steps (int | None): Steps over which the rate decays; None: it does not.
        seed (int): Base seed.
    """
    denoiser = _network(parent, kinds, seed=seed)
    schedule = Schedule(parent.manifest.schedule if parent else COMPACT_SCHEDULE)
    return GradedDiffusion(denoiser, schedule=schedule, kinds=kinds, learning_rate=learning_rate, max_steps=max_steps)


def _network(parent: StageBundle | None, kinds: Sequence[str], *, seed: int) -> CompactDenoiser:
    """Build the network from scratch, or from the base with condition vectors for kinds that it does not know."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        if parent is None:
            return CompactDenoiser(kinds, config=COMPACT_CONFIG)
        known = load_denoiser(parent)
        network = CompactDenoiser(kinds, config=parent.manifest.denoiser)
    network.unet.load_state_dict(known.unet.state_dict())
    average = torch.stack([vector.detach() for vector in known.conditions.values()]).mean(dim=0)
    for kind, vector in network.conditions.items():
        vector.data.copy_(known.conditions[kind].detach() if kind in known.conditions else average)
    return network
