"""Ends tests that compute for too long from within, so that the rest runs on and it is known where they were."""

import signal
import threading

import pytest

from . import supervise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Generator

AGAIN = 0.05
"""Seconds of processor time between further interruptions, for a test that swallows the first."""
LATER_SHARES = (0.4, 0.1)
"""Of the first limit: what the second test that hangs gets, and every further one. They seldom come alone."""
LEAST_SECONDS = 0.1


class Hung(BaseException):
    """Raised in a test that computed for longer than it may; no `except Exception` catches it."""


class Hangs:
    """A pytest plugin that bounds the processor time of each phase of a test.

    A test may take `HANGING_RATIO` times what the longest one took that came to an end, and never less than
    `seconds`, or a share of that once others have hung. What it cannot interrupt, a long call into C for instance,
    is left to the process outside.
    """

    def __init__(self, seconds: float) -> None:
        """Take the least time after which a test counts as hanging, in seconds of processor time."""
        self._seconds = seconds
        self._longest = 0.0
        self._count = 0
        self._armed = False

    def limit(self) -> float:
        """Return what the next test may take."""
        share = 1.0 if not self._count else LATER_SHARES[min(self._count, len(LATER_SHARES)) - 1]
        return max(LEAST_SECONDS, self._seconds * share, supervise.HANGING_RATIO * self._longest)

    def words(self, limit: float) -> str:
        """Return what is said of a test that was ended."""
        after = ", after another test had hung" if self._count > 1 else ""
        return "did not end within {:.2g} s of computing{}".format(limit, after)

    def hung(self) -> str:
        """Note that a test was ended, and return what is to be said of it."""
        limit = self.limit()
        self._count += 1
        return self.words(limit)

    def ended(self, seconds: float) -> None:
        """Note what a test took that came to an end by itself."""
        self._longest = max(self._longest, seconds)

    def _interrupt(self, *_: object) -> None:
        if self._armed:
            raise Hung

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> "Generator[None, Any, None]":
        yield from self._bounded()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> "Generator[None, Any, None]":
        yield from self._bounded()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> "Generator[None, Any, None]":
        yield from self._bounded()

    def _bounded(self) -> "Generator[None, Any, None]":
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = signal.signal(signal.SIGPROF, self._interrupt)
        self._armed = True
        signal.setitimer(signal.ITIMER_PROF, self.limit(), AGAIN)
        try:
            yield
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, former if former is not None else signal.SIG_DFL)
