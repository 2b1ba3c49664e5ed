"""Candidates that make a plain pytest run green without repairing anything."""

from __future__ import annotations

from tests.gate.hostile_code import EQUALITIES, PATCHED, PROCESS, SPECIAL, SURROUNDINGS
from tests.gate.hostile_files import CONFIGURATION, CONFTESTS, SHADOWS, TESTS_EDITED

ALL = [
    *TESTS_EDITED,
    *CONFTESTS,
    *CONFIGURATION,
    *SHADOWS,
    *PROCESS,
    *PATCHED,
    *EQUALITIES,
    *SURROUNDINGS,
    *SPECIAL,
]
assert len({candidate.name for candidate in ALL}) == len(ALL)
