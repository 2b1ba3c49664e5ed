"""What every command does around its work: signals become exceptions, and errors become a sentence and an exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from workflows.failures import Failure, Interrupted, explained
from workflows.runs import state_folder
from workflows.wording import printable

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(text: str) -> None:
    """Write a line to standard error, whatever it holds."""
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except (BrokenPipeError, UnicodeEncodeError):
        # Nobody reads it, or the terminal knows no such letters: neither may change how the command ends.
        print(ascii(text), file=sys.stderr) if not sys.stderr.closed and sys.stderr.isatty() else None


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the interpreter's signature
    # A second signal may not interrupt the cleaning up that the first one begins.
    for kind in STOPPING:
        signal.signal(kind, signal.SIG_IGN)
    raise Interrupted(number)


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Raise `Interrupted` in the main thread for the first SIGINT, SIGTERM or SIGHUP; later ones are ignored."""
    before = {kind: signal.getsignal(kind) for kind in STOPPING}
    for kind, handler in before.items():
        # Who started us with a signal ignored (nohup, a shell's background job) meant it.
        if handler is not signal.SIG_IGN:
            signal.signal(kind, _interrupt)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def write_log(error: BaseException, folder: Path | None) -> str:
    """Write the traceback where a person can find it; return a sentence that says where."""
    try:
        folder = folder or state_folder()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "crash.log"
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return "set GREENDIFF_DEBUG=1 to see where"
    return f"this is a mistake in greendiff; where it happened is in {path}"


def failure_of(error: BaseException, folder: Path | None = None) -> Failure:
    """Return how the command ends; the traceback goes to a log, and on to the user only with GREENDIFF_DEBUG."""
    if os.environ.get("GREENDIFF_DEBUG"):
        traceback.print_exception(error)
    failure = explained(error)
    if not failure.expected:
        return Failure(failure.code, f"{failure.message}\n{write_log(error, folder)}", expected=False)
    return failure


def guarded(work: Callable[[], int]) -> int:
    """Do a command's work; errors become a sentence on standard error and an exit code."""
    try:
        with signals_as_exceptions():
            return work()
    except BrokenPipeError:
        raise
    except BaseException as error:
        # No traceback ever reaches a user.
        if isinstance(error, SystemExit):
            raise
        failure = failure_of(error)
        say(f"greendiff: {failure.message}")
        return failure.code
