"""Which lines may hold the fault, from coverage, tracebacks, messages and history."""

from __future__ import annotations

import ast
import fnmatch
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from agents.repair.spectrum import Formula, suspiciousness
from agents.repair.units import FUNCTIONS, SourceFile, header_lines, places
from agents.results import Suspect
from sandbox.runners.report import Frame, TestReport, TestResult
from sandbox.tree import Tree

_TEST_NAMES = ("test_*.py", "*_test.py", "tests.py", "test.py", "conftest.py", "setup.py", "noxfile.py", "*_tests.py")
_TEST_FOLDERS = frozenset({"test", "tests", "test_data", "testdata"})
_WORD = re.compile(r"[A-Za-z_]\w{2,}")
_WEIGHTS = {"spectrum": 1.0, "import": 1.0, "traceback": 0.35, "words": 0.12, "recency": 0.15, "flow": 0.1}
_MODULE_LEVEL = 0.4
"""What a line that ran on import gets, relative to the best, where coverage cannot tell whether the test needs it."""
_MOST = 3000

Allowed = Callable[[str], bool]


def is_test_path(path: str) -> bool:
    """Whether a path holds tests, or set-up code that repairs must leave alone."""
    *folders, name = path.split("/")
    return any(fnmatch.fnmatchcase(name, p) for p in _TEST_NAMES) or not _TEST_FOLDERS.isdisjoint(folders)


def rank_suspects(
    tree: Tree,
    report: TestReport,
    targets: Sequence[str],
    *,
    recency: Mapping[str, Mapping[int, float]] | None = None,
    formula: Formula = "ochiai",
    allowed: Allowed | None = None,
    issue: str = "",
) -> tuple[Suspect, ...]:
    """Return the lines that may hold the fault, most suspicious first, scores between 0 and 1.

    `targets` are the node ids of the failing tests; `recency` maps path → line → 0 (old) to 1 (changed last);
    `allowed` says which paths may be suspected, test files never are. The formula's value over the lines that the tests
    ran is the main signal; tracebacks (deepest repository frame first), names in messages and in the issue, and lines
    that feed those that raised break its ties. Without coverage the tracebacks decide, and without those the files that
    the failing tests import.
    """
    ranking = _Ranking(tree, report, targets, allowed or (lambda _path: True))
    ranking.spectrum(formula)
    ranking.traceback()
    ranking.module_level()
    if not ranking.signals:
        ranking.imported()
    ranking.flow()
    ranking.words(issue)
    for path, lines in (recency or {}).items():
        for line, value in lines.items():
            ranking.refine(path, line, "recency", value)
    return ranking.suspects()


class _Ranking:
    def __init__(self, tree: Tree, report: TestReport, targets: Sequence[str], allowed: Allowed) -> None:
        self._tree, self._report = tree, report
        self._targets = frozenset(targets)
        self._allowed = allowed
        self._files: dict[str, SourceFile | None] = {}
        self._statements: dict[str, dict[int, int]] = {}
        self.signals: dict[tuple[str, int], dict[str, float]] = {}
        known = {r.node_id: r for r in (*report.results, *report.collection_errors)}
        self._failures: list[TestResult] = [known[t] for t in targets if t in known]
        for error in report.collection_errors:
            if any(t.startswith(f"{error.node_id}::") for t in self._targets) and error not in self._failures:
                self._failures.append(error)

    def _eligible(self, path: str) -> bool:
        entry = self._tree.get(path)
        return (
            path.endswith(".py") and entry is not None and entry.kind == "file"
            and not is_test_path(path) and self._allowed(path)
        )  # fmt: skip

    def _file(self, path: str) -> SourceFile | None:
        if path not in self._files:
            self._files[path] = SourceFile.parse(path, self._tree) if self._eligible(path) else None
        return self._files[path]

    def _heads(self, file: SourceFile) -> dict[int, int]:
        """Map every line of a file to the first line of the smallest statement (or header) that holds it."""
        if file.path not in self._statements:
            table: dict[int, int] = {}
            for unit in reversed(file.units):
                for place in places(unit):
                    first, last = header_lines(place.statement)
                    anchor = place.statement.lineno
                    table.update(dict.fromkeys(range(first, last + 1), anchor))
            self._statements[file.path] = table
        return self._statements[file.path]

    def _add(self, path: str, line: int, signal: str, value: float) -> None:
        file = self._file(path)
        if file is None:
            return
        head = self._heads(file).get(line)
        if head is not None:
            signals = self.signals.setdefault((path, head), {})
            signals[signal] = max(value, signals.get(signal, 0.0))

    def refine(self, path: str, line: int, signal: str, value: float) -> None:
        """Add to a line that is suspected already."""
        file = self._file(path)
        head = self._heads(file).get(line) if file is not None else None
        if head is not None and (path, head) in self.signals:
            self.signals[path, head][signal] = max(value, self.signals[path, head].get(signal, 0.0))

    def spectrum(self, formula: Formula) -> None:
        """Score every line that a failing test ran."""
        coverage = self._report.coverage
        passed = self._report.passed()
        failing = [t for t in coverage if t in self._targets]
        passing = [t for t in coverage if t in passed and t not in self._targets]
        failed_on = self._count(failing)
        if not failed_on:
            return
        passed_on = self._count(passing)
        raw = {}
        for key, ef in failed_on.items():
            ep = passed_on.get(key, 0)
            raw[key] = suspiciousness(formula, ef, ep, len(failing) - ef, len(passing) - ep)
        finite = [v for v in raw.values() if v != float("inf")]
        top = max(finite, default=1.0) * (1.0 if len(finite) == len(raw) else 1.25)
        low = min(0.0, *finite) if finite else 0.0
        for (path, line), value in raw.items():
            scaled = 1.0 if value == float("inf") else (value - low) / (top - low) if top > low else 1.0
            self._add(path, line, "spectrum", scaled)

    def _count(self, tests: Iterable[str]) -> dict[tuple[str, int], int]:
        """Count, for each statement of a file that may be suspected, the tests that ran it."""
        counts: dict[tuple[str, int], int] = {}
        for test in tests:
            for path, lines in self._report.coverage[test].items():
                file = self._file(path)
                if file is None:
                    continue
                heads = self._heads(file)
                for head in {heads[line] for line in lines if line in heads}:
                    counts[path, head] = counts.get((path, head), 0) + 1
        return counts

    def traceback(self) -> None:
        """Score the lines of the failures' tracebacks, and more weakly the rest of their functions."""
        for failure in self._failures:
            frames = [f for f in failure.frames if self._eligible(f.path)]
            for distance, frame in enumerate(reversed(frames)):
                value = 1.0 / (1 + distance)
                self._add(frame.path, frame.line, "traceback", value)
                self._around(frame, value * 0.4)

    def _around(self, frame: Frame, value: float) -> None:
        file = self._file(frame.path)
        if file is None:
            return
        unit = file.unit_at_line(frame.line)
        if isinstance(unit.node, ast.Module):
            return
        for place in places(unit):
            self._add(frame.path, place.statement.lineno, "traceback", value)

    def module_level(self) -> None:
        """Suspect what runs on import (constants, defaults, class bodies) in files where functions are suspected.

        Coverage of a test seldom holds these lines, as the module was imported before it began.
        """
        best: dict[str, float] = {}
        named: dict[str, set[str]] = {}
        for (path, line), signals in self.signals.items():
            best[path] = max(best.get(path, 0.0), sum(_WEIGHTS[name] * value for name, value in signals.items()))
            file = self._file(path)
            if file is not None:
                named.setdefault(path, set()).update(_WORD.findall(file.line_text(line)))
        for path, value in best.items():
            file = self._file(path)
            if file is None:
                continue
            for place in places(file.units[-1]):
                statement = place.statement
                if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                    continue
                if (path, statement.lineno) in self.signals or isinstance(statement, (ast.Import, ast.ImportFrom)):
                    continue
                used = not named[path].isdisjoint(_defined(statement))
                share = _MODULE_LEVEL if used else _MODULE_LEVEL / 4
                self._add(path, statement.lineno, "import", value * share)

    def imported(self) -> None:
        """Suspect every statement of the files that the failing tests import: the last resort."""
        for path in self._imports_of_tests():
            file = self._file(path)
            if file is None:
                continue
            for unit in file.units:
                for place in places(unit):
                    self._add(path, place.statement.lineno, "spectrum", 0.3 if unit.kind == "module" else 0.5)

    def _imports_of_tests(self) -> list[str]:
        found: dict[str, None] = {}
        for test in sorted(self._targets):
            path = test.split("::")[0]
            file = SourceFile.parse(path, self._tree)
            for name in _imported_names(file.tree, path) if file is not None else ():
                found.update(dict.fromkeys(self._paths_of(name)))
        return list(found)

    def _paths_of(self, dotted: str) -> list[str]:
        """Return the tree's files that a dotted name may mean, whatever folder is on the import path."""
        tail = dotted.replace(".", "/")
        endings = (f"{tail}.py", f"{tail}/__init__.py")
        return [p for p in self._tree if any(p == e or p.endswith(f"/{e}") for e in endings)]

    def flow(self) -> None:
        """Add to statements that bind a name which the line that raised reads, within its function."""
        for failure in self._failures:
            frame = next((f for f in reversed(failure.frames) if self._eligible(f.path)), None)
            file = self._file(frame.path) if frame is not None else None
            if frame is None or file is None:
                continue
            read = set(_WORD.findall(file.line_text(frame.line))) | set(
                re.findall(r"\b\w\b", file.line_text(frame.line))
            )
            for place in places(file.unit_at_line(frame.line)):
                if not read.isdisjoint(_defined(place.statement)):
                    self.refine(frame.path, place.statement.lineno, "flow", 1.0)

    def words(self, issue: str) -> None:
        """Add to lines and functions that messages, test names or the issue mention."""
        said: set[str] = set(_WORD.findall(issue))
        for failure in self._failures:
            said.update(_WORD.findall(failure.message[:20_000]))
            said.update(w for w in failure.node_id.rpartition("::")[2].split("_") if len(w) > 2)
        said = {w.lower() for w in said}
        if not said:
            return
        for (path, line), signals in self.signals.items():
            file = self._file(path)
            if file is None:
                continue
            text = {w.lower() for w in _WORD.findall(file.line_text(line))}
            function = {w.lower() for w in re.split(r"[._]", file.function_at_line(line)) if len(w) > 2}
            hit = 0.6 * min(1.0, len(said & text) / 3) + 0.4 * bool(said & function)
            if hit:
                signals["words"] = hit

    def suspects(self) -> tuple[Suspect, ...]:
        """Fuse the signals into scores between 0 and 1."""
        total: dict[tuple[str, int], float] = {}
        for key, signals in self.signals.items():
            total[key] = sum(_WEIGHTS[name] * value for name, value in signals.items())
        top = max(total.values(), default=1.0) or 1.0
        ranked = sorted(total, key=lambda key: (-total[key], key))[:_MOST]
        found = []
        for path, line in ranked:
            file = self._file(path)
            name = file.function_at_line(line) if file is not None else ""
            found.append(Suspect(path, line, name, min(1.0, total[path, line] / top), dict(self.signals[path, line])))
        return tuple(found)


def _defined(statement: ast.stmt) -> set[str]:
    """Return the names that a statement itself binds."""
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.AsyncFor)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {n.id if isinstance(n, ast.Name) else n.attr for t in targets for n in ast.walk(t)
                if isinstance(n, (ast.Name, ast.Attribute))}  # fmt: skip
    return set()


def _imported_names(parsed: ast.Module, path: str) -> Iterable[str]:
    """Give the dotted names that a test file imports, members as possible submodules too."""
    package = posixpath.dirname(path).replace("/", ".")
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".") if package else []
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            if base:
                yield base
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)
