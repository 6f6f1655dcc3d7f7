# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""docs/how-to/paper-backbone.md: every command and every line of Python in it runs, on toy models of the same make."""

from __future__ import annotations

import importlib.util
import json
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from anomalib_stage.cli import main
from anomalib_stage.weights.bundle import StageBundle
from anomalib_stage.weights.latent.bundle import load_latent
from tests.ldm_checkpoint import ldm_weights, write_ldm
from tests.tiny_latent import write_folder
from tests.tiny_text import write_clip
from tests.weights.latent.test_convert import write_published

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "how-to" / "paper-backbone.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = [line for language, text in BLOCKS if not language for line in text.splitlines()]
PYTHON = [text for language, text in BLOCKS if language == "python"]
NEEDS = {"--words": "transformers", "--lora-rank": "peft"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"

SHORT = {
    "fit-latent": ["--max-steps", "1", "--batch-size", "1", "--device", "cpu"],
    "preview": ["--count", "1", "--sampling-steps", "4", "--device", "cpu"],
    "pregenerate": ["--count", "2", "--sampling-steps", "4", "--device", "cpu", "--min-visibility", "0"],
    "benchmark": shlex.split(
        "--max-steps 1 --pairs 8 --size 64 --batch-size 2 --sampling-steps 4 --seeds 0 --device cpu "
        """--synthesis '{"gate": {"min_visibility": 0}}'"""
    ),
    "docs/measure/latent_memory.py": ["--side", "64", "--regions", "1"],
    "docs/measure/latent_speed.py": shlex.split(
        "--base tiny --sides 32 --regions 2 --sampling-steps 4 --rounds 1 --device cpu"
    ),
}
"""What is added to a command here so that it ends soon; later options win."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the page speaks of."""
    root, rng = tmp_path_factory.mktemp("paper"), np.random.default_rng(0)
    for i in range(3):
        picture = cv2.GaussianBlur(rng.integers(90, 160, (48, 48, 3), dtype=np.uint8), (5, 5), 0)
        mask = np.zeros((48, 48), np.uint8)
        mask[14 + i : 24 + i, 18:30] = 255
        for folder, content in (("good", picture), ("defects/hole", picture), ("masks/hole", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / folder / f"{i}.png"), content)
    write_folder(root / "sd15")
    if importlib.util.find_spec("transformers"):
        write_clip(root / "sd15")
    write_data(root / "data")
    write_ldm(root, timesteps=20)
    save_file({k: v.clone().contiguous() for k, v in ldm_weights().items()}, root / "sd15.safetensors")
    write_published(root / "checkpoints")
    snapshot = root / "hub" / "models--stable-diffusion-v1-5--stable-diffusion-v1-5" / "snapshots" / COMMIT
    snapshot.parent.mkdir(parents=True)
    shutil.copytree(root / "sd15", snapshot)
    return root


def write_data(root: Path) -> None:
    """Write a set in MVTec layout: two holes to learn from, two for the score."""
    rng = np.random.default_rng(1)
    for folder, count in (("train/good", 4), ("test/good", 2), ("test/hole", 4)):
        (root / folder).mkdir(parents=True)
        for i in range(count):
            picture = cv2.GaussianBlur(rng.integers(90, 160, (64, 64, 3), dtype=np.uint8), (5, 5), 0)
            if folder == "test/hole":
                mask = np.zeros((64, 64), np.uint8)
                mask[20 + i : 36 + i, 20:36] = 255
                picture[mask > 0] //= 3
                (root / "ground_truth" / "hole").mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(root / "ground_truth" / "hole" / f"{i}_mask.png"), mask)
            cv2.imwrite(str(root / folder / f"{i}.png"), picture)
    (root / "few_shot.json").write_text(json.dumps({"hole": {"fit": ["0", "1"], "eval": ["2", "3"]}}))


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in that folder, with its hub cache and without a network."""
    import huggingface_hub.constants

    monkeypatch.chdir(place)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(place / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return place


def small(line: str) -> list[str]:
    """Return the words of a command of the page, with what makes it short and the toy's configuration."""
    words = shlex.split(line.replace("<commit>", COMMIT))
    assert words[0] in {"anomalib-stage", "python"}
    extra = SHORT.get(words[1], [])
    if "model.ckpt" in words or "sd15.safetensors" in words:
        extra = [*extra, "--ldm-config", "config.yaml"]
    return [*words[1:], *extra]


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) >= 18
    for option in (
        "fit-latent",
        "convert",
        "store-base",
        "benchmark",
        "--words",
        "--lora-rank",
        "--slim",
        "--download",
    ):
        assert any(option in line.split() for line in COMMANDS), option
    assert len(PYTHON) == 2


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a .functools.lru_cache:UserWarning")
@pytest.mark.parametrize("line", COMMANDS, ids=[f"{i}-{line.split()[1]}" for i, line in enumerate(COMMANDS)])
def test_commands_of_the_page(
    line: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for option, package in NEEDS.items():
        if option in line.split():
            pytest.importorskip(package)
    words = shlex.split(line)
    if words[0] == "python":
        run_script(small(line), monkeypatch)
        assert capsys.readouterr().out.count("\n") > 5
        return
    assert main(small(line)) == 0, capsys.readouterr().err
    if "--out" in words and words[words.index("--out") + 1].endswith(".safetensors"):
        bundle = StageBundle.load(here / words[words.index("--out") + 1])
        assert bundle.manifest.backbone == "latent"
    if words[1] == "pregenerate":
        rows = [json.loads(row) for row in (here / "pairs" / "manifest.jsonl").read_text().splitlines()]
        assert len(rows) == 2
    if words[1] == "benchmark":
        results = (here / "bench" / "results.md").read_text()
        assert all(source in results for source in ("residual.safetensors", "published.safetensors", "default"))
    if words[1] == "store-base":
        [base] = (here / "elsewhere").glob("base-*.safetensors")
        shutil.copy(here / "bundles" / "slim.safetensors", here / "elsewhere")
        denoiser, _ = load_latent(StageBundle.load(here / "elsewhere" / "slim.safetensors"))
        assert base.name.startswith("base-")
        assert set(denoiser.conditions) == {"hole", "good"}


def run_script(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a script of docs/measure here; networks are traced in place of compiled, which needs a C++ compiler."""
    script = ROOT / words[0]
    original = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: original(self, backend="eager"))
    monkeypatch.syspath_prepend(str(script.parent))
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(script), run_name="__main__")


def test_python_of_the_page(here: Path) -> None:
    names: dict[str, object] = {"images": torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))}
    for text in PYTHON:
        exec(text, names)
    assert names["pair"].image.shape == (1, 3, 40, 40)


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("latent_memory", ROOT / "docs" / "measure" / "latent_memory.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_memory_is_what_the_script_counts() -> None:
    told = dict(re.findall(r"^\| (.*) \| (\d+\.\d\d) \|$", PAGE, flags=re.MULTILINE))
    counted = _script().rows("sd1", 8, 256)
    assert list(told) == [name for name, _ in counted]
    for name, value in counted:
        assert float(told[name]) == pytest.approx(value, rel=0.1, abs=0.02)  # releases of diffusers differ a little


def test_the_count_of_what_is_alive_is_right() -> None:
    module = _script()

    def call() -> None:
        a = torch.empty(256, 2**18, device="meta")  # 256 MiB
        b = a + 1
        del a
        c = b * 2
        del b, c

    assert module.peak(call) == pytest.approx(0.5)
