"""Numbers clamped by what their function compares."""

from __future__ import annotations

import textwrap

import pytest

from agents.edits import apply_candidate
from agents.repair.generate import generate
from agents.results import Suspect
from sandbox.tree import Entry, Tree


@pytest.mark.parametrize(
    ("source", "line", "wanted"),
    [
        (
            """\
            def highest(readings, state):
                for reading in readings:
                    if reading.value >= state.peak:
                        state.peak = reading.value
                state.total = state.count
                return state.total
            """,
            5,
            "state.total = max(state.peak, state.count)",
        ),
        (
            """\
            def joined(spans):
                done = [spans[0]]
                for low, high in spans[1:]:
                    if low <= done[-1][1]:
                        done[-1] = (done[-1][0], high)
                    else:
                        done.append((low, high))
                return done
            """,
            5,
            "done[-1] = (done[-1][0], max(done[-1][1], high))",
        ),
    ],
)
def test_a_compared_expression_is_a_bound(source: str, line: int, wanted: str) -> None:
    tree = Tree({"lib.py": Entry(textwrap.dedent(source).encode())})
    suspect = Suspect("lib.py", line, "f", 1.0)
    made = {apply_candidate(tree, candidate)["lib.py"].data.decode() for candidate in generate(tree, (suspect,))}
    assert any(wanted in text for text in made)


def test_names_that_are_not_bound_yet_are_no_bounds() -> None:
    source = "def f(n):\n    m = n\n    if m < later[0]:\n        return m\n    return m\n"
    tree = Tree({"lib.py": Entry(source.encode())})
    made = [c for c in generate(tree, (Suspect("lib.py", 2, "f", 1.0),)) if "wrap.bounded" in c.origin]
    assert made
    assert not any("later" in candidate.description for candidate in made)
