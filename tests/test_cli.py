# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from anomalib_stage import __version__, cli
from anomalib_stage.cli import COMMANDS, main
from anomalib_stage.images import encode_png, write_file

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
HELP = [["--help"], *([name, "--help"] for name in COMMANDS)]


@pytest.fixture
def good_folder(tmp_path: Path) -> Path:
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        write_file(tmp_path / "good" / f"{seed}.png", encode_png(pixels))
    return tmp_path / "good"


@pytest.fixture
def pregenerate(good_folder: Path, tiny_bundle_path: Path) -> Callable[..., int]:
    """Run the command on two images; a name with None leaves its option out."""

    def call(**changed: Any) -> int:
        options: dict[str, Any] = {
            "data": good_folder,
            "out": good_folder.parent / "out",
            "count": 3,
            "weights": tiny_bundle_path,
            "steps": 4,
            "device": "cpu",
        }
        named = {name: value for name, value in (options | changed).items() if value is not None}
        return main(["pregenerate", *(f"--{name.replace('_', '-')}={value}" for name, value in named.items())])

    return call


def sentence(captured: Any) -> str:
    """Return the one line on stderr."""
    assert captured.out == ""
    assert captured.err.startswith("anomalib-stage: error: ")
    assert captured.err.count("\n") == 1
    return captured.err.strip()


# -- help ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_help_imports_no_torch_and_takes_less_than_a_second(arguments: list[str]) -> None:
    code = (
        "import sys; from anomalib_stage.cli import main; code = main(sys.argv[1:]); "
        "heavy = {'torch', 'numpy', 'cv2', 'diffusers', 'lightning', 'anomalib'} & sys.modules.keys(); "
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    after = os.times()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: anomalib-stage")
    # seconds of processor time: those on the clock depend on what else the machine does
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1.0


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_every_option_with_dashes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    for parameter in inspect.signature(COMMANDS[name]).parameters:
        option = "FILE" if name == "inspect" else f"--{parameter.replace('_', '-')}"
        assert option in text
    described = " ".join(text.split()).replace("- ", "-")
    for line in (inspect.getdoc(COMMANDS[name]) or "").split("Args:")[1].strip().splitlines():
        assert line.split(": ", 1)[1].rstrip(".").split("; ")[0][:30] in described


@pytest.mark.parametrize("name", ["pregenerate", "preview", "fit"])
def test_command_and_function_have_the_same_options_and_defaults(name: str) -> None:
    from anomalib_stage.offline.pregenerate import pregenerate
    from anomalib_stage.offline.preview import preview
    from anomalib_stage.training.fit import fit

    behind = inspect.signature({"pregenerate": pregenerate, "preview": preview, "fit": fit}[name]).parameters
    offered = inspect.signature(COMMANDS[name]).parameters
    assert {key: value.default for key, value in offered.items()} == {
        key: value.default for key, value in behind.items() if key != "progress"
    }


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["anomalib-stage", __version__]


# -- usage -----------------------------------------------------------------------------------------------------

USAGE = {
    "no command": ([], "pregenerate"),
    "unknown command": (["paint"], "'paint'"),
    "required option missing": (["pregenerate", "--data", "x", "--out", "y"], "--count"),
    "file missing": (["inspect"], "FILE"),
    "unknown option": (["preview", "--data", "x", "--out", "y.png", "--sharp", "1"], "--sharp"),
    "not a number": (["pregenerate", "--data", "x", "--out", "y", "--count", "many"], "--count .*int.* many"),
    "not a choice": (
        ["pregenerate", "--data", "x", "--out", "y", "--count", "1", "--on-unreadable", "guess"],
        "--on-unreadable .*'fail', 'skip'.* guess",
    ),
    "no defect named": (["preview", "--data", "x", "--out", "y.png", "--defects"], "--defects"),
    "value in range": (["fit", "--out", "x.safetensors", "--procedural", "2"], "--procedural is 2.0"),
}


@pytest.mark.parametrize("name", USAGE)
def test_wrong_usage_is_one_line_and_exits_with_2(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, pattern = USAGE[name]
    assert main(arguments) == 2
    assert re.search(pattern, sentence(capsys.readouterr()))


# -- pregenerate -----------------------------------------------------------------------------------------------


def test_pregenerate_prints_its_result_as_json(pregenerate: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert pregenerate() == 0
    out, err = capfd.readouterr()
    result = json.loads(out)
    assert result["pairs"] == sum(result["kinds"].values()) == 3
    assert Path(result["out"], "manifest.jsonl").read_text().count("\n") == 3
    assert err == ""  # progress is for terminals


def test_underscores_are_accepted_and_lists_need_no_brackets(
    good_folder: Path, tiny_bundle_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", good_folder, "--out", tmp_path / "out", "--count=2", "--weights", tiny_bundle_path]
    options += ["--defects", "hole", "stain", "--batch_size", "1", "--steps=4", "--on_unreadable=skip"]
    assert main(["pregenerate", *map(str, options)]) == 0
    assert set(json.loads(capsys.readouterr().out)["kinds"]) == {"hole", "stain"}


def test_options_can_come_from_a_file(pregenerate: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "options.yaml").write_text("defects: [hole]\ncount: 1\nbatch_size: 2\n")
    assert pregenerate(config=tmp_path / "options.yaml", count=None) == 0
    assert json.loads(capsys.readouterr().out)["kinds"] == {"hole": 1}


BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "folder missing": ({"data": "nope"}, 1, "nope: no such folder"),
    "count 0": ({"count": 0}, 2, "--count is 0"),
    "unknown defect": ({"defects": "rust"}, 2, "'rust' is not a defect of this bundle; it paints scratch, hole, stain"),
    "weights missing": ({"weights": "nope.safetensors"}, 1, "nope.safetensors: no such file"),
    "device unknown": ({"device": "warp"}, 1, "'warp' is not a device name"),
    "masks missing": ({"masks": "nope"}, 1, "nope: no such folder"),
    "steps 3": ({"steps": 3}, 2, "steps"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_with_its_exit_code(
    name: str, pregenerate: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    changed, code, expected = BAD[name]
    assert pregenerate(**changed) == code
    assert expected in sentence(capfd.readouterr())
    assert not (tmp_path / "out").exists()


def test_unreadable_image_fails_by_name_or_is_skipped(
    pregenerate: Any, good_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (good_folder / "0.png").write_bytes(b"\x89PNG broken")
    assert pregenerate() == 1
    assert "0.png: not a readable image" in sentence(capfd.readouterr())
    assert pregenerate(on_unreadable="skip") == 0
    assert json.loads(capfd.readouterr().out)["skipped"] == 1


def test_second_run_into_the_same_folder_is_refused(pregenerate: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert pregenerate() == 0
    capsys.readouterr()
    assert pregenerate() == 2
    assert "is not an empty folder" in sentence(capsys.readouterr())


def test_interruption_exits_with_130_and_says_what_is_left(
    pregenerate: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli._Progress, "__call__", interrupt)
    assert pregenerate() == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("anomalib-stage: interrupted; ")


# -- preview, inspect, fit -------------------------------------------------------------------------------------


def test_preview_prints_the_path_of_the_grid(
    good_folder: Path, tiny_bundle_path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "grids" / "grid.png"
    options = ["--data", good_folder, "--out", out, "--weights", tiny_bundle_path, "--count=2", "--steps=4"]
    assert main(["preview", *map(str, options)]) == 0
    assert capfd.readouterr().out == f"{out}\n"
    assert out.read_bytes().startswith(b"\x89PNG")


def test_preview_writes_a_page_beside_the_grid(
    good_folder: Path, tiny_bundle_path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, html = tmp_path / "grid.png", tmp_path / "pages" / "page.html"
    options = ["--data", good_folder, "--out", out, "--html", html, "--weights", tiny_bundle_path, "--count=1"]
    assert main(["preview", *map(str, options), "--steps=4"]) == 0
    assert capfd.readouterr().out == f"{out}\n{html}\n"
    assert html.read_text().startswith("<!DOCTYPE html>")


def test_preview_refuses_a_page_of_another_kind(
    good_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", good_folder, "--out", tmp_path / "grid.png", "--html", tmp_path / "page.pdf"]
    assert main(["preview", *map(str, options)]) == 2
    assert "page.pdf must be a .html file" in sentence(capsys.readouterr())


def test_inspect_prints_the_manifest_as_rows(
    tiny_bundle_path: Path, tiny_bundle: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(tiny_bundle_path)]) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    rows = {name.strip(): value.strip() for name, value in rows.items()}
    assert rows["file"] == str(tiny_bundle_path)
    assert rows["backbone"] == "compact"
    assert rows["kinds"] == "scratch, hole, stain, good"
    assert rows["digest"] == tiny_bundle.digest


def test_inspect_refuses_what_is_not_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"not at all a bundle")
    assert main(["inspect", str(tmp_path / "x.safetensors")]) == 1
    assert "x.safetensors: not a safetensors file" in sentence(capsys.readouterr())


def test_fit_says_that_there_is_nothing_to_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--out", str(tmp_path / "x.safetensors"), "--device=cpu", "--resume"]) == 1
    assert "--resume given, but there is no checkpoint" in sentence(capsys.readouterr())
    assert list(tmp_path.iterdir()) == []


def test_module_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "anomalib_stage", "inspect", "nope.safetensors"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("anomalib-stage: error: nope.safetensors: no such file")
