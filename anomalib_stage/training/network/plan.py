# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The network that a fit starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from anomalib_stage.pipeline.synthesizer import GOOD
from anomalib_stage.rendering.defect_types.painters import DEFECT_NAMES, DEFECT_SHAPES
from anomalib_stage.seeds import derive_seed
from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser
from anomalib_stage.synthesis.diffusion.compact.denoiser_config import COMPACT_CONFIG
from anomalib_stage.synthesis.diffusion.schedule import COMPACT_SCHEDULE, Schedule
from anomalib_stage.training.network.module import GradedDiffusion
from anomalib_stage.weights.compact import load_denoiser

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from anomalib_stage.training.data.training_data import TrainingData
    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["Plan", "build_module", "build_plan", "list_defects"]


class Plan(NamedTuple):
    """What a fit changes.

    Args:
        shapes (dict[str, tuple[str, ...]]): Defects of the new bundle and the mask shapes to draw for each.
        learnt (frozenset[str]): Defects whose condition vectors learn; the others stay as they are.
        fresh (frozenset[str]): Those of them that learn faster, as they start anew.
        measured (frozenset[str]): Defects whose appearances are measured anew.
        freeze (bool): The network does not learn.
    """

    shapes: dict[str, tuple[str, ...]]
    learnt: frozenset[str]
    fresh: frozenset[str]
    measured: frozenset[str]
    freeze: bool


def build_plan(parent: StageBundle | None, training_data: TrainingData, *, procedural: float, freeze: bool) -> Plan:
    """Decide which defects a fit changes: those that the base does not know, and those that there are examples of.

    Without any example all of them learn: the base is fitted to other surfaces as a whole.

    Args:
        parent (StageBundle | None): Bundle to start from.
        training_data (TrainingData): The user's pictures.
        procedural (float): Share of rendered defects; their defects are learnt if it is above 0.
        freeze (bool): Only condition vectors of defects with examples learn.
    """
    real = frozenset(training_data.real.defects if training_data.real else ())
    known = frozenset(parent.defects if parent else ())
    shapes = list_defects(parent, sorted(real), procedural=procedural)
    learnt = (
        real if freeze else frozenset(defect for defect in shapes if not real or defect in real or defect not in known)
    )
    fresh = frozenset(defect for defect in learnt if parent is not None and (freeze or defect not in known))
    return Plan(shapes, learnt, fresh, learnt | ({GOOD} if training_data.good and not freeze else set()), freeze)


def list_defects(parent: StageBundle | None, real: Iterable[str], *, procedural: float) -> dict[str, tuple[str, ...]]:
    """Defects of the new bundle and the shapes to draw for each: the base's, the rendered ones', the user's, ``good``.

    Args:
        parent (StageBundle | None): Bundle to start from.
        real (Iterable[str]): Defects that the user has examples of.
        procedural (float): Share of rendered defects; their defects are learnt if it is above 0.
    """
    shapes = {spec.name: spec.shapes for spec in parent.manifest.defects} if parent else {}
    if procedural > 0:
        shapes = {defect: DEFECT_SHAPES[defect] for defect in DEFECT_NAMES} | shapes
    for defect in real:
        shapes.setdefault(defect, DEFECT_SHAPES.get(defect, DEFECT_SHAPES[GOOD]))
    shapes.setdefault(GOOD, DEFECT_SHAPES[GOOD])
    return shapes


def build_module(
    parent: StageBundle | None, plan: Plan, *, learning_rate: float, max_steps: int | None, seed: int
) -> GradedDiffusion:
    """Build what is trained: a network with the weights of the base, or with random ones.

    Args:
        parent (StageBundle | None): Bundle to start from.
        plan (Plan): What may change.
        learning_rate (float): Peak learning rate.
        max_steps (int | None): Steps over which the rate decays; None: there is no such limit.
        seed (int): Base seed.
    """
    defects = list(plan.shapes)
    denoiser = _build_network(parent, defects, seed=seed)
    denoiser.unet.requires_grad_(not plan.freeze)
    for defect, vector in denoiser.conditions.items():
        vector.requires_grad_(defect in plan.learnt)
    schedule = Schedule(parent.manifest.schedule if parent else COMPACT_SCHEDULE)
    return GradedDiffusion(
        denoiser, schedule=schedule, defects=defects, learning_rate=learning_rate, max_steps=max_steps, fresh=plan.fresh
    )


def _build_network(parent: StageBundle | None, defects: Sequence[str], *, seed: int) -> CompactDenoiser:
    """Build the network from scratch, or from the base with condition vectors for defects that it does not know."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        if parent is None:
            return CompactDenoiser(defects, config=COMPACT_CONFIG)
        known = load_denoiser(parent)
        network = CompactDenoiser(defects, config=parent.manifest.denoiser)
    network.unet.load_state_dict(known.unet.state_dict())
    average = torch.stack([vector.detach() for vector in known.conditions.values()]).mean(dim=0)
    for defect, vector in network.conditions.items():
        vector.data.copy_(known.conditions[defect].detach() if defect in known.conditions else average)
    return network
