"""A scripted endpoint that plays all roles at once, and a repository for requests in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.models.endpoint import Behaviour, Say, ScriptedEndpoint, Status
from tests.workflows.conftest import Files

ROLES = {
    "You plan work": "planner",
    "You write a test": "unit-test",
    "You write tests": "unit-test",
    "You review a change": "reviewer",
    "You answer a question": "answerer",
    "You are a careful software engineer": "coder",
}
"""How each role's prompt begins."""

SHOP: Files = {
    "shop/__init__.py": '"""A shop."""\n',
    "shop/cart.py": '''\
        """What a customer wants to buy."""


        class Cart:
            """Prices in cents."""

            def __init__(self):
                self.prices = []

            def add(self, price):
                """Put something into the cart."""
                self.prices.append(price)

            def total(self):
                """Return the sum of the prices."""
                result = 0
                for price in self.prices:
                    result = result + price
                return result
        ''',
    "shop/receipt.py": '''\
        """What is printed for a customer."""


        def line(name, price):
            """Return one line of a receipt."""
            return f"{name:<10}{price / 100:>8.2f}"


        def receipt(cart):
            """Return the last line of a receipt."""
            return line("total", cart.total())
        ''',
    "tests/test_cart.py": """\
        from shop.cart import Cart
        from shop.receipt import line, receipt


        def filled(*prices):
            cart = Cart()
            for price in prices:
                cart.add(price)
            return cart


        def test_total():
            assert filled(100, 250).total() == 350


        def test_nothing():
            assert filled().total() == 0


        def test_line():
            assert line("tea", 250) == "tea           2.50"


        def test_receipt():
            assert receipt(filled(250)) == "total         2.50"
        """,
    "pyproject.toml": '[project]\nname = "shop"\nversion = "1.0"\n[tool.pytest.ini_options]\npythonpath = ["."]\n',
}


def role_of(body: dict[str, Any]) -> str:
    """Return who is asked by a request."""
    system = str(body["messages"][0]["content"])
    return next(role for beginning, role in ROLES.items() if beginning in system)


class Cast(ScriptedEndpoint):
    """Answers each role from its own script; one that is used up, or missing, answers 500."""

    def __init__(self, **scripts: Sequence[Behaviour]) -> None:
        self.scripts = {name.replace("_", "-"): list(script) for name, script in scripts.items()}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        super().__init__(self._answer)

    def _answer(self, body: dict[str, Any]) -> Behaviour:
        role = role_of(body)
        self.asked.append((role, body))
        script = self.scripts.get(role, [])
        return script.pop(0) if script else Status(400, f"nobody plays the {role} any more")

    def variables(self, **more: str) -> dict[str, str]:
        """What names it as a large tier, which calls tools."""
        tier = {
            "ENDPOINT": self.url, "MODEL": self.model, "CONTEXT": "32000", "TOOLS": "true", "JSON_SCHEMA": "false",
            "PRICES__INPUT": "2", "PRICES__OUTPUT": "10", **more,
        }  # fmt: skip
        return {f"GREENDIFF_MODELS__LARGE__{name}": value for name, value in tier.items()}

    def prompts(self, role: str) -> list[str]:
        """What a role was told, a text for each time it was asked."""
        return [json.dumps(body["messages"]) for name, body in self.asked if name == role]


def plan(kind: str, restated: str, *steps: tuple[str, Sequence[str], Sequence[str]], questions: Any = ()) -> Say:
    """A planner's answer; a step is its goal, its places and its criteria."""
    listed = [{"goal": goal, "places": list(places), "criteria": list(criteria)} for goal, places, criteria in steps]
    words = {"kind": kind, "restated": restated, "questions": list(questions), "steps": listed}
    return Say(json.dumps(words), usage=(300, 60))


def findings(*found: dict[str, str]) -> Say:
    """A reviewer's answer."""
    return Say(json.dumps({"findings": list(found)}), usage=(300, 20))


FINE = findings()


def edit(path: str, old: str, new: str) -> tuple[str, dict[str, Any]]:
    """A call that replaces lines."""
    return ("edit", {"path": path, "search": old, "replace": new})


def calls(*made: tuple[str, dict[str, Any]]) -> Say:
    """A coder's answer that calls tools."""
    return Say("", calls=made, usage=(500, 80))


DONE = Say("The change is made and the tests pass.", usage=(600, 12))


def written(code: str, *fails: tuple[str, str, str]) -> Say:
    """A unit tester's answer; `fails` are test, exception and reason."""
    lines = "\n".join(f"FAILS {name} WITH {kind} BECAUSE {reason}" for name, kind, reason in fails)
    return Say(f"```python\n{code}```\n{lines}\n", usage=(400, 70))


def evidence(result: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the manifest and the summary of a run's bundle."""
    folder = Path(result["bundle"])
    return json.loads((folder / "manifest.json").read_text()), (folder / "summary.md").read_text()
