# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Locks on open files: they end with the process that holds them, however it ends.

On a system or a file system without such locks every lock is granted. Nothing is lost then: files are renamed into
place, and lines that two processes wrote for one pair are the same; only their work is done twice.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from anomalib_stage.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["lock", "locked"]


def lock(stream: IO[bytes], *, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file.

    Args:
        stream (IO[bytes]): File opened for reading and writing.
        shared (bool): Others may hold a shared lock at the same time.
        wait (bool): Wait until the lock is free.

    Returns:
        bool: False if another process holds a lock that forbids it.
    """
    if sys.platform != "win32":
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(stream, how if wait else how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
    return True


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = False) -> Iterator[bool]:
    """Lock a file inside a ``with`` block; see :func:`lock`.

    Yields:
        bool: False if another process holds a lock that forbids it.

    Raises:
        DataError: If the file cannot be opened for writing.
    """
    try:
        stream = path.open("r+b")
    except OSError as error:
        msg = f"{path}: cannot be opened for writing ({error.strerror or error}); allow writing to its folder"
        raise DataError(msg) from error
    with stream:
        yield lock(stream, shared=shared, wait=wait)
