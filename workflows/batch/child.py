"""The command in a process that a batch has started, and that ends with it, also when the batch is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def main(argv: Sequence[str]) -> int:
    """Run `greendiff` with all but the first argument, which is the process id of who started this."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(argv[0]):
        return 143  # who started this was killed before the line above
    from workflows.cli import main as command

    return command(argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
