# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""House rules that no linter knows, read off the source. Each rule collects everything that breaks it."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "anomalib_stage"
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
SCRIPTS = sorted([*(ROOT / "docs").rglob("*.py"), *(ROOT / "recipes").rglob("*.py")])
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}

FLOORS = (
    "errors  seeds  _version",
    "deprecated  rendering.surface_types  rendering.defect_types",
    "settings  devices  files  synthesis  rendering",
    "synthesis.appearance  synthesis.blend  metrics",
    "synthesis.masks.shapes  synthesis.masks.foreground  synthesis.masks.templates",
    "synthesis.diffusion  synthesis.masks  pregeneration.planning  metrics.traces",
    "synthesis.diffusion.compact",
    "weights  training.data.regions  pregeneration.output",
    "weights.latent  training.data",
    "evaluation",
    "pipeline",
    "training.measure  training.network  pregeneration  preview  plugin  plugin.pairs",
    "training.callbacks",
    "training  plugin.callback  plugin.model  evaluation.realism  evaluation.detection.sources",
    "training.latent  plugin.data  evaluation.detection  evaluation.speed.instruments",
    "evaluation.speed",
    "commands",
    "commands.paint  commands.learn  commands.measure  commands.help",
    "cli",
    "__main__  __init__",
)
"""Rooms, floor by floor: a room is a folder (without its sub-folders) or a module at the top of the package.
Imports go to a lower floor, or stay inside the room."""

TOP = {"__init__", "__main__", "_version", "cli", "errors", "seeds", "settings", "devices"}
"""The only modules at the top of the package."""

PURE = {"anomalib", "lightning", "logging", "os", "io", "pathlib", "tempfile", "shutil", "safetensors", "requests"}
"""What ``synthesis`` must not import: it touches no files, no environment and no host."""

LIGHT = ("__init__", "__main__", "_version", "cli", "errors", "seeds", "settings")
"""Modules that ``--help`` and ``import anomalib_stage`` load; the commands are others."""

HEAVY = {"torch", "torchvision", "diffusers", "lightning", "anomalib", "cv2"}
"""What makes ``--help`` slow."""

NUMPY_LOCAL = {"Generator", "PCG64", "SeedSequence", "default_rng"}
"""Names of ``numpy.random`` that leave its global stream alone."""

PACKAGED_AS = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "pydantic_core": "pydantic",
}
"""Packages whose name on the index is another."""

TOPICLESS = {"utils", "util", "helpers", "common", "base", "misc"}
"""What no file is called."""

ROLES = {"__init__", "run", "report", "manifest", "figures", "checks", "plan", "settings", "fit", "train"}
"""Stems that stand for one role wherever they stand; any other stands once."""

HEADER = "# SPDX-FileCopyrightText: 2026 The anomalib-stage authors\n# SPDX-License-Identifier: Apache-2.0\n"


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything imported anywhere below a node."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: relative import"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)


def _room(module: str) -> str:
    """Return the folder of a module of this package, or its own name at the top."""
    parts = module.split(".")[1:]
    folder = parts if MODULES[module].name == "__init__.py" else parts[:-1]
    return ".".join(folder) or (parts[-1] if parts else "__init__")


def _own_imports(path: Path) -> Iterator[str]:
    """Yield the modules of this package that a file imports from."""
    for name in _imports(_tree(path)):
        if name.split(".")[0] == "anomalib_stage":
            yield name if name in MODULES else name.rpartition(".")[0]


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "?"


def _runs_at_import(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield module-level statements, without those for type checkers only."""
    for statement in tree.body:
        if not (isinstance(statement, ast.If) and _dotted(statement.test).endswith("TYPE_CHECKING")):
            yield statement


def test_every_room_has_a_floor() -> None:
    assert {_room(module) for module in MODULES} <= {room for floor in FLOORS for room in floor.split()}


def test_imports_go_downwards() -> None:
    floor_of = {room: i for i, floor in enumerate(FLOORS) for room in floor.split()}
    upwards = [
        f"{module} (floor {floor_of[_room(module)]}) imports {imported} (floor {floor_of[_room(imported)]})"
        for module, path in MODULES.items()
        for imported in _own_imports(path)
        if _room(imported) != _room(module) and floor_of[_room(imported)] >= floor_of[_room(module)]
    ]
    assert upwards == []


def test_imports_are_declared() -> None:
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8").lower().replace("_", "-")
    imported = {name.split(".")[0] for path in FILES for name in _imports(_tree(path))} - set(sys.stdlib_module_names)
    wheels = {PACKAGED_AS.get(name, name).replace("_", "-") for name in imported - {"anomalib_stage"}}
    assert {wheel for wheel in wheels if not re.search(rf'"{wheel}[\[><=]', declared)} == set()


def test_no_module_imports_itself_in_a_circle() -> None:
    imports = {module: {*_own_imports(path)} - {module} for module, path in MODULES.items()}
    while leaves := {module for module, imported in imports.items() if not imported & imports.keys()}:
        imports = {module: imported for module, imported in imports.items() if module not in leaves}
    assert imports == {}


def test_synthesis_is_pure() -> None:
    touching = []
    for path in (PACKAGE / "synthesis").rglob("*.py"):
        tree = _tree(path)
        calls = {_dotted(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        touching += [
            (_name(path), name) for name in {n.split(".")[0] for n in _imports(tree)} & PURE | calls & {"open"}
        ]
    assert touching == []


def test_light_modules_import_nothing_heavy() -> None:
    heavy = []
    for path in [*(PACKAGE / f"{name}.py" for name in LIGHT), *(PACKAGE / "commands").rglob("*.py")]:
        top = [s for s in _runs_at_import(_tree(path)) if isinstance(s, ast.Import | ast.ImportFrom)]
        heavy += [(_name(path), name) for s in top for name in _imports(s) if name.split(".")[0] in HEAVY]
    assert heavy == []


def test_files_are_short() -> None:
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > 300} == {}
    assert median(length for name, length in lengths.items() if not name.endswith("__init__.py")) <= 110


def test_functions_are_short() -> None:
    long = []
    for path in FILES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.FunctionDef):
                has_doc = ast.get_docstring(node) is not None
                first = node.body[min(int(has_doc), len(node.body) - 1)].lineno
                lines = (node.end_lineno or first) - first + 1
                long += [(_name(path), node.name, lines)] if lines > 60 else []
    assert long == []


def test_folders_are_small() -> None:
    modules = Counter(path.parent for path in FILES if path.name != "__init__.py")
    assert {_name(folder): count for folder, count in modules.items() if count > 14} == {}
    assert {path.stem for path in PACKAGE.glob("*.py")} <= TOP


def test_no_file_without_a_topic() -> None:
    assert [_name(path) for path in FILES if path.stem in TOPICLESS] == []


def test_only_the_command_line_prints() -> None:
    printing = [
        _name(path)
        for path in FILES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and _dotted(node.func) == "print" and path.name != "cli.py"
    ]
    assert printing == []


def _global_draws(node: ast.AST) -> Iterator[str]:
    """Yield uses of a global random stream, except under ``torch.random.fork_rng``, which puts it back."""
    if isinstance(node, ast.With) and any("fork_rng" in ast.unparse(item.context_expr) for item in node.items):
        return
    if isinstance(node, ast.Attribute):
        name = _dotted(node)
        module, _, leaf = name.rpartition(".")
        seeds_torch = module in {"torch", "torch.random", "torch.cuda"} and "seed" in leaf
        if seeds_torch or module == "random" or (module in {"np.random", "numpy.random"} and leaf not in NUMPY_LOCAL):
            yield f"line {node.lineno}: {name}"
    for child in ast.iter_child_nodes(node):
        yield from _global_draws(child)


def test_global_random_streams_are_left_alone() -> None:
    assert [(_name(path), draw) for path in FILES for draw in _global_draws(_tree(path))] == []


@pytest.mark.parametrize(
    "source", ["np.random.rand(3)", "random.choice([1])", "torch.manual_seed(0)", "numpy.random.seed(1)"]
)
def test_the_rule_on_random_streams_sees_offenders(source: str) -> None:
    assert len(list(_global_draws(ast.parse(source)))) == 1


def test_every_file_names_its_licence() -> None:
    files = [*FILES, *TESTS, *SCRIPTS]
    assert [_name(path) for path in files if not path.read_text(encoding="utf-8").startswith(HEADER)] == []


def test_tests_stand_where_their_modules_stand() -> None:
    folders = {path.parent.relative_to(PACKAGE) for path in FILES}
    strays = [
        _name(path)
        for path in TESTS
        if path.name.startswith("test_") and path.parent.relative_to(ROOT / "tests") not in folders
    ]
    assert strays == []
