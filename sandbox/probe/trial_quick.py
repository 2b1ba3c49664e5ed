"""Which tests are plain functions that can be called without pytest's protocol, which costs more than most of them."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict, Optional, Tuple

import pytest

HOOKS = (
    "pytest_runtest_setup", "pytest_runtest_call", "pytest_runtest_teardown", "pytest_runtest_makereport",
    "pytest_pyfunc_call", "pytest_fixture_setup", "pytest_exception_interact",
)  # fmt: skip
"""Hooks by which a plugin or a conftest could have a say in how a test runs."""
TELLING = frozenset(("skip", "skipif", "xfail"))
"""Marks that change what a test's end means."""
_DIRECT = "get_direct_param_fixture_func"

Quick = Tuple[Callable[..., Any], Tuple[str, ...]]
"""A test's function, or a method of no instance yet, and the parameters that it takes."""


class QuickTests:
    """Knows which collected items may be called directly."""

    def __init__(self, session: pytest.Session, own: object) -> None:
        """Look at the hooks once; `own` is the worker's plugin, whose hooks are no obstacle."""
        self._plain = all(self._ours(session, name, own) for name in HOOKS)
        self._known: Dict[int, Optional[Quick]] = {}

    @staticmethod
    def _ours(session: pytest.Session, name: str, own: object) -> bool:
        hook: Any = getattr(session.config.hook, name, None)
        found = hook.get_hookimpls() if hook is not None else ()
        return all(i.plugin is own or i.function.__module__.partition(".")[0] == "_pytest" for i in found)

    def call(self, item: Any) -> Optional[Callable[[], Any]]:
        """Return what runs the test with its parameters as they are now; None where pytest has to."""
        if not self._plain:
            return None
        if id(item) not in self._known:
            try:
                self._known[id(item)] = _quick(item)
            except Exception:
                self._known[id(item)] = None
        quick = self._known[id(item)]
        if quick is None:
            return None
        function, names = quick
        given = item.callspec.params if names else {}
        arguments = {name: given[name] for name in names}
        if item.cls is None:
            return lambda: function(**arguments)
        return lambda: function(item.cls(), **arguments)


def _quick(item: Any) -> Optional[Quick]:
    if type(item) is not pytest.Function or any(mark.name in TELLING for mark in item.iter_markers()):
        return None
    if item.cls is not None and (item.cls.__init__ is not object.__init__ or item.cls.__new__ is not object.__new__):
        return None
    info = item._fixtureinfo  # noqa: SLF001 - there is no other way to learn it
    params = getattr(getattr(item, "callspec", None), "params", {})
    for name in info.names_closure:
        fixtures = info.name2fixturedefs.get(name, ())
        if name not in params or not fixtures or fixtures[-1].func.__name__ != _DIRECT:
            return None
    function = item.function if item.cls is None else getattr(item.cls, item.originalname)
    lazy = inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function)
    if not inspect.isfunction(function) or lazy or inspect.isasyncgenfunction(function):
        return None
    return function, tuple(info.argnames)
