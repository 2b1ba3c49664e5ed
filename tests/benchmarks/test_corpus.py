"""The corpus is read as written, gives the same repository each time, and its bugs are what they say."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.corpus_loader import Bug, CorpusError, files_of, load, main, materialise, read_case, validate

CASE = """\
module: sums
=== reference
def total(items):
    result = 0
    for item in items:
        result += item
    return result
=== tests
from sums import total


def test_none():
    assert total([]) == 0


def test_two():
    assert total([1, 2]) == 3
=== oracle
def make(rng):
    return (ints(rng),)
"""
BUG = "=== bug minus | wrong-operator | human\n-        result += item\n+        result -= item\n"


def case(tmp_path: Path, bugs: str = BUG, *, family: str = "family", name: str = "total") -> Path:
    path = tmp_path / family / f"{name}.case"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CASE + bugs)
    return path


def commit_of(folder: Path) -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_case_becomes_its_bugs(tmp_path: Path) -> None:
    (bug,) = read_case(case(tmp_path))
    assert bug.id == "total.minus"
    assert (bug.kind, bug.origin, bug.edits) == ("wrong-operator", "human", 1)
    assert "result -= item" in bug.broken
    assert "result += item" in bug.reference
    assert bug.broken.replace("-=", "+=") == bug.reference


def test_hunks_may_insert_delete_and_stand_apart(tmp_path: Path) -> None:
    first, second = "-    result = 0\n+    result = 1\n", "     for item in items:\n+        result += 1\n"
    text = f"=== bug two | two-edits | human\n{first}@@\n{second}"
    (bug,) = read_case(case(tmp_path, text))
    assert bug.edits == 2
    assert "    result = 1\n    for item in items:\n        result += 1\n        result += item\n" in bug.broken


@pytest.mark.parametrize(
    ("bugs", "message"),
    [
        ("=== bug a | k | human\n-    nothing like this\n+    x\n", "occurs 0 times"),
        ("=== bug a | k | martian\n-    result = 0\n+    result = 1\n", "human or mutation"),
        ("=== bug a | k | human\n*    result = 0\n", "begins with"),
        (BUG + BUG, "twice"),
    ],
)
def test_a_malformed_case_is_refused(tmp_path: Path, bugs: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_case(case(tmp_path, bugs))


def test_a_function_is_there_only_once(tmp_path: Path) -> None:
    case(tmp_path, family="one")
    case(tmp_path, family="two")
    with pytest.raises(CorpusError, match="twice: total"):
        load(tmp_path)


def test_the_same_bug_gives_the_same_commit(tmp_path: Path) -> None:
    (bug,) = read_case(case(tmp_path / "corpus"))
    first = materialise(bug, tmp_path / "one")
    second = materialise(bug, tmp_path / "two")
    assert first == second == commit_of(tmp_path / "two")
    assert materialise(bug, tmp_path / "three", fixed=True) != first


def test_the_repository_does_not_hold_the_reference() -> None:
    for bug in load():
        files = files_of(bug)
        assert bug.reference not in files.values()
        assert set(files) == {bug.path, f"tests/test_{bug.module}.py", "pyproject.toml"}
        assert not any(bug.name in text and "bug" in text for text in files.values())


def test_the_corpus_is_as_large_and_as_varied_as_promised() -> None:
    bugs = load()
    functions = {bug.function for bug in bugs}
    splits = Counter(bug.split for bug in bugs)
    assert len(bugs) >= 240
    assert len(functions) >= 80
    assert len({bug.id for bug in bugs}) == len(bugs)
    assert sum(bug.origin == "human" for bug in bugs) * 2 >= len(bugs)
    # A quarter is held out: what was held out besides has been opened, to learn from it.
    assert splits["holdout"] >= 0.25 * len(bugs)
    assert splits["tune"] > splits["holdout"] >= 150
    for function in functions:
        assert len({bug.split for bug in bugs if bug.function == function}) == 1
    assert len({bug.kind for bug in bugs}) >= 20


def spread(count: int) -> list[Bug]:
    bugs = load()
    return list(bugs[:: len(bugs) // count])[:count]


@pytest.mark.parametrize("bug", spread(6), ids=lambda bug: bug.id)
def test_a_sample_of_the_bugs_is_sound(bug: Bug) -> None:
    assert validate(bug) == []


def test_unsound_bugs_are_told(tmp_path: Path) -> None:
    harmless = "=== bug same | none | human\n-    result = 0\n+    result = 0 + 0\n"
    (bug,) = read_case(case(tmp_path, harmless))
    assert validate(bug) == [
        "no test fails on the bug",
        "the oracle sees no difference between the bug and the reference",
    ]


def test_bugs_are_listed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--names", "gcd", "--write", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "of 1 functions" in told
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(bug.id for bug in load(names=["gcd"]))
