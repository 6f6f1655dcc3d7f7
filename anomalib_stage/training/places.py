# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""Where a training writes: tried before the first step, and kept for one process while it runs."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NoReturn

from anomalib_stage.errors import BundleError, DataError, InputError
from anomalib_stage.files.atomic import PARTIAL
from anomalib_stage.files.locks import lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anomalib_stage.weights.bundle import StageBundle

__all__ = ["check_places", "hold_folder", "save_bundle"]

LOCK = ".lock"

_held: set[IO[bytes]] = set()


def _let_go() -> None:
    """Close locks in a forked process: one that outlives its parent would keep them."""
    while _held:
        _held.pop().close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


def check_places(out: Path, folder: Path) -> None:
    """Try that a bundle and a working folder can be written; nothing is left behind.

    Args:
        out (Path): File of the bundle; an existing one is not touched.
        folder (Path): Working folder.

    Raises:
        InputError: If ``out`` is no file, or ``folder`` no folder.
        DataError: If one of them cannot be written.
    """
    try:
        if (out.exists() or out.is_symlink()) and not out.is_file():
            what = "a folder" if out.is_dir() else "neither a file nor the place for one"
            example = out / "mine.safetensors" if out.is_dir() else "mine.safetensors"
            msg = f"--out {out} is {what}; give the file to write, such as {example}"
            raise InputError(msg)
        _try_writing(out.parent, out.name)
    except (OSError, ValueError) as error:
        _refuse(f"--out {out}", error)
    try:
        if folder.exists() and not folder.is_dir():
            msg = f"--workdir {folder} is a file; give a folder for checkpoints, logs and sample sheets"
            raise InputError(msg)
        _try_writing(folder, LOCK)
    except (OSError, ValueError) as error:
        _refuse(f"--workdir {folder}", error)


def _refuse(place: str, error: OSError | ValueError) -> NoReturn:
    if isinstance(error, InputError):
        raise error
    why = error.strerror if isinstance(error, OSError) else error
    msg = f"{place}: cannot be written ({why or error}); choose a folder with space that you may write to"
    raise DataError(msg) from error


def _try_writing(folder: Path, name: str) -> None:
    """Make a folder and write a file in it, see that another could have the name, and take away what was made."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    room = _find_room(folder / name)
    try:
        room.mkdir(parents=True, exist_ok=True)
        (room / LOCK).write_bytes(bytes(1))
        with contextlib.suppress(FileNotFoundError):
            (folder / name).lstat()
    finally:
        shutil.rmtree(room, ignore_errors=True)
        for one in missing:
            with contextlib.suppress(OSError):  # somebody else has put something there
                one.rmdir()


def _find_room(file: Path) -> Path:
    """Return a hidden folder beside a file that is its alone, so that what a dead process left there can go."""
    return file.with_name(f".{hashlib.sha256(os.fsencode(file.name)).hexdigest()[:16]}{PARTIAL}")


def save_bundle(bundle: StageBundle, out: Path) -> Path:
    """Save a bundle; what a killed process left half written of an earlier one is cleared away.

    Raises:
        BundleError: If it cannot be written.
        OSError: If it cannot get its name.
    """
    room = _find_room(out)
    shutil.rmtree(room, ignore_errors=True)
    try:
        bundle.save(room / out.name).replace(out)
    except BundleError as error:
        msg = str(error).replace(str(room), str(out.parent))
        raise BundleError(msg) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return out


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Keep a working folder for one training inside a ``with`` block, and clear away what dead ones left half written.

    Raises:
        InputError: If another process trains in it.
        DataError: If it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / LOCK).open("ab")
    except OSError as error:
        _refuse(f"--workdir {folder}", error)
    with stream:
        if not lock(stream):
            msg = f"--workdir {folder}: another training is at work there; wait for it, or choose another --workdir"
            raise InputError(msg)
        _held.add(stream)
        for left in [*folder.rglob(f".*{PARTIAL}")]:
            with contextlib.suppress(OSError):
                left.unlink() if left.is_file() else shutil.rmtree(left, ignore_errors=True)
        try:
            yield
        finally:
            _held.discard(stream)
