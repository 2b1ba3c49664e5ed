"""Work in a thread whose result, or error, is fetched later; such threads never keep the process alive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Task(Generic[T]):
    """A function running in a daemon thread."""

    def __init__(self, work: Callable[[], T], name: str) -> None:
        """Start at once; `name` is the thread's."""
        self._done = threading.Event()
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], T]) -> None:
        try:
            self._value.append(work())
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._error = error
        finally:
            self._done.set()

    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._done.is_set()

    def result(self, timeout: float | None = None) -> T:
        """Wait for the end; return what it returned or raise what it raised.

        Raises:
            TimeoutError: it is still running after `timeout` seconds.

        """
        if not self._done.wait(timeout):
            raise TimeoutError(self._thread.name)
        if self._error is not None:
            raise self._error
        return self._value[0]

    def settle(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for the end, whatever it is."""
        self._done.wait(timeout)
