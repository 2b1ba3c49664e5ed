"""Which tests run what a mutant changes, and what those tests depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property

from agents.mutation.generate import VERSION
from agents.mutation.mutant import Mutant
from agents.repair.localise import is_test_path
from agents.repair.units import SourceFile, Unit
from sandbox.runners.report import TestReport
from sandbox.tree import Tree

_DOCUMENTS = (".md", ".rst", ".pyc", ".lock", ".svg", ".png", ".gitignore")


class Covering:
    """The passing tests of one report, by the lines that they run."""

    def __init__(self, report: TestReport, tests: Iterable[str] | None = None) -> None:
        """Take a report with coverage; `tests` limits it to some of its tests."""
        only = None if tests is None else frozenset(tests)
        passed = [r for r in report.results if r.node_id in report.passed() and (only is None or r.node_id in only)]
        # The quickest first: of equals, the order in which they ran.
        passed.sort(key=lambda result: result.seconds)
        self.tests: tuple[str, ...] = tuple(dict.fromkeys(r.node_id for r in passed))
        self.seconds = {r.node_id: r.seconds for r in passed}
        self.coverage = report.coverage
        self._lines: dict[str, dict[int, list[int]]] = {}
        for number, test in enumerate(self.tests):
            for path, lines in report.coverage.get(test, {}).items():
                table = self._lines.setdefault(path, {})
                for line in lines:
                    table.setdefault(line, []).append(number)

    def tests_for(self, mutant: Mutant) -> tuple[str, ...]:
        """Return the tests that can notice a mutant, the quickest first.

        For code that runs on import these are all, those first that run something of the file.
        """
        table = self._lines.get(mutant.path, {})
        if mutant.reach is not None:
            first, last = mutant.reach
            found = {number for line in range(first, last + 1) for number in table.get(line, ())}
            return tuple(self.tests[number] for number in sorted(found))
        found = {number for numbers in table.values() for number in numbers}
        rest = [number for number in range(len(self.tests)) if number not in found]
        return tuple(self.tests[number] for number in (*sorted(found), *rest))

    def count(self, mutant: Mutant) -> int:
        """Return how many tests run something that the mutant changes."""
        return len(self.tests_for(mutant))


class Footprints:
    """Digests of what verdicts depend on: equal digests, equal verdicts."""

    def __init__(self, tree: Tree, covering: Covering, environment: str, harness: str) -> None:
        """Take the files, what the tests run of them, and a digest of the environment that they run in."""
        self._tree, self._covering = tree, covering
        self._about = f"{VERSION}\0{environment}\0{harness}"
        self._files: dict[str, SourceFile | None] = {}
        self._tests: dict[str, bytes] = {}
        self._pieces: dict[str, tuple[dict[str, bytes], bytes]] = {}

    def key(self, mutant: Mutant, tests: Sequence[str]) -> bytes:
        """Return the digest of a mutant with all that its verdict depends on."""
        file = self._file(mutant.path)
        total = hashlib.sha256(self._about.encode())
        total.update(self._world)
        start = 0
        if file is not None:
            unit = next((u for u in file.units if (u.first_line, u.last_line) == mutant.unit_lines), file.units[-1])
            start = unit.start
            total.update(f"{unit.qualname}\0{file.text[unit.start : unit.end]}".encode("utf-8", "surrogatepass"))
        for edit in mutant.edits:
            text = f"\0{edit.path}\0{edit.start - start}\0{edit.end - start}\0{edit.replacement}"
            total.update(text.encode("utf-8", "surrogatepass"))
        for test in sorted(tests):
            total.update(self._test(test))
        return total.digest()

    def _file(self, path: str) -> SourceFile | None:
        if path not in self._files:
            self._files[path] = SourceFile.parse(path, self._tree)
        return self._files[path]

    def _test(self, name: str) -> bytes:
        """Return the digest of a test with the functions that it runs."""
        if name not in self._tests:
            total = hashlib.sha256(name.encode("utf-8", "surrogatepass"))
            for path, lines in sorted(self._covering.coverage.get(name, {}).items()):
                total.update(self._ran(path, lines))
            home = name.split("::", 1)[0]
            total.update(self._split(home)[1] if home in self._tree else b"")
            self._tests[name] = total.digest()
        return self._tests[name]

    def _ran(self, path: str, lines: Iterable[int], *, inside: bool = False) -> bytes:
        """Return the digest of those functions of a file that hold one of the lines, in their bodies if `inside`."""
        file = self._file(path)
        if file is None:
            entry = self._tree.get(path)
            return hashlib.sha256(entry.data if entry is not None else b"").digest()
        digests = self._split(path)[0]
        units = ((file.unit_at_line(line), line) for line in lines)
        names = {
            _key(unit)
            for unit, line in units
            if not inside or (unit.node.body[:1] and line >= unit.node.body[0].lineno)
        }
        return b"".join(digests[name] for name in sorted(names) if name in digests)

    def _split(self, path: str) -> tuple[dict[str, bytes], bytes]:
        """Return the digests of a file's functions, and of all that stands outside of them."""
        if path not in self._pieces:
            file = self._file(path)
            if file is None:
                entry = self._tree.get(path)
                data = entry.data if entry is not None else b""
                self._pieces[path] = ({}, hashlib.sha256(path.encode("utf-8", "surrogateescape") + data).digest())
                return self._pieces[path]
            functions: dict[str, bytes] = {}
            outside, at = [path], 0
            for unit in file.units[:-1]:
                text = file.text[unit.start : unit.end]
                functions[_key(unit)] = hashlib.sha256(
                    f"{path}\0{unit.qualname}\0{text}".encode("utf-8", "surrogatepass")
                ).digest()
                outside.append(file.text[at : unit.start])
                at = unit.end
            outside.append(file.text[at:])
            rows = [row for part in outside for row in part.splitlines() if row.strip()]
            whole = "\n".join(rows).encode("utf-8", "surrogatepass")
            self._pieces[path] = functions, hashlib.sha256(whole).digest()
        return self._pieces[path]

    @cached_property
    def _world(self) -> bytes:
        """Everything that runs on import, whatever test runs, and every file that is no Python."""
        total = hashlib.sha256()
        for path, entry in self._tree.items():
            if not path.endswith(".py"):
                if not path.endswith(_DOCUMENTS):
                    total.update(path.encode("utf-8", "surrogateescape") + hashlib.sha256(entry.data).digest())
            elif path.endswith("conftest.py"):
                total.update(hashlib.sha256(entry.data).digest())
            elif not is_test_path(path):
                total.update(self._split(path)[1])
        for path, lines in sorted(self._covering.coverage.get("", {}).items()):
            if not is_test_path(path):
                # Definitions run on import; what they define does so seldom.
                total.update(self._ran(path, lines, inside=True))
        return total.digest()


def _key(unit: Unit) -> str:
    return f"{unit.start}:{unit.qualname}"
