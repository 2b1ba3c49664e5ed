"""Keeps what pytest captures of a test's prints from growing without bound."""

import io
import os
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

LIMIT = 16 * 1024 * 1024
"""Bytes of each captured stream of one test that are kept."""


class BoundedFile(io.FileIO):
    """A raw file that takes `LIMIT` bytes and swallows the rest of what Python code writes.

    What other programs write to its descriptor is bounded by the workspace's limit on file sizes.
    """

    def write(self, data: "Any") -> int:
        """Write, or say that it was written."""
        size = memoryview(data).nbytes
        if self.tell() + size > LIMIT:
            return size
        return int(super().write(data) or 0)

    def read(self, size: "Optional[int]" = -1) -> "Any":
        """Return no more than the limit."""
        return super().read(LIMIT if size is None or size < 0 else size)

    def readall(self) -> "Any":
        """Return no more than the limit."""
        return self.read(LIMIT)


def bound() -> None:
    """Let pytest capture into bounded files from now on."""
    from _pytest import capture

    if hasattr(capture, "TemporaryFile"):
        capture.TemporaryFile = _temporary_file


def _temporary_file(buffering: int = 0) -> BoundedFile:
    with tempfile.TemporaryFile(buffering=buffering) as stream:
        return BoundedFile(os.dup(stream.fileno()), "r+b")
