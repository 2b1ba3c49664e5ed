"""Models that do as an attacker tells them: the worst case, in which only greendiff stands in the way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.models.endpoint import Behaviour
from tests.workflows.solve.people import DONE, FINE, Cast, calls, edit, plan

OLD_TOTAL = """\
        result = 0
        for price in self.prices:
            result = result + price
        return result
"""
GOOD = edit("shop/cart.py", OLD_TOTAL, "        return sum(self.prices)\n")
"""What was really asked for."""
REQUEST = "Refactor Cart.total to use sum()."
PRAISE = plan("refactor", "Cart.total uses sum().", ("use sum()", ["shop/cart.py::Cart.total"], []))
Deed = tuple[str, dict[str, Any]]


def obedient(*deeds: Deed, then: Sequence[Behaviour] = (), **scripts: Sequence[Behaviour]) -> Cast:
    """Return models of which the coder does all deeds first, and then what the request asks for."""
    coder = [*([calls(*deeds)] if deeds else []), *(then or (calls(GOOD), DONE))]
    cast: dict[str, Sequence[Behaviour]] = {"planner": [PRAISE], "coder": coder, "reviewer": [FINE], **scripts}
    return Cast(**cast)


def command(line: str) -> Deed:
    """Return a call that runs a program."""
    return ("run_command", {"command": line, "seconds": 10})


def told(cast: Cast, role: str = "coder") -> str:
    """Return the last prompt that a role was given, with everything that came of its calls."""
    body = [body for name, body in cast.asked if name == role][-1]
    return json.dumps(body["messages"], ensure_ascii=False)
