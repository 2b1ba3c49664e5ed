"""Any other test command: it writes JUnit XML, which is read without believing it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from xml.parsers import expat

from sandbox.errors import TestsUnrunnable, UnsafePath
from sandbox.protocol import Command, Completed, Workspace
from sandbox.runners.report import Harness, Outcome, TestReport, TestResult

MAX_BYTES = 64 * 1024 * 1024
"""Of XML."""
MAX_CASES = 200_000
_MAX_DEPTH = 64
_MAX_MESSAGE = 2000
_MAX_OUTPUT = 64 * 1024


class BadReport(ValueError):
    """The file is not the JUnit XML that was expected."""


def run_command(
    workspace: Workspace, harness: Harness, tests: tuple[str, ...] = (), *, wall_seconds: float | None = None
) -> TestReport:
    """Run a harness of kind `command` and return its results.

    `{report}` in an argument stands for the file to write, an argument `{tests}` for the node ids that are asked for.
    Without `{tests}` everything is run and only what was asked for is returned. Results are named
    `FILE::NAME`, or `CLASS::NAME` where the report names no files.

    Raises:
        TestsUnrunnable: the command left no report that can be read.
        SandboxBroken: the workspace has gone.

    """
    name = f".greendiff-{secrets.token_hex(8)}.xml"
    argv = _argv(harness.command, f"{workspace.root}/{name}", tests)
    env = {"PYTHONDONTWRITEBYTECODE": "1", **harness.env}
    if harness.pythonpath:
        folders = (workspace.root if path == "." else f"{workspace.root}/{path}" for path in harness.pythonpath)
        env.setdefault("PYTHONPATH", ":".join(folders))
    completed = workspace.run(Command(argv=argv, env=env, wall_seconds=wall_seconds))
    try:
        data = workspace.read(name, MAX_BYTES)
    except FileNotFoundError:
        raise TestsUnrunnable(_no_report(completed, "wrote no JUnit XML to {report}")) from None
    except UnsafePath as error:
        raise TestsUnrunnable(_no_report(completed, f"wrote a report that is refused ({error})")) from None
    workspace.write({name: None})
    try:
        results = parse(data)
    except BadReport as error:
        raise TestsUnrunnable(_no_report(completed, f"wrote a report that cannot be read ({error})")) from None
    if tests:
        results = tuple(result for result in results if _asked(result.node_id, tests))
        if not results:
            raise TestsUnrunnable(f"There is no test {', '.join(tests[:5])} in what the test command reports.")
    whole = completed.ended == "exit"
    return TestReport(
        results=results,
        collection_errors=(),
        complete=whole,
        ended=completed.ended,
        exit_code=completed.exit_code,
        seconds=completed.seconds,
        argv=argv,
        output="" if whole else _end(completed),
    )


def parse(data: bytes) -> tuple[TestResult, ...]:
    """Return the test cases of a JUnit XML document, in order.

    Raises:
        BadReport: no XML, no JUnit, too large, or with a document type, which could name files and entities.

    """
    if len(data) > MAX_BYTES:
        raise BadReport(f"it has more than {MAX_BYTES} bytes")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise BadReport(f"it is not XML: {error}") from error
    return reader.results()


@dataclass
class _Case:
    name: str
    holder: str
    seconds: float
    outcome: Outcome = Outcome.PASSED
    exception: str = ""
    message: str = ""
    text: list[str] = field(default_factory=list)


class _Reader:
    """Takes the events of the XML parser."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._case: _Case | None = None
        self._cases: list[_Case] = []

    def doctype(self, *_: object) -> None:
        raise BadReport("it has a document type")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if not self._open and tag not in {"testsuites", "testsuite"}:
            raise BadReport(f"it begins with {tag[:40]!r}, not with testsuites or testsuite")
        self._open.append(tag)
        if len(self._open) > _MAX_DEPTH:
            raise BadReport("it is nested too deeply")
        if tag == "testcase":
            if len(self._cases) >= MAX_CASES:
                raise BadReport(f"it has more than {MAX_CASES} test cases")
            holder = attributes.get("file") or attributes.get("classname") or ""
            self._case = _Case(attributes.get("name", "")[:4000], holder[:4000], _seconds(attributes.get("time", "")))
            self._cases.append(self._case)
        elif self._case is not None and tag in {"failure", "error", "skipped"}:
            self._problem(tag, attributes)

    def _problem(self, tag: str, attributes: dict[str, str]) -> None:
        case, kind = self._case, attributes.get("type", "")
        if case is None or case.outcome.bad:
            return
        case.outcome = {"failure": Outcome.FAILED, "error": Outcome.ERROR, "skipped": Outcome.SKIPPED}[tag]
        if kind == "pytest.xfail":
            case.outcome = Outcome.XFAILED
        case.exception = "" if tag == "skipped" else kind[:500]
        case.message = attributes.get("message", "")[:_MAX_MESSAGE]

    def text(self, data: str) -> None:
        if self._case is not None and self._open[-1] in {"failure", "error", "skipped"} and not self._case.message:
            self._case.text.append(data[:_MAX_MESSAGE])
            del self._case.text[200:]

    def end(self, tag: str) -> None:
        self._open.pop()
        if tag.rpartition(":")[2] == "testcase":
            self._case = None

    def results(self) -> tuple[TestResult, ...]:
        seen: dict[str, int] = {}
        found = []
        for case in self._cases:
            node_id = f"{case.holder}::{case.name}" if case.holder else case.name
            count = seen[node_id] = seen.get(node_id, 0) + 1
            result = TestResult(
                node_id=node_id,
                outcome=case.outcome,
                seconds=case.seconds,
                exception=case.exception,
                message=(case.message or "".join(case.text).strip())[:_MAX_MESSAGE],
            )
            found.append(result if count == 1 else replace(result, node_id=f"{node_id} ({count})"))
        return tuple(found)


def _argv(command: tuple[str, ...], report: str, tests: tuple[str, ...]) -> tuple[str, ...]:
    argv: list[str] = []
    for part in command:
        if part == "{tests}":
            argv += tests
        else:
            argv.append(part.replace("{report}", report))
    return tuple(argv)


def _asked(node_id: str, tests: tuple[str, ...]) -> bool:
    return any(node_id == test or node_id.startswith((test + "::", test + "[", test + "/")) for test in tests)


def _seconds(text: str) -> float:
    try:
        seconds = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return seconds if 0.0 <= seconds < 1e9 else 0.0


def _no_report(completed: Completed, what: str) -> str:
    if completed.ended == "timeout":
        return f"The test command did not end within {completed.seconds:.0f} s."
    last = _end(completed).strip().splitlines()
    words = f"; its last words: {last[-1][:300]}" if last else ""
    return f"The test command {what} (exit code {completed.exit_code}){words}"


def _end(completed: Completed) -> str:
    return (completed.stdout + completed.stderr)[-_MAX_OUTPUT:].decode("utf-8", "backslashreplace")
