"""Say how many branches of each package the tests reached, and fail where it is less than nine in ten."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from pathlib import Path

import coverage

PACKAGES = ("agents", "sandbox", "workflows")
LEAST = 90.0
"""Per cent of the branches of each package."""


def measured(data: Path, top: Path) -> dict[str, Counter[str]]:
    """Return the sums of coverage's own figures for each package.

    Raises:
        coverage.CoverageException: there is no data, or it is of other sources.

    """
    found = coverage.Coverage(data_file=str(data), config_file=str(top / "pyproject.toml"))
    found.load()
    report = top / ".coverage.json"
    kept, sys.stdout = sys.stdout, io.StringIO()
    try:
        found.json_report(outfile=str(report))
    finally:
        sys.stdout = kept
    files = json.loads(report.read_text("utf-8"))["files"]
    report.unlink()
    sums = {package: Counter[str]() for package in PACKAGES}
    for path, figures in files.items():
        package = Path(path).parts[0]
        if package in sums:
            whole = {name: value for name, value in figures["summary"].items() if isinstance(value, int)}
            sums[package].update(whole)
    return sums


def main() -> int:
    """Print the table; return 1 where a package has less than it should."""
    top = Path(__file__).resolve().parent.parent
    short = []
    print(f"{'package':12}{'branches':>10}{'reached':>10}{'%':>8}{'lines %':>10}")
    for package, sums in measured(top / ".coverage", top).items():
        branches, lines = (
            100 * sums[got] / max(1, sums[of])
            for got, of in (("covered_branches", "num_branches"), ("covered_lines", "num_statements"))
        )
        print(f"{package:12}{sums['num_branches']:10}{sums['covered_branches']:10}{branches:8.1f}{lines:10.1f}")
        if branches < LEAST:
            short.append(package)
    if short:
        print(f"less than {LEAST:.0f} % of the branches: {', '.join(short)}")
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main())
