# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""House rules that no linter knows, read off the source."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "anomalib_stage"
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [path.relative_to(PACKAGE).as_posix() for path in FILES]
every_file = pytest.mark.parametrize("path", FILES, ids=NAMES)

LAYERS = {
    "errors": 0,
    "settings": 1,
    "seeds": 1,
    "synthesis": 2,
    "images": 2,
    "sheets": 2,
    "inputs": 3,
    "drawing": 3,
    "measures": 3,
    "jobs": 3,
    "weights": 3,
    "guiding": 4,
    "painting": 5,
    "latent_painting": 6,
    "pair": 6,
    "synthesizer": 7,
    "training": 8,
    "offline": 9,
    "parser": 9,
    "plugin": 10,
    "benchmark": 11,
    "speed": 11,
    "quality": 12,
    "commands": 13,
    "cli": 14,
    "__main__": 15,
    "__init__": 15,
}
"""Module or sub-package to layer; imports go to a lower layer or stay inside."""

PURE = {"anomalib", "lightning", "logging", "os", "io", "pathlib", "tempfile", "shutil", "safetensors", "requests"}
"""What ``synthesis`` must not import: it touches no files, no environment and no host."""

LIGHT = ("__init__", "__main__", "cli", "errors", "seeds", "settings")
"""Modules that ``--help`` and ``import anomalib_stage`` load; the commands are others."""

HEAVY = {"torch", "torchvision", "diffusers", "lightning", "anomalib", "cv2"}
"""What makes ``--help`` slow."""

NUMPY_LOCAL = {"Generator", "PCG64", "SeedSequence", "default_rng"}
"""Names of ``numpy.random`` that leave its global stream alone."""

HEADER = "# SPDX-FileCopyrightText: 2026 The anomalib-stage authors\n# SPDX-License-Identifier: Apache-2.0\n"


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything imported anywhere below a node."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: relative import"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)


def _part(path: Path) -> str:
    """Return the module or sub-package that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "?"


def _runs_at_import(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield module-level statements, without those for type checkers only."""
    for statement in tree.body:
        if not (isinstance(statement, ast.If) and _dotted(statement.test).endswith("TYPE_CHECKING")):
            yield statement


def test_every_part_has_a_layer() -> None:
    assert {_part(path) for path in FILES} <= LAYERS.keys()


@every_file
def test_imports_go_downwards(path: Path) -> None:
    part = _part(path)
    own = [name.split(".") for name in _imports(_tree(path)) if name.split(".")[0] == "anomalib_stage"]
    for name in own:
        if name[1] in {"__version__", part}:
            continue
        assert LAYERS[name[1]] < LAYERS[part], f"{part} imports {'.'.join(name)}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "synthesis").glob("*.py")), ids=lambda path: path.name)
def test_synthesis_is_pure(path: Path) -> None:
    tree = _tree(path)
    assert not {name.split(".")[0] for name in _imports(tree)} & PURE
    assert "open" not in {_dotted(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


@pytest.mark.parametrize("name", [*LIGHT, *(f"commands/{path.stem}" for path in (PACKAGE / "commands").glob("*.py"))])
def test_light_modules_import_nothing_heavy(name: str) -> None:
    statements = _runs_at_import(_tree(PACKAGE / f"{name}.py"))
    top = [s for s in statements if isinstance(s, ast.Import | ast.ImportFrom)]
    assert not {imported.split(".")[0] for s in top for imported in _imports(s)} & HEAVY


@every_file
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@every_file
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef):
            has_doc = ast.get_docstring(node) is not None
            first = node.body[min(int(has_doc), len(node.body) - 1)].lineno
            lines = (node.end_lineno or first) - first + 1
            assert lines <= 60, f"{node.name} has {lines} lines below its docstring"


@every_file
def test_only_the_command_line_prints(path: Path) -> None:
    calls = {_dotted(node.func) for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)}
    assert "print" not in calls or path.name == "cli.py"


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


@every_file
def test_global_random_streams_are_left_alone(path: Path) -> None:
    assert list(_global_draws(_tree(path))) == []


@pytest.mark.parametrize(
    "source", ["np.random.rand(3)", "random.choice([1])", "torch.manual_seed(0)", "numpy.random.seed(1)"]
)
def test_the_rule_on_random_streams_sees_offenders(source: str) -> None:
    assert len(list(_global_draws(ast.parse(source)))) == 1


@pytest.mark.parametrize(
    "path",
    [*FILES, *sorted((ROOT / "tests").rglob("*.py"))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_every_file_names_its_licence(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith(HEADER)


@every_file
def test_no_file_without_a_topic(path: Path) -> None:
    assert path.stem not in {"utils", "util", "helpers", "common", "base", "misc"}
