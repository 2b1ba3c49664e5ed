"""Errors of the sandbox package.

SandboxError
├── SandboxUnavailable      no backend, or the named one cannot be used here
├── SandboxBroken           the sandbox went away or stopped answering while in use
├── EnvironmentFailed       the repository's dependencies could not be installed
├── UnsafePath              a path or file kind that must not cross the boundary
├── RepositoryError         not a Git repository, or one that cannot be read
├── PatchError              a patch that does not apply
└── TestsUnrunnable         the repository's tests cannot be started or collected at all

A non-zero exit code of a command is a value (`Completed`), never an exception.
"""

from __future__ import annotations


class SandboxError(Exception):
    """Root of all errors raised by this package; the message is one sentence fit for a person."""


class SandboxUnavailable(SandboxError):
    """No backend can be used here, or not the one that was asked for."""


class SandboxBroken(SandboxError):
    """The sandbox went away, or stopped answering, while it was in use."""


class EnvironmentFailed(SandboxError):
    """The repository's environment could not be built; carries the end of the installer's output."""

    def __init__(self, message: str, output: str = "") -> None:
        """Keep the installer's output beside the message."""
        super().__init__(message)
        self.output = output


class UnsafePath(SandboxError):
    """A path leaves the tree, or names a link, a device or another kind of file that is refused."""


class RepositoryError(SandboxError):
    """There is no Git repository here, or it cannot be read."""


class PatchError(SandboxError):
    """A patch does not apply to the tree that it was given."""


class TestsUnrunnable(SandboxError):
    """No test could be started or collected."""

    __test__ = False
