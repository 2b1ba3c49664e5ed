"""A small shop with tests, real local workspaces, and models that follow a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

import pytest

from agents.models.protocol import ChatReply, ToolCall, Usage
from agents.permissions import Guard, Permissions
from agents.tools import Toolbox, ToolLimits
from sandbox.protocol import Environment, Sandbox, Workspace
from sandbox.runners.report import Harness
from sandbox.tree import Entry, Tree
from tests import local_backend

environment, local = local_backend.environment, local_backend.local

HARNESS = Harness("pytest", paths=("tests",))
FILES = {
    "shop/__init__.py": '"""A shop."""\n\nfrom shop.cart import Cart\n\n__all__ = ["Cart"]\n',
    "shop/cart.py": '''"""The cart."""

from shop.prices import price_of


class Cart:
    """What a customer has chosen."""

    def __init__(self):
        self.items = []

    def add(self, name):
        self.items.append(name)

    def total(self):
        return sum(price_of(name) for name in self.items)
''',
    "shop/prices.py": '''"""What things cost."""

PRICES = {"apple": 3, "pear": 4}


def price_of(name):
    """Return the price in cents."""
    return PRICES[name]
''',
    "tests/test_cart.py": """from shop import Cart


def test_total():
    cart = Cart()
    cart.add("apple")
    cart.add("pear")
    assert cart.total() == 7
""",
    "AGENTS.md": "# For agents\n\nEvery public function has a docstring.\n",
    "pyproject.toml": '[project]\nname = "shop"\nversion = "1.0"\n',
}


def tree_of(files: Mapping[str, str]) -> Tree:
    return Tree({path: Entry(text.encode()) for path, text in files.items()})


SHOP = tree_of(FILES)
MakeToolbox = Callable[..., Toolbox]


@pytest.fixture
def toolbox(local: Sandbox, environment: Environment) -> Iterator[MakeToolbox]:
    opened: list[Workspace] = []

    def make(
        files: Mapping[str, str] | None = None,
        *,
        permissions: Permissions | None = None,
        limits: ToolLimits | None = None,
        tests: tuple[str, ...] = (),
    ) -> Toolbox:
        tree = SHOP if files is None else tree_of(files)
        opened.append(local.open(tree, environment))
        guard = Guard(tree, permissions or Permissions())
        return Toolbox(tree, opened[-1], HARNESS, guard=guard, limits=limits or ToolLimits(), tests=tests)

    yield make
    for workspace in opened:
        workspace.close()


def calls(*wanted: tuple[str, object], text: str = "") -> ChatReply:
    """Return a reply with native tool calls; arguments that are a text are sent as they are."""
    made = tuple(
        ToolCall(f"call_{number}", name, given if isinstance(given, str) else json.dumps(given))
        for number, (name, given) in enumerate(wanted)
    )
    return ChatReply(text, "tool_calls", Usage(100, 20), made)


def as_text(name: str, **values: str) -> str:
    """Return a call in the text protocol."""
    lines = [f"CALL {name}"]
    for key, value in values.items():
        lines += [f"{key}:", "<<<", value.rstrip("\n"), ">>>"] if "\n" in value else [f"{key}: {value}"]
    return "\n".join([*lines, "END"])
