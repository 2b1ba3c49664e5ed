"""Ends calls when the time of whoever asks is over: a model that is slow to answer may not outlive its budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from agents.models.errors import CallCancelled, CallOverdue, ModelError
from agents.models.protocol import ChatModel, ChatReply, ChatRequest

_LOOK_SECONDS = 0.05
"""How often it is looked whether the caller has stopped the call."""


class Deadlined:
    """A `ChatModel` that guards another one; safe for threads."""

    def __init__(self, model: ChatModel, seconds: float, overdue: Callable[[str], ModelError] = CallOverdue) -> None:
        """Answer through `model` for `seconds` from now; `overdue` makes what is raised after that."""
        self._model = model
        self._seconds = seconds
        self._overdue = overdue
        self._end = time.monotonic() + seconds

    @property
    def name(self) -> str:
        """The guarded model's name."""
        return self._model.name

    def complete(
        self, request: ChatRequest, *, stop: threading.Event | None = None, on_text: Callable[[str], None] | None = None
    ) -> ChatReply:
        """Answer the request; see `ChatModel`.

        Raises:
            CallOverdue: the time is over, and the call was cancelled or not made (or what `overdue` makes).

        """
        cancel, answered = threading.Event(), threading.Event()
        watch = threading.Thread(target=self._watch, args=(cancel, answered, stop), daemon=True, name="deadline")
        watch.start()
        try:
            return self._model.complete(request, stop=cancel, on_text=on_text)
        except CallCancelled as error:
            if stop is not None and stop.is_set():
                raise
            raise self._overdue(f"the time of {self._seconds:.0f} s was over before the model had answered") from error
        finally:
            answered.set()
            watch.join()

    def _watch(self, cancel: threading.Event, answered: threading.Event, stop: threading.Event | None) -> None:
        while not (stop is not None and stop.is_set()) and time.monotonic() < self._end:
            if answered.wait(min(_LOOK_SECONDS, max(0.0, self._end - time.monotonic()))):
                return
        cancel.set()
