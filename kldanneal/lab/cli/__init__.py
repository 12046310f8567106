"""The command ``kldanneal``: ``compare`` trains schedules side by side, ``schedule`` shows some.

parser       the options
folder       the folder of a comparison: claimed, and taken up again
signals      Ctrl-C at any moment
compare, schedule
"""

import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import kldanneal
from kldanneal.lab.cli.parser import parse
from kldanneal.lab.terminal import any_encoding, give_up_stdout, printable

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 2 for anything the user can mend, 130 when interrupted.

    It is 141, without a message, if the reader of its output closes it, as ``| head`` does.
    """
    with any_encoding(), warnings.catch_warnings():
        warnings.showwarning = partial(_show, warnings.showwarning)
        try:
            try:
                name, arguments = parse(argv)
                if name == "compare":
                    from kldanneal.lab.cli.compare import compare as command
                else:
                    from kldanneal.lab.cli.schedule import schedule as command
                return command(arguments)
            finally:
                if sys.stdout and not sys.stdout.closed:
                    sys.stdout.flush()  # here, for what Python cannot write as it ends it reports
        except BrokenPipeError:
            give_up_stdout()
            return 141  # as of a program that SIGPIPE ends
        except (ValueError, TypeError, OSError, FloatingPointError, MemoryError, RuntimeError) as error:
            reason = " ".join(printable(" ".join(str(error).split())).split()) or type(error).__name__
            with suppress(OSError, ValueError):
                print(f"kldanneal: error: {reason}", file=sys.stderr)
            if isinstance(error, OSError):  # perhaps of standard output itself
                _flush_or_give_up()
            return 2


def _flush_or_give_up() -> None:
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        give_up_stdout()


def _show(
    show: Callable, message: Warning | str, category: type[Warning], filename: str, *where: Any, **more: Any
) -> None:
    """A warning of this package is one line, without the place in the code; others are shown as ever."""
    if Path(filename).is_relative_to(Path(kldanneal.__file__).parent):
        print(f"kldanneal: warning: {printable(' '.join(str(message).split()))}", file=sys.stderr)
    else:
        show(message, category, filename, *where, **more)
