# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which defects only judge, what they decide, and what a step is made of."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from anomalib_stage.errors import DataError
from anomalib_stage.synthesis.diffusion.compact.compact_denoiser import CompactDenoiser
from anomalib_stage.training.callbacks.ema import EMAWeights
from anomalib_stage.training.callbacks.held_out import RENDERED, HeldOut
from anomalib_stage.training.data.load import load_examples
from anomalib_stage.training.data.picture_lists import read_groups
from anomalib_stage.training.data.regions.example import Example
from anomalib_stage.training.data.regions.mixture import compute_shares
from anomalib_stage.training.data.regions.real_defects import RealDefects
from anomalib_stage.training.data.split import split_held_out
from tests.conftest import TINY_CONFIG


def _examples(sizes: dict[str, int], *, groups: int | None = None) -> list[Example]:
    mask = np.zeros((40, 40), np.bool_)
    mask[10:20, 10:20] = True
    image = np.zeros((40, 40, 3), np.uint8)
    return [
        Example(image, mask, defect, f"{defect}{i}", "" if groups is None else f"{defect}-{i % groups}")
        for defect, count in sizes.items()
        for i in range(count)
    ]


def test_one_of_three_is_held_out_none_of_two_and_never_more_than_a_third() -> None:
    examples = _examples({"a": 1, "b": 2, "c": 3, "d": 20})
    learnt, kept = split_held_out(examples, share=0.15, seed=0)
    assert Counter(e.defect for e in kept) == {"c": 1, "d": 3}
    assert len(learnt) + len(kept) == len(examples)
    assert split_held_out(examples, share=0.15, seed=0)[1] == kept
    assert {e.name for e in split_held_out(examples, share=0.15, seed=1)[1]} != {e.name for e in kept}
    assert Counter(e.defect for e in split_held_out(examples, share=0.5, seed=0)[1]) == {"c": 1, "d": 6}
    assert split_held_out(examples, share=0.0, seed=0) == (examples, [])


@pytest.mark.parametrize("seed", range(5))
def test_captures_of_one_piece_stay_on_one_side(seed: int) -> None:
    examples = _examples({"a": 24, "b": 10}, groups=4)
    learnt, kept = split_held_out(examples, share=0.2, seed=seed)
    assert not {e.group for e in learnt} & {e.group for e in kept}
    assert len({e.group for e in kept if e.defect == "a"}) == 1
    assert not [e for e in split_held_out(_examples({"a": 24}, groups=2), share=0.2, seed=seed)[1] if e.defect == "a"]


def test_a_piece_with_two_kinds_is_held_out_for_both() -> None:
    examples = [Example(e.image, e.mask, e.defect, e.name, e.name[1:]) for e in _examples({"a": 6, "b": 6})]
    learnt, kept = split_held_out(examples, share=0.15, seed=0)
    assert Counter(e.defect for e in kept) == {"a": 1, "b": 1}
    assert not {e.group for e in learnt} & {e.group for e in kept}


@pytest.mark.parametrize("seed", range(5))
def test_no_kind_loses_its_only_piece_to_the_judges(seed: int) -> None:
    shared = [Example(e.image, e.mask, e.defect, e.name, "one") for e in _examples({"rare": 2})]
    shared += [
        Example(e.image, e.mask, e.defect, e.name, "one" if i < 2 else "") for i, e in enumerate(_examples({"a": 6}))
    ]
    learnt, kept = split_held_out(shared, share=0.5, seed=seed)
    assert {e.defect for e in learnt} == {"rare", "a"}
    assert Counter(e.defect for e in kept) == {"a": 1}


def test_groups_say_which_folder_is_meant_where_stems_repeat(tmp_path: Path) -> None:
    for defect in ("dent", "line"):
        for folder in ("test", "masks"):
            (tmp_path / folder / defect).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / folder / defect / "000.png"), np.full((8, 8, 3), 255, np.uint8))
    groups = {"000": "any", "line/000": "left"}
    found = load_examples(tmp_path / "test", tmp_path / "masks", include=None, rename={}, groups=groups)
    assert {example.defect: example.group for example in found} == {"dent": "any", "line": "left"}


def test_chosen_defects_that_are_not_there_are_named(tmp_path: Path) -> None:
    for folder in ("test", "masks"):
        (tmp_path / folder / "dent").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / folder / "dent" / "000.png"), np.full((8, 8, 3), 255, np.uint8))
    include = {"dent": ["000", "001"], "line": [str(i) for i in range(9)]}
    complaint = r"--split names 10 of 11 defects that are not in .*: dent/001, line/0, line/1, line/2, line/3, \.\.\.;"
    with pytest.raises(DataError, match=complaint):
        load_examples(tmp_path / "test", tmp_path / "masks", include=include, rename={})


def test_groups_are_found_beside_the_defects_and_read_in_both_forms(tmp_path: Path) -> None:
    defects = tmp_path / "test"
    defects.mkdir()
    assert read_groups(None, defect_dir=defects) == {}
    (tmp_path / "groups.json").write_text(json.dumps({"group_of": {"x": 3, "y": 3}, "dropped": []}))
    assert read_groups(None, defect_dir=defects) == {"x": "3", "y": "3"}
    (tmp_path / "own.json").write_text(json.dumps({"x": "left"}))
    assert read_groups(tmp_path / "own.json", defect_dir=defects) == {"x": "left"}
    (tmp_path / "own.json").write_text(json.dumps({"x": ["left"]}))
    with pytest.raises(DataError, match="--groups .*own.json is not a JSON file of the form"):
        read_groups(tmp_path / "own.json", defect_dir=defects)


def test_kinds_and_captures_are_balanced_with_damping() -> None:
    examples = _examples({"many": 50, "one": 1})
    examples += [
        Example(e.image, e.mask, "grouped", e.name, "left" if i else "right") for i, e in enumerate(examples[:10])
    ]
    real = RealDefects(examples)
    rng = np.random.default_rng(0)
    defects = Counter(real.draw(64, rng=rng).defect for _ in range(600))
    # square roots of 50, 1 and 2 pieces
    assert defects["many"] / 600 == pytest.approx(7.07 / 9.49, abs=0.06)
    assert defects["one"] / 600 == pytest.approx(1 / 9.49, abs=0.05)
    weights = real._shares["grouped"]
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0] / weights[1] == pytest.approx(3.0)  # root of nine captures of one piece


@pytest.mark.parametrize("procedural", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("good", [True, False])
def test_shares_add_up_and_use_what_is_there(real: bool, good: bool, procedural: float) -> None:
    parts = compute_shares(real=real, good=good, procedural=procedural)
    if real or good or procedural:
        assert sum(parts) == pytest.approx(1.0 if real or good else procedural)
    assert (parts.real > 0) == (real and procedural < 1)
    assert parts.good == 0 or good
    assert parts.painted == 0 or (good and procedural > 0)
    if real and good and procedural == 0.25:
        assert parts == pytest.approx((0.6, 0.15, 0.125, 0.125))


# -- judging -------------------------------------------------------------------------------------------------------


def _first(network: torch.nn.Module) -> float:
    return float(next(network.parameters()).detach().flatten()[0])


def _judge(losses: list[dict[str, float]], *, patience: int) -> tuple[HeldOut, list[int]]:
    """Run a judge over given losses; the network's weights are the number of the step."""
    network = CompactDenoiser(["good"], config=TINY_CONFIG)
    averaged = EMAWeights(network)
    judge = HeldOut({name: [] for name in losses[0]}, averaged, every=2, patience=patience)
    given = iter(losses)
    judge._measure = lambda module: next(given)
    trainer = SimpleNamespace(global_step=0, logger=None, should_stop=False, interrupted=False)
    judge.on_train_start(trainer, network)
    while not trainer.should_stop and trainer.global_step < 2 * len(losses) - 2:
        trainer.global_step += 1
        averaged.average.shadow_params = [torch.full_like(p, trainer.global_step) for p in network.parameters()]
        judge.on_train_batch_end(trainer, network)
    judge.on_train_end(trainer, network)
    return judge, [trainer.global_step, int(_first(network))]


def test_the_best_weights_are_kept_and_training_stops_when_patience_runs_out() -> None:
    losses = [{"rust": loss, RENDERED: 1.0} for loss in (4.0, 2.0, 1.0, 1.5, 1.2, 1.1, 0.1)]
    judge, [step, kept] = _judge(losses, patience=3)
    assert (step, kept) == (10, 4)
    assert judge.best == {"rust": 1.0, RENDERED: 1.0}
    assert judge.before["rust"] == 4.0
    assert judge.stopped
    assert _judge(losses, patience=0)[1] == [12, 12]


def test_kinds_count_by_their_improvement_not_by_their_size() -> None:
    losses = [{"rough": 10.0, "smooth": 0.1}, {"rough": 9.0, "smooth": 0.05}, {"rough": 8.5, "smooth": 0.09}]
    assert _judge(losses, patience=0)[1] == [4, 2]


def test_without_real_defects_nothing_is_judged_and_the_last_weights_are_kept() -> None:
    judge, kept = _judge([{RENDERED: loss} for loss in (1.0, 0.5, 0.9, 0.9, 0.9)], patience=1)
    assert kept == [8, 8]
    assert not judge.stopped


def test_a_loss_that_is_not_a_number_is_never_the_best() -> None:
    assert _judge([{"rust": loss} for loss in (1.0, 0.8, float("nan"), 0.9)], patience=0)[1] == [6, 2]


def test_the_average_follows_short_trainings() -> None:
    network = CompactDenoiser(["good"], config=TINY_CONFIG)
    averaged = EMAWeights(network)
    with torch.no_grad():
        for step in range(1, 101):
            for parameter in network.parameters():
                parameter.fill_(float(step))
            averaged.on_train_batch_end(None, None)
    with averaged.apply():
        assert 80 < _first(network) < 99
    assert _first(network) == 100.0
