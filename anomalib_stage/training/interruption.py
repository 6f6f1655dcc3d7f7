# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""What to do after a training was interrupted or failed: that depends on what there is to go on from."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError, StageError
from anomalib_stage.training.checkpoint_file import LAST, PREVIOUS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["explain_failure", "explain_interruption", "is_out_of_memory"]

GO_ON = "run the same command with --resume to go on"


@contextmanager
def explain_interruption(folder: Path, *, every: int) -> Iterator[None]:
    """Tell an interruption inside a ``with`` block, whatever sent it, what to do next.

    Args:
        folder (Path): Working folder of a training.
        every (int): Steps between checkpoints.

    Raises:
        KeyboardInterrupt: The same one, with the advice as its argument.
    """
    try:
        yield
    except KeyboardInterrupt as stopped:
        first = f"there is no checkpoint yet, the first comes after {every} steps: run the same command again"
        stopped.args = (GO_ON if has_checkpoint(folder) else first,)
        raise


def has_checkpoint(folder: Path) -> bool:
    """Tell whether there is something to go on from."""
    return any((folder / name).is_file() for name in (LAST, PREVIOUS))


@contextmanager
def explain_failure(folder: Path) -> Iterator[None]:
    """Say of an error after the last step that the training is not lost.

    Raises:
        StageError: The same error, with what to do.
        DataError: If a file could not be written, or memory is short.
    """
    kept = (
        f"the training is kept in {folder}: run the same command with --resume and --workdir {folder}, and with what "
        "cures this, such as another --out"
    )
    try:
        yield
    except StageError as error:
        msg = f"{error}; {kept}"
        raise (type(error)(msg) if has_checkpoint(folder) else error) from error
    except (OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        why = f"not enough memory ({error})" if is_out_of_memory(error) else f"it cannot be written ({error})"
        msg = f"the bundle could not be made, {why}; {kept if has_checkpoint(folder) else 'run the same command again'}"
        raise DataError(msg) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of Python, of torch or of a process that loads pictures says that memory is short."""
    text = str(error).lower()
    signs = ("out of memory", "can't allocate memory", "cannot allocate memory", "unable to allocate")
    return isinstance(error, MemoryError) or any(sign in text for sign in signs)
