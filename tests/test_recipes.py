# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Every recipe, and every command written in one, fits the real signatures of anomalib and of this package."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import yaml
from anomalib.cli.cli import AnomalibCLI
from anomalib.models import Draem

from anomalib_stage import StageAugment, StageDemo, StageFolder
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.images import read_image
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.plugin.seams import SEAMS
from anomalib_stage.pregeneration.run import pregenerate
from tests.conftest import tree

if TYPE_CHECKING:
    from jsonargparse import Namespace

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "recipes"
RECIPES = sorted(FOLDER.glob("*.yaml"))
every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
COMMAND = re.compile(r"^ *(anomalib train (?:[^\n]*\\\n)*[^\n]*)$", re.MULTILINE)


class ParsingOnly(AnomalibCLI):
    """anomalib's command line up to the point where it would build models and load weights."""

    def instantiate_classes(self) -> None:
        """Leave it at the parsed configuration."""


@cache
def _parse(*arguments: str) -> Namespace:
    return ParsingOnly(args=["train", *arguments], run=False).config.train


def _commands(text: str) -> list[list[str]]:
    """Return the arguments of every ``anomalib train`` in a recipe's comments or in a page."""
    plain = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
    return [shlex.split(command.replace("\\\n", " "))[2:] for command in COMMAND.findall(plain)]


def _page_commands() -> list[Any]:
    pages = [*RECIPES, FOLDER / "README.md", ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [
        pytest.param(command, id=f"{page.relative_to(ROOT).as_posix()}-{i}")
        for page in pages
        for i, command in enumerate(_commands(page.read_text(encoding="utf-8")))
    ]


def _stage(config: Namespace) -> Namespace:
    [callback] = config.trainer.callbacks
    assert callback.class_path == "anomalib_stage.StageAugment"
    return callback.init_args


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def _trains_on_files(config: Namespace) -> bool:
    return str(config.data.class_path) == "anomalib_stage.StageFolder"


@every_recipe
def test_it_parses_and_its_model_takes_anomalies(recipe: Path) -> None:
    config = _parse("--config", str(recipe))
    name = config.model.class_path.rpartition(".")[2]
    if _trains_on_files(config):
        assert SEAMS[name].mode == "batch"
        StageFolder(**config.data.init_args.as_dict())
    else:
        assert name in SEAMS
        StageAugment(**_stage(config).as_dict())


@every_recipe
def test_every_key_says_what_it_does(recipe: Path) -> None:
    lines = recipe.read_text(encoding="utf-8").splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        has_value = re.fullmatch(r"[\s-]*[\w]+: [^#].*", line) and not re.match(
            r"[\s-]*class_path: anomalib_stage", line
        )
        if has_value and "class_path" not in line:
            assert " # " in line or above.lstrip().startswith("#"), line


def test_there_is_a_recipe_for_each_model_of_the_issue() -> None:
    names = {recipe.stem.removeprefix("stage_") for recipe in RECIPES}
    models = {"draem", "dsr", "glass", "segformer", "supersimplenet", "unet", "uninet"}
    assert names == {"demo", "folder", "transform", *models}


@pytest.mark.parametrize("arguments", _page_commands())
def test_every_command_on_a_page_parses(arguments: list[str]) -> None:
    config = _parse(*arguments)
    if config.trainer.callbacks or not _trains_on_files(config):
        assert _stage(config).seed >= 0


@every_recipe
def test_its_comments_show_btech_and_folders(recipe: Path) -> None:
    if recipe.stem in {"stage_demo", "stage_folder", "stage_transform"}:
        pytest.skip("has its own data")
    data = [_parse(*command).data for command in _commands(recipe.read_text(encoding="utf-8"))]
    paths = [one.class_path.removeprefix("anomalib.data.") for one in data]
    assert paths == ["MVTecAD", "BTech", "Folder"]
    folder = data[-1].init_args
    assert len(folder.abnormal_dir) == len(folder.mask_dir) == 2
    assert folder.normal_dir == "train/good"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.name)
def test_scripts_compile(path: Path) -> None:
    compile(path.read_text(encoding="utf-8"), str(path), "exec")


class RayData:
    """What the recipe uses of Ray Data, in this process: rows in batches, one actor after the other."""

    def __init__(self, items: list[int]) -> None:
        self.items, self.calls = items, list[Any]()

    def map_batches(
        self, actor: type, *, fn_constructor_args: Any, batch_size: int, concurrency: int, num_gpus: int
    ) -> Any:
        assert num_gpus == 1
        actors = [actor(*fn_constructor_args) for _ in range(concurrency)]
        size = min(batch_size, 2)  # as many rows as it likes
        rows = [np.array(self.items[start : start + size]) for start in range(0, len(self.items), size)]
        self.calls = [(actors[i % concurrency], {"item": batch}) for i, batch in enumerate(rows)]
        return self

    def materialize(self) -> int:
        return sum(sum(actor(batch)["pairs"]) for actor, batch in self.calls)


def test_the_recipe_for_ray_writes_what_one_command_writes(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ray = ModuleType("ray")
    ray.data = SimpleNamespace(from_items=RayData)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", ray)
    good, out = tmp_path / "good", tmp_path / "ray"
    for path, size in zip(sorted((parts / "good").iterdir())[:3], [(64, 48), (48, 64), (40, 40)], strict=True):
        write_file(good / path.name, encode_png(cv2.resize(read_image(path), size)))
    monkeypatch.setattr(sys, "argv", ["ray_pregenerate.py", str(good), str(out), "4", "2"])
    for _ in range(2):  # the second time nothing is left to do
        runpy.run_path(str(FOLDER / "cluster" / "ray_pregenerate.py"))
    pregenerate(data=good, out=tmp_path / "one", count=4)
    assert tree(out) == tree(tmp_path / "one")
    assert capsys.readouterr().out.count("'remaining': 0") == 2


def test_readme_names_every_recipe() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    files = {path.relative_to(FOLDER).as_posix() for path in [*RECIPES, *FOLDER.rglob("*.py")]}
    assert set(re.findall(r"\(([\w/]+\.(?:yaml|py))\)", text)) == files


def test_options_of_the_callback_can_be_given_on_the_command_line() -> None:
    config = _parse(
        "--config", "recipes/stage_draem.yaml", "--trainer.callbacks.seed", "3", "--trainer.callbacks.defects", "[hole]"
    )
    assert (_stage(config).seed, _stage(config).defects) == (3, ["hole"])
    assert _stage(config).negatives == 0.25


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        _parse("--config", "recipes/stage_draem.yaml", "--trainer.callbacks.sead", "3")
    assert stop.value.code == 2
    assert "sead" in capsys.readouterr().err


def test_the_demo_needs_no_network(tmp_path: Path) -> None:
    changes = ["--data.root", str(tmp_path / "data"), "--default_root_dir", str(tmp_path / "results")]
    cli = AnomalibCLI(args=["train", "--config", "recipes/stage_demo.yaml", *changes], run=False)
    assert isinstance(cli.model, Draem)
    assert isinstance(cli.datamodule, StageDemo)
    assert cli.model.augmenter.anomaly_source_paths == []  # the folder exists and holds no picture
    assert sum(isinstance(callback, StageAugment) for callback in cli.engine._cache.args["callbacks"]) == 1


def test_the_demo_trains_and_tests(tmp_path: Path, tiny_bundle_path: Path) -> None:
    recipe = yaml.safe_load((FOLDER / "stage_demo.yaml").read_text(encoding="utf-8"))
    recipe["default_root_dir"] = str(tmp_path / "results")
    recipe["model"]["init_args"]["pre_processor"]["init_args"]["transform"]["init_args"]["size"] = [32, 32]
    recipe["data"]["init_args"] |= {"root": str(tmp_path / "data"), "image_size": 32, "train_count": 4, "test_count": 4}
    recipe["trainer"]["callbacks"][0]["init_args"] |= {
        "weights": str(tiny_bundle_path),
        "sampling_steps": 4,
        "probability": 1.0,
    }
    recipe["trainer"] |= {"fast_dev_run": True, "enable_progress_bar": False}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    cli = AnomalibCLI(args=["train", "--config", str(tmp_path / "recipe.yaml")])
    assert cli.engine.trainer.callback_metrics.keys() >= {"image_AUROC", "pixel_AUROC"}
    [augment] = [c for c in cli.engine.trainer.callbacks if isinstance(c, StageAugment)]
    assert augment.counts["anomalies"] == 4
