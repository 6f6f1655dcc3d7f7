# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Try many changed files, and count what became of them.

A refusal is a :class:`BundleError` whose message can be shown; what is accepted must paint finite pixels. Anything else
is a fault: another error, more than 10 s, pixels that are not finite.
"""

from __future__ import annotations

import random
import resource
import signal
import time
import traceback
import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anomalib_stage.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Attack = Callable[[random.Random], None]
    """Writes a changed file and uses it."""

SLOW = 10.0
"""Seconds that an attack may take."""

LONGEST = 2000
"""Bytes that a message may have."""


class NotFiniteError(AssertionError):
    """A picture with pixels that are not finite."""


class TooSlowError(BaseException):
    """An attack was stopped; no ``except Exception`` catches it."""


@dataclass
class Tally:
    """What became of the files of one category.

    Attributes:
        counts: Number of files ``refused``, ``accepted``, that ended ``raw``, ``slow`` or ``not finite``, and of
            refusals whose ``message`` is too long or has control characters.
        faults: Seed and trace of the first faults.
        memory: Largest size of the process while they were tried, in MB.
        slowest: Longest time that one took, in seconds.
    """

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    memory: float = 0.0
    slowest: float = 0.0

    def note(self, what: str, seed: int, trace: str = "") -> None:
        """Count a file."""
        self.counts[what] += 1
        if trace and len(self.faults) < 200:
            self.faults.append(f"{what}, seed {seed}: {trace}")

    def format(self, name: str) -> str:
        """Return a row of a table."""
        total = sum(self.counts.values()) - self.counts["message"]
        rest = " | ".join(
            str(self.counts[what]) for what in ("refused", "accepted", "raw", "slow", "not finite", "message")
        )
        return f"| {name} | {total} | {rest} | {self.slowest:.1f} | {self.memory:.0f} |"


HEADER = (
    "| category | inputs | refused | accepted | raw errors | over 10 s | NaN pixels | messages | slowest s | peak MB |"
)


@contextmanager
def limit_time(seconds: float) -> Iterator[None]:
    """Stop what takes longer; the timer that was running goes on afterwards."""

    def stop(*_: object) -> None:
        raise TooSlowError

    handler, begun = signal.signal(signal.SIGALRM, stop), time.monotonic()
    before, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if before:
            signal.setitimer(signal.ITIMER_REAL, max(before - (time.monotonic() - begun), 0.01))


def run_campaign(attacks: Mapping[str, Attack], *, count: int, seed: int = 0) -> dict[str, Tally]:
    """Run each kind of attack ``count`` times, with seeds from ``seed`` on."""
    return {name: run_attack(attack, name=name, count=count, seed=seed) for name, attack in attacks.items()}


def run_attack(attack: Attack, *, name: str, count: int, seed: int = 0) -> Tally:
    """Run one kind of attack."""
    tally = Tally()
    for number in range(seed, seed + count):
        begun = time.monotonic()
        what, trace = _try(attack, random.Random(f"{name} {number}"))
        took = time.monotonic() - begun
        tally.slowest = max(tally.slowest, took)
        if what == "refused" and trace:
            tally.note("message", number, trace)
        if what in {"refused", "accepted"}:
            what, trace = (what, "") if took <= SLOW else ("slow", f"{took:.1f} s")
        tally.note(what, number, trace)
    tally.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return tally


def _try(attack: Attack, rng: random.Random) -> tuple[str, str]:
    """Return what becomes of a file, and what is wrong with that."""
    try:
        with warnings.catch_warnings(), limit_time(2 * SLOW):
            warnings.simplefilter("ignore")
            attack(rng)
    except BundleError as error:
        message = str(error)
        plain = len(message.encode()) <= LONGEST and message.replace("\n", "").isprintable()
        return "refused", "" if plain else repr(message)[:300]
    except NotFiniteError as error:
        return "not finite", str(error)
    except TooSlowError:
        return "slow", _shorten_trace()
    except Exception:
        return "raw", _shorten_trace()
    return "accepted", ""


def _shorten_trace() -> str:
    return "".join(traceback.format_exc(limit=-4))[-1500:]
