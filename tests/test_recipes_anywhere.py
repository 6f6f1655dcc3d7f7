# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Recipes work from any folder: nothing in them is looked for where the training is started, and nothing downloaded."""

from __future__ import annotations

import os
import re
import shlex
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import yaml
from anomalib.cli.cli import AnomalibCLI

from anomalib_stage import StageAugment
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png
from tests.conftest import grain

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[1] / "recipes"
RECIPES = sorted(FOLDER.glob("*.yaml"))
DATA = {"default_root_dir", "root", "bank"}
"""Keys whose folders are outputs or the user's own, and are meant to be where the training is started."""

OFFLINE = [
    pytest.param("stage_draem", [], id="draem"),
    pytest.param("stage_dsr", [], id="dsr"),
    pytest.param("stage_unet", [], id="unet"),
    pytest.param("stage_glass", ["--model.pre_trained", "false"], id="glass", marks=pytest.mark.slow),
    pytest.param("stage_segformer", ["--model.encoder_weights", "null"], id="segformer", marks=pytest.mark.slow),
]
"""Recipes whose models need no pretrained weights, and those that can do without; the demo's is trained below."""


class ParsingOnly(AnomalibCLI):
    """anomalib's command line up to the point where it would build models and load weights."""

    def instantiate_classes(self) -> None:
        """Leave it at the parsed configuration."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder, and refuse the network."""

    def refuse(*address: Any, **_: Any) -> NoReturn:
        msg = f"the network was asked for {address}"
        raise OSError(msg)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def strings_of(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a recipe with its key."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from strings_of(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from strings_of(value, key)
    elif isinstance(node, str):
        yield key, node


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_parses_from_another_folder(recipe: Path) -> None:
    assert ParsingOnly(args=["train", "--config", str(recipe)], run=False).config.train.model.class_path


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_no_path_in_a_recipe_is_one_of_the_repository(recipe: Path) -> None:
    given = list(strings_of(yaml.safe_load(recipe.read_text(encoding="utf-8"))))
    relative = [(key, text) for key, text in given if key not in DATA and not Path(text).is_absolute()]
    assert [(key, text) for key, text in relative if (FOLDER.parent / text).exists()] == []


@pytest.mark.parametrize(("name", "options"), OFFLINE)
def test_its_model_is_built_from_another_folder_without_network(name: str, options: list[str], tmp_path: Path) -> None:
    cli = AnomalibCLI(args=["train", "--config", str(FOLDER / f"{name}.yaml"), *options], run=False)
    assert sum(parameter.numel() for parameter in cli.model.parameters()) > 1000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_for_draem_on_files_needs_no_network() -> None:
    text = re.sub(r"^# ?", "", (FOLDER / "stage_folder.yaml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    [command] = re.findall(r"anomalib train [^\n]*Draem[^\n]*\\\n[^\n]*", text)
    _, *arguments = shlex.split(command.replace("\\\n", " "))
    arguments[arguments.index("recipes/stage_folder.yaml")] = str(FOLDER / "stage_folder.yaml")
    cli = AnomalibCLI(args=arguments, run=False)
    assert type(cli.model).__name__ == "Draem"
    assert cli.model.augmenter.anomaly_source_paths == []


@pytest.mark.parametrize("name", ["stage_demo", "stage_draem"])
def test_draem_finds_no_texture_and_searches_nothing(name: str, tmp_path: Path) -> None:
    recipe = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    folder = Path(recipe["model"]["init_args"]["dtd_dir"])
    write_file(tmp_path / "open" / "picture.png", encode_png(grain(32, 32, seed=0)))
    held = os.open(tmp_path / "open", os.O_RDONLY)  # the folder is one of what this process has open
    try:
        start = time.perf_counter()
        assert folder.is_dir()
        assert [*folder.rglob("*.png"), *folder.rglob("*.jpg")] == []
        assert time.perf_counter() - start < 1.0
    finally:
        os.close(held)


@pytest.mark.slow
def test_the_demo_trains_a_step_from_an_empty_folder(tmp_path: Path) -> None:
    small = ["--data.train_count", "4", "--data.test_count", "2", "--data.image_size", "32", "--model.visualizer=false"]
    small += ["--model.pre_processor.transform.size", "[32, 32]", "--trainer.fast_dev_run", "true"]
    cli = AnomalibCLI(args=["train", "--config", str(FOLDER / "stage_demo.yaml"), *small])
    assert cli.engine.trainer.global_step == 1
    [augment] = [callback for callback in cli.engine.trainer.callbacks if isinstance(callback, StageAugment)]
    assert augment.counts["images"] == 4
    assert {path.name for path in tmp_path.iterdir()} <= {"datasets", "results"}
