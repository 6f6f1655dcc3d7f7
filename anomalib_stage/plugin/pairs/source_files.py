# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Which files are the good images that the pairs of a bank were painted into: name and content decide."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["SourceChoice", "SourceFiles", "path_tails"]

THREADS = 4
"""Threads that digest files; neither reading nor digesting holds Python's lock."""


@dataclass(frozen=True)
class SourceChoice:
    """Which of a bank's sources train, and how they were recognised.

    Args:
        kept (frozenset[str]): Sources whose pairs may train.
        held_back (frozenset[str]): Sources that are kept for validation or test; none of them is in ``kept``.
        known (bool): A source is among the images that train; False: the bank is of other images.
        changed (tuple[str, ...]): Training images with the name of a source and another content, where no other file
            is that source.
        by_name (bool): Those count as the sources, since no file at all has the content of one.
        ambiguous (tuple[str, ...]): Two training images that could be one source, whose digest nobody noted.
    """

    kept: frozenset[str]
    held_back: frozenset[str]
    known: bool
    changed: tuple[str, ...] = ()
    by_name: bool = False
    ambiguous: tuple[str, ...] = ()


class SourceFiles:
    """Recognises the good images that pairs were painted into.

    A file is a source if a tail of its path is the source's name and it has the source's content. Only files with such
    a tail are read, each once; where no training image has one, all are read, and the content alone decides. The name
    alone decides about sources without a digest, and about all of them where no file has the content of any: the images
    were written anew, in another compression perhaps.

    Args:
        digests (Mapping[str, str | None]): SHA-256 of each source by its name, None where it was not noted.
    """

    def __init__(self, digests: Mapping[str, str | None]) -> None:
        self._digests = dict(digests)
        self._names_of: dict[str | None, list[str]] = {}
        for name, digest in self._digests.items():
            self._names_of.setdefault(digest, []).append(name)
        self._content: dict[str, str] = {}
        self._named: dict[str, list[str]] = {}
        self._any_name = False  # content decides, whatever a file is called
        self._by_name = frozenset(self._names_of.get(None, ()))  # sources whose name decides

    def choose(self, trained: Iterable[str], held_back: Iterable[str]) -> SourceChoice:
        """Choose the sources whose pairs may train: those among the training images, and none that is held back.

        Args:
            trained (Iterable[str]): Files of the images that train.
            held_back (Iterable[str]): Files of the images kept for validation and test.

        Returns:
            SourceChoice: If none of the images that train is a source, all that are not held back.
        """
        trained = dict.fromkeys(trained)
        held_back = [path for path in dict.fromkeys(held_back) if path not in trained]
        self._any_name = bool(trained) and not any(map(self._list_names, trained))
        self._digest_all([*trained, *held_back])
        known = {name for path in trained for name in self._list_same(path)}
        lost = {name for path in held_back for name in self._list_same(path)}
        undigested = frozenset(self._names_of.get(None, ()))
        elsewhere = known | lost  # the other file of that name is the source
        changed = tuple(path for path in trained if self._is_changed(path, elsewhere))
        by_name = not known and not lost and any(not undigested.intersection(self._list_names(p)) for p in changed)
        self._by_name = frozenset(self._digests) if by_name else undigested
        files_of = self._group_by_name(trained)
        roots = {root for files in files_of.values() for root in files}
        known |= files_of.keys()
        also_held_back = self._group_by_name(held_back)
        lost |= {name for name, files in also_held_back.items() if roots & files.keys()}
        return SourceChoice(
            kept=frozenset((known or set(self._digests)) - lost),
            held_back=frozenset(lost),
            known=bool(known),
            changed=() if undigested.issuperset(self._digests) else changed,
            by_name=by_name,
            ambiguous=next((tuple(files.values())[:2] for files in files_of.values() if len(files) > 1), ()),
        )

    def find(self, path: str) -> str | None:
        """Return the name of the source that a file is, None if it is none."""
        same = self._list_same(path)
        return same[0] if same else next((name for name in self._list_names(path) if name in self._by_name), None)

    def _list_names(self, path: str) -> list[str]:
        if path not in self._named:
            self._named[path] = [tail for tail in path_tails(path) if tail in self._digests]
        return self._named[path]

    def _is_changed(self, path: str, elsewhere: set[str]) -> bool:
        names = self._list_names(path)
        return bool(names) and not self._list_same(path) and elsewhere.isdisjoint(names)

    def _list_same(self, path: str) -> list[str]:
        """Return the sources whose content, and as a rule whose name, a file has."""
        names = None if self._any_name else self._list_names(path)
        if names is not None and all(self._digests[name] is None for name in names):
            return []
        same = self._names_of.get(self._digest(path), [])
        return same if names is None else [name for name in names if name in same]

    def _group_by_name(self, paths: Iterable[str]) -> dict[str, dict[tuple[str, ...], str]]:
        """Return for each source whose name decides the files that have it, by the folder it is relative to."""
        found: dict[str, dict[tuple[str, ...], str]] = {}
        for path in paths:
            name = next((name for name in self._list_names(path) if name in self._by_name), None)
            if name is not None:
                found.setdefault(name, {})[PurePath(path).parts[: -name.count("/") - 1]] = path
        return found

    def _digest_all(self, paths: Sequence[str]) -> None:
        wanted = [path for path in paths if self._any_name or self._list_names(path)]
        if self._names_of.keys() - {None}:
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(self._digest, dict.fromkeys(wanted)))

    def _digest(self, path: str) -> str:
        """Return the SHA-256 of a file, nothing if it cannot be read: whoever trains on it will say so."""
        if path not in self._content:
            try:
                self._content[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            except OSError:
                self._content[path] = ""
        return self._content[path]


def path_tails(path: str) -> Iterator[str]:
    """Yield a path, and what remains of it without its first folders, longest first, with forward slashes."""
    parts = PurePath(path).parts
    for start in range(len(parts)):
        yield "/".join(parts[start:])
