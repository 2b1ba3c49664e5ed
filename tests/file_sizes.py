"""Fail where a source file has grown past what one person reads in one go."""

from __future__ import annotations

import sys
from pathlib import Path

LIMIT = 420
"""Lines; «about 400»."""


def main() -> int:
    """Print the files that are too long and return how many there are."""
    top = Path(__file__).resolve().parent.parent
    lengths = {
        path.relative_to(top): len(path.read_text("utf-8").splitlines())
        for package in ("agents", "sandbox", "workflows")
        for path in sorted((top / package).rglob("*.py"))
    }
    long = {path: length for path, length in lengths.items() if length > LIMIT}
    for path, length in long.items():
        print(f"{path}: {length} lines, more than {LIMIT}: split it by what it is for")
    return len(long)


if __name__ == "__main__":
    sys.exit(main())
