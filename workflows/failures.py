"""Every error that can end a command as one sentence and an exit code."""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import dataclass

from agents.errors import AgentError
from agents.models.errors import (
    CapReached,
    CassetteError,
    CassetteMismatch,
    LedgerError,
    LocalModelError,
    ModelError,
    ModelSettingsError,
)
from sandbox.errors import EnvironmentFailed, PatchError, SandboxError
from workflows.errors import WorkflowError
from workflows.runs import Status

INTERNAL = 70
FULL = {errno.ENOSPC, errno.EDQUOT}
STATUS: dict[int, Status] = {0: "verified", 1: "no-diff", 2: "usage", 3: "environment", 4: "budget", 5: "asked",
                             130: "interrupted", 143: "interrupted", 129: "interrupted"}  # fmt: skip


OF_MODELS: dict[type[ModelError], int] = {
    ModelSettingsError: 2, CassetteMismatch: 1, CassetteError: 2, CapReached: 4, LedgerError: 3, LocalModelError: 3,
}  # fmt: skip
"""Exit codes of the model client's errors, the first that fits; an endpoint that does not serve ends with 1."""


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to stop."""

    def __init__(self, number: int) -> None:
        """Take the signal's number."""
        super().__init__()
        self.code = 128 + number


@dataclass(frozen=True, slots=True)
class Failure:
    """How a command ends that could not do what it was asked."""

    code: int
    message: str
    expected: bool = True
    """False for what can only be a mistake in greendiff itself."""

    @property
    def status(self) -> Status:
        """The run's status after it."""
        return STATUS.get(self.code, "failed")


def explained(error: BaseException) -> Failure:
    """Return the exit code and the sentence for an error."""
    match error:
        case Interrupted():
            return Failure(error.code, "interrupted" if error.code == 130 else "stopped by a signal")
        case KeyboardInterrupt():
            return Failure(130, "interrupted")
        case WorkflowError():
            return Failure(error.code, str(error))
        case EnvironmentFailed():
            tail = "\n".join(error.output.strip().splitlines()[-15:])
            return Failure(3, f"{error}\n{tail}".strip())
        case PatchError():
            return Failure(1, str(error))
        case SandboxError():
            return Failure(3, str(error))
        case ModelError():
            return Failure(next((code for kind, code in OF_MODELS.items() if isinstance(error, kind)), 1), str(error))
        case AgentError():
            return Failure(INTERNAL, str(error), expected=False)
        case OSError() if error.errno in FULL:
            where = f" ({error.filename})" if error.filename else ""
            return Failure(3, f"the disk is full{where}; nothing is lost: make room and go on")
        case sqlite3.OperationalError() if "full" in str(error) or "disk I/O" in str(error):
            return Failure(3, "the disk with the state folder is full; nothing is lost: make room and go on")
        case PermissionError() if error.filename:
            return Failure(3, f"{error.filename} cannot be used: {error.strerror}")
        case MemoryError():
            return Failure(3, "this machine has no memory left")
        case _:
            return Failure(INTERNAL, f"{type(error).__name__}: {error}", expected=False)
