"""Code is exchanged in living functions, and what a candidate did to modules is put back."""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.probe.trial_live import Live, State, apply, find_source
from sandbox.probe.trial_units import NotSwappable, Source, Uncompilable
from tests.trials.conftest import dedent

TEXT = dedent(
    """
    import collections
    import functools

    NUMBERS = [1, 2]
    TABLE = {"a": [1]}
    GROUP = {1}
    QUEUE = collections.deque([1])
    COUNTS = collections.Counter("a")
    SPARE = collections.defaultdict(list, a=[1])
    RAW = bytearray(b"a")
    LIMIT = 3


    class Registry:
        known = []
        limit = 1

        def __init__(self):
            self.items = {}


    REGISTRY = Registry()


    def scaled(x, by=2, *, seen=[], more=LIMIT):
        seen.append(x)
        return x * by + more


    def counting():
        counting.calls = getattr(counting, "calls", 0) + 1
        return counting.calls


    @functools.lru_cache(maxsize=None)
    def cached(x):
        return x + 1


    def maker(n):
        def inner(x):
            return x + n
        return inner


    add_one = maker(1)
    """
)


@pytest.fixture
def module(tmp_path: Path) -> Iterator[types.ModuleType]:
    path = tmp_path / "live_module.py"
    path.write_text(TEXT)
    spec = importlib.util.spec_from_file_location("live_module", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["live_module"] = made
    spec.loader.exec_module(made)
    yield made
    del sys.modules["live_module"]


def swaps(module: types.ModuleType, old: str, new: str) -> list[object]:
    path = str(module.__file__)
    source = Source("live_module.py", TEXT)
    start = TEXT.index(old)
    splice = (start, start + len(old), new)
    return list(Live(str(Path(path).parent)).swaps(source, os.path.realpath(path), source.unit_of(splice), [splice]))


def test_code_is_exchanged_and_put_back(module: types.ModuleType) -> None:
    undo = apply(swaps(module, "x * by + more", "x - by"))  # type: ignore[arg-type]
    assert module.scaled(5) == 3
    apply(undo)
    assert module.scaled(5) == 13


def test_living_inner_functions_change_too(module: types.ModuleType) -> None:
    undo = apply(swaps(module, "x + n", "x - n"))  # type: ignore[arg-type]
    assert (module.add_one(5), module.maker(2)(5)) == (4, 3)
    apply(undo)
    assert module.add_one(5) == 6


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [("by=2", "by=LIMIT + 1", 11), ("more=LIMIT", "more=0", 4), ("by=2", "by=2, extra=5", 7), ("x, by=2", "x, by", 0)],
)
def test_defaults_are_computed_where_they_changed(module: types.ModuleType, old: str, new: str, expected: int) -> None:
    seen = module.scaled.__kwdefaults__["seen"]
    undo = apply(swaps(module, old, new))  # type: ignore[arg-type]
    if expected:
        assert module.scaled(2) == expected
    else:
        with pytest.raises(TypeError):
            module.scaled(2)
    assert module.scaled.__kwdefaults__["seen"] is seen
    apply(undo)
    assert module.scaled(2) == 7


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("by=2", "by=missing", Uncompilable),
        ("x + n", "x", NotSwappable),
        ("def inner(x):\n        return x + n\n    return inner", "return n", NotSwappable),
        ("x * by", "x * )", Uncompilable),
    ],
)
def test_what_cannot_be_exchanged_is_refused(
    module: types.ModuleType, old: str, new: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        swaps(module, old, new)


def test_a_function_that_is_not_loaded_is_refused(tmp_path: Path) -> None:
    source = Source("absent.py", "def f():\n    return 1\n")
    with pytest.raises(NotSwappable, match="not loaded"):
        Live(str(tmp_path)).swaps(source, str(tmp_path / "absent.py"), source.units[0], [(20, 21, "2")])


def test_state_is_put_back(module: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    live = Live(str(tmp_path))
    before = dict(vars(module))
    state = State(live)
    module.NUMBERS.append(3)
    module.TABLE["a"].append(2)
    module.TABLE["b"] = 1
    module.GROUP.clear()
    module.QUEUE.append(2)
    module.COUNTS["b"] += 1
    module.SPARE["c"].append(1)
    module.RAW.extend(b"b")
    module.Registry.known.append(1)
    module.Registry.limit = 5
    module.Registry.fresh = 1
    del module.Registry.__init__
    module.REGISTRY.items["x"] = 1
    module.scaled(1)
    module.counting()
    module.cached(1)
    del module.LIMIT
    vars(module)["scaled"] = None
    os.environ["LIVE_MODULE_TEST"] = "1"
    os.chdir("/")
    sys.path.append("/nowhere")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 500)
    state.restore()
    assert vars(module) == before
    assert ([1, 2], {"a": [1]}, {1}) == (module.NUMBERS, module.TABLE, module.GROUP)
    assert (list(module.QUEUE), module.COUNTS, dict(module.SPARE)) == ([1], {"a": 1}, {"a": [1]})
    assert module.RAW == b"a"
    assert (module.Registry.known, module.Registry.limit) == ([], 1)
    assert not hasattr(module.Registry, "fresh")
    assert module.Registry().items == {}
    assert module.REGISTRY.items == {}
    assert module.scaled.__kwdefaults__["seen"] == []
    assert not hasattr(module.counting, "calls")
    assert module.cached.cache_info().currsize == 0
    assert "LIVE_MODULE_TEST" not in os.environ
    assert Path.cwd() == tmp_path
    assert "/nowhere" not in sys.path
    assert sys.getrecursionlimit() == limit


def test_sources_are_read_once_from_the_host_or_the_disk(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "b.py").write_bytes(b"\xff\xfe")
    known: dict[str, Source | None] = {}
    assert find_source(known, str(tmp_path), "c.py", {"c.py": "y = 2\n"}) is known["c.py"]
    found = find_source(known, str(tmp_path), "a.py", {})
    assert found is not None
    assert found.text == "x = 1\n"
    assert find_source(known, str(tmp_path), "b.py", {}) is None
    assert find_source(known, str(tmp_path), "d.py", {"d.py": "def ("}) is None
    assert find_source(known, str(tmp_path), "none.py", {}) is None
