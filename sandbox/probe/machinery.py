"""Notices when code under test changes what judges it: test machinery, built-in functions, this probe."""

import builtins
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Dict, Iterator, List, Tuple

MODULES = (
    "_pytest.runner",
    "_pytest.reports",
    "_pytest.outcomes",
    "_pytest.python",
    "_pytest.python_api",
    "_pytest.approx",
    "_pytest.raises",
    "_pytest.assertion",
    "_pytest.assertion.rewrite",
    "_pytest.assertion.util",
    "_pytest.main",
    "_pytest.nodes",
    "_pytest.fixtures",
    "_pytest.unittest",
    "_pytest.skipping",
    "_pytest.subtests",
    "_pytest._code.code",
    "_pytest.config",
    "pytest",
    "unittest",
    "unittest.case",
    "unittest.result",
    "unittest.suite",
    "unittest.loader",
    "unittest.async_case",
    "numpy.testing._private.utils",
)
"""Whose functions, classes and methods are compared."""

BUILTINS = tuple(
    name
    for name in sorted(vars(builtins))
    # A read-eval-print loop sets `_`, and translations install it.
    if not name.startswith("_") or name in ("__import__", "__build_class__")
)

_FUNCTION = type(lambda: None)
_SKIPPED = frozenset(("__dict__", "__weakref__", "__abstractmethods__", "_abc_impl", "__annotations__", "__doc__"))


def fingerprint(own: str) -> "Dict[str, Dict[str, Tuple[Any, ...]]]":
    """Return what the machinery consists of now; `own` is the package that the probe runs as."""
    taken: "Dict[str, Dict[str, Tuple[Any, ...]]]" = {"builtins": _builtins()}
    for name, module in _modules(own):
        taken[name] = _parts(name, module)
    return taken


def differences(before: "Dict[str, Dict[str, Tuple[Any, ...]]]", own: str) -> "List[str]":
    """Return one sentence for each thing that is no longer what it was when `before` was taken."""
    found: "List[str]" = []
    now = fingerprint(own)
    for module in sorted(before):
        parts = now.get(module)
        if parts is None:
            found.append("Module {} was removed or replaced.".format(module))
            continue
        for name in sorted(before[module]):
            if not _same(before[module][name], parts.get(name)) and not _own_patch(module, name, parts.get(name)):
                found.append("{}.{} is not what it was when the tests were started.".format(module, name))
    return found


def _modules(own: str) -> "Iterator[Tuple[str, ModuleType]]":
    for name in MODULES:
        module = sys.modules.get(name)
        if module is not None:
            yield name, module
    for name in sorted(sys.modules):
        # The parts of pluggy have had several names.
        if name == own or name.startswith((own + ".", "pluggy.")):
            yield name, sys.modules[name]


def _builtins() -> "Dict[str, Tuple[Any, ...]]":
    here = vars(builtins)
    return {name: (here.get(name),) for name in BUILTINS}


def _parts(module_name: str, module: "ModuleType") -> "Dict[str, Tuple[Any, ...]]":
    """Return the functions of a module and the members of its classes, by name."""
    parts: "Dict[str, Tuple[Any, ...]]" = {}
    for name, value in list(vars(module).items()):
        if isinstance(value, _FUNCTION):
            parts[name] = _function(value)
        elif isinstance(value, type):
            parts[name] = (value,)
            if value.__module__ == module_name:
                for member, inner in list(vars(value).items()):
                    if member not in _SKIPPED:
                        parts[name + "." + member] = _member(inner)
    return parts


def _member(value: "Any") -> "Tuple[Any, ...]":
    inner = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
    if isinstance(inner, _FUNCTION):
        return (type(value), *_function(inner))
    if isinstance(inner, property):
        return tuple(part for f in (inner.fget, inner.fset) if isinstance(f, _FUNCTION) for part in _function(f))
    if callable(inner) or isinstance(inner, (int, str, bool, tuple)):
        return (value,)
    # Registries and other state may change without anybody meaning harm.
    return ()


def _function(value: "Any") -> "Tuple[Any, ...]":
    return (value, value.__code__, value.__defaults__, value.__closure__)


def _own_patch(module: str, name: str, now: "Any") -> bool:
    """Say whether this is the one method that pytest itself replaces, with what pytest puts there."""
    if module + "." + name != "_pytest.config.Config._getini_unknown_type" or not now:
        return False
    legacy = sys.modules.get("_pytest.legacypath")
    return now[1] is getattr(legacy, "Config__getini_unknown_type", None)


def _same(before: "Tuple[Any, ...]", now: "Any") -> bool:
    if now is None or len(before) != len(now):
        return False
    for old, new in zip(before, now):
        if old is not new and not (type(old) is type(new) and isinstance(old, (int, str)) and old == new):
            return False
    return True
