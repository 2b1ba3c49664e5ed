"""Calls that people wrote: in doctests, in tests and elsewhere; and what doctests say about the code."""

from __future__ import annotations

import ast
import doctest
import sys
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from .explore_guard import Forbidden, Quiet, Timer
from .explore_recipes import Builder, Code, render
from .explore_targets import Target
from .trial_wire import OutOfTime

MAX_CALLS = 40
"""Of one function."""


class Seeds:
    """Gives targets the calls that were found in sources."""

    def __init__(self, targets: Sequence[Target], builder: Builder) -> None:
        self._builder = builder
        self._by_name: Dict[str, List[Tuple[Any, bool]]] = {}
        self._seen: Set[str] = set()
        for target in targets:
            last = target.name.rpartition(".")[2]
            self._by_name.setdefault(last, []).append((target.domains, False))
            for step, (domains, _) in target.operations.items():
                if step.startswith("."):
                    self._by_name.setdefault(step[1:], []).append((domains, True))

    def read(self, source: str) -> None:
        """Take the calls of a source; what cannot be parsed is left."""
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in self._by_name:
                    self._take(name, node, source)

    def _take(self, name: str, node: ast.Call, source: str) -> None:
        recipes = []
        for argument in node.args:
            recipe = self._recipe(argument, source)
            if recipe is _NONE:
                return
            recipes.append(recipe)
        named: Dict[str, Any] = {}
        for keyword in node.keywords:
            recipe = self._recipe(keyword.value, source)
            if recipe is _NONE or keyword.arg is None:
                return
            named[keyword.arg] = recipe
        key = name + render([recipes, named])
        if key in self._seen:
            return
        self._seen.add(key)
        for domains, method in self._by_name[name]:
            if method != isinstance(node.func, ast.Attribute) and method:
                continue
            count = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in domains.parameters)
            variadic = any(p.kind is p.VAR_POSITIONAL for p in domains.parameters)
            if len(domains.calls) < MAX_CALLS and (len(recipes) <= count or variadic):
                domains.calls.append((recipes, named))
                for domain, recipe in zip(domains.domains, recipes):
                    if len(domain.known) < MAX_CALLS:
                        domain.known.append(recipe)

    def _recipe(self, node: ast.expr, source: str) -> Any:
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            pass
        text = ast.get_source_segment(source, node)
        if not text or "\n" in text or len(text) > 80 or isinstance(node, (ast.Await, ast.Yield, ast.NamedExpr)):
            return _NONE
        try:
            with Quiet():
                self._builder.evaluate(text)
        except BaseException:
            return _NONE
        return Code(text)


_NONE: Any = object()


def doctests(owner: str, documentation: str) -> Iterator[doctest.Example]:
    """Yield the examples of a docstring."""
    try:
        yield from doctest.DocTestParser().get_examples(documentation, owner)
    except ValueError:
        return


class Contradiction:
    """An example in the documentation that does not come out as it says."""

    def __init__(self, target: str, source: str, wanted: str, got: str) -> None:
        self.target = target
        self.source = source
        self.wanted = wanted
        self.got = got

    def message(self) -> Dict[str, str]:
        """Return it for the host."""
        return {"target": self.target, "source": self.source, "wanted": self.wanted, "got": self.got}


def contradictions(target: str, documentation: str, names: Dict[str, Any], timer: Timer) -> List[Contradiction]:
    """Run a docstring's examples and return those that come out differently, up to the first that breaks off."""
    found: List[Contradiction] = []
    local = dict(names)
    checker = doctest.OutputChecker()
    for example in doctests(target, documentation):
        options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        if any(example.options.get(flag) for flag in (doctest.SKIP,)):
            return found
        got, error = _run(example, local, timer)
        if error is not None:
            if example.exc_msg is not None:
                if error.split(":")[0].rpartition(".")[2] == example.exc_msg.split(":")[0].rpartition(".")[2]:
                    continue
            elif error.startswith(("NameError", "ImportError", "ModuleNotFoundError", "SyntaxError", "Forbidden")):
                # The example is not meant to be run as it stands.
                return found
            wanted = (example.exc_msg or example.want).strip()
            found.append(Contradiction(target, example.source.strip(), wanted, error))
            return found
        if not checker.check_output(example.want, got, options):
            if example.want.strip() and got.strip() and _same(example.want, got, local):
                continue
            if " at 0x" in got or not (example.want.strip() or got.strip()):
                continue
            found.append(Contradiction(target, example.source.strip(), example.want.strip(), got.strip()))
    return found


def _same(want: str, got: str, names: Dict[str, Any]) -> bool:
    """Whether two texts are equal values written differently, as sets and dictionaries are."""
    try:
        return bool(eval(want, dict(names)) == eval(got, dict(names)))  # noqa: S307 - the sandbox is for this
    except Exception:
        return False


def _run(example: doctest.Example, names: Dict[str, Any], timer: Timer) -> Tuple[str, Optional[str]]:
    """Return what one example printed, and how it failed."""
    quiet = Quiet()
    with quiet:
        before = sys.displayhook
        sys.displayhook = sys.__displayhook__
        timer.start(1.0)
        try:
            exec(compile(example.source, "<example>", "single"), names)
        except (OutOfTime, Forbidden) as error:
            return quiet.out.getvalue(), type(error).__name__
        except BaseException as error:
            return quiet.out.getvalue(), "%s: %s" % (type(error).__name__, error)
        finally:
            timer.stop()
            sys.displayhook = before
    return quiet.out.getvalue(), None
