"""The one tool-using loop: a conversation in which a model calls typed tools until it is done or a bound is reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Literal

from agents.models.errors import ModelError
from agents.models.prompts import Fence
from agents.models.protocol import ChatModel, Message, Usage
from agents.tools import Toolbox

Stopped = Literal[
    "done", "given up", "steps", "tokens", "seconds", "repetition", "no progress", "malformed", "interrupted", "cap",
    "context", "model",
]  # fmt: skip
"""Why a loop ended: the model says it is done (and the check agrees), or says so and the check does not agree; a bound
on steps, tokens or seconds; the same calls again and again; nothing new; replies that cannot be read; `stop` was set;
the ledger's cap; a prompt that does not fit; the endpoint failed."""
Calling = Literal["native", "text"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a loop may do; whatever is reached first ends it."""

    steps: int = 40
    """Replies of the model."""
    tokens: int = 400_000
    """Of all prompts and replies together; a call that might go beyond is still made, the next one is not."""
    seconds: float = 900.0
    reply_tokens: int = 4_096
    malformed: int = 3
    """Replies in a row that cannot be read."""
    repeats: int = 3
    """Steps in a row that do only what was done before on the same files."""
    idle: int = 15
    """Steps in a row without a change of the files or a test result that was not seen before."""
    objections: int = 2
    """How often a model that says it is done is told what is missing."""
    context: int | None = None
    """The model's context in tokens where it is known: old results are shortened before it is full."""


@dataclass(frozen=True, slots=True)
class LoopEvent:
    """One piece of progress."""

    kind: Literal["asking", "calling", "observed", "refused", "objected", "stopped"]
    message: str
    """One line for a person."""
    step: int
    tokens: int


OnLoopEvent = Callable[[LoopEvent], None]


@dataclass(frozen=True, slots=True)
class LoopResult:
    """How a loop ended; the files are in the toolbox."""

    stopped: Stopped
    reason: str
    """One sentence."""
    said: str
    """The model's last words; untrusted."""
    steps: int
    usage: Usage
    messages: tuple[Message, ...]
    """The conversation."""
    error: ModelError | None = None
    """What the model's client raised, where that ended it."""


def run_loop(
    model: ChatModel,
    messages: Sequence[Message],
    toolbox: Toolbox,
    bounds: Bounds = Bounds(),
    *,
    tools: Calling = "native",
    check: Callable[[], str | None] | None = None,
    fence: Fence | None = None,
    purpose: str = "",
    temperature: float | None = None,
    seed: int | None = None,
    stop: Event | None = None,
    on_event: OnLoopEvent | None = None,
) -> LoopResult:
    """Let the model call the toolbox's tools until it says that it is done.

    `messages` begin the conversation, stable parts first; how tools are called is added to the first one where calls
    are text. `check` is asked when the model says that it is done, and returns what is still missing, or None.

    Raises:
        SandboxBroken: the toolbox's workspace has gone.

    """
    raise NotImplementedError
