# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Change bytes and JSON at random, from a seed: each change is one that a hostile or damaged file could have."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    10**8,
    2**31,
    2**63,
    -(2**63),
    10**30,
    0.5,
    -0.0,
    1e-300,
    1e308,
    -1e308,
    math.nan,
    math.inf,
)
TEXTS = ("", "good", "epsilon", "sample", "../up", "/etc/passwd", "\x1b[31mred", "a\nb", "\u2028", "\ud800", "é" * 300)
OTHERS = (None, True, False, [], {}, [[]], [0], [1] * 5000, {"a": {"b": 1}}, ["a", 1, None])
KEYS = ("", "state_dict", "name", "\x1b[2J", "a.b", "condition.", "x" * 5000)


def make_extreme(rng: random.Random) -> Any:
    """Return a value at a limit of its type, of any type."""
    value = rng.choice(rng.choice((NUMBERS, NUMBERS, TEXTS, OTHERS)))
    if rng.random() < 0.03:
        value = "long " * 40_000
    if rng.random() < 0.03:
        for _ in range(rng.choice((40, 400))):
            value = [value]
    return copy.deepcopy(value)


def mutate_bytes(raw: bytes, rng: random.Random) -> bytes:
    """Return a file with bits flipped, or a span overwritten, cut out, doubled, moved, or everything behind it lost."""
    out = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        # half of the changes go to the beginning, where headers are
        start = rng.randrange(min(len(out), 4096) if rng.random() < 0.5 else len(out)) if out else 0
        span = slice(start, start + rng.choice((1, 1, 2, 8, 64, 1000)))
        what = rng.randrange(7)
        if what <= 1 and out:
            out[start] ^= 1 << rng.randrange(8)
        elif what == 2:
            out[span] = rng.randbytes(len(out[span]))
        elif what == 3:
            del out[span]
        elif what == 4:
            out[start:start] = out[span]
        elif what == 5:
            out[span] = bytes(len(out[span]))
        elif what == 6 and rng.random() < 0.3:
            del out[start:]
    return bytes(out)


def mutate_json(content: Any, rng: random.Random, *, keep: Callable[[Any], bool] = lambda _: True) -> Any:
    """Return JSON with some values changed.

    Args:
        content (Any): Nested lists and dictionaries; not changed itself.
        rng (random.Random): Stream that every draw comes from.
        keep (Callable[[Any], bool]): Which of the top level's keys may be changed.
    """
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = [place for place in _list_places(content) if keep(place[2])]
        if places:
            owner, key, _ = rng.choice(places)
            _change(owner, key, rng)
    return content


def _list_places(content: Any) -> list[tuple[Any, Any, Any]]:
    """Return every container and key in it, with the key of the top level that it is under."""
    found: list[tuple[Any, Any, Any]] = []
    waiting = [(content, None)]
    while waiting:
        owner, top = waiting.pop()
        for key in list(owner) if isinstance(owner, dict) else range(len(owner)):
            found.append((owner, key, key if top is None else top))
            if isinstance(owner[key], dict | list):
                waiting.append((owner[key], key if top is None else top))
    return found


def _change(owner: Any, key: Any, rng: random.Random) -> None:
    value, what = owner[key], rng.randrange(9)
    if what <= 2:
        owner[key] = make_extreme(rng)
    elif what == 3 and isinstance(value, int | float):
        owner[key] = value * rng.choice((-1, 2, 0.5, 10, 1000)) + rng.choice((0, 1, -1))
    elif what == 4:
        del owner[key]
    elif what == 5:
        owner[key] = rng.choice(([value], {"a": value}, str(value), [value, value]))
    elif what == 6 and isinstance(owner, dict):
        owner[rng.choice(KEYS)] = owner.pop(key)
    elif what == 7 and isinstance(owner, dict):
        owner[key] = copy.deepcopy(owner[rng.choice(list(owner))])
    elif isinstance(owner, list):
        owner.insert(key, copy.deepcopy(value))
