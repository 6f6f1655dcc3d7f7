# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What a command shows of its progress."""

from __future__ import annotations

import os
import sys

__all__ = ["Progress", "is_first"]


def is_first() -> bool:
    """Return whether this is the first process of a run on this machine."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


class Progress:
    """A rich progress bar on stderr where that is a terminal; otherwise nothing."""

    def __init__(self, what: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress as Bar

        self.console = Console(stderr=True)
        self.bar = Bar(console=self.console, disable=not (sys.stderr.isatty() and is_first()))
        self.task = self.bar.add_task(what, total=max(total, 1))

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Show how much is done."""
        self.bar.update(self.task, completed=done, total=total)

    def say(self, what: str, done: int, total: int) -> None:
        """Show what is done, too."""
        self.bar.update(self.task, description=what)
        self(done, total)
