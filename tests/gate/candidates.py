"""What a candidate for the gate's tests looks like, and ways to write the shop's cart anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.tree import Entry
from tests.gate.shop import CART
from workflows.verdicts import Allowances, Claim

Change = str | Entry | None
ADDED = Allowances(added_tests=("tests/test_*.py",))
RESULT = "return total - total * percent // 10"


@dataclass(frozen=True)
class Hostile:
    """Makes a plain pytest run green without repairing anything."""

    name: str
    changes: Mapping[str, Change]
    check: str
    """The gate's condition that must refuse it."""
    reason: str
    """A regular expression that its reason must contain."""
    base: str = "plain"
    flagged: bool = False
    """Passed with a flag instead of refused."""


@dataclass(frozen=True)
class Honest:
    """Repairs something."""

    name: str
    changes: Mapping[str, Change]
    base: str = "plain"
    flagged: frozenset[str] = frozenset()
    """Conditions that may ask for a person's eyes."""


@dataclass(frozen=True)
class Claimed:
    """Claims to add something, to preserve everything, or to repair and to add; honest where no check is named."""

    name: str
    changes: Mapping[str, Change]
    claim: Claim
    targets: tuple[tuple[str, str], ...] = ()
    """Added targets with the exceptions that are stated."""
    check: str = ""
    """The condition that must refuse or flag it."""
    reason: str = ""
    """A regular expression that its reason must contain."""
    base: str = "sound"
    flagged: bool = False
    allowances: Allowances = ADDED


def top(code: str, cart: str = CART) -> str:
    """Return the cart with code at its top."""
    return cart.replace("import os\n", f"import os\n{code}\n", 1)


def body(code: str, before: str = "") -> str:
    """Return the cart with another body of `discount`, and code at its top."""
    lines = "".join(f"    {line}\n" if line else "\n" for line in code.splitlines())
    return top(before).replace(f"    {RESULT}\n", lines)
