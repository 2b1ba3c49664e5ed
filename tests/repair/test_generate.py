"""Candidates parse, differ, are each given once, best first, and touch nothing else."""

from __future__ import annotations

import sysconfig
import time
from itertools import islice
from pathlib import Path
from types import CodeType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.edits import apply_candidate, apply_edits, decode
from agents.repair.checks import meaning_of
from agents.repair.generate import Context, generate
from agents.repair.hints import read_hints
from agents.repair.units import SourceFile
from agents.results import Candidate, Failure, Suspect
from sandbox.tree import Entry, Tree
from tests.repair.pairs_table import PAIRS

RICH = '''\
"""Everything that Python has."""
from __future__ import annotations

import asyncio
import re

LIMIT = 0x10
PATTERN = re.compile(r"^([a-z]+)-(\\d+)$")
NAMES = {"one": 1, "two": 2}


class Shelf:
    """Holds things."""

    size: int = 3

    def __init__(self, items, *, limit=None, extra=[], name="shelf"):
        self.items = list(items)
        self.limit = limit
        self.extra = extra
        self.name = name
        self.count = 0

    @property
    def full(self):
        return self.limit is not None and len(self.items) >= self.limit

    @staticmethod
    def label(text, width=10):
        """Doc."""
        return f"{text!r:>{width}} {width:03d}" + "%s" % text.strip()

    def add(self, item, at=-1):
        if isinstance(item, str) and not item:
            raise ValueError("empty")
        elif self.full:
            return False
        self.items.insert(at, item)
        self.count += 1
        return True

    async def load(self, source, delay=0.5):
        async with source as stream:
            async for part in stream:
                await asyncio.sleep(delay)
                self.add(part)
        result = await self.store(source)
        return result or None

    async def store(self, source):
        return [x async for x in source]

    def walk(self):
        for index, item in enumerate(self.items[1:], 1):
            if index % 2 == 0 or item in self.extra:
                continue
            yield index, item
        else:
            yield from self.extra


def parse(text, default=None):
    total, best = 0, None
    try:
        match = PATTERN.match(text)
        name, number = match.groups()
        total = int(number) + NAMES[name]
    except (KeyError, ValueError) as error:
        total = -1
        print(error)
    finally:
        best = max(total, 0)
    while total > LIMIT and best:
        total -= best // 2
        if total == 7:
            break
    with open(text) as stream:
        lines = [line.rstrip("\\n") for line in stream if line]
    match lines:
        case [first, *_] if first:
            return first
        case _:
            pass
    squares = {n: n ** 2 for n in range(2, total)}
    grid = [[0] * 3] * 2
    pairs = sorted(((k, v) for k, v in squares.items()), key=lambda p: p[0])
    def inner(a, b=1):
        nonlocal total
        total = a - b * 2
        return total if a else b
    text.upper()
    previous = total
    current = previous + inner(total, b=best)
    if (first := current) and not previous: return first
    assert current != previous, "no"
    return lines[::2], grid[0][1:], pairs[-1], default, current
'''


def suspects_of(text: str, path: str = "a.py") -> list[Suspect]:
    return [Suspect(path, line, "", 0.5) for line in range(1, text.count("\n") + 2)]


def living_lines(code: CodeType) -> set[int]:
    """Return the lines that the compiler made something of: dead code can only be changed into other dead code."""
    inner = (living_lines(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return {line for _, _, line in code.co_lines() if line}.union(*inner)


def check(text: str, data: bytes, candidates: list[Candidate]) -> None:
    """Every candidate compiles, means something new, leaves all else to the byte, and comes once."""
    tree = Tree({"a.py": Entry(data)})
    base, living = meaning_of(text), living_lines(compile(text, "a.py", "exec"))
    seen: set[str] = set()
    for candidate in candidates:
        changed = apply_edits(text, candidate.edits)
        meaning = meaning_of(changed)
        assert meaning is not None, candidate.description
        lines = {text.count("\n", 0, edit.start) + 1 for edit in candidate.edits}
        assert meaning != base or not lines & living, candidate.description
        assert changed not in seen, candidate.description
        seen.add(changed)
        assert decode(apply_candidate(tree, candidate)["a.py"].data).text == changed
        assert candidate.origin.startswith("template:")
        assert "\n" not in candidate.description


def test_all_candidates_for_rich_code_are_sound() -> None:
    tree = Tree({"a.py": Entry(RICH.encode())})
    candidates = list(islice(generate(tree, suspects_of(RICH)), 9000))
    assert len(candidates) > 5000
    check(RICH, RICH.encode(), candidates[::5])
    assert len({c.id for c in candidates}) == len(candidates)
    assert len({c.origin for c in candidates}) > 80


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: ("# coding: latin-1\n# é\n" + text.partition("\n")[2]).encode("latin-1"),
        lambda text: text.replace("    ", "\t").encode(),
        lambda text: text.rstrip("\n").encode(),
        lambda text: ("\f\n" + text).encode(),
    ],
    ids=["crlf", "bom", "latin-1", "tabs", "no final newline", "form feed"],
)
def test_the_files_own_manner_is_kept(change: object) -> None:
    text = "# first\n" + PAIRS[0].buggy + "\n\n" + PAIRS[30].buggy
    data: bytes = change(text)  # type: ignore[operator]
    source = decode(data)
    tree = Tree({"a.py": Entry(data)})
    candidates = list(islice(generate(tree, suspects_of(source.text)), 900))
    assert len(candidates) == 900
    check(source.text, data, candidates)
    if b"\r\n" in data:
        assert all("\n" not in e.replacement.replace("\r\n", "") for c in candidates for e in c.edits)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(PAIRS), st.sampled_from(["\n", "\r\n"]), st.integers(0, 800))
def test_candidates_of_small_programs_are_sound(pair: object, ending: str, start: int) -> None:
    text: str = pair.buggy.replace("\n", ending)  # type: ignore[attr-defined]
    tree = Tree({"a.py": Entry(text.encode())})
    check(text, text.encode(), list(islice(generate(tree, suspects_of(text)), start, start + 60)))


@pytest.mark.parametrize(
    "name", ["json/decoder.py", "textwrap.py", "shlex.py", "sched.py", "copy.py", "asyncio/locks.py"]
)
def test_candidates_for_the_standard_library_are_sound(name: str) -> None:
    data = (Path(sysconfig.get_path("stdlib")) / name).read_bytes()
    text = decode(data).text
    middle = text.count("\n") // 2
    suspects = [Suspect("a.py", line, "", 0.5) for line in range(middle - 25, middle + 25)]
    check(text, data, list(islice(generate(Tree({"a.py": Entry(data)}), suspects), 250)))


def test_names_bound_to_themselves_do_no_harm() -> None:
    text = "table = {}\ntable = table[0]\nother = third\nthird = other\n\n\ndef f(x):\n    return x + table + other\n"
    assert list(islice(generate(Tree({"a.py": Entry(text.encode())}), suspects_of(text)), 50))


def test_suspicious_lines_come_first_but_filter_nothing() -> None:
    text = "def f(a, b):\n    x = a + 1\n    y = b + 2\n    return x < y\n"
    tree = Tree({"a.py": Entry(text.encode())})
    found = list(generate(tree, [Suspect("a.py", 3, "f", 1.0), Suspect("a.py", 2, "f", 0.02)]))
    file = SourceFile.parse("a.py", tree)
    assert file is not None
    lines = [file.line_of(c.edits[0].start) for c in found]
    assert lines[:8].count(3) > lines[:8].count(2)
    assert {2, 3, 4} <= set(lines)


def test_several_files_are_interleaved_within_bounds() -> None:
    text = PAIRS[0].buggy
    tree = Tree({f"m{n}.py": Entry(text.encode()) for n in range(4)})
    suspects = [s for n in range(4) for s in suspects_of(text, f"m{n}.py")]
    first = list(islice(generate(tree, suspects), 60))
    assert {e.path for c in first for e in c.edits} == {f"m{n}.py" for n in range(4)}
    bounded = generate(tree, suspects, context=Context(max_files=2))
    assert {e.path for c in islice(bounded, 200) for e in c.edits} == {"m0.py", "m1.py"}


def test_no_family_starves_the_others() -> None:
    tree = Tree({"a.py": Entry(PAIRS[40].buggy.encode())})
    families = [
        c.origin.partition(":")[2].partition(".")[0] for c in islice(generate(tree, suspects_of(PAIRS[40].buggy)), 300)
    ]
    assert len(set(families)) >= 12
    assert max(families.count(f) for f in set(families)) < 150


def test_files_that_cannot_be_read_are_passed_over() -> None:
    tree = Tree({"a.py": Entry(b"def f(:\n"), "b.py": Entry(b"\xff"), "c.py": Entry(b"a.py", "symlink")})
    suspects = [Suspect(p, 1, "", 1.0) for p in ("a.py", "b.py", "c.py", "absent.py")]
    assert list(generate(tree, suspects)) == []
    assert list(generate(tree, [])) == []


def test_the_first_candidate_comes_at_once_and_the_rest_lazily() -> None:
    text = "\n\n".join(f"def f{n}(a, b):\n" + "    a = a + b * 2 if a < b else len(str(b))\n" * 150 for n in range(4))
    tree = Tree({"a.py": Entry(text.encode())})
    started = time.process_time()
    assert next(generate(tree, suspects_of(text)))
    assert time.process_time() - started < 2.5


def test_what_the_test_awaits_is_read_from_its_text() -> None:
    text = "def f(x):\n    y = x * 2\n    return y\n"
    test = "class TestF:\n    def test_it(self):\n        with pytest.raises(LookupError):\n            f(0)\n"
    tree = Tree({"a.py": Entry(text.encode()), "t.py": Entry(test.encode())})
    context = Context(failures=(Failure("t.py::TestF::test_it[0]", "AttributeError", "no"),))
    first = islice(generate(tree, suspects_of(text), context=context), 80)
    assert any("raise LookupError" in e.replacement for c in first for e in c.edits)


def failing(exception: str, message: str) -> Context:
    return Context(failures=(Failure("t.py::test", exception, message),))


@pytest.mark.parametrize(
    ("text", "context", "wanted", "within"),
    [
        ("def f(x):\n    return math.sqrt(x)\n", failing("NameError", "name 'math' is not defined"), "import math", 5),
        ("def f(total):\n    return totl + 1\n", failing("NameError", "name 'totl' is not defined"), "total + 1", 5),
        ("def f(x):\n    x.push(1)\n    return x\n", failing("AttributeError",
         "'list' object has no attribute 'push'. Did you mean: 'append'?"), "x.append(1)", 40),
        ("def f(x):\n    y = x * 2\n    return y\n", failing("Failed", "DID NOT RAISE <class 'ValueError'>"),
         "raise ValueError", 80),
        ("def f(d, k):\n    return d[k]\n", failing("KeyError", "'a'"), "d.get(k", 12),
        ("def f(x):\n    return 'helo ' + x\n", failing("AssertionError", "assert 'helo a' == 'hello a'"), "hello", 60),
        ("def f(xs):\n    raise TypeError('x')\n", failing("TypeError", "DID NOT RAISE <class 'KeyError'>"),
         "raise KeyError", 20),
    ],
)  # fmt: skip
def test_messages_steer_the_order(text: str, context: Context, wanted: str, within: int) -> None:
    tree = Tree({"a.py": Entry(text.encode())})
    first = islice(generate(tree, suspects_of(text), context=context), within)
    assert any(wanted in apply_edits(text, c.edits) for c in first)


def test_a_test_that_did_not_end_asks_for_what_ends_loops() -> None:
    hung = read_hints([Failure("t.py::test", "", "did not end within 0.5 s of computing")])
    assert hung.boosts["loop"] > 0
    assert hung.boosts == read_hints([Failure("t.py::test", "TimeoutError", "")]).boosts
    assert not read_hints([Failure("t.py::test", "", "it did not end well")]).boosts
