"""Test commands that write JUnit XML."""

from __future__ import annotations

import pytest

from sandbox.errors import TestsUnrunnable
from sandbox.protocol import Command
from sandbox.runners import junit
from sandbox.runners.report import Harness, Outcome
from sandbox.runners.run import run_tests
from tests.runners.conftest import Open

XML = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="s" tests="7">
<properties><property name="x" value="y"/></properties>
<testcase classname="a.B" name="passes" time="0.5"/>
<testcase classname="a.B" name="fails" time="1,000.5"><failure type="AssertionError" message="1 &lt; 2">trace</failure>
<system-out>noise</system-out></testcase>
<testcase classname="a.B" name="errs" time="x"><error>only
text</error><failure message="later"/></testcase>
<testcase file="t/c.js" classname="C" name="left out"><skipped message="why"/></testcase>
<testcase name="known"><skipped type="pytest.xfail" message="m"/></testcase>
<testcase classname="a.B" name="passes"/>
</testsuite></testsuites>"""


def test_cases_are_read() -> None:
    results = junit.parse(XML.encode())
    assert [(r.node_id, str(r.outcome), r.seconds, r.exception, r.message) for r in results] == [
        ("a.B::passes", "passed", 0.5, "", ""),
        ("a.B::fails", "failed", 1000.5, "AssertionError", "1 < 2"),
        ("a.B::errs", "error", 0.0, "", "only\ntext"),
        ("t/c.js::left out", "skipped", 0.0, "", "why"),
        ("known", "xfailed", 0.0, "", "m"),
        ("a.B::passes (2)", "passed", 0.0, "", ""),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not XML"),
        ("<testsuites>", "not XML"),
        ("<html></html>", "begins with 'html'"),
        ('<!DOCTYPE t [<!ENTITY a SYSTEM "file:///etc/hostname">]><testsuite>&a;</testsuite>', "document type"),
        ('<!DOCTYPE t [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite>&b;</testsuite>', "document type"),
        ("<testsuite>" + "<testsuite>" * 100 + "</testsuite>" * 101, "nested"),
        ("<testsuite>" + "<testcase/>" * 200_001 + "</testsuite>", "more than 200000"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(junit.BadReport, match=words):
        junit.parse(text.encode())
    with pytest.raises(junit.BadReport, match="bytes"):
        junit.parse(b" " * (junit.MAX_BYTES + 1))


def _harness(*rest: str, code: str = "", env: dict[str, str] | None = None) -> Harness:
    return Harness(kind="command", command=("python", "-c", code, *rest), env=env or {}, pythonpath=(".", "src"))


WRITE = "import sys, os; open(sys.argv[1], 'w').write(open('canned.xml').read()); print(sys.argv[2:], os.environ)"


def test_commands_are_run(open_tree: Open) -> None:
    workspace = open_tree({"canned.xml": XML})
    report = run_tests(workspace, _harness("{report}", code=WRITE, env={"A": "b"}))
    assert len(report.results) == 6
    assert (report.complete, report.ended, report.exit_code) == (True, "exit", 0)
    assert [r.node_id for r in run_tests(workspace, _harness("{report}", code=WRITE), ["a.B"]).results] == [
        "a.B::passes", "a.B::fails", "a.B::errs", "a.B::passes (2)",
    ]  # fmt: skip
    given = run_tests(workspace, _harness("{report}", "{tests}", code=WRITE), ["known", "x"])
    assert given.argv[-2:] == ("known", "x")
    with pytest.raises(TestsUnrunnable, match="no test gone"):
        run_tests(workspace, _harness("{report}", code=WRITE), ["gone"])
    names = workspace.run(_ls())
    assert b".greendiff" not in names.stdout


def _ls() -> Command:
    return Command(argv=("/bin/ls", "-a"))


def test_commands_that_leave_no_report(open_tree: Open) -> None:
    workspace = open_tree({"a": ""})
    with pytest.raises(TestsUnrunnable, match=r"wrote no JUnit XML .*exit code 3.*last words: sorry"):
        run_tests(workspace, _harness("{report}", code="print('sorry'); raise SystemExit(3)"))
    with pytest.raises(TestsUnrunnable, match=r"refused"):
        run_tests(workspace, _harness("{report}", code="import os, sys; os.symlink('/etc/hostname', sys.argv[1])"))
    with pytest.raises(TestsUnrunnable, match=r"cannot be read .*not XML"):
        run_tests(workspace, _harness("{report}", code="import sys; open(sys.argv[1], 'w').write('x')"))
    with pytest.raises(TestsUnrunnable, match=r"did not end within 1 s"):
        run_tests(workspace, _harness("{report}", code="import time; time.sleep(60)"), wall_seconds=1.0)
    xml = '<testsuite><testcase name="a"/></testsuite>'
    late = f"import sys, time; open(sys.argv[1], 'w').write({xml!r}); time.sleep(60)"
    report = run_tests(workspace, _harness("{report}", code=late), wall_seconds=1.0)
    assert (report.complete, report.ended, report.results[0].outcome) == (False, "timeout", Outcome.PASSED)
