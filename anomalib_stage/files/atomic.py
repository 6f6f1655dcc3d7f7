# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Writing files so that there is never half a one: under a hidden name beside it, then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from anomalib_stage.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["PARTIAL", "replace_whole", "write_chunks", "write_file"]

PARTIAL = ".part"
"""Ending of the hidden names that files have while they are written."""


@contextmanager
def replace_whole(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a name to write a file or a folder under; at the end of the ``with`` block it becomes ``path``.

    Args:
        path (Path): File or folder; missing parent folders are made.
        durable (bool): Return when the file is on the disk, whatever happens to the machine.

    Yields:
        Path: A hidden name beside it that nobody else has: another process may write the same at the same time.

    Raises:
        OSError: If it cannot be written; as after any other error and after an interruption, nothing is left behind.
    """
    partial = path.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        if durable:
            with partial.open("r+b") as stream:
                os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            partial.unlink(missing_ok=True)
        raise


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        DataError: If it cannot be written; nothing is left behind.
    """
    write_chunks(path, (data,))


def write_chunks(path: Path, chunks: Iterable[bytes], *, durable: bool = False) -> None:
    """Write a file that need not fit into memory; see :func:`write_file`.

    Args:
        path (Path): File; missing parent folders are made.
        chunks (Iterable[bytes]): Its content.
        durable (bool): Return when the content is on the disk, whatever happens to the machine.

    Raises:
        DataError: If it cannot be written; nothing is left behind.
    """
    try:
        with replace_whole(path, durable=durable) as partial, partial.open("wb") as stream:
            stream.writelines(chunks)
    except OSError as error:
        msg = f"{path}: cannot be written ({error.strerror or error}); choose a folder with space that you may write to"
        raise DataError(msg) from error
