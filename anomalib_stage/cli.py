# SPDX-FileCopyrightText: 2026 The anomalib-stage authors
# SPDX-License-Identifier: Apache-2.0
"""The ``anomalib-stage`` command.

Results go to stdout, progress and messages to stderr. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted,
143 terminated. torch is imported when a command runs, not for ``--help``.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from anomalib_stage._version import __version__
from anomalib_stage.deprecated.arguments import OldNameWarning
from anomalib_stage.errors import StageError, Terminated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["COMMANDS", "load_command", "main"]

logger = logging.getLogger(__name__)

COMMANDS = {
    "pregenerate": "paint",
    "verify": "paint",
    "preview": "paint",
    "fit": "learn",
    "fit-latent": "learn",
    "convert": "learn",
    "store-base": "learn",
    "benchmark": "measure",
    "quality": "measure",
    "benchmark-speed": "measure",
    "inspect": "help",
}
"""Commands, and the folder of ``commands`` that has the module and in it the function of that name."""

INTERRUPTED = {
    "benchmark": "run the same command again to go on",
    "fit": "nothing was written, run the same command again",
    "fit-latent": "nothing was written, run the same command again",
    "pregenerate": "the pairs finished so far are kept, run the same command again to go on",
}
"""What to do after Ctrl-C, unless the command itself says it."""


def load_command(name: str) -> Callable[..., Iterator[str]]:
    """Return the function of a command, which imports its settings and nothing heavy."""
    function = name.replace("-", "_")
    command: Callable[..., Iterator[str]] = getattr(
        import_module(f"anomalib_stage.commands.{COMMANDS[name]}.{function}"), function
    )
    return command


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM interrupt like Ctrl-C, so that everything is put away."""

    def stop(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _old_names_said() -> Iterator[None]:
    """Say old names that were used in a line of their own, whatever Python is told to do with such warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", OldNameWarning)
        shown = warnings.showwarning

        def say(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:  # noqa: ANN401
            if issubclass(category, OldNameWarning):
                logger.warning("%s", message)
            else:
                shown(message, category, *rest, **more)

        warnings.showwarning = say
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv (Sequence[str] | None): Arguments without the program's name; None for the process's own.

    Returns:
        int: Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 143 terminated.
    """
    from jsonargparse import CLI

    from anomalib_stage.commands.parser import PROGRAM, Parser, dashed, renamed

    arguments = dashed(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")
    first = os.environ.get("LOCAL_RANK", "0") == "0"  # of several processes on a machine
    logging.getLogger("anomalib_stage").setLevel(logging.INFO if first else logging.ERROR)
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # it reports unreadable files in its own words; so do we
    try:
        with _terminable(), _old_names_said():
            arguments = renamed(arguments)
            named = [name for name in arguments[:1] if name in COMMANDS]  # the others need not be imported
            lines = CLI(
                {name: load_command(name) for name in named or COMMANDS},
                as_positional=False,
                args=arguments,
                parser_class=Parser,
                prog=PROGRAM,
                version=__version__,
            )
            for line in lines or ():
                print(line)
    except StageError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stopped:
        hint = next(iter(stopped.args), INTERRUPTED.get(arguments[0], "nothing was written"))
        print(f"{PROGRAM}: interrupted; {hint}", file=sys.stderr)
        return 143 if isinstance(stopped, Terminated) else 130
    except SystemExit as stop:  # argparse: 0 for --help, 2 for wrong usage
        return stop.code if isinstance(stop.code, int) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
