"""Fail where a document points at a file that is not there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def main() -> int:
    """Print the links that lead nowhere and return how many there are."""
    top = Path(__file__).resolve().parent.parent
    documents = [*top.glob("*.md"), *(top / "docs").rglob("*.md"), *(top / "benchmarks").glob("*.md")]
    broken = [
        f"{document.relative_to(top)}: {target}"
        for document in documents
        for target in LINK.findall(document.read_text("utf-8"))
        if not (document.parent / target).exists()
    ]
    print("\n".join(broken) or f"{len(documents)} documents, every link leads somewhere")
    return len(broken)


if __name__ == "__main__":
    sys.exit(main())
