"""Names that a change leaves without a reader, or takes into use."""

from __future__ import annotations

import pytest

from agents.repair.naming import NameUse, name_use
from agents.repair.units import SourceFile
from agents.results import Candidate, Edit
from sandbox.tree import Entry, Tree

TEXT = """\
class Scale:
    def to(self, degrees, zero, unit):
        shifted = degrees - zero
        return shifted

    @property
    def plain(self):
        total = 1
        total += 1
        return 0


LIMIT = 3
"""


def use(old: str, new: str) -> NameUse:
    start = TEXT.index(old)
    tree = Tree({"scale.py": Entry(TEXT.encode())})
    made = Candidate((Edit("scale.py", start, start + len(old), new),), "template:test", "", 0.0)
    return name_use(made, {"scale.py": SourceFile.parse("scale.py", tree)})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("degrees - zero", "degrees + zero", NameUse()),
        ("degrees - zero", "zero", NameUse(orphaned=1)),
        ("degrees - zero", "degrees - zero - unit", NameUse(adopted=1)),
        ("degrees - zero", "unit - zero", NameUse(orphaned=1, adopted=1)),
        ("return 0", "return total", NameUse(adopted=1)),
        ("        shifted = degrees - zero\n        return shifted", "        return degrees - zero", NameUse()),
        ("LIMIT = 3", "LIMIT = 4", NameUse()),
        ("degrees - zero", "degrees -", NameUse()),
    ],
)
def test_names_are_counted_before_and_after(old: str, new: str, expected: NameUse) -> None:
    assert use(old, new) == expected


def test_a_file_that_is_not_known_says_nothing() -> None:
    assert name_use(Candidate((Edit("other.py", 0, 1, "x"),), "template:test", "", 0.0), {}) == NameUse()
