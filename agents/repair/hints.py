"""What the failing tests' messages say about the kind of repair that is needed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agents.repair.units import SourceFile
from agents.results import Failure
from sandbox.tree import Tree

_WORD = re.compile(r"[A-Za-z_]\w*")
_NAME_ERROR = re.compile(r"name '(\w+)' is not defined|local variable '(\w+)' (?:where|referenced)|variable '(\w+)'")
_ATTRIBUTE = re.compile(r"'?(\w+)'? object has no attribute '(\w+)'|module '([\w.]+)' has no attribute '(\w+)'")
_SUGGESTION = re.compile(r"[Dd]id you mean:? '(?:self\.)?(\w+)'")
_STRING = re.compile(r"'((?:[^'\\\n]|\\.){1,120})'|\"((?:[^\"\\\n]|\\.){1,120})\"")
_AWAITED = re.compile(r"DID NOT RAISE <class '(?:[\w.]*\.)?(\w+)'>|(\w+(?:Error|Exception|Warning)) not raised")
_COMPARED = re.compile(r"^(?:E\s+)?(?:AssertionError: )?(?:assert )?(.{1,80}?) (?:==|!=) (.{1,8})$", re.MULTILINE)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")

_BOOSTS: dict[str, dict[str, float]] = {
    "IndexError": {"offbyone": 1.2, "compare": 0.7, "guard": 0.8, "range": 1.0, "constant": 0.4, "index": 0.8},
    "KeyError": {"dict": 2.0, "guard": 0.6, "variable": 0.4, "index": 0.6, "insert": 0.3, "string": 0.8},
    "TypeError": {"wrap": 1.2, "call": 0.7, "guard": 0.6, "argument": 0.8, "await": 2.0, "default": 0.6, "method": 0.4},
    "AttributeError": {"attribute": 1.6, "method": 1.6, "guard": 1.2, "condition": 0.5, "wrap": 0.5, "self": 0.8},
    "NameError": {"name": 3.0, "import": 3.0, "variable": 1.5, "self": 1.5},
    "UnboundLocalError": {"name": 2.0, "insert": 1.0, "move": 1.0, "initial": 1.5, "scope": 2.5},
    "RecursionError": {"guard": 1.5, "recursion": 1.5, "argument": 0.8, "offbyone": 0.6, "compare": 0.6},
    "ZeroDivisionError": {"guard": 1.8, "compare": 0.5, "condition": 0.5, "wrap": 0.5},
    "ValueError": {"guard": 0.6, "wrap": 0.5, "exception": 0.6, "string": 0.3},
    "UnicodeDecodeError": {"argument": 0.8, "call": 0.5, "exception": 0.8},
    "UnicodeEncodeError": {"argument": 0.8, "call": 0.5, "exception": 0.8},
    "StopIteration": {"argument": 1.0, "exception": 1.0, "guard": 0.8},
    "RuntimeError": {"wrap": 1.0, "await": 0.8},
    "Failed": {"exception": 1.5, "guard": 0.8, "condition": 0.4},
    "TimeoutError": {"loop": 1.2, "insert": 0.6, "augmented": 0.5, "condition": 0.5, "compare": 0.4},
}


@dataclass(frozen=True, slots=True)
class Hints:
    """Evidence from failures and issue text, in the form that templates and ordering use."""

    boosts: Mapping[str, float] = field(default_factory=dict)
    """First part of a rule's name → what is added to its log prior."""
    undefined: frozenset[str] = frozenset()
    """Names that a NameError complained of."""
    missing: frozenset[tuple[str, str]] = frozenset()
    """Type or module, and attribute that it lacks."""
    suggested: frozenset[str] = frozenset()
    """Names that the interpreter itself suggested."""
    strings: tuple[str, ...] = ()
    """String literals in the messages."""
    numbers: tuple[str, ...] = ()
    awaited: frozenset[str] = frozenset()
    """Exceptions that a test waited for in vain."""
    raised: frozenset[str] = frozenset()
    """Exceptions that the failing tests ended with."""
    expected: tuple[str, ...] = ()
    """Short plain values that failing tests expected, as they would be written: `[]`, `''`, `[[]]`, `0.0`."""
    words: frozenset[str] = frozenset()
    """Identifiers in the messages and the issue text."""


def read_hints(failures: Iterable[Failure], issue: str = "", tree: Tree | None = None) -> Hints:
    """Return what can be learnt from how the target tests fail, from the issue's text, and from the tests' own text."""
    boosts: dict[str, float] = {}
    undefined: set[str] = set()
    missing: set[tuple[str, str]] = set()
    suggested: set[str] = set()
    strings: dict[str, None] = {}
    numbers: dict[str, None] = {}
    awaited: set[str] = set()
    words: set[str] = set(_WORD.findall(issue))
    raised: set[str] = set()
    expected: dict[str, None] = {}
    sources = _Sources(tree)
    for failure in failures:
        awaited.update(sources.awaited(failure.node_id))
        raised.add(failure.exception)
        kind = failure.exception.rpartition(".")[2]
        if not kind and failure.message.startswith("did not end within "):
            kind = "TimeoutError"
        for rule, boost in _BOOSTS.get(kind, {}).items():
            boosts[rule] = max(boost, boosts.get(rule, 0.0))
        message = failure.message[:20_000]
        if kind in {"NameError", "UnboundLocalError"}:
            undefined.update(n for groups in _NAME_ERROR.findall(message) for n in groups if n)
        for first, attribute, module, member in _ATTRIBUTE.findall(message):
            missing.add((first or module, attribute or member))
        awaited.update(n for groups in _AWAITED.findall(message) for n in groups if n)
        expected.update(dict.fromkeys(other for _, other in _COMPARED.findall(message) if _plain(other)))
        suggested.update(_SUGGESTION.findall(message))
        for one, two in _STRING.findall(message):
            strings.setdefault(_unescape(one or two))
        numbers.update(dict.fromkeys(_NUMBER.findall(message)))
        words.update(_WORD.findall(message))
    return Hints(
        boosts, frozenset(undefined), frozenset(missing), frozenset(suggested), tuple(strings)[:40],
        tuple(numbers)[:40], frozenset(awaited), frozenset(raised - {""}),
        tuple(expected)[:6], frozenset(words),
    )  # fmt: skip


def _plain(text: str) -> bool:
    """Whether a text is a value that a function might well return for what is empty or smallest."""
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    if isinstance(value, (list, tuple, set, dict)):
        return len(value) <= 1 and len(text) <= 6
    return value is None or isinstance(value, bool) or value in {0, 1, -1, ""}


_AWAITING = frozenset({"raises", "assertRaises", "assertRaisesRegex", "assertWarns", "warns"})


class _Sources:
    """Reads the text of failing tests."""

    def __init__(self, tree: Tree | None) -> None:
        self._tree = tree
        self._files: dict[str, SourceFile | None] = {}

    def awaited(self, node_id: str) -> set[str]:
        """Return the names of the exceptions that a test says must be raised."""
        path, *names = node_id.split("::")
        if self._tree is None or not names:
            return set()
        if path not in self._files:
            self._files[path] = SourceFile.parse(path, self._tree)
        file = self._files[path]
        wanted = ".".join(names).partition("[")[0]
        unit = next((u for u in file.units if u.qualname == wanted), None) if file is not None else None
        found: set[str] = set()
        for node in ast.walk(unit.node) if unit is not None else ():
            called = node.func if isinstance(node, ast.Call) and node.args else None
            if isinstance(node, ast.Call) and isinstance(called, ast.Attribute) and called.attr in _AWAITING:
                kinds = node.args[0].elts if isinstance(node.args[0], ast.Tuple) else [node.args[0]]
                found.update(k.id for k in kinds if isinstance(k, ast.Name))
                found.update(k.attr for k in kinds if isinstance(k, ast.Attribute))
        return found


def _unescape(text: str) -> str:
    try:
        value = ast.literal_eval(f"'{text}'" if "'" not in text.replace("\\'", "") else f'"{text}"')
    except (SyntaxError, ValueError):
        return text
    return value if isinstance(value, str) else text
