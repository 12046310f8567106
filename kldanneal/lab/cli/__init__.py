"""The command ``kldanneal``: ``compare`` trains schedules side by side, ``schedule`` shows some.

parser       the options
folder       the folder of a comparison: claimed, and taken up again
signals      Ctrl-C at any moment
compare, schedule
"""

import os
import sys
import warnings

from kldanneal.lab.cli.parser import parse
from kldanneal.lab.terminal import any_encoding, printable

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 2 for anything the user can mend, 130 when interrupted.

    It is 141, without a message, if the reader of its output closes it, as ``| head`` does.
    """
    with any_encoding(), warnings.catch_warnings():
        warnings.showwarning = _show
        try:
            try:
                name, arguments = parse(argv)
                if name == "compare":
                    from kldanneal.lab.cli.compare import compare as command
                else:
                    from kldanneal.lab.cli.schedule import schedule as command
                return command(arguments)
            finally:
                if sys.stdout:
                    sys.stdout.flush()  # here, for what Python cannot write as it ends it reports
        except BrokenPipeError:
            _give_up_stdout()
            return 141  # as of a program that SIGPIPE ends
        except (ValueError, TypeError, OSError, FloatingPointError, MemoryError, RuntimeError) as error:
            reason = " ".join(printable(" ".join(str(error).split())).split()) or type(error).__name__
            print(f"kldanneal: error: {reason}", file=sys.stderr)
            _flushed()
            return 2


def _show(message: Warning | str, *_: object, **__: object) -> None:
    """A warning is one line, without the place in the code."""
    print(f"kldanneal: warning: {printable(' '.join(str(message).split()))}", file=sys.stderr)


def _flushed() -> None:
    try:
        if sys.stdout:
            sys.stdout.flush()
    except (OSError, ValueError):
        _give_up_stdout()


def _give_up_stdout() -> None:
    """What is still to be written goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
