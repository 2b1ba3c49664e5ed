"""Code that marks the lines that it runs is otherwise the same code."""

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest
from _pytest.assertion import rewrite

from sandbox.probe import failures, importing, instrument, spectrum

SOURCE = '''"""Documentation."""
from __future__ import annotations
import functools


def decorate(f):
    return f


@decorate
@functools.wraps(
    decorate
)
def branch(x, y=0):
    "text"
    if x:
        return [
            x,
            y,
        ]
    elif y:
        return 1
    else:
        pass
    return 2


class Holder:
    """Holds."""
    value = 1

    def method(self):
        """Nothing else."""

    async def wait(self):
        async with self:
            return await self.more()

    async def __aenter__(self): return self

    async def __aexit__(self, *_): pass

    async def more(self):
        return 5


def catch(kind: Missing):
    try:
        raise kind
    except ValueError:
        found = "value"
    except TypeError as error:
        found = "type"
    else:
        found = "none"
    finally:
        done = True
    return found


def loops(n):
    for i in range(n):
        if i == 2:
            break
    else:
        return "all"
    while n > 0: n -= 1
    with open(__file__) as stream:
        return stream.readline()


def choose(x):
    match x:
        case 1:
            return "one"
        case [a, b]:
            return "two"
        case _:
            return "other"


def outer():
    count = 0
    def inner():
        nonlocal count
        count += 1
        global total
        total = count
        return lambda: count
    return inner()()
'''


class Loaded:
    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "ours.py")
        Path(self.path).write_text(SOURCE, "utf-8")
        self.marks = instrument.Marks()
        self.names: dict[str, Any] = {"__name__": "ours", "__file__": self.path}
        tree = ast.parse(SOURCE)
        self.marks.mark(tree, self.path)
        exec(compile(tree, self.path, "exec", dont_inherit=True), self.names)  # noqa: S102

    def lines(self) -> list[int]:
        return self.marks.take().get(self.path, [])


@pytest.fixture
def ours(tmp_path: Path) -> Loaded:
    loaded = Loaded(tmp_path)
    assert loaded.lines() == [3, 6, 7, 10, 11, 12, 13, 14, 28, 30, 32, 35, 39, 41, 43, 47, 61, 72, 82]
    return loaded


def test_branches(ours: Loaded) -> None:
    assert ours.names["branch"](1) == [1, 0]
    assert ours.lines() == [16, 17, 18, 19, 20]
    assert ours.names["branch"](0, 1) == 1
    assert ours.lines() == [16, 21, 22]
    assert ours.names["branch"](0) == 2
    assert ours.lines() == [16, 21, 24, 25]
    assert ours.lines() == []


def test_exceptions_and_loops(ours: Loaded) -> None:
    catch, loops = ours.names["catch"], ours.names["loops"]
    assert [catch(ValueError), ours.lines()] == ["value", [48, 49, 50, 51, 57, 58]]
    assert [catch(TypeError), ours.lines()] == ["type", [48, 49, 50, 52, 53, 57, 58]]
    with pytest.raises(KeyError):
        catch(KeyError)
    assert ours.lines() == [48, 49, 57]
    assert [loops(1), ours.lines()] == ["all", [62, 63, 66]]
    assert loops(3).startswith('"""Doc')
    assert ours.lines() == [62, 63, 64, 67, 68, 69]


def test_matches_classes_coroutines_and_scopes(ours: Loaded) -> None:
    assert [ours.names["choose"](x) for x in (1, (1, 2), 3)] == ["one", "two", "other"]
    assert set(ours.lines()) >= {73, 75, 77, 79}
    assert asyncio.run(ours.names["Holder"]().wait()) == 5
    assert set(ours.lines()) >= {36, 37, 44}
    assert ours.names["outer"]() == 1
    assert ours.names["total"] == 1
    assert ours.names["Holder"].method.__doc__ == "Nothing else."
    assert ours.names["Holder"].__doc__ == "Holds."
    assert ours.names["__doc__"] == "Documentation."
    assert ours.names["catch"].__annotations__ == {"kind": "Missing"}
    assert not any(name.startswith("__greendiff") for name in ours.names)


def test_lines_of_tracebacks_stay(ours: Loaded) -> None:
    with pytest.raises(KeyError) as caught:
        ours.names["catch"](KeyError)
    assert caught.traceback[-1].lineno + 1 == 49


@pytest.mark.parametrize("path", sorted(Path(inspect.__file__).parent.glob("[a-d]*.py")), ids=lambda path: path.name)
def test_the_standard_library_compiles(path: Path) -> None:
    """Every kind of statement is met there; what is marked is a line that has code."""
    source = path.read_bytes()
    try:
        tree = ast.parse(source)
    except SyntaxError:
        pytest.skip("not a module of this version")
    instrument.Marks().mark(tree, str(path))
    compile(tree, str(path), "exec", dont_inherit=True)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[spectrum.Recorder]:
    kept = list(sys.path_hooks), dict(sys.path_importer_cache), list(sys.path)
    source_to_code = SourceFileLoader.source_to_code
    rewrite_asserts = rewrite.rewrite_asserts
    places = failures.Places(str(tmp_path))
    recorder = spectrum.MarkRecorder(places.relative)
    importing.watch(recorder.mark)
    importing.install(str(tmp_path), places.relative, {})
    sys.path.insert(0, str(tmp_path))
    recorder.start()
    yield recorder
    recorder.stop()
    rewrite.rewrite_asserts = rewrite_asserts
    SourceFileLoader.source_to_code = source_to_code  # type: ignore[method-assign]
    sys.path_hooks[:], sys.path[:] = kept[0], kept[2]
    sys.path_importer_cache.clear()
    sys.path_importer_cache.update(kept[1])
    for name in ("imported_module", "loaded_module"):
        sys.modules.pop(name, None)


def test_modules_are_marked_however_they_are_loaded(tmp_path: Path, recorder: spectrum.Recorder) -> None:
    source = "def f(x):\n    if x:\n        return 1\n    return 2\n"
    for name in ("imported_module", "loaded_module"):
        (tmp_path / f"{name}.py").write_text(source, "utf-8")
    imported = importlib.import_module("imported_module")
    spec = importlib.util.spec_from_file_location("loaded_module", tmp_path / "loaded_module.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    assert recorder.take() == {"imported_module.py": [1], "loaded_module.py": [1]}
    for x, lines in ((1, [2, 3]), (0, [2, 4])):
        imported.f(x)
        loaded.f(x)
        assert recorder.take() == {"imported_module.py": lines, "loaded_module.py": lines}
    (tmp_path / "imported_module.py").write_text("\n" + source, "utf-8")
    importlib.reload(imported)
    imported.f(1)
    thread = threading.Thread(target=imported.f, args=(0,))
    thread.start()
    thread.join()
    assert recorder.take() == {"imported_module.py": [2, 3, 4, 5]}
    (tmp_path / "imported_module.py").write_text("def f(:\n", "utf-8")
    with pytest.raises(SyntaxError):
        importlib.reload(imported)
    tree = ast.parse("def test(x):\n    assert x\n    return 3\n")
    rewrite.rewrite_asserts(tree, b"", str(tmp_path / "test_a.py"))
    names: dict[str, Any] = {}
    exec(compile(tree, str(tmp_path / "test_a.py"), "exec"), names)  # noqa: S102
    with pytest.raises(AssertionError):
        names["test"](0)
    assert recorder.take() == {"test_a.py": [1, 2]}
