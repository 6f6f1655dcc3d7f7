# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What the pages say about this package is so: its paper, its files and functions, its settings."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import anomalib_stage
from anomalib_stage.settings import Settings, SynthesisSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "recipes" / "README.md", *sorted(DOCS.rglob("*.md"))]
UPGRADE = DOCS / "how-to" / "upgrade.md"
"""Names old files on purpose."""

PAPER = "STAGE: Segmentation-oriented Industrial Anomaly Synthesis via Graded Diffusion with Explicit Mask Alignment"
AUTHORS = ("Xu", "Wang", "Wang", "Zhang", "Lei", "Xie", "Jiang", "Lu")

FILE = re.compile(r"(?<![\w/.-])(?:anomalib_stage|tests|docs|recipes)/[\w/.-]*\.(?:py|md|yaml|png|json)")
DOTTED = re.compile(r"(?<![\w/.-])anomalib_stage(?:\.\w+)+")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _defined(path: Path) -> set[str]:
    """Return the names that a file defines or imports at its top, and ``Class.method``."""
    names: set[str] = set()
    for node in ast.parse(_read(path)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
            names |= {f"{node.name}.{child.name}" for child in node.body if isinstance(child, ast.FunctionDef)}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def test_the_citation_names_the_paper() -> None:
    citation = yaml.safe_load(_read(ROOT / "CITATION.cff"))
    assert (citation["cff-version"], citation["type"], citation["title"]) == ("1.2.0", "software", "anomalib-stage")
    paper = citation["preferred-citation"]
    assert paper["title"] == PAPER
    assert tuple(author["family-names"] for author in paper["authors"]) == AUTHORS
    assert paper in citation["references"]


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", DOCS / "concepts" / "published-method.md"], ids=["readme", "method"]
)
def test_the_pages_name_the_paper(page: Path) -> None:
    text = _read(page)
    plain = re.sub(r"[{}>*\s]+", " ", text)
    assert PAPER.removeprefix("STAGE: ") in plain
    assert "arxiv.org/abs/2509.06693" in text
    for name in ("Xichen Xu", "Yanshu Wang", "Zhichao Lu"):
        assert name in plain


def test_the_index_links_every_page() -> None:
    linked = re.findall(r"^[\w-]+/[\w-]+$", _read(DOCS / "index.md"), flags=re.MULTILINE)
    pages = [page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md") if page.parent != DOCS]
    assert sorted(linked) == sorted(page for page in pages if not page.startswith("_build"))


def test_files_that_the_pages_name_exist() -> None:
    missing = [
        (page.relative_to(ROOT).as_posix(), name)
        for page in PAGES
        if page != UPGRADE
        for name in FILE.findall(_read(page))
        if not (ROOT / name).exists()
    ]
    assert missing == []


TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_promise_is_held_by_a_test_that_exists() -> None:
    page, _, _ = _read(DOCS / "concepts" / "promises.md").partition("## Traps")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    named = [TEST.findall(row) for row in rows]
    assert rows
    assert all(named)
    missing = [(file, name) for tests in named for file, name in tests if f"def {name}(" not in _read(ROOT / file)]
    assert missing == []


WALK = re.compile(r"^(\d+)\. `([\w.]+)` in `([\w/]+\.py)`: ", flags=re.MULTILINE)


@pytest.mark.parametrize(
    "walk", ["One image and its mask, from StageAugment to the batch", "One job, from pregenerate to files"]
)
def test_each_walk_has_ten_steps_that_exist(walk: str) -> None:
    page = _read(DOCS / "concepts" / "architecture.md")
    steps = WALK.findall(page.partition(f"## {walk}\n")[2].partition("\n## ")[0])
    assert [int(number) for number, _, _ in steps] == list(range(1, 11))
    assert [(name, path) for _, name, path in steps if name not in _defined(ROOT / path)] == []


def test_the_picture_of_the_tree_names_every_module() -> None:
    """After a move: `python docs/images/architecture.py`."""
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", _read(DOCS / "images" / "architecture.svg"))
    drawn = {word for text in texts for word in re.split(r"[\s/]+", text)}
    modules = {path.stem for path in (ROOT / "anomalib_stage").rglob("*.py")}
    assert modules - drawn == set()


def _is_known(dotted: str) -> bool:
    """Say whether a dotted name is a module of this package, or a public name in one."""
    module, _, name = dotted.rpartition(".")
    for whole in (dotted, module):
        stem = ROOT.joinpath(*whole.split("."))
        path = next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)
        if path is not None:
            return whole == dotted or name in _defined(path) | (
                {*anomalib_stage.__all__} if module == "anomalib_stage" else set()
            )
    return False


def test_modules_that_the_pages_name_exist() -> None:
    unknown = [
        (page.relative_to(ROOT).as_posix(), name)
        for page in PAGES
        if page != UPGRADE
        for name in DOTTED.findall(_read(page))
        if not _is_known(name)
    ]
    assert unknown == []


@pytest.mark.parametrize(
    "known", ["anomalib_stage.StageAugment", "anomalib_stage.seeds", "anomalib_stage.seeds.derive_seed"]
)
def test_known_names_are_known(known: str) -> None:
    assert _is_known(known)
    assert not _is_known(f"{known}_of_old")


def _settings_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_images_settings", DOCS / "images" / "settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _defaults(settings: Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Settings):
            yield from _defaults(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def test_the_page_of_settings_names_each_with_its_default() -> None:
    script = _settings_script()
    page = _read(DOCS / "reference" / "settings.md")
    sections = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", page, flags=re.MULTILINE | re.DOTALL))
    defaults = {name: script.write_value(value) for name, value in _defaults(SynthesisSettings())}
    assert set(sections) == set(defaults)
    assert [name for name, value in defaults.items() if f"Default: `{value}`." not in sections[name]] == []
    pictures = [re.findall(r"\]\(\.\./images/(\w+\.png)\)", text) for text in sections.values()]
    assert all(
        len(names) == 1 or "No picture: " in text for names, text in zip(pictures, sections.values(), strict=True)
    )
    assert sum((DOCS / "images" / name).stat().st_size for names in pictures for name in names) < 1_500_000


def test_the_page_of_settings_is_what_its_script_writes() -> None:
    """After a change of the settings: `python docs/images/settings.py --text`."""
    assert _read(DOCS / "reference" / "settings.md") == _settings_script().write_page()
