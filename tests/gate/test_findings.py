"""Findings before and after: more of a rule is news, less or the same is not."""

from __future__ import annotations

import pytest

from workflows.findings import Finding, inspect_file, inspect_files, new_findings, ruff_version, secrets, syntax


def _rules(code: str, path: str = "a.py") -> list[str]:
    return [f.rule for f in inspect_file(path, code.encode())]


def test_clean_code_has_none() -> None:
    assert _rules("def f(x):\n    return x\n") == []


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("def f():\n    return y\n", "F821"),
        ("import os\n", "F401"),
        ("def f(x=[]):\n    return x\n", "B006"),
        ("import hashlib\nhashlib.md5(b'')\n", "S324"),
        ("import subprocess\nsubprocess.run('x', shell=True)\n", "S602"),
        ("import os  # noqa\n", "F401"),
        ("def f(:\n", "syntax"),
        ("x = 1\0\n", "syntax"),
    ],
)
def test_python(code: str, rule: str) -> None:
    assert rule in _rules(code)


def test_syntax_of_data_files() -> None:
    assert [f.rule for f in syntax("a.json", b"{")] == ["syntax"]
    assert [f.rule for f in syntax("a.toml", b"a = ")] == ["syntax"]
    assert syntax("a.json", b"{}") == syntax("a.toml", b"a = 1") == syntax("a.txt", b"{") == []


@pytest.mark.parametrize(
    "line",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "key = 'AKIA" + "ABCDEFGHIJKLMNOP'",
        "t = 'ghp_" + "a" * 36 + "'",
        "u = 'https://me:hunter2@example.org/'",
        "api_key = '" + "Zm9vYmFyYmF6cXV4Zm9vYmFy" + "'",
    ],
)
def test_secrets(line: str) -> None:
    assert [f.rule for f in secrets("a.py", line.encode())] == ["secret"]


def test_text_that_reads_otherwise_than_it_runs() -> None:
    assert [f.rule for f in secrets("a.py", "x = 1  # \u202e hidden".encode())] == ["hidden-text"]
    assert secrets("a.py", "\ufeffx = 1\n".encode()) == []


def test_only_more_is_news() -> None:
    old = [Finding("F401", "a.py", 1, "`os` imported but unused")]
    same = [Finding("F401", "a.py", 9, "`os` imported but unused")]
    more = [*same, Finding("F401", "a.py", 2, "`re` imported but unused")]
    other = [Finding("F401", "a.py", 2, "`re` imported but unused")]
    assert new_findings(old, same) == ()
    assert [f.message for f in new_findings(old, more)] == ["`re` imported but unused"]
    assert new_findings(old, other) == ()
    assert new_findings(old, []) == ()


def test_several_files_in_order_of_their_paths() -> None:
    found = inspect_files({"b.py": b"import os\n", "a.py": b"import re\n", "c.pyi": b"import os\n"})
    assert [f.path for f in found] == ["b.py", "a.py", "c.pyi"]
    assert str(found[0]) == "b.py:1: F401 `os` imported but unused"


def test_the_linter_has_a_version() -> None:
    assert ruff_version()[0].isdigit()
