# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomalib_stage import __version__
from anomalib_stage.cli import COMMANDS, load_command, main
from anomalib_stage.commands.progress import Progress
from anomalib_stage.files.atomic import write_file
from anomalib_stage.files.pixels import encode_png
from anomalib_stage.pregeneration.output import coco
from anomalib_stage.pregeneration.verify import verify as verify_folder
from anomalib_stage.weights import stamp
from anomalib_stage.weights.bundle import StageBundle
from tests.conftest import tree

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
    """Run the command on two images; None leaves an option out, "flag" gives it no value."""

    def call(**changed: Any) -> int:
        options: dict[str, Any] = {
            "data": good_folder,
            "out": good_folder.parent / "out",
            "count": 3,
            "weights": tiny_bundle_path,
            "sampling_steps": 4,
            "device": "cpu",
        }
        named = {name.replace("_", "-"): v for name, v in (options | changed).items() if v is not None}
        return main(["pregenerate", *(f"--{n}" if v == "flag" else f"--{n}={v}" for n, v in named.items())])

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
    for parameter in inspect.signature(load_command(name)).parameters:
        option = {"inspect": "FILE", "verify": "OUT"}.get(name, f"--{parameter.replace('_', '-')}")
        assert option in text
    described = " ".join(text.split()).replace("- ", "-")
    for line in (inspect.getdoc(load_command(name)) or "").split("Args:")[1].strip().splitlines():
        assert line.split(": ", 1)[1].rstrip(".").split("; ")[0][:30] in described


def _functions(name: str) -> tuple[Callable[..., object], ...]:
    """What a command calls."""
    from anomalib_stage.evaluation.detection.run import benchmark
    from anomalib_stage.evaluation.realism.run import quality
    from anomalib_stage.evaluation.speed.run import benchmark_speed
    from anomalib_stage.pregeneration.prepare import prepare
    from anomalib_stage.pregeneration.run import run
    from anomalib_stage.preview.preview import preview
    from anomalib_stage.training.latent.fit import fit_latent
    from anomalib_stage.training.latent.settings import LatentFitSettings
    from anomalib_stage.training.settings import FitSettings

    return {
        "pregenerate": (prepare, run),
        "preview": (preview,),
        "fit": (FitSettings,),
        "fit-latent": (fit_latent, LatentFitSettings),
        "quality": (quality,),
        "benchmark": (benchmark,),
        "benchmark-speed": (benchmark_speed,),
    }[name]


NO_OPTIONS = {"progress", "job", "settings"}
NO_OPTIONS |= {"tokens", "regions", "region_size", "gradient_checkpointing", "precision"}  # of LatentFitSettings
ITS_OWN = {"adapter", "sources", "seeds", "sizes", "batch_sizes", "parts"}
"""Options whose default the command line writes in another way."""


@pytest.mark.parametrize(
    "name", ["pregenerate", "preview", "fit", "fit-latent", "quality", "benchmark", "benchmark-speed"]
)
def test_command_and_function_have_the_same_options_and_defaults(name: str) -> None:
    behind = {
        key: value
        for function in _functions(name)
        for key, value in inspect.signature(function).parameters.items()
        if key not in NO_OPTIONS
    }
    offered = {
        key: value for key, value in inspect.signature(load_command(name)).parameters.items() if key != "dry_run"
    }
    assert offered.keys() == behind.keys()
    same = offered.keys() - ITS_OWN - ({"sampling_steps"} if name == "benchmark-speed" else set())
    assert {key: offered[key].default for key in same} == {key: behind[key].default for key in same}


def test_the_options_of_fit_are_its_settings() -> None:
    from anomalib_stage.training.settings import FitSettings

    offered = inspect.signature(load_command("fit")).parameters
    assert {name: (option.annotation, option.default) for name, option in offered.items()} == {
        name: (field.annotation, inspect.Parameter.empty if field.is_required() else field.default)
        for name, field in FitSettings.model_fields.items()
    }
    assert all(field.description and field.description.endswith(".") for field in FitSettings.model_fields.values())


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["anomalib-stage", __version__]


# -- usage -----------------------------------------------------------------------------------------------------

USAGE = {
    "no command": ([], "pregenerate"),
    "unknown command": (["paint"], "'paint'"),
    "required option missing": (["pregenerate", "--data", "x", "--out", "y"], "--count"),
    "file missing": (["inspect"], "FILE"),
    "folder missing": (["verify"], "OUT"),
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
    assert result["pairs"] == sum(result["defects"].values()) == 3
    assert Path(result["out"], "manifest.jsonl").read_text().count("\n") == 3
    assert err == ""  # progress is for terminals


def test_underscores_are_accepted_and_lists_need_no_brackets(
    good_folder: Path, tiny_bundle_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", good_folder, "--out", tmp_path / "out", "--count=2", "--weights", tiny_bundle_path]
    options += ["--defects", "hole", "stain", "--batch_size", "1", "--sampling-steps=4", "--on_unreadable=skip"]
    assert main(["pregenerate", *map(str, options)]) == 0
    assert set(json.loads(capsys.readouterr().out)["defects"]) == {"hole", "stain"}


def test_options_can_come_from_a_file(pregenerate: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "options.yaml").write_text("defects: [hole]\ncount: 1\nbatch_size: 2\n")
    assert pregenerate(config=tmp_path / "options.yaml", count=None) == 0
    assert json.loads(capsys.readouterr().out)["defects"] == {"hole": 1}


def nan_weights(folder: Path, bundle: StageBundle, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A bundle whose digest is right and whose weights are not numbers."""
    tensors = {name: tensor.clone() for name, tensor in bundle.tensors.items()}
    next(tensor for name, tensor in tensors.items() if name.startswith("denoiser."))[:] = float("nan")
    with monkeypatch.context() as patch:
        patch.setattr(stamp, "check_finite", lambda *_, **__: None)
        StageBundle(bundle.manifest, tensors).save(folder / "nan.safetensors")
    return {"weights": folder / "nan.safetensors"}


def no_space(monkeypatch: pytest.MonkeyPatch, suffix: str) -> dict[str, Any]:
    """A disk that is full when files with some ending are to be renamed into place."""
    rename = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.suffix == suffix:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", full)
    return {}


def a_file(path: Path) -> Path:
    write_file(path, b"mine")
    return path


def picture(path: Path, height: int, width: int) -> Path:
    write_file(path, encode_png(np.zeros((height, width, 3), np.uint8)))
    return path


def long_name(folder: Path) -> dict[str, Any]:
    picture(folder / f"{'a' * 201}.png", 48, 64)
    return {}


def empty_folder(path: Path) -> Path:
    path.mkdir()
    return path


def other_job(run: Any, out: Path) -> dict[str, Any]:
    assert run(out=out) == 0
    return {"out": out, "seed": 1}


def no_pycocotools(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(coco, "find_spec", lambda _: None)
    return {"coco": "flag"}


BAD: dict[str, tuple[Callable[[Bad], dict[str, Any]], int, str]] = {
    "folder missing": (lambda b: {"data": "nope"}, 1, "nope: no such folder; give a folder of images"),
    "no images": (lambda b: {"data": empty_folder(b.tmp / "none")}, 1, "none: no image in it (looked recursively for"),
    "a file for a folder": (
        lambda b: {"data": a_file(b.tmp / "x.png")},
        1,
        "x.png: no such folder; give a folder of i",
    ),
    "image unreadable": (lambda b: {"data": a_file(b.tmp / "torn" / "a.png").parent}, 1, "a.png: not a readable image"),
    "image too small": (
        lambda b: {"data": picture(b.tmp / "small" / "a.png", 20, 40).parent},
        1,
        "a.png: 40x20 px; at least 32 px a side are needed, remove it",
    ),
    "file name too long": (
        lambda b: long_name(b.good),
        1,
        "is longer than 200 bytes or has control characters; rename",
    ),
    "count missing": (lambda b: {"count": None}, 2, "--count is required"),
    "count no number": (lambda b: {"count": "1.5"}, 2, "--count Expected a <class 'int'>. Got value: 1.5"),
    "count too large": (
        lambda b: {"count": 10**13},
        2,
        "--count is 10000000000000; at most 100000000 go into one folder",
    ),
    "count 0": (lambda b: {"count": 0}, 2, "--count is 0 and --batch-size 64; both must be at least 1"),
    "batch size 0": (lambda b: {"batch_size": 0}, 2, "--batch-size 0; both must be at least 1"),
    "steps 3": (lambda b: {"sampling_steps": 3}, 2, "steps: Input should be greater than or equal to 4, got 3"),
    "strength 0": (lambda b: {"strength": "[0, 1]"}, 2, "strength.0: Input should be greater than 0, got 0.0"),
    "strength reversed": (lambda b: {"strength": "[1, 0.5]"}, 2, "strength (1.0, 0.5) is empty; give (weakest, stron"),
    "strength of three": (lambda b: {"strength": "[0.1, 0.5, 1]"}, 2, "--strength Expected a tuple with 2 elements"),
    "visibility below 0": (
        lambda b: {"min_visibility": -1},
        2,
        "min_visibility: Input should be greater than or equal",
    ),
    "foreground unknown": (
        lambda b: {"foreground": "masks"},
        2,
        "--foreground Expected a typing.Literal['auto', 'none']",
    ),
    "layout unknown": (lambda b: {"layout": "yolo"}, 2, "--layout Expected a typing.Literal['folder', 'mvtec']"),
    "seed no number": (lambda b: {"seed": "today"}, 2, "--seed Expected a <class 'int'>. Got value: today"),
    "good is no defect": (
        lambda b: {"defects": "good"},
        2,
        "'good' is not a defect of this bundle; it paints scratch, h",
    ),
    "unknown defect": (lambda b: {"defects": "rust"}, 2, "'rust' is not a defect of this bundle; it paints scratch, h"),
    "weights a folder": (lambda b: {"weights": b.good}, 1, "good: is a folder; give the .safetensors file in it"),
    "weights missing": (lambda b: {"weights": "nope.safetensors"}, 1, "nope.safetensors: no such file"),
    "weights damaged": (
        lambda b: {"weights": a_file(b.tmp / "w.safetensors")},
        1,
        "w.safetensors: only 4 bytes long; get the file",
    ),
    "weights NaN": (lambda b: nan_weights(b.tmp, b.bundle, b.patch), 1, "nan.safetensors: NaN or infinite values in"),
    "device unknown": (lambda b: {"device": "warp"}, 1, "'warp' is not a device name"),
    "device of no use": (lambda b: {"device": "meta"}, 1, "'meta' cannot be painted on; use 'auto', 'cpu', 'cuda' or"),
    "device not there": (lambda b: {"device": "cuda:99"}, 1, "'cuda:99' asked for, but this machine has"),
    "nodes 0": (lambda b: {"num_nodes": 0}, 2, "--devices is 1 and --num-nodes 0; both must be at least 1"),
    "devices 0": (lambda b: {"devices": 0}, 2, "--devices is 0 and --num-nodes 1; both must be at least 1"),
    "device of several": (
        lambda b: {"devices": 2, "device": "cpu:0"},
        2,
        "--device names one, cpu:0; give --device cpu",
    ),
    "masks missing": (lambda b: {"masks": "nope"}, 1, "nope: no such folder"),
    "mask unreadable": (lambda b: {"masks": a_file(b.tmp / "m" / "m.png").parent}, 1, "m.png: not a readable image"),
    "mask of other size": (
        lambda b: {"masks": picture(b.tmp / "m" / "m.png", 48, 65).parent},
        1,
        "0.png is 64x48 px; masks must have the image's size",
    ),
    "mask empty": (
        lambda b: {"masks": picture(b.tmp / "m" / "m.png", 48, 64).parent},
        1,
        "m.png: mask is empty; remove it, or mark at least one pixel",
    ),
    "masks among images": (lambda b: {"masks": b.good}, 2, "lies inside the folder of good images"),
    "out among images": (lambda b: {"out": b.good / "out"}, 2, "lies inside the folder of good images"),
    "out of others": (
        lambda b: {"out": a_file(b.tmp / "o" / "x").parent},
        2,
        "is not an empty folder and holds no job.j",
    ),
    "out a file": (lambda b: {"out": a_file(b.tmp / "o")}, 2, "is not an empty folder and holds no job.json"),
    "other job": (lambda b: other_job(b.run, b.tmp / "o"), 2, "holds another job (there -> here): seed 0 -> 1; give"),
    "job damaged": (
        lambda b: {"out": a_file(b.tmp / "o" / "job.json").parent},
        1,
        "job.json: not a description of a job",
    ),
    "unwritable": (lambda b: {"out": a_file(b.tmp / "o") / "out"}, 1, "job.json: cannot be written (Not a directory)"),
    "no space for the job": (lambda b: no_space(b.patch, ".json"), 1, "job.json: cannot be written (No space left on"),
    "no space for a pair": (
        lambda b: no_space(b.patch, ".png"),
        1,
        "(No space left on device); choose a folder with s",
    ),
    "no space to end": (lambda b: no_space(b.patch, ".jsonl"), 1, "what is finished is kept, and the same command goe"),
    "no pycocotools": (lambda b: no_pycocotools(b.patch), 2, "pip install 'anomalib-stage[coco]'"),
}


@dataclass(frozen=True)
class Bad:
    """What a bad input can be made of."""

    tmp: Path
    good: Path
    bundle: StageBundle
    run: Callable[..., int]
    patch: pytest.MonkeyPatch


@pytest.fixture
def bad(
    pregenerate: Any, tmp_path: Path, good_folder: Path, tiny_bundle: StageBundle, monkeypatch: pytest.MonkeyPatch
) -> Bad:
    """What a row of the table prepares its input from."""
    return Bad(tmp_path, good_folder, tiny_bundle, pregenerate, monkeypatch)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_with_its_exit_code(
    name: str, pregenerate: Any, bad: Bad, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prepare, code, expected = BAD[name]
    changed = prepare(bad)
    capfd.readouterr()
    assert pregenerate(**changed) == code
    assert expected in sentence(capfd.readouterr())
    assert not (tmp_path / "out" / "manifest.jsonl").exists()


@pytest.mark.parametrize("suffix", [".png", ".jsonl"])
def test_a_disk_that_was_full_costs_nothing(
    suffix: str, pregenerate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pregenerate(out=tmp_path / "whole") == 0
    with monkeypatch.context() as patch:
        no_space(patch, suffix)
        assert pregenerate() == 1
    assert pregenerate() == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_unreadable_image_fails_by_name_or_is_skipped(
    pregenerate: Any, good_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (good_folder / "0.png").write_bytes(b"\x89PNG broken")
    assert pregenerate() == 1
    assert "0.png: not a readable image" in sentence(capfd.readouterr())
    assert pregenerate(on_unreadable="skip") == 0
    assert json.loads(capfd.readouterr().out)["skipped"] == 1


def test_second_run_finds_everything_finished(pregenerate: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert pregenerate() == pregenerate() == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["painted"], second["painted"], second["remaining"]) == (3, 0, 0)
    assert first["defects"] == second["defects"]


def test_dry_run_prints_the_plan_and_writes_nothing(
    pregenerate: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pregenerate(dry_run="flag") == 0
    planned = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert not (tmp_path / "out").exists()
    assert pregenerate() == 0
    lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    for row, record in zip(planned, map(json.loads, lines), strict=True):
        same = ("index", "source", "given_mask", "seed")
        assert {name: row[name] for name in same} == {name: record[name] for name in same}
        assert row["defect"] == record["kind"]  # files keep the key that they had
        assert record["image"] in {None, row["image"]}
        assert row["finished"] is False


@pytest.mark.parametrize("name", ["other job", "job damaged", "no pycocotools", "devices 0"])
def test_dry_run_refuses_what_the_run_would(
    name: str, pregenerate: Any, bad: Bad, capfd: pytest.CaptureFixture[str]
) -> None:
    prepare, code, expected = BAD[name]
    changed = prepare(bad)
    capfd.readouterr()
    assert pregenerate(**changed, dry_run="flag") == code
    assert expected in sentence(capfd.readouterr())


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """SIGINT as in a terminal: a shell starts what runs in its background with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_exits_with_its_code_says_how_to_go_on_and_loses_nothing(
    stop: signal.Signals,
    code: int,
    pregenerate: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert pregenerate(out=tmp_path / "whole", batch_size=1) == 0
    capsys.readouterr()
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "__call__", lambda *_: signal.raise_signal(stop))
        assert pregenerate(batch_size=1) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("anomalib-stage: interrupted; the pairs finished so far are kept, run the same command again")
    assert signal.getsignal(signal.SIGTERM) == before
    assert len(list((tmp_path / "out").glob("manifest.rank-*.jsonl"))) == 1
    assert pregenerate(batch_size=1) == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_verify_says_what_is_damaged_and_exits_with_1(
    pregenerate: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pregenerate(min_visibility=0) == 0
    capsys.readouterr()
    assert main(["verify", str(tmp_path / "out")]) == 0
    assert json.loads(capsys.readouterr().out)["damaged"] == 0
    damaged = next((tmp_path / "out" / "mask").rglob("*.png"))
    damaged.write_bytes(b"")
    assert main(["verify", str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    summary, problem = out.splitlines()
    assert json.loads(summary)["damaged"] == 1
    assert problem.startswith(f"{damaged.relative_to(tmp_path / 'out')}: damaged")
    assert "1 files are damaged or missing, 0 pairs are not finished; run the same pregenerate command again" in err


@pytest.mark.slow
def test_two_processes_write_what_one_writes(good_folder: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    options = [
        "--data",
        good_folder,
        "--count=6",
        "--batch-size=1",
        "--weights",
        tiny_bundle_path,
        "--sampling-steps=4",
    ]
    command = [sys.executable, "-m", "anomalib_stage", "pregenerate", "--device=cpu", *map(str, options)]
    assert main([*command[3:], "--out", str(tmp_path / "one")]) == 0
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "two"), "--devices=2"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["remaining"] == 0
    assert json.loads(done.stdout)["painted"] == 3  # the other process painted the other half
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="looks for a process in /proc")
def test_of_two_processes_one_that_is_killed_costs_nothing(
    good_folder: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    """Both are started by Fabric, and meet through gloo."""
    options = [
        "--data",
        good_folder,
        "--count=120",
        "--batch-size=1",
        "--weights",
        tiny_bundle_path,
        "--sampling-steps=4",
    ]
    command = [sys.executable, "-m", "anomalib_stage", "pregenerate", "--device=cpu", *map(str, options)]
    one, two, until = tmp_path / "one", tmp_path / "two", time.monotonic() + 800
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": os.environ | {"PYTHONPATH": str(ROOT)}}
    with subprocess.Popen([*command, "--out", str(two), "--devices=2"], **quiet) as first:
        while not any(shard.stat().st_size for shard in two.glob("manifest.rank-0001.jsonl")):
            assert time.monotonic() < until
            assert first.poll() is None
            time.sleep(0.002)
        children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
        [second] = [int(child) for child in children if b"LOCAL_RANK=1" in Path(f"/proc/{child}/environ").read_bytes()]
        os.kill(second, signal.SIGKILL)
        assert first.wait(until - time.monotonic()) in {0, -signal.SIGKILL}  # Fabric kills it when it has seen that
    found, problems = verify_folder(two)
    assert problems == []
    assert 0 < found["remaining"] < 120
    assert main([*command[3:], "--out", str(two)]) == 0
    assert main([*command[3:], "--out", str(one)]) == 0
    assert tree(one) == tree(two)


# -- preview, inspect, fit -------------------------------------------------------------------------------------


def test_preview_prints_the_path_of_the_grid(
    good_folder: Path, tiny_bundle_path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "grids" / "grid.png"
    options = ["--data", good_folder, "--out", out, "--weights", tiny_bundle_path, "--count=2", "--sampling-steps=4"]
    assert main(["preview", *map(str, options)]) == 0
    assert capfd.readouterr().out == f"{out}\n"
    assert out.read_bytes().startswith(b"\x89PNG")


def test_preview_writes_a_page_beside_the_grid(
    good_folder: Path, tiny_bundle_path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, html = tmp_path / "grid.png", tmp_path / "pages" / "page.html"
    options = ["--data", good_folder, "--out", out, "--html", html, "--weights", tiny_bundle_path, "--count=1"]
    assert main(["preview", *map(str, options), "--sampling-steps=4"]) == 0
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
    assert rows["defects"] == "scratch, hole, stain, good"
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
