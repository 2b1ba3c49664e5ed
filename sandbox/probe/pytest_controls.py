"""The controls as the last items of a pytest session."""

import ast
import os
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

NAME = "greendiff_controls"
_SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "controls.py")


class Controls:
    """Adds the controls to a session, runs them, and says which did not fail."""

    def __init__(self) -> None:
        """Read the controls before anybody else's code runs."""
        with open(_SOURCE, encoding="utf-8") as stream:
            self._source = stream.read()
        self._ids: "Dict[int, str]" = {}
        self._keep: "List[Any]" = []
        self._sentences: "List[str]" = []

    def append(self, session: "Any") -> None:
        """Put the controls after the session's tests, where fixtures of the session are still alive."""
        try:
            items = self._items(session)
        except Exception as error:
            self._sentences.append("The controls could not be made: {}.".format(type(error).__name__))
            return
        for item in items:
            self._ids[id(item)] = item.name
        self._keep = items
        session.items.extend(items)

    def owns(self, item: "Any") -> bool:
        """Say whether an item is a control."""
        return id(item) in self._ids

    def run(self, item: "Any", nextitem: "Any") -> None:
        """Run one control without a word to anybody else's hooks for reports."""
        from _pytest.runner import runtestprotocol

        name = self._ids[id(item)]
        try:
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
        except Exception as error:
            self._sentences.append("Control {} could not be run: {}.".format(name, type(error).__name__))
            return
        for report in reports:
            if report.when == "call" and (report.outcome != "failed" or hasattr(report, "wasxfail")):
                self._sentences.append("A test that must fail did not: control {}.".format(name))

    def sentences(self) -> "List[str]":
        """Return what was noticed."""
        return self._sentences

    def _items(self, session: "Any") -> "List[Any]":
        import pytest
        from _pytest.assertion.rewrite import rewrite_asserts

        tree = ast.parse(self._source)
        rewrite_asserts(tree, self._source.encode())
        module = types.ModuleType(NAME)
        module.__file__ = _SOURCE
        exec(compile(tree, _SOURCE, "exec", dont_inherit=True), module.__dict__)
        path = os.path.join(str(session.config.rootdir), NAME + ".py")
        try:
            from pathlib import Path

            parent = pytest.Module.from_parent(session, path=Path(path))
        except TypeError:
            parent = pytest.Module.from_parent(session, fspath=session.config.rootdir.join(NAME + ".py"))
        parent.obj = module
        items = [
            pytest.Function.from_parent(parent, name=function.__name__)
            for function in module.__dict__.values()
            if isinstance(function, types.FunctionType) and function.__name__.startswith("control_")
        ]
        case = module.__dict__["ControlCase"]
        collector = session.config.pluginmanager.getplugin("unittest")
        if collector is not None:
            items += list(collector.UnitTestCase.from_parent(parent, name="ControlCase", obj=case).collect())
        return items
